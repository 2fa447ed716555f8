"""A publisher's home: one directory with its key, its pages, its commits, and which chain it publishes to.

| path            | what it has                                                             |
|-----------------|-------------------------------------------------------------------------|
| `chain.json`    | the chain's id and endpoints, the registry, the finality depth          |
| `key.json`      | the key that signs, encrypted                                           |
| `store/`        | the pages of every root (`dkg.client.store`)                            |
| `jobs.db`       | transactions under way (`node.publish.journal`)                         |
| `commits/`      | signed commits, one file each, named after their number                 |
| `heads.json`    | the heads this home has seen (`dkg.client.trusted`)                     |
| `publish.lock`  | locked by the process that publishes (`node.publish.lock`)              |
| `deployment`    | transactions for a registry that is being deployed, until it is there   |
| `checkpoints-*` | the same for its checkpoint contract, and for calls of that             |
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from dkg.chain.commit import SIGNED_COMMIT_BYTES_MAX, SignedCommit
from dkg.chain.secp import checksum
from dkg.client.database import put_file
from dkg.client.settings import HEADS_FILE, SETTINGS_FILE, ChainSettings, check_settings, home_path, read_settings
from dkg.errors import InputError, ProofError, StoreError

if TYPE_CHECKING:
    from pathlib import Path


TRANSACTIONS_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest file of transactions under way that is read, in bytes: each has some 100 kB at most."""


class Home:
    """The files of a home. Nothing is made before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(cls, option: str | None) -> Home:
        """The home that an option, the environment or the default names."""
        return cls(home_path(option))

    @property
    def key_file(self) -> Path:
        """The publisher's key."""
        return self.path / "key.json"

    @property
    def store(self) -> Path:
        """The directory of pages."""
        return self.path / "store"

    @property
    def journal(self) -> Path:
        """The journal of transactions."""
        return self.path / "jobs.db"

    @property
    def heads(self) -> Path:
        """The heads that this home has seen."""
        return self.path / HEADS_FILE

    # --- the chain -----------------------------------------------------------------------------------------

    def chain(self) -> ChainSettings:
        """The settings of the chain; raises `InputError` if there are none or they make no sense."""
        settings = read_settings(self.path)
        if settings is None:
            raise InputError(
                f"{self.path} knows no chain: `dkg chain deploy --rpc URL` puts a registry on one, and "
                "`dkg chain use --rpc URL --registry ADDRESS` takes one that is there"
            )
        return settings

    def keep_chain(self, settings: ChainSettings) -> None:
        """Write the settings of the chain."""
        check_settings(settings, "the settings")
        self._write(SETTINGS_FILE, json.dumps(asdict(settings), indent=1).encode() + b"\n")

    # --- transactions under way ----------------------------------------------------------------------------

    def transactions(self, name: str) -> bytes:
        """What was kept in a file of transactions under way; empty if none is."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                return file.read(TRANSACTIONS_BYTES_MAX)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error

    def keep_transactions(self, name: str, data: bytes) -> None:
        """Keep what is under way, on the disk when this returns; empty: nothing is any more."""
        if data:
            self._write(name, data)
            return
        path = self.path / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be removed: {error.strerror or error}") from error

    # --- commits -------------------------------------------------------------------------------------------

    def commit(self, seq: int) -> SignedCommit | None:
        """The signed commit with a number; None if this home has not made it."""
        path = self.path / "commits" / str(seq)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            return SignedCommit.decode(data[: SIGNED_COMMIT_BYTES_MAX + 1])
        except ProofError as error:
            raise StoreError(f"{path} is damaged: {error}") from error

    def latest(self) -> SignedCommit | None:
        """The signed commit with the highest number; None if there is none."""
        try:
            numbers = [int(path.name) for path in (self.path / "commits").iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self.path / 'commits'} cannot be read: {error.strerror or error}") from error
        return self.commit(max(numbers)) if numbers else None

    def keep_commit(self, signed: SignedCommit) -> None:
        """Write a signed commit. Never a second one with its number: that would be equivocation.

        Raises `StoreError` if there is another.
        """
        kept = self.commit(signed.commit.seq)
        if kept is not None and kept.commit != signed.commit:
            raise StoreError(
                f"{self.path} holds another signed commit number {signed.commit.seq}: signing two would prove "
                f"{checksum(signed.commit.publisher)} a liar; `dkg publish` resumes the one that is there"
            )
        if kept is None:
            self._write(f"commits/{signed.commit.seq}", signed.encode())

    def _write(self, name: str, data: bytes) -> None:
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            put_file(path, data)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
