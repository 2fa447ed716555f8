"""What a node gives: queries per second beside `oxigraph serve`, replication between two nodes, memory, start, disk.

`scripts/bench node`. Everything runs as it does for people: nodes started by `dkg start`, a chain, libp2p between them.
The queries are about another subject each time, so that no cache of answers is measured; oxigraph has the same triples
in its default graph, which is how it is fastest.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import dkg
from bench import nodeload
from bench.chain import running, settings_on
from bench.data import path_of
from bench.measure import folder_bytes
from bench.nodenet import LOOK_S, BenchError, Node, Source, stopped, wait_for
from bench.processes import memory
from bench.report import Row
from dkg.canon import nquad
from dkg.client.files import compress
from dkg.dataset import quads
from dkg.pages import StoredPages
from node.devnet.accounts import dev_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.nodeload import Load
    from bench.report import Json
    from dkg.client.settings import ChainSettings
    from dkg.terms import Quad

TRIPLES: Final = 1_000_000
QUICK_TRIPLES: Final = 50_000
SUBJECTS: Final = 2_000
"""How many people the queries are about, in turns."""
CHANGED: Final = 1_000
"""Quads of a change: half of them go, half come."""

PLAIN: Final = "application/sparql-results+json"
PROVED: Final = "application/vnd.ipld.car"
LEAST: Final = {"plain": 0.7, "proved": 0.35}
"""The least queries per second, as a part of oxigraph's."""

MB: Final = 1e6
_IDLE_S: Final = 3.0  # after which a node has done what there was to do
_UNIV: Final = "https://example.org/univ#"


class Plan(NamedTuple):
    """How much to measure."""

    triples: int
    seconds: float
    """Of load, each time."""
    rounds: int
    say: Callable[[str], None]

    @classmethod
    def of(cls, say: Callable[[str], None], *, quick: bool) -> Plan:
        """The whole, or a little of it."""
        return cls(QUICK_TRIPLES, 1.0, 1, say) if quick else cls(TRIPLES, 4.0, 3, say)


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
            rows, details = _replicated(plan, source, first, second)
            second.stop()
            more, details["process"] = _process(plan, first)
            rows += more
            if nodeload.is_here():
                more, details["queries"] = _queries(plan, source, folder, first)
                rows += more
            else:
                plan.say("no queries: wrk is missing (Debian package wrk)")
            source.store.close()
    return rows, details


# --- the dataset -------------------------------------------------------------------------------------------------


def triples(plan: Plan) -> Iterator[tuple[str, int]]:
    """Lines of N-Triples, and the department that each is about: the university of `bench.data`."""
    department = -1
    with path_of("university", plan.triples).open(encoding="utf-8") as file:
        for line in file:
            triple, _, _ = line.rpartition(" <")
            department += "univ#Department>" in triple
            yield triple, department


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


def people(plan: Plan) -> list[str]:
    """IRIs of students, all over the dataset."""
    kind = f"<{_UNIV}GraduateStudent>"
    found = [triple.split(" ", 1)[0] for triple, _ in triples(plan) if triple.endswith(kind)]
    return random.Random(1).sample(found, min(SUBJECTS, len(found)))  # noqa: S311 - the same ones every time


def questions(plan: Plan) -> dict[str, list[str]]:
    """The queries, by kind."""
    some = people(plan)
    join = f"PREFIX u: <{_UNIV}> SELECT ?name ?course ?title WHERE {{ %s u:advisor ?a . ?a u:name ?name ; u:teaches "
    join += "?course . ?course u:name ?title }"
    return {
        "point": [f"SELECT ?p ?o WHERE {{ {person} ?p ?o }}" for person in some],
        "join": [join % person for person in some],
    }


# --- queries -----------------------------------------------------------------------------------------------------


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
            wait_for("oxigraph answers", lambda: _rows(f"http://{bind}/query", "ASK {}") is not None)
            yield f"http://{bind}"
        finally:
            process.terminate()


def _free_port() -> int:
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _rows(url: str, query: str) -> list[str] | None:
    """The rows of an answer, in order; None if nobody answers."""
    request = Request(f"{url}?{urlencode({'query': query})}", headers={"Accept": PLAIN})  # noqa: S310 - loopback
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.loads(answer.read())
    except OSError:
        return None
    return sorted(json.dumps(row, sort_keys=True) for row in found.get("results", {}).get("bindings", []))


