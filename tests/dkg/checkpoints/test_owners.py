"""Whose keys are, and their places in the other indexes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dkg.checkpoints.owners import has_shape, is_short, owner_of, owner_of_graph, permute, prefix_of
from dkg.checkpoints.shown import Kind, classify
from dkg.errors import InputError
from dkg.limits import KEY_MAX
from dkg.page import ORDERS, Leaf
from dkg.terms import key_of, keys_are_quads, quad_of
from tests.dkg.chain.events import address
from tests.dkg.checkpoints.worlds import DOMAIN, PUBLISHERS, key
from tests.dkg.term_strategies import keys

PARTS = st.binary(max_size=20).map(lambda part: part.replace(b"\0", b"\x01"))
KEYS = st.lists(PARTS, max_size=5).map(lambda parts: b"".join(part + b"\0" for part in parts)) | st.binary(max_size=30)


@given(KEYS)
def test_a_key_with_the_shape_of_a_quad_has_a_place_in_every_index(one: bytes) -> None:
    if not has_shape(one):
        with pytest.raises(InputError, match="four components"):
            permute(one, "spog", "posg")
        return
    for order in ORDERS:
        moved = permute(one, "spog", order)
        assert has_shape(moved)
        assert len(moved) == len(one)
        assert permute(moved, order, "spog") == one
        assert classify(Leaf([moved]).encode()).kind is Kind.WELL_FORMED


@given(keys("spog"))
def test_keys_of_quads_have_the_shape_and_move_as_quads_do(one: bytes) -> None:
    assume(keys_are_quads([one], "spog"))
    assert has_shape(one)
    assert [permute(one, "spog", order) for order in ORDERS] == [
        key_of(quad_of(one, "spog"), order) for order in ORDERS
    ]


@given(PARTS.filter(bool).map(b"<".__add__), st.sampled_from(PUBLISHERS), st.binary(max_size=5))
def test_a_key_is_of_the_one_publisher_whose_prefix_its_graph_has(part: bytes, publisher: bytes, tail: bytes) -> None:
    tail = tail.replace(b"\0", b"x")
    one = b"%b\0%b\0%b\0%b\0" % (part, part, part, prefix_of(DOMAIN, publisher) + tail)
    assert owner_of(one, DOMAIN) == publisher
    others = [address(number) for number in range(20)]
    graph = one.split(b"\0")[3]
    assert [other for other in others if graph.startswith(prefix_of(DOMAIN, other))] == [publisher]


def test_the_longest_short_key_has_an_owner_and_the_next_has_none() -> None:
    room = KEY_MAX - len(key(PUBLISHERS[0], 1))
    assert is_short(key(PUBLISHERS[0], 1, "x" * room))
    assert owner_of(key(PUBLISHERS[0], 1, "x" * room), DOMAIN) == PUBLISHERS[0]
    assert not is_short(key(PUBLISHERS[0], 1, "x" * (room + 1)))
    assert owner_of(key(PUBLISHERS[0], 1, "x" * (room + 1)), DOMAIN) is None


def test_a_graph_that_is_nearly_a_publishers_is_nobodys() -> None:
    publisher = b"%040x" % 0xABCDEF
    owner = bytes.fromhex(publisher.decode())
    registry = prefix_of(DOMAIN, owner).removesuffix(b"0x" + publisher + b"/")
    assert registry.endswith(b"/")
    assert owner_of_graph(registry + b"0x" + publisher + b"/x>", DOMAIN) == owner
    for graph in (
        registry[:-1] + b".0x" + publisher + b"/x>",
        registry + b"0x" + publisher.upper() + b"/x>",
        registry + b"0X" + publisher + b"/x>",
        registry + b"0x" + publisher[:-1] + b"/x>",
        registry + b"0x" + publisher + b"0/x>",
        registry + b"0x" + publisher,
    ):
        assert owner_of_graph(graph, DOMAIN) is None, graph


def test_what_follows_the_four_components_is_no_part_of_a_quad() -> None:
    one = key(PUBLISHERS[0], 1)
    assert has_shape(one)
    for other in (one + b"x", one + b"x\0", one[:-1], b"\0" + one):
        assert not has_shape(other)
        assert owner_of(other, DOMAIN) is None
