"""The client that trusts the chain and nothing else: whose head it is, in what state, and answers checked against it.

`Client.head` learns a publisher's head from an endpoint, checks it (see `dkg.chain.anchor`), and compares it with what
this client has seen before:

1. The chain is the one expected, and its head block hashes to what the endpoints agree on.
2. The head's storage and entry are proved from that block hash; an endpoint without `eth_getProof` is taken at its
   word only if `allow_unproved` says so, and every answer then says `anchor: rpc`.
3. The log still has, at its place, the commit that this client last saw final.
4. The head is not behind that commit.
5. It is as final, and the block as young, as the caller asks for.

`Client.verify` then checks a proof against that head's root, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dkg.chain.anchor import AnchoredHead, check_commit
from dkg.chain.registry import COMMITTED, Committed, Head, decode_event, entry_slot, head_slot
from dkg.chain.secp import checksum
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.trusted import TrustedHeads
from dkg.errors import ProofError
from dkg.limits import DEFAULT_BUDGET
from dkg.page import CID_PREFIX
from dkg.proof import VerifiedAnswer, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader
    from dkg.limits import Budget

FIRST_WINDOW: Final = 1_000
"""Blocks, back from the head, in which a publisher's commit is looked for first; each next window is twice as long."""


class RollbackError(ProofError):
    """A head or a chain older than what this client has seen before."""


class StaleError(ProofError):
    """The newest block that the endpoints show is older than the caller accepts."""


class State(StrEnum):
    """How settled an anchor is."""

    FINAL = "final"
    PENDING = "pending"


class Anchor(StrEnum):
    """What the head was checked with."""

    PROVED = "proved"
    RPC = "rpc"


@dataclass(frozen=True, slots=True)
class ClientHead:
    """A publisher's head as of a block, with what this client makes of it."""

    anchored: AnchoredHead
    state: State
    anchor: Anchor
    age: int
    """Seconds from the time of the head block to now, by the device's clock; never below 0."""
    finality_depth: int
    went_back: bool = False
    """Whether a head that was pending before is gone: the chain was reorganised."""

    @property
    def committed(self) -> Committed | None:
        """The publisher's latest commit; None if it is proved that there is none."""
        return self.anchored.committed

    @property
    def root(self) -> bytes:
        """CID of the dataset's root; raises `ProofError` if the publisher has no commit."""
        if self.committed is None:
            who = checksum(self.anchored.head.publisher)
            raise ProofError(f"the publisher {who} has committed nothing up to block {self.anchored.block.number}")
        return CID_PREFIX + self.committed.commit.root

    def describe(self) -> dict[str, object]:
        """Claim, state, publisher, commit, block and age, for programs. The claim is L1: complete for the publisher."""
        committed, block = self.committed, self.anchored.block
        return {
            "claim": "L1",
            "state": str(self.state),
            "anchor": str(self.anchor),
            "publisher": checksum(self.anchored.head.publisher),
            "seq": committed.commit.seq if committed else 0,
            "position": committed.position if committed else None,
            "anchored_block": committed.block if committed else None,
            "anchored_time": committed.time if committed else None,
            "block": block.number,
            "block_hash": "0x" + block.hash.hex(),
            "block_time": block.timestamp,
            "age_seconds": self.age,
            "finality_depth": self.finality_depth,
        }

    def sentence(self) -> str:
        """The same for people."""
        committed, block = self.committed, self.anchored.block
        which = f"commit {committed.commit.seq}" if committed else "no commit"
        proved = "proved from the block hash" if self.anchor is Anchor.PROVED else "on the endpoint's word"
        back = "; a later commit seen before is gone: the chain was reorganised" if self.went_back else ""
        return (
            f"signed by {checksum(self.anchored.head.publisher)}, complete as of {which}, {self.state} "
            f"at block {block.number} ({proved}; {self.age} s old; final after {self.finality_depth} blocks){back}"
        )


@dataclass(frozen=True, slots=True)
class AnchoredAnswer:
    """A verified answer, and the head it was checked against."""

    answer: VerifiedAnswer
    head: ClientHead


