"""What a policy does to the facts of one question, step by step.

1. Who: origins of publishers that are denied or not allowed, and those that are too old, are taken off.
2. What: IRIs, classes and texts that are unwanted, and texts that look like instructions.
3. Shape: values of the wrong type or out of range.
4. Corroboration: what too few publishers say.
5. Conflicts: of a functional property one value stays, or both sides with a note, or none. All values that any
   publisher states are weighed, each after steps 1 to 4.
6. Quotas: what a publisher has over its share.

Whatever is dropped comes out as `Dropped`, with a sentence that does not quote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Final

from retrieval.model import Claim, Dropped, Fact, Reason, Why
from retrieval.policy.conflicts import Conflicts
from retrieval.policy.patterns import found
from retrieval.policy.shapes import TYPE, violated
from retrieval.reading import Reader, narrowed, noted, scored
from retrieval.reading_ranges import FAULTS
from retrieval.safety import clean, instruction_in
from retrieval.safety.terms import literal, texts_of
from retrieval.safety.views import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from retrieval.model import Origin, Snapshot, Statement
    from retrieval.policy.conflicts import Side
    from retrieval.policy.document import Document
    from retrieval.policy.functional import Functional
    from retrieval.policy.shapes import Shape

FUTURE_SECONDS: Final = 900
"""How far the chain's clock may be ahead of ours before a time is taken for wrong, in seconds."""

SIDES_MAX: Final = 4
"""Most values of a conflict that are shown side by side; of more, none is."""

_ONE: Final = Fraction(1)

UNWANTED_CHARS_MAX: Final = 2_000
"""How much of a text the patterns of unwanted texts look at, in characters: more than ever comes into a prompt."""


