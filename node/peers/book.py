"""Where peers can be found again: addresses that were heard of, in a file, a few of each network.

What is in it is hearsay, from peers that may be one attacker with many names. So no network gets more than a few
places, and new names push out others of their own network first. Pinned peers are not in it at all: those are known
from the configuration, whatever the book says.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError, StoreError
from node.peers.addresses import PeerAddress, group_of, host_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from random import Random

ADDRESSES_MAX: Final = 512
"""Most peers in the book."""

GROUP_MAX: Final = 8
"""Most peers of one network in the book. This machine itself is no network."""

FILE_BYTES_MAX: Final = 1024 * 1024
"""Largest file that is read, in bytes."""

FAILURES_MAX: Final = 5
"""A peer that could not be reached so often in a row is crossed out."""


class Book:
    """See the module. Peers that answered lately come last in it, and are the last to be pushed out."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the file, made when first needed; None keeps the book in memory. Raises `StoreError`."""
        self._path = path
        self._peers: dict[str, PeerAddress] = {}
        self._groups: dict[str, str] = {}  # the network of each; its own name for this machine itself
        self._failures: Counter[str] = Counter()
        for text in _read(path) if path is not None else []:
            self._add(text)

    def __len__(self) -> int:
        return len(self._peers)

    def _add(self, text: str) -> None:
        try:
            found = PeerAddress.parse(text)
        except InputError:
            return  # damaged, or of another release: others are there
        self.heard(found)

    def heard(self, found: PeerAddress) -> None:
        """Somebody says that a peer is there."""
        self._forget(found.peer)
        group = group_of(host_of(found.address)) or found.peer
        same = [peer for peer in self._peers if self._groups[peer] == group]
        if len(same) >= GROUP_MAX:
            self._forget(same[0])
        elif len(self._peers) >= ADDRESSES_MAX:
            self._forget(next(iter(self._peers)))
        self._peers[found.peer] = found
        self._groups[found.peer] = group

    def _forget(self, peer: str) -> None:
        self._peers.pop(peer, None)
        self._groups.pop(peer, None)

    def reached(self, peer: str) -> None:
        """A peer answered."""
        self._failures.pop(peer, None)
        if peer in self._peers:
            self._peers[peer] = self._peers.pop(peer)

    def missed(self, peer: str) -> None:
        """A peer could not be reached."""
        self._failures[peer] += 1
        if self._failures[peer] >= FAILURES_MAX:
            self._failures.pop(peer)
            self._forget(peer)

    def some(self, random: Random, most: int, without: Iterable[str]) -> list[PeerAddress]:
        """Some peers to connect to, drawn by network first, so that a crowded network is drawn no oftener."""
        left_out = set(without)
        groups: dict[str, list[PeerAddress]] = {}
        for peer, found in self._peers.items():
            if peer not in left_out:
                groups.setdefault(self._groups[peer], []).append(found)
        names = sorted(groups)
        random.shuffle(names)
        return [random.choice(groups[name]) for name in names[:most]]

    def save(self) -> None:
        """Write the book to its file; raises `StoreError`."""
        if self._path is None:
            return
        text = json.dumps({"v": 1, "peers": [str(found) for found in self._peers.values()]}, indent=1)
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="ascii")
            beside.replace(self._path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StoreError(f"the book of peers {self._path} cannot be written: {error.strerror or error}") from error


def _read(path: Path) -> list[str]:
    """The addresses in the file. One that is damaged is as good as none: it is hearsay."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"the book of peers {path} cannot be read: {error.strerror or error}") from error
    try:
        found = json.loads(data)["peers"]
        return [text for text in found if isinstance(text, str)]
    except (ValueError, KeyError, TypeError):
        return []
