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
from typing import TYPE_CHECKING, Final

from dkg.errors import QueryError, StoreError
from dkg.evaluate import evaluate_gathering
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

_ANY: Final = b"<urn:any:graph>"


@dataclass(frozen=True, slots=True)
class Rows:
    """The solutions of a SELECT over all snapshots: a verified answer."""

    variables: tuple[str, ...]
    rows: tuple[tuple[bytes | None, ...], ...]
    """One term a variable, in normal form; None where it is unbound."""


class Reader:
    """Reads what a question needs from some snapshots, and nothing else. It keeps no state of its own.

    Pages that were read stay decoded in the snapshots' `pages`. As many threads may use a reader as its pages allow.
    """

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self.snapshots = tuple(snapshots)
        self._ranges = tuple(map(Ranges, snapshots))

    # --- facts -------------------------------------------------------------------------------------------------

    def facts(self, candidates: Iterable[Candidate]) -> tuple[list[Fact], list[Dropped]]:
        """The proposed triples that some snapshot holds, in the order of the proposals, and those that none holds.

        A triple that is proposed twice comes once, with the higher score and the reasons of both. Where pages of a
        snapshot are wrong or missing, the facts that hang on them are dropped, and the others stay. Raises
        `StoreError` where nothing at all can be read because the environment fails.
        """
        proposed = _distinct(candidates)
        prefixes = {index_for(*one)[1]: one for one in proposed if is_triple(*one)}
        ascending = sorted(prefixes)
        origins: dict[Statement, list[Origin]] = {one: [] for one in prefixes.values()}
        faults: dict[Statement, list[tuple[str, Exception]]] = {}
        for ranges in self._ranges:
            for prefix, found in zip(ascending, ranges.each(ascending), strict=True):
                if isinstance(found, Exception):
                    faults.setdefault(prefixes[prefix], []).append((ranges.snapshot.publisher, found))
                else:
                    origins[prefixes[prefix]] += map(ranges.origin, found)
        _raise_if_all_failed(len(ascending) * len(self._ranges), faults)
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

        Each comes with all its origins. Raises `NormalFormError` for a term off its normal form, and what the pages
        raise: a list that misses triples without saying so is never given.
        """
        order, prefix = _range(subject, predicate, object)
        streams = [_numbered(ranges, order, prefix, at) for at, ranges in enumerate(self._ranges)]
        facts = []
        for triple, found in islice(groupby(merge(*streams), key=itemgetter(0)), most):
            origins = [self._ranges[at].origin(graph) for _, at, graphs in found for graph in graphs]
            s, p, o, _ = quad_of(triple + _ANY + b"\0", order)
            facts.append(_fact(Statement(s, p, o), origins))
        return facts

    def count(
        self,
        subject: bytes | None = None,
        predicate: bytes | None = None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> int:
        """How many quads have these terms, by the counts in the pages: fast however many they are.

        A triple counts once for each graph and snapshot that has it, so this is never less than the number of
        triples. Raises what `about` raises.
        """
        order, prefix = _range(subject, predicate, object)
        total = 0
        for ranges in self._ranges:
            with _naming(ranges):
                total += ranges.count(order, prefix)
        return total

    # --- what is not there -----------------------------------------------------------------------------------------

    def absent(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent | None:
        """That no snapshot has a triple with these terms; None if one has. A term that is None is any.

        Without snapshots nothing was looked through, and the kind says so. Raises what `about` raises: what cannot be
        read is not absent.
        """
        order, prefix = _range(subject, predicate, object)
        if not self._ranges:
            return self.not_asked(subject, predicate, object)
        if any(_first(ranges, order, prefix) for ranges in self._ranges):
            return None
        return self._absent(AbsentKind.EMPTY, subject, predicate, object)

    def cut(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent | None:
        """That there is a triple with these terms which the context leaves out; None if there is none."""
        order, prefix = _range(subject, predicate, object)
        if not any(_first(ranges, order, prefix) for ranges in self._ranges):
            return None
        return self._absent(AbsentKind.CUT, subject, predicate, object)

    def not_asked(
        self,
        subject: bytes | None,
        predicate: bytes | None,
        object: bytes | None = None,  # noqa: A002 - the name of the place
    ) -> Absent:
        """That triples with these terms were not looked for. Nothing is known of them, and no publisher is named."""
        _range(subject, predicate, object)
        return Absent(AbsentKind.NOT_ASKED, subject, predicate, object)

    def _absent(
        self, kind: AbsentKind, subject: bytes | None, predicate: bytes | None, object_: bytes | None
    ) -> Absent:
        anchored = [one.block for one in self.snapshots if one.claim is not Claim.LOCAL]
        blocks = [block for block in anchored if block is not None]
        oldest = min(blocks) if blocks and len(blocks) == len(anchored) else None
        publishers = tuple(sorted({one.publisher for one in self.snapshots}))
        return Absent(kind, subject, predicate, object_, publishers, oldest)

    # --- queries -----------------------------------------------------------------------------------------------

    def select(self, query: str, *, budget: Budget = SELECT_BUDGET, now: str | None = None) -> Rows:
        """The solutions of a SPARQL SELECT over the union of all snapshots, as sets of quads.

        `now`: what NOW() gives, as for `dkg.query`. Raises `QueryError` for another form and for what is refused,
        `BudgetError` over the budget, and what the pages raise.
        """
        parsed = parse(query, now=now)
        if parsed.form is not Form.SELECT:
            raise QueryError(f"only SELECT has rows, and this is {parsed.form.value}")
        if not self.snapshots:
            raise QueryError("there is no snapshot to ask: no publisher is known, or all are excluded")
        answer = evaluate_gathering(gather_of(self.snapshots, budget), parsed, budget=budget)
        rows = tuple(tuple(map(_normal, row)) for row in answer.rows)
        return Rows(answer.variables, rows)


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


def _unverified(statement: Statement, faults: list[tuple[str, Exception]], *, known: bool) -> Dropped:
    if faults:
        publishers = tuple(dict.fromkeys(publisher for publisher, _ in faults))
        detail = f"the pages that would show it cannot be read: {faults[0][1]}"
        return Dropped(statement, Reason.UNVERIFIED, detail, publishers)
    detail = "no snapshot holds it" if known else "it is no triple in normal form"
    return Dropped(statement, Reason.UNVERIFIED, detail)


def _raise_if_all_failed(lookups: int, faults: dict[Statement, list[tuple[str, Exception]]]) -> None:
    errors = [error for found in faults.values() for _, error in found]
    if lookups and len(errors) == lookups and all(isinstance(error, StoreError) for error in errors):
        raise errors[0]


def _range(subject: bytes | None, predicate: bytes | None, object_: bytes | None) -> tuple[str, bytes]:
    require_normal(term for term in (subject, predicate, object_) if term is not None)
    return index_for(subject, predicate, object_)


class _naming:  # noqa: N801 - used as a statement
    """Says of an error in reading whose dataset it was."""

    def __init__(self, ranges: Ranges) -> None:
        self._publisher = ranges.snapshot.publisher

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        family = next((family for family in FAULTS if isinstance(error, family)), None)
        if family is not None:
            raise family(f"the dataset of {self._publisher} cannot be read: {error}") from error


def _first(ranges: Ranges, order: str, prefix: bytes) -> bool:
    """Whether a range has a triple."""
    with _naming(ranges):
        return next(ranges.triples(order, prefix), None) is not None


def _numbered(ranges: Ranges, order: str, prefix: bytes, at: int) -> Iterator[tuple[bytes, int, list[bytes]]]:
    with _naming(ranges):
        for triple, graphs in ranges.triples(order, prefix):
            yield triple, at, graphs


def _normal(term: Term | None) -> bytes | None:
    return None if term is None else normalize(str(term).encode())
