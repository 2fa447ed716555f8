"""Frames, and links over them, on streams in memory: cut anywhere, bent, endless, silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from node.peers import link as link_module
from node.peers.frames import HEADER, NUMBER_MAX, FrameReader, header
from node.peers.link import GIVEN_UP_MAX, UNANSWERED_MAX, UNSENT_BYTES_MAX, Answering, Backlog, Link
from node.peers.wire import Wire
from node.replication.errors import PeerError, UnreachableError
from node.replication.limits import REQUEST_BYTES_MAX, REQUESTS_AT_ONCE_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from libp2p.abc import INetStream


class Pipe:
    """One end of a stream in memory that behaves as a stream of libp2p does."""

    def __init__(self, ours: trio.abc.Stream, peer: str) -> None:
        self._ours = ours
        self.muxed_conn = type("Connection", (), {"peer_id": peer})()
        self.was_reset = False

    async def read(self, n: int | None = None) -> bytes:
        data = await self._ours.receive_some(n)
        if not data:
            raise EOFError
        return bytes(data)

    async def write(self, data: bytes) -> None:
        await self._ours.send_all(data)

    async def reset(self) -> None:
        self.was_reset = True
        await self._ours.aclose()


def wires() -> tuple[Wire, Wire, Pipe, Pipe]:
    left, right = trio.testing.memory_stream_pair()
    a, b = Pipe(left, "right"), Pipe(right, "left")
    return Wire(cast("INetStream", a)), Wire(cast("INetStream", b)), a, b


class Parts:
    """A stream that comes in given parts."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    async def read(self, n: int | None = None) -> bytes:
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        assert n is not None
        if len(part) > n:
            self.parts.insert(0, part[n:])
        return part[:n]

    async def write(self, data: bytes) -> None:
        raise AssertionError(data)


