"""`/v1/` about the node: the dataset that it answers from, graphs, publishers, commits, peers, status."""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from dkg.page import DatasetRoot, decode
from node.http.conditional import REVALIDATE
from node.http.documented import AT_PATTERN, AT_TEXT, PUBLISHER_TEXT, STATE_HEADERS
from node.http.listing import graphs_after
from node.http.moments import Moment, parse_address, standing_for, state_headers
from node.http.problems import Code, Problem
from node.http.protocol import graph_name
from node.http.shapes import Commit, Dataset, Graph, Listed, PeerShape, PublisherShape
from node.http.tokens import Scope

if TYPE_CHECKING:
    from node.http.context import Context
    from node.serving import Standing

ITEMS_MAX: Final = 1_000
"""Most items of a part of a list."""

ITEMS: Final = 100
"""Items of a part of a list, if nothing is said."""

Limit = Annotated[int, Query(ge=1, le=ITEMS_MAX, description="Most items.")]
HexAddress = Annotated[str, StringConstraints(pattern="^0x[0-9a-fA-F]{40}$")]
Publishers = Annotated[list[HexAddress], Query(description=PUBLISHER_TEXT, max_length=100)]
At = Annotated[str | None, Query(description=AT_TEXT, pattern=AT_PATTERN)]
Address = Annotated[HexAddress | None, Query(description="The address of a publisher.")]


class NodeRoutes:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1", tags=["node"])
        stated: Any = {200: {"headers": STATE_HEADERS}}
        add = router.add_api_route
        add("/dataset", self.dataset, methods=["GET"], operation_id="dataset", responses=stated)
        add("/graphs", self.graphs, methods=["GET"], operation_id="graphs", responses=stated)
        add("/publishers", self.publishers, methods=["GET"], operation_id="publishers")
        add("/publishers/{address}", self.publisher, methods=["GET"], operation_id="publisher")
        add("/commits", self.commits, methods=["GET"], operation_id="commits")
        add("/commits/{position}", self.commit, methods=["GET"], operation_id="commit")
        add("/peers", self.peers, methods=["GET"], operation_id="peers")
        add("/status", self.status, methods=["GET"], operation_id="status")
        return router

    # --- datasets ----------------------------------------------------------------------------------------------

    async def dataset(self, response: Response, publisher: Publishers = [], at: At = None) -> Dataset:  # noqa: B006
        """The dataset that answers come from: of some publishers, or of all that are followed."""
        context = self._context
        standing = self._standing(response, Moment.of(publisher, at))
        return Dataset.of(standing, quads_of(context, standing), context.service.domain, context.clock())

    async def graphs(
        self,
        request: Request,
        response: Response,
        publisher: Publishers = [],  # noqa: B006 - FastAPI copies it
        at: At = None,
        after: Annotated[str | None, Query(description="The IRI of a graph: list those after it.")] = None,
        limit: Limit = ITEMS,
    ) -> Listed[Graph]:
        """The named graphs of a dataset, by name, and how many quads each has."""
        standing = self._standing(response, Moment.of(publisher, at))
        low = b"" if after is None else graph_name("after", after)
        with self._context.service.reading(standing.root):
            found = await self._context.read(
                lambda pages: list(islice(graphs_after(pages, standing.root, low), limit + 1))
            )
        items = [Graph(graph=one.graph[1:-1].decode(), quads=one.quads) for one in found[:limit]]
        return Listed(items=items, next=following(request, "after", items[-1].graph) if len(found) > limit else None)

    def _standing(self, response: Response, moment: Moment) -> Standing:
        standing = standing_for(self._context.service, moment, self._context.clock)
        response.headers.update(state_headers(standing, self._context.clock()))
        response.headers["Cache-Control"] = REVALIDATE
        return standing

    # --- publishers and commits --------------------------------------------------------------------------------

    async def publishers(
        self,
        request: Request,
        after: Address = None,
        limit: Limit = ITEMS,
    ) -> Listed[PublisherShape]:
        """The publishers that the chain knows or this node follows, by address."""
        service = self._context.service
        low = b"" if after is None else parse_address("after", after)
        found = service.publishers(after=low, most=limit + 1)
        items = [PublisherShape.of(one, service.domain) for one in found[:limit]]
        return Listed(items=items, next=following(request, "after", items[-1].address) if len(found) > limit else None)

    async def publisher(
        self, address: Annotated[HexAddress, Path(description="The publisher's address.")]
    ) -> PublisherShape:
        """A publisher."""
        service = self._context.service
        found = service.publisher(parse_address("address", address))
        if found is None:
            raise Problem(Code.PUBLISHER_UNKNOWN, f"neither the chain nor this node knows {address}")
        return PublisherShape.of(found, service.domain)

    async def commits(
        self,
        request: Request,
        publisher: Address = None,
        before: Annotated[
            int | None, Query(ge=0, le=2**48, description="A position of the log: list those below.")
        ] = None,
        limit: Limit = ITEMS,
    ) -> Listed[Commit]:
        """The commits of the registry's log, the newest first."""
        address = None if publisher is None else parse_address("publisher", publisher)
        found = self._context.service.commits(address, before=before, most=limit + 1)
        items = [Commit.of(one) for one in found[:limit]]
        return Listed(
            items=items, next=following(request, "before", items[-1].position) if len(found) > limit else None
        )

    async def commit(
        self, position: Annotated[int, Path(ge=0, lt=2**48, description="Its place in the log, from 0.")]
    ) -> Commit:
        """The commit at a position of the log."""
        found = self._context.service.commits(None, before=position + 1, most=1)
        if not found or found[0].position != position:
            raise Problem(Code.COMMIT_UNKNOWN, f"the log has no commit at position {position}")
        return Commit.of(found[0])

    # --- the node ----------------------------------------------------------------------------------------------

    async def peers(
        self,
        request: Request,
        after: Annotated[
            str | None, Query(max_length=200, description="The id of a peer: list those after it.")
        ] = None,
        limit: Limit = ITEMS,
    ) -> Listed[PeerShape]:
        """The peers that this node is connected with, by id. Their addresses are for tokens with the scope admin."""
        shown = self._context.shown(request)
        admin = shown is not None and Scope.ADMIN in shown.scopes
        peers = sorted(self._context.service.peers(), key=lambda peer: peer.id)
        found = [peer for peer in peers if after is None or peer.id > after][: limit + 1]
        items = [PeerShape.of(peer, admin=admin) for peer in found[:limit]]
        return Listed(items=items, next=following(request, "after", items[-1].id) if len(found) > limit else None)

    async def status(self) -> dict[str, Any]:
        """What the node says of itself, for people and monitors."""
        return self._context.service.status()


def following(request: Request, name: str, last: object) -> str:
    """Where the next part of a list is. `name`: the parameter that says after what it begins."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != name]
    return f"{request.url.path}?{urlencode([*kept, (name, last)])}"


def quads_of(context: Context, standing: Standing) -> int:
    """How many quads a dataset has."""
    raw = context.service.page(standing.root)
    page = None if raw is None else decode(standing.root, raw)
    return page.count if isinstance(page, DatasetRoot) else 0
