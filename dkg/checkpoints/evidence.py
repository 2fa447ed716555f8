"""Making evidence from pages and logs, and keeping its transaction small by showing large pages first.

Evidence is made of pages' bytes. `shows_needed` says which of them to show before; `summarised` puts their summaries in
their places. What is not so is refused with `InputError`: who calls has found out what is wrong. `PageError` and what
`Pages` raises come through.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.checkpoints.judge import NOBODY, Evidence, Extra, Fault, Index, Invalid, Missing
from dkg.checkpoints.owners import has_shape, is_short, owner_of, permute
from dkg.checkpoints.paths import SEGMENT_RAW, Step, Way, path
from dkg.checkpoints.records import Record, claim, counting_commit, marked_among
from dkg.checkpoints.shown import Kind, children_of, classify, entries_of, stem, summary_of
from dkg.checkpoints.walk import FaultKind
from dkg.errors import InputError
from dkg.limits import LEAF_KEYS_MAX
from dkg.page import CID_PREFIX, ORDERS, Leaf, cid_of, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from dkg.chain.checkpoints import Checkpoint, Mark
    from dkg.chain.commit import Domain
    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.page import Page
    from dkg.pages import Pages

CALLDATA_BYTES: Final = 36_000
"""Bytes of a transaction's data up to which no page is shown before: 1,500,000 gas are 37,000 (ADR 12)."""

GAS_MAX: Final = 1_500_000
"""Gas of a transaction, by `gas_most`, up to which no page is shown before."""

_GAS_BASE: Final = 270_000
"""More than all takes but data, records and paths' segments: memory for two paths, three stems, storage."""
_GAS_RECORD: Final = 8_000
_GAS_BYTE: Final = 16
_GAS_RAW: Final = 9_000
_GAS_ENTRY: Final = 2_800
_GAS_READ: Final = 5
_GAS_SUMMARY: Final = 7_500
"""Gas for a record; a byte of data; a page by its bytes, each of its keys or children, and each byte; one by its
summary (tests/contracts/checkpoints/test_gas_checkpoints.py compares with the contract)."""

_HEADER: Final = 4
_PATHS: Final = frozenset({"ours", "theirs", "member", "absent", "path"})
_WORD: Final = 32
_RECORD_BYTES: Final = 4 * _WORD

E = TypeVar("E", bound=Evidence)


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong checkpoint, and what shows that it is wrong."""

    domain: Domain
    log: RegistryLog
    marked: Mapping[int, Mark]
    """By position, all that there are."""
    checkpoint: Checkpoint
    union: Pages
    """The pages below the checkpoint's root."""
    commits: Pages
    """The pages below the roots of commits."""

    @property
    def root(self) -> bytes:
        """The CID of the checkpoint's dataset root."""
        return CID_PREFIX + self.checkpoint.root

    def claim(self, publisher: bytes) -> tuple[tuple[Record, ...], bytes | None]:
        """The records that show what counts of a publisher, and its root's CID; None if nothing does."""
        marked = marked_among(self.marked, self.checkpoint.marks)
        shown = claim(self.log, publisher, self.checkpoint.position, marked)
        counts = counting_commit(self.log, publisher, self.checkpoint.position, marked)
        return tuple(map(Record.of, shown)), CID_PREFIX + counts.commit.root if counts else None


def missing(case: Case, key: bytes) -> Missing:
    """Evidence that a key of spog counts and is absent from the checkpoint's spog."""
    publisher = owner_of(key, case.domain)
    if publisher is None:
        raise InputError("the key is no publisher's: it cannot be missing")
    records, root = case.claim(publisher)
    if root is None:
        raise InputError("nothing of the key's publisher counts: it cannot be missing")
    ours, theirs = path(case.commits, root, 0, key), path(case.union, case.root, 0, key)
    if not ours.member or theirs.member or theirs.hidden:
        raise InputError("the key does not count, or the checkpoint has it or a long page in its place")
    return Missing(
        case.checkpoint.id, publisher, records, ours.encode(), theirs.encode(), key, theirs.before, theirs.after
    )


def extra(case: Case, key: bytes) -> Extra:
    """Evidence that a key (the whole, not its stem) in the checkpoint's spog does not count."""
    member = path(case.union, case.root, 0, key)
    if not member.member:
        raise InputError("the checkpoint has not the key that should be too much")
    found = Extra(case.checkpoint.id, stem(key), member.encode(), NOBODY, (), b"", b"", b"")
    publisher = owner_of(key, case.domain)
    if publisher is None:
        return found
    records, root = case.claim(publisher)
    found = replace(found, publisher=publisher, records=records)
    if root is None:
        return found
    place = path(case.commits, root, 0, key)
    if place.member:
        raise InputError("the key counts: it is not too much")
    return replace(found, absent=place.encode(), before=place.before, after=place.after)


def index(case: Case, key: bytes, tree: int, other: int) -> Index:
    """Evidence that a key (the whole) of tree `tree` of the checkpoint is no quad's, or absent from tree `other`."""
    member = path(case.union, case.root, tree, key)
    if not member.member:
        raise InputError(f"tree {ORDERS[tree]} of the checkpoint has not the key")
    found = Index(case.checkpoint.id, stem(key), member.encode(), other, b"", b"", b"")
    if not is_short(key) or not has_shape(key):
        return found
    place = path(case.union, case.root, other, permute(key, ORDERS[tree], ORDERS[other]))
    if place.member or place.hidden:
        raise InputError(f"tree {ORDERS[other]} of the checkpoint has the key too, or a long page in its place")
    return replace(found, absent=place.encode(), before=place.before, after=place.after)


