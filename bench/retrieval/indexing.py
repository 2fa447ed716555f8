"""How long an index of 10^5 triples takes to build, and how much memory a process needs that has it and asks.

`python -m bench.retrieval.indexing` starts a fresh process for each embedder: none, static, int8.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dkg
from bench.report import Row
from bench.retrieval.pathquestion import GRAPH, distracting, knowledge, lines
from dkg.client.store import SqliteStore
from dkg.pages import StoredPages
from retrieval.embed import OnnxEmbedder, StaticEmbedder
from retrieval.index import KnowledgeIndex
from retrieval.model import LOCAL, Claim, Snapshot
from retrieval.pipeline import Retriever
from retrieval.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.report import Json

TRIPLES: Final = 100_000
BARS_S: Final = {"none": 5.0, "static": 5.0, "int8": 60.0}
RSS_MAX: Final = 400.0
"""MB, without torch."""

MAKERS: Final[dict[str, Callable[[], Any]]] = {
    "none": lambda: None,
    "static": StaticEmbedder,
    "int8": lambda: OnnxEmbedder(threads=1),
}


def built(store: Path, root: str, kind: str) -> Json:
    """Build an index, ask one question, and say what it took. For a process of its own."""
    embedder = MAKERS[kind]()
    with tempfile.TemporaryDirectory() as scratch:
        pages = SqliteStore(store, read_only=True)
        snapshots = [Snapshot(LOCAL, dkg.proof.root_bytes(root), StoredPages(pages), Claim.LOCAL)]
        started, spent = time.perf_counter(), time.process_time()
        with KnowledgeIndex.build(snapshots, embedder, Path(scratch)) as index:
            took, cpu = time.perf_counter() - started, time.process_time() - spent
            asks = Retriever(Reader(snapshots), index, embedder=embedder)
            facts = asks.retrieve("What is the nationality of Ludwig II of Bavaria's progenitor?").facts
            size = sum(path.stat().st_size for path in Path(scratch).iterdir())
            edges = len(index.edges.table)
        pages.close()
    return {"s": took, "cpu_s": cpu, "rss_mb": _peak_mb(), "disk_mb": size / 1e6, "triples": edges, "facts": len(facts)}


def _peak_mb() -> float:
    """The most memory that this process had. `ru_maxrss` would also tell that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def measured(triples: int = TRIPLES) -> tuple[list[Row], Json]:
    """Rows for each embedder, and what they are made of."""
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        with_labels = list(lines(knowledge()))
        text = [*with_labels, *distracting(max(0, triples - len(with_labels)))]
        store = SqliteStore(scratch)
        root = dkg.root_text(dkg.build(dkg.load("\n".join(text).encode(), format="nt", graph=GRAPH), store))
        store.close()
        for kind, bar in BARS_S.items():
            command = [sys.executable, "-m", "bench.retrieval.indexing", scratch, root, kind]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 - our own
            details[kind] = found
            rows += [
                Row(
                    f"index-{kind}",
                    f"index of {found['triples']:,} triples, {kind}",
                    found["s"],
                    "s",
                    bar=bar if triples == TRIPLES else None,
                ),
                Row(f"index-{kind}-cpu", "  of which processor", found["cpu_s"], "s"),
                Row(f"index-{kind}-rss", "  memory of the process, at most", found["rss_mb"], "MB", bar=RSS_MAX),
            ]
    return rows, details


def main() -> int:
    """Measure, or be the process that is measured."""
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(built(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
        return 0
    from bench.report import table  # noqa: PLC0415 - not needed in the process that is measured

    sys.stdout.write(table(measured()[0]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
