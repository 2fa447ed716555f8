"""A real server: slow and greedy clients, half-open bodies, many clients at once, signals, an end in good order."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from dkg.car import read_car
from dkg.errors import InputError, ProofError
from dkg.page import cid_bytes, cid_text
from dkg.pages import StoredPages
from node.http import HttpSettings
from node.http.connection import PIPELINED_MAX
from node.http.server import _listening
from node.workers.pool import Workers
from node.workers.settings import Settings
from tests.node.http.serving import Served, get
from tests.node.http.world import Node, address, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASK = "/sparql?query=ASK%7B%7D"
ENDLESS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n1 ?o . ?p ?q ?r }"


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(shared_node: Node) -> Iterator[Served]:
    """A server with little patience."""
    with Served(
        shared_node,
        header_seconds=0.5,
        body_seconds=0.5,
        body_bytes_per_s=10**9,
        send_seconds=0.5,
        client_connections=40,
        connections=200,
    ) as served:
        yield served


# --- in order --------------------------------------------------------------------------------------------------------


def test_requests_one_after_the_other_on_a_connection(server: Served) -> None:
    with server.connect() as raw:
        for _ in range(3):
            raw.send(get(ASK))
            answer = raw.answer()
            assert (answer.status, json.loads(answer.body)["boolean"]) == (200, True)


def test_requests_that_do_not_wait_for_answers_are_answered_in_order(server: Served) -> None:
    with server.connect() as raw:
        raw.send(get(ASK) + get("/nothing") + get("/v1/commits/0"))
        assert [raw.answer().status for _ in range(3)] == [200, 404, 200]


def test_a_client_that_says_expect_is_told_to_go_on(server: Served) -> None:
    with server.connect() as raw:
        raw.send(
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
            b"Content-Length: 6\r\nExpect: 100-continue\r\n\r\n"
        )
        assert raw.socket.recv(100).startswith(b"HTTP/1.1 100")
        raw.send(b"ASK {}")
        assert raw.answer().status == 200


@pytest.mark.slow
def test_sixty_four_clients_at_once(shared_node: Node) -> None:
    with Served(shared_node) as served:

        def ask(number: int) -> set[int]:
            with httpx.Client(base_url=served.url, trust_env=False) as client:
                paths = ["/sparql?query=ASK%7B%7D", f"/v1/commits/{number % 4}", "/v1/graphs", "/v1/dataset"]
                return {client.get(path).status_code for path in paths * 3}

        with ThreadPoolExecutor(64) as pool:
            assert set().union(*pool.map(ask, range(64))) == {200}
        wait_until(lambda: served.connections() == 0)


# --- slow and greedy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET",
        b"GET /sparql HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"\r\n",
        get(ASK) + b"\r\nGET",
    ],
)
def test_a_header_that_does_not_come_is_not_waited_for(server: Served, begun: bytes) -> None:
    with server.connect() as raw:
        raw.send(begun)
        if begun.startswith(get(ASK)):
            assert raw.answer().status == 200
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (408, "request-timeout")
        assert raw.ended()


def test_a_header_that_comes_byte_by_byte_is_not_waited_for_either(server: Served) -> None:
    sent = 0
    with server.connect() as raw, suppress(OSError):
        for byte in get("/" + "x" * 60_000):
            raw.send(bytes([byte]))
            sent += 1
            time.sleep(0.01)
    assert sent < 60_000


def test_a_header_without_end_is_cut_at_its_limit(server: Served) -> None:
    with server.connect() as raw:
        with suppress(OSError):
            raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 10_000_000)
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (431, "headers-too-large")


def test_what_is_no_http_is_told_so(server: Served) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"SSH-2.0-x\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with server.connect() as raw:
            raw.send(nonsense)
            answer = raw.answer()
            assert (answer.status, json.loads(answer.body)["code"]) == (400, "request-malformed")
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/%80", "/\x7f", "/a b", "*", "/%00", "//", "/..%2f..%2fetc/passwd"])
def test_odd_paths_are_answered(server: Served, path: str) -> None:
    with server.connect() as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"))
        assert raw.answer().status in {400, 404}


def test_a_body_that_does_not_come_is_not_waited_for(server: Served) -> None:
    with server.connect() as raw:
        raw.send(
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
            b"Content-Length: 100\r\n\r\nASK"
        )
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (408, "request-timeout")
        assert raw.ended()


def test_a_body_that_ends_early_leaves_nothing_behind(server: Served) -> None:
    before = server.app.state.dkg.uploads.held
    with server.connect() as raw:
        raw.send(
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
            b"Content-Length: 100\r\n\r\nASK"
        )
        raw.socket.shutdown(socket.SHUT_WR)
        raw.ended()
    wait_until(lambda: server.app.state.dkg.admission.answering == 0)
    assert server.app.state.dkg.uploads.held == before == 0


def test_a_body_that_nobody_reads_ends_the_connection(server: Served) -> None:
    with server.connect() as raw:
        raw.send(b"GET /v1/commits/0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100)
        assert raw.answer().status == 200
        assert raw.ended()


def test_a_body_over_its_limit_is_refused_before_it_is_sent(server: Served) -> None:
    with server.connect() as raw:
        raw.send(
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
            b"Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (413, "body-too-large")


def test_header_fields_after_a_body_are_none(server: Served) -> None:
    with server.connect() as raw:
        raw.send(
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n6\r\nASK {}\r\n0\r\nX-Request-Id: forged\r\n\r\n"
        )
        answer = raw.answer()
        assert answer.status == 200
        assert answer.headers["x-request-id"] != "forged"


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"


def upgrading(length: bytes, method: bytes = b"POST") -> bytes:
    return (
        method + b" /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"
        b"Accept: text/csv\r\n" + UPGRADE + length + b"\r\n\r\n"
    )


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("length", "body"),
    [(b"Content-Length: 6", b"ASK {}"), (b"Transfer-Encoding: chunked", b"3\r\nASK\r\n3\r\n {}\r\n0\r\n\r\n")],
)
def test_a_client_that_would_rather_speak_another_protocol_is_answered(
    server: Served, length: bytes, body: bytes, *, together: bool
) -> None:
    """As Java's does, and with it Jena."""
    with server.connect() as raw:
        for _ in range(2):
            if together:
                raw.send(upgrading(length) + body + get(ASK))
            else:
                for part in (upgrading(length), body[:4], body[4:], get(ASK)):
                    raw.send(part)
                    time.sleep(0.02)
            assert (raw.answer().status, raw.answer().status) == (200, 200)