def _queries(plan: Plan, source: Source, folder: Path, node: Node) -> tuple[list[Row], Json]:
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
    return rows, details


def _check(node: Node, peer: str, query: str) -> None:
    """That both answer the same, and that the proof holds."""
    ours, theirs = _rows(f"{node.url}/sparql", query), _rows(f"{peer}/query", query)
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


# --- replication ---------------------------------------------------------------------------------------------------


def _replicated(plan: Plan, source: Source, first: Node, second: Node) -> tuple[list[Row], Json]:
    """A node that comes to have the whole dataset from another, then changes of it."""
    plan.say("replicate, cold")
    second.settings["peers.bootstrap"] = first.peers
    start = time.perf_counter()
    second.start()
    wait_for("the second node has it", lambda: second.held(source.address) == 1, 0.05)
    held = time.perf_counter() - start
    wait_for("both have one root", lambda: second.root() == first.root() and second.quads() == source.count, 0.05)
    cold = {"seconds": time.perf_counter() - start, "held_seconds": held, "received": second.traffic()[1]}
    whole = _squeezed(f"{triple} .\n".encode() for triple, _ in triples(plan))
    rows = [
        Row("replicate cold", f"{plan.triples:,} quads, cold, from start to one root", cold["seconds"], "s"),
        Row("replicate cold bytes", "bytes received for it", cold["received"] / MB, "MB", note=_parts(cold, whole)),
    ]
    details: Json = {"cold": cold, "cold_compressed": whole}
    for how in ("together", "scattered"):
        plan.say(f"replicate a change, {how}")
        time.sleep(_IDLE_S)
        found = details[how] = _warm(plan, source, first, second, how)
        ratio = found["received"] / found["compressed"]
        rows += [
            Row(
                f"replicate {how}",
                f"{CHANGED:,} changed quads, {how}, block to one root",
                found["seconds"],
                "s",
                bar=2.0,
            ),
            Row(
                f"replicate {how} bytes",
                f"bytes received for them, {how}, to the compressed change",
                found["received"] / 1e3,
                "kB",
                found["compressed"] / 1e3,
                ratio,
                3.0,
                on_ratio=True,
            ),
        ]
    return rows, details


def _parts(cold: Json, whole: int) -> str:
    return f"{cold['received'] / whole:.2f} x the file, compressed; the dataset held after {cold['held_seconds']:.1f} s"


def _squeezed(lines: Iterator[bytes]) -> int:
    return len(compress(b"".join(lines)))


def _warm(plan: Plan, source: Source, first: Node, second: Node, how: str) -> Json:
    """One change: half of its quads go, half come."""
    gone, come = _change(plan, source, how)
    seq, old = second.held(source.address) + 1, second.root()
    source.change(come, gone)
    before = second.traffic()
    handed = source.hand_in(first)  # it is on the chain when this returns
    start = time.perf_counter()
    wait_for("the second node has the change", lambda: second.held(source.address) == seq)
    held = time.perf_counter() - start
    wait_for("both have one new root", lambda: second.root() == first.root() != old)
    seconds = time.perf_counter() - start
    received = second.traffic()[1] - before[1]
    compressed = _squeezed(nquad(quad) + b"\n" for quad in sorted([*gone, *come]))
    return {
        "seconds": seconds,
        "held_seconds": held,
        "received": received,
        "compressed": compressed,
        "upload": handed,
        "look_seconds": LOOK_S,
    }


def _change(plan: Plan, source: Source, how: str) -> tuple[list[Quad], list[Quad]]:
    """Quads that go and as many that come: names of students of one department after the other, or all over."""
    name = f" <{_UNIV}age> "
    named = ((triple, number) for triple, number in triples(plan) if name in triple)
    if how == "together":
        half = list(islice(named, CHANGED // 2))
    else:
        half = random.Random(2).sample(list(islice(named, CHANGED, None)), CHANGED // 2)  # noqa: S311
    gone, come = [], []
    for triple, number in half:
        subject, predicate, value = (part.encode() for part in triple.split(" ", 2))
        graph = f"<{source.prefix}dept{number}>".encode()
        gone.append((subject, predicate, value, graph))
        come.append((subject, predicate, value.replace(b'"', b'"1', 1), graph))
    return gone, come


# --- the process ---------------------------------------------------------------------------------------------------


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
        wait_for("it answers", lambda: bool(_rows(f"{node.url}/sparql", query)))
        starts.append(time.perf_counter() - begin)
        time.sleep(_IDLE_S)
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
