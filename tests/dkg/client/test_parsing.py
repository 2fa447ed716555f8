"""Parsing side by side gives what parsing in turn gives, errors included, and leaves no process behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING

import pytest

from dkg.client.parsing import LineWorkers
from dkg.errors import LimitError, RdfError, StoreError
from dkg.rdf import parse_quads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.terms import Quad

BLOCK = 2_000
GRAPH = b"<urn:graph>"
ODD = (
    b'<urn:s> <urn:p> "01"^^<http://www.w3.org/2001/XMLSchema#integer> .',
    b'<urn:s>   <urn:p> "a tab"@EN .',
    b"# a comment",
    b"",
    b'_:b <urn:p> "\\u0041" .',
    "<urn:s> <urn:p> <urn:\u00e9> .".encode(),
)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("dkg._rdf_lines.BLOCK_BYTES", BLOCK)
    yield
    assert multiprocessing.active_children() == []


def document(lines: int, graph: bytes = b"") -> bytes:
    made = [
        ODD[at // 7 % len(ODD)] if at % 7 == 0 else b'<urn:s:%d> <urn:p> "%d" .' % (at % 50, at) for at in range(lines)
    ]
    return b"".join(line.replace(b" .", graph + b" .") + b"\n" for line in made)


def quads(data: bytes, processes: int, name: str = "nt") -> list[Quad]:
    batches = parse_quads(data, format=name, graph=GRAPH, run=LineWorkers(processes))
    return [quad for batch in batches for quad in batch]


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_the_same_quads_in_the_same_order(processes: int) -> None:
    for data, name in ((document(1_000), "nt"), (document(1_000), "nq"), (document(1_000, b" <urn:g>"), "nq")):
        assert len(data) > 8 * BLOCK
        assert quads(data, processes, name) == quads(data, 1, name)


def test_blocks_without_a_quad_are_no_quads() -> None:
    silent = b"# nothing is said here\n" * 2_000
    assert quads(silent, 2) == []
    assert quads(silent + b"<urn:s> <urn:p> <urn:o> .\n" + silent, 2) == [(b"<urn:s>", b"<urn:p>", b"<urn:o>", GRAPH)]


def test_the_first_error_of_the_file_is_told_with_its_line() -> None:
    lines = document(1_000).split(b"\n")
    lines[700] = lines[900] = b"<urn:s> <urn:p> <no iri> ."
    with pytest.raises(RdfError, match="at line 701"):
        quads(b"\n".join(lines), 3)
    lines[500] = b"<urn:s> <urn:p> <urn:%b> ." % (b"o" * 20_000)
    with pytest.raises(LimitError, match="line 501"):
        quads(b"\n".join(lines), 3)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_an_error_before_a_block_that_cannot_be_read_is_told_first(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr("dkg._rdf_lines.LINE_BYTES_MAX", 3 * BLOCK)
    lines = document(1_000).split(b"\n")
    lines[700] = b"<urn:s> <urn:p> <urn:%b> ." % (b"o" * 5 * BLOCK)
    with pytest.raises(LimitError, match="line 701 has over"):
        quads(b"\n".join(lines), processes)
    for at in (5, 690):
        lines[at] = b"<urn:s> <urn:p> <no iri> ."
        with pytest.raises(RdfError, match=f"at line {at + 1}:"):
            quads(b"\n".join(lines), processes)
        lines[at] = b""


def test_short_files_start_no_process() -> None:
    batches = parse_quads(document(100), format="nt", graph=GRAPH, run=LineWorkers(4))
    assert next(batches)
    assert multiprocessing.active_children() == []
    assert list(batches)


def test_whoever_stops_early_leaves_no_process() -> None:
    batches = parse_quads(document(1_000, b" <urn:g>").replace(b"_:b", b"<urn:b>"), format="nq", run=LineWorkers(3))
    assert next(batches)
    assert len(multiprocessing.active_children()) == 3
    del batches
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_is_told() -> None:
    batches = parse_quads(document(3_000).replace(b"_:b", b"<urn:b>"), format="nt", run=LineWorkers(2))
    assert next(batches)
    for child in multiprocessing.active_children():
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(StoreError, match="ended early"):
        list(batches)
