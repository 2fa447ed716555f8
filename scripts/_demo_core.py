"""The demo's first part: real data in, verified answers out, and three lies that are refused.

It converts the Human Phenotype Ontology (HPO) with its disease annotations to RDF, loads it with `dkg load`, asks what
a clinician would ask, and has each proof checked by `dkg verify` in a process of its own, started in a directory that
holds the proof and the query and nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from _demo_stage import PREFIXES, ROOT, Attack, Stage, cell

from dkg.car import read_car, write_car
from dkg.client.cli.table import aligned
from dkg.client.files import compress, read_proof
from dkg.client.progress import duration, grouped, size
from dkg.limits import DEFAULT_BUDGET
from dkg.proof import root_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a clinician puts it, and as SPARQL does."""

    name: str
    words: str
    sparql: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What one verified answer cost. Times in seconds, sizes in bytes."""

    question: str
    rows: int
    pages: int
    proof_bytes: int
    file_bytes: int
    prove_seconds: float
    verify_seconds: float
    process_seconds: float


QUESTIONS: Final = (
    Question(
        "both findings",
        "A child has seizures (HP:0001250) and a small head (HP:0000252). Which diseases show both, in any form?",
        """\
# Two lists, made each on its own (a group is covered whole), and joined: less to prove than all findings of one list.
SELECT ?disease ?name WHERE {
  { SELECT ?disease WHERE { ?disease hpoa:phenotype/rdfs:subClassOf* hp:0001250 } GROUP BY ?disease }
  { SELECT ?disease WHERE { ?disease hpoa:phenotype/rdfs:subClassOf* hp:0000252 } GROUP BY ?disease }
  ?disease rdfs:label ?name .
} ORDER BY ?name
""",
    ),
    Question(
        "genes by frequency",
        "Ataxia (HP:0001251): which genes are behind the diseases in which at least 80 % of the patients have it?",
        """\
SELECT DISTINCT ?gene ?share ?name WHERE {
  ?annotation hpoa:shows hp:0001251 ; hpoa:frequency ?share ; hpoa:of ?disease .
  FILTER(?share >= 0.8)
  ?record hpoa:disease ?disease ; rdfs:label ?gene .
  ?disease rdfs:label ?name .
} ORDER BY DESC(?share) ?gene ?name
""",
    ),
    Question(
        "differential",
        "Rett syndrome (OMIM:312750) or CDKL5 deficiency (OMIM:300672)? What does only the first show, in any form?",
        """\
SELECT ?finding ?name WHERE {
  omim:312750 hpoa:phenotype ?finding .
  FILTER NOT EXISTS { omim:300672 hpoa:phenotype ?other . ?other rdfs:subClassOf* ?finding }
  ?finding rdfs:label ?name .
} ORDER BY ?name
""",
    ),
    Question(
        "provably nothing",
        "Does any disease contradict itself: seizures (HP:0001250) both as a finding and as an absent one?",
        """\
