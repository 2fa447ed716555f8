"""What this node knows, for `/v1/retrieve`: the datasets of the publishers that it holds, as `retrieval` reads them.

Only what the chain anchors and is public comes in: for each publisher its newest commit whose pages are here, unless
the publisher has revoked its key. Pages are read from a store of its own, by threads of its own, and the index is made
in one of these: nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from dkg.chain.ual import Publisher
from dkg.client.store import SqliteStore
from dkg.errors import InputError, StoreError
from dkg.pages import StoredPages
from retrieval.model import Claim, Snapshot
from retrieval.opening import PolicyFile, embedder_of, following
from retrieval.policy import Policy
from retrieval.service import Knowledge, Waits
from retrieval.sources import Excluded

if TYPE_CHECKING:
    from pathlib import Path

    from dkg.page import Page
    from node.serving import PublisherStatus, Service
    from retrieval.llm.model import Model
    from retrieval.opening import Told

PUBLISHERS_MAX: Final = 1_000
"""Most publishers whose datasets are read: those with the lowest addresses."""

CACHED_PAGES: Final = 5_000

WAITS: Final = Waits(turn_s=10.0, index_s=2.0, model_s=45.0)
"""Less in all than a request may take (`HttpSettings.request_seconds`)."""

HEADS_S: Final = 10.0
"""How long the node may take to say what it has, in seconds."""

DIRECTORY: Final = "retrieval"
"""In a node's directory: the index, which can be removed at any time."""


class EndingPages(StoredPages):
    """Pages until the node stops: an index that is being made is given up then."""

    ended = False

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        if self.ended:
            raise StoreError("the node stops")
        return super().page(cid)


class NodeKnowledge:
    """See the module. Made and closed in a thread, while the node's event loop, which is asked, goes on.

    `knowledge` has what is asked.
    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        directory: Path,
        *,
        policy: str = "",
        model: str = "",
        embedder: str = "auto",
        index: Path | None = None,
        told: Told | None = None,
    ) -> None:
        """`loop`: where the service may be asked. `directory`: of the node's store. `index`: where the index is kept.

        `policy`, `model`: as the settings say; empty: none. `told`: is told why the index does not follow.

        Raises `InputError` and `StoreError` for what is no good.
        """
        self._service = service
        self._loop = loop
        with ExitStack() as stack:
            store = stack.enter_context(SqliteStore(directory, read_only=True))
            self._pages = EndingPages(store, CACHED_PAGES)
            self.knowledge = stack.enter_context(
                Knowledge(
                    self._heads,
                    embedder=embedder_of(embedder),
                    policy=PolicyFile(policy) if policy else Policy,
                    model=_model(model, stack),
                    directory=index,
                    follows=True,
                    waits=WAITS,
                )
            )
            stack.enter_context(following(self.knowledge, told=told))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop, and close what was opened."""
        self._pages.ended = True
        self._stack.close()

    def _heads(self) -> tuple[list[Snapshot], list[Excluded]]:
        """What the node has now; in any thread but that of the event loop."""
        asked = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            return asked.result(HEADS_S)
        except (FutureTimeoutError, CancelledError) as error:
            asked.cancel()
            raise StoreError("the node does not say what it has: it is busy, or it stops") from error

    async def _look(self) -> tuple[list[Snapshot], list[Excluded]]:
        if self._pages.ended:
            raise StoreError("the node stops")
        snapshots: list[Snapshot] = []
        found = self._service.publishers(after=b"", most=PUBLISHERS_MAX + 1, followed=True)
        excluded = [
            Excluded(self._publisher(one).did, f"the node reads {PUBLISHERS_MAX} publishers at most")
            for one in found[PUBLISHERS_MAX:]
        ]
        for one in found[:PUBLISHERS_MAX]:
            if not one.followed or one.latest is None:
                continue
            try:
                snapshots.append(self._snapshot(one))
            except InputError as error:  # it has nothing that may be read
                excluded.append(Excluded(self._publisher(one).did, str(error)))
        return snapshots, excluded

    def _publisher(self, status: PublisherStatus) -> Publisher:
        domain = self._service.domain
        return Publisher(domain.chain_id, domain.registry, status.address)

    def _snapshot(self, status: PublisherStatus) -> Snapshot:
        """The newest dataset of a publisher that is here. Raises `InputError` if there is none to read."""
        if status.signer is None:
            raise InputError("it has retired" if status.retired else "its key is revoked")
        standing = self._service.standing((status.address,))
        publisher = self._publisher(status)
        is_latest = not standing.behind
        return Snapshot(
            publisher=publisher.did,
            root=standing.root,
            pages=self._pages,
            claim=Claim.COMPLETE_FOR_PUBLISHER if is_latest else Claim.AUTHENTIC,
            state=str(standing.state),
            sequence=standing.seq,
            block=standing.block if is_latest else None,
            time=standing.block_time if is_latest else None,
            committed=status.held.time if status.held is not None else None,
            only=b"<" + publisher.prefix.encode(),
        )


def _model(name: str, stack: ExitStack) -> Model | None:
    if not name:
        return None
    from retrieval.llm import open_model  # noqa: PLC0415 - few nodes have one

    model = open_model(name, remote=True)  # whoever sets up a node says where its model is
    stack.callback(model.close)
    return model
