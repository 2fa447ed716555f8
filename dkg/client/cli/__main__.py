"""`python -m dkg.client.cli`, for where the `dkg` script is not installed."""

from __future__ import annotations

import sys

from dkg.client.cli import main

if __name__ == "__main__":
    sys.exit(main())
