"""Merkle-Patricia proofs: what another implementation's tries prove, and nothing else (the catalogue of C1, C2)."""

from __future__ import annotations

import pytest
import rlp  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from dkg.chain.rlp import Item, encode
from dkg.chain.secp import keccak256
from dkg.chain.trie import (
    EMPTY_CODE,
    EMPTY_ROOT,
    Account,
    TrieError,
    verify_account,
    verify_proof,
    verify_storage,
)
from dkg.errors import ProofError

SHORT_KEYS = st.binary(min_size=1, max_size=3)
HASHED_KEYS = st.integers(0, 5000).map(lambda number: keccak256(number.to_bytes(4)))
VALUES = st.binary(min_size=1, max_size=4) | st.binary(min_size=30, max_size=60)
"""Short values make nodes that are embedded."""

TRIES = st.one_of(
    st.dictionaries(SHORT_KEYS, VALUES, min_size=1, max_size=40),  # keys that begin others: values in branches
    st.dictionaries(HASHED_KEYS, VALUES, min_size=1, max_size=40),
)


def trie_of(entries: dict[bytes, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for key, value in entries.items():
        trie[key] = value
    return trie


def proof_of(trie: HexaryTrie, key: bytes) -> list[bytes]:
    """The nodes as eth_getProof gives them: what is embedded stands in its parent."""
    nodes = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
    return [node for at, node in enumerate(nodes) if at == 0 or len(node) >= 32]


@given(TRIES, st.lists(SHORT_KEYS | HASHED_KEYS, max_size=10))
def test_what_is_there_and_what_is_not_is_proved(entries: dict[bytes, bytes], others: list[bytes]) -> None:
    trie = trie_of(entries)
    for key in [*entries, *others]:
        assert verify_proof(trie.root_hash, key, proof_of(trie, key)) == entries.get(key)


@given(TRIES, SHORT_KEYS | HASHED_KEYS, st.data())
@settings(max_examples=settings().max_examples * 2)
def test_every_node_dropped_altered_repeated_or_swapped_is_refused(
    entries: dict[bytes, bytes], other: bytes, data: st.DataObject
) -> None:
    trie = trie_of(entries)
    key = data.draw(st.sampled_from([*entries, other]))
    nodes = proof_of(trie, key)
    for at, node in enumerate(nodes):
        bit = data.draw(st.integers(0, 8 * len(node) - 1))
        altered = (int.from_bytes(node) ^ 1 << bit).to_bytes(len(node))
        forgeries = [
            [*nodes[:at], *nodes[at + 1 :]],
            [*nodes[:at], altered, *nodes[at + 1 :]],
            [*nodes[:at], node, *nodes[at:]],
            [*nodes[:at], node + b"\0", *nodes[at + 1 :]],
            [*nodes, node],
            nodes[:at],
        ]
        if at:
            forgeries.append([*nodes[: at - 1], node, nodes[at - 1], *nodes[at + 1 :]])
        for forged in forgeries:
            with pytest.raises(ProofError):
                verify_proof(trie.root_hash, key, forged)


@given(TRIES, TRIES, st.data())
def test_nodes_of_another_trie_prove_nothing_else(
    entries: dict[bytes, bytes], others: dict[bytes, bytes], data: st.DataObject
) -> None:
    trie, foreign = trie_of(entries), trie_of(others)
    key, nodes = (
        data.draw(st.sampled_from([*entries, *others])),
        proof_of(trie, data.draw(st.sampled_from(list(entries)))),
    )
    foreign_nodes = proof_of(foreign, key)
    for root, given_nodes in ((trie.root_hash, foreign_nodes), (foreign.root_hash, nodes), (trie.root_hash, nodes)):
        truth = entries if root == trie.root_hash else others
        try:
            found = verify_proof(root, key, given_nodes)
        except ProofError:
            continue
        assert found == truth.get(key)


@given(st.binary(min_size=32, max_size=32), SHORT_KEYS, st.lists(st.binary(max_size=120), max_size=4))
def test_arbitrary_bytes_prove_nothing(root: bytes, key: bytes, nodes: list[bytes]) -> None:
    with pytest.raises(ProofError):
        verify_proof(root, key, nodes)


ITEMS: st.SearchStrategy[Item] = st.recursive(
    st.binary(max_size=34), lambda inner: st.lists(inner, max_size=3) | st.lists(inner, min_size=17, max_size=17)
)


@given(st.lists(ITEMS, min_size=1, max_size=2), SHORT_KEYS)
@settings(max_examples=settings().max_examples // 2)
def test_a_root_over_arbitrary_nodes_is_read_or_refused(items: list[Item], key: bytes) -> None:
    nodes = [encode(item) for item in items]
    try:
        found = verify_proof(keccak256(nodes[0]), key, nodes)
    except ProofError:
        return
    assert found is None or isinstance(found, bytes)


# --- the shapes of nodes -------------------------------------------------------------------------------------------

KEY = b"\x12\x34"
LONG = b"v" * 40


def leaf(path: str, value: Item) -> Item:
    """A node with the rest of a path, in hex-prefix encoding, and a value."""
    return [bytes.fromhex(f"3{path}" if len(path) % 2 else f"20{path}"), value]


def extension(path: str, child: Item) -> Item:
    return [bytes.fromhex(f"1{path}" if len(path) % 2 else f"00{path}"), child]


def branch(children: dict[int, Item], value: Item = b"") -> Item:
    return [*(children.get(nibble, b"") for nibble in range(16)), value]


def checked(*items: Item, key: bytes = KEY) -> bytes | None:
    """What these nodes prove, the first being the root; each names the next by its hash already."""
    nodes = [encode(item) for item in items]
    return verify_proof(keccak256(nodes[0]), key, nodes)


def named(item: Item) -> bytes:
    return keccak256(encode(item))


def test_nodes_of_every_shape_are_followed() -> None:
    last = leaf("4", LONG)
    assert checked(leaf("1234", b"v")) == b"v"
    assert checked(leaf("1235", b"v")) is None
    assert checked(leaf("12", b"v")) is None  # of a shorter key
    assert checked(leaf("123456", b"v")) is None  # of a longer one
    fork = branch({4: named(leaf("", LONG))})
    assert checked(extension("123", named(fork)), fork, leaf("", LONG)) == LONG
    assert checked(extension("13", named(last))) is None
    assert checked(branch({1: named(leaf("234", LONG))}), leaf("234", LONG)) == LONG
    assert checked(branch({2: named(leaf("234", LONG))})) is None
    assert checked(branch({}, b"v"), key=b"") == b"v"
    assert checked(branch({1: named(leaf("234", LONG))}), key=b"") is None  # a branch without a value
    assert checked(branch({1: leaf("234", b"v")})) == b"v"  # embedded
    assert checked(branch({1: leaf("235", b"v")})) is None
    assert checked(extension("123", branch({4: leaf("", b"v")}))) == b"v"


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([branch({1: leaf("234", LONG)})], "embedded that should be named"),
        ([branch({1: named(leaf("234", b"v"))}), leaf("234", b"v")], "should be embedded"),
        ([branch({1: b"\1" * 31})], "31 bytes instead of a hash"),
        ([branch({1: b"\1" * 33})], "33 bytes instead of a hash"),
        ([branch({1: named(leaf("234", LONG))})], "a node is missing"),
        ([extension("123", b"")], "leads nowhere"),
        ([extension("", named(leaf("1234", LONG))), leaf("1234", LONG)], "an extension of the trie has no path"),
        ([[b"\x40\x12\x34", b"v"]], "not hex-prefix encoded"),
        ([[b"\x21\x12\x34", b"v"]], "not hex-prefix encoded"),
        ([[b"\x0f\x12\x34", b"v"]], "not hex-prefix encoded"),
        ([[b"", b"v"]], "not bytes"),
        ([[[], b"v"]], "not bytes"),
        ([leaf("1234", [])], "a value of the trie is a list"),
        ([[b"v"]], "neither 2 nor 17"),
        ([[b""] * 16], "neither 2 nor 17"),
        ([[b""] * 18], "neither 2 nor 17"),
        ([b"v"], "neither 2 nor 17"),
        ([leaf("1234", b"v"), leaf("1234", LONG)], "1 nodes of the proof are not on the way"),
        ([branch({2: named(leaf("234", LONG))}), leaf("234", LONG)], "1 nodes of the proof are not on the way"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nodes_that_no_trie_has_are_refused(items: list[Item], reason: str) -> None:
    with pytest.raises(TrieError, match=reason):
        checked(*items)


def test_the_value_of_a_leaf_is_no_node() -> None:
    # A publisher chooses values. One that looks like a node must not be followed.
    inner = encode(leaf("4", b"forged"))
    node = leaf("123", inner)
    assert checked(node) is None
    with pytest.raises(TrieError):
        checked(extension("123", inner))


def test_a_list_as_the_value_of_a_branch_is_refused() -> None:
    with pytest.raises(TrieError, match="value of the trie is a list"):
        checked(branch({}, [b"v"]), key=b"")


# --- the empty trie ------------------------------------------------------------------------------------------------


def test_the_empty_trie_proves_that_nothing_is_there() -> None:
    assert HexaryTrie({}).root_hash == EMPTY_ROOT
    assert verify_proof(EMPTY_ROOT, KEY, []) is None
    assert verify_proof(EMPTY_ROOT, KEY, [b"\x80"]) is None  # as some clients give it


@pytest.mark.parametrize("nodes", [[b""], [b"\x80", b"\x80"], [encode(leaf("1234", b"v"))], [b"\xc0"]])
def test_nodes_of_the_empty_trie_are_refused(nodes: list[bytes]) -> None:
    with pytest.raises(TrieError, match="the trie is empty"):
        verify_proof(EMPTY_ROOT, KEY, nodes)


def test_no_nodes_prove_nothing_of_a_trie_that_is_not_empty() -> None:
    with pytest.raises(TrieError, match="missing"):
        verify_proof(named(leaf("1234", b"v")), KEY, [])


# --- accounts and slots --------------------------------------------------------------------------------------------

ADDRESS, SLOT = b"\xaa" * 20, b"\0" * 32


def account_trie(fields: Item) -> HexaryTrie:
    return trie_of({keccak256(ADDRESS): encode(fields), keccak256(b"other"): LONG})


def test_an_account_is_read() -> None:
    trie = account_trie([b"\x05", b"\x07", EMPTY_ROOT, EMPTY_CODE])
    assert verify_account(trie.root_hash, ADDRESS, proof_of(trie, keccak256(ADDRESS))) == Account(
        5, 7, EMPTY_ROOT, EMPTY_CODE
    )
    assert verify_account(trie.root_hash, b"\xab" * 20, proof_of(trie, keccak256(b"\xab" * 20))) is None


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        [],
        [b"\x05", b"\x07", EMPTY_ROOT],
        [b"\x05", b"\x07", EMPTY_ROOT, EMPTY_CODE, b""],
        [b"\x00", b"\x07", EMPTY_ROOT, EMPTY_CODE],
        [b"\x05", [], EMPTY_ROOT, EMPTY_CODE],
        [b"\x05", b"\x07", EMPTY_ROOT[:31], EMPTY_CODE],
        [b"\x05", b"\x07", EMPTY_ROOT, EMPTY_CODE + b"\0"],
        [b"\x05", b"\x07", [], EMPTY_CODE],
    ],
    ids=range(9),
)
def test_what_is_no_account_is_refused(fields: Item) -> None:
    trie = account_trie(fields)
    with pytest.raises(ProofError):
        verify_account(trie.root_hash, ADDRESS, proof_of(trie, keccak256(ADDRESS)))


@pytest.mark.parametrize("value", [1, 127, 128, 2**160, 2**256 - 1])
def test_a_slot_is_read(value: int) -> None:
    trie = trie_of({keccak256(SLOT): encode(value.to_bytes(32).lstrip(b"\0"))})
    assert verify_storage(trie.root_hash, SLOT, proof_of(trie, keccak256(SLOT))) == value
    other = b"\1" * 32
    assert verify_storage(trie.root_hash, other, proof_of(trie, keccak256(other))) == 0


@pytest.mark.parametrize(
    "value", [encode(b""), encode(b"\0\1"), encode(b"\1" + bytes(32)), encode([]), b"\1\1"], ids=range(5)
)
def test_what_no_slot_holds_is_refused(value: bytes) -> None:
    trie = trie_of({keccak256(SLOT): value})
    with pytest.raises(ProofError):
        verify_storage(trie.root_hash, SLOT, proof_of(trie, keccak256(SLOT)))
