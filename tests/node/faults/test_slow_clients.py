"""Row C9 on a whole node: those who dawdle, hang up or flood take nothing from those who ask as they should."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import psutil
import pytest

from tests.node.http.real import EXPECTED, NAMES, Real, real_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CROWD = 100
"""Connections at once, of those who are up to no good: fewer than one address may have."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    settings = {"http.trusted_proxies": ["127.0.0.1"]}  # so that those who ask as they should are somebody else
    with real_node(tmp_path_factory.mktemp("slow"), settings=settings) as made:
        yield made


def http(real: Real) -> tuple[str, int]:
    host, _, port = urlsplit(real.url).netloc.partition(":")
    return host, int(port)


def peer(real: Real) -> tuple[str, int]:
    return "127.0.0.1", int(str(real.process.facts["peers"][0]).split("/")[4])


GET = b"GET /sparql?query=SELECT%20*%20%7B%20?s%20?p%20?o%20%7D HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\n"


def silent(_made: socket.socket) -> None:
    """Connects, and says nothing."""


def half_a_header(made: socket.socket) -> None:
    made.sendall(GET[:40])


def byte_by_byte(made: socket.socket) -> None:
    for byte in GET[:8]:
        made.sendall(bytes([byte]))


def half_a_body(made: socket.socket) -> None:
    made.sendall(POST + b"Content-Length: 900\r\n\r\nASK {")


def a_body_in_crumbs(made: socket.socket) -> None:
    made.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nA\r\n")


def never_reads(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    made.sendall((GET + b"\r\n") * 20)


def hangs_up(made: socket.socket) -> None:
    made.sendall(GET + b"\r\n")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.close()


def no_http(made: socket.socket) -> None:
    made.sendall(bytes(range(256)) * 8)


ILL: list[tuple[Callable[[Real], tuple[str, int]], Callable[[socket.socket], None]]] = [
    *((http, one) for one in (silent, half_a_header, byte_by_byte, half_a_body, a_body_in_crumbs, never_reads)),
    *((http, one) for one in (hangs_up, no_http)),
    *((peer, one) for one in (silent, no_http, half_a_header)),
]


@pytest.mark.parametrize(("where", "what"), ILL, ids=lambda one: one.__name__)
def test_a_crowd_that_means_ill_takes_nothing_from_the_others(
    real: Real,
    where: Callable[[Real], tuple[str, int]],
    what: Callable[[socket.socket], None],
) -> None:
    assert real.process.process is not None
    process = psutil.Process(real.process.process.pid)
    before = process.num_fds()
    address = where(real)
    with ExitStack() as crowd:
        for _ in range(CROWD):
            made = crowd.enter_context(socket.create_connection(address, timeout=60))
            try:
                what(made)
            except ConnectionError:  # it was told to go
                continue
        for _ in range(5):
            answer = real.process.ask("GET", f"/sparql?query={quote(NAMES)}", headers={"X-Forwarded-For": "192.0.2.1"})
            assert answer.status == 200, answer.body
            assert len(answer.json["results"]["bindings"]) == len(EXPECTED)
    while process.num_fds() > before + 8:  # those who went are forgotten
        time.sleep(0.05)
    assert real.process.process.poll() is None
