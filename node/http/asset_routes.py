"""`/v1/assets`: what assets are there, what is in them, what is said about them, and how they came to be so.

An asset's address ends with its UAL, whose two slashes make three parts of the path.
"""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from dkg.chain.ual import Ual
from dkg.errors import InputError
from node.assets.provenance import about as read_about
from node.http.accept import GRAPHS, best_of, negotiate, parse_accept
from node.http.conditional import REVALIDATE
from node.http.documented import BINARY, GRAPH_ANSWER, STATE_HEADERS, TEXT
from node.http.listing import assets_after
from node.http.moments import Moment, parse_at, standing_for, state_headers, wrong
from node.http.node_routes import ITEMS, At, Limit, Publishers, following
from node.http.problems import Code, Problem
from node.http.protocol import Asked
from node.http.shapes import About, Asset, Diff, History, Listed
from node.http.versions import VERSIONS, VERSIONS_MAX, difference, versions

if TYPE_CHECKING:
    from node.assets.provenance import About as KnownAbout
    from node.http.context import Context
    from node.http.sparql import Sparql
    from node.serving import Standing

ONE: Final = "/v1/assets/{authority}/{publisher}/{name}"

_REGISTRY: Final = "did:dkg:eip155:31337:0x5fbdb2315678afecb367f032d93f642f64180aa3"
_ADDRESS: Final = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"

_AUTHORITY: Final = "^did:dkg:eip155:[1-9][0-9]{0,15}:0x[0-9a-f]{40}$"
_NAME: Final = "^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$"

Authority = Annotated[
    str, Path(description="did:dkg:eip155:<chain id>:<registry>", pattern=_AUTHORITY, examples=[_REGISTRY])
]
Owner = Annotated[str, Path(description="The publisher's address.", pattern="^0x[0-9a-f]{40}$", examples=[_ADDRESS])]
Name = Annotated[str, Path(description="The asset's name.", pattern=_NAME, examples=["air"])]
Seq = Annotated[int, Query(ge=1, lt=2**48, description="The number of a commit of the publisher.")]
Before = Annotated[int | None, Query(ge=0, le=2**48, description="A position of the log: look at commits below.")]


