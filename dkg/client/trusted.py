"""What a client has come to trust: the highest head it has seen of each publisher, in one small file.

A later answer must not go back behind it (invariant I5). The file is written beside and renamed, so that a crash
leaves the old or the new one; a file that cannot be read is an error, never an empty memory. Processes that share it
take turns, and none lowers what another found final.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.commit import Commit
from dkg.chain.registry import Committed
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.chain.commit import Domain

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest file of trusted heads that is read or written, in bytes: about 15,000 publishers."""

_VERSION: Final = 1
_FINAL: Final = "#final"


class TrustedHeads:
    """The file. One object serves one client; several processes may share the file."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made when first needed; None keeps the heads in memory only. Raises `StoreError`."""
        self._path = path
        self._heads = _read(path) if path is not None else {}

    @property
    def where(self) -> str:
        """Where the heads are kept, for people."""
        return "memory" if self._path is None else str(self._path)

    def get(self, domain: Domain, publisher: bytes, *, final: bool) -> Committed | None:
        """The latest commit known of a publisher, or the latest that was final; None if there is none yet."""
        return self._heads.get(_name(domain, publisher, final=final))

    def put(self, domain: Domain, committed: Committed, *, final: bool) -> None:
        """Keep a commit; what was final stays until a later commit is. On disk before this returns, if it is news.

        Raises `StoreError`.
        """
        self._change(_name(domain, committed.publisher, final=final), committed)

    def drop(self, domain: Domain, publisher: bytes) -> None:
        """Forget the latest commit of a publisher, which is gone. What was final stays. Raises `StoreError`."""
        self._change(_name(domain, publisher, final=False), None)

    def _change(self, name: str, committed: Committed | None) -> None:
        if self._heads.get(name) == committed:
            return
        if self._path is None:
            self._heads = _changed(self._heads, name, committed)
            return
        try:
            with _alone(self._path.parent):
                kept = _read(self._path)  # another process may have written it
                changed = _changed(kept, name, committed)
                if changed != kept:
                    _write(self._path, changed)
                self._heads = changed
        except OSError as error:
            raise StoreError(f"the trusted heads cannot be kept in {self._path}: {error.strerror or error}") from error


def _changed(heads: dict[str, Committed], name: str, committed: Committed | None) -> dict[str, Committed]:
    """The heads with another one; what is final is never replaced by what is not later."""
    if committed is None:
        return {key: kept for key, kept in heads.items() if key != name}
    kept = heads.get(name)
    if kept is not None and name.endswith(_FINAL) and kept.commit.seq >= committed.commit.seq:
        return heads
    return heads | {name: committed}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold off the other processes (and objects) that change a file in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)  # a rename is durable only once its folder is
    finally:
        os.close(handle)


def _write(path: Path, heads: dict[str, Committed]) -> None:
    text = json.dumps({"v": _VERSION, "heads": {name: _fields(heads[name]) for name in sorted(heads)}}, indent=1)
    if len(text) > FILE_BYTES_MAX:
        raise StoreError(f"the trusted heads in {path} would be more than {FILE_BYTES_MAX} bytes: use another file")
    beside = path.with_name(f"{path.name}.new")  # left over from a crash, it is overwritten
    try:
        with beside.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _name(domain: Domain, publisher: bytes, *, final: bool) -> str:
    which = _FINAL if final else "#latest"
    return f"eip155:{domain.chain_id}:0x{domain.registry.hex()}/0x{publisher.hex()}{which}"


def _read(path: Path) -> dict[str, Committed]:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"the trusted heads in {path} cannot be read: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise StoreError(f"the trusted heads in {path} are more than {FILE_BYTES_MAX} bytes: this is another file")
    try:
        found = json.loads(data)
        heads = {_VERSION: found["heads"]}[found["v"]]
        return {name: _committed(name, head) for name, head in heads.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise StoreError(
            f"the trusted heads in {path} are damaged: move the file away to start anew, knowing that "
            "answers older than those seen before will then be accepted"
        ) from error


def _fields(committed: Committed) -> dict[str, str | int]:
    flat = asdict(committed)
    flat |= flat.pop("commit")
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in flat.items()}


def _committed(name: str, found: dict[str, Any]) -> Committed:
    """Read a commit back, each field of its type, and of the publisher that it is named after."""
    values: dict[str, Any] = {
        name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in found.items()
    }
    commit = Commit(**{field.name: values.pop(field.name) for field in fields(Commit)})
    if f"/0x{commit.publisher.hex()}#" not in name:
        raise ValueError("another publisher")
    if not all(type(value) is int for value in values.values()):
        raise TypeError("no number")
    return Committed(commit, **values)
