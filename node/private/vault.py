"""`Vault`: the private parts of assets, and who may read them, in a directory that nothing else of the node reads.

`DIR/private/` has `private.db` and, for each version of a private part, one file with all its pages. Only its owner may
look into it. The store of public pages knows nothing of it, so peers, the gateway, proofs and backups cannot reach it.

| table      | key            | what a row is                                                                       |
|------------|----------------|-------------------------------------------------------------------------------------|
| `versions` | commitment     | a version of an asset's private part: what opens its commitment, and where it is    |
| `grants`   | reader, whose  | that an address may read an asset, or (`whose` ends with "/") all of a publisher's  |
| `secrets`  | name           | a key that never leaves this directory                                              |

What is staged is on the disk before the commit that names it is signed. Which version counts is not written here: it is
the one whose commitment the public dataset has, so that a commit that never came, or was lost with its block, needs no
repair. Several processes may have the same vault open: each sees what the others have granted and revoked at once.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.chain.ual import Ual
from dkg.client.database import Database, Kind, put_file
from dkg.errors import LimitError, ProofError, StoreError
from dkg.private import Opening, commitment
from node.private.packed import PrivateDataset
from node.storage.sealed import SUMS, Sealed, SealedTables
from node.storage.store import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSIONS_MAX: Final = 10_000
"""Most versions of private parts."""

GRANTS_MAX: Final = 10_000
"""Most grants."""

VAULT_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""Most bytes of all files of private parts."""

OPEN_BYTES: Final = 64 * 1024 * 1024
"""Bytes of private parts that stay in memory after they were read."""

_VERSIONS: Final = Sealed("versions", ("commitment", "ual", "salt", "root", "count", "size", "staged", "seen"), key=1)
_GRANTS: Final = Sealed("grants", ("reader", "whose", "at"), key=2)
_SECRETS: Final = Sealed("secrets", ("name", "value"), key=1)
_TABLES: Final = (_VERSIONS, _GRANTS, _SECRETS)
_ADVICE: Final = "Restore a copy of the directory: it can be learned again from nobody"

_KIND: Final = Kind(
    file="private.db",
    what="private store",
    missing="a node makes one when it starts",
    application=0x646B6770,
    version=1,
    page_bytes=4096,
    schema=";\n".join([*(table.schema for table in _TABLES), SUMS]),
)
_FILE_BYTES_MAX: Final = 256 * 1024 * 1024
_KEY: Final = "key"


def has_vault(directory: Path) -> bool:
    """Whether a node's directory has one."""
    return (directory / PRIVATE / _KIND.file).exists()


@dataclass(frozen=True, slots=True, repr=False)
class PrivateVersion:
    """A version of an asset's private part. `staged`, `seen`: Unix seconds; `seen` is 0 until it counted once."""

    commitment: bytes
    ual: str
    salt: bytes
    root: bytes
    count: int
    size: int
    staged: int
    seen: int

    @property
    def opening(self) -> Opening:
        """What opens its commitment."""
        return Opening(self.salt, self.root)

    def row(self) -> tuple[object, ...]:
        """As the table holds it."""
        return self.commitment, self.ual, self.salt, self.root, self.count, self.size, self.staged, self.seen


@dataclass(frozen=True, slots=True)
class Grant:
    """That an address may read. `whose`: a UAL, or what the UALs of a publisher begin with. `at`: Unix seconds."""

    reader: bytes
    whose: str
    at: int


