"""Memory that is free inside the process, and given back to the machine: a node stays as large as what it holds.

The C library keeps what a program frees in as many pools as threads have asked at once, each with holes. Under mixed
load the holes of a node came to 60 MB in five minutes beside 60 MB in use, and went on growing (docs/faults.md). With
one pool, and what is free in it given back now and then, they stay small. Elsewhere than on glibc nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Final

POOLS: Final = 1
"""Pools for all threads. Python's own lock lets few of them ask at once. A thread that asked before has its own."""

TRIM_S: Final = 30.0
"""Time between two givings back, in seconds."""

LARGE_BYTES: Final = 128 * 1024
"""What is larger, in bytes, has a place of its own, which goes back at once; glibc would raise this up to 32 MiB."""

_M_ARENA_MAX: Final = -8  # malloc.h of glibc
_M_MMAP_THRESHOLD: Final = -3


def few_pools() -> bool:
    """Have the C library make few pools from now on; whether it does. Before the first thread is started."""
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_M_ARENA_MAX, POOLS) and library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
    except (AttributeError, OSError):
        return False


def give_back() -> bool:
    """Give free memory back to the machine; whether there was any. It takes some milliseconds."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError):
        return False


async def give_back_now_and_then() -> None:
    """Do so for ever, in a thread."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(TRIM_S)
        await loop.run_in_executor(None, give_back)
