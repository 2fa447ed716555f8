"""What the nodes of `bench.node` hold, and what they are asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.data import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRIPLES: Final = 1_000_000
QUICK_TRIPLES: Final = 50_000
SUBJECTS: Final = 2_000
"""How many people the queries are about, in turns."""

IDLE_S: Final = 3.0
"""After so many seconds a node has done what there was to do."""

UNIV: Final = "https://example.org/univ#"


class Plan(NamedTuple):
    """How much to measure."""

    triples: int
    seconds: float
    """Of load, each time."""
    rounds: int
    say: Callable[[str], None]

    @classmethod
    def of(cls, say: Callable[[str], None], *, quick: bool) -> Plan:
        """The whole, or a little of it."""
        return cls(QUICK_TRIPLES, 1.0, 1, say) if quick else cls(TRIPLES, 4.0, 3, say)


def triples(plan: Plan) -> Iterator[tuple[str, int]]:
    """Lines of N-Triples, and the department that each is about: the university of `bench.data`."""
    department = -1
    with path_of("university", plan.triples).open(encoding="utf-8") as file:
        for line in file:
            triple, _, _ = line.rpartition(" <")
            department += "univ#Department>" in triple
            yield triple, department


def people(plan: Plan) -> list[str]:
    """IRIs of students, all over the dataset."""
    kind = f"<{UNIV}GraduateStudent>"
    found = [triple.split(" ", 1)[0] for triple, _ in triples(plan) if triple.endswith(kind)]
    return random.Random(1).sample(found, min(SUBJECTS, len(found)))  # noqa: S311 - the same ones every time


def questions(plan: Plan) -> dict[str, list[str]]:
    """The queries, by kind."""
    some = people(plan)
    join = f"PREFIX u: <{UNIV}> SELECT ?name ?course ?title WHERE {{ %s u:advisor ?a . ?a u:name ?name ; u:teaches "
    join += "?course . ?course u:name ?title }"
    return {
        "point": [f"SELECT ?p ?o WHERE {{ {person} ?p ?o }}" for person in some],
        "join": [join % person for person in some],
    }
