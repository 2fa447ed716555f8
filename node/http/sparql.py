"""`/sparql`: answers, proofs of them, and what the service is.

An answer of a root never changes, so a request that has it already (`If-None-Match`) is told so before anything is
evaluated. The validator of a proof is a strong one: a query has one proof over a root, to the last byte. That of
results is weak: the engine may write the same rows in another order, and makes up other names for blank nodes.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations
from starlette.responses import Response

from dkg.checkpoints.answer import Parts
from dkg.page import cid_text
from node.http.accept import GRAPHS, PROOFS, TABLES, negotiate, negotiate_graph
from node.http.conditional import keeping_fields, not_modified
from node.http.context import PIECE_BYTES, exchange_of
from node.http.describe import service_description
from node.http.documented import SPARQL_GET, SPARQL_POST
from node.http.moments import standing_for, state_fields
from node.http.problems import Code, Problem
from node.http.protocol import read_query, with_base
from node.http.watch import Watched
from node.http.whole import Held, Whole, encoded
from node.workers.errors import ViewFailedError
from node.workers.jobs import EVERY_GRAPH, Plain, Prove, Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from dkg.chain.commit import Domain
    from node.http.accept import Format, Wanted
    from node.http.context import Context
    from node.http.protocol import Asked
    from node.serving import Standing
    from node.workers.jobs import Job, Result

    Handler = Callable[[Request], Awaitable[Response]]
    Private = Callable[[Request, Asked, dict[str, str]], Awaitable[Response]]

CAR_TYPE: Final = "application/vnd.ipld.car; version=1; order=unk; dups=n"
"""The type of a proof: its pages come in the order in which they were read."""

_ANSWER_VERSION: Final = b"3 "
"""Goes into validators: another one when answers change though their roots do not."""


class DirectRoute(APIRoute):
    """A route that reads its requests itself: FastAPI looks for no parameters, which would take as long as a query."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""
        found: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return found


class Sparql:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.private: Private = _nothing_private
        """Answers what asks for private parts."""

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["query"], route_class=DirectRoute)
        router.add_api_route("/sparql", self.get, methods=["GET"], response_class=Response, **SPARQL_GET)
        router.add_api_route("/sparql", self.post, methods=["POST"], response_class=Response, **SPARQL_POST)
        return router

    def direct(self) -> dict[tuple[str, str], Handler]:
        """What answers, by path and method, for who need not look for it."""
        return {("/sparql", "GET"): self.get, ("/sparql", "POST"): self.post}

    async def get(self, request: Request) -> Response:
        """Answer the query in the field `query`, or describe the service if there is none."""
        asked = await read_query(request, self._context.uploads, self._context.settings)
        return self._described(request) if asked is None else await self.answer(request, asked)

    async def post(self, request: Request) -> Response:
        """Answer the query in the body, or in the field `query` of a form."""
        asked = await read_query(request, self._context.uploads, self._context.settings)
        assert asked is not None  # noqa: S101 - a POST that asks nothing is a Problem
        return await self.answer(request, asked)

    async def answer(
        self,
        request: Request,
        asked: Asked,
        extra: dict[str, str] | None = None,
        empty: Callable[[Standing], Awaitable[None]] | None = None,
    ) -> Response:
        """Answer a query. Raises `Problem` and what evaluation raises.

        `extra`: header fields besides. `empty`: asked when there is nothing, and no proof is wanted; it may raise.
        """
        if asked.private is not None:
            return await self.private(request, asked, extra or {})
        wanted = wanted_of(request)
        context = self._context
        if asked.base is None:
            asked = with_base(asked, f"{context.base_url(request)}/sparql")
        standing = standing_for(context.service, asked.moment, context.clock)
        validator = _validator(standing, asked, wanted)
        fields = [
            *state_fields(standing, context.clock()),
            *encoded(extra or {}),
            (b"etag", validator.encode()),
            *keeping_fields(pinned=asked.moment.pinned),
        ]
        if not_modified(request, validator, exists=False):  # nobody knows before it is evaluated
            return Whole(b"", fields, 304)
        result = context.remembered.get(validator)
        if result is None:
            result = await self.evaluate(request, standing, asked, wanted)
            context.remembered.put(validator, result)
        else:
            context.metrics.remembered.inc()
        if empty is not None and wanted.proof is None and result.facts.rows == 0:
            await empty(standing)
        fields.append((b"content-type", content_type(result, wanted).encode()))
        if wanted.proof is not None:
            name = f"{cid_text(standing.root)[:16]}.{wanted.proof.name}"
            fields.append((b"dkg-base", (asked.base or "").encode("latin-1")))
            fields.append((b"content-disposition", f'attachment; filename="{name}"'.encode()))
        return self._whole(request, result.body, fields)

    def sent(self, request: Request, body: bytes, headers: dict[str, str]) -> Response:
        """An answer on its way out, which takes its room if it is long."""
        return self._whole(request, body, encoded(headers))

    def _whole(self, request: Request, body: bytes, fields: list[tuple[bytes, bytes]]) -> Response:
        if len(body) <= PIECE_BYTES:
            return Whole(body, fields)
        return Held(body, fields, self._context.answers, exchange_of(request).client)

    async def evaluate(self, request: Request, standing: Standing, asked: Asked, wanted: Wanted) -> Result:
        """The answer from a root."""
        try:
            return await self._evaluated(request, standing, asked, wanted)
        except ViewFailedError:  # the node has heard of it, and gives no view now: the pages answer
            return await self._evaluated(request, standing, asked, wanted)

    async def _evaluated(self, request: Request, standing: Standing, asked: Asked, wanted: Wanted) -> Result:
        context = self._context
        parts = _parts(context.service.domain, standing)
        with ExitStack() as held:
            view = held.enter_context(context.service.reading(standing.root))
            for _, root in parts.datasets if parts is not None else ():
                held.enter_context(context.service.reading(root))
            job = _job(standing.root, asked, wanted, None if view is None else str(view), parts)
            with Watched(request) if context.runner.isolated else nullcontext():
                return await context.runner.run(job, client=exchange_of(request).client)

    def _described(self, request: Request) -> Response:
        form = negotiate_graph(request.headers.get("accept", ""))
        if form is None:
            raise not_acceptable("the description of this service", GRAPHS)
        body = service_description(self._context.base_url(request), form)
        headers = {"Content-Type": form.media_type, "Cache-Control": "public, max-age=3600", "Vary": "Accept"}
        return Response(body, headers=headers)


