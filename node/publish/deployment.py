"""The transactions of a deployment or of a call, in a home: on the disk before they are sent, and gone when it is done.

What was interrupted goes on with them. They count for the chain and the account that they were made for alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libipld

from dkg.errors import StoreError
from node.publish.jobs import attempt_of, attempt_row

if TYPE_CHECKING:
    from node.home import Home
    from node.publish.jobs import Attempt


DEPLOYMENT: Final = "deployment"
"""The file of a registry's deployment."""
CHECKPOINTS_DEPLOYMENT: Final = "checkpoints-deployment"
"""The file of its checkpoint contract's."""


class KeptAttempts:
    """See the module; `name`: of the file. The caller holds the home's lock."""

    def __init__(self, home: Home, name: str = DEPLOYMENT) -> None:
        self._home = home
        self._name = name
        self._chain_id = 0

    def load(self, chain_id: int, sender: bytes) -> list[Attempt]:
        """Those of a sender (20 bytes) on a chain, the oldest first. Raises `StoreError`."""
        self._chain_id = chain_id
        data = self._home.transactions(self._name)
        if not data:
            return []
        try:
            of, *rows = libipld.decode_dag_cbor(data)
            found = [attempt_of(row, refused=refused) for refused, *row in rows]
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self._home.path / self._name} is damaged: move it away, and what was under way (a registry, or "
                "another contract or call) is sent once more"
            ) from error
        return [one for one in found if of == chain_id and one.sender == sender]

    def save(self, attempts: list[Attempt]) -> None:
        """Keep them; on the disk when this returns. Raises `StoreError`."""
        rows = [[one.refused, *attempt_row(one)] for one in attempts]
        self._home.keep_transactions(self._name, libipld.encode_dag_cbor([self._chain_id, *rows]))

    def forget(self) -> None:
        """It is done: nothing is under way any more."""
        self._home.keep_transactions(self._name, b"")
