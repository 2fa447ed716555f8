"""Private parts of assets: read, published, taken back; and grants, which say who may read them.

What is published here is read by a worker that is replaced after it, kept in the vault, and only its commitment goes
on to the publisher. No operation, log or problem has a byte of it.
"""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from dkg.chain.secp import checksum
from dkg.chain.ual import Publisher, Ual
from dkg.errors import DkgError, InputError
from dkg.private import commitment_iri, private_graph
from node.http.accept import GRAPHS
from node.http.asset_routes import ONE, Authority, Name, Owner
from node.http.body import body_of, media_type_of
from node.http.context import exchange_of
from node.http.documented import BINARY, GRAPH_ANSWER, LOCATION, TEXT
from node.http.moments import Moment, parse_address, time_text, wrong
from node.http.node_routes import ITEMS, HexAddress, Limit, following
from node.http.operation_routes import RDF_TYPES, Key, accepted, ticket_of
from node.http.problems import Code, Problem
from node.http.protocol import Asked, PrivateAsked
from node.http.readers import UNSHARED, discreet, private_side
from node.http.shapes import GrantShape, Listed
from node.http.tokens import Scope
from node.private.assets import committed_at
from node.private.packed import private_dataset, private_quads
from node.workers.jobs import Parse

if TYPE_CHECKING:
    from node.http.context import Context
    from node.http.sparql import Sparql
    from node.private.packed import PrivateDataset
    from node.private.vault import Grant, PrivateVersion
    from node.serving import Ticket
    from node.storage import Operation

PRIVATE: Final = f"{ONE}/private"

