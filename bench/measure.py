"""What is measured, on ours and on the peers, in one run on the same data (`bench.jobs`, each in its own process)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import dkg
from bench import codex, hpo, questions
from bench.data import CACHE, ROOT, path_of
from bench.processes import JobError, run, watched
from bench.report import Row, number
from bench.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.report import Json

MB: Final = 1e6
GIB: Final = 2**30
SIZE_BARS: Final = {"point": 5.0, "absent": 5.0, "count": 8.0, "star": 20.0, "scattered": 600.0}
"""The most kilobytes of compressed proof, by question of the university."""


class Plan(NamedTuple):
    """How much to measure."""

    triples: int
    runs: int
    """Builds of each kind."""
    seconds: float
    """For the turns of one question."""
    full: bool
    data: tuple[str, ...]
    """Names of data sets."""
    say: Callable[[str], None]


DATA: Final = ("university", "shop", "hpo", "codex")


def sources(plan: Plan) -> dict[str, Path]:
    """The data sets, written if they are not there. CoDEx is left out where its source is missing."""
    found = {}
    for name in plan.data:
        if name == "codex" and not codex.source().exists():
            plan.say(f"no CoDEx: {codex.source()} is missing")
        else:
            found[name] = _source(name, plan)
    return found


def _source(name: str, plan: Plan) -> Path:
    if name == "codex":
        return codex.path()
    if name == "hpo":
        CACHE.mkdir(parents=True, exist_ok=True)
        ontology = CACHE / ("hpo-full.nq" if plan.full else "hpo-slice.nq")
        if not ontology.exists():
            scratch = ontology.with_suffix(".part")
            hpo.write(scratch, full=plan.full)
            scratch.rename(ontology)
        return ontology
    return path_of(name, plan.triples)


def folder_of(source: Path, kind: str) -> Path:
    """Where the store of a kind for a source is built."""
    return CACHE / f"{source.stem}.{kind}"


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def loaded(what: str, source: Path) -> Json:
    """Load a file into an empty folder: seconds, and the most memory in bytes."""
    target = folder_of(source, what)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    outcome = run("load", what=what, source=source, target=target)
    return {"seconds": outcome.said["seconds"], "peak_bytes": outcome.peak}


def build(name: str, source: Path, runs: int) -> tuple[list[Row], Json]:
    """Build time and size on disk, in turns with pyoxigraph's bulk_load of the same file."""
    source.read_bytes()  # so that neither is the first to read it
    found: dict[str, list[Json]] = {"dkg": [], "disk": []}
    for turn in range(runs):
        for what in ("dkg", "disk") if turn % 2 == 0 else ("disk", "dkg"):
            found[what].append(loaded(what, source))
    seconds = {what: median(each["seconds"] for each in all_of) for what, all_of in found.items()}
    ratios = [ours["seconds"] / disk["seconds"] for ours, disk in zip(found["dkg"], found["disk"], strict=True)]
    ours_mb, disk_mb = (folder_bytes(folder_of(source, what)) / MB for what in ("dkg", "disk"))
    compact_mb = _compacted(folder_of(source, "disk")) / MB
    rows = [
        Row(
            f"build {name}",
            f"build of {name}, peer bulk_load to disk",
            seconds["dkg"],
            "s",
            seconds["disk"],
            seconds["dkg"] / seconds["disk"],
            1.0,
            on_ratio=True,
            spread=(min(ratios), max(ratios)),
        ),
        _disk_row(f"disk {name}", f"{name} on disk", ours_mb, disk_mb),
        _disk_row(f"disk compacted {name}", f"{name} on disk, peer compacted", ours_mb, compact_mb),
    ]
    return rows, {"loads": found, "dkg_mb": ours_mb, "disk_mb": disk_mb, "disk_compacted_mb": compact_mb}


def _disk_row(key: str, what: str, ours: float, peer: float) -> Row:
    return Row(key, what, ours, "MB", peer, ours / peer, 0.5, on_ratio=True)


def _compacted(folder: Path) -> int:
    """Bytes of a copy of pyoxigraph's store after `optimize`."""
    copy = folder.with_suffix(".compacted")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    run("optimize", target=copy)
    found = folder_bytes(copy)
    shutil.rmtree(copy)
    return found


def ask(name: str, source: Path, seconds: float) -> tuple[list[Json], Json]:
    """Every question of a data set, with the trie's proof size where it has a proof; and those our budget refuses."""
    stores = {"ours": folder_of(source, "dkg"), "disk": folder_of(source, "disk")}
    asked = run("ask", data_set=name, source=source, seconds=seconds, **stores).said
    sizes = run("trie", data_set=name, source=source).said["sizes"]
    found = [{"data": name, **question, "trie": sizes.get(question["question"])} for question in asked["questions"]]
    return found, {f"{name}/{question}": why for question, why in asked["refused"].items()}


def timing_rows(asked: list[Json]) -> list[Row]:
    """Medians over all questions, by the clock and by the processor, which other work on the machine does not add to.

    The bar is met where most questions are under it, or under a millisecond.
    """
    return [
        _timing_row(asked, what, bar, unit, by)
        for unit, by in (("ms", "the clock"), ("cpu_ms", "the processor"))
        for what, bar in (("prove", 2.0), ("verify", 1.5))
    ]


