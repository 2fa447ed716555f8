"""The client that trusts the chain and nothing else: whose head it is, in what state, and answers checked against it.

`Client.head` learns a publisher's head from endpoints, checks it (see `dkg.chain.anchor`), and compares it with what
this client has seen before:

1. The chain is the one expected, and its newest block is one that as many endpoints as needed agree on.
2. The head's storage and entry are proved from that block's hash; an endpoint without `eth_getProof` is taken at its
   word only if `allow_unproved` says so. Every answer then says `anchor: rpc`, and nothing of it is remembered.
3. The log still has, at its place, the commit that this client last saw final.
4. The head is not behind that commit.
5. A commit that is older than the newest, because only what is final is wanted, is in the newest block's log too.
6. The block whose state is told is as young as the caller asks for, by a clock that cannot be behind it.

`Client.verify` then checks a proof against that head's root, and nothing else.

What is trusted is the endpoints' word for which block is the chain's newest; a proof binds everything else to that
block. One endpoint alone can make up a chain: a block with any number, time and state that hashes to what it says. Ask
several, of different companies (`dkg.client.quorum`); `endpoints` in every answer says how many had to agree. An
endpoint that hides the newest blocks is not found out, but what it shows ages: see `max_age`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from dkg.chain.anchor import AnchoredHead, NoContractError, check_commit
from dkg.chain.registry import LOG_STATE_SLOT, Committed, Head, LogState, entry_slot, head_slot
from dkg.chain.secp import checksum
from dkg.chain.ual import Publisher
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.search import find_commit
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError, ProofError
from dkg.evaluate import ALL_GRAPHS
from dkg.limits import DEFAULT_BUDGET, FINALITY_DEPTH
from dkg.page import CID_PREFIX
from dkg.pages import KnownPages
from dkg.proof import VerifiedAnswer, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader
    from dkg.evaluate import Dataset
    from dkg.limits import Budget

CLOCK_BEHIND_MAX_S: Final = 60
"""How far the device's clock may be behind a block's time before ages mean nothing, in seconds."""


class RollbackError(ProofError):
    """A head or a chain older than what this client has seen before."""


class StaleError(ProofError):
    """The block that an answer is as of is older than the caller accepts, or one cannot tell how old it is."""


class PendingError(ProofError):
    """What was asked for as final is not final yet."""


class Claim(StrEnum):
    """What an answer claims (DESIGN, section 5)."""

    AUTHENTIC = "L0"
    """The publisher signed it; whether it is the latest is not said."""
    COMPLETE_FOR_PUBLISHER = "L1"
    """And it is all that the publisher says about it, as of a block."""
    COMPLETE_FOR_ALL = "L2"
    """And it is all that any publisher says about it, on the word of a checkpoint that nobody refuted."""


class State(StrEnum):
    """How settled an anchor is."""

    FINAL = "final"
    PENDING = "pending"
    DISPUTED = "disputed"
    """Of a checkpoint: pending, and somebody waits for a page of it."""


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
    """Seconds from the time of the block to now, by the device's clock; below 0 if that clock is behind."""
    finality_depth: int
    endpoints: int
    """How many endpoints had to agree on the block: all that is trusted."""
    went_back: bool = False
    """Whether a head that was pending before is gone, or not shown any more."""

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
        committed, block, domain = self.committed, self.anchored.block, self.anchored.domain
        return {
            "claim": str(Claim.COMPLETE_FOR_PUBLISHER),
            "state": str(self.state),
            "anchor": str(self.anchor),
            "endpoints": self.endpoints,
            "chain_id": domain.chain_id,
            "registry": checksum(domain.registry),
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
            "went_back": self.went_back,
        }

    def sentence(self) -> str:
        """The same for people."""
        committed, number = self.committed, self.anchored.block.number
        who = checksum(self.anchored.head.publisher)
        what = f"signed by {who}, complete as of commit {committed.commit.seq}" if committed else f"{who} has no commit"
        said = f"{self.endpoints} endpoint" + ("s agree on" if self.endpoints > 1 else " names")
        proved = f"proved from the block hash that {said}" if self.anchor is Anchor.PROVED else "on the endpoint's word"
        age = f"{self.age} s old" if self.age >= 0 else f"{-self.age} s ahead of this device's clock"
        back = f"; {self._back(committed)}" if self.went_back else ""
        return (
            f"{what}, {self.state} at block {number} ({proved}; {age}; final after {self.finality_depth} blocks){back}"
        )

    def _back(self, committed: Committed | None) -> str:
        shown = f"commit {committed.commit.seq}" if committed else "no commit"
        return f"a later commit seen before is gone, {shown} is shown: the chain was reorganised, or blocks are hidden"


@dataclass(frozen=True, slots=True)
class AnchoredAnswer:
    """A verified answer, and the head it was checked against."""

    answer: VerifiedAnswer
    head: ClientHead

    def describe(self) -> dict[str, object]:
        """See `ClientHead.describe`."""
        return self.head.describe()

    def sentence(self) -> str:
        """See `ClientHead.sentence`."""
        return self.head.sentence()