DOCUMENT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Longest document with a private part, in bytes."""

Whose = Annotated[str | None, Query(description="The UAL of the asset that may be read.", min_length=1, max_length=400)]
Whom = Annotated[HexAddress, Query(description="The address that may read.")]
OfAll = Annotated[HexAddress | None, Query(description="Instead of `asset`: all private parts of this publisher.")]


class PrivateRoutes:
    """The routes."""

    def __init__(self, context: Context, sparql: Sparql) -> None:
        self._context = context
        self._sparql = sparql

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["private"])
        add = router.add_api_route
        proofs = {"application/vnd.ipld.car": BINARY, "application/vnd.ipld.car+zstd": BINARY}
        content = {**GRAPH_ANSWER["content"], **{one.media_type: TEXT for one in GRAPHS}, **proofs}
        shown: dict[int | str, dict[str, Any]] = {200: {"description": "The private part, as RDF.", "content": content}}
        secured: dict[str, Any] = {"security": [{"token": []}]}
        add(
            PRIVATE,
            self.content,
            methods=["GET"],
            operation_id="private_part",
            response_class=Response,
            responses=shown,
            openapi_extra=secured,
        )
        shape = {"application/json": {"schema": {"$ref": "#/components/schemas/OperationShape"}}}
        done: dict[int | str, dict[str, Any]] = {
            200: {"description": "It was asked for before, and is done.", "content": shape, "headers": LOCATION},
            202: {"description": "It will be done.", "content": shape, "headers": LOCATION},
        }
        publish = {"security": [{"token": [Scope.PUBLISH.value]}]}
        body = {"requestBody": {"required": True, "content": dict.fromkeys(RDF_TYPES, BINARY)}}
        for method, route, name, extra in (
            ("PUT", self.publish, "publish_private_part", {**publish, **body}),
            ("DELETE", self.remove, "remove_private_part", publish),
        ):
            add(
                PRIVATE,
                route,
                methods=[method],
                operation_id=name,
                status_code=202,
                response_class=Response,
                responses=done,
                openapi_extra=extra,
            )
        grant = {"security": [{"token": [Scope.GRANT.value]}]}
        add("/v1/grants", self.grants, methods=["GET"], operation_id="grants", openapi_extra=grant)
        add("/v1/grants", self.grant, methods=["PUT"], operation_id="grant", openapi_extra=grant)
        add("/v1/grants", self.revoke, methods=["DELETE"], operation_id="revoke", openapi_extra=grant)
        return router

    # --- private parts ---------------------------------------------------------------------------------------------

    async def content(self, request: Request, authority: Authority, publisher: Owner, name: Name) -> Response:
        """The private part of an asset, for those who may read it; or the proof of it, with what opens its commitment.

        For all others, and where there is none, it is 404.
        """
        ual = _ual(f"{authority}/{publisher}/{name}")
        graph = private_graph(ual).decode()
        text = f"CONSTRUCT {{ ?s ?p ?o }} WHERE {{ GRAPH {graph} {{ ?s ?p ?o }} }}"
        asked = Asked(text, Moment((ual.publisher.address,)), private=PrivateAsked((ual,), alone=True))
        return await self._sparql.answer(request, asked, {"DKG-Query": text})

    async def publish(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        idempotency_key: Key = None,
    ) -> Response:
        """Publish an RDF document as the private part of an asset of this node's own publisher.

        The asset's public content stays, or there is none.
        """
        context = self._context
        token = context.authorize(request, Scope.PUBLISH)
        vault, ual = private_side(context).assets.vault, self._own(authority, publisher, name)
        media_type = media_type_of(request)
        if media_type not in RDF_TYPES:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"send RDF as one of {', '.join(RDF_TYPES)}")
        most = min(DOCUMENT_BYTES_MAX, context.settings.document_bytes)
        async with body_of(request, context.uploads, context.settings, most) as data:
            # The digest is shown with no operation, but it is kept: so nobody may check a guess against it.
            digest = vault.keyed(b"\0".join([b"private", str(ual).encode(), media_type.encode(), data])).hex()
            ticket = ticket_of(context, token, idempotency_key, digest)
            known = context.service.operation(ticket.id)
            if known is not None:
                ticket.require(known)
                return accepted(known)
            with discreet(context, request):
                dataset = await self._parsed(request, ual, data, RDF_TYPES[media_type])
                return accepted(await self._published(ticket, ual, dataset))

    async def _parsed(self, request: Request, ual: Ual, data: bytes, form: str) -> PrivateDataset:
        graph = private_graph(ual)[1:-1].decode()
        job = Parse(data=data, format=form, graph=graph, private=True)
        parsed = await self._context.runner.run(job, client=exchange_of(request).client)
        return await asyncio.to_thread(lambda: private_dataset(ual, private_quads(ual, parsed.body)))

    async def _published(self, ticket: Ticket, ual: Ual, dataset: PrivateDataset) -> Operation:
        """Keep it, and let its commitment be published: in this order, so that no commitment lacks what it is of."""
        vault, service = private_side(self._context).assets.vault, self._context.service
        same = await self._same(ual, dataset)
        if same is not None:  # then nothing changes, and its commitment says so
            return await service.commit_private(ticket, str(ual), commitment_iri(same.commitment))
        version = await asyncio.to_thread(lambda: vault.stage(ual, dataset))
        try:
            return await service.commit_private(ticket, str(ual), commitment_iri(version.commitment))
        except DkgError:
            vault.discard(version.commitment)
            raise

    async def _same(self, ual: Ual, dataset: PrivateDataset) -> PrivateVersion | None:
        """The version that stands now, if it has the same quads."""
        vault, service = private_side(self._context).assets.vault, self._context.service
        try:
            standing = service.standing((ual.publisher.address,))
        except InputError:  # it has committed nothing yet
            return None
        with service.reading(standing.root):
            committed = await service.read(lambda pages: committed_at(pages, standing.root, ual))
        found = None if committed is None else vault.version(committed)
        return found if found is not None and (found.ual, found.root) == (str(ual), dataset.root) else None

    async def remove(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        idempotency_key: Key = None,
    ) -> Response:
        """Take the private part of an asset of this node's own publisher back; its public content stays."""
        context = self._context
        token = context.authorize(request, Scope.PUBLISH)
        vault, ual = private_side(context).assets.vault, self._own(authority, publisher, name)
        ticket = ticket_of(context, token, idempotency_key, vault.keyed(f"no private\0{ual}".encode()).hex())
        return accepted(await context.service.commit_private(ticket, str(ual), None))

    def _own(self, authority: str, publisher: str, name: str) -> Ual:
        ual, domain = _ual(f"{authority}/{publisher}/{name}"), self._context.service.domain
        if (ual.publisher.chain_id, ual.publisher.registry) != (domain.chain_id, domain.registry):
            raise Problem(Code.ASSET_UNKNOWN, f"{ual} is of another chain or registry than this node")
        return ual

    # --- grants ----------------------------------------------------------------------------------------------------

    async def grants(
        self,
        request: Request,
        response: Response,
        after: Annotated[str | None, Query(description="`whose reader` of a grant: list those after it.")] = None,
        limit: Limit = ITEMS,
    ) -> Listed[GrantShape]:
        """Who may read which private parts."""
        self._context.authorize(request, Scope.GRANT)
        found = private_side(self._context).assets.vault.grants()
        left = [one for one in found if after is None or _key(one) > after]
        response.headers.update(UNSHARED)
        items = [GrantShape(whose=one.whose, reader=checksum(one.reader), since=time_text(one.at)) for one in left]
        more = following(request, "after", _key(left[limit - 1])) if len(left) > limit else None
        return Listed(items=items[:limit], next=more)

    async def grant(
        self, request: Request, response: Response, reader: Whom, asset: Whose = None, publisher: OfAll = None
    ) -> GrantShape:
        """Let an address read the private part of an asset, or all those of a publisher. It may be granted before."""
        self._context.authorize(request, Scope.GRANT)
        whose = self._whose(asset, publisher)
        made = private_side(self._context).assets.vault.grant(parse_address("reader", reader), whose)
        response.headers.update(UNSHARED)
        return GrantShape(whose=made.whose, reader=checksum(made.reader), since=time_text(made.at))

    async def revoke(
        self, request: Request, response: Response, reader: Whom, asset: Whose = None, publisher: OfAll = None
    ) -> dict[str, bool]:
        """Let an address read it no more, from the next request on. `revoked`: whether there was such a grant."""
        self._context.authorize(request, Scope.GRANT)
        whose = self._whose(asset, publisher)
        gone = private_side(self._context).assets.vault.revoke(parse_address("reader", reader), whose)
        response.headers.update(UNSHARED)
        return {"revoked": gone}

    def _whose(self, asset: str | None, publisher: str | None) -> str:
        """What a grant is of, as the vault has it. Raises `Problem`."""
        if (asset is None) == (publisher is None):
            raise wrong("asset", "name an asset, or a publisher for all of its private parts: one of the two")
        domain = self._context.service.domain
        if publisher is not None:
            return Publisher(domain.chain_id, domain.registry, parse_address("publisher", publisher)).prefix
        ual = _ual(asset or "")
        if (ual.publisher.chain_id, ual.publisher.registry) != (domain.chain_id, domain.registry):
            raise wrong("asset", "it is of another chain or registry than this node")
        return str(ual)


def _key(one: Grant) -> str:
    return f"{one.whose} 0x{one.reader.hex()}"


def _ual(text: str) -> Ual:
    try:
        return Ual.parse(text)
    except InputError as error:
        raise wrong("asset", str(error)) from error
