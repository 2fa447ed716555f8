"""Queries per second of a node, in turns with `oxigraph serve` over the same triples."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import dkg
from bench import nodeload
from bench.nodedata import questions
from bench.nodenet import BenchError, wait_for
from bench.report import Row
from dkg.dataset import quads
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.nodedata import Plan
    from bench.nodeload import Load
    from bench.nodenet import Node, Source
    from bench.report import Json

PLAIN: Final = "application/sparql-results+json"
PROVED: Final = "application/vnd.ipld.car"
LEAST: Final = {"plain": 0.7, "proved": 0.35}
"""The least queries per second, as a part of oxigraph's."""

REMEMBERED: Final = 100
"""Queries that are asked again and again where answers are remembered."""


@contextmanager
def _oxigraph(source: Source, folder: Path) -> Iterator[str]:
    """`oxigraph serve` over the triples that were published last; its URL."""
    program = Path(sys.executable).with_name("oxigraph")
    file, store = folder / "university.nt", folder / "oxigraph"
    with file.open("wb") as out:
        for batch in quads(StoredPages(source.store), source.root):
            out.writelines(b"%b %b %b .\n" % quad[:3] for quad in batch)
    subprocess.run([program, "load", "--location", store, "--file", file], check=True, capture_output=True)  # noqa: S603
    file.unlink()
    bind = f"127.0.0.1:{_free_port()}"
    with subprocess.Popen(  # noqa: S603
        [program, "serve", "--location", store, "--bind", bind], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for("oxigraph answers", lambda: rows_of(f"http://{bind}/query", "ASK {}") is not None)
            yield f"http://{bind}"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def rows_of(url: str, query: str) -> list[str] | None:
    """The rows of an answer, in order; None if nobody answers."""
    request = Request(f"{url}?{urlencode({'query': query})}", headers={"Accept": PLAIN})  # noqa: S310 - loopback
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.loads(answer.read())
    except OSError:
        return None
    return sorted(json.dumps(row, sort_keys=True) for row in found.get("results", {}).get("bindings", []))


def measured(plan: Plan, source: Source, folder: Path, node: Node) -> tuple[list[Row], Json]:
    """Queries per second, in turns with oxigraph's server."""
    with _oxigraph(source, folder) as peer:
        rows: list[Row] = []
        details: Json = {}
        for kind, texts in questions(plan).items():
            for text in texts[:20]:
                _check(node, peer, text)
            paths = {name: folder / f"{kind}.{name}" for name in ("ours", "peer")}
            nodeload.write_paths(paths["ours"], texts, "/sparql?query=")
            nodeload.write_paths(paths["peer"], texts, "/query?query=")
            for clients in nodeload.CLIENTS:
                plan.say(f"{kind}, {clients} clients")
                found = _in_turns(plan, node.url, peer, paths, clients)
                details[f"{kind} {clients}"] = {how: [one._asdict() for one in loads] for how, loads in found.items()}
                rows += [_query_row(kind, how, clients, found[how], found["peer"]) for how in LEAST]
    more, details["remembered"] = _remembered(plan, folder, node)
    return rows + more, details


def _remembered(plan: Plan, folder: Path, node: Node) -> tuple[list[Row], Json]:
    """Queries per second where answers are remembered, which is what nodes do by default."""
    plan.say("remembered answers")
    node.stop()
    del node.settings["http.remembered_bytes"]
    node.start()
    paths = folder / "again"
    nodeload.write_paths(paths, questions(plan)["join"][:REMEMBERED], "/sparql?query=")
    rows: list[Row] = []
    details: Json = {}
    for how, accept in (("plain", PLAIN), ("proved", PROVED)):
        nodeload.loaded(node.url, paths, accept, nodeload.CLIENTS[-1], 3)
        for clients in nodeload.CLIENTS:
            found = nodeload.loaded(node.url, paths, accept, clients, plan.seconds)
            details[f"{how} {clients}"] = found._asdict()
            what = f"join, {how}, {clients} clients, the same {REMEMBERED} again"
            note = f"p50 {found.p50:.1f} ms, p99 {found.p99:.1f} ms"
            rows.append(Row(f"node remembered {how} {clients}", what, found.per_s, "/s", note=note))
    return rows, details


def _check(node: Node, peer: str, query: str) -> None:
    """That both answer the same, and that the proof holds."""
    ours, theirs = rows_of(f"{node.url}/sparql", query), rows_of(f"{peer}/query", query)
    proved = dkg.verify(node.ask(query, PROVED), query, str(node.root()), base_iri=f"{node.url}/sparql")
    if ours != theirs or not ours or len(proved) != len(ours):
        raise BenchError(f"{query}: {ours} and {len(proved)} rows proved, oxigraph has {theirs}")


def _in_turns(plan: Plan, ours: str, peer: str, paths: dict[str, Path], clients: int) -> dict[str, list[Load]]:
    asks: dict[str, Callable[[float], Load]] = {
        "plain": lambda seconds: nodeload.loaded(ours, paths["ours"], PLAIN, clients, seconds),
        "proved": lambda seconds: nodeload.loaded(ours, paths["ours"], PROVED, clients, seconds),
        "peer": lambda seconds: nodeload.loaded(peer, paths["peer"], PLAIN, clients, seconds),
    }
    for ask in asks.values():
        ask(1)  # what is read for the first time is on the disk
    found: dict[str, list[Load]] = {how: [] for how in asks}
    for turn in range(plan.rounds):
        for how in list(asks)[:: 1 if turn % 2 == 0 else -1]:
            found[how].append(asks[how](plan.seconds))
    return found


def _query_row(kind: str, how: str, clients: int, ours: list[Load], peer: list[Load]) -> Row:
    rate, theirs = (median(load.per_s for load in loads) for loads in (ours, peer))
    p50, p99 = (median(getattr(load, name) for load in ours) for name in ("p50", "p99"))
    q50, q99 = (median(getattr(load, name) for load in peer) for name in ("p50", "p99"))
    failed = sum(load.failed for load in ours)
    note = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; peer {q50:.1f}, {q99:.1f}"
    ratios = [one.per_s / other.per_s for one, other in zip(ours, peer, strict=True)]
    return Row(
        f"node {kind} {how} {clients}",
        f"{kind}, {how}, {clients} clients, peer plain",
        rate,
        "/s",
        theirs,
        rate / theirs,
        LEAST[how],
        on_ratio=True,
        at_least=True,
        spread=(min(ratios), max(ratios)),
        note=note + (f"; {failed} FAILED" if failed else ""),
    )
