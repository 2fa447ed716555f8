"""The bench of nodes: its load, its changes, and its verdicts."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from bench import nodeload
from bench.nodedata import Plan, people, questions, triples
from bench.nodesync import CHANGED, change
from bench.report import Row, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAN = Plan(6_000, 1.0, 1, print)
PREFIX = "did:dkg:eip155:1:0x00/0x01/"


class Answering(BaseHTTPRequestHandler):
    """Answers with what was asked, and every third time with an error."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)["query"][0]
        self.asked.append((query, self.headers["Accept"]))
        self.send_response(500 if len(self.asked) % 3 == 0 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Answering.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not nodeload.is_here(), reason="wrk is not installed (Debian package wrk)")
def test_each_request_of_a_load_asks_the_next_query_and_failures_are_counted(url: str, tmp_path: Path) -> None:
    queries = [f"SELECT * {{ <urn:{i}> ?p 'a b&c' }}" for i in range(7)]
    nodeload.write_paths(tmp_path / "paths", queries, "/sparql?query=")
    found = nodeload.loaded(url, tmp_path / "paths", "text/csv", 1, 1)
    asked = Answering.asked
    first = queries.index(asked[0][0])
    assert [query for query, _ in asked[:14]] == (queries * 3)[first : first + 14]
    assert {accept for _, accept in asked} == {"text/csv"}
    assert found.answers > 0
    assert found.failed == pytest.approx(found.answers / 3, abs=1)
    assert 0 < found.p50 <= found.p99
    assert found.per_s == pytest.approx(found.answers, rel=0.5)


def test_a_bar_that_is_the_least_is_met_from_there_on() -> None:
    rows = [Row("a", "a", 7.0, "/s", 10.0, ratio, 0.7, on_ratio=True, at_least=True) for ratio in (0.69, 0.7, 0.71)]
    assert [row.met for row in rows] == [False, True, True]
    assert ">= 0.70x" in table(rows)


def test_each_query_is_about_another_person_who_is_in_the_dataset() -> None:
    subjects = {triple.split(" ", 1)[0] for triple, _ in triples(PLAN)}
    some = people(PLAN)
    assert len(set(some)) == len(some) > 100
    assert set(some) <= subjects
    asked = questions(PLAN)
    assert all(len(set(texts)) == len(some) for texts in asked.values())


@pytest.mark.parametrize("how", ["together", "scattered"])
def test_a_change_takes_quads_that_are_there_and_brings_others(how: str) -> None:
    plan = Plan(20_000, 1.0, 1, print)
    there = {(*triple.split(" ", 2), f"<{PREFIX}dept{number}>") for triple, number in triples(plan)}
    gone, come = change(plan, PREFIX, how)
    before = {tuple(part.decode() for part in quad) for quad in gone}
    after = {tuple(part.decode() for part in quad) for quad in come}
    assert len(before) == len(after) == CHANGED // 2
    assert before <= there
    assert not after & there
