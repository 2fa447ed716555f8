"""Answers over private parts: for callers who may read them, and as if there were none for all others.

Access is enforced twice. The dataset that a worker is handed holds the public quads and those private ones that the
caller may read, and no others (`node.private.audience`). And the graphs that the engine may see are given to it by
name, default and named (RELIABILITY 1.6): the public ones, and those of the private parts that were granted.

An asset that the caller may not read is refused before anything of it is looked for, in the words that are used for
one that does not exist.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dkg.evaluate import ALL_GRAPHS
from dkg.pages import StoredPages
from dkg.private import commitment_iri, private_graph
from node.http.context import exchange_of
from node.http.moments import standing_for, state_headers
from node.http.problems import Code, Problem
from node.http.readers import UNSHARED, discreet, private_side, reader_of
from node.http.sparql import content_type, wanted_of
from node.http.turns import Turns
from node.http.watch import Watched
from node.private.assets import committed_at, require_few
from node.workers.jobs import Plain, Prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from dkg.chain.ual import Ual
    from dkg.pages import Pages
    from node.http.accept import Wanted
    from node.http.context import Context
    from node.http.moments import Moment
    from node.http.protocol import Asked, PrivateAsked
    from node.http.sparql import Sparql
    from node.private.assets import Readable
    from node.serving import Service, Standing
    from node.workers.jobs import Job

SHOWN: Final = 16
"""Most assets that `DKG-Private` names."""

_CACHED_PAGES: Final = 2_000

T = TypeVar("T")


class PrivateAnswers:
    """See the module."""

    def __init__(self, context: Context, sparql: Sparql) -> None:
        self._context = context
        self._sparql = sparql
        self._turns = Turns(1)  # while a private dataset is made, the event loop has half of a processor

    async def answer(self, request: Request, asked: Asked, extra: dict[str, str]) -> Response:
        """Answer a query that asks private parts. Raises `Problem` and what evaluation raises.

        1. The caller is who it shows to be.
        2. It may read each asset that it names.
        3. These have a private part, as of the public dataset that is asked.
        4. The query is evaluated over what it may read.
        5. It may still read all of it when the answer goes out.
        """
        context, private = self._context, asked.private
        assert private is not None  # noqa: S101 - what this is for
        wanted = wanted_of(request)
        reader = reader_of(context, request)  # 1
        assets = private_side(context).assets
        require_few(len(private.uals or ()))
        if not self._may_read(reader, private.uals or ()):  # 2
            raise unknown(private.uals or ())
        asked = replace(asked, base=asked.base or f"{context.base_url(request)}/sparql", moment=_moment(asked))
        with discreet(context, request):
            standing = standing_for(context.service, asked.moment, context.clock)
            with context.service.reading(standing.root):
                found = await self._found(standing, reader, private)  # 3
                job = await self._job(standing, reader, asked, wanted, found)
                with Watched(request) if context.runner.isolated else nullcontext():
                    result = await context.runner.run(job, client=exchange_of(request).client)  # 4
        if not assets.still(reader, found):  # 5
            raise unknown(private.uals or ())
        headers = {**state_headers(standing, context.clock()), **extra, **UNSHARED, **_told(found)}
        headers["Content-Type"] = content_type(result, wanted)
        if wanted.proof is not None:
            (one,) = found
            headers["DKG-Opening"] = one.version.opening.text
            headers["DKG-Commitment"] = commitment_iri(one.version.commitment)
            headers["DKG-Base"] = asked.base or ""
        return self._sparql.sent(request, result.body, headers)

    def _may_read(self, reader: bytes, uals: Iterable[Ual]) -> bool:
        vault, domain = private_side(self._context).assets.vault, self._context.service.domain
        here = domain.chain_id, domain.registry
        return all(
            vault.may_read(reader, ual) and (ual.publisher.chain_id, ual.publisher.registry) == here for ual in uals
        )

    async def _found(self, standing: Standing, reader: bytes, private: PrivateAsked) -> list[Readable]:
        """The private parts that are asked for. Raises `Problem` if one is not there for this caller."""
        assets, uals = private_side(self._context).assets, private.uals
        if uals is None:
            found = await self._read(reader, lambda pages: assets.all(pages, standing.root, reader))
            return [one for one in found if await self._stands(reader, one.ual)]
        named = await self._read(reader, lambda pages: assets.named(pages, standing.root, reader, uals))
        if named is None or not all([await self._stands(reader, ual) for ual in uals]):
            raise unknown(uals)
        return named

    async def _stands(self, reader: bytes, ual: Ual) -> bool:
        """Whether the publisher's newest dataset here still has a private part of an asset.

        What was taken back is not read as of an older moment either, nor while the union waits for somebody else.
        """
        service = self._context.service
        root = service.standing((ual.publisher.address,)).root
        with service.reading(root):
            return await self._read(reader, lambda pages: committed_at(pages, root, ual) is not None)

    async def _job(
        self, standing: Standing, reader: bytes, asked: Asked, wanted: Wanted, found: Sequence[Readable]
    ) -> Job:
        """What is to be done, with all that the worker is handed for it."""
        assets, private = private_side(self._context).assets, asked.private
        assert private is not None  # noqa: S101 - what this is for
        granted = frozenset(private_graph(one.ual) for one in found)
        question: dict[str, Any] = {
            "text": asked.text,
            "dataset": asked.dataset,
            "now": asked.now,
            "base_iri": asked.base,
        }
        table, graph = wanted.table and wanted.table.name, wanted.graph and wanted.graph.name
        if private.alone:
            ((part),) = (one.dataset for one in found)
            question |= {"root": part.root, "overlay": part.car}
            if wanted.proof is not None:
                return Prove(**question, compressed=wanted.proof.name == "car.zst")
            return Plain(**question, table=table, graph=graph, allowed=granted, view=None)
        if wanted.proof is not None:
            raise Problem(
                Code.NOT_ACCEPTABLE,
                "there is no proof over public and private quads at once, as they have no root in common: prove the "
                "public part without `private`, and the private part of one asset with private=UAL and scope=private",
            )
        parts = [one.dataset for one in found]
        audience = await self._read(reader, lambda pages: assets.audiences.made(pages, standing.root, parts))
        allowed = granted | await self._public_graphs(standing.root, reader, asked, granted)
        question |= {"root": audience.root, "overlay": audience.car}
        return Plain(**question, table=table, graph=graph, allowed=allowed, view=None)

    async def _public_graphs(
        self, root: bytes, reader: bytes, asked: Asked, granted: frozenset[bytes]
    ) -> frozenset[bytes]:
        """The public graphs that a query may see: those that the request names, or all."""
        if asked.dataset != ALL_GRAPHS:
            named = (*(asked.dataset.default_graphs or ()), *(asked.dataset.named_graphs or ()))
            return frozenset(graph for graph in named if not graph.endswith(b"#private>") or graph in granted)
        audiences = private_side(self._context).assets.audiences
        return await self._read(reader, lambda pages: audiences.public_graphs(pages, root))

    async def _read(self, reader: bytes, work: Callable[[Pages], T]) -> T:
        """What a function gives that reads public pages, in a thread; readers take turns."""
        pages = StoredPages(_Served(self._context.service), _CACHED_PAGES)
        return await self._turns.run(reader.hex(), lambda: asyncio.to_thread(work, pages))


class _Served:
    """The public pages of a service, as a store."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def get(self, cid: bytes) -> bytes | None:
        """See `PageStore.get`."""
        return self._service.page(cid)

    def put_many(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Nothing is ever written there."""
        del pages
        raise RuntimeError("what is private is not put among public pages")


def unknown(uals: Sequence[Ual]) -> Problem:
    """The problem with private parts that are not there for this caller: granted to others, or nobody's."""
    names = ", ".join(map(str, uals[:4])) + (", ..." if len(uals) > 4 else "")  # noqa: PLR2004 - as many as are named
    return Problem(
        Code.ASSET_UNKNOWN,
        f"there is no private part that you may read of: {names or 'what was asked for'}",
        headers={"Vary": UNSHARED["Vary"]},
    )


def _moment(asked: Asked) -> Moment:
    """Whose public dataset is asked: of one private part alone, that of its publisher."""
    private = asked.private
    if private is None or not private.alone or not private.uals or asked.moment.publishers is not None:
        return asked.moment
    return replace(asked.moment, publishers=(private.uals[0].publisher.address,))


def _told(found: Sequence[Readable]) -> dict[str, str]:
    """Which private parts an answer is of."""
    names = ", ".join(str(one.ual) for one in found[:SHOWN])
    return {"DKG-Private-Count": str(len(found)), "DKG-Private": names}