@pytest.mark.parametrize("together", [True, False])
def test_a_body_behind_an_upgrade_is_no_request(server: Served, *, together: bool) -> None:
    """A proxy that hands `Upgrade` on would take the second answer for that to the next request, of somebody else."""
    smuggled = get("/health/live")
    head = upgrading(b"Content-Length: %d" % len(smuggled))
    with server.connect() as raw:
        for part in [head + smuggled] if together else [head, smuggled]:
            raw.send(part)
            time.sleep(0.02)
        raw.send(get(ASK))
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "query-invalid")
        assert b"boolean" in raw.answer().body


def test_a_request_behind_one_that_asks_for_another_protocol_is_answered(server: Served) -> None:
    with server.connect() as raw:
        raw.send((b"GET /sparql?query=ASK%7B%7D HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"\r\n") * 3 + get(ASK))
        assert [raw.answer().status for _ in range(4)] == [200] * 4


def test_a_body_behind_an_upgrade_has_the_limits_of_any(server: Served) -> None:
    with server.connect() as raw:
        raw.send(upgrading(b"Content-Length: 1000000000"))
        assert raw.answer().status == 413
    for length in (b"Content-Length: 6\r\nTransfer-Encoding: chunked", b"Content-Length: 6\r\nContent-Length: 7"):
        with server.connect() as raw:
            raw.send(upgrading(length))
            assert raw.answer().status == 400
    with server.connect() as raw:
        raw.send(upgrading(b"Content-Length: 6") + b"ASK")
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (408, "request-timeout")


@pytest.mark.parametrize("path", [ASK, "/health"])
def test_two_names_of_the_host_are_refused(server: Served, path: str) -> None:
    with server.connect() as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nHost: elsewhere.example\r\n\r\n".encode())
        answer = raw.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "request-malformed")


def test_more_requests_at_once_than_anybody_needs(server: Served) -> None:
    with server.connect() as raw:
        raw.send(get(ASK) * 5_000)
        answered = 0
        try:
            while answered < 5_000:
                answered += raw.answer().status == 200
        except (EOFError, ConnectionResetError):
            pass
    assert answered <= PIPELINED_MAX + 2
    assert server.refusals()["too many requests at once"] >= 1


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    with world(tmp_path) as node:
        node.publish(0, "much", " ".join(f':s{number} :p "{"x" * 20_000}{number}" .' for number in range(400)))
        root = cid_text(node.standing(None).root)
        with Served(node, send_seconds=0.3) as served, served.connect() as raw:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.send(get(f"/ipfs/{root}?format=car"))
            wait_until(lambda: served.refusals().get("slow reader", 0) == 1)
            wait_until(lambda: served.connections() == 0)
            assert served.app.state.dkg.admission.answering == 0


def test_connections_of_one_client_and_of_all(server: Served) -> None:
    wait_until(lambda: server.connections() == 0)
    held = [server.connect() for _ in range(40)]
    try:
        wait_until(lambda: server.connections() == 40)
        with server.connect() as raw:
            answer = raw.answer()
            assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
    finally:
        for one in held:
            one.socket.close()
    wait_until(lambda: server.connections() == 0)
    with server.connect() as raw:
        raw.send(get(ASK))
        assert raw.answer().status == 200


def test_nothing_grows_under_misbehaviour(server: Served) -> None:
    process = psutil.Process()
    wait_until(lambda: server.connections() == 0)
    files, threads = process.num_fds(), process.num_threads()
    for _ in range(30):
        for data in (
            b"GET /",
            b"\x00",
            get(ASK),
            b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
        ):
            with server.connect() as raw:
                raw.send(data)
    wait_until(lambda: server.connections() == 0)
    assert process.num_fds() <= files + 2
    assert process.num_threads() <= threads + 2
    assert server.app.state.dkg.admission.answering == 0
    assert not server.server._guard.by_client


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_page_that_went_cuts_a_car_short(tmp_path: Path) -> None:
    with world(tmp_path) as node:
        root = node.standing((address(0),)).root
        gone = StoredPages(node.store.pages).root(root).trees[3]

        class Collected(Node):
            def page(self, cid: bytes) -> bytes | None:
                return None if cid == gone else super().page(cid)

        with Served(Collected(node.store, log=node.log)) as served:
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(f"{served.url}/ipfs/{cid_text(root)}?format=car", trust_env=False)
            assert httpx.get(f"{served.url}{ASK}", trust_env=False).status_code == 200


def test_a_whole_dataset_in_a_stream(tmp_path: Path) -> None:
    with world(tmp_path) as node:
        node.publish(0, "much", " ".join(f":s{number} :p{number % 7} {number} ." for number in range(5000)))
        root = cid_text(node.standing(None).root)
        with Served(node) as served:
            car = httpx.get(f"{served.url}/ipfs/{root}?format=car", trust_env=False).content
    assert len(read_car(car, cid_bytes(root), 10**6)) > 1000
    with pytest.raises(ProofError):
        read_car(car[:-1], cid_bytes(root), 10**6)


# --- clients that go -------------------------------------------------------------------------------------------------


def test_nobody_works_for_a_client_that_has_gone(shared_node: Node) -> None:
    settings = Settings(workers=1, wall_seconds=600, cpu_seconds=600, isolation="limits")
    with Served(shared_node, workers=lambda: Workers(shared_node.store.directory, settings)) as served:
        with served.connect() as raw:
            raw.send(get("/sparql?query=" + ENDLESS.replace(" ", "%20").replace("?", "%3F")))
            wait_until(lambda: served.idle_workers() == 0)
            raw.socket.close()
        wait_until(lambda: served.app.state.dkg.admission.answering == 0)
        wait_until(lambda: served.idle_workers() == 1)
        assert httpx.get(f"{served.url}{ASK}", trust_env=False).status_code == 200
        gone = next(fields for event, fields in served.log if event == "http.request")
        assert gone["status"] == 499


# --- the end ---------------------------------------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys, pathlib, uvloop
from node.http import HttpSettings, make_app, serve
from node.workers.inprocess import InProcess
from tests.node.http.world import world

with world(pathlib.Path(sys.argv[1])) as node:
    app = make_app(node, InProcess(node.store.pages), HttpSettings(port=0, stop_seconds=int(sys.argv[2])))

    @app.get("/wait")
    async def wait():
        await asyncio.sleep(float(sys.argv[3]))
        return {"waited": True}

    settings = HttpSettings(port=0, stop_seconds=int(sys.argv[2]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app, settings, started=lambda url: print(url, flush=True)))
print("ended", flush=True)
"""


class Program:
    """A process that serves until it is told to stop."""

    def __init__(self, directory: Path, stop_s: int = 60, wait_s: float = 0.5) -> None:
        arguments = [sys.executable, "-c", PROGRAM, str(directory), str(stop_s), str(wait_s)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path.cwd())
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()

    def end(self) -> tuple[int, str, str]:
        out, error = self.process.communicate()
        return self.process.returncode, out.decode().strip(), error.decode()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_end_and_takes_no_more(tmp_path: Path, number: signal.Signals) -> None:
    program = Program(tmp_path, wait_s=3.0)
    found: list[int] = []

    def ask() -> None:
        found.append(httpx.get(f"{program.url}/wait", trust_env=False, timeout=60).status_code)

    with httpx.Client(base_url=program.url, trust_env=False) as idle:
        assert idle.get(ASK).status_code == 200
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(1.5)  # by then the request is there, and not yet answered
        program.process.send_signal(number)
        asking.join()
        assert program.end() == (0, "ended", "")
    assert found == [200]


@pytest.mark.slow
def test_requests_that_do_not_end_are_ended(tmp_path: Path) -> None:
    program = Program(tmp_path, stop_s=1, wait_s=3600)
    threading.Timer(0.5, program.process.send_signal, [signal.SIGTERM]).start()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{program.url}/wait", trust_env=False, timeout=60)
    code, out, _ = program.end()
    assert (code, out) == (0, "ended")


@pytest.mark.slow
def test_a_second_signal_hurries(tmp_path: Path) -> None:
    program = Program(tmp_path, stop_s=3600, wait_s=3600)
    for seconds in (0.5, 1.0):
        threading.Timer(seconds, program.process.send_signal, [signal.SIGTERM]).start()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{program.url}/wait", trust_env=False, timeout=60)
    assert program.end()[:2] == (0, "ended")


def test_a_port_that_is_taken_is_told(server: Served) -> None:
    with pytest.raises(InputError, match=r"cannot listen at 127\.0\.0\.1"):
        _listening(HttpSettings(port=server.port))
    with pytest.raises(InputError, match=r"cannot listen at 203\.0\.113\.1"):
        _listening(HttpSettings(host="203.0.113.1"))
