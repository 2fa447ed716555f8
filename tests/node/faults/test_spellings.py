"""Row D7: text that can be read in two ways, or written in many. One canonical form, so one root; or it is refused."""

from __future__ import annotations

import json
import os
import random
import unicodedata
from typing import TYPE_CHECKING

import pytest

from dkg.dataset import build_dataset
from dkg.errors import RdfError
from dkg.pages import MemoryPageStore
from dkg.rdf import parse_quads

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.terms import Quad

CASES = 20_000 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 500
"""Documents that are written in two ways each."""

GRAPH = b"<urn:g>"
XSD = "http://www.w3.org/2001/XMLSchema#"

Fact = tuple[str, str, tuple[str, str, str]]
"""Subject, predicate, and of an object its kind (iri, text, integer, decimal, boolean), value, and language."""

TEXTS = (
    "plain",
    "caf\u00e9",
    "cafe\u0301",
    "\u202eabc\u202c",
    "a\u200bb",
    "\U0001f600",
    'quote " back \\ tab \t',
    "x\ny",
    "",
)


def facts(rng: random.Random) -> list[Fact]:
    """What a document says."""
    made: list[Fact] = []
    for _ in range(rng.randrange(1, 12)):
        value = rng.choice(
            (
                ("iri", f"urn:o{rng.randrange(9)}", ""),
                ("text", rng.choice(TEXTS), rng.choice(("", "", "en", "en-us", "zh-hant"))),
                ("integer", str(rng.randrange(-99, 99)), ""),
                ("boolean", rng.choice(("true", "false")), ""),
            )
        )
        made.append((f"urn:s{rng.randrange(5)}", f"urn:p{rng.randrange(3)}", value))
    return made


