"""A trust policy as a document: what is read, and what it means (docs/policy.md).

Every key is optional; a policy that says nothing drops only what looks like instructions to a model. A key that is not
known, a value of the wrong type and a number out of range are `PolicyError`s, which name the key's path and what is
allowed there: a policy that is half understood would let through what its author thinks it stops.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar

from retrieval.policy.errors import PolicyError
from retrieval.policy.patterns import PATTERNS_MAX, pattern
from retrieval.policy.reading import (
    Section,
    iri,
    iri_or_all,
    kind,
    publisher,
    publisher_or_all,
    text_of,
    texts_of,
    values_of,
    weight,
)
from retrieval.policy.shapes import Shape, shapes_of

if TYPE_CHECKING:
    from collections.abc import Callable

K_MAX: Final = 1_000
"""Most signers that a policy may ask for."""

QUESTION_CHARS: Final = 1_000
"""Longest question where the policy does not say, in characters."""

QUESTION_CHARS_MAX: Final = 10_000
"""Longest question that a policy may allow, in characters."""

_T = TypeVar("_T")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_CONFLICTS: Final = ("weigh", "both", "abstain")
_TIES: Final = ("abstain", "both")


@dataclass(frozen=True, slots=True)
class Corroboration:
    """That `k` publishers of weight above 0 must say the same of these predicates."""

    k: int
    predicates: frozenset[bytes]
    """Empty: all of them."""

    def asks(self, predicate: bytes) -> bool:
        """Whether it is about a predicate."""
        return not self.predicates or predicate in self.predicates


@dataclass(frozen=True, slots=True)
class Detection:
    """When a predicate counts as functional by the data itself (`retrieval.policy.functional`)."""

    single: Fraction
    """The share of its subjects that have one value, from 0.5 to 1."""
    subjects: int
    """How many subjects of a publisher are needed for its data to have a say."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a policy says."""

    allow: frozenset[str] | None = None
    """The only publishers that count, None for all."""
    deny: frozenset[str] = frozenset()
    weights: dict[str, Fraction] = field(default_factory=dict)
    """By publisher; `*` for the others."""
    corroboration: tuple[Corroboration, ...] = ()
    functional: frozenset[bytes] = frozenset()
    detection: Detection | None = None
    conflicts: str = "weigh"
    ties: str = "abstain"
    shapes: tuple[Shape, ...] = ()
    max_age: int | None = None
    """Seconds since the publisher's commit was anchored."""
    max_behind: int | None = None
    """Seconds since the block as of which the commit is the publisher's latest."""
    quotas: dict[str, Fraction | int] = field(default_factory=dict)
    """By publisher, `*` for each of the others: a whole number of facts, or a share of the context."""
    unwanted_iris: frozenset[bytes] = frozenset()
    unwanted_classes: frozenset[bytes] = frozenset()
    unwanted_patterns: tuple[str, ...] = ()
    instructions: bool = True
    """Whether facts whose text looks like instructions are dropped."""
    question_patterns: tuple[str, ...] = ()
    question_chars: int = QUESTION_CHARS
    question_instructions: bool = True
    """Whether questions that try to override instructions are refused."""


def document_of(text: str) -> Document:
    """A document, from YAML. Raises `PolicyError` and `LimitError`."""
    root = Section(values_of(text), "")
    version = root.take("version")
    if version not in {None, 1} or isinstance(version, bool):
        raise PolicyError("version: this reads version 1 of policies")
    people, conflicts, recency = root.section("publishers"), root.take("conflicts"), root.section("recency")
    unwanted, questions = root.section("unwanted"), root.section("questions")
    allow = people.take("allow")
    resolve, ties = _conflicts(conflicts)
    shapes = root.take("shapes")
    shaped = () if shapes is None else shapes_of(text_of(shapes, "shapes"), "shapes")
    functional, detection = _functional(root.take("functional"))
    document = Document(
        allow=None if allow is None else frozenset(texts_of(allow, people.at("allow"), publisher)),
        deny=frozenset(people.texts("deny", publisher)),
        weights=_by_publisher(people, "weight", weight),
        corroboration=_corroboration(root.take("corroboration")),
        functional=functional | {one.path for one in shaped if any(c.name == "maxCount" for c in one.constraints)},
        detection=detection,
        conflicts=resolve,
        ties=ties,
        shapes=shaped,
        max_age=_seconds(recency, "max_age"),
        max_behind=_seconds(recency, "max_behind"),
        quotas=_by_publisher(root, "quotas", _quota),
        unwanted_iris=_terms(unwanted.texts("iris", iri)),
        unwanted_classes=_terms(unwanted.texts("classes", iri)),
        unwanted_patterns=_patterns(unwanted, "patterns"),
        instructions=root.choice("instructions", ("drop", "keep"), "drop") == "drop",
        question_patterns=_patterns(questions, "deny"),
        question_chars=questions.integer("max_length", 1, QUESTION_CHARS_MAX, QUESTION_CHARS) or QUESTION_CHARS,
        question_instructions=questions.choice("instructions", ("refuse", "allow"), "refuse") == "refuse",
    )
    for section in (people, recency, unwanted, questions, root):
        section.done()
    return document


