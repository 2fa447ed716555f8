"""Texts of facts, as an index embeds them: as many as are asked for, from data that is there.

CoDEx-M has the shape of a real graph, and names for its relations and few of its entities. So its entities get the
names of FactBench's and PathQuestion's: the texts are of real length and repeat their parts as often as those of a real
graph. They are not true.
"""

from __future__ import annotations

import gzip
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from bench import codex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LABEL: Final = re.compile(r'^(\S+) \S+#label> "((?:[^"\\]|\\.)*)"(?:@en)? \.$')
_FACT: Final = re.compile(r"^(<\S+>) (<\S+/prop/direct/\S+>) (<\S+>) \.$")


def data() -> Path:
    """The folder of the data."""
    return codex.source().parent.parent


def texts(count: int) -> list[str]:
    """That many texts, `subject relation object`, all different; the same ones each time."""
    return list(islice(dict.fromkeys(_sentences()), count))


def questions(count: int) -> list[str]:
    """That many questions of PathQuestion, evenly spaced."""
    lines = (data() / "pathquestion" / "PQ-2H.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0].replace("_", " ") for line in lines[:: max(1, len(lines) // count)]][:count]


def _sentences() -> Iterator[str]:
    lines = gzip.decompress(codex.source().read_bytes()).decode().splitlines()
    labels = {found[1].rpartition("/")[2]: found[2] for line in lines if (found := _LABEL.match(line))}
    names = _names()
    given: dict[str, str] = {}
    for line in lines:
        if found := _FACT.match(line):
            subject, relation, other = (term.rpartition("/")[2] for term in found.groups())
            ends = [
                labels.get(term) or given.setdefault(term, names[len(given) % len(names)]) for term in (subject, other)
            ]
            yield f"{ends[0]} {labels.get(relation, relation[:-1])} {ends[1]}"


def _names() -> list[str]:
    facts = (line.split("\t") for hops in (2, 3) for line in _lines(hops))
    found = {end.strip().replace("_", " "): None for fact in facts for end in (fact[0], fact[-1])}
    lines = gzip.decompress((data() / "factbench" / "labels-en.nt.gz").read_bytes()).decode().splitlines()
    found |= {line.split('"')[1]: None for line in lines if line.count('"') > 1}
    return list(found)


def _lines(hops: int) -> list[str]:
    return (data() / "pathquestion" / f"{hops}H-kb.txt").read_text(encoding="utf-8").splitlines()
