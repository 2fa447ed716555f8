"""What things are called: the names of the nodes of a graph, as the index finds them.

A node's names follow from the graph alone, so that an index that was changed step by step has the same ones as an
index that was built at once: its labels, its aliases, the last part of its IRI if it has no label, and the text of a
literal that is not itself a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from retrieval.index.schema import ALIAS, ALIASES, LABEL, LABELS, LOCAL, NAMING, TEXT
from retrieval.words import TEXT_CHARS_MAX, literal_text, local_name, split_name, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from retrieval.index.edges import Ints
    from retrieval.model import Statement

NAMES_MAX: Final = 64
"""Most names of one node that the index keeps: the first in the order of their text."""

SQUEEZED_CHARS_MAX: Final = 80
"""Longest name that a question can hold word by word, without its spaces; longer texts are found by their words."""

_RANKS: Final = {predicate: at for at, predicate in enumerate((*LABELS, *ALIASES))}
_KINDS: Final = dict.fromkeys(LABELS, LABEL) | dict.fromkeys(ALIASES, ALIAS)


class Name(NamedTuple):
    """One name of a node."""

    node: int
    kind: int
    norm: str
    """Its words, folded, with a space between."""

    @property
    def squeezed(self) -> str:
        """Its words without spaces; empty for a text that is too long for that."""
        text = self.norm.replace(" ", "")
        return text if len(text) <= SQUEEZED_CHARS_MAX else ""


def kind_of(predicate: bytes) -> int | None:
    """What the values of a predicate are to their subject: `LABEL`, `ALIAS`, or None."""
    kind = _KINDS.get(predicate)
    if kind is None and "".join(words(local_name(predicate))) in NAMING:
        return LABEL
    return kind


def naming_rank(predicate: bytes) -> int | None:
    """The place of a predicate among those that say what a thing is called, the best first; None for others."""
    known = _RANKS.get(predicate)
    return len(_RANKS) if known is None and kind_of(predicate) == LABEL else known


def labels_of(stated: Iterable[Statement]) -> dict[bytes, str]:
    """What things are called, by triples that were read. One that is no label says nothing, whatever proposed it."""
    return {s: literal_text(o)[0] for s, p, o in stated if o[:1] == b'"' and kind_of(p) == LABEL}


def names_of(
    table: Ints, relations: Mapping[int, bytes], terms: Callable[[list[int]], dict[int, bytes]], nodes: Ints
) -> Iterator[Name]:
    """The names of some nodes, in ascending order of node. `table`: the edges of the graph, or those of these nodes."""
    kinds = np.full(max(relations, default=-1) + 1, -1, dtype=np.int8)
    for relation, term in relations.items():
        kind = kind_of(term)
        kinds[relation] = -1 if kind is None else kind
    of_edge: NDArray[np.int8] = kinds[table[:, 1]] if len(table) else np.zeros(0, dtype=np.int8)
    wanted = np.unique(nodes)
    naming = table[(of_edge >= 0) & np.isin(table[:, 0], wanted)]
    spoken = np.intersect1d(table[of_edge < 0, 2], wanted)
    said: dict[int, list[tuple[int, int]]] = {}
    for subject, relation, value, _ in naming.tolist():
        said.setdefault(subject, []).append((int(kinds[relation]), value))
    text_nodes = set(spoken.tolist())
    for at in range(0, len(wanted), 10_000):
        some = wanted[at : at + 10_000].tolist()
        known = terms([*some, *(value for node in some for _, value in said.get(node, ()))])
        for node in some:
            values = [(kind, known[value]) for kind, value in said.get(node, ())]
            yield from _named(node, known[node], values, spoken=node in text_nodes)


def _named(node: int, term: bytes, values: list[tuple[int, bytes]], *, spoken: bool) -> Iterator[Name]:
    if term[:1] == b'"':
        text, language, datatype = literal_text(term)
        if spoken and (language is not None or datatype is None):
            norm = " ".join(words(text[:TEXT_CHARS_MAX]))
            if norm:
                yield Name(node, TEXT, norm)
        return
    found: dict[str, int] = {}
    for kind, value in values:
        text = literal_text(value)[0] if value[:1] == b'"' else local_name(value)
        norm = " ".join(words(text[:TEXT_CHARS_MAX]))
        if norm:
            found[norm] = min(kind, found.get(norm, kind))
    if LABEL not in found.values():
        norm = " ".join(words(split_name(local_name(term))[:TEXT_CHARS_MAX]))
        if norm:
            found.setdefault(norm, LOCAL)
    for norm in sorted(found)[:NAMES_MAX]:
        yield Name(node, found[norm], norm)
