"""The transactions of a registry's deployment, in a home: on the disk before they are sent, and gone when it is known.

An interrupted deployment goes on with them. They count for the chain and the account that they were made for alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libipld

from dkg.errors import StoreError
from node.publish.jobs import attempt_of, attempt_row

if TYPE_CHECKING:
    from node.home import Home
    from node.publish.jobs import Attempt


class KeptAttempts:
    """See the module. The caller holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._chain_id = 0

    def load(self, chain_id: int, sender: bytes) -> list[Attempt]:
        """Those of a sender (20 bytes) on a chain, the oldest first. Raises `StoreError`."""
        self._chain_id = chain_id
        data = self._home.deployment()
        if not data:
            return []
        try:
            of, *rows = libipld.decode_dag_cbor(data)
            found = [attempt_of(row, refused=refused) for refused, *row in rows]
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self._home.path / 'deployment'} is damaged: move it away, and a registry that was under way is "
                "deployed once more"
            ) from error
        return [one for one in found if of == chain_id and one.sender == sender]

    def save(self, attempts: list[Attempt]) -> None:
        """Keep them; on the disk when this returns. Raises `StoreError`."""
        rows = [[one.refused, *attempt_row(one)] for one in attempts]
        self._home.keep_deployment(libipld.encode_dag_cbor([self._chain_id, *rows]))

    def forget(self) -> None:
        """The home knows its registry: nothing is under way any more."""
        self._home.keep_deployment(b"")