def _terms(iris: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(f"<{one}>".encode() for one in iris)


def _by_publisher(section: Section, key: str, read: Callable[[object, str], _T]) -> dict[str, _T]:
    inside = section.section(key)
    return {
        publisher_or_all(name, inside.at(name)): read(value, f"{section.at(key)}[{name!r}]")
        for name, value in inside.left.items()
    }


def _corroboration(value: object) -> tuple[Corroboration, ...]:
    rules = [] if value is None else value if isinstance(value, list) else [value]
    return tuple(
        _rule(Section(one, f"corroboration[{at}]" if rules is value else "corroboration"))
        for at, one in enumerate(rules)
    )


def _rule(section: Section) -> Corroboration:
    k = section.integer("k", 1, K_MAX, None)
    if k is None:
        raise PolicyError(f"{section.at('k')}: how many publishers must agree, from 1 to {K_MAX}")
    predicates = section.texts("for", iri_or_all)
    section.done()
    return Corroboration(k, frozenset() if "*" in predicates else _terms(predicates))


def _functional(value: object) -> tuple[frozenset[bytes], Detection | None]:
    """A list of predicates, or a mapping with the list and how to find more in the data."""
    if not isinstance(value, dict):
        return _terms(texts_of(value, "functional", iri)), None
    section = Section(value, "functional")
    predicates = section.texts("predicates", iri)
    detect = section.take("detect")
    section.done()
    if detect is None:
        return _terms(predicates), None
    rule = Section(detect, "functional.detect")
    single, subjects = rule.take("single"), rule.integer("subjects", 5, 500, 30)
    rule.done()
    single = 0.98 if single is None else single
    if isinstance(single, bool) or not isinstance(single, int | float) or not 0.5 <= single <= 1:  # noqa: PLR2004
        raise PolicyError("functional.detect.single: a share from 0.5 to 1 is expected")
    return _terms(predicates), Detection(Fraction(str(single)), subjects or 30)


def _conflicts(value: object) -> tuple[str, str]:
    """A word, or a mapping that also says what a tie is."""
    section = Section(value if isinstance(value, dict) else {"resolve": value}, "conflicts")
    if not isinstance(value, dict) and value is not None and value not in _CONFLICTS:
        raise PolicyError(f"conflicts: allowed are {', '.join(_CONFLICTS)}")
    resolve, ties = section.choice("resolve", _CONFLICTS, "weigh"), section.choice("tie", _TIES, "abstain")
    section.done()
    return resolve, ties


def _seconds(section: Section, key: str) -> int | None:
    value = section.take(key)
    if value is None:
        return None
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PolicyError(f"{section.at(key)}: a time such as 90s, 15m, 12h or 30d is expected")
    return int(found[1]) * _SECONDS[found[2]]


def _quota(value: object, path: str) -> Fraction | int:
    if type(value) is int and 0 <= value <= 10_000:  # noqa: PLR2004
        return value
    if isinstance(value, float) and 0 < value < 1:
        return Fraction(str(value))
    raise PolicyError(f"{path}: {kind(value)}; a number of facts, or a share above 0 and below 1, is expected")


def _patterns(section: Section, key: str) -> tuple[str, ...]:
    found = section.texts(key, pattern)
    if len(found) > PATTERNS_MAX:
        raise PolicyError(f"{section.at(key)}: {len(found)} patterns; {PATTERNS_MAX} is the limit")
    return found
