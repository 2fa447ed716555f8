"""Made-up graphs of any size, the same bytes every time: a university (after LUBM) and a shop (after BSBM).

Files are written once into `.cache/bench` under the project. One triple is one line of N-Quads; all are in one graph.
"""

from __future__ import annotations

import random
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "bench"
GRAPH: Final = "<https://example.org/graph>"
TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_STUDENTS: Final = 300  # of a department; a third are graduates
_UNIVERSITIES: Final = 88  # that people have degrees from: so 434 or so from each, of 10^6 triples
_BATCH: Final = 50_000  # lines written at once

_FIRST: Final = ("Ada", "Bela", "Chen", "Dina", "Eero", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lea", "Mia", "Nils")
_LAST: Final = ("Abe", "Berg", "Cole", "Diaz", "Endo", "Fink", "Gray", "Holm", "Ito", "Jung", "Kern", "Lund", "Mori")


def university(triples: int) -> Iterator[str]:
    """Departments of 12 professors and 300 students: about 3,000 triples each."""
    made = department = 0
    while made < triples:
        for line in _Department(department).lines():
            yield line
            made += 1
            if made == triples:
                return
        department += 1


class _Department:
    """One department's lines. All it says follows from its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dice = random.Random(number)  # noqa: S311 - made-up data, the same every time
        self.base = f"https://univ{number // 20}.example.org/dept{number % 20}"
        self.dept = f"<{self.base}>"
        self.teachers = [f"<{self.base}/professor{i}>" for i in range(12)]
        self.courses = [f"<{self.base}/course{i}>" for i in range(24)]

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield _typed(self.dept, "Department")
        yield _univ(self.dept, "subOrganizationOf", f"<https://univ{self.number // 20}.example.org>")
        yield _univ(self.dept, "name", f'"Department {self.number}"')
        yield from self._staff()
        for i in range(_STUDENTS):
            yield from self._student(i)
        for i in range(40):
            s = f"<{self.base}/publication{i}>"
            yield _typed(s, "Publication")
            yield _univ(s, "title", f'"On {self.dice.choice(_LAST)} and {self.dice.choice(_LAST)}, part {i}"')
            yield _univ(s, "year", f'"{self.dice.randrange(1990, 2027)}"^^<{XSD}integer>')
            for author in sorted(self.dice.sample(self.teachers, self.dice.randrange(1, 4))):
                yield _univ(s, "author", author)

    def _person(self, s: str, kind: str, local: str) -> Iterator[str]:
        yield _typed(s, kind)
        yield _univ(s, "name", f'"{self.dice.choice(_FIRST)} {self.dice.choice(_LAST)}"')
        yield _univ(s, "email", f'"{local}@{self.base[8:].replace("/", ".")}"')

    def _degree(self, s: str) -> str:
        return _univ(s, "degreeFrom", f"<https://univ{self.dice.randrange(_UNIVERSITIES)}.example.org>")

    def _staff(self) -> Iterator[str]:
        for i, s in enumerate(self.teachers):
            yield from self._person(s, "Professor", f"professor{i}")
            yield _univ(s, "worksFor", self.dept)
            yield self._degree(s)
            for course in self.courses[2 * i : 2 * i + 2]:
                yield _univ(s, "teaches", course)
        yield _univ(self.teachers[0], "headOf", self.dept)
        for i, s in enumerate(self.courses):
            yield _typed(s, "Course")
            yield _univ(s, "name", f'"Course {i} of department {self.number}"')
            yield _univ(s, "credits", f'"{self.dice.randrange(2, 13)}"^^<{XSD}integer>')

    def _student(self, i: int) -> Iterator[str]:
        s = f"<{self.base}/student{i}>"
        graduate = i < _STUDENTS // 3
        yield from self._person(s, "GraduateStudent" if graduate else "UndergraduateStudent", f"student{i}")
        yield _univ(s, "memberOf", self.dept)
        yield _univ(s, "age", f'"{self.dice.randrange(18, 40)}"^^<{XSD}integer>')
        for course in sorted(self.dice.sample(self.courses, 3)):
            yield _univ(s, "takes", course)
        if graduate:
            yield _univ(s, "advisor", self.dice.choice(self.teachers))
            yield self._degree(s)


def _univ(s: str, p: str, o: str) -> str:
    return f"{s} <https://example.org/univ#{p}> {o} {GRAPH} ."


def _typed(s: str, kind: str) -> str:
    return f"{s} {TYPE} <https://example.org/univ#{kind}> {GRAPH} ."


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
    dice = random.Random(number)  # noqa: S311 - made-up data, the same every time
    base = "https://shop.example.org"
    s = f"<{base}/product{number}>"

    def fact(subject: str, p: str, o: str) -> str:
        return f"{subject} <https://example.org/shop#{p}> {o} {GRAPH} ."

    def date(year: int) -> str:
        day = f"{year}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
        return f'"{day}T{dice.randrange(24):02}:00:00Z"^^<{XSD}dateTime>'

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
        said = f"{dice.choice(_FIRST)} says {dice.choice(_LAST)} number {dice.randrange(10_000)}"
        yield fact(review, "text", f'"{said}"@en')
    if number % 20 == 0:
        yield fact(f"<{base}/producer{number // 20}>", "country", f"<{base}/country{number // 20 % 10}>")


MAKERS: Final[dict[str, Callable[[int], Iterator[str]]]] = {"university": university, "shop": shop}


def _forget_older(path: Path) -> None:
    """Remove what other generators made of this size, and the stores that hold it."""
    for old in path.parent.glob(f"{path.stem.rpartition('-')[0]}-*"):
        if not old.name.startswith(path.stem):
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def path_of(name: str, triples: int) -> Path:
    """The N-Quads file of a data set, written if it is not there; its name tells what made it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"{name}-{triples}-{zlib.crc32(Path(__file__).read_bytes()):08x}.nq"
    if not path.exists():
        _forget_older(path)
        scratch = path.with_suffix(".part")
        with scratch.open("w", encoding="utf-8", newline="\n") as file:
            batch: list[str] = []
            for line in MAKERS[name](triples):
                batch.append(line)
                if len(batch) == _BATCH:
                    file.write("\n".join(batch) + "\n")
                    batch.clear()
            if batch:
                file.write("\n".join(batch) + "\n")
        scratch.rename(path)
    return path
