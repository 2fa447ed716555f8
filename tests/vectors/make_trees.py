"""Vectors of trees: cuts, whole small datasets with their pages, roots of larger ones, and proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dkg
from dkg.chain.commit import Domain
from dkg.checkpoints.answer import Parts, prove_joint, verify_joint
from dkg.checkpoints.owners import prefix_of
from dkg.cut import entry_hashes, find_cuts, separator
from dkg.page import cid_text
from dkg.pages import MemoryPageStore, StoredPages
from tests.datasets import GRAPH, PREFIX, iri, stored, university

if TYPE_CHECKING:
    from dkg.terms import Quad


def _cuts() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for size in (0, 1, 39, 40, 41, 100):
        keys = [b"key %06d" % i for i in range(size)]
        hashes = entry_hashes(0, keys)
        case: dict[str, object] = {"level": 0, "window": 40, "keys": "key %06d, from 0", "size": size}
        cases.append(case | {"first_hashes": hashes[:3], "starts": find_cuts(hashes, 40)})
    for size in (7, 8, 40):
        seps = [b"", *(b"sep %03d" % i for i in range(1, size))]
        hashes = entry_hashes(1, seps)
        case = {"level": 1, "window": 8, "keys": "empty, then sep %03d from 1", "size": size}
        cases.append(case | {"first_hashes": hashes[:3], "starts": find_cuts(hashes, 8)})
    equal = {"level": 0, "window": 4, "hashes": [5, 5, 5, 5, 5, 5, 5, 5, 5], "starts": find_cuts([5] * 9, 4)}
    falling = {"level": 0, "window": 4, "hashes": list(range(9, 0, -1)), "starts": find_cuts(list(range(9, 0, -1)), 4)}
    return [*cases, equal, falling]


def _separators() -> list[dict[str, str]]:
    pairs = [
        (b"a", b"b"),
        (b"abc", b"abd"),
        (b"abc", b"abcd"),
        (b"a\0", b"a\x01"),
        (b"ab", b"b"),
        ("é".encode(), "ê".encode()),
    ]
    return [{"left": a.hex(), "right": b.hex(), "separator": separator(a, b).hex()} for a, b in pairs]


def _named(quads: list[Quad]) -> list[list[str]]:
    return [[term.decode() for term in quad] for quad in quads]


def _dataset(name: str, quads: list[Quad]) -> dict[str, object]:
    store, root = stored(quads)
    pages = {cid_text(cid): raw.hex() for cid, raw in sorted(store.pages.items())}
    return {"name": name, "quads": _named(quads), "root": cid_text(root), "pages": pages}


def _datasets() -> list[dict[str, object]]:
    other = b"<https://example.org/other>"
    integer = b"^^<http://www.w3.org/2001/XMLSchema#integer>"
    long = '"' + "é€😀" * 700 + '"'
    return [
        _dataset("empty", []),
        _dataset("one quad", [(iri("s"), iri("p"), iri("o"), GRAPH)]),
        _dataset("one triple in two graphs", [(iri("s"), iri("p"), iri("o"), g) for g in (GRAPH, other)]),
        _dataset(
            "numbers and times sort by value",
            [
                (iri("s"), iri("p"), value, GRAPH)
                for value in (
                    b'"10"' + integer,
                    b'"9"' + integer,
                    b'"-1"' + integer,
                    b'"2020-01-01T00:00:00Z"^^<http://www.w3.org/2001/XMLSchema#dateTime>',
                    b'"1.5"^^<http://www.w3.org/2001/XMLSchema#decimal>',
                    b'"ten"',
                )
            ],
        ),
        _dataset(
            "multi-byte text at the edge of a page",
            [(iri(f"s{i:02}"), iri("p"), long.encode(), GRAPH) for i in range(3)],
        ),
    ]


def _golden() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for students in (10, 100, 1_000, 5_000):
        store, root = stored(university(students))
        cases.append(
            {"dataset": f"tests.datasets.university({students})", "root": cid_text(root), "pages": len(store.pages)}
        )
    store, root = stored(university(1_000))
    changed = dkg.update(store, root, [(iri("new"), iri("name"), b'"New"', GRAPH)], university(1_000)[:500])
    cases.append({"dataset": "university(1000) without its first 500 quads, plus one", "root": cid_text(changed)})
    return cases


def _proof() -> dict[str, str]:
    store, root = stored(university(100))
    query = PREFIX + 'SELECT ?s { ?s :name "Student 42" }'
    proof = dkg.prove(store, root, query)
    assert isinstance(store, MemoryPageStore)
    rows = dkg.verify(proof.car, query, root).serialize("csv").decode()
    return {
        "dataset": "tests.datasets.university(100)",
        "root": cid_text(root),
        "query": query,
        "car": proof.car.hex(),
        "csv": rows,
    }


def _proof_joint() -> dict[str, object]:
    domain, people = Domain(31337, b"\xaa" * 20), [bytes([number]) * 20 for number in (1, 2, 3)]
    graphs = [prefix_of(domain, one) + b"university>" for one in people]
    store = MemoryPageStore()
    union = dkg.build([university(60, graph) for graph in graphs], store)
    other = dkg.build([[(iri("student42"), iri("name"), b'"Another name"', graphs[2])]], store)
    beside = {people[2]: other, people[0]: None}
    query = PREFIX + "SELECT ?g ?name { GRAPH ?g { :student42 :name ?name } }"
    proof = prove_joint(StoredPages(store), Parts(domain, union, beside), query)
    rows = verify_joint(proof.car, query, proof.parts).serialize("csv").decode()
    return {
        "checkpoint": "tests.datasets.university(60) in the graph <prefix>university of each of three publishers",
        "publishers": ["0x" + one.hex() for one in people],
        "root": cid_text(union),
        "beside": {"0x" + one.hex(): root and cid_text(root) for one, root in beside.items()},
        "query": query,
        "car": proof.car.hex(),
        "csv": rows,
    }


def _skolem() -> list[dict[str, object]]:
    documents = [
        (
            "<urn:a> <urn:b> _:x .\n"
            '_:x <urn:c> "01"^^<http://www.w3.org/2001/XMLSchema#integer> .\n'
            "<urn:a> <urn:b> <urn:d> .\n"
        ),
        (
            "_:x <urn:b> _:y .\n_:y <urn:b> _:x <urn:g1> .\n"
            "<urn:a> <urn:c> _:y <urn:g2> .\n<urn:a> <urn:b> <urn:c> _:g .\n"
        ),
    ]
    graphs = ["https://example.org/data", "https://example.org/data#"]
    return [
        {
            "document": text,
            "graph": graph,
            "quads": sorted(_named([q for batch in dkg.load(text.encode(), format="nq", graph=graph) for q in batch])),
        }
        for text in documents
        for graph in graphs
    ]


FILES = {
    "trees/cuts.json": _cuts,
    "trees/separators.json": _separators,
    "trees/datasets.json": _datasets,
    "trees/golden.json": _golden,
    "trees/proof.json": _proof,
    "trees/proof_joint.json": _proof_joint,
    "trees/skolem.json": _skolem,
}
