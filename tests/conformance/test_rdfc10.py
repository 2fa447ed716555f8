"""The W3C suite for RDFC-1.0: all evaluation, map and poison tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyoxigraph as ox
import pytest

from dkg.canon import canonical_nquads, canonicalize
from dkg.errors import CanonicalizationError
from tests.data import w3c_suite

if TYPE_CHECKING:
    from pathlib import Path

_VOCABULARY = "https://w3c.github.io/rdf-canon/tests/vocab#"
_MANIFEST = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
_BASE = "https://w3c.github.io/rdf-canon/tests/"


@dataclass(frozen=True)
class Case:
    """A test: which kind, on which file, with which result."""

    id: str
    kind: str
    action: Path
    result: Path | None
    hash_name: str

    @property
    def quads(self) -> list[tuple[bytes, bytes, bytes, bytes]]:
        def text(term: Any) -> bytes:  # noqa: ANN401 - a node of RDF, whatever its kind
            return b"" if isinstance(term, ox.DefaultGraph) else str(term).encode()

        parsed = ox.parse(self.action.read_bytes(), ox.RdfFormat.N_QUADS)
        return [(text(q.subject), text(q.predicate), text(q.object), text(q.graph_name)) for q in parsed]


def _cases() -> list[Case]:
    root = w3c_suite() / "canon" / "tests"
    arcs: dict[str, dict[str, Any]] = {}
    for quad in ox.parse((root / "manifest.ttl").read_bytes(), ox.RdfFormat.TURTLE, base_iri=_BASE):
        arcs.setdefault(str(quad.subject), {})[quad.predicate.value] = quad.object
    found = []
    for subject, of in sorted(arcs.items()):
        if _MANIFEST + "action" in of:
            result = of.get(_MANIFEST + "result")
            hash_name = of.get(_VOCABULARY + "hashAlgorithm")
            found.append(
                Case(
                    id=subject.rpartition("#")[2].rstrip(">"),
                    kind=of["http://www.w3.org/1999/02/22-rdf-syntax-ns#type"].value.removeprefix(_VOCABULARY),
                    action=root / of[_MANIFEST + "action"].value.removeprefix(_BASE),
                    result=None if result is None else root / result.value.removeprefix(_BASE),
                    hash_name="sha256" if hash_name is None else hash_name.value.lower(),
                )
            )
    return found


CASES = _cases()
EVAL = [case for case in CASES if case.kind == "RDFC10EvalTest"]
MAP = [case for case in CASES if case.kind == "RDFC10MapTest"]
POISON = [case for case in CASES if case.kind == "RDFC10NegativeEvalTest"]


def test_the_suite_is_complete() -> None:
    assert (len(EVAL), len(MAP), len(POISON)) == (64, 21, 1)
    assert {case.hash_name for case in EVAL} == {case.hash_name for case in MAP} == {"sha256", "sha384"}


@pytest.mark.parametrize("case", EVAL, ids=lambda case: case.id)
def test_the_canonical_form_is_what_w3c_expects(case: Case) -> None:
    assert case.result is not None
    assert canonical_nquads(case.quads, case.hash_name) == case.result.read_bytes()


@pytest.mark.parametrize("case", MAP, ids=lambda case: case.id)
def test_the_labels_are_what_w3c_expects(case: Case) -> None:
    assert case.result is not None
    labels = canonicalize(case.quads, hash_name=case.hash_name)
    assert {old.decode(): new.decode() for old, new in labels.items()} == json.loads(case.result.read_bytes())


@pytest.mark.parametrize("case", POISON, ids=lambda case: case.id)
def test_poison_is_refused_with_the_bound_and_a_way_out(case: Case) -> None:
    with pytest.raises(CanonicalizationError, match=r"steps.*give some of them IRIs"):
        canonicalize(case.quads)
