"""`dkg token new|list|revoke`: who may write to your node, and what else somebody may do who shows a token."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.chain.secp import address_from_text, checksum
from dkg.client.cli.exits import Exit
from dkg.errors import InputError
from node.cli.nodes import configured
from node.http.tokens import Scope, new_token, read_tokens, write_tokens

if TYPE_CHECKING:
    import argparse

    from dkg.client.cli.console import Console
    from node.http.tokens import Token


def new(args: argparse.Namespace, console: Console) -> int:
    """Make a token, and tell it once."""
    path, known = _known(args)
    if any(token.name == args.name for token in known):
        raise InputError(f"there is a token {args.name!r} already; it was left alone")
    if not args.scope and args.reads is None:
        raise InputError("say what the token is for: --scope, or --reads")
    reads = None if args.reads is None else address_from_text(args.reads)
    text, token = new_token(args.name, [Scope(name) for name in args.scope or ()], secrets.token_bytes(32), reads)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tokens(path, (*known, token))
    if console.json:
        console.object({"name": token.name, "scopes": sorted(token.scopes), "token": text})
    else:
        console.line(text)
    console.say("this is told once; the node knows it from its next start on")
    return Exit.OK


def show(args: argparse.Namespace, console: Console) -> int:
    """Print the names of all tokens, and what each is good for."""
    path, known = _known(args)
    if console.json:
        console.object({"file": str(path), "tokens": [_facts(token) for token in known]})
        return Exit.OK
    for token in known:
        reads = [] if token.reads is None else [f"reads as {checksum(token.reads)}"]
        console.line(f"{token.name}: {', '.join([*sorted(token.scopes), *reads])}")
    console.say(f"{len(known)} in {path}")
    return Exit.OK


def revoke(args: argparse.Namespace, console: Console) -> int:
    """Take tokens back, all of them or none."""
    path, known = _known(args)
    gone = set(args.names)
    if unknown := sorted(gone - {token.name for token in known}):
        raise InputError(f"{path} has no token {unknown[0]!r}; nothing was changed (`dkg token list` prints the names)")
    write_tokens(path, tuple(token for token in known if token.name not in gone))
    if console.json:
        console.object({"revoked": sorted(gone)})
    console.say("taken back; a node that runs knows them until it is started again")
    return Exit.OK


def _known(args: argparse.Namespace) -> tuple[Path, tuple[Token, ...]]:
    config = configured(args)
    path = Path(config["http.tokens_file"] or config.directory / "tokens.json").expanduser()
    return path, read_tokens(path)


def _facts(token: Token) -> dict[str, object]:
    reads = None if token.reads is None else checksum(token.reads)
    return {"name": token.name, "scopes": sorted(token.scopes), "reads": reads}