class Client:
    """Reads the head of one publisher from the chain and verifies answers against it. Closes its reader.

    It keeps pages that it checked (`KnownPages`), which makes the next answer faster. For one thread at a time.
    """

    def __init__(
        self,
        reader: ChainReader,
        domain: Domain,
        publisher: bytes,
        *,
        trusted: TrustedHeads | None = None,
        clock: Callable[[], float],
        finality_depth: int = FINALITY_DEPTH,
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
        self._last_final: ClientHead | None = None
        self._known = KnownPages()

    @property
    def publisher(self) -> Publisher:
        """Whose head it reads."""
        return Publisher(self._domain.chain_id, self._domain.registry, self._publisher)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def head(self, *, final: bool = False, max_age: float | None = None, shown: Committed | None = None) -> ClientHead:
        """The publisher's head now. `final`: the newest that is final, instead of the newest.

        `max_age`: seconds; an older block is a `StaleError`. `shown`: a commit that somebody shows, such as the node
        that serves the data; if it is the one (its hash says so), events need not be searched. Raises `ProofError`
        (`RollbackError`, `FinalityError`, `StaleError`, `PendingError`) if the head cannot be trusted, and
        `ChainError` if it cannot be read.
        """
        found = self._reader.chain_id()  # step 1
        if found != self._domain.chain_id:
            raise ProofError(f"the endpoint is of chain {found}, not {self._domain.chain_id}")
        tip = self._reader.header("latest")
        known = self._trusted.get(self._domain, self._publisher, final=True)
        anchored, anchor = self._read(tip, known, shown)
        went_back = self._went_back(anchored)
        if final and not self._is_final(anchored, tip):
            anchored, anchor = self._read_final(tip, known, shown)
        state = State.FINAL if self._is_final(anchored, tip) else State.PENDING
        head = ClientHead(anchored, state, anchor, 0, self._depth, self._reader.need, went_back)
        head = self._aged(head, max_age)
        if anchor is Anchor.PROVED:
            self._remember(head, latest=anchored.block is tip)
        return head

    def last_final(self) -> ClientHead | None:
        """The newest final head that this object has learned, as old as it is now; None before. Asks nobody.

        For when the endpoints are down: what was final stays so, only older.
        """
        return None if self._last_final is None else self._aged(self._last_final, None)

    def verify(  # noqa: PLR0913 - what is asked, what is accepted, and the arguments of `dkg.verify`
        self,
        proof: bytes,
        query: str,
        *,
        head: ClientHead | None = None,
        final: bool = False,
        max_age: float | None = None,
        dataset: Dataset = ALL_GRAPHS,
        base_iri: str | None = None,
        now: str | None = None,
        budget: Budget = DEFAULT_BUDGET,
    ) -> AnchoredAnswer:
        """Check a proof (a CAR file) against the publisher's head. `head`: one learned before; else it is read now.

        `final` and `max_age` hold for both. Raises `ProofError` if the answer is not proved, or the proof is of
        another root than the head's; the others as for `dkg.verify` and `head`.
        """
        head = self.head(final=final, max_age=max_age) if head is None else self._again(head, final, max_age)
        answer = verify(
            proof, query, head.root, limits=budget, dataset=dataset, base_iri=base_iri, now=now, known=self._known
        )
        return AnchoredAnswer(answer, head)

    # --- accepting -----------------------------------------------------------------------------------------

    def _again(self, head: ClientHead, final: bool, max_age: float | None) -> ClientHead:  # noqa: FBT001
        """A head learned before, if it is what is asked for now."""
        if (head.anchored.domain, head.anchored.head.publisher) != (self._domain, self._publisher):
            raise InputError("this head is of another publisher, registry or chain than this client's")
        if head.anchor is Anchor.RPC and not self._allow_unproved:
            raise InputError("this head was not proved, and this client does not allow that")
        if final and head.state is not State.FINAL:
            raise PendingError("this head is not final: learn a final one")
        return self._aged(head, max_age)

    def _aged(self, head: ClientHead, max_age: float | None) -> ClientHead:
        """The head with its age now (step 6)."""
        block = head.anchored.block
        return replace(head, age=age_of(f"block {block.number}", block.timestamp, self._clock(), max_age))

    # --- reading -------------------------------------------------------------------------------------------

    def _read(self, block: Header, known: Committed | None, shown: Committed | None) -> tuple[AnchoredHead, Anchor]:
        """The head as of a block, checked against what was final (steps 2 to 4)."""
        kept = [] if known is None else [entry_slot(known.position)]
        words, anchor = self._slots(block, [head_slot(self._publisher), *kept])
        head = Head.unpack(self._publisher, words[0])
        if known is not None:
            self._check_known(head, words[1], known, block)
        if head.seq == 0:
            return AnchoredHead(self._domain, head, None, block, proved=anchor is Anchor.PROVED), anchor
        if known is not None and head.position == known.position:
            entry, committed = words[1], known
        else:
            (entry, state), second = self._slots(block, [entry_slot(head.position), LOG_STATE_SLOT.to_bytes(32)])
            anchor = _weaker(anchor, second)
            committed = self._commit_of(head, entry.to_bytes(32), LogState.unpack(state).first_block, block, shown)
        anchored = check_commit(self._domain, block, head, entry, committed)
        return replace(anchored, proved=anchor is Anchor.PROVED), anchor

    def _read_final(self, tip: Header, known: Committed | None, shown: Committed | None) -> tuple[AnchoredHead, Anchor]:
        """The newest head that is final where the newest one is not (step 5)."""
        block = self._reader.header(max(0, tip.number - self._depth))
        if known is not None and known.block > block.number:
            known = None  # it was final for a client that wanted fewer blocks
        try:
            anchored, anchor = self._read(block, known, shown)
        except NoContractError as error:
            raise PendingError(f"nothing of the registry is final yet, with {self._depth} blocks: {error}") from error
        committed = anchored.committed
        if not self._is_final(anchored, tip):
            raise PendingError(f"nothing is final yet: block {tip.number} is the newest, {self._depth} must be on top")
        if committed is not None:
            (entry,), second = self._slots(tip, [entry_slot(committed.position)])
            anchor = _weaker(anchor, second)
            if entry.to_bytes(32) != committed.entry():
                raise FinalityError(
                    f"commit {committed.commit.seq} is in the log of block {block.number} and not in that of block "
                    f"{tip.number}: the endpoint mixes two chains, or one was reorganised while it was read"
                )
        return replace(anchored, proved=anchor is Anchor.PROVED), anchor

    def _check_known(self, head: Head, entry: int, known: Committed, block: Header) -> None:
        who, seq = checksum(self._publisher), known.commit.seq
        if head.seq < seq:
            raise RollbackError(
                f"block {block.number} has commit {head.seq} of {who} as the latest; commit {seq} was final before: "
                f"the endpoint shows an old or another chain (what was final is kept in {self._trusted.where})"
            )
        if entry.to_bytes(32) != known.entry():
            raise FinalityError(
                f"commit {seq} of {who} was final and is not in the log any more: do not trust this chain before you "
                f"know why (what was final is kept in {self._trusted.where})"
            )

    def _slots(self, block: Header, slots: list[bytes]) -> tuple[list[int], Anchor]:
        registry = self._domain.registry
        try:
            return self._reader.slots(registry, slots, block), Anchor.PROVED
        except UnprovableError:
            if not self._allow_unproved:
                raise
        return [self._reader.storage(registry, slot, block) for slot in slots], Anchor.RPC

    def _commit_of(
        self, head: Head, entry: bytes, first_block: int, block: Header, shown: Committed | None
    ) -> Committed:
        """The commit of a head: one that is known or shown, else from the events. Not believed: its hash counts."""
        latest = self._trusted.get(self._domain, self._publisher, final=False)
        for committed in (latest, shown):
            if committed is not None and committed.entry() == entry:
                return committed
        return find_commit(self._reader, self._domain.registry, head, entry, block, first_block)

    # --- what was seen before ------------------------------------------------------------------------------

    def _is_final(self, anchored: AnchoredHead, tip: Header) -> bool:
        committed = anchored.committed
        since = anchored.block.number if committed is None else committed.block
        return since + self._depth <= tip.number

    def _went_back(self, anchored: AnchoredHead) -> bool:
        """Whether a commit seen before, not final yet, is not on the chain any more."""
        latest, committed = self._trusted.get(self._domain, self._publisher, final=False), anchored.committed
        if latest is None or (committed is not None and committed.entry() == latest.entry()):
            return False
        return anchored.head.seq <= latest.commit.seq

    def _remember(self, head: ClientHead, *, latest: bool) -> None:
        committed, before = head.committed, self._trusted.get(self._domain, self._publisher, final=False)
        is_older = before is not None and before.block > head.anchored.block.number  # so it contradicts nothing
        if latest and not is_older and committed is None:
            self._trusted.drop(self._domain, self._publisher)
        elif latest and not is_older and committed is not None:
            self._trusted.put(self._domain, committed, final=False)
        if committed is not None and head.state is State.FINAL:
            self._trusted.put(self._domain, committed, final=True)
            self._last_final = head


def age_of(what: str, time: int, now: float, max_age: float | None) -> int:
    """How old something is, in seconds, of which an answer is; `time`, `now` in Unix seconds. For `max_age` see `head`.

    Raises `StaleError` if it is older, or if that cannot be told.
    """
    age = int(now - time)
    if max_age is None:
        return age
    if not max_age >= 0:
        raise InputError(f"an age is 0 seconds or more, not {max_age}")
    if age < -CLOCK_BEHIND_MAX_S:
        raise StaleError(
            f"{what} is {-age} s ahead of this device's clock, so its age cannot be told: "
            "set the clock, or ask other endpoints"
        )
    if age > max_age:
        raise StaleError(f"{what}, as of which this is, is {age} s old; {max_age:g} s is accepted")
    return age


def _weaker(one: Anchor, other: Anchor) -> Anchor:
    """What is checked in two parts is proved if both are."""
    return one if one is other else Anchor.RPC
