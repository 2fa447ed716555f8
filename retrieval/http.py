"""`/v1/retrieve`, `/v1/answer`, `/v1/proofs`: retrieval over HTTP, as a FastAPI router that a server mounts.

The server (`Host`) brings what servers differ in: how bodies are read within limits, where slow work is done, and how
errors look. Routes raise `dkg.errors` and those of `retrieval.service`; the host shows them.
"""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Protocol, TypeVar

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from dkg.errors import InputError, LimitError
from retrieval.ask import to_json
from retrieval.limits import TOKENS, TOKENS_MAX, TOKENS_MIN
from retrieval.proofs import describe
from retrieval.shown import Found, ShownAnswer, ShownProof, as_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from retrieval.service import Knowledge

T = TypeVar("T")

BODY_BYTES_MAX: Final = 256 * 1024
"""Longest request, in bytes."""

QUESTION_CHARS_MAX: Final = 100_000
"""Longest question that is taken in, in characters; what is looked at of it is the pipeline's business."""

CAR: Final = "application/vnd.ipld.car"

_CONFIG: Final[dict[str, Any]] = {"use_attribute_docstrings": True}
_QUESTION: Final = "Who discovered penicillin?"

Id = Annotated[str, Path(description="`proof` of an answer.", pattern="^[0-9a-f]{32}$")]
Number = Annotated[int, Path(ge=1, le=1_000, description="Which of its proofs.")]


class Host(Protocol):
    """The server that mounts the routes."""

    def knowledge(self) -> Knowledge:
        """What is asked. Raises what the server shows where there is nothing to ask, or not yet."""

    def body(self, request: Request, most: int) -> AbstractAsyncContextManager[bytes]:
        """The body of a request, of `most` bytes at most, while the block runs."""

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """What slow work gives, done aside, when it is the turn of whoever asks."""


@dataclass(frozen=True, slots=True)
class ShownProofs:
    """The proofs of an answer; each is at this path, with `/` and its number."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    id: str
    proofs: list[ShownProof]


class RetrievalRoutes:
    """The routes."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1", tags=["retrieval"])
        for path, route, name, shape in (
            ("/retrieve", self.retrieve, "retrieve", Found),
            ("/answer", self.answer, "answer", ShownAnswer),
        ):
            router.add_api_route(
                path,
                route,
                methods=["POST"],
                operation_id=name,
                response_model=shape,
                openapi_extra={"requestBody": _ASKED},
            )
        router.add_api_route("/proofs/{id}", self.proofs, methods=["GET"], operation_id="proofs")
        router.add_api_route(
            "/proofs/{id}/{number}",
            self.proof,
            methods=["GET"],
            operation_id="proof",
            response_class=Response,
            responses={200: {"description": "The proof.", "content": {CAR: {"schema": _BINARY}}}},
        )
        return router

    async def retrieve(self, request: Request) -> Response:
        """Find facts that answer a question: verified, signed and cited, within a budget of tokens."""
        knowledge = self._host.knowledge()
        question, tokens = await self._asked(request)
        found = await self._host.run(request, lambda: knowledge.retrieve(question, tokens))
        return _json(as_json(found.shown()))

    async def answer(self, request: Request) -> Response:
        """Have this server's language model answer a question from verified facts, with citations."""
        knowledge = self._host.knowledge()
        question, tokens = await self._asked(request)
        answered = await self._host.run(request, lambda: knowledge.answer(question, tokens))
        return _json(to_json(answered))

    async def proofs(self, id: Id) -> ShownProofs:  # noqa: A002 - as the path has it
        """List what proves an answer: queries, and the roots that they are asked of."""
        found = self._host.knowledge().claims(id)
        return ShownProofs(id, [ShownProof(**describe(one, n)) for n, one in enumerate(found, 1)])

    async def proof(self, request: Request, id: Id, number: Number) -> Response:  # noqa: A002 - as above
        """Give one of them, as a CAR file."""
        knowledge = self._host.knowledge()
        made = await self._host.run(request, lambda: knowledge.proof(id, number))
        return Response(made.car, media_type=CAR)

    async def _asked(self, request: Request) -> tuple[str, int]:
        async with self._host.body(request, BODY_BYTES_MAX) as data:
            return asked(data)


def asked(data: bytes) -> tuple[str, int]:
    """The question and the budget in a request. Raises `InputError`."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError('the body is JSON like {"question": "...", "tokens": 150}') from error
    if not isinstance(found, dict) or not isinstance(found.get("question"), str):
        raise InputError("the body is a JSON object, and its `question` is a text")
    if unknown := found.keys() - {"question", "tokens"}:
        raise InputError(f"the body has {len(unknown)} members that are not known here: question and tokens are")
    question, tokens = found["question"], found.get("tokens", TOKENS)
    if type(tokens) is not int or not TOKENS_MIN <= tokens <= TOKENS_MAX:
        raise InputError(f"`tokens` is a number from {TOKENS_MIN} to {TOKENS_MAX}")
    if len(question) > QUESTION_CHARS_MAX:
        raise LimitError(f"the question has {len(question)} characters; {QUESTION_CHARS_MAX} are allowed")
    if not question.strip():
        raise InputError("the question is empty")
    return question, tokens


def _json(value: dict[str, Any]) -> Response:
    text = json.dumps(value, ensure_ascii=False)
    return Response(text.encode(errors="replace"), media_type="application/json")


_BINARY: Final[dict[str, Any]] = {"type": "string", "contentMediaType": "application/octet-stream"}

_ASKED: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["question"],
                "additionalProperties": False,
                "properties": {
                    "question": {"type": "string", "minLength": 1, "maxLength": QUESTION_CHARS_MAX},
                    "tokens": {
                        "type": "integer",
                        "minimum": TOKENS_MIN,
                        "maximum": TOKENS_MAX,
                        "default": TOKENS,
                        "description": "Most tokens of the facts.",
                    },
                },
            },
            "example": {"question": _QUESTION, "tokens": TOKENS},
        }
    },
}
"""What FastAPI would read itself, without a limit."""
