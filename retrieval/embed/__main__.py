"""`python -m retrieval.embed [FOLDER]`: write the int8 model, for a device that does not get the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dkg.errors import DkgError
from retrieval.embed import export, models_folder


def main() -> int:
    """Write it and say where."""
    parser = argparse.ArgumentParser(prog="python -m retrieval.embed", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=models_folder(), help="default: %(default)s")
    try:
        path = export(parser.parse_args().folder)
    except DkgError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
