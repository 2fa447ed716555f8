"""A small town for questions: people, films, their years and who likes what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.aggregate.names import Linked
from retrieval.aggregate.words import phrase, words
from retrieval.index.schema import LABELS
from retrieval.words import literal_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracle import Quad

E = "http://e/"
XSD = "http://www.w3.org/2001/XMLSchema#"
TYPE = b"<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
LABEL = b"<http://www.w3.org/2000/01/rdf-schema#label>"
GRAPH = b"<http://e/g>"


def e(name: str) -> bytes:
    return f"<{E}{name}>".encode()


def text(value: str) -> bytes:
    return f'"{value}"'.encode()


def of(value: str, datatype: str) -> bytes:
    return f'"{value}"^^<{XSD}{datatype}>'.encode()


def row(subject: str, predicate: bytes, object_: bytes) -> Quad:
    return e(subject), predicate, object_, GRAPH


FILMS = {
    "f1": ("Solaris", "comedy", 1972, ("ada", "bob", "cy")),
    "f2": ("Stalker", "drama", 1979, ("ada",)),
    "f3": ("Mirror", "drama", 1975, ("ada", "bob")),
    "f4": ("Alien", "horror", 1979, ()),
}
PEOPLE = {
    "ada": ("Ada Ash", "1950-03-01", ("bob", "cy")),
    "bob": ("Bob Birch", "1980-05-20", ("ada",)),
    "cy": ("Cy Cedar", "1985-07-02", ()),
    "di": ("Di Dale", "", ()),
}
GENRES = ("comedy", "drama", "horror", "western")


def quads() -> list[Quad]:
    """The town. Nobody is in Alien, and no film is a western."""
    made: list[Quad] = []
    for film, (name, genre, year, cast) in FILMS.items():
        made += [row(film, TYPE, e("Film")), row(film, LABEL, text(name)), row(film, e("genre"), e(genre))]
        made += [row(film, e("releaseYear"), of(str(year), "integer"))]
        made += [row(film, e("castMember"), e(one)) for one in cast]
    for person, (name, born, friends) in PEOPLE.items():
        made += [row(person, TYPE, e("Person")), row(person, LABEL, text(name))]
        made += [row(person, e("birthDate"), of(born, "date"))] if born else []
        made += [row(person, e("friend"), e(friend)) for friend in friends]
    made += [row(genre, LABEL, text(genre)) for genre in GENRES]
    return made


class Dictionary:
    """The labels of some quads, word by word: what a label index is at the least."""

    def __init__(self, made: Iterable[Quad]) -> None:
        self._terms: dict[str, list[bytes]] = {}
        for s, p, o, _ in made:
            if p in LABELS:
                self._terms.setdefault(phrase(literal_text(o)[0]), []).append(s)
        self.asked = 0

    def entities(self, text: str) -> list[Linked]:
        self.asked += 1
        said = words(text)
        found = []
        for first in range(len(said)):
            for last in range(first + 1, len(said) + 1):
                key = " ".join(word.form for word in said[first:last])
                found += [Linked(said[first].start, said[last - 1].end, t, 1.0) for t in self._terms.get(key, ())]
        return found
