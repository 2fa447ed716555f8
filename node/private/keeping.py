"""Removing private parts that count no more: of a commit that never came, of an older version, of a retracted asset.

| what                                      | goes                                                               |
|-------------------------------------------|--------------------------------------------------------------------|
| a version whose commitment stands no more | when the dataset that lacks it is final                            |
| a version whose commit never came         | `ORPHAN_S` after it was staged, if no operation of its asset waits |
| the grants of an asset that was retracted | when the dataset that says so is final                             |
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from dkg.chain.ual import Ual
from dkg.errors import DkgError, InputError
from node.assets.provenance import about
from node.private.assets import committed_at
from node.serving import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dkg.pages import Pages
    from node.private.vault import PrivateVersion, Vault
    from node.serving import Service, Standing

ORPHAN_S: Final = 7 * 86_400
"""Seconds after which a version that never counted is given up."""

KEEP_S: Final = 60.0
"""Time between two looks, in seconds."""

_OPERATIONS: Final = 10_000


class Keeper:
    """See the module. `clock`: Unix seconds; `log` takes events: numbers alone, and no names."""

    def __init__(self, vault: Vault, service: Service, clock: Callable[[], float], log: Callable[..., object]) -> None:
        self._vault = vault
        self._service = service
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            try:
                await self.look()
            except DkgError as error:
                self._log("private_keeping_failed", error=type(error).__name__)
            await asyncio.sleep(KEEP_S)

    async def look(self) -> int:
        """Remove what can go; gives how many versions that was. Raises `StoreError` and what reading pages raises."""
        by_publisher: dict[bytes, dict[str, list[PrivateVersion]]] = {}
        for one in self._vault.versions():
            owner = Ual.parse(one.ual).publisher.address
            by_publisher.setdefault(owner, {}).setdefault(one.ual, []).append(one)
        gone = 0
        for publisher, assets in by_publisher.items():
            gone += await self._look_at(publisher, assets)
        if gone:
            self._log("private_removed", versions=gone)
        return gone

    async def _look_at(self, publisher: bytes, assets: dict[str, list[PrivateVersion]]) -> int:
        """Look at the private parts of one publisher."""
        try:
            standing: Standing | None = self._service.standing((publisher,))
        except InputError:  # it has committed nothing yet
            standing = None
        stand: dict[str, bytes | None] = {}
        retracted: set[str] = set()
        if standing is not None:
            root = standing.root
            with self._service.reading(root):
                stand, retracted = await self._service.read(lambda pages: _said(pages, root, assets))
        settled = standing is not None and standing.state is State.FINAL and not standing.behind
        waiting = self._waiting()
        gone = 0
        for ual, versions in assets.items():
            for one in versions:
                if stand.get(ual) == one.commitment:
                    self._vault.mark_seen(one.commitment)
                elif ual not in waiting and self._is_over(one, settled=settled):
                    self._vault.discard(one.commitment)
                    gone += 1
            if settled and ual in retracted and ual not in waiting:
                for grant in self._vault.grants():
                    if grant.whose == ual:
                        self._vault.revoke(grant.reader, ual)
        return gone

    def _is_over(self, one: PrivateVersion, *, settled: bool) -> bool:
        """Whether a version that does not stand now never will."""
        return settled if one.seen else one.staged < self._clock() - ORPHAN_S

    def _waiting(self) -> set[str]:
        """The assets of operations that are not finished."""
        found: set[str] = set()
        for one in self._service.operations(_OPERATIONS):
            if one.state not in {"final", "failed"}:
                found.add(str(json.loads(one.body or b"{}").get("asset")))
        return found


def _said(pages: Pages, root: bytes, uals: Iterable[str]) -> tuple[dict[str, bytes | None], set[str]]:
    """The commitments of assets in a public dataset, and which of them were retracted."""
    stand: dict[str, bytes | None] = {}
    retracted: set[str] = set()
    for name in uals:
        ual = Ual.parse(name)
        found = about(pages, root, ual)
        stand[name] = committed_at(pages, root, ual)
        if found is not None and found.retracted is not None:
            retracted.add(name)
    return stand, retracted
