"""What a client has come to trust: the highest head it has seen of each publisher, and checkpoint, in one small file.

A later answer must not go back behind it (invariant I5). The file is written beside and renamed, so that a crash
leaves the old or the new one; a file that cannot be read is an error, never an empty memory. Processes that share it
take turns, and none lowers what another found final.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoints import ID_MAX
from dkg.chain.commit import NUMBER_MAX, Commit
from dkg.chain.registry import Committed
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dkg.chain.commit import Domain

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest file of trusted heads that is read or written, in bytes: about 15,000 publishers."""

_VERSION: Final = 1
_FINAL: Final = "#final"
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class FinalUnion:
    """A checkpoint that was final, and how far the registry's log was that was final with it."""

    checkpoint: int
    """Its id. A later one may have a lower id: position and marks are what goes up."""
    position: int
    marks: int
    root: bytes
    """Digest of the union's dataset root, 32 bytes."""
    length: int
    """Commits in the log."""
    entry: bytes
    """The log's last entry, 32 bytes; zeros if the log was empty."""

    @property
    def at(self) -> tuple[int, int, int]:
        """What later ones have more of."""
        return self.position, self.marks, self.length


class TrustedHeads:
    """The file. One object serves one client; several processes may share the file."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made when first needed; None keeps the heads in memory only. Raises `StoreError`."""
        self._path = path
        self._kept = _read(path) if path is not None else _Kept()

    @property
    def where(self) -> str:
        """Where the heads are kept, for people."""
        return "memory" if self._path is None else str(self._path)

    def get(self, domain: Domain, publisher: bytes, *, final: bool) -> Committed | None:
        """The latest commit known of a publisher, or the latest that was final; None if there is none yet."""
        return self._kept.heads.get(_name(domain, publisher, final=final))

    def put(self, domain: Domain, committed: Committed, *, final: bool) -> None:
        """Keep a commit; what was final stays until a later commit is. On disk before this returns, if it is news.

        Raises `StoreError`.
        """
        self._change(_name(domain, committed.publisher, final=final), committed)

    def drop(self, domain: Domain, publisher: bytes) -> None:
        """Forget the latest commit of a publisher, which is gone. What was final stays. Raises `StoreError`."""
        self._change(_name(domain, publisher, final=False), None)

    def union(self, domain: Domain, contract: bytes) -> FinalUnion | None:
        """The latest final checkpoint known of a contract (its address); None if there is none yet."""
        return self._kept.unions.get(_union_name(domain, contract))

    def put_union(self, domain: Domain, contract: bytes, union: FinalUnion) -> None:
        """Keep a final checkpoint, if it or the log is later than what is kept, and neither is earlier. As `put`."""
        self._store(lambda kept: _with_union(kept, _union_name(domain, contract), union))

    def _change(self, name: str, committed: Committed | None) -> None:
        self._store(lambda kept: _Kept(_changed(kept.heads, name, committed), kept.unions))

    def _store(self, change: Callable[[_Kept], _Kept]) -> None:
        changed = change(self._kept)
        if changed == self._kept:
            return
        if self._path is None:
            self._kept = changed
            return
        try:
            with _alone(self._path.parent):
                kept = _read(self._path)  # another process may have written it
                changed = change(kept)
                if changed != kept:
                    _write(self._path, changed)
                self._kept = changed
        except OSError as error:
            raise StoreError(f"the trusted heads cannot be kept in {self._path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the file holds."""

    heads: dict[str, Committed] = field(default_factory=dict)
    unions: dict[str, FinalUnion] = field(default_factory=dict)


def _changed(heads: dict[str, Committed], name: str, committed: Committed | None) -> dict[str, Committed]:
    """The heads with another one; what is final is never replaced by what is not later."""
    if committed is None:
        return {key: kept for key, kept in heads.items() if key != name}
    kept = heads.get(name)
    if kept is not None and name.endswith(_FINAL) and kept.commit.seq >= committed.commit.seq:
        return heads
    return heads | {name: committed}


def _with_union(kept: _Kept, name: str, union: FinalUnion) -> _Kept:
    """What is kept, with another final checkpoint; it is never replaced by one that is not later, or a shorter log."""
    before = kept.unions.get(name)
    if before is not None and (before.at >= union.at or before.length > union.length):
        return kept
    return _Kept(kept.heads, kept.unions | {name: union})


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


def _write(path: Path, kept: _Kept) -> None:
    heads = {name: _fields(kept.heads[name]) for name in sorted(kept.heads)}
    unions = {name: _texts(asdict(kept.unions[name])) for name in sorted(kept.unions)}
    text = json.dumps({"v": _VERSION, "heads": heads} | ({"unions": unions} if unions else {}), indent=1)
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


def _union_name(domain: Domain, contract: bytes) -> str:
    return f"eip155:{domain.chain_id}:0x{domain.registry.hex()}/0x{contract.hex()}"


def _read(path: Path) -> _Kept:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return _Kept()
    except OSError as error:
        raise StoreError(f"the trusted heads in {path} cannot be read: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise StoreError(f"the trusted heads in {path} are more than {FILE_BYTES_MAX} bytes: this is another file")
    try:
        found = json.loads(data)
        heads = {_VERSION: found["heads"]}[found["v"]]
        unions = {name: _union(one) for name, one in found.get("unions", {}).items()}
        return _Kept({name: _committed(name, head) for name, head in heads.items()}, unions)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError) as error:
        raise StoreError(
            f"the trusted heads in {path} are damaged: move the file away to start anew, knowing that "
            "answers older than those seen before will then be accepted"
        ) from error


def _fields(committed: Committed) -> dict[str, str | int]:
    flat = asdict(committed)
    flat |= flat.pop("commit")
    return _texts(flat)


def _texts(flat: dict[str, Any]) -> dict[str, str | int]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in flat.items()}


def _values(found: dict[str, Any]) -> dict[str, Any]:
    """Numbers and byte strings as they were."""
    values: dict[str, Any] = {
        name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in found.items()
    }
    if not all(type(value) in {int, bytes} for value in values.values()):
        raise TypeError("no number")
    return values


def _union(found: dict[str, Any]) -> FinalUnion:
    union = FinalUnion(**_values(found))
    if not all(type(number) is int and 0 <= number <= NUMBER_MAX for number in (union.checkpoint, *union.at)):
        raise TypeError("no number")
    if not 1 <= union.checkpoint <= ID_MAX or union.position > union.length:
        raise ValueError("no checkpoint of this log")
    if not all(type(digest) is bytes and len(digest) == _DIGEST_BYTES for digest in (union.root, union.entry)):
        raise TypeError("no digest")
    return union


def _committed(name: str, found: dict[str, Any]) -> Committed:
    """Read a commit back, each field of its type, and of the publisher that it is named after."""
    values = _values(found)
    commit = Commit(**{one.name: values.pop(one.name) for one in fields(Commit)})
    if f"/0x{commit.publisher.hex()}#" not in name:
        raise ValueError("another publisher")
    if not all(type(value) is int for value in values.values()):
        raise TypeError("no number")
    return Committed(commit, **values)
