from __future__ import annotations

import io

import pytest

from dkg.client.progress import Progress, duration, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_printed_where_nobody_watches() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("loading", "quads", stream=stream, clock=clock) as bar:
        clock.now = 60.0
        bar.add(1_000_000)
    assert stream.getvalue() == ""


def test_lines_are_printed_to_a_file_if_asked_for() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("loading", "quads", 4000, lines=True, stream=stream, clock=clock) as bar:
        bar.add(100)
        clock.now = 10.0
        bar.add(900)
    assert stream.getvalue() == "loading [######..................]  25% 1,000 quads, 100/s, 30.0 s left\n"


def test_a_terminal_shows_a_bar_and_loses_it_at_the_end() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("loading", "quads", stream=stream, clock=clock) as bar:
        clock.now = 1.0
        bar.at(500)
        clock.now = 1.01
        bar.at(600)  # too soon after the last to be shown
        clock.now = 2.0
        bar.at(1000, 2000)
    clear = "\r\x1b[K"
    assert stream.getvalue() == (
        f"{clear}loading 500 quads, 500/s"
        f"{clear}loading [############............]  50% 1,000 quads, 500/s, 2.0 s left"
        f"{clear}"
    )


def test_more_than_was_announced_stays_at_the_end_of_the_bar() -> None:
    bar = Progress("loading", "quads", 10, stream=io.StringIO())
    bar.at(20)
    assert bar.line(1.0) == "loading [########################] 100% 20 quads, 20/s"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (7412, "7.4 kB"), (26_000_000, "26.0 MB"), (3_210_000_000, "3.21 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00032, "0.32 ms"), (0.5, "500.0 ms"), (4.13, "4.1 s"), (65, "1:05"), (3600, "60:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
