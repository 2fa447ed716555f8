"""Which commit counts of each publisher as of one block (docs/formats.md, section 12), proved from the block's hash.

What counts of a publisher changes after a checkpoint for two reasons only: it commits, or the commit that counts, or
one after it, is marked.
The list of those of whom it may have changed is complete: the lengths of the registry's log and of the contract's list
of marks are proved, and so is every entry of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.registry import Committed, Head, head_slot
from dkg.chain.secp import checksum
from dkg.client.checkpointread import SLOTS_PER_PROOF, commits_at, entries_since, marks_at, marks_since
from dkg.errors import ProofError
from dkg.limits import COMMITS_MAX
from dkg.page import CID_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dkg.chain.checkpoints import Checkpoint, ContractState, Mark
    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader


@dataclass(frozen=True, slots=True)
class Counting:
    """What counts of a publisher as of a block."""

    committed: Committed | None
    """The commit; None: it has none, or its last `COMMITS_MAX` are marked."""
    skipped: tuple[Mark, ...]
    """The marks of its later commits, which do not count; the newest first."""

    @property
    def root(self) -> bytes | None:
        """CID of the dataset's root; None if nothing counts."""
        return None if self.committed is None else CID_PREFIX + self.committed.commit.root


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is read: the registry and the checkpoint contract (its address, 20 bytes), as of a block."""

    reader: ChainReader
    domain: Domain
    contract: bytes
    block: Header


@dataclass(frozen=True, slots=True)
class Changes:
    """What came after a checkpoint, up to a block."""

    first: Mapping[bytes, Committed | None]
    """Of whom something else may count than the checkpoint has, and its first commit since; None: only marks."""
    commits: Sequence[Committed]
    """All commits since, in the order of the log."""
    later: Sequence[Committed]
    """The commits up to the block that are left out, if not all are taken into account."""
    length: int
    """Commits in the registry's log that are taken into account."""


def changes_since(
    place: Place,
    checkpoint: Checkpoint,
    state: ContractState,
    shown: Iterable[Committed] = (),
    length: int | None = None,
) -> Changes:
    """All that changed since a checkpoint, as of a block.

    `state`: of the contract as of the block. `shown`: commits as a node shows them, which need not be looked for.
    `length`: how much of the log is taken into account, if not all; all marks are.
    Raises what `entries_since` and `marks_since` raise, and `ProofError` if the log is shorter.
    """
    first: dict[bytes, Committed | None] = {}
    entries = entries_since(place.reader, place.domain, place.block, checkpoint.position, shown)
    known = checkpoint.position + len(entries)
    if length is not None and not checkpoint.position <= length <= known:
        raise ProofError(
            f"checkpoint {checkpoint.id} is about {checkpoint.position} commits, and the log has {known} in block "
            f"{place.block.number}: there is no answer by it as of {length}"
        )
    cut = len(entries) if length is None else length - checkpoint.position
    since, later = entries[:cut], entries[cut:]
    for committed in since:
        first.setdefault(committed.publisher, committed)
    marks = marks_since(place.reader, place.contract, place.block, checkpoint.marks, state.marks)
    positions = [position for position in marks if position < checkpoint.position]
    marked: dict[bytes, int] = {}
    older = commits_at(place.reader, place.domain, place.block, positions, shown).values()
    for committed in older:
        if committed.publisher not in first:
            marked[committed.publisher] = max(committed.position, marked.get(committed.publisher, 0))
    # A mark of a commit before the one that counts changes nothing. Anybody makes such marks, as nobody keeps old data.
    for publisher, counts in counting(place, sorted(marked), later=later, shown=[*older, *shown]).items():
        if counts.committed is None or counts.committed.position < marked[publisher]:
            first[publisher] = None
    return Changes(first, since, later, checkpoint.position + len(since))


def counting(
    place: Place,
    publishers: Collection[bytes],
    since: Sequence[Committed] = (),
    later: Sequence[Committed] = (),
    shown: Iterable[Committed] = (),
) -> dict[bytes, Counting]:
    """What counts of each of some publishers.

    `since`, `later`: the end of the log as of the block, proved; what is `later` is left out (see `Changes`). `shown`
    as above. Raises what reading does.
    """
    latest = {one.publisher: (one.commit.seq, one.position) for one in since}
    for one in later:
        latest.setdefault(one.publisher, (one.commit.seq - 1, one.prior_position))
    heads = _heads(place, [publisher for publisher in publishers if publisher not in latest])
    proved = {one.position: one for one in since}
    marks: dict[bytes, list[Mark]] = {publisher: [] for publisher in publishers}
    found: dict[bytes, Counting] = {}
    asked = {publisher: latest.get(publisher) or heads[publisher] for publisher in publishers}
    for _ in range(COMMITS_MAX):
        asked = {publisher: at for publisher, at in asked.items() if at[0] and publisher not in found}
        positions = [position for _, position in asked.values()]
        older = [position for position in positions if position not in proved]
        proved |= commits_at(place.reader, place.domain, place.block, older, shown)
        marked = marks_at(place.reader, place.contract, place.block, positions)
        for publisher, (seq, position) in asked.items():
            committed, mark = proved[position], marked[position]
            if (committed.publisher, committed.commit.seq) != (publisher, seq):
                raise ProofError(f"commit {position} of the log is not number {seq} of {checksum(publisher)}")
            if mark is None:
                found[publisher] = Counting(committed, tuple(marks[publisher]))
            else:
                marks[publisher].append(mark)
                asked[publisher] = (seq - 1, committed.prior_position)
    return {publisher: found.get(publisher, Counting(None, tuple(marks[publisher]))) for publisher in publishers}


def _heads(place: Place, publishers: list[bytes]) -> dict[bytes, tuple[int, int]]:
    """Number and position of the latest commit of each; number 0: it has none."""
    words: list[int] = []
    for at in range(0, len(publishers), SLOTS_PER_PROOF):
        slots = list(map(head_slot, publishers[at : at + SLOTS_PER_PROOF]))
        words += place.reader.slots(place.domain.registry, slots, place.block)
    heads = [Head.unpack(one, word) for one, word in zip(publishers, words, strict=True)]
    return {head.publisher: (head.seq, head.position) for head in heads}
