"""`dkg push`: hand a publisher's newest commit, with the pages that the node lacks, to a peer node."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.car import car_blocks, car_header
from dkg.chain.secp import checksum
from dkg.client.cli.exits import Exit
from dkg.client.progress import size
from dkg.client.rpc import Waiting
from dkg.client.store import SqliteStore
from dkg.errors import InputError, StoreError
from dkg.page import CID_PREFIX, DatasetRoot, Leaf, cid_text
from dkg.pages import StoredPages
from dkg.proof import root_bytes
from node.cli.asking import NodeSilentError, call, token_in
from node.cli.signing import Waiter
from node.home import Home

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.chain.commit import SignedCommit
    from dkg.client.cli.console import Console
    from dkg.pages import Pages
    from node.publish.waits import Progress

ANSWER_S: Final = 120.0
"""How long a node may take to answer an upload, in seconds; its own patience (`http.request_seconds`) is 60."""

AGAIN_S: Final = 120.0
"""Time after which an upload that a node did not answer in time is sent again, in seconds."""

WAIT_S: Final = 1_800.0
"""How long the node may take to check what it was given, in seconds: it checks some 10,000 quads a second."""

OPERATIONS: Final = 1_000
"""Of the node's newest operations, so many are looked through."""

_CAR: Final = "application/vnd.ipld.car"
_ENDED: Final = frozenset({"mined", "final"})


def push(args: argparse.Namespace, console: Console) -> int:
    """Hand in the newest commit of the home."""
    home = Home.find(args.home)
    signed = home.latest()
    if signed is None:
        raise InputError(f"nothing was published from {home.path} yet")
    commit, token = signed.commit, token_in(args.token_file)
    node = args.node.rstrip("/")
    try:
        held = call(f"{node}/v1/publishers/{checksum(commit.publisher)}", token).get("held")
    except (InputError, NodeSilentError):
        held = None  # a publisher that the node does not know yet; all pages are sent
    with SqliteStore(home.store, read_only=True) as store:
        pages = StoredPages(store)
        car = b"".join(car_of_new(pages, CID_PREFIX + commit.root, _held_root(pages, held)))
    with Waiter(console) as tell:
        ended = Upload(node, token, signed, car).through(tell)
    facts = {"root": cid_text(CID_PREFIX + commit.root), "seq": commit.seq, "bytes": len(car), "operation": ended}
    if console.json:
        console.object(facts)
    else:
        console.line(str(facts["root"]))
    console.say(
        f"commit {commit.seq} is at {args.node}: {size(len(car))} of pages, {ended['state']} (operation {ended['id']})"
    )
    return Exit.OK


class Upload:
    """A commit with its pages on its way into a node.

    The node checks all pages before it answers, which takes longer for a large dataset, or a busy node, than a request
    may. It goes on when nobody waits any more. So each upload has a key that makes it the same one when it is sent
    again, and after a silence the node is asked for its operations.
    """

    def __init__(self, node: str, token: str, signed: SignedCommit, car: bytes, waiting: Waiting | None = None) -> None:
        """`waiting`: the clock and the sleep."""
        waiting = waiting or Waiting()
        self._node, self._token, self._signed, self._car = node, token, signed, car
        self._clock, self._sleep = waiting.clock, waiting.sleep or time.sleep
        self._start = self._clock()

    def through(self, tell: Progress) -> dict[str, Any]:
        """The operation once it has ended. Raises `InputError` if the node refuses it, `StoreError`."""
        tell(f"sending {size(len(self._car))} to {self._node}", 0, 0)
        made = self._sent()
        while made is None:
            made = self._found(tell) or self._sent()
        pause = 0.05
        while made["state"] not in _ENDED:
            if made["state"] == "failed":
                raise InputError(f"{self._node} refused the commit: {made.get('error')}")
            if self._seconds() > WAIT_S:
                raise StoreError(
                    f"{self._node} has the pages of commit {self._signed.commit.seq}, and has not seen it on the chain "
                    f"in {WAIT_S:.0f} s. `dkg publish` brings one there that was interrupted; `dkg push` again asks "
                    f"for the same operation, {made['id']}"
                )
            tell(f"operation {made['id']} is {made['state']}, {self._seconds():.0f} s", 0, 0)
            self._sleep(pause)
            pause = min(2 * pause, 2.0)
            made = self._asked(f"/v1/operations/{made['id']}") or made
        return made

    def _asked(self, path: str) -> dict[str, Any]:
        """What the node answers; empty if it is too busy to."""
        try:
            return call(f"{self._node}{path}", self._token)
        except NodeSilentError:
            return {}

    def _seconds(self) -> float:
        return self._clock() - self._start

    def _sent(self) -> dict[str, Any] | None:
        """The operation that the node made of it; None if it did not answer in time."""
        encoded, before = self._signed.encode(), b""
        while True:
            headers = {
                "DKG-Commit": urlsafe_b64encode(encoded).decode().rstrip("="),
                "Content-Type": _CAR,
                "Idempotency-Key": sha256(encoded + self._car + before).hexdigest(),
            }
            where = f"{self._node}/v1/commits?relay=false"
            try:
                made = call(where, self._token, self._car, headers, timeout_s=ANSWER_S)
            except NodeSilentError:
                return None
            if made["state"] != "failed":
                return made
            before = str(made["id"]).encode()  # of an earlier push, which came to nothing: this is another one

    def _found(self, tell: Progress) -> dict[str, Any] | None:
        """The operation among the node's, once it is there; None if it is time to send the pages again."""
        commit, end = self._signed.commit, self._seconds() + AGAIN_S
        wanted = ("commit", checksum(commit.publisher).lower(), commit.seq, cid_text(CID_PREFIX + commit.root))
        while self._seconds() < end:
            if self._seconds() > WAIT_S:
                raise StoreError(
                    f"{self._node} has not checked commit {commit.seq} in {WAIT_S:.0f} s. It goes on: `dkg push` again "
                    "asks for the same, and is told at once if it is done"
                )
            tell(f"{self._node} checks the pages of commit {commit.seq}, {self._seconds():.0f} s", 0, 0)
            self._sleep(1.0)
            for one in self._asked(f"/v1/operations?limit={OPERATIONS}").get("items", []):
                if (one["kind"], str(one["publisher"]).lower(), one["seq"], one["root"]) == wanted:
                    return dict(one)
        return None


def _held_root(pages: Pages, held: Any) -> bytes | None:  # noqa: ANN401 - JSON
    """The root that the node has of the publisher, if it is here too."""
    try:
        root = root_bytes(str(held["root"]))
        pages.root(root)
    except (TypeError, KeyError, InputError, StoreError):
        return None
    return root


def car_of_new(pages: Pages, root: bytes, old: bytes | None) -> Iterator[bytes]:
    """A CAR of the pages of `root` that `old` lacks, parents before children: of one tree. A node makes the others."""
    there = set() if old is None else set(_below(pages, old, set()))
    yield car_header(root)
    for cid in _below(pages, root, there):
        yield from car_blocks([(cid, pages.page(cid).encode())])


def _below(pages: Pages, root: bytes, there: set[bytes]) -> Iterator[bytes]:
    """The CIDs of a dataset's root and of the pages of its first tree, each once, but for those in `there`."""
    waiting, seen = [root], there | {root}
    while waiting:
        cid = waiting.pop()
        yield cid
        page = pages.page(cid)
        if isinstance(page, Leaf):
            continue
        links = page.trees[:1] if isinstance(page, DatasetRoot) else page.children
        fresh = [link for link in dict.fromkeys(links) if link not in seen]
        seen.update(fresh)
        waiting += reversed(fresh)
