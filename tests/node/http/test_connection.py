"""Answers on a connection: header and body at once, and nothing in a header that would be another header or answer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl

from node.http.body import FIELDS_MAX, parse_fields
from node.http.connection import Cycle
from node.http.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]


class Written(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.parts.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


def answered(*messages: Message, method: str = "GET", keep_alive: bool = True, paused: bool = False) -> Written:
    """What an application's messages put on the wire."""
    transport = Written()

    async def scenario() -> None:
        flow = FlowControl(transport)

        async def app(_scope: Any, _receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:  # noqa: ANN401
            for message in messages:
                await send(message)
                if paused:
                    flow.pause_writing()
                    asyncio.get_running_loop().call_soon(flow.resume_writing)

        cycle = Cycle(
            scope={"method": method, "http_version": "1.1", "type": "http"},  # type: ignore[typeddict-item]
            transport=transport,
            flow=flow,
            logger=logging.getLogger("tests.silent"),
            access_logger=logging.getLogger("tests.silent"),
            access_log=False,
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: None,
        )
        await cycle.run_asgi(app)  # type: ignore[arg-type]  # as an application

    asyncio.run(scenario())
    return transport


def start(*fields: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(fields)}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


LENGTH = (b"content-length", b"5")
HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 5\r\n\r\n"


def test_header_and_body_are_written_at_once() -> None:
    assert answered(start(LENGTH), body(b"hello")).parts == [HEAD + b"hello"]


def test_a_body_in_parts_has_its_header_before_the_first_also_when_the_client_reads_slowly() -> None:
    for paused in (False, True):
        done = answered(start(LENGTH), body(b"he", more=True), body(b"llo"), paused=paused)
        assert b"".join(done.parts) == HEAD + b"hello"
        assert not done.closed


def test_an_answer_to_head_and_one_without_body_have_none() -> None:
    assert answered(start(LENGTH), body(b"hello"), method="HEAD").parts == [HEAD]
    told = answered(start((b"etag", b'"x"'), status=304), body(b"")).parts
    assert told == [b'HTTP/1.1 304 Not Modified\r\ndate: today\r\netag: "x"\r\n\r\n']


def test_a_connection_that_ends_says_so_and_ends() -> None:
    done = answered(start(LENGTH), body(b"hello"), keep_alive=False)
    assert b"\r\nconnection: close\r\n" in done.parts[0]
    assert done.closed


def test_an_answer_without_a_length_goes_in_chunks() -> None:
    done = b"".join(answered(start(), body(b"he", more=True), body(b"llo")).parts)
    assert b"transfer-encoding: chunked" in done
    assert done.endswith(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")


@pytest.mark.parametrize("bad", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\x00b", b"a\x7fb"])
def test_a_header_field_that_would_be_two_is_not_sent(bad: bytes) -> None:
    for field in ((b"dkg-base", bad), (b"dkg-" + bad, b"a")):
        done = b"".join(answered(start(LENGTH, field), body(b"hello")).parts)
        assert done.startswith(b"HTTP/1.1 500 ")
        assert b"set-cookie" not in done


@pytest.mark.parametrize("data", [b"hell", b"hello!"])
def test_a_body_of_another_length_ends_the_connection_and_is_not_sent(data: bytes) -> None:
    done = answered(start(LENGTH), body(data))
    assert done.closed
    assert data not in b"".join(done.parts)


# --- fields ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([b"a", b"query", b"=", b"&", b"+", b"%", b"%2", b"%C3%A9", b"%zz", "é".encode(), b";"]))
)
def test_fields_are_those_of_the_standard_library(parts: list[bytes]) -> None:
    data = b"".join(parts)
    expected = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    assert parse_fields(data, "form") == expected


@pytest.mark.parametrize("data", [b"a=%ff", b"%ff=a", b"a=\xff"])
def test_fields_that_are_no_utf8_are_refused(data: bytes) -> None:
    with pytest.raises(Problem, match="not UTF-8"):
        parse_fields(data, "form")


def test_fields_up_to_their_number_and_one_more() -> None:
    assert len(parse_fields(b"&".join([b"a=b"] * FIELDS_MAX), "form")) == FIELDS_MAX
    with pytest.raises(Problem, match="more than"):
        parse_fields(b"&".join([b"a=b"] * (FIELDS_MAX + 1)), "form")
