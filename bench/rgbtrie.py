"""A model of the proofs of VeriDKG's RGB-Trie (VLDB 2024), for their size.

Public is the trie alone (github.com/garlicZhou/veriDKG-RGB-Trie, `trie.go` and `rdf.go`): a prefix tree over the
SHA-256 hashes of the subjects, predicates and objects of all triples, that branches by whole bytes, up to 256 ways.
`searchTrie` gives, for one term, the hashes of all siblings at each level of its path, the hash of its own node, and
its posting list: every triple that has the term in any place, with the hash of each of its terms and the 32-byte
address of the subgraph. This gives the 8.2 KB at 10^3 terms and 16.8 KB at 10^6 of ../shared/PEERS.md. What the model
leaves out favours the peer:

- RLP lengths and the colours of nodes; the accumulators and join proofs of the paper, which are not public;
- a pattern is charged the cheapest lookup that answers it: of one of its constants, or of each binding so far;
- `compressed` counts a list of hashes that several lookups share once, and leaves out what the verifier can hash.

A term that is not there has no proof: `searchTrie` gives what it has and `verifyProof` refuses an empty result.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.client.files import compress
from dkg.sparql.algebra import TriplePattern, Triples, Var
from dkg.sparql.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Triple = tuple[bytes, bytes, bytes]
    Ask = Callable[[str], Iterable[bytes]]
    Postings = Callable[[bytes], Sequence[Triple]]

HASH: Final = 32


class Size(NamedTuple):
    """Bytes of a proof, as the public code would send it and as a careful sender would; and its lookups."""

    raw: int
    compressed: int
    lookups: int


class RgbTrie:
    """The trie over the terms of a graph, as far as sizes depend on it."""

    def __init__(self, terms: Iterable[bytes]) -> None:
        self._keys = sorted({sha256(term).digest() for term in terms})
        self._known: dict[tuple[int, int], tuple[int, list[tuple[int, int]]]] = {}

    def path(self, term: bytes) -> list[tuple[bytes, int]] | None:
        """The branching nodes from the root to a term as (prefix, children); None for a term that is not there."""
        key = sha256(term).digest()
        low, high = 0, len(self._keys)
        nodes: list[tuple[bytes, int]] = []
        while high - low > 1:
            depth, children = self._children(low, high)
            nodes.append((self._keys[low][:depth], len(children)))
            mine = [(start, end) for start, end in children if self._keys[start][: depth + 1] == key[: depth + 1]]
            if not mine:
                return None
            low, high = mine[0]
        return nodes if low < high and self._keys[low] == key else None

    def _children(self, low: int, high: int) -> tuple[int, list[tuple[int, int]]]:
        """Where the keys from `low` to `high` first differ, and the ranges of the children there."""
        known = self._known.get((low, high))
        if known is None:
            first, last = self._keys[low], self._keys[high - 1]
            depth = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=True)))
            starts = [low]
            while (end := self._end(starts[-1], high, depth)) < high:
                starts.append(end)
            known = self._known[low, high] = depth, list(zip(starts, [*starts[1:], high], strict=True))
        return known

    def _end(self, low: int, high: int, depth: int) -> int:
        """The first key from `low` on with another byte at `depth`."""
        byte = self._keys[low][depth]
        while low < high:
            middle = (low + high) // 2
            if self._keys[middle][depth] == byte:
                low = middle + 1
            else:
                high = middle
        return low

    def size(self, terms: Iterable[bytes], postings: Postings) -> Size | None:
        """What proofs of all these terms take together; None when one of them is not there."""
        raw = lookups = 0
        nodes: dict[bytes, int] = {}
        triples: set[Triple] = set()
        for term in dict.fromkeys(terms):
            path = self.path(term)
            if path is None:
                return None
            found = postings(term)
            lookups += 1
            raw += HASH * (1 + sum(children - 1 for _, children in path))
            raw += sum(sum(map(len, triple)) + 4 * HASH for triple in found)
            nodes.update(path)
            triples.update(found)
        text = b"".join(b"%b %b %b\n" % triple for triple in sorted(triples))
        return Size(raw, HASH * (sum(nodes.values()) + lookups) + len(compress(text)), lookups)


def lookups(query: str, ask: Ask, postings: Postings) -> list[bytes] | None:
    """The terms that must be looked up to answer a query; None where the trie is no help.

    That is all but one basic graph pattern, with filters or aggregates on top. `ask` runs a query of one variable.
    """
    where = parse(query).select.where
    elements = where.elements
    if len(elements) != 1 or not isinstance(elements[0], Triples) or any(e.exists for e in where.filters):
        return None
    patterns = [pattern for pattern in elements[0].patterns if isinstance(pattern, TriplePattern)]
    if len(patterns) < len(elements[0].patterns):
        return None
    bound: dict[Var, list[bytes]] = {}
    done: list[TriplePattern] = []
    found: list[bytes] = []
    while patterns:
        best = min(
            ((pattern, way) for pattern in patterns for way in _ways(pattern, bound)),
            key=lambda choice: sum(len(postings(term)) for term in choice[1]),
            default=None,
        )
        if best is None:
            return None
        found += best[1]
        patterns.remove(best[0])
        done.append(best[0])
        bound = {var: _values(var, done, ask) for var in _variables(done)}
    return found


def _ways(pattern: TriplePattern, bound: dict[Var, list[bytes]]) -> list[list[bytes]]:
    """The lists of terms any one of which answers a pattern."""
    nodes = (pattern.s, pattern.p, pattern.o)
    constants = [[node] for node in nodes if isinstance(node, bytes)]
    return constants + [bound[node] for node in nodes if isinstance(node, Var) and node in bound]


def _variables(patterns: list[TriplePattern]) -> set[Var]:
    return {node for pattern in patterns for node in (pattern.s, pattern.p, pattern.o) if isinstance(node, Var)}


def _values(var: Var, patterns: list[TriplePattern], ask: Ask) -> list[bytes]:
    where = " . ".join(" ".join(map(_written, (p.s, p.p, p.o))) for p in patterns)
    return sorted(ask(f"SELECT DISTINCT {_written(var)} {{ {where} }}"))


def _written(node: Var | bytes) -> str:
    """A blank node of the query becomes a variable, so that its values can be asked for."""
    return "?" + node.name.replace("_:", "blank_").rstrip(".") if isinstance(node, Var) else node.decode()
