"""Room for bytes: in all, and for each client half of it."""

from __future__ import annotations

import pytest

from node.http import Problem
from node.http.room import Room


def test_one_client_has_half_at_most() -> None:
    room = Room(100)
    with room.share("a") as share:
        share.take(30)
        share.take(20)
        with pytest.raises(Problem) as caught:
            share.take(1)
        assert (caught.value.code.text, caught.value.retry_after_s) == ("overloaded", 5)
        with room.share("a") as other, pytest.raises(Problem):
            other.take(1)
        assert room.held == 50
    assert (room.held, room._of) == (0, {})


def test_all_clients_together() -> None:
    room = Room(100)
    with room.share("a") as one, room.share("b") as two, room.share("c") as three:
        one.take(50)
        two.take(49)
        with pytest.raises(Problem):
            three.take(2)
        three.take(1)
        one.release()
        three.take(49)
    assert room.held == 0


def test_what_is_held_is_given_back_whatever_happens() -> None:
    room = Room(100)

    def fail() -> None:
        with room.share("a") as share:
            share.take(50)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert room.held == 0