class Client:
    """Reads the head of one publisher from the chain and verifies answers against it."""

    def __init__(
        self,
        reader: ChainReader,
        domain: Domain,
        publisher: bytes,
        *,
        trusted: TrustedHeads | None = None,
        clock: Callable[[], float],
        finality_depth: int = 12,
        allow_unproved: bool = False,
    ) -> None:
        """`clock`: Unix seconds. `finality_depth`: blocks above a commit's block until it counts as final."""
        self._reader = reader
        self._domain = domain
        self._publisher = publisher
        self._trusted = trusted if trusted is not None else TrustedHeads(None)
        self._clock = clock
        self._depth = finality_depth
        self._allow_unproved = allow_unproved

    def head(self, *, final: bool = False, max_age: float | None = None) -> ClientHead:
        """The publisher's head now. `final`: the newest that is final, instead of the newest.

        `max_age`: seconds; an older head block is a `StaleError`. Raises `ProofError` (`RollbackError`,
        `FinalityError`, `StaleError`) if it cannot be trusted, and `ChainError` if it cannot be read.
        """
        found = self._reader.chain_id()
        if found != self._domain.chain_id:
            raise ProofError(f"the endpoint is of chain {found}, not {self._domain.chain_id}")
        tip = self._reader.header("latest")
        block = tip
        anchored, anchor = self._read(block)
        if final and not self._is_final(anchored, tip):
            block = self._reader.header(max(0, tip.number - self._depth))
            anchored, anchor = self._read(block)
        state = State.FINAL if self._is_final(anchored, tip) else State.PENDING
        went_back = block is tip and self._went_back(anchored)
        age = max(0, int(self._clock() - tip.timestamp))
        if max_age is not None and age > max_age:
            raise StaleError(f"block {tip.number}, the newest that is shown, is {age} s old; {max_age:g} s is accepted")
        self._remember(anchored, final=state is State.FINAL, latest=block is tip)
        return ClientHead(anchored, state, anchor, age, self._depth, went_back)

    def verify(
        self,
        proof: bytes,
        query: str,
        *,
        head: ClientHead | None = None,
        final: bool = False,
        max_age: float | None = None,
        budget: Budget = DEFAULT_BUDGET,
    ) -> AnchoredAnswer:
        """Check a proof (a CAR file) against the publisher's head. `head`: one just learned; else it is read now.

        Raises `ProofError` if the answer is not proved, or the proof is of another root than the head's.
        """
        head = self.head(final=final, max_age=max_age) if head is None else head
        answer = verify(proof, query, head.root, limits=budget)
        return AnchoredAnswer(answer, head)

    # --- reading -------------------------------------------------------------------------------------------

    def _read(self, block: Header) -> tuple[AnchoredHead, Anchor]:
        """The head as of a block, checked against what was final."""
        known = self._trusted.get(self._domain, self._publisher, final=True)
        kept = [] if known is None else [entry_slot(known.position)]
        words, anchor = self._slots(block, [head_slot(self._publisher), *kept])
        head = Head.unpack(self._publisher, words[0])
        who = checksum(self._publisher)
        if known is not None:
            if head.seq < known.commit.seq:
                raise RollbackError(
                    f"block {block.number} has commit {head.seq} of {who} as the latest; commit {known.commit.seq} was "
                    "final before: the endpoint shows an old or another chain"
                )
            if words[1].to_bytes(32) != known.entry():
                raise FinalityError(
                    f"commit {known.commit.seq} of {who} was final and is not in the log any more: "
                    "do not trust this chain before you know why"
                )
        if head.seq == 0:
            return AnchoredHead(self._domain, head, None, block, proved=anchor is Anchor.PROVED), anchor
        if known is not None and head.position == known.position:
            entry, committed = words[1], known
        else:
            entry = self._slots(block, [entry_slot(head.position)])[0][0]
            committed = self._commit_at(head, entry, block)
        anchored = check_commit(self._domain, block, head, entry, committed)
        return replace(anchored, proved=anchor is Anchor.PROVED), anchor

    def _slots(self, block: Header, slots: list[bytes]) -> tuple[list[int], Anchor]:
        registry = self._domain.registry
        try:
            return self._reader.slots(registry, slots, block), Anchor.PROVED
        except UnprovableError:
            if not self._allow_unproved:
                raise
        return [self._reader.storage(registry, slot, block) for slot in slots], Anchor.RPC

    def _commit_at(self, head: Head, entry: int, block: Header) -> Committed:
        """The commit of a head: the one kept, or from the newest events backwards. Not believed: its hash counts."""
        latest = self._trusted.get(self._domain, self._publisher, final=False)
        if latest is not None and latest.entry() == entry.to_bytes(32):
            return latest
        topics = [COMMITTED, self._publisher.rjust(32, b"\0")]
        end, window = block.number, FIRST_WINDOW
        while end >= 0:
            start = max(0, end - window + 1)
            for log in reversed(self._reader.logs(self._domain.registry, start, end, topics)):
                number = log.block_number
                header = block if number == block.number else self._reader.header(number)
                event = decode_event(list(log.topics), log.data, number, header.timestamp)
                if isinstance(event, Committed) and event.position == head.position:
                    return event
            end, window = start - 1, 2 * window
        raise ProofError(
            f"the endpoint does not show commit {head.seq} of {checksum(self._publisher)}, which the registry has: "
            "ask another endpoint, or one that keeps old events"
        )

    # --- what was seen before ------------------------------------------------------------------------------

    def _is_final(self, anchored: AnchoredHead, tip: Header) -> bool:
        committed = anchored.committed
        return committed is not None and committed.block + self._depth <= tip.number

    def _went_back(self, anchored: AnchoredHead) -> bool:
        """Whether a commit seen before, not final yet, is not on the chain any more."""
        latest = self._trusted.get(self._domain, self._publisher, final=False)
        if latest is None or anchored.committed == latest:
            return False
        return anchored.head.seq <= latest.commit.seq

    def _remember(self, anchored: AnchoredHead, *, final: bool, latest: bool) -> None:
        if anchored.committed is None:
            return
        if latest:
            self._trusted.put(self._domain, anchored.committed, final=False)
        if final:
            self._trusted.put(self._domain, anchored.committed, final=True)
