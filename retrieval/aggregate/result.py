"""What a template's query found, and the sentences that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from retrieval.aggregate.templates import Ask, Compare, Count, Extreme, HavingMany, Listing, MostBy, Op, Selection
from retrieval.safety.cleaning import clean
from retrieval.words import literal_text, local_name, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.aggregate.templates import Template
    from retrieval.model import Absent, Fact

NAME_CHARS_MAX: Final = 80
"""Longest name in a sentence, in characters."""

Row = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class AggregateResult:
    """The answer to a question for a number, a list, a first or a comparison, from one verified query.

    With `refused`, there is no answer: `notes` says why, and the question is for the normal pipeline.
    """

    kind: str
    """`count`, `list`, `most`, `extreme`, `compare`, `ask` or `having`."""
    query: str
    """The SPARQL query whose verified answer this is."""
    variables: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """The answer set, as terms, as far as it is shown; an unbound variable is the empty string."""
    total: int = 0
    """How many rows there are in all."""
    exact: bool = True
    """Whether `total` is all of them, or so many were read and there may be more."""
    lines: tuple[str, ...] = ()
    """The answer in sentences, cleaned for prompts."""
    facts: tuple[Fact, ...] = ()
    """Verified facts that a small answer rests on."""
    absent: tuple[Absent, ...] = ()
    """What was looked for and is provably not there, when that is the answer."""
    labels: dict[bytes, str] = field(default_factory=dict)
    """Verified labels of the terms in rows and facts."""
    named: tuple[Fact, ...] = ()
    """The facts that these labels are from."""
    predicates: tuple[bytes, ...] = ()
    """The predicates that the query reads."""
    terms: tuple[bytes, ...] = ()
    """All terms that the query names."""
    whole: bool = False
    """Whether `facts` is all that was counted or listed."""
    notes: tuple[str, ...] = ()
    refused: bool = False


class Speaker:
    """Says terms by their labels, cleaned: labels are text of strangers."""

    def __init__(self, labels: Mapping[bytes, str]) -> None:
        self._labels = labels

    def name(self, term: bytes | None) -> str:
        """A term as a sentence has it."""
        if term is None:
            return "nothing"
        if term[:1] == b'"':
            return clean(literal_text(term)[0], NAME_CHARS_MAX)
        return clean(self._labels.get(term) or split_name(local_name(term)), NAME_CHARS_MAX)

    def of(self, selection: Selection) -> str:
        """What a selection is of."""
        parts = [f"of class {self.name(selection.kind.term)}"] if selection.kind else []
        for link in selection.links:
            p, e = self.name(link.predicate), self.name(link.entity)
            parts.append(f"that are the {p} of {e}" if link.forward else f"whose {p} is {e}")
        parts += [
            f"whose {self.name(bound.predicate)} is {_OPS[bound.op]} {self.name(bound.value)}"
            for bound in selection.bounds
        ]
        parts += [f"that have a {self.name(predicate)}" for predicate in selection.having]
        if selection.value_of is not None:
            parts.append(f"that are the {self.name(selection.value_of)} of something")
        return "things " + " and ".join(parts) if parts else "things"


_OPS: Final = {
    Op.MORE: "more than",
    Op.LESS: "less than",
    Op.AT_LEAST: "at least",
    Op.AT_MOST: "at most",
    Op.SAME: "exactly",
}


def number(term: bytes | None) -> int:
    """The number of a COUNT."""
    return int(literal_text(term)[0]) if term else 0


class Found(NamedTuple):
    """Rows that are shown, of how many."""

    rows: Sequence[Row]
    total: int
    exact: bool
    """Whether `total` is all, or there may be more."""


def sentences(template: Template, found: Found, speaker: Speaker) -> tuple[str, ...]:
    """The answer in words."""
    name, rows = speaker.name, found.rows
    if isinstance(template, Count):
        return (f"Number of {speaker.of(template.of)}: {number(rows[0][0])}.",)
    if isinstance(template, Listing):
        return (_listed(f"All {speaker.of(template.of)}", [name(row[0]) for row in rows], found),)
    if isinstance(template, Ask):
        said = f"the {name(template.predicate)} of {name(template.subject)} is {name(template.object)}"
        return (f"Yes: {said}.",) if number(rows[0][0]) else (f"No: it is not stated that {said}.",)
    if isinstance(template, MostBy):
        return (_most(template, found, speaker),)
    if isinstance(template, Extreme):
        of = "" if template.of == Selection() else f" of {speaker.of(template.of)}"
        which = "Largest" if template.largest else "Smallest"
        what = f"{which} {name(template.predicate)}{of}"
        value = f": {name(rows[0][1])}" if rows else ""
        return (_listed(f"{what}{value}; of", [name(row[0]) for row in rows], found),)
    if isinstance(template, HavingMany):
        what = (
            f"Of {speaker.of(template.of)}, those with {_OPS[template.op]} {template.number} {name(template.predicate)}"
        )
        return (_listed(what, [f"{name(row[0])} ({number(row[1])})" for row in rows], found),)
    return _compared(template, rows, speaker)


def _most(template: MostBy, found: Found, speaker: Speaker) -> str:
    name, rows = speaker.name, found.rows
    word = "Fewest" if template.least else "Most"
    some = ", at least one" if template.least else ""
    of = "" if template.of == Selection() else f", of {speaker.of(template.of)}"
    if template.inverse:
        among = f" by things of class {name(template.other.term)}" if template.other else ""
        what = f"{'Least' if template.least else 'Most'} frequent {name(template.predicate)}{among}{of}"
    else:
        what = f"{word} {name(template.predicate)}{some}{of}"
    count = f" ({number(rows[0][1])})" if rows else ""
    return _listed(what + count, [name(row[0]) for row in rows], found)


def _compared(template: Compare, rows: Sequence[Row], speaker: Speaker) -> tuple[str, ...]:
    name = speaker.name
    what = name(template.predicate)
    lines = []
    for row in rows:
        if template.by_value:
            lines.append(f"The {what} of {name(row[0])} is {name(row[1])}.")
            continue
        of = f" of class {name(template.other.term)}" if template.other else ""
        if template.inverse:
            lines.append(f"Number of things{of} whose {what} is {name(row[0])}: {number(row[1])}.")
        else:
            lines.append(f"Number of {what} of {name(row[0])}: {number(row[1])}.")
    return (*lines, _verdict(template, rows, speaker))


def _verdict(template: Compare, rows: Sequence[Row], speaker: Speaker) -> str:
    found = list(dict.fromkeys(row[0] for row in rows))
    if len(found) < len(template.entities):
        return "They cannot be compared: not all of them have a value."
    if rows[0][1] == rows[-1][1]:
        return "They are the same."
    return f"{'More' if template.more else 'Less'}: {speaker.name(found[0])}."


def _listed(what: str, names: Sequence[str], found: Found) -> str:
    if not names:
        return f"{what}: none."
    shown = ", ".join(names)
    if found.total <= len(names):
        return f"{what}: {shown}."
    least = "" if found.exact else "at least "
    return f"{what} ({least}{found.total} in all, first {len(names)} shown): {shown}."
