"""Answering peers: what they may ask, how much of it, and what it costs this node at most.

Each peer has a budget of requests and of bytes that fills up with time; whoever is over it is told when to come back,
for the price of a small message. A request is read up to a limit before it is parsed, an answer is bounded before it is
made, and no more than a few of one peer's are being made at once: whatever peers send, memory and work are bounded by
the figures in `Quotas`.

Only what `pages` holds is served, to anyone: it must be a store of public pages and of nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from dkg.errors import DkgError, InputError, QueryError
from node.replication import limits
from node.replication.bucket import Bucket
from node.replication.change import TooLargeError, pack_change
from node.replication.errors import BusyError, NotHeldError, PeerError
from node.replication.messages import (
    REQUESTS,
    Code,
    GetChange,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    PageAnswer,
    ProofAnswer,
    Refusal,
    UnknownVersionError,
    decode,
)
from node.replication.squeeze import squeezed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dkg.pages import PageStore
    from node.replication.messages import Anchored, Message
    from node.replication.runtime import Runtime

    Request = Hello | GetHeads | GetPages | GetChange | GetProof

    Prover = Callable[[str, GetProof], Awaitable[bytes]]
    """Makes a proof for a peer, as a CAR file, in a worker: raises `QueryError` and other `DkgError`s."""

LANE: Final = "serve"
"""Where pages are read (`Runtime.blocking`): the store that is handed in is used there alone."""

_SMALL_COST: Final = 512
"""Bytes that any request costs its peer, besides its answer's."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one peer may ask for."""

    requests_per_s: float = 100.0
    requests_burst: float = 400.0
    bytes_per_s: float = 32.0 * 1024 * 1024
    """Bytes of answers, uncompressed: what they cost here."""
    bytes_burst: float = 128.0 * 1024 * 1024
    proofs_at_once: int = 2
    """Proofs that are made for one peer at a time."""
    all_proofs_at_once: int = 4
    """Proofs that are made for all peers at a time."""
    all_requests_at_once: int = 32
    """Requests of all peers that are answered at a time."""
    all_large_at_once: int = 2
    """Pages of more than `PAGES_BYTES_MAX` bytes that are read for all peers at a time."""
    peers_max: int = 1_024
    """Peers whose budgets are remembered."""


DEFAULT_QUOTAS: Final = Quotas()


class HeldHeads(Protocol):
    """The heads that this node holds as a whole, and tells of."""

    def after(self, publisher: bytes, most: int) -> list[Anchored]:
        """The heads of publishers after an address, in the order of addresses."""


@dataclass(slots=True)
class _Guest:
    """A peer that is being served."""

    requests: Bucket
    bytes: Bucket
    answering: int = 0
    proving: int = 0