class Screening:
    """One policy, one reader, one question."""

    def __init__(self, document: Document, functional: Functional | None, reader: Reader, now: int) -> None:
        self._document = document
        self._functional = functional
        self._now = now
        self._snapshots = [one for one in reader.snapshots if self._counts(one)]
        self._reader = Reader(self._snapshots)  # so that a dataset that does not count cannot make reading fail
        self._each = [Reader([one]) for one in self._snapshots]
        self._types: dict[tuple[bytes, bytes], bool] = {}
        self._is_functional: dict[bytes, bool] = {}
        self._conflicts = Conflicts(self._reader, self.weight, self._allowed, self._snapshots)

    def weight(self, publisher: str) -> Fraction:
        """A publisher's weight."""
        return weight_of(self._document, publisher)

    def run(self, facts: Iterable[Fact]) -> tuple[list[Fact], list[Dropped]]:
        """Steps 1 to 5."""
        kept: dict[Statement, Fact] = {}
        dropped: list[Dropped] = []
        settled: dict[tuple[bytes, bytes], _Settled] = {}
        for fact in facts:
            one = self.checked(fact)
            if isinstance(one, Dropped):
                dropped.append(one)
                continue
            subject, predicate, _ = one.statement
            if not self._at_most_one(predicate):
                kept.setdefault(one.statement, one)
                continue
            if (subject, predicate) not in settled:
                settled[subject, predicate] = found = self._settled(subject, predicate)
                dropped += found.lost
            _take(one, settled[subject, predicate], kept, dropped)
        return list(kept.values()), dropped

    # --- steps 1 to 4 ----------------------------------------------------------------------------------------------

    def checked(self, fact: Fact) -> Fact | Dropped:
        """A fact with the origins that count, or why it goes."""
        recent = narrowed(fact, self._recent)
        ours = narrowed(fact, self._heard)
        drop = partial(Dropped, fact.statement, publishers=fact.publishers)
        if ours is None:
            return drop(Reason.PUBLISHER, "the policy does not let its publishers through")
        both = narrowed(ours, self._recent) if recent else None
        if both is None:
            return drop(
                Reason.RECENCY, "it was anchored too long ago, its head is too old, or the time is unknown or to come"
            )
        for check in (self._unwanted, self._instruction, self._shape, self._corroboration):
            problem = check(both)
            if problem is not None:
                return drop(*problem)
        return both

    def _allowed(self, fact: Fact) -> Fact | None:
        one = self.checked(fact)
        return None if isinstance(one, Dropped) else one

    def _heard(self, origin: Origin) -> bool:
        return heard(self._document, origin.publisher)

    def _recent(self, origin: Origin) -> bool:
        return recent(self._document, origin, self._now)

    def _counts(self, snapshot: Snapshot) -> bool:
        return heard(self._document, snapshot.publisher) and recent(self._document, snapshot, self._now)

    def _unwanted(self, fact: Fact) -> tuple[Reason, str] | None:
        document = self._document
        parts = literal(fact.statement.object)
        named = fact.statement if parts is None else (*fact.statement, f"<{parts.datatype}>".encode())
        if not document.unwanted_iris.isdisjoint(named):
            return Reason.UNWANTED, "the policy lists one of its terms as unwanted"
        subject, _, object_ = fact.statement
        nodes = {subject, object_} if object_[:1] == b"<" else {subject}
        for one in document.unwanted_classes:
            try:
                unwanted = one in nodes or any(self.has_type(node, one) for node in nodes)
            except FAULTS:
                return Reason.UNWANTED, f"not all that could say whether it is about {one.decode()} can be read"
            if unwanted:
                return Reason.UNWANTED, f"it is about something of the class {one.decode()}, which is unwanted"
        at = next((at for at in (_pattern(document, term) for term in fact.statement) if at is not None), None)
        return None if at is None else (Reason.UNWANTED, f"a text in it matches unwanted.patterns[{at}]")

    def _instruction(self, fact: Fact) -> tuple[Reason, str] | None:
        if self._document.instructions:
            for place, term in zip(("subject", "predicate", "object"), fact.statement, strict=True):
                finding = instruction_in(term)
                if finding is not None:
                    return Reason.INSTRUCTION, f"its {place} looks like an instruction to a model ({finding.kind})"
        return None

    def _shape(self, fact: Fact) -> tuple[Reason, str] | None:
        subject, predicate, object_ = fact.statement
        for shape in self._document.shapes:
            if shape.path == predicate:
                try:
                    targets = self._targets(shape, subject)
                    constraint = violated(shape, object_, self.has_type) if targets else None
                except FAULTS:
                    return Reason.SHAPE, f"not all that the shape for {predicate.decode()} asks for can be read"
                if constraint is not None:
                    return Reason.SHAPE, f"its value violates {constraint} of the shape for {predicate.decode()}"
        return None

    def _targets(self, shape: Shape, subject: bytes) -> bool:
        if (
            subject in shape.nodes
            or shape.path in shape.subjects_of
            or any(self.has_type(subject, one) for one in shape.classes)
        ):
            return True
        return any(_said(self._each, subject, one) for one in shape.subjects_of)

    def _corroboration(self, fact: Fact) -> tuple[Reason, str] | None:
        k = max((rule.k for rule in self._document.corroboration if rule.asks(fact.statement.predicate)), default=0)
        said = sum(self.weight(one) > 0 for one in fact.publishers)
        if said < k:
            return Reason.CORROBORATION, f"{said} independent publishers say it, and the policy asks for {k}"
        return None

    def has_type(self, node: bytes, kind: bytes) -> bool:
        """Whether a publisher of weight above 0 says that a node is of a class.

        Raises one of `FAULTS` where none is known to, and the dataset of one of them cannot be read: who withholds a
        page must not decide.
        """
        key = node, kind
        if key not in self._types:
            heavy = (one for one in self._each if self.weight(one.snapshots[0].publisher) > 0)
            self._types[key] = _said(heavy, node, TYPE, kind)
        return self._types[key]

    # --- step 5 ----------------------------------------------------------------------------------------------------

    def _at_most_one(self, predicate: bytes) -> bool:
        if predicate in self._document.functional:
            return True
        if self._functional is None:
            return False
        if predicate not in self._is_functional:
            self._is_functional[predicate] = self._functional.holds(predicate, self._snapshots, self.weight)
        return self._is_functional[predicate]

    def _settled(self, subject: bytes, predicate: bytes) -> _Settled:
        """What stays of the values that a property of a subject has."""
        try:
            sides = self._conflicts.sides(subject, predicate)
        except FAULTS:
            return _Settled([], [], "not all that publishers of weight say of it can be read, so nothing decides")
        if len(sides) == 1:
            return _Settled(list(sides[0].facts), [], "publishers of more weight say otherwise")
        rule = self._document.conflicts
        if rule == "weigh" and sides and sides[0].weight > sides[1].weight:
            winner, *others = sides
            why = "publishers of more weight ({} against {}) say otherwise"
            lost = [gone for side in others for gone in _lost(side, why.format(_number(winner), _number(side)))]
            return _Settled(list(winner.facts), lost, "publishers of more weight say otherwise")
        both = rule == "both" or (rule == "weigh" and self._document.ties == "both")
        if both and len(sides) <= SIDES_MAX:
            stays = [noted(one, _both_sides(side, sides)) for side in sides for one in side.facts]
            return _Settled(stays, [], "its publisher says many things of what can have one value")
        why = f"the publishers say {len(sides)} different things of what can have one value, and "
        why += "the policy abstains" if rule == "abstain" else "nothing decides between them"
        return _Settled([], [gone for side in sides for gone in _lost(side, why)], why)