def escaped(text: str, rng: random.Random, *, freely: bool) -> str:
    """A string of Turtle, with escapes where they are needed, or anywhere."""
    out = []
    for char in text:
        if freely and rng.random() < 0.3:
            out.append(f"\\u{ord(char):04X}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}")
        else:
            out.append({'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n"}.get(char, char))
    return "".join(out)


def term(value: tuple[str, str, str], rng: random.Random, *, freely: bool) -> str:
    """An object in Turtle; N-Triples, if not freely."""
    kind, text, language = value
    if kind == "iri":
        return f"<{text}>"
    if kind == "text":
        tag = "".join(rng.choice((char, char.upper())) for char in language) if freely else language
        datatype = f"^^<{XSD}string>" if freely and not tag and rng.random() < 0.3 else ""
        return f'"{escaped(text, rng, freely=freely)}"' + (f"@{tag}" if tag else datatype)
    if kind == "integer" and freely:
        sign, digits = ("-", text[1:]) if text.startswith("-") else (rng.choice(("", "+")), text)
        return rng.choice((f"{sign}{'0' * rng.randrange(3)}{digits}", f'"{sign}0{digits}"^^<{XSD}integer>'))
    if kind == "boolean" and freely:
        other = {"true": "1", "false": "0"}[text]
        return rng.choice((text, f'"{other}"^^<{XSD}boolean>', f'"{text}"^^<{XSD}boolean>'))
    return f'"{text}"^^<{XSD}{kind}>'


def ntriples(said: list[Fact], rng: random.Random) -> tuple[str, str]:
    lines = [f"<{s}> <{p}> {term(o, rng, freely=False)} ." for s, p, o in said]
    return "nt", "\n".join(lines) + "\n"


def turtle(said: list[Fact], rng: random.Random) -> tuple[str, str]:
    """In another order, some of it twice, with what Turtle has for shorter."""
    again = [*said, *rng.choices(said, k=rng.randrange(4))]
    rng.shuffle(again)
    lines = ["@prefix u: <urn:> ." if rng.random() < 0.5 else "PREFIX u: <urn:>"]
    for subject, predicate, value in again:
        name = rng.choice((f"<{subject}>", subject.replace("urn:", "u:"), f"<\\u0075rn:{subject[4:]}>"))
        space = rng.choice((" ", "\t", "\r\n  ", " # of it\n "))
        lines.append(f"{name}{space}<{predicate}>{space}{term(value, rng, freely=True)} .")
    return rng.choice(("ttl", "trig")), "\n".join(lines)


def jsonld(said: list[Fact], rng: random.Random) -> tuple[str, str]:
    again = said.copy()
    rng.shuffle(again)
    nodes: list[dict[str, object]] = []
    for subject, predicate, (kind, text, language) in again:
        value: dict[str, object] = {"@id": text} if kind == "iri" else {"@value": text}
        if kind == "integer":
            value = {"@value": int(text)} if rng.random() < 0.5 else {"@value": text, "@type": f"{XSD}integer"}
        elif kind == "boolean":
            value = {"@value": text == "true"}
        elif kind == "text" and language:
            value["@language"] = language.upper() if rng.random() < 0.5 else language
        nodes.append({"@id": subject, predicate: [value]})
    return "jsonld", json.dumps(nodes, ensure_ascii=rng.random() < 0.5)


def root_of(text: str | bytes, syntax: str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    quads: list[Quad] = [quad for batch in parse_quads(data, format=syntax, graph=GRAPH) for quad in batch]
    return build_dataset([quads], MemoryPageStore())


def test_however_it_is_written_it_has_one_root() -> None:
    rng = random.Random(7)
    writers: tuple[Callable[[list[Fact], random.Random], tuple[str, str]], ...] = (turtle, jsonld)
    for _ in range(CASES):
        said = facts(rng)
        syntax, text = ntriples(said, rng)
        other_syntax, other = rng.choice(writers)(said, rng)
        assert root_of(text, syntax) == root_of(other, other_syntax), (text, other)


PAIRS = {
    "integers": ('"01"^^<{x}integer>', '"1"^^<{x}integer>', True),
    "booleans": ('"1"^^<{x}boolean>', '"true"^^<{x}boolean>', True),
    "language tags": ('"x"@EN-us', '"x"@en-US', True),
    "strings": ('"x"^^<{x}string>', '"x"', True),
    "integers and decimals": ('"1"^^<{x}integer>', '"1"^^<{x}decimal>', False),
    "NFC and NFD": ('"caf\u00e9"', '"cafe\u0301"', False),
    "bidi": ('"a\u202eb"', '"ab"', False),
    "nothing in between": ('"a\u200bb"', '"ab"', False),
    "look-alikes": ('"\u0430"', '"a"', False),
    "case of IRIs": ("<HTTP://E/a>", "<http://e/a>", False),
    "percent signs": ("<http://e/%7Ea>", "<http://e/~a>", False),
    "kinds of integers": ('"7"^^<{x}unsignedByte>', '"7"^^<{x}integer>', True),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_the_same_and_what_is_not(name: str) -> None:
    first, second, same = PAIRS[name]
    roots = [root_of(f"<urn:a> <urn:p> {one.format(x=XSD)} .", "nt") for one in (first, second)]
    assert (roots[0] == roots[1]) == same
    assert name != "NFC and NFD" or unicodedata.normalize("NFC", second.strip('"')) == first.strip('"')


REFUSED = {
    "two names": ("jsonld", b'{"@id":"urn:a","@id":"urn:b","urn:p":"1"}'),
    "NaN": ("jsonld", b'{"@id":"urn:a","urn:p":NaN}'),
    "Infinity": ("jsonld", b'{"@id":"urn:a","urn:p":-Infinity}'),
    "half a character": ("jsonld", b'{"@id":"urn:a","urn:p":"\\ud800"}'),
    "half a character in Turtle": ("ttl", b'<urn:a> <urn:p> "\\uD800" .'),
    "UTF-8 in a longer form": ("ttl", b'<urn:a> <urn:p> "\xc0\x80" .'),
    "half a character in UTF-8": ("ttl", b'<urn:a> <urn:p> "\xed\xa0\x80" .'),
    "a byte order mark": ("ttl", b"\xef\xbb\xbf<urn:a> <urn:p> <urn:b> ."),
    "UTF-16": ("ttl", "<urn:a> <urn:p> <urn:b> .".encode("utf-16")),
    "a comment in JSON": ("jsonld", b'{"@id":"urn:a"/**/,"urn:p":"1"}'),
    "single quotes in JSON": ("jsonld", b"{'@id':'urn:a'}"),
    "more after the end": ("jsonld", b'{"@id":"urn:a","urn:p":"1"} {"@id":"urn:b"}'),
    "a space in an IRI": ("ttl", b"<urn:a b> <urn:p> <urn:c> ."),
    "a language that is none": ("ttl", b'<urn:a> <urn:p> "x"@e_n .'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_one_meaning_is_refused(name: str) -> None:
    syntax, data = REFUSED[name]
    with pytest.raises(RdfError):
        root_of(data, syntax)


def test_two_members_of_one_name_are_both_there() -> None:
    both = root_of(b'{"@id":"urn:a","urn:p":"1","urn:p":"2"}', "jsonld")
    assert both == root_of('<urn:a> <urn:p> "1" .\n<urn:a> <urn:p> "2" .', "nt")
