"""PathQuestion as a graph and questions: two knowledge bases, their union with distracting triples, gold paths.

Subjects are split in halves by a hash: whatever was tuned was tuned on the questions about one half, and figures are
of the other. Names are written with spaces, as people write them; the data has underscores.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from bench.data import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DISTRACTING: Final = 200_000
"""Triples of CoDEx-M beside the two knowledge bases."""

GRAPH: Final = "https://example.org/pathquestion"
LABEL: Final = "<http://www.w3.org/2000/01/rdf-schema#label>"
ALIAS: Final = "<http://www.w3.org/2004/02/skos/core#altLabel>"

Triple = tuple[str, str, str]


def folder() -> Path:
    """Where the data is: `DKG_TEST_DATA`, or `../shared/data`."""
    return type(ROOT)(os.environ.get("DKG_TEST_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the triples that answer it."""

    text: str
    subject: str
    """The name of the thing that it is about, as the data writes it."""
    gold: tuple[Triple, ...]

    @property
    def name(self) -> str:
        """The subject's name as it stands in the text."""
        return spoken(self.subject)

    @property
    def is_held_out(self) -> bool:
        """Whether it is of the half that nothing was tuned on."""
        return zlib.crc32(self.subject.encode()) % 2 == 1


def spoken(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")


def entity(name: str) -> str:
    """The IRI of a thing, as a term."""
    return f"<https://example.org/pathquestion/entity/{quote(name, safe='-_.~')}>"


def relation(name: str) -> str:
    """The IRI of a relation, as a term."""
    return f"<https://example.org/pathquestion/relation/{quote(name, safe='-_.~')}>"


def knowledge() -> list[Triple]:
    """The triples of both knowledge bases, each once."""
    found: dict[Triple, None] = {}
    for file in ("2H-kb.txt", "3H-kb.txt"):
        for line in (folder() / "pathquestion" / file).read_text(encoding="utf-8").splitlines():
            s, p, o = line.split("\t")
            found[s, p, o] = None
    return list(found)


def names(triples: Iterable[Triple]) -> list[str]:
    """The names of all things."""
    return sorted({name for s, _, o in triples for name in (s, o)})


def questions(hops: int) -> list[Question]:
    """The questions of two or three hops, in the order of the file."""
    found = []
    for line in (folder() / "pathquestion" / f"PQ-{hops}H.txt").read_text(encoding="utf-8").splitlines():
        text, _, path = line.split("\t")
        parts = path.split("#")
        parts = parts[: parts.index("<end>")]
        gold = tuple((parts[at], parts[at + 1], parts[at + 2]) for at in range(0, len(parts) - 2, 2))
        found.append(Question(text.replace(parts[0], spoken(parts[0])), parts[0], gold))
    return found


def lines(triples: Iterable[Triple], aliases: dict[str, list[str]] | None = None) -> Iterator[str]:
    """The knowledge bases as N-Triples, with a label for each thing, and aliases where they are given."""
    held = list(triples)
    for s, p, o in held:
        yield f"{entity(s)} {relation(p)} {entity(o)} ."
    for name in names(held):
        yield f'{entity(name)} {LABEL} "{spoken(name)}"@en .'
        for other in (aliases or {}).get(name, ()):
            yield f'{entity(name)} {ALIAS} "{other}"@en .'


def distracting(most: int = DISTRACTING) -> Iterator[str]:
    """Triples of CoDEx-M: first the labels and descriptions, so that its relations have names too, then its facts."""
    with gzip.open(folder() / "codex" / "codex-m.nt.gz", "rt", encoding="utf-8") as file:
        every = file.read().splitlines()
    about = [line for line in every if "/prop/direct/" not in line.split(" ", 2)[1]]
    facts = [line for line in every if "/prop/direct/" in line.split(" ", 2)[1]]
    yield from (about + facts)[:most]


def statement(triple: Triple) -> tuple[bytes, bytes, bytes]:
    """A triple as terms."""
    s, p, o = triple
    return entity(s).encode(), relation(p).encode(), entity(o).encode()
