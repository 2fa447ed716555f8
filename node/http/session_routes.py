"""`/v1/session`: signing in with a key of Ethereum (EIP-4361), to read what is private.

POST /v1/session/challenge  {"address": "0x...", "chain_id": 31337}       -> a message to sign
POST /v1/session            {"message": "...", "signature": "0x..."}      -> a token, for `Authorization: Bearer`
GET, DELETE /v1/session                                                   -> whose it is; end it
"""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from dkg.chain.secp import SIGNATURE_BYTES, SignatureError, checksum
from node.http.body import body_of, media_type_of
from node.http.moments import parse_address, time_text, wrong
from node.http.problems import Code, Problem
from node.http.readers import SESSION_PATH, UNSHARED, private_side, shown_token, site_of
from node.http.shapes import ChallengeShape, SessionShape, WhoShape
from node.private.sessions import FullOfSessionsError
from node.private.signin import SignInError

if TYPE_CHECKING:
    from node.http.context import Context

BODY_BYTES_MAX: Final = 16 * 1024
"""Longest body of these requests, in bytes."""

_SIGNATURE: Final = re.compile(rf"0x[0-9a-fA-F]{{{2 * SIGNATURE_BYTES}}}")
_RETRY_SECONDS: Final = 60
_SECURITY: Final[dict[str, Any]] = {"security": [{"token": []}]}


class SessionRoutes:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["private"])
        add = router.add_api_route
        asked = _body(
            {"address": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}, "chain_id": {"type": "integer"}}
        )
        signed = _body(
            {
                "message": {"type": "string"},
                "signature": {"type": "string", "pattern": f"^0x[0-9a-fA-F]{{{2 * SIGNATURE_BYTES}}}$"},
            }
        )
        add(
            f"{SESSION_PATH}/challenge", self.challenge, methods=["POST"], operation_id="challenge", openapi_extra=asked
        )
        add(SESSION_PATH, self.open, methods=["POST"], operation_id="sign_in", openapi_extra=signed)
        add(SESSION_PATH, self.who, methods=["GET"], operation_id="session", openapi_extra=_SECURITY)
        add(SESSION_PATH, self.close, methods=["DELETE"], operation_id="sign_out", openapi_extra=_SECURITY)
        return router

    async def challenge(self, request: Request, response: Response) -> ChallengeShape:
        """A message for an address to sign. It must be answered soon, and once."""
        context, side = self._context, private_side(self._context)
        site = site_of(context, request)
        given = await self._given(request, {"address": str, "chain_id": int})
        if given["chain_id"] != site.chain_id:
            raise wrong("chain_id", f"this node's chain is {site.chain_id}")
        made = side.sessions.challenge(site, parse_address("address", given["address"]))
        response.headers.update(UNSHARED)
        return ChallengeShape(message=made.text(), nonce=made.nonce, expires=time_text(made.expires))

    async def open(self, request: Request, response: Response) -> SessionShape:
        """Open a session with a signed message. Its token is told once."""
        context, side = self._context, private_side(self._context)
        site = site_of(context, request)
        given = await self._given(request, {"message": str, "signature": str})
        if not _SIGNATURE.fullmatch(given["signature"]):
            raise wrong("signature", f"it is 0x and {2 * SIGNATURE_BYTES} hexadecimal digits: r, s and v")
        try:
            token, session = side.sessions.open(
                site,
                given["message"],
                bytes.fromhex(given["signature"][2:]),
                admit=side.assets.vault.reads_anything,
            )
        except FullOfSessionsError as error:
            raise Problem(Code.OVERLOADED, str(error), retry_after_s=_RETRY_SECONDS) from error
        except (SignInError, SignatureError) as error:
            raise _refused(str(error)) from error
        response.headers.update(UNSHARED)
        return SessionShape(token=token, address=checksum(session.address), expires=time_text(session.expires))

    async def who(self, request: Request, response: Response) -> WhoShape:
        """Whose session it is, and until when."""
        text = shown_token(request)
        session = None if text is None else private_side(self._context).sessions.find(text)
        if session is None:
            raise _refused("there is no such session, or it has ended")
        response.headers.update(UNSHARED)
        return WhoShape(address=checksum(session.address), expires=time_text(session.expires))

    async def close(self, request: Request, response: Response) -> dict[str, bool]:
        """End a session."""
        text = shown_token(request)
        if text is None or not private_side(self._context).sessions.close(text):
            raise _refused("there is no such session, or it has ended")
        response.headers.update(UNSHARED)
        return {"ended": True}

    async def _given(self, request: Request, members: dict[str, type]) -> dict[str, Any]:
        """The members of a JSON object, which has just these. Raises `Problem`."""
        context = self._context
        if media_type_of(request) != "application/json":
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, "send application/json")
        async with body_of(request, context.uploads, context.settings, BODY_BYTES_MAX) as body:
            try:
                found = json.loads(body)
            except (ValueError, RecursionError):
                raise wrong("body", "this is no JSON") from None
        if not isinstance(found, dict) or found.keys() != members.keys():
            raise wrong("body", f"it is an object with the members {', '.join(members)}, and no others")
        for name, kind in members.items():
            if type(found[name]) is not kind:
                raise wrong(name, f"it is {'a text' if kind is str else 'a whole number'}")
        return found


def _refused(detail: str) -> Problem:
    return Problem(Code.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="dkg"'})


def _body(members: dict[str, Any]) -> dict[str, Any]:
    """What a request takes, for the OpenAPI document."""
    schema = {
        "type": "object",
        "required": list(members),
        "properties": members,
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
