"""`/v1/` for those who publish: commits with their pages, assets of this node's own publisher, and how it went.

What is asked for takes until the chain has it. So the answer is 202 and the place of an *operation*, which can be asked
again and again. A request with the same `Idempotency-Key` as one before is that request, and is done once.
"""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

import binascii
from base64 import b32encode, urlsafe_b64decode
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dkg.chain.commit import SIGNED_COMMIT_BYTES_MAX, SignedCommit
from dkg.errors import ProofError
from node.http.asset_routes import ONE, Authority, Name, Owner
from node.http.body import body_of, media_type_of
from node.http.documented import BINARY, LOCATION
from node.http.moments import wrong
from node.http.node_routes import ITEMS, ITEMS_MAX, following
from node.http.problems import Code, Problem
from node.http.shapes import Listed, OperationShape
from node.http.tokens import Scope
from node.serving import Said, Ticket

if TYPE_CHECKING:
    from node.http.context import Context
    from node.http.tokens import Token
    from node.storage import Operation

CAR: Final = "application/vnd.ipld.car"

RDF_TYPES: Final = {
    "text/turtle": "ttl",
    "application/n-triples": "nt",
    "application/n-quads": "nq",
    "application/trig": "trig",
    "application/ld+json": "jsonld",
    "application/rdf+xml": "xml",
    "text/n3": "n3",
}
"""Types of documents that can be published, and their names in `dkg.rdf.FORMATS`."""

POLL_SECONDS: Final = 1
"""How long to wait until asking again how an operation goes, in seconds."""

PLACE_PATTERN: Final = r"^[0-9]{1,12}-[A-Za-z0-9-]{1,64}$"
PLACE_TEXT: Final = "A place in the list, as `next` names it: what comes after it."

_KEY: Final = r"^[\x21-\x7e]{1,128}$"
_SECURITY: Final[dict[str, Any]] = {"security": [{"token": [Scope.PUBLISH.value]}]}
_ID_BYTES: Final = 16

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", pattern=_KEY, description="Says that requests with it are the same one."),
]
Id = Annotated[str, Path(description="The operation's id.", pattern="^[A-Za-z0-9-]{1,64}$")]
Texts = Annotated[list[str] | None, Query(max_length=100)]


