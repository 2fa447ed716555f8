"""What an answer over all publishers costs beside one publisher's: `python -m bench.l2 [--quads N] [--out FILE]`.

Made-up departments are dealt out to publishers, an asset of about 100 quads after the other. Two tables: a proof over a
checkpoint (L2) against the proof of the publisher that says it (L1), and against the L1 proofs of all publishers, which
is what it takes to know as much without a checkpoint; and the same questions with more and more publishers that
committed since, each of whom changed 10 quads.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import dkg
from bench.data import university
from bench.report import aligned, number
from bench.subject import compressed
from dkg.chain.commit import Domain
from dkg.checkpoints.answer import JointProof, Parts, prove_joint, prove_origins, verify_joint
from dkg.checkpoints.owners import prefix_of
from dkg.pages import MemoryPageStore, StoredPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.report import Json
    from dkg.terms import Quad

DOMAIN: Final = Domain(31337, b"\xaa" * 20)
BESIDE: Final = (0, 1, 5, 20, 50)
"""How many publishers committed since."""
PUBLISHERS: Final = 20
ASSET_QUADS: Final = 100
CHANGED: Final = 10
ROUNDS: Final = 15

_DEPT: Final = "https://univ0.example.org/dept7"
_PREFIX: Final = "PREFIX u: <https://example.org/univ#> "
QUESTIONS: Final = {
    "point": f"SELECT ?p ?o {{ <{_DEPT}/student33> ?p ?o }}",
    "nothing": f"SELECT ?p ?o {{ <{_DEPT}/student330> ?p ?o }}",
    "star": _PREFIX + f"SELECT ?s ?n {{ ?s u:takes <{_DEPT}/course7> ; u:age ?a ; u:name ?n }}",
    "join": _PREFIX + f"SELECT ?s ?n {{ <{_DEPT}/publication3> u:author ?a . ?s u:advisor ?a ; u:name ?n }}",
}


class World:
    """So many publishers, their datasets before and after they changed something, and the union before."""

    def __init__(self, quads: int, publishers: int) -> None:
        self.store = MemoryPageStore()
        self.publishers = [(at + 1).to_bytes(2).rjust(20, b"\x5a") for at in range(publishers)]
        said: dict[bytes, list[Quad]] = {publisher: [] for publisher in self.publishers}
        lines = list(university(quads))
        for start in range(0, quads, ASSET_QUADS):
            # Whole departments stay together, as assets of one publisher mostly do.
            publisher = self.publishers[start * publishers // quads]
            graph = prefix_of(DOMAIN, publisher) + b"a%d>" % start
            for batch in dkg.load("\n".join(lines[start : start + ASSET_QUADS]).encode(), format="nq"):
                said[publisher] += [(s, p, o, graph) for s, p, o, _ in batch]
        self.before = {publisher: dkg.build([found], self.store) for publisher, found in said.items()}
        self.after = {publisher: dkg.build([_changed(found)], self.store) for publisher, found in said.items()}
        self.union = dkg.build(said.values(), self.store)
        self.pages = StoredPages(self.store, 10**6)

    def parts(self, beside: int) -> Parts:
        """With so many publishers who committed since."""
        return Parts(DOMAIN, self.union, {one: self.after[one] for one in self.publishers[:beside]})


def _changed(quads: list[Quad]) -> list[Quad]:
    changed = quads[:: max(1, len(quads) // CHANGED)][:CHANGED]
    return [*set(quads).difference(changed), *((s, p, b'"changed"', g) for s, p, _, g in changed)]


def _milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def _figures(world: World, proof: JointProof, query: str, *, origins: bool = False) -> Json:
    answer = verify_joint(proof.car, query, proof.parts, origins=origins)
    return {
        "bytes": len(proof.car),
        "zstd_bytes": compressed(proof.car),
        "pages": proof.pages,
        "rows": len(answer),
        "datasets": len(proof.parts.roots) - 1,
        "prove_ms": _milliseconds(lambda: prove_joint(world.pages, proof.parts, query, origins=origins)),
        "verify_ms": _milliseconds(lambda: verify_joint(proof.car, query, proof.parts, origins=origins)),
    }


def _single(world: World, roots: list[bytes], query: str) -> Json:
    proofs = [dkg.prove(world.pages, root, query) for root in roots]
    return {
        "bytes": sum(len(proof.car) for proof in proofs),
        "zstd_bytes": sum(compressed(proof.car) for proof in proofs),
        "pages": sum(proof.pages for proof in proofs),
        "rows": max(len(dkg.verify(proof.car, query, proof.root)) for proof in proofs),
        "datasets": len(roots),
        "prove_ms": _milliseconds(lambda: [dkg.prove(world.pages, root, query) for root in roots]),
        "verify_ms": _milliseconds(lambda: [dkg.verify(proof.car, query, proof.root) for proof in proofs]),
    }


def against_one(quads: int) -> Json:
    """L2 with nobody beside, with origins, L1 of the publisher that says it, and L1 of all: for each question."""
    world = World(quads, PUBLISHERS)
    own = world.publishers[int(_DEPT.rsplit("dept", 1)[1]) * 3_000 * PUBLISHERS // quads % PUBLISHERS]
    found: Json = {}
    for name, query in QUESTIONS.items():
        parts = world.parts(0)
        origins = prove_origins(world.pages, parts, query, world.before.get)
        found[name] = {
            "L1 of one": _single(world, [world.before[own]], query),
            "L1 of all": _single(world, list(world.before.values()), query),
            "L2": _figures(world, prove_joint(world.pages, parts, query), query),
            "L2, origins": _figures(world, origins, query, origins=True),
        }
    return found


def as_it_grows(quads: int) -> Json:
    """L2 with more and more publishers beside: for each question."""
    world = World(quads, max(BESIDE))
    return {
        name: {
            str(beside): _figures(world, prove_joint(world.pages, world.parts(beside), query), query)
            for beside in BESIDE
        }
        for name, query in QUESTIONS.items()
    }


def l2(quads: int = 100_000) -> Json:
    """All figures."""
    return {"quads": quads, "publishers": PUBLISHERS, "against_one": against_one(quads), "beside": as_it_grows(quads)}


def table(figures: Json) -> str:
    """For people."""
    head = ["question", "proof", "rows", "datasets", "pages", "kB", "zstd kB", "prove ms", "verify ms"]
    cells = [head]
    for part in ("against_one", "beside"):
        for name, kinds in figures[part].items():
            for kind, one in kinds.items():
                label = kind if part == "against_one" else f"L2, {kind} since"
                counts = [f"{one[field]:,}" for field in ("rows", "datasets", "pages")]
                sizes = [number(one[field] / 1e3) for field in ("bytes", "zstd_bytes")]
                cells.append([name, label, *counts, *sizes, number(one["prove_ms"]), number(one["verify_ms"])])
    return aligned(cells, left={0, 1}) + "\n"


def main() -> int:
    """Print the table; write JSON if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.l2", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quads", type=int, default=100_000)
    parser.add_argument("--out", type=Path, metavar="FILE")
    asked = parser.parse_args()
    figures = l2(asked.quads)
    if asked.out is not None:
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(table(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