def fault(checkpoint: Checkpoint, kind: FaultKind, way: Way, page: bytes = b"") -> Fault:
    """Evidence of a fault in a tree of a checkpoint: the path as that kind needs it, for *page* the page's bytes.

    Without bytes, the page must have been shown as malformed or long.
    """
    return Fault(checkpoint.id, kind, way.encode(), page, *_bound_and_entry(kind, way))


def invalid(committed: Committed, kind: FaultKind, way: Way, page: bytes = b"") -> Invalid:
    """Evidence of a fault in the spog of a commit; see `fault`."""
    bound, entry = _bound_and_entry(kind, way)
    return Invalid(committed.publisher, Record.of(committed), kind, way.encode(), page, bound, entry)


def _bound_and_entry(kind: FaultKind, way: Way) -> tuple[bytes, bytes]:
    if kind is not FaultKind.BOUNDS:
        return b"", b""
    step = way.steps[-1]
    entry = stem(entries_of(step.page)[step.at])
    lower, upper = way.bounds
    return (upper if upper and entry >= upper else lower), entry


# --- what to show first -------------------------------------------------------------------------------------------


def calldata_bytes(evidence: Evidence) -> int:
    """How many bytes the transaction's data has, by the contract ABI."""
    size = 4
    for field in fields(evidence):
        value = getattr(evidence, field.name)
        if isinstance(value, Record):
            size += _RECORD_BYTES
        elif isinstance(value, tuple):
            size += 2 * _WORD + len(value) * _RECORD_BYTES
        elif isinstance(value, bytes) and field.name != "publisher":
            size += 2 * _WORD + len(value) + -len(value) % _WORD
        else:
            size += _WORD
    return size


def _steps(blob: bytes) -> Iterator[Step]:
    """The steps of a path that is made of pages' bytes."""
    at = 0
    while at < len(blob):
        body = at + _HEADER
        end = body + int.from_bytes(blob[at + 2 : body])
        if blob[at] != SEGMENT_RAW:
            raise InputError("evidence that names pages by their summaries cannot be summarised again")
        raw = blob[body:end]
        yield Step(decode(cid_of(raw), raw), raw, blob[at + 1])
        at = end


def _paths(evidence: Evidence) -> dict[str, Way]:
    names = [field.name for field in fields(evidence) if field.name in _PATHS]
    return {name: Way(tuple(_steps(getattr(evidence, name)))) for name in names}


def _malformed_page(evidence: Evidence) -> bytes:
    """The bytes of a malformed page that the evidence shows itself; empty if there is none."""
    page: bytes = getattr(evidence, "page", b"")
    return page if classify(page).kind is Kind.MALFORMED else b""


def summarised(evidence: E, digests: AbstractSet[bytes]) -> E:
    """The same evidence with less bytes, when the contract has been shown the pages with these digests."""
    changed = {name: way.encode(digests) for name, way in _paths(evidence).items()}
    page = _malformed_page(evidence)
    if page and sha256(page).digest() in digests:
        changed["page"] = b""
    return replace(evidence, **changed)  # type: ignore[arg-type]  # only fields of bytes are changed


def _segment_gas(page: Page, raw: bytes) -> int:
    """At most what it takes to read a page by its bytes, without their price as data."""
    entries = len(page.keys) if isinstance(page, Leaf) else len(children_of(page))
    return _GAS_RAW + _GAS_ENTRY * entries + _GAS_READ * len(raw)


def gas_most(evidence: Evidence, digests: AbstractSet[bytes] = frozenset()) -> int:
    """More gas than the transaction takes when pages with these digests were shown, but for EIP-7623."""
    records = len(getattr(evidence, "records", (None,)))
    gas = _GAS_BASE + _GAS_RECORD * records + _GAS_BYTE * calldata_bytes(summarised(evidence, digests))
    for way in _paths(evidence).values():
        gas += sum(_GAS_SUMMARY if step.digest in digests else _segment_gas(step.page, step.raw) for step in way.steps)
    page = getattr(evidence, "page", b"")
    return gas + _GAS_RAW + _GAS_ENTRY * LEAF_KEYS_MAX + _GAS_READ * len(page) if page else gas


def least_gas(data: bytes) -> int:
    """What a transaction with these data pays at least, in units of gas: EIP-7623."""
    return 21_000 + 10 * (4 * len(data) - 3 * data.count(0))


def shows_needed(evidence: Evidence, budget: int = CALLDATA_BYTES) -> list[bytes]:
    """The pages to show first, so that the transaction has at most `budget` bytes of data and takes at most `GAS_MAX`.

    Those that save most are shown first, and no more than needed. All of them, if the budget is less than that takes.
    """
    steps = [step for way in _paths(evidence).values() for step in way.steps]
    saved = {
        step.raw: _GAS_BYTE * (len(step.raw) - len(summary_of(step.page))) + _segment_gas(step.page, step.raw)
        for step in steps
    }
    page = _malformed_page(evidence)
    if page:
        saved[page] = _GAS_BYTE * len(page)
    shown: list[bytes] = []
    digests: set[bytes] = set()
    for raw in sorted(saved, key=lambda raw: (-saved[raw], raw)):
        if calldata_bytes(summarised(evidence, digests)) <= budget and gas_most(evidence, digests) <= GAS_MAX:
            break
        shown.append(raw)
        digests.add(sha256(raw).digest())
    return shown
