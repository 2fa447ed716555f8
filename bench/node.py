"""What a node gives: queries per second beside `oxigraph serve`, replication between two nodes, memory, start, disk.

`scripts/bench node`. Everything runs as it does for people: nodes started by `dkg start`, a chain, libp2p between them.
The queries are about another subject each time, and nodes remember no answers, but where it is said; oxigraph has the
same triples in its default graph, which is how it is fastest.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import nodeload, nodequeries
from bench.chain import running, settings_on
from bench.measure import folder_bytes
from bench.nodedata import IDLE_S, Plan, questions, triples
from bench.nodenet import Node, Source, stopped, wait_for
from bench.nodesync import replicated
from bench.processes import memory
from bench.report import Row
from node.devnet.accounts import dev_accounts

if TYPE_CHECKING:
    from bench.report import Json
    from dkg.client.settings import ChainSettings

__all__ = ["Plan", "measured"]

MB: Final = 1e6


def measured(plan: Plan) -> tuple[list[Row], Json]:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="dkg-bench-") as scratch, running("builtin") as url:
        folder = Path(scratch)
        chain = settings_on(url)
        first, second = Node(folder / "first", chain), Node(folder / "second", chain)
        first.pay(dev_accounts(10)[5].key)
        with stopped(first, second):
            first.start()
            source = _published(plan, folder, chain, first)
            rows, details = replicated(plan, source, first, second)
            second.stop()
            more, details["process"] = _process(plan, first)
            rows += more
            if nodeload.is_here():
                more, details["queries"] = nodequeries.measured(plan, source, folder, first)
                rows += more
            else:
                plan.say("no queries: wrk is missing (Debian package wrk)")
            source.store.close()
    return rows, details


def _published(plan: Plan, folder: Path, chain: ChainSettings, node: Node) -> Source:
    """A publisher whose dataset, one asset for each department, is at a node and on the chain."""
    plan.say(f"publish {plan.triples:,} quads")
    source = Source(folder / "publisher", chain)
    file = folder / "university.nq"
    with file.open("w", encoding="utf-8") as out:
        for triple, department in triples(plan):
            out.write(f"{triple} <{source.prefix}dept{department}> .\n")
    source.load(file)
    file.unlink()
    source.hand_in(node)
    wait_for("the first node answers from it", lambda: node.quads() == source.count, 0.05)
    return source


def _process(plan: Plan, node: Node) -> tuple[list[Row], Json]:
    """Memory of a node that does nothing, how long it takes to start, and what it takes of the disk."""
    plan.say("view")
    query = questions(plan)["point"][0]
    views = node.directory / "views"
    node.ask(query)  # which makes it want a view
    wait_for("there is a view", lambda: any(path.name == "view.json" for path in views.glob("baf*/*")), 0.2)
    starts, rss, all_of = [], [], []
    for turn in range(plan.rounds):
        plan.say(f"start, {turn + 1}")
        node.stop()
        begin = time.perf_counter()
        node.start()
        wait_for("it answers", lambda: bool(nodequeries.rows_of(f"{node.url}/sparql", query)))
        starts.append(time.perf_counter() - begin)
        time.sleep(IDLE_S)
        rss.append(node.rss())
        all_of.append(memory(node.pid))
    view_bytes = folder_bytes(views)
    pages_bytes = folder_bytes(node.directory) - view_bytes
    found = {"starts": starts, "rss": rss, "with_workers": all_of, "pages": pages_bytes, "views": view_bytes}
    return [
        Row("node start", f"start with {plan.triples:,} quads, to the first answer", median(starts), "s", bar=3.0),
        Row("node memory", "memory of an idle node with libp2p (RSS)", median(rss) / MB, "MB", bar=250.0),
        Row("node memory all", "the same, and its workers (PSS)", median(all_of) / MB, "MB"),
        Row("node disk", "disk for each quad: pages, of publisher and union", pages_bytes / plan.triples, "bytes"),
        Row("node disk views", "disk for each quad: view", view_bytes / plan.triples, "bytes"),
    ], found