class Vault:
    """See the module. Used in any thread. Every failure of disk or database is a `StoreError`."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], chance: Callable[[int], bytes] = os.urandom
    ) -> None:
        """`directory`: the node's own. `clock`: Unix seconds. `chance`: random bytes, for salts and the key."""
        self.directory = directory / PRIVATE
        self._clock = clock
        self._chance = chance
        self._lock = threading.RLock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self.directory.chmod(0o700)
        except OSError as error:
            raise StoreError(f"{self.directory} cannot be made: {error.strerror or error}") from error
        self._database = Database(self.directory, read_only=False, kind=_KIND)
        try:
            self._tables = SealedTables(self._database, _TABLES, advice=_ADVICE)
            self._seen_version = -1
            self._versions: dict[bytes, PrivateVersion] = {}
            self._grants: dict[tuple[bytes, str], Grant] = {}
            self._open: OrderedDict[bytes, PrivateDataset] = OrderedDict()
            self._secret = self._made_key()
            self._tidy()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._open.clear()
            self._database.close()

    # --- who may read ----------------------------------------------------------------------------------------------

    def may_read(self, reader: bytes, ual: Ual) -> bool:
        """Whether an address may read the private part of an asset, whether or not there is one."""
        with self._fresh():
            one = (reader, str(ual)) in self._grants
            every = (reader, ual.publisher.prefix) in self._grants
            return one or every or hmac.compare_digest(reader, ual.publisher.address)

    def reads_anything(self, reader: bytes) -> bool:
        """Whether an address has a grant, or is the publisher of a private part."""
        with self._fresh():
            return any(grant.reader == reader for grant in self._grants.values()) or any(
                Ual.parse(one.ual).publisher.address == reader for one in self._versions.values()
            )

    def readable(self, reader: bytes) -> list[Ual]:
        """The assets with a private part here that an address may read, by their names."""
        with self._fresh():
            uals = map(Ual.parse, sorted({one.ual for one in self._versions.values()}))
            return [ual for ual in uals if self.may_read(reader, ual)]

    def grants(self) -> list[Grant]:
        """All grants, by what they are of and by reader."""
        with self._fresh():
            return sorted(self._grants.values(), key=lambda one: (one.whose, one.reader))

    def grant(self, reader: bytes, whose: str) -> Grant:
        """Let an address read; on the disk when this returns. Raises `LimitError` for too many grants."""
        with self._fresh(), self._tables.changing():
            made = Grant(reader, whose, int(self._clock()))
            if (reader, whose) not in self._grants and self._tables.count(_GRANTS) >= GRANTS_MAX:
                raise LimitError(f"there are {GRANTS_MAX} grants already, and that is the most: revoke some")
            self._tables.put(_GRANTS, (reader, whose, made.at))
            self._forget()
            return made

    def revoke(self, reader: bytes, whose: str) -> bool:
        """Let an address read no more; False: it could not by this grant. From the next request on, in any session."""
        with self._fresh(), self._tables.changing():
            gone = self._tables.remove(_GRANTS, "reader=? AND whose=?", (reader, whose))
            self._forget()
            return bool(gone)

    # --- private parts ---------------------------------------------------------------------------------------------

    def version(self, committed: bytes) -> PrivateVersion | None:
        """What a commitment is of, if it is here."""
        with self._fresh():
            return self._versions.get(committed)

    def versions(self) -> list[PrivateVersion]:
        """All that are here."""
        with self._fresh():
            return list(self._versions.values())

    def stage(self, ual: Ual, dataset: PrivateDataset) -> PrivateVersion:
        """Keep a private part, under a commitment with a new salt; on the disk when this returns.

        Raises `LimitError` when there are too many, or they are too large.
        """
        opening, packed = Opening(self._chance(32), dataset.root), dataset.pack()
        before = [one.staged for one in self.versions() if one.ual == str(ual)]
        made = PrivateVersion(
            commitment(ual, opening),
            str(ual),
            opening.salt,
            dataset.root,
            dataset.count,
            len(packed),
            max([int(self._clock()), *(1 + moment for moment in before)]),  # each is newer than the one before
            0,
        )
        self._require_room(len(packed))
        self._write(made.commitment, packed)
        with self._fresh(), self._tables.changing():
            self._tables.put(_VERSIONS, made.row())
            self._forget()
        return made

    def load(self, version: PrivateVersion) -> PrivateDataset:
        """The pages of a version, each checked. Raises `StoreError`; nothing private is in its sentence."""
        with self._lock:
            found = self._open.get(version.commitment)
        found = found or self._read(version)  # not under the lock, for which everybody waits
        with self._lock:
            self._open[version.commitment] = found
            self._open.move_to_end(version.commitment)
            while sum(len(one.car) for one in self._open.values()) > OPEN_BYTES and len(self._open) > 1:
                self._open.popitem(last=False)
            return found

    def mark_seen(self, committed: bytes) -> None:
        """A version has come to count."""
        with self._fresh():
            found = self._versions.get(committed)
            if found is None or found.seen:
                return
            with self._tables.changing():
                self._tables.put(_VERSIONS, (*found.row()[:-1], max(1, int(self._clock()))))
            self._forget()

    def discard(self, committed: bytes) -> None:
        """Remove a version, its file too."""
        with self._fresh():
            with self._tables.changing():
                self._tables.remove(_VERSIONS, "commitment=?", (committed,))
            self._forget()
            self._open.pop(committed, None)
            with suppress(OSError):  # then it is removed when the node starts next
                self._path(committed).unlink(missing_ok=True)

    def keyed(self, data: bytes) -> bytes:
        """A digest that nobody can compute who has not the key of this vault: what is guessed cannot be checked."""
        return hmac.new(self._secret, data, sha256).digest()

    # --- below -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _fresh(self) -> Iterator[None]:
        """Hold the lock; what is in memory is what the database has now, whoever wrote it."""
        with self._lock:
            with self._database.guard("read"):
                version = self._database.pragma("data_version")
            if version != self._seen_version:
                self._reload()
                self._seen_version = version
            yield

    def _reload(self) -> None:
        self._versions = {row[0]: PrivateVersion(*row) for row in self._tables.rows(_VERSIONS)}
        self._grants = {(row[0], row[1]): Grant(*row) for row in self._tables.rows(_GRANTS)}

    def _forget(self) -> None:
        """What is in memory is of before a change of our own, which the database does not tell us of."""
        self._seen_version = -1

    def _require_room(self, size: int) -> None:
        with self._fresh():
            held = sum(one.size for one in self._versions.values())
            if len(self._versions) >= VERSIONS_MAX:
                raise LimitError(f"there are {VERSIONS_MAX} private parts already, and that is the most")
            if held + size > VAULT_BYTES_MAX:
                raise LimitError(f"the private parts would have over {VAULT_BYTES_MAX} bytes, which is the most")

    def _path(self, committed: bytes) -> Path:
        return self.directory / f"{committed.hex()}.part"

    def _write(self, committed: bytes, packed: bytes) -> None:
        try:
            put_file(self._path(committed), packed, 0o600)
        except OSError as error:
            raise StoreError(f"a private part cannot be written: {error.strerror or error}") from error

    def _read(self, version: PrivateVersion) -> PrivateDataset:
        if commitment(Ual.parse(version.ual), version.opening) != version.commitment:
            raise StoreError(f"a private part in {self.directory} is not what its commitment is of")
        try:
            with self._path(version.commitment).open("rb") as file:
                return PrivateDataset.unpack(file.read(_FILE_BYTES_MAX), version.root)
        except OSError as error:
            raise StoreError(f"a private part cannot be read: {error.strerror or error}") from error
        except ProofError as error:
            raise StoreError(f"a private part in {self.directory} is damaged. {_ADVICE}") from error

    def _made_key(self) -> bytes:
        with self._tables.changing():
            rows = self._tables.rows(_SECRETS, "name=?", (_KEY,))
            if rows:
                found: bytes = rows[0][1]
                return found
            self._require_no_parts()
            made = self._chance(32)
            self._tables.put(_SECRETS, (_KEY, made))
            return made

    def _require_no_parts(self) -> None:
        """Raise `StoreError` if there are private parts, and what says what they are is new."""
        left = sum(1 for _ in self.directory.glob("*.part"))
        if left:
            raise StoreError(
                f"{self.directory} has {left} private parts, and {_KIND.file} knows of none: it was lost, and so were "
                f"all grants and what opens commitments. {_ADVICE}. Or move the files away, and publish all of it again"
            )

    def _tidy(self) -> None:
        """Remove files that no row names: what was written when a process ended before its row was."""
        with self._fresh():
            known = {one.hex() for one in self._versions}
            for path in self.directory.glob("*.part"):
                if path.stem not in known and path.stat().st_mtime < self._clock() - _YOUNG_S:
                    path.unlink(missing_ok=True)
            for path in self.directory.glob("*.new"):
                if path.stat().st_mtime < self._clock() - _YOUNG_S:
                    path.unlink(missing_ok=True)


_YOUNG_S: Final = 3_600  # a file of another process, whose row is about to come