def wanted_of(request: Request) -> Wanted:
    """What a request wants of a query. Raises `Problem`."""
    wanted = negotiate(exchange_of(request).fields.get(b"accept", b"").decode("latin-1"))
    if wanted is None:
        raise not_acceptable("an answer", (*TABLES[:4], *GRAPHS[:4], *PROOFS))
    return wanted


def not_acceptable(what: str, formats: tuple[Format, ...]) -> Problem:
    """The problem with a request that accepts nothing that there is."""
    names = ", ".join(one.media_type for one in formats)
    return Problem(Code.NOT_ACCEPTABLE, f"{what} is given as {names}")


def _parts(domain: Domain, standing: Standing) -> Parts | None:
    """What is asked, if it is a checkpoint with the datasets beside it."""
    checkpoint = standing.checkpoint
    return None if checkpoint is None else Parts(domain, standing.root, dict(checkpoint.beside))


def _job(root: bytes, asked: Asked, wanted: Wanted, view: str | None, parts: Parts | None) -> Job:
    """What is to be done."""
    table, graph = wanted.table and wanted.table.name, wanted.graph and wanted.graph.name
    question: dict[str, Any] = {
        "root": root,
        "text": asked.text,
        "dataset": asked.dataset,
        "now": asked.now,
        "base_iri": asked.base,
    }
    if wanted.proof is not None:
        compressed = wanted.proof.name == "car.zst"
        return Prove(**question, compressed=compressed, parts=parts, origins=asked.moment.origins)
    if view is None or parts is not None:
        return Query(**question, table=table, graph=graph, parts=parts)
    return Plain(**question, table=table, graph=graph, allowed=EVERY_GRAPH, view=view)


async def _nothing_private(request: Request, asked: Asked, extra: dict[str, str]) -> Response:
    """Refuses what asks for private parts where there are none. Raises `Problem`."""
    del request, asked, extra
    raise Problem(Code.NOT_FOUND, "this node keeps nothing that is private")


def content_type(result: Result, wanted: Wanted) -> str:
    """The type of an answer."""
    if wanted.proof is not None:
        return CAR_TYPE if wanted.proof.name == "car" else wanted.proof.media_type
    chosen = wanted.table if result.facts.form in {"SELECT", "ASK"} else wanted.graph
    assert chosen is not None  # noqa: S101 - else evaluation would have refused
    return f"{chosen.media_type}; charset=utf-8" if chosen.media_type.startswith("text/") else chosen.media_type


def _beside(standing: Standing, asked: Asked) -> list[bytes]:
    """The datasets that are asked beside a checkpoint, for validators."""
    checkpoint, kind = standing.checkpoint, b"origins" if asked.moment.origins else b"L2"
    return [] if checkpoint is None else [kind, *(who + (root or b"") for who, root in checkpoint.beside)]


def _validator(standing: Standing, asked: Asked, wanted: Wanted) -> str:
    """The validator of an answer: its root, and a digest of all else that it depends on."""
    default, named = asked.dataset.default_graphs, asked.dataset.named_graphs
    parts = (
        b"-" if default is None else b" ".join(default),
        b"-" if named is None else b" ".join(named),
        asked.text.encode("utf-8", "surrogatepass"),
        (asked.now or "-").encode(),
        (asked.base or "-").encode("utf-8", "surrogatepass"),
        wanted.key,
        *_beside(standing, asked),
    )
    lengths = b"%d " * (1 + len(parts)) % (len(parts), *map(len, parts))
    digest = sha256(b"".join((_ANSWER_VERSION, lengths, *parts))).hexdigest()
    text = f'"{cid_text(standing.root)}.{digest[:32]}"'
    return text if wanted.proof is not None else f"W/{text}"
