"""What all routes share, and what is known of one request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from node.http.listing import Limited
from node.http.problems import Code, Problem
from node.http.tokens import Scope, find_token
from node.http.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from dkg.pages import Pages
    from node.http.clients import Admission
    from node.http.knowing import NodeKnowledge
    from node.http.metrics import Metrics
    from node.http.readers import PrivateSide
    from node.http.remembered import Remembered
    from node.http.room import Room
    from node.http.settings import HttpSettings
    from node.http.tokens import Token
    from node.serving import Service
    from node.workers.jobs import Runner

PIECE_BYTES: Final = 256 * 1024
"""Longest piece of a body that is handed on at once: what a client may take `send_seconds` to read."""

T = TypeVar("T")

KEY: Final = "dkg.exchange"
"""Where a request's scope has its `Exchange`."""

ASKING: Final[ContextVar[str]] = ContextVar("client", default="")
"""The client whose request is being answered."""

READS_AT_ONCE: Final = 4
"""Clients for whom pages are read at a time. The service reads for one after the other; these do not wait for us."""


class Log(Protocol):
    """Takes what happens, for people and programs: the name of an event and its fields, which are JSON."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take an event."""


def silent(event: str, /, **fields: object) -> None:
    """A log that nobody reads."""


@dataclass(slots=True)
class Exchange:
    """A request and its answer, while they are under way."""

    id: str
    client: str
    started: float
    fields: dict[bytes, bytes] = field(default_factory=dict)
    """Of the header, by name in lower case; the first of those that are there twice."""
    is_head: bool = False
    status: int = 0
    sent: int = 0
    """Bytes of the body."""
    code: str | None = None
    """Of the problem that the answer is."""
    abandoned: bool = False
    """Whether the client has gone."""
    token: Token | None = None
    route: str | None = None
    """The path of what answers, where that was not looked for."""


@dataclass(slots=True)
class Context:
    """What all routes share. `clock`: Unix seconds; `ticks`: seconds that never go back; `chance`: random bytes."""

    service: Service
    runner: Runner
    settings: HttpSettings
    clock: Callable[[], float]
    ticks: Callable[[], float]
    chance: Callable[[int], bytes]
    log: Log
    admission: Admission
    uploads: Room
    """For bodies of requests."""
    answers: Room
    """For long bodies of answers."""
    metrics: Metrics
    remembered: Remembered
    turns: Turns = field(default_factory=lambda: Turns(READS_AT_ONCE))
    """Of clients whose requests read many pages."""
    known: NodeKnowledge | None = None
    """What questions in words are answered from, if they are."""
    private: PrivateSide | None = None
    """What is private here, if anything may be."""
    entrance: ASGIApp | None = None
    """What a server runs: the application, with shorter ways."""
    stopping: bool = field(default=False)
    """Whether the node stops: it goes on answering, and says that it is not ready."""

    async def read(self, work: Callable[[Pages], T]) -> T:
        """What a function gives that reads pages, but not too many; clients take turns."""
        most = self.settings.read_pages
        return await self.turns.run(ASKING.get(), lambda: self.service.read(lambda pages: work(Limited(pages, most))))

    def base_url(self, request: Request) -> str:
        """How this node is reached, without a slash at the end."""
        host = exchange_of(request).fields[b"host"].decode("latin-1")
        return self.settings.public_url or f"{request.scope['scheme']}://{host}"

    def authorize(self, request: Request, scope: Scope) -> Token:
        """The token that a request shows, if it is good for something. Raises `Problem`."""
        token = self.shown(request)
        if token is None:
            raise Problem(
                Code.UNAUTHORIZED,
                f"show a token with the scope {scope}: Authorization: Bearer ...",
                headers={"WWW-Authenticate": f'Bearer realm="dkg", scope="{scope}"'},
            )
        if scope not in token.scopes:
            raise Problem(
                Code.FORBIDDEN,
                f"the token {token.name} has not the scope {scope}",
                headers={"WWW-Authenticate": f'Bearer realm="dkg", error="insufficient_scope", scope="{scope}"'},
            )
        return token

    def shown(self, request: Request) -> Token | None:
        """The token that a request shows; None if it shows none. Raises `Problem` for one that is not known."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        token = find_token(self.settings.tokens, text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Problem(
                Code.UNAUTHORIZED,
                "the token is not known here",
                headers={"WWW-Authenticate": 'Bearer realm="dkg", error="invalid_token"'},
            )
        exchange_of(request).token = token
        return token


def exchange_of(request: Request) -> Exchange:
    """What is known of a request."""
    found: Exchange = request.scope[KEY]
    return found
