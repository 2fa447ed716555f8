"""RDFC-1.0, the canonical labels of blank nodes, with bounded work (W3C Recommendation, 21 May 2024).

Blank nodes that look alike are told apart by trying every order of them, which is exponential: nine fully linked
blank nodes keep the engine's implementation busy for half a minute, and nothing can stop it. Here each step is
counted, so that the same dataset is refused at the same step on every machine.

Two things are done better than the text of the standard, with the same canonical dataset as result: steps do not
nest on Python's stack, and blank nodes that can change places without changing the dataset (their statements
differ in nothing but themselves) are not tried in both orders.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final

from dkg.errors import CanonicalizationError
from dkg.limits import (
    CANON_LEVELS_PER_STEP,
    CANON_WORK_BASE,
    CANON_WORK_MAX,
    CANON_WORK_MIN_PER_NODE,
    CANON_WORK_PER_NODE,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    Issued = dict[bytes, bytes]
    """Labels in the order of their issue: blank node -> label."""

    Result = tuple[bytes, Issued]
    """The hash of a blank node's surroundings, and the labels issued on the way."""

    Step = Generator[tuple[bytes, Issued], Result, Result]

RawQuad = tuple[bytes, bytes, bytes, bytes]
"""Subject, predicate, object, graph as canonical N-Triples text; blank nodes as `_:label`; no graph as empty."""

_HASHES: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}
_SELF: Final = b"_:a"
_OTHER: Final = b"_:z"


def nquad(quad: RawQuad) -> bytes:
    """A quad as a line of canonical N-Quads."""
    return _line(quad)


def canonical_nquads(quads: Iterable[RawQuad], hash_name: str = "sha256") -> bytes:
    """A dataset in canonical form: N-Quads with canonical labels, sorted, without duplicates."""
    distinct = list(dict.fromkeys(quads))
    labels = _Canonicalizer(distinct, hash_name, None).labels()
    return b"".join(sorted(_line([labels.get(term, term) for term in quad]) for quad in distinct))


def canonicalize(
    quads: Iterable[RawQuad], *, hash_name: str = "sha256", work_max: int | None = None
) -> dict[bytes, bytes]:
    """The canonical label (`c14n0`, ...) of each blank node label (both without `_:`).

    `hash_name`: sha256 or sha384. `work_max`: steps after which it gives up, by default as `dkg.limits` says for that
    many blank nodes. Raises `CanonicalizationError`.
    """
    labels = _Canonicalizer(quads, hash_name, work_max).labels()
    return {node[2:]: label[2:] for node, label in labels.items()}


def _line(quad: Iterable[bytes]) -> bytes:
    *triple, graph = quad
    return b" ".join([*triple, graph, b".\n"] if graph else [*triple, b".\n"])