class OperationRoutes:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["publish"])
        shape = {"application/json": {"schema": {"$ref": "#/components/schemas/OperationShape"}}}
        done: dict[int | str, dict[str, Any]] = {
            200: {"description": "It was asked for before, and is done.", "content": shape, "headers": LOCATION},
            202: {"description": "It will be done.", "content": shape, "headers": LOCATION},
        }
        for path, route, method, name, body in (
            ("/v1/commits", self.commit, "POST", "publish_commit", {CAR: BINARY}),
            ("/v1/assets", self.publish, "POST", "publish_asset", dict.fromkeys(RDF_TYPES, BINARY)),
            (ONE, self.retract, "DELETE", "retract_asset", None),
        ):
            extra = {"requestBody": {"required": True, "content": body}} if body else {}
            router.add_api_route(
                path,
                route,
                methods=[method],
                operation_id=name,
                status_code=202,
                response_class=Response,
                responses=done,
                openapi_extra={**extra, **_SECURITY},
            )
        router.add_api_route(
            "/v1/operations", self.operations, methods=["GET"], operation_id="operations", openapi_extra=_SECURITY
        )
        router.add_api_route(
            "/v1/operations/{id}", self.operation, methods=["GET"], operation_id="operation", openapi_extra=_SECURITY
        )
        return router

    # --- asking for --------------------------------------------------------------------------------------------

    async def commit(
        self,
        request: Request,
        dkg_commit: Annotated[
            str, Header(alias="DKG-Commit", description="The signed commit (docs/formats.md), in base64url.")
        ],
        relay: Annotated[bool, Query(description="Whether this node shall send it to the chain.")] = True,  # noqa: FBT002
        idempotency_key: Key = None,
    ) -> Response:
        """Hand in a signed commit, with the pages of its dataset that are new, as a CAR whose root is the dataset's."""
        context = self._context
        token = context.authorize(request, Scope.PUBLISH)
        signed = _signed(dkg_commit)
        if media_type_of(request) != CAR:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"send the pages as {CAR}")
        async with body_of(request, context.uploads, context.settings, context.settings.pages_bytes) as car:
            ticket = self._ticket(token, idempotency_key, "commit", [signed.encode(), str(relay).encode(), car])
            try:
                operation = await context.service.publish_signed(ticket, signed, car, relay=relay)
            except ProofError as error:
                raise Problem(Code.COMMIT_INVALID, str(error)) from error
        return accepted(operation)

    async def publish(
        self,
        request: Request,
        *,
        name: Annotated[str, Query(description="The asset's name, or its UAL.", min_length=1, max_length=400)],
        title: Annotated[str | None, Query(description="Empty: it is said no more.", max_length=2000)] = None,
        author: Annotated[Texts, Query(description="IRIs of authors. Not given: what was said stays.")] = None,
        licence: Annotated[str | None, Query(description="An IRI.", max_length=2000)] = None,
        derived_from: Annotated[Texts, Query(description="IRIs of what it is derived from.")] = None,
        supersedes: Annotated[Texts, Query(description="Names or UALs of assets that it takes the place of.")] = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Publish an RDF document as the whole content of an asset of this node's own publisher."""
        context = self._context
        token = context.authorize(request, Scope.PUBLISH)
        media_type = media_type_of(request)
        if media_type not in RDF_TYPES:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"send RDF as one of {', '.join(RDF_TYPES)}")
        said = Said(title, _given(author), licence, _given(derived_from), _given(supersedes))
        async with body_of(request, context.uploads, context.settings, context.settings.document_bytes) as data:
            parts = [name.encode(), media_type.encode(), repr(said).encode(), data]
            ticket = self._ticket(token, idempotency_key, "publish", parts)
            operation = await context.service.publish_rdf(ticket, name, data, RDF_TYPES[media_type], said)
        return accepted(operation)

    async def retract(
        self,
        request: Request,
        authority: Authority,
        publisher: Owner,
        name: Name,
        reason: Annotated[str | None, Query(description="Why.", max_length=2000)] = None,
        idempotency_key: Key = None,
    ) -> Response:
        """Take the content of an asset of this node's own publisher back; that there was one stays known."""
        token = self._context.authorize(request, Scope.PUBLISH)
        ual = f"{authority}/{publisher}/{name}"
        ticket = self._ticket(token, idempotency_key, "retract", [ual.encode(), repr(reason).encode()])
        return accepted(await self._context.service.retract(ticket, ual, reason))

    def _ticket(self, token: Token, key: str | None, kind: str, parts: list[bytes]) -> Ticket:
        digest = sha256(kind.encode())
        for part in parts:
            digest.update(len(part).to_bytes(8))
            digest.update(part)
        return ticket_of(self._context, token, key, digest.hexdigest())

    # --- how it goes -------------------------------------------------------------------------------------------

    async def operations(
        self,
        request: Request,
        before: Annotated[str | None, Query(pattern=PLACE_PATTERN, description=PLACE_TEXT)] = None,
        limit: Annotated[int, Query(ge=1, le=ITEMS_MAX, description="Most items.")] = ITEMS,
    ) -> Listed[OperationShape]:
        """The operations, those that changed last first."""
        self._context.authorize(request, Scope.PUBLISH)
        place = None if before is None else before.split("-", 1)
        found = self._context.service.operations(limit + 1, (int(place[0]), place[1]) if place else None)
        items = [OperationShape.of(one) for one in found[:limit]]
        last = f"{found[limit - 1].updated}-{found[limit - 1].id}" if len(found) > limit else None
        return Listed(items=items, next=following(request, "before", last) if last else None)

    async def operation(self, request: Request, response: Response, id: Id) -> OperationShape:  # noqa: A002
        """How an operation goes."""
        self._context.authorize(request, Scope.PUBLISH)
        found = self._context.service.operation(id)
        if found is None:
            raise Problem(Code.OPERATION_UNKNOWN, "there is no such operation here, or not any more")
        shape = OperationShape.of(found)
        response.headers["Cache-Control"] = "no-store"
        if not shape.finished:
            response.headers["Retry-After"] = str(POLL_SECONDS)
        return shape


def ticket_of(context: Context, token: Token, key: str | None, digest: str) -> Ticket:
    """The ticket of a request. `key`: its `Idempotency-Key`; `digest`: of all that it asks for, in hexadecimal."""
    seed = context.chance(_ID_BYTES) if key is None else sha256(f"{token.name}\0{key}".encode()).digest()
    return Ticket(b32encode(seed[:_ID_BYTES]).decode().lower().rstrip("="), digest)


def accepted(operation: Operation) -> Response:
    """The answer to what an operation was begun for."""
    shape = OperationShape.of(operation)
    headers = {"Location": f"/v1/operations/{operation.id}", "Cache-Control": "no-store"}
    if not shape.finished:
        headers["Retry-After"] = str(POLL_SECONDS)
    return JSONResponse(shape.model_dump(), 200 if shape.finished else 202, headers)


def _signed(text: str) -> SignedCommit:
    if len(text) > 2 * SIGNED_COMMIT_BYTES_MAX:
        raise wrong("DKG-Commit", f"a signed commit has {SIGNED_COMMIT_BYTES_MAX} bytes at most")
    try:
        return SignedCommit.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise wrong("DKG-Commit", "this is not base64url") from error
    except ProofError as error:
        raise wrong("DKG-Commit", str(error)) from error


def _given(texts: list[str] | None) -> tuple[str, ...] | None:
    """What a list says; one empty text is how to say that there are none."""
    return None if texts is None else tuple(text for text in texts if text)
