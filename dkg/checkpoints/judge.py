"""What the contract says to evidence: the reference, in Python (docs/formats.md, section 13; contracts/checkpoints.vy).

The fields of evidence are the arguments of the contract's functions, by their names. `judge` looks at the evidence and
at a `View`, not at bonds, times or who sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoints import Status
from dkg.chain.secp import ADDRESS_BYTES
from dkg.checkpoints.owners import has_shape, is_short, owner_of, permute
from dkg.checkpoints.records import RECORDS_MAX, check_claim
from dkg.checkpoints.shown import LEAF
from dkg.checkpoints.walk import LONG, FaultKind, check_absent, check_fault, check_hidden, check_member, walk
from dkg.errors import ProofError
from dkg.limits import PATH_BYTES_MAX, SHOW_MAX, STEM_BYTES
from dkg.page import ORDERS

if TYPE_CHECKING:
    from dkg.chain.checkpoints import Checkpoint
    from dkg.checkpoints.records import Record
    from dkg.checkpoints.view import View

NOBODY: Final = bytes(ADDRESS_BYTES)
"""The publisher in evidence that needs none."""


class RejectedError(ProofError):
    """Evidence that shows nothing wrong."""


@dataclass(frozen=True, slots=True)
class Missing:
    """`challenge_missing`: a key that counts is absent from the spog of a checkpoint."""

    id: int
    publisher: bytes
    records: tuple[Record, ...]
    ours: bytes
    """Path to the key in the spog of the commit that counts."""
    theirs: bytes
    """Path to where it is not in the spog of the checkpoint."""
    key: bytes
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Extra:
    """`challenge_extra`: a key in the spog of a checkpoint does not count."""

    id: int
    key: bytes
    """Its stem."""
    member: bytes
    """Path to it in the spog of the checkpoint."""
    publisher: bytes
    """Whose it is; `NOBODY` where that does not matter."""
    records: tuple[Record, ...]
    absent: bytes
    """Path to where it is absent or hidden in the spog of the commit that counts, if one does."""
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Index:
    """`challenge_index`: a key in a tree of a checkpoint is no quad's, or the quad is absent from another tree."""

    id: int
    key: bytes
    """Its stem, in the order of the tree where it is."""
    member: bytes
    other: int
    absent: bytes
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """`challenge_page`: a tree of a checkpoint has a fault (`FaultKind`)."""

    id: int
    fault: int
    path: bytes
    page: bytes
    bound: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class Invalid:
    """`mark_invalid`: the spog of a commit has a fault."""

    publisher: bytes
    record: Record
    fault: int
    path: bytes
    page: bytes
    bound: bytes
    entry: bytes


Evidence = Missing | Extra | Index | Fault | Invalid

_BYTES_MAX: Final = {
    "page": SHOW_MAX,
    **dict.fromkeys(("path", "ours", "theirs", "member", "absent"), PATH_BYTES_MAX),
    **dict.fromkeys(("key", "before", "after", "bound", "entry"), STEM_BYTES),
}


def judge(view: View, evidence: Evidence) -> str:
    """What the evidence shows: of a checkpoint that it is wrong, or of a commit that it is malformed; in words.

    Raises a `ProofError` for evidence that the contract does not accept: `RejectedError`, `PathError`, `ClaimError`.
    """
    _check_sizes(evidence)
    if isinstance(evidence, Invalid):
        return _invalid(view, evidence)
    checkpoint = view.checkpoint(evidence.id)
    if checkpoint is None or checkpoint.status is not Status.PENDING:
        raise RejectedError(f"no checkpoint {evidence.id} is pending")
    if isinstance(evidence, Missing):
        return _missing(view, checkpoint, evidence)
    if isinstance(evidence, Extra):
        return _extra(view, checkpoint, evidence)
    if isinstance(evidence, Index):
        return _index(view, checkpoint, evidence)
    end = walk(evidence.path, checkpoint.root, None, view.shown)
    check_fault(end, evidence.fault, evidence.page, evidence.bound, evidence.entry, view.shown)
    return f"a tree has the fault {FaultKind(evidence.fault).name.lower()}"