def _said(readers: Iterable[Reader], subject: bytes, predicate: bytes, object_: bytes | None = None) -> bool:
    """Whether one of these says so. Raises one of `FAULTS` where none that can be read does, and not all can be."""
    fault: Exception | None = None
    for one in readers:
        try:
            if one.about(subject, predicate, object_, most=1):
                return True
        except FAULTS as error:
            fault = error
    if fault is not None:
        raise fault
    return False


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of a conflict."""

    stays: list[Fact]
    lost: list[Dropped]
    why: str
    """Why a value that is in neither goes."""


def _take(one: Fact, settled: _Settled, kept: dict[Statement, Fact], dropped: list[Dropped]) -> None:
    """What a settled conflict makes of one fact that was proposed."""
    stays = {fact.statement: fact for fact in settled.stays}
    if one.statement not in stays and all(gone.statement != one.statement for gone in settled.lost):
        dropped.append(Dropped(one.statement, Reason.CONFLICT, settled.why, one.publishers))
    for statement, fact in stays.items():
        if statement == one.statement:
            kept[statement] = noted(one, fact.note)
        elif statement not in kept:
            kept[statement] = scored(fact, one.score, [_WHY], one.path)


_WHY: Final = Why("conflict", "better supported than what was proposed")


def _lost(side: Side, why: str) -> list[Dropped]:
    return [Dropped(one.statement, Reason.CONFLICT, why, one.publishers) for one in side.facts]


def _number(side: Side) -> str:
    return f"{float(side.weight):g}"


def _both_sides(side: Side, sides: list[Side]) -> str:
    others = dict.fromkeys(one for other in sides if other is not side for one in other.publishers)
    return f"disputed: said by {_names(side.publishers)}; {_names(tuple(others))} says otherwise"


def _names(publishers: tuple[str, ...]) -> str:
    return ", ".join(map(short, publishers))


def short(publisher: str) -> str:
    """A publisher's name for a prompt: the first and last digits of its address."""
    address = clean(publisher).rpartition(":")[2]
    return address if len(address) <= 12 else f"{address[:6]}..{address[-4:]}"  # noqa: PLR2004


def weight_of(document: Document, publisher: str) -> Fraction:
    """A publisher's weight: its own, that of all others, or 1."""
    weights = document.weights
    return weights.get(publisher, weights.get("*", _ONE))


def forbidden(document: Document, term: bytes) -> bool:
    """Whether a term is unwanted for itself, or its text looks like an instruction."""
    if term in document.unwanted_iris or term in document.unwanted_classes or _pattern(document, term) is not None:
        return True
    return document.instructions and instruction_in(term) is not None


def _pattern(document: Document, term: bytes) -> int | None:
    """The number of the pattern of unwanted texts that a term matches; None if there is none."""
    if not document.unwanted_patterns:
        return None
    seen = [clean(text, UNWANTED_CHARS_MAX) for text in texts_of(term)]
    views = dict.fromkeys(view for text in seen for view in (text, folded(text)))
    return next((at for at in (found(view, document.unwanted_patterns) for view in views) if at is not None), None)


def heard(document: Document, publisher: str) -> bool:
    """Whether a publisher counts at all."""
    return publisher not in document.deny and (document.allow is None or publisher in document.allow)


def recent(document: Document, one: Origin | Snapshot, now: int) -> bool:
    """Whether a dataset is as recent as the policy asks, by the chain's clock alone. One's own data always is."""
    if one.claim is Claim.LOCAL:
        return True
    limits = ((document.max_age, one.committed), (document.max_behind, one.time))
    return all(
        limit is None or (time is not None and now - limit <= time <= now + FUTURE_SECONDS) for limit, time in limits
    )
