"""What a client has come to trust: the highest head it has seen of each publisher, in one small file.

A later answer must not go back behind it (invariant I5). The file is written beside and renamed, so that a crash
leaves the old or the new one; a file that cannot be read is an error, never an empty memory.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.commit import Commit
from dkg.chain.registry import Committed
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.chain.commit import Domain

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest file of trusted heads that is read, in bytes: about 40,000 publishers."""

_VERSION: Final = 1


class TrustedHeads:
    """The file. One object serves one client; several processes may share the file, and the last one wins."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made when first needed; None keeps the heads in memory only."""
        self._path = path
        self._heads = _read(path) if path is not None else {}

    def get(self, domain: Domain, publisher: bytes, *, final: bool) -> Committed | None:
        """The latest commit known of a publisher, or the latest that was final; None if there is none yet."""
        return self._heads.get(_name(domain, publisher, final=final))

    def put(self, domain: Domain, committed: Committed, *, final: bool) -> None:
        """Keep a commit. On disk before this returns, if it is news; raises `StoreError`."""
        name = _name(domain, committed.publisher, final=final)
        if self._heads.get(name) == committed:
            return
        self._heads[name] = committed
        if self._path is not None:
            self._write(self._path)

    def _write(self, path: Path) -> None:
        heads = {name: _fields(committed) for name, committed in sorted(self._heads.items())}
        text = json.dumps({"v": _VERSION, "heads": heads}, indent=1)
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StoreError(f"the trusted heads cannot be kept in {path}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(domain: Domain, publisher: bytes, *, final: bool) -> str:
    which = "final" if final else "latest"
    return f"eip155:{domain.chain_id}:0x{domain.registry.hex()}/0x{publisher.hex()}#{which}"


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
        return {str(name): _committed(head) for name, head in json.loads(data)["heads"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise StoreError(
            f"the trusted heads in {path} are damaged: move the file away to start anew, knowing that "
            "answers older than those seen before will then be accepted"
        ) from error


def _fields(committed: Committed) -> dict[str, str | int]:
    flat = asdict(committed)
    flat |= flat.pop("commit")
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in flat.items()}


def _committed(found: dict[str, Any]) -> Committed:
    """Read a commit back, each field of its type."""
    values: dict[str, Any] = {
        name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in found.items()
    }
    commit = Commit(**{field.name: values.pop(field.name) for field in fields(Commit)})
    if not all(type(value) is int for value in values.values()):
        raise TypeError("a number")
    return Committed(commit, **values)
