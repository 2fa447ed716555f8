"""What comes through the pipe: whole or not at all, within its limits, and nothing but text and bytes."""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dkg
from dkg.evaluate import Dataset
from dkg.limits import Budget
from node.workers.codec import MESSAGE_CHARS_MAX, Reply, decode_job, decode_reply, encode_job, encode_reply
from node.workers.errors import (
    JobMemoryError,
    OverloadedError,
    ResultTooLargeError,
    UnacceptableError,
    WorkerCrashedError,
)
from node.workers.frames import Frame, FrameError, FrameReader, Receiver, encode
from node.workers.jobs import EVERY_GRAPH, Check, Facts, Job, Parse, Plain, Prove, Query, Result
from tests.node.workers.harness import NO_ROOT

FACTS = Facts("SELECT", "json", 3, None, 0.25)


def read(data: bytes, header_max: int = 1000, payload_max: int = 1000) -> list[Frame]:
    return FrameReader(header_max, payload_max).feed(data)


# --- frames ----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text(), st.binary()), max_size=4), st.integers(1, 40))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[tuple[str, bytes]], size: int) -> None:
    reader = FrameReader(100_000, 100_000)
    data = b"".join(encode({"text": text}, payload) for text, payload in frames)
    found = [frame for at in range(0, len(data), size) for frame in reader.feed(data[at : at + size])]
    assert found == [({"text": text}, payload) for text, payload in frames]


def test_lengths_at_the_limit_and_one_over() -> None:
    header = len(json.dumps({"a": 1}, separators=(",", ":")))
    frame = encode({"a": 1}, b"12345")
    assert read(frame, header, 5) == [({"a": 1}, b"12345")]
    with pytest.raises(FrameError, match="header has 7 bytes, over the limit of 6"):
        read(frame, header - 1, 5)
    with pytest.raises(FrameError, match="payload has 5 bytes, over the limit of 4"):
        read(frame, header, 4)


def test_a_length_over_the_limit_is_refused_before_anything_follows() -> None:
    with pytest.raises(FrameError):
        read(struct.pack(">II", 2, 1001))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b"null", b"[" * 900, b"{}{}", b"\xff\xfe", b'{"a":' + b"9" * 900]
)
def test_headers_that_are_no_object_are_refused(text: bytes) -> None:
    with pytest.raises(FrameError):
        read(struct.pack(">II", len(text), 0) + text)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_frames_or_a_frame_error(data: bytes) -> None:
    try:
        frames = read(data)
    except FrameError:
        return
    assert all(type(frame.header) is dict for frame in frames)


def test_receiving_ends_with_the_other_side() -> None:
    for sent in b"", b"\0\0\0", encode({"a": 1}, b"payload")[:-1]:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                theirs.sendall(sent)
            assert Receiver(ours, 100, 100).next() is None


def test_receiving_takes_one_frame() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        receiver = Receiver(ours, 100, 100)
        theirs.sendall(encode({"a": 1}, b"x" * 100) + encode({"a": 2}, b""))
        assert [receiver.next(), receiver.next()] == [({"a": 1}, b"x" * 100), ({"a": 2}, b"")]
        theirs.sendall(encode({"a": 1}, b"x" * 101))
        with pytest.raises(FrameError):
            receiver.next()


def test_a_frame_longer_than_what_is_received_at_once_comes_whole_and_so_does_the_next() -> None:
    ours, theirs = socket.socketpair()
    frames = [({"a": 1}, b"x" * 300_000), ({"a": 2}, b"y" * 5)]
    with ours, theirs:
        sending = threading.Thread(target=theirs.sendall, args=(b"".join(encode(*frame) for frame in frames),))
        sending.start()
        receiver = Receiver(ours, 100, 300_000)
        assert [receiver.next(), receiver.next()] == frames
        sending.join()


# --- jobs ------------------------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {
    "root": NO_ROOT,
    "text": "SELECT \ud800 \u00e9 \U0001f600",
    "dataset": Dataset((b"<urn:\xc3\xa9>",), ()),
    "now": "2026-01-31T12:00:00Z",
    "base_iri": "https://example.org/",
    "budget": Budget(1, 2, 3, 4),
    "table": None,
    "graph": "nt",
}
JOBS: list[Job] = [
    Query(root=NO_ROOT, text="ASK {}"),
    Query(**ASKED),
    Prove(**ASKED, compressed=True),
    Check(**ASKED, car=bytes(range(256))),
    Plain(**ASKED, view="/some/where", allowed=frozenset({b"<urn:b>", b"<urn:a>"})),
    Plain(**ASKED, view=None, allowed=EVERY_GRAPH),
    Plain(**ASKED, view=None, allowed=frozenset()),
    Parse(data=bytes(range(256)), format="ttl", graph="urn:g", base_iri=None),
]


