"""Hostile workers on a system that has neither namespaces nor Landlock: only the filter of system calls is left."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from node.workers import landlock, sandbox
from tests.node.workers import hostile

runner = hostile.runner
serve = hostile.serve


def warm_up() -> None:
    """Take away, in the process that workers are forked from, what the system is not to have."""
    vars(landlock)["shut"] = vars(sandbox)["unshare"] = _refused


def _refused(_: object) -> NoReturn:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
