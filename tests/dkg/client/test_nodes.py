"""A node over HTTP that sends what it should not: everything is an error with a sentence, and nothing is believed."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import Domain
from dkg.checkpoints.answer import Parts
from dkg.client import nodes
from dkg.client.files import compress
from dkg.client.nodes import Node, NodeLacksError
from dkg.errors import InputError, ProofError, StoreError
from dkg.page import CID_PREFIX, PAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

CID = CID_PREFIX + bytes(32)
PARTS = Parts(Domain(1, b"\xaa" * 20), CID, {})


class Told:
    """A server that answers all with the same, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", list[str]()
        told = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                told.asked.append(self.path)
                self.send_response(told.status)
                self.send_header("Content-Length", str(len(told.body)))
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                self.wfile.write(told.body)

            def do_POST(self) -> None:
                told.asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def listing(self, addresses: list[int], following: str | None) -> None:
        self.body = json.dumps(
            {"items": [{"address": f"0x{one:040x}"} for one in addresses], "next": following}
        ).encode()


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def node(told: Told) -> Iterator[Node]:
    with Node(f"http://127.0.0.1:{told.server.server_address[1]}/") as found:
        yield found


def test_a_proof_is_asked_for_with_all_that_its_answer_hangs_on(told: Told, node: Node) -> None:
    told.body = compress(b"a proof")
    parts = Parts(PARTS.domain, CID, {b"\1" * 20: CID, b"\2" * 20: None})
    assert node.prove("ASK {}", parts, origins=True, now="2027-01-15T08:00:00Z", base_iri="http://e/") == b"a proof"
    asked = told.asked[0]
    for field in (
        "min_claim=L2",
        "origins=true",
        "now=2027",
        "base=http",
        f"beside=0x{'01' * 20}%3Ab",
        f"0x{'02' * 20}%3A&",
    ):
        assert field in asked, field


@pytest.mark.parametrize("body", [b"", b"no proof", compress(b"x")[:-1], compress(b"x") + b"y"])
def test_what_is_no_proof_file_is_refused(told: Told, node: Node, body: bytes) -> None:
    told.body = body
    with pytest.raises(ProofError):
        node.prove("ASK {}", PARTS)


def test_a_page_that_is_too_long_is_not_read(told: Told, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "PAGE_BYTES_MAX", 10)
    assert PAGE_BYTES_MAX > 10
    told.body = b"0123456789"
    assert node.page(CID) == told.body
    told.body += b"0"
    with pytest.raises(StoreError, match="more than 10 bytes"):
        node.page(CID)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NodeLacksError),
        (410, NodeLacksError),
        (412, NodeLacksError),
        (400, InputError),
        (302, InputError),
        (429, StoreError),
        (503, StoreError),
    ],
)
def test_refusals_are_sentences_and_nobody_is_sent_elsewhere(
    told: Told, node: Node, status: int, kind: type[Exception]
) -> None:
    for body in (json.dumps({"detail": "why \x1b[2J not"}).encode(), b"[]", b"<html>", b"[" * 100_000):
        told.status, told.body = status, body
        with pytest.raises(kind, match=rf"HTTP {status}"):
            node.prove("ASK {}", PARTS)
    assert not any("elsewhere" in one for one in told.asked)


def test_what_is_no_utf_8_is_for_the_node_to_refuse(told: Told, node: Node) -> None:
    told.status = 400
    for options in ({"base_iri": "http://x/\udcff"}, {"now": "\ud800"}):
        with pytest.raises(InputError, match="HTTP 400"):
            node.prove("ASK {}", PARTS, **options)  # type: ignore[arg-type]


def test_publishers_are_listed_up_to_a_number(told: Told, node: Node) -> None:
    told.listing([1, 2, 3], None)
    assert [int.from_bytes(one) for one in node.publishers(10)] == [1, 2, 3]
    assert [int.from_bytes(one) for one in node.publishers(2)] == [1, 2]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"items": [{}], "next": null}', b'{"items": [{"address": "x"}], "next": null}']
)
def test_what_is_no_list_is_an_error(told: Told, node: Node, body: bytes) -> None:
    told.body = body
    with pytest.raises(StoreError, match="as a node does"):
        node.publishers(10)


def test_a_list_without_an_end_is_an_error(told: Told, node: Node) -> None:
    told.listing([1, 2], "/v1/publishers?after=2")
    with pytest.raises(StoreError, match="listed before"):
        node.publishers(10)
    told.listing([], "/v1/publishers?after=2")
    assert node.publishers(10) == []


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://u:p@x", "http://x?q", "http://x:port", "http://[::1"]
)
def test_what_is_no_address_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Node(url)
    assert "u:p" not in str(caught.value)
