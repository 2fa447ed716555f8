"""Pages asked of a node one at a time: a real one, one that is gone, and servers that misbehave."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dkg.errors import InputError, PageError, StoreError
from dkg.page import EMPTY_TREE
from dkg.pages import StoredPages
from retrieval.model import Claim, Snapshot
from retrieval.reading import Reader
from retrieval.sources import local
from retrieval.sources_http import DOWN_S, NodePages
from tests.chain.proxy import unreachable
from tests.node.http.serving import Served
from tests.node.http.world import world
from tests.retrieval.reading.world import iri, proposed, published, quad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE = EMPTY_TREE[:-1] + bytes([EMPTY_TREE[-1] ^ 1])
"""The CID of a page that nobody has."""


class Time:
    """A clock that tests move, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def told(*answers: bytes) -> Iterator[str]:
    """A server that gives these answers, whatever is asked, one a connection, and then hangs up; gives its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        thread.join()
        listening.close()


def answer(status: str, body: bytes, announced: int | None = None) -> bytes:
    """An HTTP answer."""
    length = len(body) if announced is None else announced
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status.encode(), length, body)


def test_a_dataset_is_read_from_a_real_node_page_by_page(tmp_path: Path) -> None:
    with world(tmp_path) as node, Served(node) as served, NodePages(served.url) as pages:
        root = node.standing(None).root
        reader = Reader([local(pages, root)])
        here = Reader([local(node.store.pages, root)])
        known = here.about(most=1000)
        assert known
        assert [fact.statement for fact in reader.about(most=1000)] == [fact.statement for fact in known]
        assert reader.absent(iri("nobody"), iri("nothing")) is not None
        asked = pages.asked
        assert len(reader.facts(proposed([fact.statement for fact in known]))[0]) == len(known)
        assert pages.asked == asked  # what was read stays
        assert pages.get(GONE) is None
        with pytest.raises(StoreError, match="only read"):
            pages.put_many([])


def test_a_node_that_sends_another_page_is_not_believed() -> None:
    (one, other) = (published("one", [quad("s", "p", at)]).snapshot for at in (1, 2))
    assert isinstance(other.pages, StoredPages)
    raw = other.pages.store.get(other.root)
    assert raw is not None
    with told(answer("200 OK", raw)) as url, NodePages(url) as pages, pytest.raises(PageError):
        local(pages, one.root)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (answer("500 Internal Server Error", b"sorry"), "HTTP 500"),
        (answer("301 Moved Permanently", b""), "HTTP 301"),
        (answer("429 Too Many Requests", b""), "too busy"),
        (answer("200 OK", b"\xa1", 100), "does not answer"),
        (b"", "does not answer"),
        (b"\0\0\0\r\n\r\n", "does not answer"),
    ],
)
def test_a_node_that_fails_is_the_environments_fault(sent: bytes, says: str) -> None:
    with told(sent) as url, NodePages(url, clock=Time()) as pages, pytest.raises(StoreError, match=says):
        pages.get(GONE)


def test_a_node_that_does_not_answer_is_left_alone_for_a_moment() -> None:
    clock = Time()
    with NodePages(unreachable(), clock=clock) as pages:
        for _ in range(20):
            with pytest.raises(StoreError, match="does not answer"):
                pages.get(GONE)
        assert pages.asked == 1
        clock.now += DOWN_S - 0.01
        with pytest.raises(StoreError, match="does not answer"):
            pages.get(GONE)
        assert pages.asked == 1
        clock.now += 0.01
        with pytest.raises(StoreError, match="does not answer"):
            pages.get(GONE)
        assert pages.asked == 2


def test_a_node_that_is_down_silences_nobody_else() -> None:
    whole = published("one", [quad("s", "p", 1)])
    with NodePages(unreachable()) as pages:
        lost = Snapshot("lost", whole.snapshot.root, StoredPages(pages), Claim.AUTHENTIC)
        reader = Reader([lost, whole.snapshot])
        (fact,), _ = reader.facts(proposed([quad("s", "p", 1)]))
        assert (fact.publishers, list(reader.faults)) == (("one",), ["lost"])
        assert "does not answer" in reader.faults["lost"]


def test_a_connection_that_the_node_has_closed_is_opened_again() -> None:
    kept = answer("404 Not Found", b"").replace(b"Connection: close\r\n", b"")
    with told(kept, kept) as url, NodePages(url) as pages:
        assert [pages.get(GONE), pages.get(GONE)] == [None, None]


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://h/?key=secret",
     "http://secret:secret@127.0.0.1"],
)  # fmt: skip
def test_what_is_no_url_of_a_node_is_refused_and_no_secret_repeated(url: str) -> None:
    with pytest.raises(InputError) as refused:
        NodePages(url)
    assert "secret" not in str(refused.value)
