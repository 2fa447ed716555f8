"""`python -m node.cli.child PARENT ARGUMENT...`: `dkg` as a child that ends when its parent does, in whatever way."""

from __future__ import annotations

import os
import signal
import sys

from node.workers.kernel import PR_SET_PDEATHSIG, prctl


def main(parent: int, argv: list[str]) -> int:
    """Run `dkg`. `parent`: the process id of whoever started this; when it is gone, SIGTERM comes."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before that was set
        return 0
    from dkg.client.cli import main as dkg  # noqa: PLC0415 - after the above, which is to come as early as it can

    return dkg(argv)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
