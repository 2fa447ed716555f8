"""RDFC-1.0: canonical labels for blank nodes, with bounded work (https://www.w3.org/TR/rdf-canon/).

Our own, because the engine's cannot be bounded or interrupted, and a clique of nine blank nodes keeps it busy for
36 s (RELIABILITY section 1). The Recommendation says that implementations must prevent such (section 7.1); the bound
here counts steps, so that the same input is accepted or refused on every machine.
"""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import TYPE_CHECKING

from dkg.errors import CanonicalizationError
from dkg.limits import CANON_DEPTH_MAX, CANON_WORK_MAX, CANON_WORK_PER_NODE

if TYPE_CHECKING:
    from collections.abc import Iterable

RawQuad = tuple[bytes, bytes, bytes, bytes]
"""Subject, predicate, object, graph as canonical N-Triples text; blank nodes as `_:label`; no graph as empty."""

_POSITIONS = ((0, b"s"), (2, b"o"), (3, b"g"))


def nquad(quad: RawQuad) -> bytes:
    """A quad as a line of canonical N-Quads."""
    s, p, o, g = quad
    return b"%b %b %b %b .\n" % (s, p, o, g) if g else b"%b %b %b .\n" % (s, p, o)


def canonical_nquads(quads: Iterable[RawQuad], hash_name: str = "sha256") -> bytes:
    """A dataset in canonical form: N-Quads with canonical labels, sorted."""
    distinct = list(dict.fromkeys(quads))
    labels = canonicalize(distinct, hash_name=hash_name)

    def relabelled(term: bytes) -> bytes:
        return b"_:" + labels[term[2:]] if term.startswith(b"_:") else term

    return b"".join(sorted(nquad((relabelled(s), p, relabelled(o), relabelled(g))) for s, p, o, g in distinct))


def canonicalize(
    quads: Iterable[RawQuad], *, hash_name: str = "sha256", work_max: int | None = None
) -> dict[bytes, bytes]:
    """The canonical label (`c14n0`, ...) of each blank node label (both without `_:`).

    `hash_name`: sha256 or sha384. `work_max`: steps after which it gives up; by default in proportion to the number
    of blank nodes. Raises `CanonicalizationError`.
    """
    return _Canonicalizer(list(dict.fromkeys(quads)), hash_name, work_max).run()


