"""`/ipfs/{cid}`: pages and whole datasets, for anybody who checks what they get (IPFS trustless gateway).

https://specs.ipfs.tech/http-gateways/trustless-gateway/: blocks as `application/vnd.ipld.raw`, and all that is below
one as `application/vnd.ipld.car`, depth first, none twice. Nothing else is given, so nothing has to be believed.
Datasets have no paths.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Path
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations
from starlette.responses import Response, StreamingResponse

from dkg.car import car_blocks, car_header
from dkg.errors import StoreError
from dkg.page import DatasetRoot, Inner, cid_text, decode
from node.http.accept import Range, parse_accept, rank
from node.http.conditional import IMMUTABLE, not_modified
from node.http.context import exchange_of
from node.http.documented import BINARY, CACHE_HEADERS, parameter
from node.http.moments import parse_cid, wrong
from node.http.problems import Code, Problem
from node.http.shapes import ROOT_EXAMPLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from dkg.page import Page
    from node.http.context import Context

RAW: Final = "application/vnd.ipld.raw"
CAR: Final = "application/vnd.ipld.car"
CAR_TYPE: Final = f"{CAR}; version=1; order=dfs; dups=n"

PROBE: Final = "bafkqaaa"
"""The CID of nothing, which says its content itself: how one finds out whether this is a gateway."""

_PROBE_BYTES: Final = b"\x01\x55\x00\x00"
_CHUNK_BYTES: Final = 64 * 1024
_CHUNK_PAGES: Final = 32  # read before others have a turn


Cid = Annotated[str, Path(description="The CID of a page.", pattern="^b[a-z2-7]{7,100}$", examples=[ROOT_EXAMPLE])]


class Asked(NamedTuple):
    """What is asked for. `scope`: of a CAR; `block` or `all`."""

    cid: str
    form: str
    scope: str

    @property
    def validator(self) -> str:
        """Strong: what it stands for has one form here."""
        return f'"{self.cid}.{self.form}"' if self.form == "raw" else f'"{self.cid}.car.{self.scope}.dfs.n"'


class Gateway:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["gateway"])
        answers: dict[int | str, dict[str, Any]] = {
            200: {
                "description": "The page, or all below it.",
                "content": {RAW: BINARY, CAR: BINARY},
                "headers": CACHE_HEADERS,
            },
            304: {"description": "The client has it already."},
        }
        router.add_api_route(
            "/ipfs/{cid}",
            self.get,
            methods=["GET"],
            operation_id="block_or_dag",
            response_class=Response,
            responses=answers,
            openapi_extra={
                "parameters": [
                    parameter("format", "Instead of the Accept header.", {"type": "string", "enum": ["raw", "car"]}),
                    parameter(
                        "dag-scope",
                        "Of a CAR: the page alone, or all below it. A page is no file, so entity is block.",
                        {"type": "string", "enum": ["block", "entity", "all"], "default": "all"},
                    ),
                    parameter("car-version", "Of a CAR.", {"type": "string", "enum": ["1"]}),
                    parameter("car-order", "Of a CAR.", {"type": "string", "enum": ["dfs", "unk"]}),
                    parameter("car-dups", "Of a CAR.", {"type": "string", "enum": ["y", "n"]}),
                ]
            },
        )
        return router

    async def get(self, request: Request, cid: Cid) -> Response:
        """A page, or all that is below it, by its CID."""
        asked = _asked(request, cid)
        headers = {
            "Content-Type": RAW if asked.form == "raw" else CAR_TYPE,
            "Content-Disposition": f'attachment; filename="{cid}.{"bin" if asked.form == "raw" else "car"}"',
            "ETag": asked.validator,
            "Cache-Control": IMMUTABLE,
            "Vary": "Accept",
            "X-Ipfs-Path": f"/ipfs/{cid}",
            "X-Ipfs-Roots": cid,
        }
        if cid == PROBE:
            return Response(b"" if asked.form == "raw" else car_header(_PROBE_BYTES), headers=headers)
        binary = parse_cid("cid", cid)
        raw = self._context.service.page(binary)
        if raw is None:
            raise _missing(request, cid)
        if not_modified(request, asked.validator):
            return Response(status_code=304, headers=headers)
        if asked.form == "raw":
            decode(binary, raw)  # nothing is sent that is not what its name says
            return Response(raw, headers=headers)
        if asked.scope != "all":
            decode(binary, raw)
            return Response(b"".join([car_header(binary), *car_blocks([(binary, raw)])]), headers=headers)
        self._check_size(decode(binary, raw))
        if exchange_of(request).is_head:
            return StreamingResponse(_nothing(), headers=headers)
        return StreamingResponse(self._dag(binary), headers=headers)

    def _check_size(self, page: Page) -> None:
        keys = page.count * (len(page.trees) if isinstance(page, DatasetRoot) else 1)
        if keys > self._context.settings.car_keys:
            raise Problem(
                Code.LIMIT_EXCEEDED,
                f"there are {keys} keys below this page; of more than {self._context.settings.car_keys} no CAR is "
                "sent: ask for dag-scope=block, and then for what it links to",
            )

    async def _dag(self, root: bytes) -> AsyncIterator[bytes]:
        """A CAR of all that is below a page. When a page is missing it ends early, which cuts the answer."""
        with ExitStack() as leases:
            with suppress(StoreError):  # what is no root that is kept may go while it is sent
                leases.enter_context(self._context.service.reading(root))
            async for chunk in self._chunks(root):
                yield chunk

    async def _chunks(self, root: bytes) -> AsyncIterator[bytes]:
        out, waiting = bytearray(car_header(root)), 0
        for cid, raw in self._blocks(root):
            for part in car_blocks([(cid, raw)]):
                out += part
            waiting += 1
            if len(out) >= _CHUNK_BYTES or waiting >= _CHUNK_PAGES:
                yield bytes(out)
                out.clear()
                waiting = 0
                await asyncio.sleep(0)
        yield bytes(out)

    def _blocks(self, root: bytes) -> Iterator[tuple[bytes, bytes]]:
        seen, stack = {root}, [root]
        while stack:
            cid = stack.pop()
            raw = self._context.service.page(cid)
            if raw is None:
                raise Problem(Code.PAGE_UNKNOWN, f"the page {cid_text(cid)} is not here any more")
            yield cid, raw
            for link in reversed(_links(decode(cid, raw))):
                if link not in seen:
                    seen.add(link)
                    stack.append(link)


def _links(page: Page) -> Sequence[bytes]:
    if isinstance(page, DatasetRoot):
        return page.trees
    return page.children if isinstance(page, Inner) else ()


async def _nothing() -> AsyncIterator[bytes]:
    for part in (b"",):
        yield part


def _missing(request: Request, cid: str) -> Problem:
    if "only-if-cached" in request.headers.get("cache-control", ""):
        return Problem(Code.NOT_CACHED, f"the page {cid} is not here")
    return Problem(Code.PAGE_UNKNOWN, f"the page {cid} is not here, and this node asks nobody else for it")


# --- what is asked ---------------------------------------------------------------------------------------------------


def _asked(request: Request, cid: str) -> Asked:
    fields = request.query_params
    form = fields.get("format") or _negotiated(request)
    if form not in {"raw", "car"}:
        raise Problem(Code.NOT_ACCEPTABLE, f"format={form[:32]} is not given: raw and car are")
    if form == "raw":
        return Asked(cid, "raw", "block")
    version, order = fields.get("car-version", "1"), fields.get("car-order", "dfs")
    if version != "1" or order not in {"dfs", "unk"}:
        raise Problem(Code.NOT_ACCEPTABLE, "a CAR is given in version 1 and in the order dfs")
    scope = fields.get("dag-scope", "block" if "entity-bytes" in fields else "all")
    if scope not in {"block", "entity", "all"}:
        raise wrong("dag-scope", "it is block, entity or all")
    return Asked(cid, "car", "all" if scope == "all" else "block")


def _negotiated(request: Request) -> str:
    """Raw or car, by the Accept header, which must name one of them."""
    header = request.headers.get("accept")
    found = [one for one in parse_accept(header or "") if one.main == "application" and one.sub.startswith("vnd.ipld.")]
    ranges = tuple(one for one in found if _is_given(one))
    ranked = [(place, form) for form, name in (("raw", RAW), ("car", CAR)) if (place := rank(ranges, name)) is not None]
    if not ranked:
        raise Problem(
            Code.NOT_ACCEPTABLE, f"ask for {RAW} or {CAR}, in the Accept header or as format=raw or format=car"
        )
    return max(ranked, key=lambda pair: pair[0])[1]


def _is_given(one: Range) -> bool:
    return one.parameters.get("version", "1") == "1" and one.parameters.get("order", "dfs") in {"dfs", "unk"}
