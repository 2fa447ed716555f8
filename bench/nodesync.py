"""Replication between two nodes: all of a dataset, and changes of it."""

from __future__ import annotations

import random
import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from bench.nodedata import IDLE_S, UNIV, triples
from bench.nodenet import LOOK_S, wait_for
from bench.report import Row
from dkg.canon import nquad
from dkg.client.files import compress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.nodedata import Plan
    from bench.nodenet import Node, Source
    from bench.report import Json
    from dkg.terms import Quad

CHANGED: Final = 1_000
"""Quads of a change: half of them go, half come."""

MB: Final = 1e6


def replicated(plan: Plan, source: Source, first: Node, second: Node) -> tuple[list[Row], Json]:
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
        time.sleep(IDLE_S)
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
    gone, come = change(plan, source.prefix, how)
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


def change(plan: Plan, prefix: str, how: str) -> tuple[list[Quad], list[Quad]]:
    """Quads that go and as many that come: names of students of one department after the other, or all over."""
    name = f" <{UNIV}age> "
    named = ((triple, number) for triple, number in triples(plan) if name in triple)
    if how == "together":
        half = list(islice(named, CHANGED // 2))
    else:
        half = random.Random(2).sample(list(islice(named, CHANGED, None)), CHANGED // 2)  # noqa: S311
    gone, come = [], []
    for triple, number in half:
        subject, predicate, value = (part.encode() for part in triple.split(" ", 2))
        graph = f"<{prefix}dept{number}>".encode()
        gone.append((subject, predicate, value, graph))
        come.append((subject, predicate, value.replace(b'"', b'"1', 1), graph))
    return gone, come