SELECT ?disease WHERE { ?disease hpoa:phenotype hp:0001250 ; hpoa:absent hp:0001250 }
""",
    ),
)

NEWS: Final = """\
<https://omim.org/entry/312750> <https://example.org/hpoa#phenotype> <http://purl.obolibrary.org/obo/HP_0001251> .
"""
"""What is published after the proofs were made."""


class Core(Stage):
    """The steps of the first part."""

    def __init__(self, work: Path, *, full: bool, quiet: bool) -> None:
        super().__init__(work, quiet=quiet)
        self.full = full
        self.store = work / "db"

    def run(self) -> None:
        """All of it."""
        self.say("dkg: the Human Phenotype Ontology, with proofs", "bold")
        root = self.load()
        self.questions(root)
        self.attacks(root)

    def load(self) -> str:
        """Convert and load the data; gives the root."""
        self.head("1. Load")
        source = self.work / "hpo.nq"
        start = time.perf_counter()
        command = [sys.executable, "-m", "bench.hpo", str(source), *(["--full"] if self.full else [])]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        converted = time.perf_counter() - start
        start = time.perf_counter()
        loaded = self.done("load", str(source), "--store", str(self.store), "--quiet")
        seconds = time.perf_counter() - start
        on_disk = sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())
        which = "all of it" if self.full else "a slice; --full takes all"
        self.say(f"   HPO as N-Quads ({which}): {size(source.stat().st_size)} in {duration(converted)}")
        self.say(f"   dkg load: {grouped(loaded['quads'])} quads in {duration(seconds)}, {size(on_disk)} on disk")
        self.say(f"   root {loaded['root']}")
        self.figures.update(
            quads=loaded["quads"], root=loaded["root"], convert_seconds=converted, load_seconds=seconds, disk=on_disk
        )
        return str(loaded["root"])

    def ask(self, number: int, question: Question, root: str) -> Figures:
        """Ask, prove, and have the proof verified elsewhere."""
        place = self.work / f"question-{number}"
        place.mkdir()
        prologue = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())
        (place / "question.rq").write_text(prologue + question.sparql)
        proved = self.done(
            "query", "--store", str(self.store), "--root", root, "--proof", str(place / "proof.car.zst"),
            "-f", str(place / "question.rq"),
        )  # fmt: skip
        start = time.perf_counter()
        done = self.verify(place, root, "--json")
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"demo: an honest proof was refused: {done.stderr.strip()}")
        verified = json.loads(done.stdout)
        if verified["answer"] != proved["answer"]:
            raise SystemExit(f"demo: {question.name}: the verified answer is not the one of the store")
        self.say(f"\n   {question.words}")
        self.show(verified["answer"])
        return Figures(
            question.name,
            verified["rows"],
            verified["pages"],
            verified["proof_bytes"],
            (place / "proof.car.zst").stat().st_size,
            proved["seconds"],
            verified["seconds"],
            seconds,
        )

    def verify(self, place: Path, root: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`dkg verify` where there is nothing but proof.car.zst and question.rq."""
        return self.dkg("verify", "proof.car.zst", "--root", root, "-f", "question.rq", *options, cwd=place)

    def show(self, answer: dict[str, Any]) -> None:
        """The first rows of an answer."""
        names = answer["head"]["vars"]
        rows = answer["results"]["bindings"]
        if not rows:
            self.say("     nothing, and provably so")
            return
        cells = [[cell(row.get(name)) for name in names] for row in rows[:ROWS_SHOWN]]
        for line in aligned(names, cells, [False] * len(names)).splitlines():
            self.say(f"     {line}")
        if len(rows) > ROWS_SHOWN:
            self.say(f"     ... and {len(rows) - ROWS_SHOWN} more rows, all proved")

    def questions(self, root: str) -> None:
        """All questions, then what they cost."""
        self.head("2. Ask, prove, and verify: the verifier has the root, the query and the proof, and no data")
        found = [self.ask(number, question, root) for number, question in enumerate(QUESTIONS, 1)]
        names = ["", "rows", "pages", "proof", "compressed", "prove", "verify", "whole process"]
        rows = [
            [f.question, grouped(f.rows), grouped(f.pages), size(f.proof_bytes), size(f.file_bytes),
             *map(duration, (f.prove_seconds, f.verify_seconds, f.process_seconds))]
            for f in found
        ]  # fmt: skip
        self.say()
        for line in aligned(names, rows, [False, *[True] * 7]).splitlines():
            self.say(f"   {line}")
        self.figures["questions"] = [asdict(figures) for figures in found]

    def attacks(self, root: str) -> None:
        """Three lies about the first question."""
        self.head("3. Lie to the verifier")
        honest = self.work / "question-1"
        blocks = read_car(read_proof(str(honest / "proof.car.zst"), DEFAULT_BUDGET), root_bytes(root), 10**6)
        told = [self.lie(name, honest, root, lie) for name, lie in lies(root_bytes(root), blocks)]
        (self.work / "news.nt").write_text(NEWS)
        new = str(self.done("load", "news.nt", "--store", str(self.store), "--quiet")["root"])
        done = self.verify(honest, new)
        told.append(Attack("yesterday's proof, today's root", done.returncode, done.stderr.strip()))
        for attack in told:
            self.refused(attack)
        self.figures["attacks"] = [asdict(attack) for attack in told]

    def lie(self, name: str, honest: Path, root: str, car: bytes) -> Attack:
        """What `dkg verify` says to a proof that was tampered with."""
        place = self.work / name.replace(" ", "-")
        place.mkdir()
        (place / "question.rq").write_bytes((honest / "question.rq").read_bytes())
        (place / "proof.car.zst").write_bytes(compress(car))
        done = self.verify(place, root)
        return Attack(name, done.returncode, done.stderr.strip())


def lies(root: bytes, blocks: dict[bytes, bytes]) -> Iterator[tuple[str, bytes]]:
    """Proofs that are not: each differs from the honest one in one thing."""
    last = list(blocks)[-1]
    yield "a dropped page", write_car(root, [(cid, raw) for cid, raw in blocks.items() if cid != last])
    at = next(cid for cid, raw in blocks.items() if b"HP_0001250" in raw and raw[:1] == b"\xa1")
    altered = blocks[at].replace(b"HP_0001250", b"HP_0001251", 1)
    yield "an altered triple", write_car(root, [(cid, altered if cid == at else raw) for cid, raw in blocks.items()])
