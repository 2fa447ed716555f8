"""`dkg push`: hand a publisher's newest commit, with the pages that the node lacks, to a peer node. `dkg token new`."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from dkg.car import car_blocks, car_header
from dkg.chain.secp import checksum
from dkg.client.cli.exits import Exit
from dkg.client.progress import size
from dkg.client.store import SqliteStore
from dkg.errors import InputError, StoreError
from dkg.page import CID_PREFIX, DatasetRoot, Leaf, cid_text
from dkg.pages import StoredPages
from dkg.proof import root_bytes
from node.cli.nodes import configured
from node.home import Home
from node.http.tokens import Scope, new_token, read_tokens, write_tokens

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.client.cli.console import Console
    from dkg.pages import Pages

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""Longest answer of a node that is read, in bytes."""

TIMEOUT_S: Final = 60.0
WAIT_S: Final = 600.0
"""How long the node may take to check what it was given, in seconds."""

_ENDED: Final = frozenset({"held", "done", "mined", "final"})


def push(args: argparse.Namespace, console: Console) -> int:
    """Hand in the newest commit of the home."""
    home = Home.find(args.home)
    signed = home.latest()
    if signed is None:
        raise InputError(f"nothing was published from {home.path} yet")
    commit, token = signed.commit, _token(args.token_file)
    here = f"{args.node.rstrip('/')}/v1/publishers/{checksum(commit.publisher)}"
    try:
        held = _call(here, token).get("held")
    except InputError:
        held = None  # a publisher that the node does not know yet
    with SqliteStore(home.store, read_only=True) as store:
        pages = StoredPages(store)
        car = b"".join(car_of_new(pages, CID_PREFIX + commit.root, _held_root(pages, held)))
    made = _call(
        f"{args.node.rstrip('/')}/v1/commits?relay=false",
        token,
        car,
        {"DKG-Commit": urlsafe_b64encode(signed.encode()).decode().rstrip("="), "Content-Type": _CAR},
    )
    ended = _awaited(args.node, made, token)
    facts = {"root": cid_text(CID_PREFIX + commit.root), "seq": commit.seq, "bytes": len(car), "operation": ended}
    if console.json:
        console.object(facts)
    else:
        console.line(str(facts["root"]))
    console.say(f"commit {commit.seq} is at {args.node}: {size(len(car))} of pages, {ended['state']}")
    return Exit.OK


_CAR: Final = "application/vnd.ipld.car"


def _held_root(pages: Pages, held: Any) -> bytes | None:  # noqa: ANN401 - JSON
    """The root that the node has of the publisher, if it is here too."""
    try:
        root = root_bytes(str(held["root"]))
        pages.root(root)
    except (TypeError, KeyError, InputError, StoreError):
        return None
    return root


def car_of_new(pages: Pages, root: bytes, old: bytes | None) -> Iterator[bytes]:
    """A CAR of the pages below `root` that are not below `old`, parents before children."""
    there = set() if old is None else set(_below(pages, old, set()))
    yield car_header(root)
    for cid in _below(pages, root, there):
        yield from car_blocks([(cid, pages.page(cid).encode())])


def _below(pages: Pages, root: bytes, there: set[bytes]) -> Iterator[bytes]:
    """The CIDs of a dataset's pages, each once, but for those in `there`."""
    waiting, seen = [root], there | {root}
    while waiting:
        cid = waiting.pop()
        yield cid
        page = pages.page(cid)
        if isinstance(page, Leaf):
            continue
        links = page.trees if isinstance(page, DatasetRoot) else page.children
        fresh = [link for link in dict.fromkeys(links) if link not in seen]
        seen.update(fresh)
        waiting += reversed(fresh)


def _awaited(node: str, made: dict[str, Any], token: str) -> dict[str, Any]:
    """The operation once it has ended. Raises `InputError` if the node refused what it was given."""
    end = time.monotonic() + WAIT_S
    where = urljoin(node, f"/v1/operations/{made['id']}")
    pause = 0.05
    while made["state"] not in _ENDED:
        if made["state"] == "failed":
            raise InputError(f"{node} refused the commit: {made.get('error')}")
        if time.monotonic() > end:
            raise StoreError(f"{node} has not checked the commit in {WAIT_S:.0f} s; it goes on: see {where}")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
        made = _call(where, token)
    return made


def _call(url: str, token: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """What the node answers. Raises `InputError` for what it refuses, `StoreError` if it cannot be reached."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise InputError("the address of a node is a URL like http://127.0.0.1:8900")
    request = Request(url, body, {"Accept": "application/json", **(headers or {})})  # noqa: S310 - checked
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            found = json.loads(answer.read(ANSWER_BYTES_MAX))
    except HTTPError as error:
        with error:
            raise InputError(
                f"{parts.netloc} refused it: {_detail(error.read(ANSWER_BYTES_MAX), error.code)}"
            ) from error
    except OSError as error:
        raise StoreError(f"{parts.netloc} cannot be reached: {error}") from error
    except ValueError as error:
        raise StoreError(f"{parts.netloc} did not answer in JSON: is it a node?") from error
    if not isinstance(found, dict):
        raise StoreError(f"{parts.netloc} answered something else than a node does")
    return found


def _detail(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["detail"])[:500]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"


def _token(name: str) -> str:
    try:
        text = Path(name).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InputError(f"the token file {name} cannot be read: {error}") from error
    if not text or len(text.split()) != 1:
        raise InputError(f"the token file {name} does not hold one token")
    return text


def new(args: argparse.Namespace, console: Console) -> int:
    """Make a token, and tell it once."""
    config = configured(args)
    path = Path(config["http.tokens_file"] or config.directory / "tokens.json").expanduser()
    known = read_tokens(path)
    if any(token.name == args.name for token in known):
        raise InputError(f"there is a token {args.name!r} already; it was left alone")
    text, token = new_token(args.name, [Scope(name) for name in args.scope], secrets.token_bytes(32))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tokens(path, (*known, token))
    if console.json:
        console.object({"name": token.name, "scopes": sorted(token.scopes), "token": text})
    else:
        console.line(text)
    console.say("this is told once; the node knows it from its next start on")
    return Exit.OK
