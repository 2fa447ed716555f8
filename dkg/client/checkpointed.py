"""The client that asks all publishers: a checkpoint of their union, what changed since, and answers checked against it.

`CheckpointClient.head` learns all of it from endpoints, as of one block, and compares it with what it has seen before:

1. The chain is the one expected, and its newest block is one that as many endpoints as needed agree on.
2. The checkpoint contract's state and the registry's log are proved from that block's hash. No endpoint is taken at its
   word: without `eth_getProof` there is no L2 claim.
3. The checkpoint that this client last saw final is still final with the same root, the log has not become shorter,
   and its entry that was the last one then is still in its place. Otherwise it is a `RollbackError` or a
   `FinalityError`.
4. Everybody of whom something may have changed since the checkpoint is known: each entry of the log and each mark since
   is proved. What counts of them is proved too, and takes the place of what the checkpoint has of them. For a proof
   that was kept, what came after its moment (`AsOf`) is left out, but for marks: what is marked now counts no more.
5. If only what is final is wanted, the block is `finality_depth` blocks deep, the checkpoint was final in it, and what
   the answer rests on is in the newest block's state too. If more was final before, the head says so (`went_back`).
6. The answer is as young as the caller asks for.

`CheckpointClient.verify` then checks a proof against these roots, and nothing else (`dkg.checkpoints.answer`).

What is trusted: the endpoints' word for which block is the newest (`dkg.client.anchored`); that the contract at this
address is the checkpoint contract of this registry; and that somebody looked at the checkpoint while it could be
refuted. See `dkg.client.unionhead` for what follows if nobody did, and for `origins`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from dkg.chain.anchor import NoContractError
from dkg.chain.checkpoints import STATE_SLOT, Checkpoint, ContractState, Status
from dkg.chain.registry import LOG_STATE_SLOT, LogState, entry_slot
from dkg.checkpoints.answer import verify_joint
from dkg.client.anchored import PendingError, RollbackError, State, age_of
from dkg.client.chainread import FinalityError
from dkg.client.checkpointread import entries_since, log_length, read_checkpoints
from dkg.client.counting import Place, changes_since, counting
from dkg.client.trusted import FinalUnion, TrustedHeads
from dkg.client.unionhead import UnionAnswer, UnionHead
from dkg.errors import InputError, ProofError
from dkg.evaluate import ALL_GRAPHS
from dkg.limits import DEFAULT_BUDGET, FINALITY_DEPTH
from dkg.pages import KnownPages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.chain.registry import Committed
    from dkg.client.chainread import ChainReader
    from dkg.client.checkpointread import CheckpointState
    from dkg.client.unionhead import AsOf
    from dkg.evaluate import Dataset
    from dkg.limits import Budget


class NoCheckpointError(ProofError):
    """It is proved that no checkpoint is final yet, or none pending either; or not the one that is asked for."""


class CheckpointClient:
    """Reads a checkpoint and what changed since from the chain, and verifies answers over all publishers.

    Closes its reader. It keeps pages that it checked (`KnownPages`). For one thread at a time.
    """

    def __init__(
        self,
        reader: ChainReader,
        domain: Domain,
        contract: bytes,
        *,
        trusted: TrustedHeads | None = None,
        clock: Callable[[], float],
        finality_depth: int = FINALITY_DEPTH,
    ) -> None:
        """`contract`: the checkpoint contract's address. The others as for `dkg.client.anchored.Client`."""
        self._reader = reader
        self._domain = domain
        self._contract = contract
        self._trusted = trusted if trusted is not None else TrustedHeads(None)
        self._clock = clock
        self._depth = finality_depth
        self._known = KnownPages()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()

    def head(
        self,
        *,
        final: bool = False,
        pending: bool = False,
        max_age: float | None = None,
        behind: Container[bytes] = (),
        shown: Iterable[Committed] = (),
        as_of: AsOf | None = None,
    ) -> UnionHead:
        """The latest final checkpoint and what changed since.

        `final`: as of the newest block that is final, instead of the newest. `pending`: the newest checkpoint, if one
        is pending. `max_age`: seconds that the answer may be old. `behind`: publishers to answer as the checkpoint has
        them, though they committed since: nobody may have their data, or they may be too many; the answer is then as
        old as their first commit since. `shown`: commits as a node shows them, which need not be looked for.
        `as_of`: this checkpoint and no commit after that position, for a proof that was kept; all marks count, but for
        publishers that are `behind`.

        Raises `ProofError` if it cannot be trusted (`RollbackError`, `FinalityError`, `StaleError`, `PendingError`,
        `NoCheckpointError`, `OldCheckpointError`), `TooManyError`, `UnprovableError`, and `ChainError`.
        """
        if final and pending:
            raise InputError("a pending checkpoint is not final: ask for one of the two")
        found = self._reader.chain_id()  # step 1
        if found != self._domain.chain_id:
            raise ProofError(f"the endpoint is of chain {found}, not {self._domain.chain_id}")
        tip = self._reader.header("latest")
        newest = read_checkpoints(self._reader, self._contract, tip)  # step 2
        self._check_known(tip, newest)  # step 3
        state = self._buried(tip) if final else newest
        checkpoint = self._kept(state, as_of.checkpoint, pending=pending) if as_of else _chosen(state, pending=pending)
        head = self._read(state, checkpoint, behind, list(shown), as_of)  # step 4
        head.parts  # noqa: B018 - raises if they are too many
        if final:
            self._check_in(tip, head)  # step 5
        went_back = final and as_of is None and self._went_back(head)
        head = replace(head, state=self._state(head, tip, final=final), went_back=went_back)
        head = self._aged(head, max_age)  # step 6
        # A final checkpoint that a kept proof names need not be below the latest one: its marks, or position, may not.
        if head.state is State.FINAL and newest.final and _is_from(newest.final, checkpoint.position, checkpoint.marks):
            self._remember(head)
        return head

    def verify(  # noqa: PLR0913 - what is asked, what is accepted, and the arguments of `dkg.verify`
        self,
        proof: bytes,
        query: str,
        head: UnionHead,
        *,
        origins: bool = False,
        final: bool = False,
        max_age: float | None = None,
        dataset: Dataset = ALL_GRAPHS,
        base_iri: str | None = None,
        now: str | None = None,
        budget: Budget = DEFAULT_BUDGET,
    ) -> UnionAnswer:
        """Check a proof (a CAR file with several roots) against a head of this client's.

        `origins`: take no quad from the checkpoint alone; where that is not enough, it is an `OriginsError`, with whom
        to ask `beside` it. `final`, `max_age`: as for `head`. Raises `ProofError` if the answer is not proved, or the
        proof is of other roots than the head's; the others as for `dkg.verify`.
        """
        if (head.domain, head.contract) != (self._domain, self._contract):
            raise InputError("this head is of another registry, contract or chain than this client's")
        if final and head.state is not State.FINAL:
            raise PendingError("this head is not final: learn a final one")
        head = self._aged(head, max_age)
        answer = verify_joint(
            proof,
            query,
            head.parts,
            origins=origins,
            limits=budget,
            dataset=dataset,
            base_iri=base_iri,
            now=now,
            known=self._known,
        )
        return UnionAnswer(answer, head, origins)

    def beside(self, head: UnionHead, publishers: Collection[bytes], shown: Iterable[Committed] = ()) -> UnionHead:
        """A head as of the same block, with more publishers beside the checkpoint: those that `origins` needs.

        Raises what `head` raises; an endpoint may have forgotten the state of the block.
        """
        place = Place(self._reader, self._domain, self._contract, head.block)
        shown = list(shown)
        later = entries_since(self._reader, self._domain, head.block, head.length, shown) if head.later else ()
        found = counting(place, sorted(publishers), later=later, shown=shown)
        behind = {one: first for one, first in head.behind.items() if one not in found}
        more = replace(head, beside={**head.beside, **found}, behind=behind)
        more.parts  # noqa: B018 - raises if they are too many
        return more

    # --- reading -------------------------------------------------------------------------------------------

    def _read(
        self,
        found: CheckpointState,
        checkpoint: Checkpoint,
        behind: Container[bytes],
        shown: list[Committed],
        as_of: AsOf | None,
    ) -> UnionHead:
        """The checkpoint and what changed since, as of the block of what was found (step 4)."""
        place = Place(self._reader, self._domain, self._contract, found.block)
        changes = changes_since(place, checkpoint, found.state, shown, as_of.length if as_of else None)
        left = {one: first for one, first in changes.first.items() if first is not None and one in behind}
        asked = sorted(changes.first.keys() - left.keys())
        return UnionHead(
            self._domain,
            self._contract,
            checkpoint,
            found.block,
            changes.length,
            next(iter(changes.later), None),
            found.state.marks,
            frozenset(changes.first),
            counting(place, asked, changes.commits, changes.later, shown),
            left,
            State.PENDING,
            0,
            self._depth,
            self._reader.need,
        )

    def _buried(self, tip: Header) -> CheckpointState:
        """The contract as of the newest block that is final."""
        if tip.number < self._depth:
            raise PendingError(f"no block is final yet: block {tip.number} is the newest, {self._depth} must be on top")
        try:
            block = self._reader.header(tip.number - self._depth)
            return read_checkpoints(self._reader, self._contract, block)
        except NoContractError as error:
            raise PendingError(f"nothing of the contract is final yet, with {self._depth} blocks: {error}") from error

    def _state(self, head: UnionHead, tip: Header, *, final: bool) -> State:
        """Final is what was so `finality_depth` blocks ago already, the checkpoint and all that came since."""
        if head.checkpoint.status is Status.PENDING:
            return State.DISPUTED if head.checkpoint.disputed else State.PENDING
        if final:
            return State.FINAL
        if tip.number < self._depth:
            return State.PENDING
        block = self._reader.header(tip.number - self._depth)
        number = head.checkpoint.id
        try:
            word, *words = self._reader.slots(
                self._contract, [STATE_SLOT.to_bytes(32), *Checkpoint.slots(number)], block
            )
            length = log_length(self._reader, self._domain.registry, block).length
        except NoContractError:
            return State.PENDING
        then = ContractState.unpack(word)
        was_final = number <= then.last and Checkpoint.unpack(number, *words).status is Status.FINAL
        return State.FINAL if was_final and then.marks == head.marks and length >= head.length else State.PENDING

    def _aged(self, head: UnionHead, max_age: float | None) -> UnionHead:
        """The head with its age now (step 6)."""
        is_older = bool(head.behind or head.later)
        what = "the first commit that is left out" if is_older else f"block {head.block.number}"
        return replace(head, age=age_of(what, head.complete_until, self._clock(), max_age))

    # --- what was seen before ------------------------------------------------------------------------------

    def _check_known(self, tip: Header, newest: CheckpointState) -> None:
        """That what was final still is (step 3)."""
        known = self._trusted.union(self._domain, self._contract)
        if known is None:
            return
        where = f"(what was final is kept in {self._trusted.where})"
        length, entry = self._log(tip, known.length)
        final = newest.final
        if final is None or not _is_from(final, known.position, known.marks) or length < known.length:
            shown = f"checkpoint {final.id}" if final else "no final checkpoint"
            raise RollbackError(
                f"block {tip.number} has {shown} and {length} commits; checkpoint {known.checkpoint}, of position "
                f"{known.position} and {known.marks} marks, and {known.length} commits were final before: "
                f"the endpoint shows an old or another chain {where}"
            )
        kept = self._checkpoint(tip, known.checkpoint)
        if (kept.status, kept.root, entry) != (Status.FINAL, known.root, known.entry):
            raise FinalityError(
                f"checkpoint {known.checkpoint} or the log up to {known.length} was final and is another now: do not "
                f"trust this chain before you know why {where}"
            )

    def _check_in(self, tip: Header, head: UnionHead) -> None:
        """That what is final is in the newest block's state too (step 5)."""
        used = [one.committed for one in head.beside.values() if one.committed is not None]
        words = (
            self._reader.slots(self._domain.registry, [entry_slot(one.position) for one in used], tip) if used else []
        )
        is_there = all(word.to_bytes(32) == one.entry() for word, one in zip(words, used, strict=True))
        kept = self._checkpoint(tip, head.checkpoint.id)
        if not is_there or (kept.root, kept.status) != (head.checkpoint.root, Status.FINAL):
            raise FinalityError(
                f"what is final in block {head.block.number} is not in block {tip.number}: the endpoint mixes two "
                "chains, or one was reorganised while it was read"
            )

    def _kept(self, found: CheckpointState, number: int, *, pending: bool) -> Checkpoint:
        """The checkpoint with an id, if one may answer from it."""
        if not 0 < number <= found.state.last:
            raise NoCheckpointError(f"there is no checkpoint {number} in block {found.block.number}")
        kept = self._checkpoint(found.block, number)
        if kept.status is Status.REFUTED:
            raise NoCheckpointError(f"checkpoint {number} was refuted: nothing is answered from it")
        if kept.status is Status.PENDING and not pending:
            raise NoCheckpointError(
                f"checkpoint {number} is not final in block {found.block.number}; it is pending, and can be asked for"
            )
        return kept

    def _checkpoint(self, block: Header, number: int) -> Checkpoint:
        return Checkpoint.unpack(number, *self._reader.slots(self._contract, Checkpoint.slots(number), block))

    def _log(self, block: Header, position: int) -> tuple[int, bytes]:
        """How long the log is, and its entry before a position; zeros at 0."""
        slots = [LOG_STATE_SLOT.to_bytes(32), entry_slot(max(0, position - 1))]
        state, entry = self._reader.slots(self._domain.registry, slots, block)
        return LogState.unpack(state).length, entry.to_bytes(32) if position else bytes(32)

    def _went_back(self, head: UnionHead) -> bool:
        """Whether more was final before. It is on the chain still (step 3), but not in the block that is final now."""
        known = self._trusted.union(self._domain, self._contract)
        return known is not None and known.at > _at(head)

    def _remember(self, head: UnionHead) -> None:
        known, one = self._trusted.union(self._domain, self._contract), head.checkpoint
        if known is None or known.at < _at(head):
            entry = self._log(head.block, head.length)[1]
            union = FinalUnion(one.id, one.position, one.marks, one.root, head.length, entry)
            self._trusted.put_union(self._domain, self._contract, union)


def _at(head: UnionHead) -> tuple[int, int, int]:
    """As `FinalUnion.at`."""
    return head.checkpoint.position, head.checkpoint.marks, head.length


def _chosen(found: CheckpointState, *, pending: bool) -> Checkpoint:
    """The checkpoint to answer from. A pending one that a later one overtook is not asked for."""
    final, newest = found.final, max(found.pending, key=lambda one: (one.position, one.marks, one.id), default=None)
    if pending and newest is not None and (final is None or _is_from(newest, final.position, final.marks)):
        return newest
    if final is None:
        number = len(found.pending)
        open_ones = f"{number} {'is' if number == 1 else 'are'} pending, and can be asked for"
        raise NoCheckpointError(
            f"no checkpoint is final in block {found.block.number}; {open_ones if number else 'none is pending either'}"
        )
    return final


def _is_from(checkpoint: Checkpoint, position: int, marks: int) -> bool:
    """Whether a checkpoint is of a position and a number of marks, or of later ones. Ids say nothing of that."""
    return checkpoint.position >= position and checkpoint.marks >= marks