class AssetRoutes:
    """The routes."""

    def __init__(self, context: Context, sparql: Sparql) -> None:
        self._context = context
        self._sparql = sparql

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["assets"])
        add = router.add_api_route
        stated: dict[int | str, dict[str, Any]] = {200: {"headers": STATE_HEADERS}}
        add("/v1/assets", self.list, methods=["GET"], operation_id="assets", responses=stated)
        for path, route, name, more in (
            (ONE, self.content, "asset", {}),
            (f"{ONE}/provenance", self.provenance, "asset_provenance", {"application/json": TEXT}),
        ):
            proofs = {"application/vnd.ipld.car": BINARY, "application/vnd.ipld.car+zstd": BINARY}
            answer = {**GRAPH_ANSWER, "content": {**GRAPH_ANSWER["content"], **more, **proofs}}
            answers: dict[int | str, dict[str, Any]] = {200: answer, 304: {"description": "The client has it already."}}
            add(path, route, methods=["GET"], operation_id=name, response_class=Response, responses=answers)
        add(f"{ONE}/history", self.history, methods=["GET"], operation_id="asset_history")
        add(f"{ONE}/diff", self.diff, methods=["GET"], operation_id="asset_diff")
        return router

    async def list(
        self,
        request: Request,
        response: Response,
        publisher: Publishers = [],  # noqa: B006 - FastAPI copies it
        at: At = None,
        after: Annotated[str | None, Query(description="A UAL: list the assets after it.")] = None,
        limit: Limit = ITEMS,
    ) -> Listed[Asset]:
        """The assets of a dataset, by UAL; also those that were retracted."""
        context, low = self._context, None if after is None else _ual("after", after)
        standing = standing_for(context.service, Moment.of(publisher, at), context.clock)
        with context.service.reading(standing.root):
            found = await context.read(lambda pages: list(islice(assets_after(pages, standing.root, low), limit + 1)))
        response.headers.update(state_headers(standing, context.clock()))
        response.headers["Cache-Control"] = REVALIDATE
        items = [Asset.of(ual, quads) for ual, quads in found[:limit]]
        return Listed(items=items, next=following(request, "after", items[-1].ual) if len(found) > limit else None)

    async def content(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        at: At = None,
    ) -> Response:
        """The content of an asset, as RDF; or the proof that it is so, also that there is no such asset.

        `DKG-Query` has the query whose answer or proof it is.
        """
        ual = self._ual(authority, publisher, name)
        asked = _all_of(ual.graph, ual, at)
        return await self._sparql.answer(request, asked, {"DKG-Query": asked.text}, partial(self._missing, ual=ual))

    async def provenance(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        at: At = None,
    ) -> Response:
        """What the publisher says about an asset: as RDF, as its proof, or as JSON with what is understood of it."""
        ual = self._ual(authority, publisher, name)
        asked = _all_of(ual.provenance_graph, ual, at)
        if not _prefers_json(request):
            return await self._sparql.answer(request, asked, {"DKG-Query": asked.text}, partial(self._unsaid, ual=ual))
        context = self._context
        standing = standing_for(context.service, asked.moment, context.clock)
        about = await self._about(standing, ual)
        if about is None:
            raise _unknown(ual)
        headers = {**state_headers(standing, context.clock()), "Cache-Control": REVALIDATE, "Vary": "Accept"}
        return Response(About.of(about).model_dump_json(), media_type="application/json", headers=headers)

    async def history(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        before: Before = None,
        limit: Annotated[int, Query(ge=1, le=VERSIONS_MAX, description="Most commits that are looked at.")] = VERSIONS,
    ) -> History:
        """What the publisher's commits did to an asset, the newest first; those that did nothing are left out."""
        ual = self._ual(authority, publisher, name)
        found, kept, last = await versions(self._context, ual, before=before, most=limit)
        return History(items=found, next=None if last is None else following(request, "before", last), kept=kept)

    async def diff(
        self,
        authority: Authority,
        publisher: Owner,
        name: Name,
        from_seq: Seq,
        to_seq: Seq,
    ) -> Diff:
        """What changed in the content of an asset from one commit to another."""
        return await difference(self._context, self._ual(authority, publisher, name), from_seq, to_seq)

    # --- below -------------------------------------------------------------------------------------------------

    def _ual(self, authority: str, publisher: str, name: str) -> Ual:
        ual, domain = _ual("the asset", f"{authority}/{publisher}/{name}"), self._context.service.domain
        if (ual.publisher.chain_id, ual.publisher.registry) != (domain.chain_id, domain.registry):
            raise Problem(Code.ASSET_UNKNOWN, f"{ual} is of another chain or registry than this node")
        return ual

    async def _about(self, standing: Standing, ual: Ual) -> KnownAbout | None:
        with self._context.service.reading(standing.root):
            return await self._context.read(lambda pages: read_about(pages, standing.root, ual))

    async def _missing(self, standing: Standing, *, ual: Ual) -> None:
        """There is no content."""
        about = await self._about(standing, ual)
        if about is None:
            raise _unknown(ual)
        if about.retracted is not None:
            reason = "" if about.reason is None else f", because: {about.reason}"
            raise Problem(Code.ASSET_RETRACTED, f"the asset {ual.name!r} was retracted at {about.retracted}{reason}")

    async def _unsaid(self, standing: Standing, *, ual: Ual) -> None:
        """Nothing is said."""
        if await self._about(standing, ual) is None:
            raise _unknown(ual)


def _all_of(graph: bytes, ual: Ual, at: str | None) -> Asked:
    """The query for all triples of a graph of an asset, of its publisher alone."""
    moment = Moment((ual.publisher.address,)) if at is None else Moment((ual.publisher.address,), parse_at(at))
    return Asked(f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH {graph.decode()} {{ ?s ?p ?o }} }}", moment)


def _prefers_json(request: Request) -> bool:
    """Whether plain JSON is wanted more than any kind of RDF, or a proof."""
    header = request.headers.get("accept", "")
    wanted = negotiate(header)
    found = best_of(parse_accept(header), GRAPHS)
    return (
        wanted is not None and wanted.proof is None and found is not None and found[0].media_type == "application/json"
    )


def _ual(name: str, text: str) -> Ual:
    try:
        return Ual.parse(text)
    except InputError as error:
        raise wrong(name, str(error)) from error


def _unknown(ual: Ual) -> Problem:
    return Problem(Code.ASSET_UNKNOWN, f"{ual.publisher.did} has no asset {ual.name!r} at that moment")
