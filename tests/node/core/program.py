"""`python -m tests.node.core.program FILE`: a node with a configuration, as a process of its own for tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dkg.errors import DkgError
from node.config import read_config
from node.core.run import run


def main(file: str) -> int:
    """The process."""
    try:
        return run(read_config(Path(file), {}))
    except DkgError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    status = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(status) if os.environ.get("DKG_TEST_EXIT") else sys.exit(status)