@pytest.mark.parametrize("job", JOBS)
def test_jobs_come_out_as_they_went_in(job: Job) -> None:
    (frame,) = read(encode_job(job), 10_000, 10_000)
    assert decode_job(frame) == job


def test_every_graph_and_no_graph_are_not_the_same_on_the_pipe() -> None:
    every = Plain(root=NO_ROOT, text="", view=None, allowed=EVERY_GRAPH)
    assert encode_job(every) != encode_job(replace(every, allowed=frozenset()))


# --- replies ---------------------------------------------------------------------------------------------------


def through(reply: Reply) -> Reply:
    (frame,) = read(encode_reply(reply), 100_000, 100_000)
    return decode_reply(frame)


def test_results_come_out_as_they_went_in() -> None:
    reply = Reply(Result(bytes(range(256)), FACTS), spent=True)
    assert through(reply) == reply


@pytest.mark.parametrize(
    "error",
    [
        dkg.QueryError("no"),
        dkg.BudgetError("no"),
        dkg.LimitError("no"),
        dkg.ProofError("no"),
        dkg.MissingPageError("no"),
        dkg.StoreError("no"),
        dkg.CanonicalizationError("no"),
        JobMemoryError("no"),
        ResultTooLargeError("no"),
        UnacceptableError("no"),
        WorkerCrashedError("no", "why"),
    ],
)
def test_errors_come_out_as_they_went_in(error: dkg.DkgError) -> None:
    outcome = through(Reply(error, spent=False)).outcome
    assert type(outcome) is type(error)
    assert str(outcome) == str(error)
    assert getattr(outcome, "detail", "") == getattr(error, "detail", "")


def test_an_error_that_the_list_has_not_comes_out_as_its_kind() -> None:
    class StrangeError(dkg.QueryError):
        pass

    assert type(through(Reply(StrangeError("odd"), spent=False)).outcome) is dkg.QueryError


def test_sentences_are_cut_and_cleaned() -> None:
    long = through(Reply(dkg.QueryError("x" * (MESSAGE_CHARS_MAX + 1)), spent=False)).outcome
    assert str(long) == "x" * MESSAGE_CHARS_MAX
    odd = Frame({"error": "QueryError", "message": "a\x1b[31mb\nc\u202ed", "detail": "", "spent": False}, b"")
    assert str(decode_reply(odd).outcome) == "a [31mb c d"


GOOD = {"facts": {"form": "ASK", "format": "json", "rows": 1, "pages": None, "seconds": 0.5}, "spent": False}


@pytest.mark.parametrize(
    "change",
    [
        {"facts": None},
        {"facts": []},
        {"facts": {}},
        {"facts": GOOD["facts"] | {"more": 1}},  # type: ignore[operator]
        *(
            {"facts": GOOD["facts"] | {name: value}}  # type: ignore[operator]
            for name, value in [
                ("form", None), ("format", 1), ("rows", -1), ("rows", 1.5), ("rows", True), ("rows", 2**63),
                ("pages", "1"), ("seconds", 1), ("seconds", -0.5), ("seconds", float("nan")), ("seconds", float("inf")),
            ]
        ),
    ],
)  # fmt: skip
def test_facts_that_are_none_are_refused(change: dict[str, Any]) -> None:
    assert isinstance(decode_reply(Frame(dict(GOOD), b"")).outcome, Result)
    with pytest.raises(FrameError):
        decode_reply(Frame(GOOD | change, b""))


@pytest.mark.parametrize(
    "header",
    [
        {"error": "SystemExit", "message": ""},
        {"error": "OverloadedError", "message": ""},
        {"error": "DkgErrors", "message": ""},
        {"error": ["QueryError"], "message": ""},
        {"error": "QueryError"},
        {"error": "QueryError", "message": 5},
        {"error": "WorkerCrashedError", "message": "no detail"},
    ],
)
def test_errors_that_workers_have_not_are_refused(header: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        decode_reply(Frame(header, b""))
    assert issubclass(OverloadedError, dkg.DkgError)  # it is an error, but not one for workers to raise


def test_an_error_has_no_payload() -> None:
    with pytest.raises(FrameError):
        decode_reply(Frame({"error": "QueryError", "message": ""}, b"payload"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["facts", "error", "message", "detail", "spent", "x"]), _JSON), st.binary())
def test_arbitrary_replies_are_replies_or_a_frame_error(header: dict[str, Any], payload: bytes) -> None:
    try:
        reply = decode_reply(Frame(header, payload))
    except FrameError:
        return
    assert isinstance(reply.outcome, Result | dkg.DkgError)
