"""Peers that lie, each in its own way, whatever they are asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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

    from tests.sim.loop import SimRuntime
    from tests.sim.transport import Liar


def liar(kind: str, runtime: SimRuntime) -> Liar:
    """A liar of a kind in `KINDS`."""
    rng = runtime.random

    async def bend(_peer: str, message: bytes, honest: bytes) -> bytes:
        if kind == "stalls" and rng.random() < 0.5:
            await runtime.sleep(rng.uniform(1, 300))
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