@given(st.lists(st.tuples(st.integers(0, NUMBER_MAX), st.binary(max_size=50)), max_size=5), st.integers(1, 20))
def test_frames_come_back_however_the_stream_is_cut(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(header(number, len(body)) + body for number, body in frames)
    reader = FrameReader(Parts([data[at : at + size] for at in range(0, len(data), size)]))

    async def main() -> list[tuple[int, bytes]]:
        found = []
        while (frame := await reader.next(lambda _: 50)) is not None:
            found.append(frame)
        return found

    assert trio.run(main) == frames


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_a_stream_that_ends_in_a_frame_is_the_peer_s_fault(cut: int) -> None:
    data = (header(1, 5) + b"hello")[:cut]
    with pytest.raises(PeerError, match="ends in a frame"):
        trio.run(FrameReader(Parts([data])).next, lambda _: 5)


def test_a_lying_length_is_refused_before_a_byte_of_it_is_read() -> None:
    parts = Parts([header(1, NUMBER_MAX), b"x" * 100])
    with pytest.raises(PeerError, match="5 bytes are the most"):
        trio.run(FrameReader(parts).next, lambda _: 5)
    assert parts.parts == [b"x" * 100]


def test_a_frame_at_the_limit_passes() -> None:
    assert trio.run(FrameReader(Parts([header(7, 5) + b"hello"])).next, lambda _: 5) == (7, b"hello")
    assert HEADER.size == 8


# --- links ----------------------------------------------------------------------------------------------------


def linked(handler: Callable[[str, bytes], Awaitable[bytes]], ask: Callable[[Link], Awaitable[None]]) -> None:
    """Run an asking and an answering end until the asking one is done."""

    async def main() -> None:
        ours, theirs, *_ = wires()
        link = Link(ours)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            nursery.start_soon(Answering(theirs, handler, Backlog()).run)
            await ask(link)
            nursery.cancel_scope.cancel()

    trio.run(main)


async def echo(_peer: str, message: bytes) -> bytes:
    return message[::-1]


def test_many_requests_go_over_one_stream_and_answers_come_in_any_order() -> None:
    async def slow_first(peer: str, message: bytes) -> bytes:
        assert peer == "left"
        await trio.sleep(0.05 if message == b"0" else 0)
        return b"to " + message

    async def ask(link: Link) -> None:
        answers: list[bytes] = []

        async def one(number: int) -> None:
            answers.append(await link.ask(b"%d" % number, timeout_s=5, bytes_max=100))

        async with trio.open_nursery() as nursery:
            for number in range(3 * REQUESTS_AT_ONCE_MAX):
                nursery.start_soon(one, number)
        assert sorted(answers) == sorted(b"to %d" % number for number in range(3 * REQUESTS_AT_ONCE_MAX))
        assert answers[0] != b"to 0"

    linked(slow_first, ask)


def test_an_answer_over_the_limit_is_the_peer_s_fault_and_ends_the_link() -> None:
    async def ask(link: Link) -> None:
        assert await link.ask(b"abc", timeout_s=5, bytes_max=3) == b"cba"
        with pytest.raises(PeerError, match="2 bytes are the most"):
            await link.ask(b"abc", timeout_s=5, bytes_max=2)
        assert link.broken
        with pytest.raises(UnreachableError):
            await link.ask(b"abc", timeout_s=5, bytes_max=3)

    linked(echo, ask)


def test_an_answer_that_comes_too_late_is_thrown_away_and_the_link_goes_on() -> None:
    async def slow(_peer: str, message: bytes) -> bytes:
        await trio.sleep(0.1 if message == b"slow" else 0)
        return message

    async def ask(link: Link) -> None:
        with pytest.raises(UnreachableError, match="did not answer within"):
            await link.ask(b"slow", timeout_s=0.02, bytes_max=10)
        assert await link.ask(b"fast", timeout_s=5, bytes_max=10) == b"fast"
        await trio.sleep(0.2)
        assert await link.ask(b"fast", timeout_s=5, bytes_max=10) == b"fast"

    linked(slow, ask)


def test_requests_that_were_given_up_are_remembered_up_to_a_limit() -> None:
    async def never(_peer: str, _message: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        ours, _theirs, *_ = wires()
        link = Link(ours)
        for _ in range(GIVEN_UP_MAX + 20):
            with pytest.raises(UnreachableError):
                await link.ask(b"x", timeout_s=0, bytes_max=10)
        for _ in range(GIVEN_UP_MAX + 20):
            with trio.move_on_after(0.0001):
                await link._asked(b"x", 10)
        assert len(link._given_up) <= GIVEN_UP_MAX

    trio.run(main)
    assert never is not None


def test_an_answer_to_no_request_is_the_peer_s_fault() -> None:
    async def main() -> None:
        ours, theirs, pipe, _ = wires()
        link = Link(ours)
        await theirs.write(header(99, 1) + b"x")
        await link.run()
        assert link.broken
        assert pipe.was_reset

    trio.run(main)


def test_all_who_wait_are_told_when_the_stream_ends() -> None:
    async def main() -> None:
        ours, _theirs, _, far = wires()
        link = Link(ours)
        failed = 0

        async def one() -> None:
            nonlocal failed
            with pytest.raises(UnreachableError, match="closed its stream"):
                await link.ask(b"x", timeout_s=60, bytes_max=10)
            failed += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            for _ in range(5):
                nursery.start_soon(one)
            await trio.sleep(0.01)
            await far._ours.aclose()
        assert failed == 5

    trio.run(main)


def test_a_request_over_the_limit_is_refused_before_it_is_read() -> None:
    async def main() -> None:
        ours, theirs, *_ = wires()
        await ours.write(header(1, REQUEST_BYTES_MAX + 1))
        with pytest.raises(PeerError, match=f"{REQUEST_BYTES_MAX} bytes are the most"):
            await Answering(theirs, echo, Backlog()).run()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)
    assert caught.group_contains(PeerError)


def test_one_who_asks_more_than_may_wait_breaks_the_protocol() -> None:
    async def never(_peer: str, _message: bytes) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def main(count: int) -> None:
        ours, theirs, *_ = wires()
        for number in range(count):
            await ours.write(header(number, 1) + b"x")
        with trio.move_on_after(0.1):
            await Answering(theirs, never, Backlog()).run()

    trio.run(main, UNANSWERED_MAX)
    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main, UNANSWERED_MAX + 1)
    assert caught.group_contains(PeerError, match="things at once")


def test_a_peer_that_never_reads_its_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.peers.wire.WRITE_S", 0.05)
    monkeypatch.setattr("node.peers.wire.BYTES_PER_S_MIN", 1e9)

    async def main() -> None:
        ours, theirs, *_ = wires()

        async def stuck(data: bytes) -> None:
            del data
            await trio.sleep_forever()

        theirs._stream.write = stuck  # type: ignore[method-assign]
        await ours.write(header(1, 1) + b"x")
        with trio.fail_after(5):
            await Answering(theirs, echo, Backlog()).run()

    trio.run(main)
    assert link_module.UNANSWERED_MAX == 2 * REQUESTS_AT_ONCE_MAX


def test_answers_that_nobody_reads_are_bounded_over_all_links_and_the_greedy_go_first() -> None:
    backlog = Backlog()
    backlog.opened(4)
    share = UNSENT_BYTES_MAX // 4
    assert backlog.add(UNSENT_BYTES_MAX - share, 0)  # one large answer may take more than its share
    assert backlog.add(share, 0)
    assert not backlog.add(1, UNSENT_BYTES_MAX - share)  # the greedy one gets no more
    assert backlog.add(share, 0)  # another may still send what is its share
    assert not backlog.add(1, share)
    backlog.sent(UNSENT_BYTES_MAX - share)
    assert backlog.add(1, UNSENT_BYTES_MAX - share)
    backlog.opened(-4)
    assert backlog.add(1, 0)