def _check_sizes(evidence: Evidence) -> None:
    for field in fields(evidence):
        value = getattr(evidence, field.name)
        most = _BYTES_MAX.get(field.name)
        if most is not None and len(value) > most:
            raise RejectedError(f"{field.name} has {len(value)} bytes; {most} are the most")
        if field.name == "records" and len(value) > RECORDS_MAX:
            raise RejectedError(f"there are {len(value)} records; {RECORDS_MAX} are the most")


def _missing(view: View, checkpoint: Checkpoint, evidence: Missing) -> str:
    """A key that counts is absent.

    1. The key is the publisher's: so it is short, and has the shape of a quad.
    2. The records show that a commit counts.
    3. The key is a member of its spog.
    4. The key is absent from the spog of the checkpoint.
    """
    if owner_of(evidence.key, view.domain) != evidence.publisher:
        raise RejectedError("the key is not the publisher's")
    root = check_claim(evidence.publisher, evidence.records, checkpoint.position, checkpoint.marks, view)
    if root is None:
        raise RejectedError("nothing of the publisher counts")
    check_member(walk(evidence.ours, root, 0, view.shown), evidence.key)
    theirs = walk(evidence.theirs, checkpoint.root, 0, view.shown)
    check_absent(theirs, evidence.key, evidence.before, evidence.after)
    return "a key that counts is missing"


def _extra(view: View, checkpoint: Checkpoint, evidence: Extra) -> str:
    """A member does not count.

    1. The key is a member of the spog of the checkpoint.
    2. It is not short: that is enough. It is nobody's: that is enough.
    3. It is the publisher's, and the records show that nothing of it counts: that is enough.
    4. The key is absent from the spog of the commit that counts, or hidden in it.
    """
    check_member(walk(evidence.member, checkpoint.root, 0, view.shown), evidence.key)
    if not is_short(evidence.key):
        return "a key is too long"
    owner = owner_of(evidence.key, view.domain)
    if owner is None:
        return "a key is nobody's"
    if owner != evidence.publisher:
        raise RejectedError("the key is not the publisher's")
    root = check_claim(owner, evidence.records, checkpoint.position, checkpoint.marks, view)
    if root is None:
        return "a key is of a publisher of which nothing counts"
    end = walk(evidence.absent, root, 0, view.shown)
    if end.last is not None and end.last.kind == LEAF:
        check_absent(end, evidence.key, evidence.before, evidence.after)
        return "a key is not in what counts of its publisher"
    check_hidden(end, evidence.key, evidence.before, evidence.after, view.shown)
    return "a key is behind a long page"


def _index(view: View, checkpoint: Checkpoint, evidence: Index) -> str:
    """The trees contradict each other, or one holds what is no quad's.

    1. The key is a member of the tree that its path takes.
    2. It is not short: that is enough. It has not the shape of a quad: that is enough.
    3. There is a tree `other`, and the key of the same components in its order is absent from it.
    """
    end = check_member(walk(evidence.member, checkpoint.root, None, view.shown), evidence.key)
    if not is_short(evidence.key):
        return "a key is too long"
    if not has_shape(evidence.key):
        return "a key is no quad's"
    if evidence.other >= len(ORDERS):
        raise RejectedError(f"there is no tree {evidence.other}")
    key = permute(evidence.key, ORDERS[end.tree], ORDERS[evidence.other])
    absent = walk(evidence.absent, checkpoint.root, evidence.other, view.shown)
    check_absent(absent, key, evidence.before, evidence.after)
    return "a key is not in all trees"


def _invalid(view: View, evidence: Invalid) -> str:
    """A commit is malformed.

    1. The record is the preimage of the log's entry at its position.
    2. The commit is not marked yet.
    3. Its spog has the fault. That a page is long is none, except of the dataset root.
    """
    record = evidence.record
    if record.entry(evidence.publisher) != view.entry(record.position):
        raise RejectedError(f"the log's entry at position {record.position} is not of that record")
    if view.mark(record.position) is not None:
        raise RejectedError(f"the commit at position {record.position} is marked")
    end = walk(evidence.path, record.root, 0, view.shown)
    check_fault(end, evidence.fault, evidence.page, evidence.bound, evidence.entry, view.shown)
    hidden = end.child is not None and view.shown.get(end.child) == LONG
    if evidence.fault == FaultKind.PAGE and not evidence.page and end.segments and hidden:
        raise RejectedError("a long page is no fault of a commit, it hides what is behind it")
    return f"the spog has the fault {FaultKind(evidence.fault).name.lower()}"
