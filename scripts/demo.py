"""The demo: real data in, verified answers out, and three lies that are refused.

It converts the Human Phenotype Ontology (HPO) with its disease annotations to RDF, loads it with `dkg load`, asks what
a clinician would ask, and has each proof checked by `dkg verify` in a process of its own, started in a directory that
holds the proof and the query and nothing else. `scripts/demo` sets up what this needs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dkg.car import read_car, write_car
from dkg.client.cli.console import paint, plain
from dkg.client.cli.table import aligned
from dkg.client.files import compress, read_proof
from dkg.client.progress import duration, grouped, size
from dkg.limits import DEFAULT_BUDGET
from dkg.proof import root_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
ROWS_SHOWN: Final = 5
CELL_MAX: Final = 60
REFUSED: Final = 2
"""The exit code of `dkg verify` for a proof that does not prove."""


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


@dataclass(frozen=True, slots=True)
class Attack:
    """A lie, and what `dkg verify` said to it."""

    name: str
    exit: int
    said: str


PREFIXES: Final = {
    "hp": "http://purl.obolibrary.org/obo/HP_",
    "hpoa": "https://example.org/hpoa#",
    "omim": "https://omim.org/entry/",
    "orpha": "http://www.orpha.net/ORDO/Orphanet_",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
}

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


class Demo:
    """Runs the steps, tells about them, keeps the figures."""

    def __init__(self, work: Path, *, full: bool, quiet: bool) -> None:
        self.work, self.full, self.quiet = work, full, quiet
        self.store = work / "db"
        self.figures: dict[str, Any] = {}

    def say(self, text: str = "", style: str = "") -> None:
        """One line for whoever watches."""
        if not self.quiet:
            print(paint(text, style, sys.stdout) if style else text, flush=True)

    def head(self, text: str) -> None:
        """The title of a step."""
        self.say(f"\n{text}", "bold")

    def dkg(self, *argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`dkg` in a process of its own, with nothing in its environment that could help it."""
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        script = Path(sys.executable).with_name("dkg")
        command = [str(script)] if script.exists() else [sys.executable, "-m", "dkg.client.cli"]
        if not script.exists():
            env["PYTHONPATH"] = str(ROOT)
        watched = argv[0] == "load" and sys.stderr.isatty() and not self.quiet  # then its progress bar is seen
        return subprocess.run(  # noqa: PLW1510 - the exit code is what the demo is about
            [*command, *argv],
            cwd=cwd or self.work,
            env=env,
            stdout=subprocess.PIPE,
            stderr=None if watched else subprocess.PIPE,
            text=True,
        )

    def done(self, *argv: str) -> dict[str, Any]:
        """The JSON that a command gave, which must have worked."""
        done = self.dkg(*argv, "--json")
        if done.returncode:
            raise SystemExit(f"demo: `dkg {argv[0]}` failed with {done.returncode}: {(done.stderr or '').strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    # --- the steps -----------------------------------------------------------------------------------------

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
            self.say(f"   {attack.name}: refused with exit code {attack.exit}")
            self.say(f"     {attack.said}", "dim")
            if attack.exit != REFUSED:
                raise SystemExit(f"demo: {attack.name} was not refused: exit code {attack.exit}")
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


def cell(value: dict[str, str] | None) -> str:
    """A value of a row, in few characters."""
    if value is None:
        return ""
    text = value["value"]
    if value["type"] == "uri":
        text = next((f"{name}:{text[len(iri) :]}" for name, iri in PREFIXES.items() if text.startswith(iri)), text)
    text = plain(text)
    return text if len(text) <= CELL_MAX else f"{text[: CELL_MAX - 1]}…"


def main() -> int:
    """Run the demo; 0 if everything was as it should be."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all of HPO, 1.7 M triples, not a slice")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON and nothing else")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="work in this new directory and keep it")
    args = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="dkg-demo-") as scratch:
        work = args.keep.resolve() if args.keep else Path(scratch)
        work.mkdir(parents=True, exist_ok=not args.keep)
        demo = Demo(work, full=args.full, quiet=args.json)
        demo.say("dkg: the Human Phenotype Ontology, with proofs", "bold")
        root = demo.load()
        demo.questions(root)
        demo.attacks(root)
        seconds = time.perf_counter() - start
        demo.head(f"All as it should be, in {duration(seconds)}.")
        demo.figures["seconds"] = seconds
        if args.json:
            print(json.dumps(demo.figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
