"""Landlock: this process and its children may read some files and directories, and no others of the file system.

It needs no privilege but `no_new_privs`, and Linux 5.13. Newer kernels also keep processes in it from signals to those
outside and from abstract sockets (6.12), and from TCP (6.7).
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

from node.workers.kernel import address_of, syscall

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CREATE: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_EXECUTE: Final = 1 << 0
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3

# Rights of files that a version of Landlock knows, by the number of their bits.
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP: Final = 0b11
_TCP_FROM: Final = 4
_SCOPES: Final = 0b11  # abstract sockets, signals
_SCOPES_FROM: Final = 6


def version() -> int:
    """The version of Landlock here. Raises `OSError` where there is none."""
    return syscall(_CREATE, 0, 0, _VERSION_FLAG)


def shut(readable: Iterable[Path]) -> None:
    """Leave nothing of the file system but reading (and mapping as code) below `readable`. Raises `OSError`."""
    known = version()
    files = (1 << _RIGHTS[min(known, max(_RIGHTS))]) - 1
    values = [files]
    if known >= _TCP_FROM:
        values.append(_TCP)
    if known >= _SCOPES_FROM:
        values.append(_SCOPES)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(values)}Q", *values), 8 * len(values))
    rules = syscall(_CREATE, address_of(attributes), len(attributes), 0)
    try:
        for path in readable:
            _allow(rules, path)
        syscall(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _EXECUTE | (_READ_DIR if path.is_dir() else 0)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, handle), 12)
        syscall(_ADD_RULE, rules, _PATH_BENEATH, address_of(rule), 0)
    finally:
        os.close(handle)
