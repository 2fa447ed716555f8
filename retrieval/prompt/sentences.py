"""Facts and absence as sentences: by a relation's own template where its publisher gives one, otherwise by its label.

Every text from the graph goes through `retrieval.safety.clean` before it stands in a sentence, so a sentence is one
line without any model's markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from retrieval.model import AbsentKind
from retrieval.safety.cleaning import clean
from retrieval.safety.scanner import looks_like_instruction
from retrieval.safety.terms import literal
from retrieval.words import local_name, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from retrieval.model import Absent, Context, Dropped, Fact, Statement
    from retrieval.reading import Reader

    Screen: TypeAlias = Callable[[Sequence[Fact]], tuple[list[Fact], list[Dropped]]]
    """What may enter a prompt, and what may not and why (`Policy.screen`)."""

TEMPLATE: Final = b"<urn:dkg:term:sentence>"
"""The predicate by which a publisher gives a relation its sentence: text with `{subject}` and `{object}` once each."""

TERM_CHARS_MAX: Final = 120
"""Longest text of one term in a sentence, in characters."""

SENTENCE_CHARS_MAX: Final = 600
"""Longest sentence without its note, in characters: more than a template and its two terms can have."""

NOTE_CHARS_MAX: Final = 200
"""Longest note beside a fact, in characters."""

TEMPLATE_CHARS_MAX: Final = 200
"""Longest template, in characters."""

TEMPLATES_MAX: Final = 4
"""Most templates that are read of one relation."""

SUBJECT: Final = "{subject}"
OBJECT: Final = "{object}"

_TYPE: Final = b"<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_LABELS: Final = frozenset(
    {b"<http://www.w3.org/2000/01/rdf-schema#label>", b"<http://www.w3.org/2004/02/skos/core#prefLabel>"}
)
_ALIAS: Final = b"<http://www.w3.org/2004/02/skos/core#altLabel>"
_PLACES: Final = re.compile(r"\{(subject|object)\}")

_RELATES: Final = re.compile(r"(?:\b(?:of|in|by|at|to|from|with|for|on|as)|^(?:is|has|was)\b.*)$")
"""Labels that stand between subject and object as they are: `part of`, `located in`, `has part`."""

_NOUN_OF: Final = re.compile(r"^(?:date|place|cause|country|number|year|name|language|time|area|kind) of$")
_SENTENCE_ENDS: Final = (".", "!", "?", "…")


def text_of(term: bytes, labels: Mapping[bytes, str]) -> str:
    """A term as people read it: its label, the text of a literal, or the last part of an IRI. Cleaned."""
    label = labels.get(term)
    if label is None:
        parts = literal(term)
        label = parts.text if parts is not None else split_name(local_name(term))
    return clean(label, TERM_CHARS_MAX)


def sentence(fact: Fact, labels: Mapping[bytes, str], templates: Mapping[tuple[str, bytes], str] | None = None) -> str:
    """A fact as one sentence, with its note in brackets. Cleaned as a whole: pieces may make what none of them is."""
    template = template_for(fact, templates or {})
    text = filled(template, fact.statement, labels) if template else ""
    if not text or looks_like_instruction(text):
        text = plain(fact.statement, labels)
    text = clean(text, SENTENCE_CHARS_MAX)
    return f"{text} ({clean(fact.note, NOTE_CHARS_MAX)})" if fact.note else text


def plain(statement: Statement, labels: Mapping[bytes, str]) -> str:
    """A triple as a sentence made from the relation's label, such as: X's place of birth is Y."""
    subject, object_ = text_of(statement.subject, labels), text_of(statement.object, labels)
    if statement.predicate == _TYPE:
        return _ended(f"{subject} is a {object_}")
    if statement.predicate in _LABELS:
        return _ended(f"{subject} is called {object_}")
    if statement.predicate == _ALIAS:
        return _ended(f"{subject} is also called {object_}")
    relation = text_of(statement.predicate, labels)
    if _RELATES.search(relation) and not _NOUN_OF.match(relation):
        between = relation if relation.split(" ", 1)[0] in {"is", "has", "was"} else f"is {relation}"
        return _ended(f"{subject} {between} {object_}")
    return _ended(f"{subject}'s {relation} is {object_}")


def filled(template: str, statement: Statement, labels: Mapping[bytes, str]) -> str:
    """A template with its two texts, put in at once: what looks like a place in one of them stays text."""
    texts = {"subject": text_of(statement.subject, labels), "object": text_of(statement.object, labels)}
    return _ended(_PLACES.sub(lambda found: texts[found[1]], template))


def _ended(text: str) -> str:
    return text if text.endswith(_SENTENCE_ENDS) else f"{text}."


# --- templates ---------------------------------------------------------------------------------------------------


def template_for(fact: Fact, templates: Mapping[tuple[str, bytes], str]) -> str | None:
    """The template of a fact: one that all give who say the fact, so that nobody changes what others say.

    None where they do not: who repeats what another says could turn it around, and both would seem to say so.
    """
    relation = fact.statement.predicate
    found = {templates.get((publisher, relation)) for publisher in fact.publishers}
    return found.pop() if len(found) == 1 else None


def templates_of(reader: Reader, facts: Iterable[Fact], screen: Screen | None = None) -> dict[tuple[str, bytes], str]:
    """The templates for the relations of these facts, read like any fact, and screened like any fact by a policy.

    Raises what `Reader.about` raises.
    """
    found: dict[tuple[str, bytes], str | None] = {}
    for relation in dict.fromkeys(fact.statement.predicate for fact in facts):
        stated = reader.about(relation, TEMPLATE, most=TEMPLATES_MAX)
        for given in stated if screen is None or not stated else screen(stated)[0]:
            text = template_text(given.statement.object)
            for publisher in given.publishers:
                at = (publisher, relation)
                found[at] = text if found.get(at, text) == text else None  # two by one publisher: neither
    return {at: text for at, text in found.items() if text is not None}


def template_text(term: bytes) -> str | None:
    """A template as it may be used; None for what is no template, or would tell the model something."""
    parts = literal(term)
    if parts is None or len(parts.text) > TEMPLATE_CHARS_MAX or looks_like_instruction(_PLACES.sub("", parts.text)):
        return None
    text = clean(parts.text, TEMPLATE_CHARS_MAX)
    return text if sorted(_PLACES.findall(text)) == ["object", "subject"] else None


# --- what is not there -------------------------------------------------------------------------------------------


def absence(absent: Absent, labels: Mapping[bytes, str]) -> str:
    """What is not in the context, in a sentence that says which of three things it is."""
    what = _looked_for(absent, labels)
    if absent.kind is AbsentKind.EMPTY:
        as_of = f"as of block {absent.block}" if absent.block is not None else "in the data at hand"
        return f"Looked for {what}: provably none {as_of}."
    if absent.kind is AbsentKind.CUT:
        return f"There is more on {what}: left out for lack of room."
    return f"Not looked for: {what}."


def _looked_for(absent: Absent, labels: Mapping[bytes, str]) -> str:
    subject, relation, object_ = (
        None if term is None else text_of(term, labels) for term in (absent.subject, absent.predicate, absent.object)
    )
    what = relation or "anything"
    if subject is not None:
        what += f" of {subject}"
    return what if object_ is None else f"{what} that is {object_}"


def absences(context: Context) -> tuple[str, ...]:
    """What is not in the context, a sentence each, without repetition."""
    return tuple(dict.fromkeys(absence(one, context.labels) for one in context.absent))


def sentences(
    facts: Sequence[Fact], labels: Mapping[bytes, str], templates: Mapping[tuple[str, bytes], str] | None = None
) -> tuple[str, ...]:
    """A sentence for each fact."""
    return tuple(sentence(fact, labels, templates) for fact in facts)


def row_text(row: Sequence[str], labels: Mapping[bytes, str]) -> str:
    """A row of a query's answer as text."""
    return ", ".join(text_of(cell.encode(), labels) for cell in row if cell)
