"""Asking a peer: one method for each request, with answers that are checked as far as they can be on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

from dkg.errors import LimitError
from node.replication import limits
from node.replication.errors import BusyError, NotHeldError, PeerError
from node.replication.messages import (
    Change,
    Code,
    GetChange,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    Message,
    PageAnswer,
    ProofAnswer,
    Refusal,
    decode,
)
from node.replication.squeeze import unsqueezed

if TYPE_CHECKING:
    from node.replication.messages import Anchored
    from node.replication.transport import Transport

TIMEOUT_S: Final = 15.0
"""How long an answer may take, in seconds, besides the time for its bytes."""

BYTES_PER_S_MIN: Final = 64 * 1024
"""Slowest peer that is waited for, in bytes a second."""

HEADS_ASKED_MAX: Final = 64
"""Most messages in which a peer may tell its heads."""

_LATER: Final = {Code.BUSY, Code.FAILED}

Answered = TypeVar("Answered", bound=Message)


class Asker:
    """Asks peers through a transport.

    All methods raise `UnreachableError`, `BusyError`, `NotHeldError`, and `PeerError` for what no honest peer sends.
    """

    def __init__(self, transport: Transport, hello: Hello) -> None:
        self._transport = transport
        self._hello = hello

    async def hello(self, peer: str) -> Hello:
        """Greet. Raises `NotHeldError` for a peer of another network."""
        answer = await self._ask(peer, self._hello, Hello, limits.SMALL_BYTES_MAX)
        ours = self._hello
        if (answer.chain, answer.registry) != (ours.chain, ours.registry):
            raise NotHeldError(f"the peer {peer} is of chain {answer.chain}, registry 0x{answer.registry.hex()}")
        return answer

    async def heads(self, peer: str) -> list[Anchored]:
        """What a peer says it holds."""
        found: list[Anchored] = []
        after = b""
        for _ in range(HEADS_ASKED_MAX):
            answer = await self._ask(peer, GetHeads(after), Heads, limits.HEADS_BYTES_MAX)
            publishers = [head.publisher for head in answer.heads]
            if publishers != sorted(set(publishers)) or (publishers and publishers[0] <= after):
                raise PeerError(f"the heads of the peer {peer} are not in order")
            found += answer.heads
            if not answer.more or not publishers:
                break
            after = publishers[-1]
        return found

    async def pages(self, peer: str, cids: list[bytes]) -> list[tuple[bytes, bytes | None]]:
        """(CID, page) for a first part of `cids`, one at least; None for a page that the peer does not have.

        The bytes are those that the peer sent: nobody has hashed them.
        """
        answer, data = await self._pages(peer, cids, limits.PAGES_BYTES_MAX)
        if answer.sizes and answer.sizes[0] < 0:  # larger than all that may be in one answer: on its own, then
            size = -answer.sizes[0]
            if size <= limits.PAGES_BYTES_MAX:
                raise PeerError(f"the peer {peer} says that a page of {size} bytes does not fit into an answer")
            answer, data = await self._pages(peer, cids[:1], size)
        if not answer.sizes or answer.sizes[0] < 0:
            raise PeerError(f"the peer {peer} answers with no page at all")
        found: list[tuple[bytes, bytes | None]] = []
        at = 0
        for cid, size in zip(cids, answer.sizes, strict=False):
            if size < 0:
                break
            found.append((cid, data[at : at + size] if size else None))
            at += size
        return found

    async def _pages(self, peer: str, cids: list[bytes], bytes_max: int) -> tuple[PageAnswer, bytes]:
        most = bytes_max + bytes_max // 256 + limits.BODY_OVERHEAD_BYTES
        answer = await self._ask(peer, GetPages(tuple(cids), bytes_max), PageAnswer, most)
        sizes = [size for size in answer.sizes if size > 0]
        if len(answer.sizes) > len(cids) or sum(sizes) > bytes_max:
            raise PeerError(f"the peer {peer} sends more pages or bytes than it was asked for")
        return answer, unsqueezed(answer.body, sum(sizes)) if sizes else b""

    async def change(self, peer: str, old: bytes, new: bytes) -> Change:
        """A small change between two datasets. Nobody has checked what is in it."""
        return await self._ask(peer, GetChange(old, new), Change, Change.BYTES_MAX)

    async def proof(self, peer: str, request: GetProof) -> bytes:
        """A proof, as a CAR file: to be checked with `dkg.verify`. Raises `LimitError` for a query that is too long."""
        answer = await self._ask(peer, request, ProofAnswer, ProofAnswer.BYTES_MAX)
        return unsqueezed(answer.body, answer.size)

    async def _ask(self, peer: str, message: Message, kind: type[Answered], bytes_max: int) -> Answered:
        try:
            asked = message.encode()
        except ValueError as error:
            raise LimitError(str(error)) from error
        timeout_s = TIMEOUT_S + bytes_max / BYTES_PER_S_MIN
        raw = await self._transport.request(
            peer, asked, timeout_s=timeout_s, bytes_max=max(bytes_max, limits.SMALL_BYTES_MAX)
        )
        answer = decode(raw, kind, Refusal)
        if isinstance(answer, kind):
            return answer
        raise _refused(peer, cast("Refusal", answer))


def _refused(peer: str, refusal: Refusal) -> BusyError | NotHeldError:
    what = f"the peer {peer} refuses ({refusal.code}): {refusal.reason!r}"
    if refusal.code in _LATER:
        return BusyError(what, refusal.retry_after_ms / 1000)
    return NotHeldError(what)
