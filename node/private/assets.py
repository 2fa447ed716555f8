"""`PrivateAssets`: which version of which private part a caller may read, as of a public root.

Deny by default. An asset that a caller may not read is looked for nowhere: the answer is the same, and comes by the
same way, as for one that does not exist. For one that it may read, the version is the one whose commitment stands in
the provenance of the asset in the public dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError
from dkg.private import CommitmentError, commitment_of_iri
from node.assets.provenance import about
from node.private.audience import Audiences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.chain.ual import Ual
    from dkg.pages import Pages
    from node.private.packed import PrivateDataset
    from node.private.vault import PrivateVersion, Vault

READ_AT_ONCE_MAX: Final = 64
"""Most private assets that one query reads."""


@dataclass(frozen=True, slots=True, repr=False)
class Readable:
    """The private part of an asset, for a caller who may read it."""

    ual: Ual
    version: PrivateVersion
    dataset: PrivateDataset


class PrivateAssets:
    """The private assets of a node. Used in any thread."""

    def __init__(self, vault: Vault) -> None:
        """The vault stays the caller's."""
        self.vault = vault
        self.audiences = Audiences()

    def named(self, pages: Pages, root: bytes, reader: bytes, uals: Sequence[Ual]) -> list[Readable] | None:
        """The private parts of some assets; None if one of them is not there for this caller. Raises `StoreError`."""
        require_few(len(uals))
        if not all(self.vault.may_read(reader, ual) for ual in uals):
            return None
        found = [self._at(pages, root, ual) for ual in uals]
        there = [one for one in found if one is not None]
        return there if len(there) == len(found) else None

    def all(self, pages: Pages, root: bytes, reader: bytes) -> list[Readable]:
        """The private parts of all assets that this caller may read."""
        uals = self.vault.readable(reader)
        require_few(len(uals))
        found = [self._at(pages, root, ual) for ual in uals]
        return [one for one in found if one is not None]

    def still(self, reader: bytes, found: Sequence[Readable]) -> bool:
        """Whether the caller may still read all of these."""
        return all(self.vault.may_read(reader, one.ual) for one in found)

    def _at(self, pages: Pages, root: bytes, ual: Ual) -> Readable | None:
        committed = committed_at(pages, root, ual)
        version = None if committed is None else self.vault.version(committed)
        if version is None or version.ual != str(ual):
            return None
        return Readable(ual, version, self.vault.load(version))


def committed_at(pages: Pages, root: bytes, ual: Ual) -> bytes | None:
    """The commitment of an asset in a public dataset; None if there is none that is one."""
    found = about(pages, root, ual)
    try:
        return None if found is None or found.private is None else commitment_of_iri(found.private)
    except CommitmentError:
        return None


def require_few(count: int) -> None:
    """Raise `LimitError` for too many private assets at once."""
    if count > READ_AT_ONCE_MAX:
        raise LimitError(
            f"{count} private parts are asked at once; {READ_AT_ONCE_MAX} is the most (READ_AT_ONCE_MAX): name fewer"
        )
