"""Reading facts: what becomes of an index's proposals when they are looked up in checked pages (docs/retrieval.md).

`Fact` and `Absent` are made here and nowhere else. A fact is a triple whose key was found in the tree of a snapshot,
by pages that hash to the snapshot's root. Something is absent when the range where it would be was read and is empty.
What an index says, and what a store of pages says, can only make facts fewer, and then an error or `Dropped` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dkg.errors import QueryError, StoreError
from dkg.evaluate import evaluate_gathering
from dkg.joint import PartError
from dkg.limits import Budget
from dkg.normal import normalize, require_normal
from dkg.sparql.algebra import Form
from dkg.sparql.syntax import parse
from dkg.terms import quad_of
from retrieval.model import Absent, AbsentKind, Candidate, Claim, Dropped, Fact, Reason, Snapshot, Statement
from retrieval.reading_ranges import FAULTS, Ranges, index_for, is_triple
from retrieval.reading_union import gather_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dkg.answer import Term
    from retrieval.model import Origin, Why

SELECT_BUDGET: Final = Budget(pages=20_000, quads=200_000, rows=10_000)
"""What one query of `Reader.select` may use where nobody says otherwise."""

T = TypeVar("T")

_ANY: Final = b"<urn:any:graph>"


@dataclass(frozen=True, slots=True)
class Rows:
    """The solutions of a SELECT over all snapshots: a verified answer."""

    variables: tuple[str, ...]
    rows: tuple[tuple[bytes | None, ...], ...]
    """One term a variable, in normal form; None where it is unbound."""
    publishers: tuple[str, ...]
    """Whose datasets were looked through."""
    block: int | None
    """The oldest block of them, None if one of them has none or all are local."""


class Fault(NamedTuple):
    """That pages of a publisher's dataset are wrong or missing."""

    publisher: str
    error: Exception


