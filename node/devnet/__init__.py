"""A development chain: an Ethereum chain in one process, for demonstrations and tests, with pip and nothing else.

`python -m node.devnet.chain` runs it; `node.devnet.chain.devnet` runs it inside a program.
"""

from __future__ import annotations

import sys
from typing import Final

import eth  # noqa: F401 - for what it does to the process, below

RECURSION_MAX: Final = 20_000
"""Deep enough for 1024 calls of contracts within each other. py-evm sets 100,000 for the whole process when it is
imported, and then a hostile JSON document overflows the C stack where it would have been a RecursionError."""

sys.setrecursionlimit(min(RECURSION_MAX, sys.getrecursionlimit()))
