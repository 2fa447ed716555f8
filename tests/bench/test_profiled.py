from __future__ import annotations

import signal
import time

import pytest

import dkg
from bench import measure
from bench.profiled import profiled
from bench.proofbytes import proof_bytes
from bench.shares import Shares
from dkg.car import read_car
from dkg.page import ORDERS, Leaf, decode
from dkg.pages import StoredPages
from dkg.proof import prove
from dkg.terms import keys_are_quads
from tests.datasets import PREFIX, stored, university


def test_samples_are_of_what_is_done_inside() -> None:
    store, root = stored(university(500))
    query = PREFIX + "SELECT * { ?s :name ?name }"
    proof = dkg.prove(store, root, query)
    shares, before = Shares(), signal.getsignal(signal.SIGPROF)
    with shares.sampled():
        end = time.process_time() + 0.3
        while time.process_time() < end:
            dkg.verify(proof.car, query, root)
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0
    assert {"engine: load, evaluate", "terms: are keys quads"} <= shares.found.keys()
    assert shares.found["sort"] == shares.found["parse"] == 0
    assert f"{shares.found.total():,} samples" in shares.table()


def test_bytes_of_a_proof_are_by_index_and_kind() -> None:
    store, root = stored(university(500))
    proof = prove(StoredPages(store), root, PREFIX + "SELECT * { ?s :name ?name }")
    lines = proof_bytes(proof).splitlines()
    rows = {tuple(line.split()[:2]): line.split() for line in lines}
    assert ("posg", "leaves") in rows
    assert not any(order == row[0] for row in rows for order in ORDERS if order != "posg")
    assert rows["posg", "leaves"][3] == str(sum(_names_in(proof)))
    assert int(rows["all", str(proof.pages)][1]) == proof.pages
    assert "links of 32 bytes" in lines[-1]


def _names_in(proof: dkg.Proof) -> list[int]:
    """Keys of each leaf of the proof."""
    pages = [decode(cid, raw) for cid, raw in read_car(proof.car, proof.root, 1_000).items()]
    leaves = [page.keys for page in pages if isinstance(page, Leaf)]
    assert all(keys_are_quads(keys, "posg") for keys in leaves)
    return list(map(len, leaves))


def test_what_cannot_be_profiled_is_told() -> None:
    plan = measure.Plan(1_000, 1, 0.0, full=False, data=(), say=lambda _: None)
    with pytest.raises(SystemExit, match=r"no question university/nothing.*changes"):
        profiled(plan, "university/nothing")
