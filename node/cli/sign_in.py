"""`dkg private sign-in`: a session at a node, for whoever has the key of a home."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dkg.chain.secp import checksum
from dkg.client.cli.exits import Exit
from dkg.errors import InputError
from node.cli.asking import call
from node.cli.signing import wallet_of
from node.home import Home
from node.private.signin import SignIn, SignInError

if TYPE_CHECKING:
    import argparse

    from dkg.client.cli.console import Console

EXPIRES_MAX_S: Final = 3_600
"""Longest life of a message that is signed, in seconds."""

_SESSION: Final = "/v1/session"
_JSON: Final = {"Content-Type": "application/json"}


def sign_in(args: argparse.Namespace, console: Console) -> int:
    """Sign what the node gives, if it is for that node, and print the token of the session."""
    home, node = Home.find(args.home), args.node.rstrip("/")
    chain, wallet = home.chain().chain_id, wallet_of(args, home)
    given = _ask(f"{node}{_SESSION}/challenge", {"address": checksum(wallet.address), "chain_id": chain})
    message = str(given.get("message"))
    require_ours(message, node, wallet.address, chain, time.time())
    signed = {"message": message, "signature": "0x" + wallet.sign_personal(message).hex()}
    found = _ask(f"{node}{_SESSION}", signed)
    if console.json:
        console.object({name: found.get(name) for name in ("token", "address", "expires")})
    else:
        console.line(str(found.get("token")))
    console.say(f"signed in as {checksum(wallet.address)}, until {found.get('expires')}")
    return Exit.OK


def require_ours(message: str, node: str, address: bytes, chain: int, now: float) -> None:
    """Raise `InputError` for a message that is not for this node and this key: nothing is signed blindly."""
    try:
        found = SignIn.parse(message)
    except SignInError as error:
        raise InputError(f"{node} gave something else than a message to sign in with; it was not signed") from error
    wanted = {"domain": urlsplit(node).netloc, "uri": node + _SESSION, "chain_id": chain, "address": address}
    for name, value in wanted.items():
        if getattr(found, name) != value:
            raise InputError(
                f"the message that {node} gave has another {name.replace('_', ' ')} than it should; it was not signed. "
                "Use the URL that the node is known by (`http.public_url`)"
            )
    if found.expires > now + EXPIRES_MAX_S:
        raise InputError(f"the message that {node} gave is good for too long; it was not signed")


def _ask(url: str, members: dict[str, Any]) -> dict[str, Any]:
    return call(url, None, json.dumps(members).encode(), _JSON)