class _Canonicalizer:
    """One run of section 4.4.3; the names of the methods are those of the standard's algorithms."""

    def __init__(self, quads: Iterable[RawQuad], hash_name: str, work_max: int | None) -> None:
        if hash_name not in _HASHES:
            raise CanonicalizationError(f"RDFC-1.0 uses sha256 or sha384, not {hash_name!r}")
        self._hash = _HASHES[hash_name]
        self._quads: dict[bytes, list[RawQuad]] = {}
        for quad in dict.fromkeys(quads):
            for node in {term for term in quad if term.startswith(b"_:")}:
                self._quads.setdefault(node, []).append(quad)
        self._first = {node: self._hash_first_degree(node) for node in self._quads}
        self._twins: dict[bytes, bytes] = {}
        self._related: dict[bytes, bytes] = {}
        self._canonical: Issued = {}
        self._work_max = _work_max(len(self._quads)) if work_max is None else work_max
        self._work = 0

    def labels(self) -> dict[bytes, bytes]:
        """See `canonicalize`. Steps are numbered as in the standard."""
        alike: dict[bytes, list[bytes]] = {}
        for node, digest in self._first.items():  # step 3
            alike.setdefault(digest, []).append(node)
        for digest in sorted(alike):  # step 4
            if len(alike[digest]) == 1:
                self._issue(alike[digest][0])
        for digest in sorted(alike):  # step 5
            results = [self._hash_n_degree(node) for node in alike[digest] if node not in self._canonical]
            for _, issued in self._in_order(results):
                for node in issued:
                    self._issue(node)
        return self._canonical

    def _in_order(self, results: list[Result]) -> list[Result]:
        """Step 5.3. The standard leaves ties open, and not all of them are symmetries: see docs/adr/0001-rdfc.md."""
        times = Counter(digest for digest, _ in results)

        def key(result: Result) -> tuple[bytes, bytes]:
            digest, issued = result
            return digest, self._tie_break(issued) if times[digest] > 1 else b""

        return sorted(results, key=key)

    def _tie_break(self, issued: Issued) -> bytes:
        """The statements of some blank nodes under the labels that they have been issued."""
        known = self._canonical
        names = ([issued.get(t) or known.get(t, t) for t in quad] for node in issued for quad in self._quads[node])
        return self._digest(b"".join(sorted(set(map(_line, names)))))

    def _issue(self, node: bytes) -> None:
        self._canonical.setdefault(node, b"_:c14n%d" % len(self._canonical))

    def _digest(self, data: bytes) -> bytes:
        return self._hash(data).hexdigest().encode()

    def _hash_first_degree(self, node: bytes) -> bytes:
        """Section 4.6.3: the hash of the statements that mention a blank node."""
        lines = [
            _line([(_SELF if term == node else _OTHER) if term.startswith(b"_:") else term for term in quad])
            for quad in self._quads[node]
        ]
        return self._digest(b"".join(sorted(lines)))

    def _hash_related(self, related: bytes, quad: RawQuad, issued: Issued, position: bytes) -> bytes:
        """Section 4.7.3: the hash of a blank node as seen from one of its statements."""
        known = self._canonical.get(related) or issued.get(related) or self._first[related]
        data = position + (b"" if position == b"g" else quad[1]) + known
        digest = self._related.get(data)
        if digest is None:
            digest = self._related[data] = self._digest(data)
        return digest

    def _hash_n_degree(self, node: bytes) -> Result:
        """Section 4.8.3, with a stack of its own: chains of blank nodes may be longer than Python's."""
        stack = [self._surroundings(node, {node: b"_:b0"})]
        result: Result | None = None
        while stack:
            try:
                request = next(stack[-1]) if result is None else stack[-1].send(result)
            except StopIteration as done:
                result = done.value
                stack.pop()
            else:
                self._spend(len(stack) // CANON_LEVELS_PER_STEP)
                stack.append(self._surroundings(*request))
                result = None
        if result is None:
            raise AssertionError("the last step has a result")
        return result

    def _surroundings(self, node: bytes, issued: Issued) -> Step:
        """Algorithm 4.8.3 itself; asks for the results that it recurs for. Takes over `issued`."""
        data = b""
        groups = self._groups(node, issued)
        for digest in sorted(groups):  # step 5
            chosen: tuple[bytes, Issued] | None = None
            kinds = self._kinds(groups[digest], issued)
            for order in kinds if len(kinds) == 1 else self._orders(kinds):  # step 5.4
                self._spend(len(order))
                mine = issued if len(kinds) == 1 else self._copy(issued)
                found = yield from self._path(order, mine, chosen[0] if chosen else None)
                if found is not None and (chosen is None or found[0] < chosen[0]):
                    chosen = found
            if chosen is None:
                raise AssertionError("the first order is never given up")
            data += digest + chosen[0]
            issued = chosen[1]
        return self._digest(data), issued

    def _path(
        self, order: list[bytes], issued: Issued, best: bytes | None
    ) -> Generator[tuple[bytes, Issued], Result, tuple[bytes, Issued] | None]:
        """Steps 5.4.1 to 5.4.5: the path of one order, or None once it is seen not to be the least."""
        path = b""
        recur: list[bytes] = []
        for node in order:
            if node in self._canonical:
                path += self._canonical[node]
            else:
                if node not in issued:
                    recur.append(node)
                path += issued.setdefault(node, b"_:b%d" % len(issued))
            if _is_worse(path, best):
                return None
        for node in recur:
            digest, after = yield node, issued
            path += issued.setdefault(node, b"_:b%d" % len(issued)) + b"<" + digest + b">"
            issued = after
            if _is_worse(path, best):
                return None
        return path, issued

    def _groups(self, node: bytes, issued: Issued) -> dict[bytes, list[bytes]]:
        """Step 3: the blank nodes next to this one, by how they look from here."""
        groups: dict[bytes, list[bytes]] = {}
        for quad in self._quads[node]:
            self._spend(1)
            for term, position in ((quad[0], b"s"), (quad[2], b"o"), (quad[3], b"g")):
                if term.startswith(b"_:") and term != node:
                    groups.setdefault(self._hash_related(term, quad, issued, position), []).append(term)
        return groups

    def _kinds(self, nodes: list[bytes], issued: Issued) -> list[list[bytes]]:
        """Blank nodes, those together that have no label yet and can change places."""
        if len(nodes) == 1:
            return [nodes]
        names = {node: self._canonical.get(node) or issued.get(node) for node in nodes}
        if all(names.values()):  # nothing to issue: the least path is known
            return [sorted(nodes, key=lambda node: _LeastFirst(names[node] or b""))]
        kinds: dict[bytes, list[bytes]] = {}
        for node in nodes:
            kinds.setdefault(node if names[node] else self._twin(node), []).append(node)
        return list(kinds.values())

    def _orders(self, kinds: list[list[bytes]]) -> Iterator[list[bytes]]:
        """All orders of blank nodes, less those that only change the places of some of one kind."""
        if len(kinds) == 1:
            yield kinds[0]
            return
        for pattern in _patterns([len(kind) for kind in kinds]):
            rest = [iter(kind) for kind in kinds]
            yield [next(rest[kind]) for kind in pattern]

    def _twin(self, node: bytes) -> bytes:
        """What is the same for two blank nodes if they can change places: their statements, less themselves."""
        if node not in self._twins:
            lines = sorted(_line([_SELF if term == node else term for term in quad]) for quad in self._quads[node])
            self._spend(len(lines))
            self._twins[node] = self._digest(b"".join(lines))
        return self._twins[node]

    def _copy(self, issued: Issued) -> Issued:
        self._spend(2 * len(issued))  # by size: copies are what takes the memory
        return issued.copy()

    def _spend(self, steps: int) -> None:
        self._work += steps
        if self._work > self._work_max:
            raise CanonicalizationError(
                f"{len(self._quads)} blank nodes take RDFC-1.0 over {self._work_max} steps (CANON_WORK_MAX), because "
                "many of them look alike: give some of them IRIs, or load the data in smaller documents"
            )


def _compare(one: bytes, other: bytes) -> int:
    """Which of two labels comes first in the least path that holds both."""
    return (one + other > other + one) - (one + other < other + one)


_LeastFirst: Final = cmp_to_key(_compare)


def _is_worse(path: bytes, best: bytes | None) -> bool:
    return best is not None and len(path) >= len(best) and path > best


def _work_max(nodes: int) -> int:
    """The default bound: a poison of ten nodes ends within a second, and large harmless data gets through."""
    grown = CANON_WORK_BASE + CANON_WORK_PER_NODE * nodes
    return min(grown, max(CANON_WORK_MAX, CANON_WORK_MIN_PER_NODE * nodes))


def _patterns(counts: list[int]) -> Iterator[list[int]]:
    """The distinct orders of so many of each kind, in lexicographic order."""
    pattern = [kind for kind, count in enumerate(counts) for _ in range(count)]
    while True:
        yield pattern
        at = len(pattern) - 2
        while at >= 0 and pattern[at] >= pattern[at + 1]:
            at -= 1
        if at < 0:
            return
        after = len(pattern) - 1
        while pattern[after] <= pattern[at]:
            after -= 1
        pattern[at], pattern[after] = pattern[after], pattern[at]
        pattern[at + 1 :] = reversed(pattern[at + 1 :])
