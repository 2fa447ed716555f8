"""A filter of system calls: what a worker has no use for, and what would let it reach other processes, is refused.

It is a list of what is refused, since what Python, SQLite and Oxigraph need differs between C libraries: sockets,
programs, new processes, signals and limits of other processes, namespaces, mounts, files that would change, locks on
whole files, io_uring (which goes around such filters), and memory that outlives a process. It needs no privilege but
`no_new_privs`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from node.workers.kernel import PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address_of, machine, prctl

_REFUSED: Final = {
    # name: numbers on x86_64 and aarch64; None where there is no such call
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "setsid": (112, 157), "setpgid": (109, 154),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "flock": (73, 32), "open_by_handle_at": (304, 265), "mknod": (133, None), "mknodat": (259, 33),
    "creat": (85, None), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None), "mkdir": (83, None), "mkdirat": (258, 34),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "memfd_create": (319, 279), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
_KILL: Final = (62, 129)
_TGKILL: Final = (234, 131)
_PRLIMIT64: Final = (302, 261)
_FCNTL: Final = (72, 25)
_IOCTL: Final = (16, 29)
_OPEN: Final = (2, None)
_OPENAT: Final = (257, 56)
_CLONE: Final = (56, 220)
_UNKNOWN: Final = {"clone3": (435, 435), "openat2": (437, 437)}
"""Calls whose arguments cannot be looked at: the C library takes the older ones, if there are no others."""

_CLONE_THREAD: Final = 0x10000
_WRITING: Final = 0x1 | 0x2 | 0x40 | 0x200  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
_FILE_COMMANDS: Final = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: have the kernel signal somebody. F_SETLEASE, F_NOTIFY: hold up who opens a file."""

_SOCKET_REQUESTS: Final = (0x8901, 0x8902)
"""FIOSETOWN, SIOCSPGRP: have the kernel signal somebody."""

_MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32: Final = 0x40000000  # x86_64 has a second set of numbers from here on

# Instructions of the classic BPF: load a word of the call's description; compare; return.
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000
_AT_NUMBER: Final = 0
_AT_MACHINE: Final = 4
_AT_ARGUMENTS: Final = 16  # 64 bits each, the low half first on both machines

Instruction = tuple[int, int, int, int]
"""Code, instructions to skip if true, if false, operand."""


def available() -> bool:
    """Whether there is a filter for this machine."""
    return machine() in _MACHINES


def shut() -> None:
    """Put the filter on this process, for good. Raises `OSError` where the kernel does not take it."""
    program = b"".join(struct.pack("=HBBI", *step) for step in _program(machine(), os.getpid()))
    steps = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, address_of(steps)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address_of(described))


def _program(name: str, own: int) -> list[Instruction]:
    at = list(_MACHINES).index(name)
    refuse = _answer(errno.EPERM)
    program = [(_LOAD, 0, 0, _AT_MACHINE), (_EQUAL, 1, 0, _MACHINES[name]), (_RETURN, 0, 0, _KILL_PROCESS)]
    program += [(_LOAD, 0, 0, _AT_NUMBER)]
    if name == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), refuse]
    for numbers in _REFUSED.values():
        if (number := numbers[at]) is not None:
            program += [(_EQUAL, 0, 1, number), refuse]
    for numbers in _UNKNOWN.values():
        program += [(_EQUAL, 0, 1, numbers[at]), _answer(errno.ENOSYS)]
    allow = (_RETURN, 0, 0, _ALLOW)
    for number, argument, test, values, found, other in (
        (_CLONE[at], 0, _ANY_BIT, (_CLONE_THREAD,), allow, refuse),
        (_KILL[at], 0, _EQUAL, (own,), allow, refuse),
        (_TGKILL[at], 0, _EQUAL, (own,), allow, refuse),
        (_PRLIMIT64[at], 0, _EQUAL, (0, own), allow, refuse),
        (_OPEN[at], 1, _ANY_BIT, (_WRITING,), refuse, allow),
        (_OPENAT[at], 2, _ANY_BIT, (_WRITING,), refuse, allow),
        (_FCNTL[at], 1, _EQUAL, _FILE_COMMANDS, refuse, allow),
        (_IOCTL[at], 1, _EQUAL, _SOCKET_REQUESTS, refuse, allow),
    ):
        if number is None:
            continue
        block = [(_LOAD, 0, 0, _AT_ARGUMENTS + 8 * argument)]
        for value in values:
            block += [(test, 0, 1, value), found]
        program += [(_EQUAL, 0, len(block) + 1, number), *block, other]
    return [*program, allow]


def _answer(number: int) -> Instruction:
    return _RETURN, 0, 0, _ERRNO | number
