"""Who asks for what is private: the address that a session or a token of the request stands for.

A session is opened with a signed message (`/v1/session`), a token is bound to an address by the node's owner. Nothing
here, and no refusal, depends on which private assets there are.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dkg.errors import InputError, ProofError, StoreError
from node.http.context import exchange_of
from node.http.problems import Code, Problem
from node.http.tokens import find_token
from node.private.sessions import Site
from node.workers.errors import WorkerCrashedError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from node.http.context import Context
    from node.private.assets import PrivateAssets
    from node.private.sessions import Sessions

UNSHARED: Final = {"Cache-Control": "private, no-store", "Vary": "Authorization, Accept"}
"""Of answers that depend on who asks: no cache may keep them, and they have no validators."""

SESSION_PATH: Final = "/v1/session"


@dataclass(frozen=True, slots=True)
class PrivateSide:
    """The private assets of a node, and who has signed in."""

    assets: PrivateAssets
    sessions: Sessions


def private_side(context: Context) -> PrivateSide:
    """What is private here. Raises `Problem` if nothing may be."""
    if context.private is None:
        raise Problem(Code.NOT_FOUND, "this node keeps nothing that is private")
    return context.private


def shown_token(request: Request) -> str | None:
    """The bearer token that a request shows."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def reader_of(context: Context, request: Request) -> bytes:
    """The address that a request reads as. Raises `Problem`: deny by default."""
    text = shown_token(request)
    if text is None:
        raise _unknown("sign in (POST /v1/session/challenge), or show a token that is bound to an address", "")
    session = private_side(context).sessions.find(text)
    if session is not None:
        return session.address
    token = find_token(context.settings.tokens, text)
    if token is None:
        raise _unknown("the token is not known here, or the session has ended", ', error="invalid_token"')
    exchange_of(request).token = token
    if token.reads is None:
        raise Problem(Code.FORBIDDEN, f"the token {token.name} is bound to no address, so it reads nothing private")
    return token.reads


def _unknown(detail: str, error: str) -> Problem:
    return Problem(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": f'Bearer realm="dkg"{error}'})


def site_of(context: Context, request: Request) -> Site:
    """What this node is, as messages to sign in with have it. Raises `Problem` if it does not know its own name."""
    settings = context.settings
    if settings.public_url is None and settings.host_names() is None:
        raise Problem(Code.INPUT_INVALID, "this node does not know its own name: set `public_url`, or `hosts`")
    base = context.base_url(request)
    return Site(urlsplit(base).netloc, base + SESSION_PATH, context.service.domain.chain_id)


@contextmanager
def discreet(context: Context, request: Request) -> Iterator[None]:
    """What goes wrong inside is told without a word of what is private, to the client and to the log.

    Errors about what the caller gave (`InputError` and its kinds, and those of limits) go to the caller alone, who may
    read what they are about.
    """
    try:
        yield
    except (Problem, InputError):
        raise
    except WorkerCrashedError:
        raise WorkerCrashedError("the worker died of a query over private parts; what it said is not kept") from None
    except WorkerError:
        raise
    except StoreError:
        raise StoreError("a private part, or what it is asked with, cannot be read") from None
    except ProofError:
        raise ProofError("a page of a private part, or of what it is asked with, is damaged") from None
    except Exception as error:  # noqa: BLE001 - what it says may be private: only what it is, and where, is logged
        context.log("private.fault", request=exchange_of(request).id, error=type(error).__name__, at=_place(error))
        raise Problem(Code.INTERNAL, Code.INTERNAL.title) from None


def _place(error: Exception) -> str:
    """Where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
