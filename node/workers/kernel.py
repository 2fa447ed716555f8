"""Calls of the Linux kernel that Python's standard library does not have."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
SECCOMP_MODE_FILTER: Final = 2

CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

_CAPABILITY_VERSION_3: Final = 0x20080522

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


def machine() -> str:
    """The processor's architecture, `x86_64` or `aarch64` or another."""
    return platform.machine()


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, first: int, second: int = 0) -> None:
    """Set something of this process (its manual is in section 2). Raises `OSError`."""
    unsigned = ctypes.c_ulong
    _checked(_LIBC.prctl(option, unsigned(first), unsigned(second), unsigned(0), unsigned(0)), "prctl")


def unshare(flags: int) -> None:
    """Go to namespaces of our own (its manual is in section 2). Raises `OSError`."""
    _checked(_LIBC.unshare(flags), "unshare")


def syscall(number: int, *arguments: int) -> int:
    """Any system call, with integers and addresses as arguments. Raises `OSError`."""
    return _checked(_LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments)), f"system call {number}")


def address_of(data: ctypes.Array[ctypes.c_char]) -> int:
    """Where a buffer is."""
    return ctypes.addressof(data)


def drop_capabilities() -> None:
    """Give up every capability, for good together with `PR_SET_NO_NEW_PRIVS`. Raises `OSError`."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    nothing = ctypes.create_string_buffer(24)
    _checked(_LIBC.capset(header, nothing), "capset")