class Server:
    """Answers requests. `handle` is what a `Transport` is given; it never raises for what a peer sent."""

    def __init__(
        self,
        runtime: Runtime,
        hello: Hello,
        pages: PageStore,
        heads: HeldHeads,
        *,
        prover: Prover | None = None,
        quotas: Quotas = DEFAULT_QUOTAS,
    ) -> None:
        """`hello`: what this node says of itself. `prover`: None refuses all proofs."""
        self._runtime = runtime
        self._hello = hello
        self._pages = pages
        self._heads = heads
        self._prover = prover
        self._quotas = quotas
        self._guests: OrderedDict[str, _Guest] = OrderedDict()
        self._answering = 0
        self._proving = 0
        self._large = 0

    async def handle(self, peer: str, message: bytes) -> bytes:
        """The answer to a message of a peer, as bytes."""
        guest = self._guest(peer)
        wait_s = self._wait_s(guest)
        if wait_s:
            return _refusal(Code.BUSY, "too many requests, or too many bytes", wait_s)
        guest.requests.take(1, self._runtime.now())
        guest.answering += 1
        self._answering += 1
        try:
            answer, cost = await self._answer(peer, guest, message)
        finally:
            guest.answering -= 1
            self._answering -= 1
        guest.bytes.take(cost + _SMALL_COST, self._runtime.now())
        return answer

    def _guest(self, peer: str) -> _Guest:
        guest = self._guests.get(peer)
        if guest is None:
            quotas, now = self._quotas, self._runtime.now()
            guest = _Guest(
                Bucket(quotas.requests_per_s, quotas.requests_burst, now),
                Bucket(quotas.bytes_per_s, quotas.bytes_burst, now),
            )
            self._guests[peer] = guest
            if len(self._guests) > quotas.peers_max:
                self._guests.popitem(last=False)
        self._guests.move_to_end(peer)
        return guest

    def _wait_s(self, guest: _Guest) -> float:
        now = self._runtime.now()
        if guest.answering >= limits.REQUESTS_AT_ONCE_MAX or self._answering >= self._quotas.all_requests_at_once:
            return 0.5
        return max(guest.requests.wait_s(now), guest.bytes.wait_s(now))

    async def _answer(self, peer: str, guest: _Guest, message: bytes) -> tuple[bytes, int]:
        """The answer, and what it costs in bytes."""
        try:
            request = cast("Request", decode(message, *REQUESTS))
            answer, cost = await self._made(peer, guest, request)
            return answer.encode(), cost
        except UnknownVersionError as error:
            return _refusal(Code.UNKNOWN_VERSION, str(error)), 0
        except PeerError as error:
            return _refusal(Code.BAD_REQUEST, str(error)), 0
        except BusyError as error:
            return _refusal(Code.BUSY, str(error), error.retry_after_s), 0
        except NotHeldError as error:
            return _refusal(Code.NOT_HELD, str(error)), 0
        except TooLargeError as error:
            return _refusal(Code.TOO_LARGE, str(error)), limits.CHANGE_BYTES_MAX
        except InputError as error:
            return _refusal(Code.REFUSED, str(error)), 0
        except DkgError:  # of this node's disk and its workers; the peer need not know more
            return _refusal(Code.FAILED, "the answer could not be made", 5.0), 0

    async def _made(self, peer: str, guest: _Guest, request: Request) -> tuple[Message, int]:
        if isinstance(request, GetPages):
            return await self._paged(request)
        if isinstance(request, GetHeads):
            most = limits.HEADS_MAX + 1
            found = await self._runtime.blocking(LANE, lambda: self._heads.after(request.after, most))
            return Heads(tuple(found[: limits.HEADS_MAX]), more=len(found) > limits.HEADS_MAX), 0
        if isinstance(request, GetChange):
            change = await self._runtime.blocking(LANE, lambda: pack_change(self._pages, request.old, request.new))
            return change, change.size
        if isinstance(request, GetProof):
            return await self._proved(peer, guest, request)
        if (request.chain, request.registry) != (self._hello.chain, self._hello.registry):
            ours = f"chain {self._hello.chain}, registry 0x{self._hello.registry.hex()}"
            return Refusal(Code.OTHER_NETWORK, f"this is a node of {ours}"), 0
        return self._hello, 0

    async def _paged(self, request: GetPages) -> tuple[PageAnswer, int]:
        if request.bytes_max <= limits.PAGES_BYTES_MAX:
            return await self._runtime.blocking(LANE, lambda: self._read(request))
        if len(request.cids) != 1:
            raise PeerError(f"more than {limits.PAGES_BYTES_MAX} bytes are sent of a single page only")
        if self._large >= self._quotas.all_large_at_once:
            raise BusyError("other large pages are being sent", 2.0)
        self._large += 1
        try:
            return await self._runtime.blocking(LANE, lambda: self._read(request))
        finally:
            self._large -= 1

    def _read(self, request: GetPages) -> tuple[PageAnswer, int]:
        """Pages until the answer is full; one that does not fit is named with its size, and ends it."""
        sizes: list[int] = []
        found: list[bytes] = []
        left = request.bytes_max
        for cid in request.cids:
            page = self._pages.get(cid)
            size = len(page) if page is not None else 0
            if page is not None and size > left:
                sizes.append(-size)
                break
            sizes.append(size)
            found += [page] if page is not None else []
            left -= size
        body = squeezed(b"".join(found)) if found else b""
        return PageAnswer(tuple(sizes), body), request.bytes_max - left

    async def _proved(self, peer: str, guest: _Guest, request: GetProof) -> tuple[ProofAnswer, int]:
        if self._prover is None:
            raise NotHeldError("this node makes no proofs for peers")
        if guest.proving >= self._quotas.proofs_at_once or self._proving >= self._quotas.all_proofs_at_once:
            raise BusyError("too many proofs are being made", 1.0)
        guest.proving += 1
        self._proving += 1
        try:
            car = await self._prover(peer, request)
        finally:
            guest.proving -= 1
            self._proving -= 1
        if len(car) > limits.PROOF_BYTES_MAX:
            raise QueryError(f"the proof is longer than {limits.PROOF_BYTES_MAX} bytes; make the query more selective")
        return ProofAnswer(len(car), squeezed(car)), len(car)


def _refusal(code: Code, reason: str, retry_after_s: float = 0.0) -> bytes:
    wait_ms = int(1000 * min(retry_after_s, limits.RETRY_AFTER_MAX_S))
    return Refusal(code, reason.encode()[:500].decode(errors="ignore"), wait_ms).encode()