class _Issuer:
    """Gives out labels in order."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.issued: dict[bytes, bytes] = {}

    def issue(self, label: bytes) -> bytes:
        known = self.issued.get(label)
        if known is None:
            known = self.issued[label] = self.prefix + b"%d" % len(self.issued)
        return known

    def copy(self) -> _Issuer:
        other = _Issuer(self.prefix)
        other.issued = self.issued.copy()
        return other


class _Canonicalizer:
    def __init__(self, quads: list[RawQuad], hash_name: str, work_max: int | None) -> None:
        if hash_name not in {"sha256", "sha384"}:
            raise CanonicalizationError(f"RDFC-1.0 uses sha256 or sha384, not {hash_name!r}")
        self._hash_name = hash_name
        self._quads: dict[bytes, list[RawQuad]] = {}
        for quad in quads:
            for at, _ in _POSITIONS:
                if quad[at].startswith(b"_:"):
                    mentions = self._quads.setdefault(quad[at][2:], [])
                    if not mentions or mentions[-1] is not quad:
                        mentions.append(quad)
        self._canonical = _Issuer(b"c14n")
        self._work_max = CANON_WORK_MAX + CANON_WORK_PER_NODE * len(self._quads) if work_max is None else work_max
        self._work = 0
        self._first: dict[bytes, bytes] = {}

    def run(self) -> dict[bytes, bytes]:
        """Sections 4.4.3: simple labels first, then what needs to look further."""
        by_hash: dict[bytes, list[bytes]] = {}
        for label in self._quads:
            self._first[label] = self._first_degree(label)
            by_hash.setdefault(self._first[label], []).append(label)
        shared = []
        for digest in sorted(by_hash):
            if len(by_hash[digest]) == 1:
                self._canonical.issue(by_hash[digest][0])
            else:
                shared.append(by_hash[digest])
        for labels in shared:
            paths: list[tuple[bytes, _Issuer]] = []
            for label in labels:
                if label not in self._canonical.issued:
                    issuer = _Issuer(b"b")
                    issuer.issue(label)
                    paths.append(self._n_degree(label, issuer, 1))
            for _, issuer in sorted(paths, key=lambda path: path[0]):
                for label in issuer.issued:
                    self._canonical.issue(label)
        return self._canonical.issued

    def _spend(self, steps: int) -> None:
        """A step is about one label or quad that is looked at, so that no step takes long, however large the graph."""
        self._work += steps
        if self._work > self._work_max:
            raise CanonicalizationError(
                f"the blank nodes are too symmetric to label within {self._work_max} steps (CANON_WORK_MAX); "
                "give some of them IRIs, or tell them apart by a property"
            )

    def _hash(self, data: bytes) -> bytes:
        return hashlib.new(self._hash_name, data).hexdigest().encode()

    def _first_degree(self, label: bytes) -> bytes:
        """Section 4.6: the hash of the quads of a blank node, where it is `a` and every other one `z`."""
        own = b"_:" + label

        def masked(term: bytes) -> bytes:
            if not term.startswith(b"_:"):
                return term
            return b"_:a" if term == own else b"_:z"

        lines = sorted(nquad((masked(s), p, masked(o), masked(g))) for s, p, o, g in self._quads[label])
        return self._hash(b"".join(lines))

    def _related(self, label: bytes, quad: RawQuad, issuer: _Issuer, position: bytes) -> bytes:
        """Section 4.7: the hash of a blank node as seen from a neighbour."""
        data = position if position == b"g" else position + quad[1]
        known = self._canonical.issued.get(label) or issuer.issued.get(label)
        return self._hash(data + (b"_:" + known if known is not None else self._first[label]))

    def _n_degree(self, label: bytes, issuer: _Issuer, depth: int) -> tuple[bytes, _Issuer]:
        """Section 4.8: the hash of a blank node by the paths that lead from it, over all orders of its neighbours."""
        if depth > CANON_DEPTH_MAX:
            raise CanonicalizationError(
                f"blank nodes that look alike form a chain of over {CANON_DEPTH_MAX}; give some of them IRIs"
            )
        self._spend(len(self._quads[label]))
        related: dict[bytes, list[bytes]] = {}
        for quad in self._quads[label]:
            for at, position in _POSITIONS:
                term = quad[at]
                if term.startswith(b"_:") and term[2:] != label:
                    related.setdefault(self._related(term[2:], quad, issuer, position), []).append(term[2:])
        data = []
        for digest in sorted(related):
            data.append(digest)
            path, issuer = self._best_path(related[digest], issuer, depth)
            data.append(path)
        return self._hash(b"".join(data)), issuer

    def _best_path(self, labels: list[bytes], issuer: _Issuer, depth: int) -> tuple[bytes, _Issuer]:
        chosen: bytes = b""
        best = issuer
        for order in permutations(labels):
            self._spend(len(order) + len(issuer.issued) // 16)  # copying a table is quick
            found = self._path(order, issuer.copy(), chosen, depth)
            if found is not None and (not chosen or found[0] < chosen):
                chosen, best = found
        return chosen, best

    def _path(
        self, order: tuple[bytes, ...], issuer: _Issuer, chosen: bytes, depth: int
    ) -> tuple[bytes, _Issuer] | None:
        """The path of one order, None as soon as it cannot be the least."""
        path = b""
        pending: list[bytes] = []
        for label in order:
            known = self._canonical.issued.get(label)
            if known is None:
                if label not in issuer.issued:
                    pending.append(label)
                known = issuer.issue(label)
            path += b"_:" + known
            if chosen and len(path) >= len(chosen) and path > chosen:
                return None
        for label in pending:
            digest, deeper = self._n_degree(label, issuer, depth + 1)
            path += b"_:" + issuer.issue(label) + b"<" + digest + b">"
            issuer = deeper
            if chosen and len(path) >= len(chosen) and path > chosen:
                return None
        return path, issuer
