"""`/v1/retrieve`, `/v1/answer`, `/v1/proofs` in a node: `retrieval.http`, with this server's limits and problems."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter

from node.http.body import body_of, media_type_of
from node.http.context import exchange_of
from node.http.problems import Code, Problem
from node.http.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fastapi import FastAPI
    from starlette.requests import Request

    from node.http.context import Context
    from retrieval.service import Knowledge

T = TypeVar("T")

AT_ONCE: Final = 4
"""Clients whose questions are looked up at a time."""

ANSWERS_AT_ONCE: Final = 2
"""Clients for whom the model writes, or is waited for, at a time: it is slow, and nobody else waits for it."""

ANSWER: Final = "/v1/answer"

JSON: Final = "application/json"

_PATHS: Final = ("/v1/retrieve", ANSWER, "/v1/proofs/{id}", "/v1/proofs/{id}/{number}")


class RetrievalHost:
    """See `retrieval.http.Host`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns = Turns(AT_ONCE)
        self._answers = Turns(ANSWERS_AT_ONCE)
        self._threads = CapacityLimiter(AT_ONCE + ANSWERS_AT_ONCE)
        """Threads of their own: others of the node's must not run out."""

    def knowledge(self) -> Knowledge:
        """See `Host.knowledge`."""
        known = self._context.known
        if known is None:
            raise Problem(
                Code.NOT_FOUND, "this node answers no questions in words: its setting `retrieval.enabled` is false"
            )
        return known.knowledge

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """See `Host.body`."""
        if media_type_of(request) != JSON:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"send the question as {JSON}")
        context = self._context
        async with body_of(request, context.uploads, context.settings, most) as data:
            yield data

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """See `Host.run`."""
        turns = self._answers if request.scope["path"] == ANSWER else self._turns
        return await turns.run(
            exchange_of(request).client, lambda: anyio.to_thread.run_sync(work, limiter=self._threads)
        )


def mount(app: FastAPI, context: Context) -> None:
    """Add the routes; where `retrieval` is not installed, routes that say so."""
    try:
        from retrieval.http import RetrievalRoutes  # noqa: PLC0415 - an extra, which may not be installed
    except ModuleNotFoundError:
        app.include_router(_missing())
        return
    app.include_router(RetrievalRoutes(RetrievalHost(context)).router())
    _tell(app, context)


def _missing() -> APIRouter:
    async def missing() -> NoReturn:
        raise Problem(Code.NOT_FOUND, "this node answers no questions in words: it needs pip install 'dkg[retrieval]'")

    router = APIRouter()
    for path in _PATHS:
        router.add_api_route(path, missing, methods=["GET", "POST"], include_in_schema=False, response_model=None)
    return router


def _tell(app: FastAPI, context: Context) -> None:
    """How errors of retrieval look here."""
    from retrieval.llm.model import ModelError  # noqa: PLC0415 - as above
    from retrieval.service import (  # noqa: PLC0415 - as above
        RETRY_S,
        BusyError,
        NoModelError,
        NotReadyError,
        UnknownProofError,
    )

    codes: dict[type[Exception], tuple[Code, int | None]] = {
        UnknownProofError: (Code.PROOF_UNKNOWN, None),
        NoModelError: (Code.NO_MODEL, None),
        NotReadyError: (Code.NOT_READY, RETRY_S),
        BusyError: (Code.OVERLOADED, RETRY_S),
    }

    async def told(_request: Request, error: Exception) -> NoReturn:
        code, retry_after_s = codes[type(error)]
        raise Problem(code, str(error), retry_after_s=retry_after_s)

    async def model_failed(request: Request, error: Exception) -> NoReturn:
        context.log("http.model", request=exchange_of(request).id, why=str(error))
        raise Problem(Code.MODEL_UNAVAILABLE, "the node's log has more; /v1/retrieve gives the facts without it")

    for kind in codes:
        app.add_exception_handler(kind, told)
    app.add_exception_handler(ModelError, model_failed)
