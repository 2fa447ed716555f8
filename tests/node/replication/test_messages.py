"""Messages have one encoding, and whatever else comes is refused before it costs anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.replication import limits
from node.replication.errors import PeerError
from node.replication.messages import (
    Anchored,
    Announcement,
    Change,
    Code,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    PageAnswer,
    Refusal,
    UnknownVersionError,
    decode,
)
from tests.node.replication.examples import EXAMPLES, REGISTRY, cid, head

if TYPE_CHECKING:
    from node.replication.messages import Message

KINDS = [type(example) for example in EXAMPLES]
NAMES = [kind.TYPE for kind in KINDS]


def fields_of(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = libipld.decode_dag_cbor(message.encode())
    return found


def packed(fields: dict[str, Any]) -> bytes:
    made: bytes = libipld.encode_dag_cbor(fields)
    return made


@pytest.mark.parametrize("message", EXAMPLES, ids=NAMES)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    assert decode(message.encode(), *KINDS) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=NAMES)
def test_a_message_is_taken_only_where_its_type_is_expected(message: Message) -> None:
    with pytest.raises(PeerError, match="was expected"):
        decode(message.encode(), *(kind for kind in KINDS if kind is not type(message)))


@pytest.mark.parametrize("message", EXAMPLES, ids=NAMES)
def test_unknown_version_is_refused_as_such(message: Message) -> None:
    with pytest.raises(UnknownVersionError, match="version 2"):
        decode(packed(fields_of(message) | {"v": 2}), *KINDS)
    with pytest.raises(PeerError, match="no version"):
        decode(packed(fields_of(message) | {"v": "1"}), *KINDS)


@pytest.mark.parametrize("message", EXAMPLES, ids=NAMES)
def test_extra_missing_and_mistyped_fields_are_refused(message: Message) -> None:
    fields = fields_of(message)
    with pytest.raises(PeerError, match="has the fields"):
        decode(packed(fields | {"x": 1}), *KINDS)
    for name in fields.keys() - {"v", "t"}:
        with pytest.raises(PeerError, match="has the fields"):
            decode(packed({key: value for key, value in fields.items() if key != name}), *KINDS)
        with pytest.raises(PeerError, match=f"^{name} of a message"):
            decode(packed(fields | {name: {"a": 1}}), *KINDS)


@pytest.mark.parametrize("message", EXAMPLES, ids=NAMES)
def test_every_single_changed_byte_gives_another_message_or_is_refused(message: Message) -> None:
    raw = message.encode()
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 0x15]) + raw[at + 1 :]
        try:
            found = decode(changed, *KINDS)
        except PeerError:
            continue
        assert found != message
        assert found.encode() == changed


def test_trailing_bytes_and_other_encodings_are_refused() -> None:
    raw = GetHeads(b"").encode()
    assert decode(raw, GetHeads) == GetHeads(b"")
    with pytest.raises(PeerError, match="bytes follow"):
        decode(raw + b"\0", GetHeads)
    with pytest.raises(PeerError, match="ends in the middle"):
        decode(raw[:-1], GetHeads)
    longer = raw.replace(b"\x01", b"\x18\x01")  # the version 1 in two bytes
    with pytest.raises(PeerError, match=r"canonical|not DAG-CBOR"):
        decode(longer, GetHeads)
    with pytest.raises(PeerError, match="unknown length"):
        decode(b"\xbf\xff", GetHeads)


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x61a", b"\xd8\x2a", b"\x82\x00"])
def test_a_message_nested_sixty_thousand_levels_deep_is_refused_and_not_decoded(opening: bytes) -> None:
    raw = (opening * (limits.REQUEST_BYTES_MAX // len(opening)))[: limits.REQUEST_BYTES_MAX - 1] + b"\0"
    with pytest.raises(PeerError, match=r"nested deeper|ends in the middle"):
        decode(raw, GetPages)


def test_a_message_of_too_many_items_is_refused() -> None:
    with pytest.raises(PeerError, match="more than"):
        decode(packed({"v": 1, "t": "get-heads", "after": [0] * 10_000}), GetPages)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_message_one_byte_over_its_limit_is_refused_before_it_is_parsed(kind: type[Message]) -> None:
    with pytest.raises(PeerError, match="over the limit"):
        decode(bytes(kind.BYTES_MAX + 1), kind)
    with pytest.raises(PeerError, match="not a message"):
        decode(bytes(kind.BYTES_MAX), kind)


def test_a_message_over_its_own_limit_is_refused_where_a_longer_one_was_expected_too() -> None:
    long = packed({"v": 1, "t": "hello", "chain": 1, "registry": REGISTRY, "agent": "a" * 5000, "can": []})
    with pytest.raises(PeerError, match="4096 bytes at most"):
        decode(long, Hello, GetPages)


TEXT = "x" * limits.TEXT_BYTES_MAX

# (what, message at the limit, the same one past it)
LIMITS: list[tuple[str, Message, Any]] = [
    ("pages", GetPages((cid(1),) * limits.PAGES_MAX, 1), lambda: GetPages((cid(1),) * (limits.PAGES_MAX + 1), 1)),
    ("sizes", PageAnswer((1,) * limits.PAGES_MAX, b""), lambda: PageAnswer((1,) * (limits.PAGES_MAX + 1), b"")),
    (
        "heads",
        Heads((head(1),) * limits.HEADS_MAX, more=False),
        lambda: Heads((head(1),) * (limits.HEADS_MAX + 1), more=False),
    ),
    (
        "announced",
        Announcement(1, REGISTRY, (head(1),) * limits.ANNOUNCED_MAX),
        lambda: Announcement(1, REGISTRY, (head(1),) * (limits.ANNOUNCED_MAX + 1)),
    ),
    (
        "changed",
        Change(limits.CHANGE_QUADS_MAX, 0, 0, b""),
        lambda: Change(limits.CHANGE_QUADS_MAX + 1, 0, 0, b""),
    ),
    (
        "query",
        GetProof(cid(1), "x" * limits.TEXT_BYTES_MAX),
        lambda: GetProof(cid(1), "x" * (limits.TEXT_BYTES_MAX + 1)),
    ),
    (
        "graphs",
        GetProof(cid(1), "", (b"<a>",) * limits.GRAPHS_MAX),
        lambda: GetProof(cid(1), "", (b"<a>",) * (limits.GRAPHS_MAX + 1)),
    ),
    ("address", GetHeads(bytes(20)), lambda: GetHeads(bytes(21))),
    ("wait", Refusal(Code.BUSY, "", 60_000), lambda: Refusal(Code.BUSY, "", 60_001)),
    ("reason", Refusal(Code.BUSY, "é" * 256), lambda: Refusal(Code.BUSY, "é" * 256 + "a")),
]


@pytest.mark.parametrize(("what", "good", "bad"), LIMITS, ids=[what for what, *_ in LIMITS])
def test_each_limit_holds_at_the_limit_and_one_past_it(what: str, good: Message, bad: Any) -> None:  # noqa: ANN401
    assert what
    assert decode(good.encode(), type(good)) == good
    with pytest.raises(ValueError, match=r"has|is a list|is text|is a number"):
        bad()


def test_all_heads_and_announcements_that_may_be_sent_fit_into_a_message() -> None:
    largest = Anchored(b"\xff" * 20, 2**48 - 1, cid(1), 2**48 - 1, 2**48 - 1)
    assert len(Heads((largest,) * limits.HEADS_MAX, more=True).encode()) <= limits.HEADS_BYTES_MAX
    announcement = Announcement(2**53 - 1, REGISTRY, (largest,) * limits.ANNOUNCED_MAX)
    assert len(announcement.encode()) <= limits.ANNOUNCEMENT_BYTES_MAX


def test_a_request_that_is_too_long_as_a_whole_is_not_sent() -> None:
    graph = b"<" + b"a" * 16_000 + b">"
    request = GetProof(cid(1), "", (graph,) * 20)
    with pytest.raises(ValueError, match="bytes at most"):
        request.encode()


def test_heads_of_wrong_shape_are_refused() -> None:
    fields = fields_of(Heads((head(1),), more=False))
    for bad in ([1, 2], fields["heads"][0][:4], [*fields["heads"][0], 1], "head", None):
        with pytest.raises(PeerError, match="heads of a message"):
            decode(packed(fields | {"heads": [bad]}), Heads)
    for at, value in enumerate([b"short", 0, b"no cid", -1, 2**48]):
        wrong = list(fields["heads"][0])
        wrong[at] = value
        with pytest.raises(PeerError, match="heads of a message"):
            decode(packed(fields | {"heads": [wrong]}), Heads)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_peer_errors(raw: bytes) -> None:
    with pytest.raises(PeerError):
        decode(raw, *KINDS)


@given(
    st.sampled_from(EXAMPLES),
    st.dictionaries(
        st.sampled_from(["v", "t", "chain", "cids", "heads", "body", "sizes", "root", "size", "code"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=3,
    ),
)
def test_fields_of_any_kind_raise_nothing_but_peer_errors(message: Message, changed: dict[str, Any]) -> None:
    raw = packed(fields_of(message) | changed)
    try:
        found = decode(raw, *KINDS)
    except PeerError:
        return
    assert found.encode() == raw


def test_a_message_is_a_value() -> None:
    assert replace(GetHeads(b""), after=b"a") == GetHeads(b"a")
