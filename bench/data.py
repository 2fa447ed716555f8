"""Made-up graphs of any size, the same bytes every time: a university (after LUBM) and a shop (after BSBM).

Files are written once into `.cache/bench` under the project. One triple is one line of N-Quads; all are in one graph.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "bench"
GRAPH: Final = "<https://example.org/graph>"
TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_FIRST: Final = "Ada Bela Chen Dina Eero Fay Gus Hana Ivo Jun Kai Lea Mia Nils Ola Pia Quin Ravi Sara Timo".split()
_LAST: Final = "Abe Berg Cole Diaz Endo Fink Gray Holm Ito Jung Kern Lund Mori Nash Otto Park Reid Sato Tran Wood".split()


def university(triples: int) -> Iterator[str]:
    """Departments of 26 people's worth of facts: about 2,400 triples each."""
    made = department = 0
    while made < triples:
        for line in _department(department):
            yield line
            made += 1
            if made == triples:
                return
        department += 1


def _department(number: int) -> Iterator[str]:
    dice = random.Random(number)
    base = f"https://univ{number // 20}.example.org/dept{number % 20}"
    dept, univ = f"<{base}>", f"<https://univ{number // 20}.example.org>"

    def fact(s: str, p: str, o: str) -> str:
        return f"{s} <https://example.org/univ#{p}> {o} {GRAPH} ."

    def typed(s: str, kind: str) -> str:
        return f"{s} {TYPE} <https://example.org/univ#{kind}> {GRAPH} ."

    def person(s: str, kind: str, local: str) -> Iterator[str]:
        yield typed(s, kind)
        yield fact(s, "name", f'"{dice.choice(_FIRST)} {dice.choice(_LAST)}"')
        yield fact(s, "email", f'"{local}@{base[8:].replace("/", ".")}"')

    yield typed(dept, "Department")
    yield fact(dept, "subOrganizationOf", univ)
    yield fact(dept, "name", f'"Department {number}"')
    teachers = [f"<{base}/professor{i}>" for i in range(12)]
    courses = [f"<{base}/course{i}>" for i in range(24)]
    for i, s in enumerate(teachers):
        yield from person(s, "Professor", f"professor{i}")
        yield fact(s, "worksFor", dept)
        yield fact(s, "degreeFrom", f"<https://univ{dice.randrange(50)}.example.org>")
        for course in courses[2 * i : 2 * i + 2]:
            yield fact(s, "teaches", course)
    yield fact(teachers[0], "headOf", dept)
    for i, s in enumerate(courses):
        yield typed(s, "Course")
        yield fact(s, "name", f'"Course {i} of department {number}"')
        yield fact(s, "credits", f'"{dice.randrange(2, 13)}"^^<{XSD}integer>')
    for i in range(180):
        s = f"<{base}/student{i}>"
        graduate = i < 60  # noqa: PLR2004 - a third
        yield from person(s, "GraduateStudent" if graduate else "UndergraduateStudent", f"student{i}")
        yield fact(s, "memberOf", dept)
        yield fact(s, "age", f'"{dice.randrange(18, 40)}"^^<{XSD}integer>')
        for course in sorted(dice.sample(courses, 3)):
            yield fact(s, "takes", course)
        if graduate:
            yield fact(s, "advisor", dice.choice(teachers))
            yield fact(s, "degreeFrom", f"<https://univ{dice.randrange(50)}.example.org>")
    for i in range(40):
        s = f"<{base}/publication{i}>"
        yield typed(s, "Publication")
        yield fact(s, "title", f'"On {dice.choice(_LAST)} and {dice.choice(_LAST)}, part {i}"')
        yield fact(s, "year", f'"{dice.randrange(1990, 2027)}"^^<{XSD}integer>')
        for author in sorted(dice.sample(teachers, dice.randrange(1, 4))):
            yield fact(s, "author", author)


def shop(triples: int) -> Iterator[str]:
    """Products with features, offers of vendors, and reviews: about 60 triples a product."""
    made = product = 0
    while made < triples:
        for line in _product(product):
            yield line
            made += 1
            if made == triples:
                return
        product += 1


def _product(number: int) -> Iterator[str]:
    dice = random.Random(number)
    base = "https://shop.example.org"
    s = f"<{base}/product{number}>"

    def fact(subject: str, p: str, o: str) -> str:
        return f"{subject} <https://example.org/shop#{p}> {o} {GRAPH} ."

    def date(year: int) -> str:
        return f'"{year}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}T{dice.randrange(24):02}:00:00Z"^^<{XSD}dateTime>'

    yield f"{s} {TYPE} <{base}/type{number % 151}> {GRAPH} ."
    yield fact(s, "label", f'"{dice.choice(_FIRST)} {dice.choice(_LAST)} {number}"@en')
    yield fact(s, "label", f'"{dice.choice(_LAST)} {dice.choice(_FIRST)} {number}"@de')
    yield fact(s, "producer", f"<{base}/producer{number // 20}>")
    yield fact(s, "weight", f'"{dice.randrange(1, 5000) / 100}"^^<{XSD}decimal>')
    for feature in sorted(dice.sample(range(1000), 8)):
        yield fact(s, "feature", f"<{base}/feature{feature}>")
    for i in range(4):
        offer = f"<{base}/offer{number}-{i}>"
        yield fact(offer, "product", s)
        yield fact(offer, "vendor", f"<{base}/vendor{dice.randrange(300)}>")
        yield fact(offer, "price", f'"{dice.randrange(100, 100_000) / 100}"^^<{XSD}decimal>')
        yield fact(offer, "validTo", date(2026 + dice.randrange(2)))
        yield fact(offer, "deliveryDays", f'"{dice.randrange(1, 22)}"^^<{XSD}integer>')
    for i in range(4):
        review = f"<{base}/review{number}-{i}>"
        yield fact(review, "reviewFor", s)
        yield fact(review, "reviewer", f"<{base}/person{dice.randrange(10_000)}>")
        yield fact(review, "rating", f'"{dice.randrange(1, 11)}"^^<{XSD}integer>')
        yield fact(review, "date", date(2020 + dice.randrange(6)))
        yield fact(review, "text", f'"{dice.choice(_FIRST)} says {dice.choice(_LAST)} number {dice.randrange(10_000)}"@en')
    yield fact(f"<{base}/producer{number // 20}>", "country", f"<{base}/country{number // 20 % 10}>")


MAKERS: Final[dict[str, Callable[[int], Iterator[str]]]] = {"university": university, "shop": shop}


def path_of(name: str, triples: int) -> Path:
    """The N-Quads file of a data set, written if it is not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}-{triples}.nq"
    if not path.exists():
        scratch = path.with_suffix(".part")
        with scratch.open("w", encoding="utf-8", newline="\n") as file:
            batch: list[str] = []
            for line in MAKERS[name](triples):
                batch.append(line)
                if len(batch) == 50_000:  # noqa: PLR2004 - lines written at once
                    file.write("\n".join(batch) + "\n")
                    batch.clear()
            if batch:
                file.write("\n".join(batch) + "\n")
        scratch.rename(path)
    return path
