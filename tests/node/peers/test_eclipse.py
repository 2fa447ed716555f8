"""Row G2: an attacker with many keys, few or many networks, and all the time it wants, is never everybody.

The limits hold for connections that are made to a node, for those that it makes, and for what it remembers; and pinned
peers get in whatever else is there.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.errors import StoreError
from node.peers.addresses import PeerAddress
from node.peers.book import ADDRESSES_MAX, FAILURES_MAX, FILE_BYTES_MAX, GROUP_MAX, Book
from node.peers.slots import DEFAULT_LIMITS, SlotLimits, Slots
from tests.node.peers.names import peer_name

if TYPE_CHECKING:
    from pathlib import Path

PINNED = frozenset({peer_name(900_001), peer_name(900_002)})


def host(network: int, number: int = 1) -> str:
    return f"{1 + network // 65536}.{network // 256 % 256}.{network % 256}.{number}"


@pytest.mark.parametrize("sybils", [10, 100, 1000])
def test_one_network_gets_few_connections_whatever_keys_it_has(sybils: int) -> None:
    slots = Slots(PINNED)
    let_in = sum(slots.come(peer_name(number), host(7, number % 250)) for number in range(sybils))
    assert let_in == min(sybils, DEFAULT_LIMITS.group_max)
    assert slots.come(peer_name(5000), host(8))


@pytest.mark.parametrize("sybils", [10, 100, 1000])
def test_many_networks_fill_the_inbound_places_and_pinned_peers_come_in_all_the_same(sybils: int) -> None:
    slots = Slots(PINNED)
    let_in = sum(slots.come(peer_name(number), host(number)) for number in range(sybils))
    assert let_in == min(sybils, DEFAULT_LIMITS.inbound_max)
    for pinned in PINNED:
        assert slots.come(pinned, host(1))
    assert slots.inbound == let_in + len(PINNED)


def test_the_places_of_connections_that_a_node_makes_are_not_taken_by_those_that_others_make() -> None:
    slots = Slots(PINNED)
    for number in range(1000):
        slots.come(peer_name(number), host(number))
    assert slots.may_dial(peer_name(5000), host(5000))


def test_a_node_connects_to_few_of_one_network_and_always_to_pinned_peers() -> None:
    slots = Slots(PINNED)
    dialled = 0
    for number in range(100):
        if slots.may_dial(peer_name(number), host(3, number)):
            slots.went(peer_name(number), host(3, number))
            dialled += 1
    assert dialled == DEFAULT_LIMITS.group_dialled_max
    for number in range(100, 300):
        if slots.may_dial(peer_name(number), host(number)):
            slots.went(peer_name(number), host(number))
    assert slots.dialled == DEFAULT_LIMITS.dialled_max
    assert all(slots.may_dial(pinned, host(3)) for pinned in PINNED)


def test_places_are_free_again_when_peers_go() -> None:
    slots = Slots(PINNED)
    for number in range(100):
        slots.come(peer_name(number), host(7, number))
    assert not slots.come(peer_name(200), host(7))
    slots.gone(peer_name(0))
    assert slots.come(peer_name(200), host(7))
    slots.gone("nobody")


def test_this_machine_itself_is_no_network_but_has_limits_in_all() -> None:
    slots = Slots(PINNED)
    assert sum(slots.come(peer_name(number), "127.0.0.1") for number in range(1000)) == DEFAULT_LIMITS.inbound_max


def test_a_peer_that_connects_again_takes_no_second_place() -> None:
    slots = Slots(PINNED, SlotLimits(inbound_max=1))
    assert slots.come(peer_name(1), host(1))
    assert slots.come(peer_name(1), host(1))
    assert not slots.come(peer_name(2), host(2))


def test_a_flood_of_connections_is_cut_off_before_any_handshake() -> None:
    slots = Slots(PINNED, SlotLimits(shaking_hands_max=4, group_max=100))
    accepted = [number for number in range(100) if slots.accept((host(number), 1), 0.0)]
    assert accepted == [0, 1, 2, 3]
    slots.secured((host(0), 1))
    assert slots.accept((host(200), 1), 0.0)
    slots.closed((host(1), 1))
    assert slots.accept((host(201), 1), 0.0)
    slots.closed(("203.0.113.1", 1))  # never accepted


def test_a_flood_of_connections_from_one_network_leaves_room_for_others() -> None:
    slots = Slots(frozenset(), SlotLimits(shaking_hands_max=50, group_max=5))
    assert sum(slots.accept((host(3, number), number), 0.0) for number in range(40)) == 5
    assert slots.accept((host(4), 1), 0.0)


# --- the book ----------------------------------------------------------------------------------------------------


def at(number: int, network: int | None = None) -> PeerAddress:
    return PeerAddress(peer_name(number), f"/ip4/{host(number if network is None else network)}/tcp/4001")


def test_one_network_gets_few_places_in_the_book_and_pushes_out_its_own() -> None:
    book = Book(None)
    for number in range(20):
        book.heard(at(number))
    for number in range(1000, 2000):
        book.heard(at(number, 77))
    assert len(book) == 20 + GROUP_MAX
    drawn = book.some(random.Random(1), 100, [])
    assert {found.peer for found in drawn} >= {peer_name(number) for number in range(20)}


def test_a_crowded_network_is_drawn_no_oftener_than_another() -> None:
    book = Book(None)
    book.heard(at(1))
    for number in range(1000, 1000 + GROUP_MAX):
        book.heard(at(number, 77))
    rng = random.Random(1)
    drawn = [book.some(rng, 1, [])[0].peer for _ in range(1000)]
    assert 400 < drawn.count(peer_name(1)) < 600


def test_the_book_is_bounded_and_those_who_answered_lately_stay() -> None:
    book = Book(None)
    book.heard(at(0))
    for number in range(1, 3 * ADDRESSES_MAX):
        book.heard(at(number))
        book.reached(peer_name(0))
    assert len(book) == ADDRESSES_MAX
    assert book.some(random.Random(1), ADDRESSES_MAX, (peer_name(n) for n in range(1, 3 * ADDRESSES_MAX))) == [at(0)]


def test_one_that_cannot_be_reached_is_crossed_out_after_some_tries() -> None:
    book = Book(None)
    book.heard(at(0))
    for _ in range(FAILURES_MAX - 1):
        book.missed(peer_name(0))
    book.reached(peer_name(0))
    for _ in range(FAILURES_MAX - 1):
        book.missed(peer_name(0))
    assert len(book) == 1
    book.missed(peer_name(0))
    assert len(book) == 0


def test_the_book_is_there_again_after_a_restart_and_a_poisoned_one_changes_nothing_about_pinned_peers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deep" / "peers.json"
    book = Book(path)
    for number in range(1000):
        book.heard(at(number, 5 * number))
    book.save()
    assert len(Book(path)) == len(book) == ADDRESSES_MAX
    slots = Slots(PINNED)
    for found in Book(path).some(random.Random(1), 1000, []):
        if slots.may_dial(found.peer, "203.0.113.9"):
            slots.went(found.peer, "203.0.113.9")
    assert all(slots.may_dial(pinned, "203.0.113.9") for pinned in PINNED)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"peers": 3}', '{"peers": [3, "junk", null]}', '{"v": 1}', "\0" * (FILE_BYTES_MAX + 1)]
)
def test_a_damaged_book_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "peers.json"
    path.write_text(text)
    book = Book(path)
    assert len(book) == 0
    book.heard(at(1))
    book.save()
    assert len(Book(path)) == 1


def test_a_book_that_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be read"):
        Book(tmp_path / "file" / "peers.json")
    book = Book(tmp_path / "peers.json")
    (tmp_path / "peers.json").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        book.save()
    assert [path.name for path in tmp_path.iterdir() if ".new" in path.name] == []


def test_one_network_that_connects_again_and_again_is_slowed_down_and_others_are_not() -> None:
    slots = Slots(frozenset())
    accepted = 0
    for number in range(1000):
        if slots.accept((host(3), number), now=number * 0.01):
            accepted += 1
            slots.closed((host(3), number))
    assert accepted <= DEFAULT_LIMITS.group_burst + 10 * DEFAULT_LIMITS.group_per_s + 1
    assert slots.accept((host(4), 1), now=10.0)
    assert slots.accept((host(3), 1), now=1000.0)