def _timing_row(asked: list[Json], what: str, bar: float, unit: str, by: str) -> Row:
    ratios = [q[f"{what}_{unit}"] / q[f"disk_{unit}"] for q in asked]
    times = [q[f"{what}_{unit}"] for q in asked]
    good = sum(ratio <= bar or ms < 1 for ratio, ms in zip(ratios, times, strict=True))
    return Row(
        f"{what} by {by}",
        f"{what} by {by}, {len(asked)} questions, peer on disk",
        median(times),
        "ms",
        median(q[f"disk_{unit}"] for q in asked),
        median(ratios),
        bar,
        on_ratio=True,
        spread=_ends(ratios),
        note=f"or under 1 ms: {good} of {len(asked)} questions are",
        passes=2 * good > len(asked),
    )


def size_rows(asked: list[Json]) -> list[Row]:
    """Compressed proofs against their bars, beside those of the peer's trie."""
    found = {q["question"]: q for q in asked if q["data"] == "university"}
    rows = []
    for name, bar in SIZE_BARS.items():
        q = found[name]
        ours, trie = q["compressed_bytes"] / 1e3, q["trie"]
        peer = trie["compressed"] / 1e3 if trie else None
        ratio = ours / peer if peer else None
        note = "" if trie else "the RGB-Trie has no proof of it"
        rows.append(Row(f"proof {name}", f"proof, {name}: {q['rows']} rows", ours, "kB", peer, ratio, bar, note=note))
    return rows


def change(source: Path) -> tuple[list[Row], Json]:
    """Update of 1,000 quads, and the diff of the two roots, on copies of the stores."""
    copies = {what: folder_of(source, what).with_suffix(f".{what}.changed") for what in ("dkg", "disk")}
    for what, copy in copies.items():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder_of(source, what), copy)
    found = run("change", ours=copies["dkg"], disk=copies["disk"]).said
    for copy in copies.values():
        shutil.rmtree(copy)
    rows = []
    for how, times in found.items():
        update, diff, peer = median(times["update"]), median(times["diff"]), median(times["disk"])
        note = f"{number(median(times['cpu']), ' ms')} of processor"
        what = f"update of 1,000 quads, {how}, durable"
        spread = _ends(times["update"])
        rows += [
            Row(f"update {how}", what, update, "ms", peer, update / peer, 100.0, spread=spread, note=note),
            Row(f"diff {how}", f"diff of its roots, {how}", diff, "ms", bar=100.0, spread=_ends(times["diff"])),
        ]
    return rows, found


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def big_build(triples: int) -> tuple[list[Row], Json]:
    """Memory of a large build, of all its processes together, above an interpreter that does nothing."""
    idle = watched([sys.executable, "-c", "import time; time.sleep(0.5); print('{}')"]).peak
    source = path_of("university", triples)
    found = loaded("dkg", source)
    above = (found["peak_bytes"] - idle) / GIB
    shutil.rmtree(folder_of(source, "dkg"))
    what = f"build of {triples:,} quads, memory above the interpreter"
    row = Row("memory of build", what, above, "GiB", bar=1.0, note=f"{found['seconds']:.0f} s")
    return [row], {**found, "idle_bytes": idle}


def fresh(source: Path, runs: int) -> tuple[list[Row], Json]:
    """Import and verify a point proof in a process that did nothing before."""
    subject = Subject(folder_of(source, "dkg"))
    question = next(q for q in questions.of("university") if q.name == "point")
    files = CACHE / "point.car", CACHE / "point.rq"
    files[0].write_bytes(subject.prove(question.text).car)
    files[1].write_text(question.text, encoding="utf-8")
    command = [sys.executable, "-m", "bench.fresh", dkg.root_text(subject.root), *map(str, files)]
    subject.close()
    found = [watched(command).said for _ in range(runs)]
    seconds, memory = ([each[name] for each in found] for name in ("seconds", "rss"))
    rows = [
        Row("fresh", "import and verify a point, fresh process", median(seconds), "s", bar=0.3, spread=_ends(seconds)),
        Row("fresh memory", "its memory (RSS)", median(memory) / MB, "MB", bar=80.0),
    ]
    return rows, {"runs": found}


def footprint() -> tuple[list[Row], Json]:
    """The size of the base install; empty where it cannot be made."""
    try:
        found = watched([sys.executable, str(ROOT / "scripts" / "footprint"), "--json"]).said
    except JobError as error:
        return [], {"error": str(error)}
    return [Row("install", "base install", found["install_mb"], "MB", bar=60.0)], found


def against_rdflib(seconds: float) -> tuple[list[Row], Json]:
    """rdflib, on 10^5 triples: it is too slow for more."""
    source = path_of("university", 100_000)
    ours, peer = (loaded(what, source)["seconds"] for what in ("dkg", "rdflib"))
    asked = run("ask_rdflib", data_set="university", source=source, ours=folder_of(source, "dkg"), seconds=seconds).said
    query, other = (median(q[f"{name}_ms"] for q in asked["questions"]) for name in ("query", "rdflib"))
    ratio = median(q["query_ms"] / q["rdflib_ms"] for q in asked["questions"])
    rows = [
        Row("build rdflib", "build of university-100000, peer rdflib in memory", ours, "s", peer, ours / peer),
        Row("query rdflib", "query, median of its questions, peer rdflib", query, "ms", other, ratio),
    ]
    return rows, asked


def machine(date: str) -> Json:
    """What the figures were taken on, and with what."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git made the commits
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    names = ("pyoxigraph", "libipld", "rdflib", "tree-sitter", "tree-sitter-sparql")
    return {
        "date": date,
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in names},
    }
