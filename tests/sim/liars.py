"""Peers that lie, each in its own way, whatever they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.replication.ask import TIMEOUT_S
from node.replication.errors import PeerError
from node.replication.messages import (
    Anchored,
    Change,
    Code,
    Heads,
    Hello,
    PageAnswer,
    Refusal,
    decode,
)
from node.replication.squeeze import squeezed, unsqueezed

if TYPE_CHECKING:
    from random import Random

    from tests.sim.faults import Faults
    from tests.sim.loop import SimRuntime
    from tests.sim.transport import Liar


def liar(kind: str, runtime: SimRuntime, faults: Faults | None = None) -> Liar:
    """A liar of a kind in `KINDS`. `faults`: where stalls are counted."""
    rng = runtime.random

    async def bend(_peer: str, message: bytes, honest: bytes) -> bytes:
        if kind == "stalls" and rng.random() < 0.5:
            held_s = rng.uniform(1, 300)
            if faults is not None:
                faults.add("C9 stalls", held_s > TIMEOUT_S)
            await runtime.sleep(held_s)
            return honest
        try:
            answer = decode(honest, PageAnswer, Heads, Change, Hello, Refusal)
        except PeerError:
            return honest
        return BENDERS[kind](rng, message, honest, answer) if kind in BENDERS else honest

    return bend


def _other_bytes(rng: Random, _message: bytes, honest: bytes, answer: object) -> bytes:
    if not isinstance(answer, PageAnswer) or not answer.body:
        return honest
    data = bytearray(unsqueezed(answer.body, sum(size for size in answer.sizes if size > 0)))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return replace(answer, body=squeezed(bytes(data))).encode()


def _nothing_held(_rng: Random, _message: bytes, honest: bytes, answer: object) -> bytes:
    if not isinstance(answer, PageAnswer):
        return honest
    return replace(answer, sizes=(0,) * len(answer.sizes), body=b"").encode()


def _all_held(rng: Random, _message: bytes, honest: bytes, answer: object) -> bytes:
    """Heads that are on no chain."""
    if not isinstance(answer, Heads):
        return honest
    made = [
        Anchored(
            head.publisher, head.seq + rng.randrange(3), head.root[:4] + rng.randbytes(32), head.count, head.position
        )
        for head in answer.heads
    ]
    return Heads(tuple(made), more=False).encode()


def _always_busy(_rng: Random, _message: bytes, honest: bytes, answer: object) -> bytes:
    return honest if isinstance(answer, Hello) else Refusal(Code.BUSY, "later", 60_000).encode()


def _junk(rng: Random, _message: bytes, honest: bytes, _answer: object) -> bytes:
    return rng.randbytes(rng.randrange(2000)) if rng.random() < 0.7 else honest


def _other_change(_rng: Random, _message: bytes, honest: bytes, answer: object) -> bytes:
    if not isinstance(answer, Change):
        return honest
    return Change(0, 0, 0, squeezed(b"")).encode()


BENDERS = {
    "other bytes": _other_bytes,
    "nothing held": _nothing_held,
    "heads of no chain": _all_held,
    "always busy": _always_busy,
    "junk": _junk,
    "other change": _other_change,
}

KINDS = (*BENDERS, "stalls")

ROWS = {
    "other bytes": "C1 altered",
    "junk": "C1 altered",
    "other change": "C1 altered",
    "nothing held": "C2 omitted",
    "heads of no chain": "C1 altered",
    "stale heads": "C3 stale heads",
}
"""Which row of the fault matrix a lie belongs to; those that are not here are no lies."""

WAYS = (*KINDS, "stale heads", "nothing held", "nothing held")

SHIFTS_S = 12.0
"""How long a shifty liar lies in one way, in seconds, give or take a half."""


def shifty(runtime: SimRuntime, faults: Faults, first: int) -> Liar:
    """A liar that lies in one way after another; what it does is counted. `first`: the number of its first way."""
    rng = runtime.random
    old: dict[bytes, bytes] = {}
    at, until = first, runtime.now() + SHIFTS_S

    async def bend(peer: str, message: bytes, honest: bytes) -> bytes:
        nonlocal at, until
        if runtime.now() > until:
            at, until = rng.randrange(len(WAYS)), runtime.now() + SHIFTS_S * rng.uniform(0.5, 1.5)
        kind = WAYS[at % len(WAYS)]
        if kind == "stale heads":
            told = _stale(old, message, honest)
        else:
            old.setdefault(message, honest)
            told = await liar(kind, runtime, faults)(peer, message, honest)
        if told != honest and kind in ROWS:
            faults.add(ROWS[kind])
        return told

    return bend


def _stale(old: dict[bytes, bytes], message: bytes, honest: bytes) -> bytes:
    """What was the right answer when the same was asked for the first time."""
    first = old.setdefault(message, honest)
    return first if message.find(b"heads") >= 0 else honest