class Reader:
    """Reads what a question needs from some snapshots, and nothing else. Make one for each question.

    Where pages of a snapshot are wrong or missing, the others are still read, `faults` says so, and what is told of
    absence names only the publishers whose datasets were read. Where none of them can be read, the error is raised.

    Pages that were read stay decoded in the snapshots' `pages`. As many threads may use a reader as its pages allow.
    """

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self.snapshots = tuple(snapshots)
        self.faults: dict[str, str] = {}
        """What could not be read so far: publisher -> the first reason, a sentence for people."""
        self._ranges = tuple(map(Ranges, snapshots))

    # --- facts -------------------------------------------------------------------------------------------------

    def facts(self, candidates: Iterable[Candidate]) -> tuple[list[Fact], list[Dropped]]:
        """The proposed triples that some snapshot holds, in the order of the proposals, and those that none holds.

        A triple that is proposed twice comes once, with the higher score and the reasons of both. A fact has all its
        origins, of `GRAPHS_MAX` graphs a snapshot at most; what is dropped because of a fault says so. Raises
        `StoreError` where the environment fails at every single lookup.
        """
        proposed = _distinct(candidates)
        prefixes = {index_for(*one)[1]: one for one in proposed if is_triple(*one)}
        ascending = sorted(prefixes)
        origins: dict[Statement, list[Origin]] = {one: [] for one in prefixes.values()}
        faults: dict[Statement, list[Fault]] = {}
        for ranges in self._ranges:
            for prefix, found in zip(ascending, ranges.each(ascending), strict=True):
                if isinstance(found, Exception):
                    faults.setdefault(prefixes[prefix], []).append(Fault(ranges.snapshot.publisher, found))
                else:
                    origins[prefixes[prefix]] += map(ranges.origin, found)
        self._note_lookups([fault for found in faults.values() for fault in found], len(ascending) * len(self._ranges))
        facts: list[Fact] = []
        dropped: list[Dropped] = []
        for statement, candidate in proposed.items():
            found_at = origins.get(statement)
            if found_at:
                facts.append(_fact(statement, found_at, candidate))
            else:
                dropped.append(_unverified(statement, faults.get(statement, []), known=found_at is not None))
        return facts, dropped

    def about(
        self,
        subject: bytes | None = None,
        predicate: bytes | None = None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
        *,
        most: int,
    ) -> list[Fact]:
        """The first `most` triples with these terms, in the order of an index; a term that is None is any.

        What a publisher says whose pages cannot be read is missing, and `faults` has it: whoever draws conclusions from
        what is not in the list looks there. Raises `NormalFormError` for a term off its normal form.
        """
        order, prefix = _range(subject, predicate, object)
        faults: list[Fault] = []
        streams = [_numbered(ranges, order, prefix, at, faults) for at, ranges in enumerate(self._ranges)]
        facts = []
        for triple, found in islice(groupby(merge(*streams), key=itemgetter(0)), most):
            origins = [self._ranges[at].origin(graph) for _, at, graphs in found for graph in graphs]
            s, p, o, _ = quad_of(triple + _ANY + b"\0", order)
            facts.append(_fact(Statement(s, p, o), origins))
        self._note(faults, of=len(self._ranges))
        return facts

    def count(
        self,
        subject: bytes | None = None,
        predicate: bytes | None = None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> int:
        """About how many triples have these terms, by the counts in the pages: fast however many they are.

        A triple counts once for each graph and snapshot that has it, so of what can be read this is never less than
        the number of triples. Raises what `about` raises.
        """
        order, prefix = _range(subject, predicate, object)
        return sum(self._of_each(lambda ranges: ranges.count(order, prefix))[1])

    # --- what is not there -------------------------------------------------------------------------------------

    def absent(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent | None:
        """That no snapshot has a triple with these terms; None if one has. A term that is None is any.

        It says whose datasets were looked through: what cannot be read is not absent. Without snapshots nothing was
        looked through, and the kind says so. Raises what `about` raises.
        """
        snapshots, found = self._any(subject, predicate, object)
        if found:
            return None
        if not snapshots:
            return self.not_asked(subject, predicate, object)
        return Absent(AbsentKind.EMPTY, subject, predicate, object, *_looked_through(snapshots))

    def cut(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent | None:
        """That there is a triple with these terms which the context leaves out; None if there is none."""
        snapshots, found = self._any(subject, predicate, object)
        return Absent(AbsentKind.CUT, subject, predicate, object, *_looked_through(snapshots)) if found else None

    def not_asked(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent:
        """That triples with these terms were not looked for. Nothing is known of them, and no publisher is named."""
        _range(subject, predicate, object)
        return Absent(AbsentKind.NOT_ASKED, subject, predicate, object)

    def _any(
        self, subject: bytes | None, predicate: bytes | None, object_: bytes | None
    ) -> tuple[list[Snapshot], bool]:
        """The snapshots that could be read, and whether one of them has a triple with these terms."""
        order, prefix = _range(subject, predicate, object_)
        read, found = self._of_each(lambda ranges: next(ranges.triples(order, prefix), None) is not None)
        return read, any(found)

    # --- queries -----------------------------------------------------------------------------------------------

    def select(self, query: str, *, budget: Budget = SELECT_BUDGET, now: str | None = None) -> Rows:
        """The solutions of a SPARQL SELECT over the union of all snapshots, as sets of quads.

        `now`: what NOW() gives, as for `dkg.query`. A snapshot that cannot be read is left out: `Rows.publishers`.
        Raises `QueryError` for another form and for what is refused, and `BudgetError` over the budget.
        """
        parsed = parse(query, now=now)
        if parsed.form is not Form.SELECT:
            raise QueryError(f"only SELECT has rows, and this is {parsed.form.value}")
        snapshots = list(self.snapshots)
        faults: list[Fault] = []
        while snapshots:
            try:
                answer = evaluate_gathering(gather_of(snapshots, budget), parsed, budget=budget)
            except PartError as error:
                faults.append(Fault(snapshots.pop(error.at).publisher, error.reason))
            else:
                self._note(faults, of=len(self.snapshots))
                rows = tuple(tuple(map(normal_term, row)) for row in answer.rows)
                return Rows(answer.variables, rows, *_looked_through(_without(snapshots, faults)))
        self._note(faults, of=len(self.snapshots))
        raise QueryError("there is no dataset to ask: no publisher is known, or all are excluded")

    # --- inside ------------------------------------------------------------------------------------------------

    def _of_each(self, ask: Callable[[Ranges], T]) -> tuple[list[Snapshot], list[T]]:
        """The snapshots of publishers all of whose snapshots could be read, and what each snapshot gives."""
        snapshots, found = [], []
        faults: list[Fault] = []
        for ranges in self._ranges:
            try:
                found.append(ask(ranges))
            except FAULTS as error:
                faults.append(Fault(ranges.snapshot.publisher, error))
            else:
                snapshots.append(ranges.snapshot)
        self._note(faults, of=len(self._ranges))
        return _without(snapshots, faults), found

    def _note(self, faults: Sequence[Fault], *, of: int) -> None:
        """Remember faults; if all of so many readings failed, the first is raised."""
        for fault in faults:
            self.faults.setdefault(fault.publisher, f"the dataset of {fault.publisher} cannot be read: {fault.error}")
        if faults and len(faults) == of:
            raise faults[0].error

    def _note_lookups(self, faults: Sequence[Fault], lookups: int) -> None:
        """The same for lookups of single triples: a page that is wrong is no reason to raise, it makes facts fewer."""
        environment = all(isinstance(fault.error, StoreError) for fault in faults)
        self._note(faults, of=lookups if environment else lookups + 1)


# --- changing facts without making any --------------------------------------------------------------------------


def scored(fact: Fact, score: float, why: Iterable[Why] = (), path: int | None = None) -> Fact:
    """A fact with another score and path, and with reasons added."""
    return replace(fact, score=score, why=tuple(dict.fromkeys((*fact.why, *why))), path=path)


def noted(fact: Fact, note: str | None) -> Fact:
    """A fact with another note."""
    return replace(fact, note=note)


def narrowed(fact: Fact, keep: Callable[[Origin], bool]) -> Fact | None:
    """A fact with only some of its origins; None if none is left."""
    origins = tuple(filter(keep, fact.origins))
    return replace(fact, origins=origins) if origins else None


# --- inside ------------------------------------------------------------------------------------------------------


def _looked_through(snapshots: Sequence[Snapshot]) -> tuple[tuple[str, ...], int | None]:
    """The publishers of snapshots, and their oldest block if all that are not local have one."""
    anchored = [one.block for one in snapshots if one.claim is not Claim.LOCAL]
    blocks = [block for block in anchored if block is not None]
    oldest = min(blocks) if blocks and len(blocks) == len(anchored) else None
    return tuple(sorted({one.publisher for one in snapshots})), oldest


def _without(snapshots: list[Snapshot], faults: list[Fault]) -> list[Snapshot]:
    """The snapshots of publishers of whom none could not be read."""
    failed = {fault.publisher for fault in faults}
    return [one for one in snapshots if one.publisher not in failed]


def _distinct(candidates: Iterable[Candidate]) -> dict[Statement, Candidate]:
    """One candidate for each statement, in order of first appearance."""
    found: dict[Statement, Candidate] = {}
    for one in candidates:
        other = found.setdefault(one.statement, one)
        if other is not one:
            best = one if one.score > other.score else other
            found[one.statement] = replace(best, why=tuple(dict.fromkeys((*other.why, *one.why))))
    return found


def _fact(statement: Statement, origins: list[Origin], candidate: Candidate | None = None) -> Fact:
    ordered = tuple(sorted(origins, key=lambda origin: (origin.publisher, origin.graph, origin.root)))
    if candidate is None:
        return Fact(statement, ordered)
    return Fact(statement, ordered, candidate.score, candidate.why, candidate.path)


def _unverified(statement: Statement, faults: list[Fault], *, known: bool) -> Dropped:
    if faults:
        publishers = tuple(dict.fromkeys(fault.publisher for fault in faults))
        detail = f"the pages that would show it cannot be read: {faults[0].error}"
        return Dropped(statement, Reason.UNVERIFIED, detail, publishers)
    detail = "no snapshot holds it" if known else "it is no triple in normal form"
    return Dropped(statement, Reason.UNVERIFIED, detail)


def _range(subject: bytes | None, predicate: bytes | None, object_: bytes | None) -> tuple[str, bytes]:
    require_normal(term for term in (subject, predicate, object_) if term is not None)
    return index_for(subject, predicate, object_)


def _numbered(
    ranges: Ranges, order: str, prefix: bytes, at: int, faults: list[Fault]
) -> Iterator[tuple[bytes, int, list[bytes]]]:
    """The triples of a range with the snapshot's number, up to where its pages cannot be read."""
    try:
        for triple, graphs in ranges.triples(order, prefix):
            yield triple, at, graphs
    except FAULTS as error:
        faults.append(Fault(ranges.snapshot.publisher, error))


def normal_term(term: Term | None) -> bytes | None:
    """A term of an answer in normal form; None where a variable is unbound."""
    return None if term is None else normalize(str(term).encode())
