"""Pages: one encoding each, and everything else refused, test by test named after the attack."""

from __future__ import annotations

import subprocess
import sys

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dkg.page
from dkg.errors import PageError
from dkg.limits import CHILDREN_MAX, LEAF_KEYS_MAX
from dkg.page import (
    CID_LENGTH,
    EMPTY_LEAF,
    EMPTY_TREE,
    DatasetRoot,
    Inner,
    Leaf,
    Page,
    cid_bytes,
    cid_of,
    cid_text,
    decode,
)

LINKS = [cid_of(b"%d" % number) for number in range(4)]
KEYS = [b"<a>\0", b"<b>\0", b"<c>\0"]
INNER = {"c": LINKS[:3], "k": KEYS[:2], "n": [1, 2, 3]}
ROOT = {"n": 7, "t": LINKS, "v": 1}

COUNTS = st.integers(1, 2**40)
CIDS = st.binary(max_size=9).map(cid_of)
SORTED_KEYS = st.sets(st.binary(min_size=1, max_size=9).map(b"<".__add__), max_size=9).map(sorted)


@st.composite
def inner_pages(draw: st.DrawFn) -> Inner:
    separators = draw(SORTED_KEYS.filter(lambda keys: len(keys) < CHILDREN_MAX))
    size = len(separators) + 1
    children = draw(st.lists(CIDS, min_size=size, max_size=size))
    return Inner(children, separators, draw(st.lists(COUNTS, min_size=size, max_size=size)))


PAGES: st.SearchStrategy[Page] = (
    SORTED_KEYS.map(Leaf)
    | inner_pages()
    | st.builds(DatasetRoot, st.lists(CIDS, min_size=4, max_size=4), st.integers(0, 2**63 - 1))
)


def read(raw: bytes) -> Page:
    """Decode bytes under the CID that they have."""
    return decode(cid_of(raw), raw)


def encoded(value: object) -> bytes:
    raw: bytes = libipld.encode_dag_cbor(value)
    return raw


def refused(value: object, reason: str) -> bool:
    with pytest.raises(PageError, match=reason):
        read(encoded(value))
    return True


def fields(page: Page) -> dict[str, object]:
    return {
        name: getattr(page, name)
        for name in ("keys", "children", "separators", "counts", "trees")
        if hasattr(page, name)
    }


# --- what is a page ---------------------------------------------------------------------------------------------


@given(PAGES)
def test_a_page_survives_encoding(page: Page) -> None:
    again = read(page.encode())
    assert type(again) is type(page)
    assert again.count == page.count
    assert fields(again) == fields(page)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_page_error_or_the_one_encoding_of_a_page(raw: bytes) -> None:
    try:
        page = read(raw)
    except PageError:
        return
    assert page.encode() == raw


@given(PAGES, st.data())
def test_an_altered_byte_is_a_page_error_or_the_one_encoding_of_another_page(page: Page, data: st.DataObject) -> None:
    raw = bytearray(page.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PageError, match=r"hash to|over the limit"):
        decode(cid_of(page.encode()), bytes(raw))
    try:
        other = read(bytes(raw))  # the adversary may name it by its own hash
    except PageError:
        return
    assert other.encode() == raw


def test_the_honest_twins_of_the_pages_below() -> None:
    assert type(read(encoded({"k": KEYS}))) is Leaf
    assert read(encoded(INNER)).count == 6
    assert read(encoded(ROOT)).count == 7
    assert decode(EMPTY_TREE, EMPTY_LEAF).count == 0


# --- bytes ------------------------------------------------------------------------------------------------------


def test_bytes_of_another_page_are_refused() -> None:
    with pytest.raises(PageError, match=f"the bytes given for page {cid_text(EMPTY_TREE)} hash to"):
        decode(EMPTY_TREE, encoded(INNER))


@pytest.mark.parametrize("cid", [b"", b"\x01", EMPTY_TREE[:-1], EMPTY_TREE + b"\0", b"\x01\x55" + EMPTY_TREE[2:]])
def test_a_malformed_or_raw_codec_cid_names_no_page(cid: bytes) -> None:
    with pytest.raises(PageError, match="hash to"):
        decode(cid, EMPTY_LEAF)


def test_a_page_over_the_limit_is_refused_before_it_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = encoded({"k": KEYS})
    monkeypatch.setattr(dkg.page, "PAGE_BYTES_MAX", len(raw))
    assert read(raw).count == 3
    monkeypatch.setattr(dkg.page, "PAGE_BYTES_MAX", len(raw) - 1)
    with pytest.raises(PageError, match=f"{len(raw)} bytes is over the limit of {len(raw) - 1} bytes"):
        decode(b"whatever", raw)


@pytest.mark.parametrize("more", [b"\0", b"\xa0", EMPTY_LEAF])
def test_trailing_bytes_are_refused(more: bytes) -> None:
    with pytest.raises(PageError, match=r"canonical|DAG-CBOR"):
        read(EMPTY_LEAF + more)


def test_a_truncated_page_is_refused_wherever_it_ends() -> None:
    raw = encoded(INNER)
    for end in range(len(raw)):
        with pytest.raises(PageError, match=r"canonical|DAG-CBOR"):
            read(raw[:end])


NON_CANONICAL = {
    "map length in two bytes": b"\xb8\x01\x61k\x80",
    "field name length in two bytes": b"\xa1\x78\x01k\x80",
    "list length in two bytes": b"\xa1\x61k\x98\x00",
    "list length in nine bytes": b"\xa1\x61k\x9b" + bytes(8),
    "list of indefinite length": b"\xa1\x61k\x9f\xff",
    "map of indefinite length": b"\xbf\x61k\x80\xff",
    "key length in two bytes": b"\xa1\x61k\x81\x58\x01<",
    "key in two chunks": b"\xa1\x61k\x81\x5f\x41<\x41a\xff",
    "field named twice": b"\xa2\x61k\x80\x61k\x80",
    "list behind a tag": b"\xa1\x61k\xc1\x80",
    "fields out of order": b"\xa3" + encoded(ROOT)[-3:] + encoded(ROOT)[1:-3],
    "count in two bytes": encoded(ROOT).replace(b"\x61n\x07", b"\x61n\x18\x07"),
    "count as a float": encoded(ROOT).replace(b"\x61n\x07", b"\x61n\xfb\x40\x1c" + bytes(6)),
    "version as a float": encoded(ROOT).replace(b"\x61v\x01", b"\x61v\xfb\x3f\xf0" + bytes(6)),
    "link without its leading zero": encoded(ROOT).replace(b"\xd8\x2a\x58\x25\x00", b"\xd8\x2a\x58\x24", 1),
    "link behind another tag": encoded(ROOT).replace(b"\xd8\x2a", b"\xd8\x2b", 1),
    "link as a byte string": encoded(ROOT).replace(b"\xd8\x2a\x58\x25\x00", b"\x58\x24", 1),
}


@pytest.mark.parametrize("raw", NON_CANONICAL.values(), ids=NON_CANONICAL)
def test_another_encoding_of_a_page_is_refused(raw: bytes) -> None:
    with pytest.raises(PageError, match=r"canonical|DAG-CBOR"):
        read(raw)


@pytest.mark.parametrize("bomb", [b"\x81", b"\xa1\x61k", b"\xc1", b"\xd8\x2a"], ids=["lists", "maps", "tags", "links"])
def test_a_nesting_bomb_is_refused(bomb: bytes) -> None:
    for depth in (50, 5_000, 200_000):
        with pytest.raises(PageError, match=r"canonical|DAG-CBOR"):
            read(b"\xa1\x61k" + bomb * depth + b"\x80")


@pytest.mark.parametrize("bomb", [b"\x81", b"\xa1\x61k", b"\xd8\x2a", b"\x82\x40"], ids=["list", "map", "tag", "pair"])
def test_a_nesting_bomb_is_refused_where_the_application_raised_the_recursion_limit(bomb: bytes) -> None:
    code = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from dkg.errors import PageError\n"
        "from dkg.page import cid_of, decode\n"
        f"for depth in (1_000, 4_000, 8_000, 20_000, 200_000):\n"
        f"    raw = b'\\xa1\\x61k' + {bomb!r} * depth + b'\\x80' * 4\n"
        "    try: decode(cid_of(raw), raw)\n"
        "    except PageError: print(depth)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout.split())) == (0, 5), done.stderr[-1000:]


def test_large_pages_are_read() -> None:
    keys = [b"<%02d" % at + b"x" * 70_000 for at in range(LEAF_KEYS_MAX)]
    assert read(Leaf(keys).encode()).encode() == Leaf(keys).encode()
    separators = keys[: CHILDREN_MAX - 1]
    inner = Inner([cid_of(key) for key in keys[:CHILDREN_MAX]], separators, [1] * CHILDREN_MAX)
    assert read(inner.encode()).encode() == inner.encode()


def test_a_page_of_many_small_items_is_refused_before_it_takes_memory() -> None:
    with pytest.raises(PageError, match="too many items"):
        read(b"\xa1\x61k\x9a\x00\x10\x00\x00" + b"\xa0" * (1 << 20))


@pytest.mark.parametrize("start", [b"\x9b", b"\xbb", b"\x5b", b"\x7b"], ids=["list", "map", "bytes", "text"])
def test_a_length_of_exabytes_is_refused_and_not_allocated(start: bytes) -> None:
    with pytest.raises(PageError, match="DAG-CBOR"):
        read(b"\xa1\x61k" + start + b"\x7f" + b"\xff" * 7)


# --- shapes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "k", b"k", [], ["k", []]])
def test_what_is_no_map_is_refused(value: object) -> None:
    assert refused(value, "a page must be a map")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"k": KEYS, "x": 1},
        {"keys": KEYS},
        {"c": LINKS[:1], "k": []},
        {**INNER, "v": 1},
        {**ROOT, "k": []},
        {"": KEYS},
        {"c": LINKS[:3], "kn": KEYS[:2]},
        {"n": 7, "tv": LINKS},
    ],
)
def test_unknown_or_missing_fields_are_refused(value: object) -> None:
    assert refused(value, "no page has the fields")


@pytest.mark.parametrize("keys", [None, 5, b"<a>\0", {}, ["<a>"], [b"<a>\0", "<b>"], [[b"<a>\0"]], [None], [1]])
def test_keys_that_are_not_byte_strings_are_refused(keys: object) -> None:
    assert refused({"k": keys}, "keys must be a list of byte strings")


def test_descending_keys_are_refused() -> None:
    assert refused({"k": [KEYS[0], KEYS[2], KEYS[1]]}, "keys 1 and 2 are not in ascending order")


def test_a_key_twice_is_refused() -> None:
    assert refused({"k": [KEYS[0], KEYS[0]]}, "keys 0 and 1 are not in ascending order")


@pytest.mark.parametrize("keys", [LINKS[:1], [*KEYS, LINKS[0]], [LINKS[0], *KEYS]], ids=["alone", "last", "first"])
def test_links_where_keys_belong_are_refused(keys: list[bytes]) -> None:
    assert refused({"k": sorted(keys)}, "has links where byte strings belong")


@pytest.mark.parametrize("link", [LINKS[0], b"\x12\x20" + bytes(32)], ids=["page", "version 0"])
def test_links_where_separators_belong_are_refused(link: bytes) -> None:
    assert refused({"c": LINKS[:2], "k": [link], "n": [1, 2]}, "has links where byte strings belong")


@pytest.mark.parametrize("cid", [b"\x12\x20" + bytes(32), b"\x01\x55\x12\x20" + bytes(32)], ids=["version 0", "raw"])
def test_links_to_no_page_where_keys_belong_are_refused(cid: bytes) -> None:
    # The decoder gives any link as bytes, and the encoder makes a link of any bytes that look like one.
    assert refused({"k": sorted([cid, *KEYS])}, "has links where byte strings belong")


@pytest.mark.parametrize("start", [b"\0", b"\x01U\0\0", LINKS[0], b"\x12\x20" + bytes(32)])
@pytest.mark.parametrize("length", [40, 255, 256, 65_535, 65_536])
def test_byte_strings_that_begin_as_links_do_are_read_as_written(start: bytes, length: int) -> None:
    key = start + b"k" * (length - len(start))
    for page in (Leaf(sorted([key, *KEYS])), Inner(LINKS[:2], [key], [1, 2])):
        raw = page.encode()
        assert length.to_bytes(4).lstrip(b"\0") + key in raw  # after the head of a byte string
        assert b"\xd8\x2a" not in raw.replace(b"\xd8\x2a\x58\x25", b"", 2 if type(page) is Inner else 0)
        found = decode(cid_of(raw), raw)
        assert vars_of(found) == vars_of(page)


def vars_of(page: object) -> list[object]:
    return [getattr(page, name) for name in ("keys", "children", "separators", "counts") if hasattr(page, name)]


def test_keys_where_links_belong_are_refused() -> None:
    assert refused({**INNER, "c": KEYS}, "links to pages")
    assert refused({**ROOT, "t": [*KEYS, b"<d>\0"]}, "four trees")


@pytest.mark.parametrize("link", [b"\x12\x20" + bytes(32), b"\x01\x55\x12\x20" + bytes(32), LINKS[0][:-1], "a", 1])
def test_links_to_no_page_are_refused(link: object) -> None:
    # CID version 0, codec raw, a digest too short, text, a number.
    assert refused({**INNER, "c": [link, *LINKS[:2]]}, "links to pages")
    assert refused({**ROOT, "t": [link, *LINKS[:3]]}, "four trees")


# --- inner pages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, -1, -(2**63), 2**63, 2**64 - 1])
@pytest.mark.parametrize("at", range(3))
def test_counts_of_zero_negative_or_huge_are_refused(count: int, at: int) -> None:
    counts = [1, 2, 3]
    counts[at] = count
    assert refused({**INNER, "n": counts}, r"counts must be positive integers below 2\^63")


@pytest.mark.parametrize("count", [True, 1.0, None, "1", b"1", [1]])
def test_counts_that_are_no_integers_are_refused(count: object) -> None:
    assert refused({**INNER, "n": [1, 2, count]}, "counts must be positive integers")


def test_the_largest_count_is_read() -> None:
    assert read(encoded({**INNER, "n": [1, 2, 2**63 - 1]})).count == 2**63 + 2


@pytest.mark.parametrize("counts", [None, 6, {}, []])
def test_counts_that_are_no_list_are_refused(counts: object) -> None:
    assert refused({**INNER, "n": counts}, "counts must be positive integers")


@pytest.mark.parametrize(
    "changed", [{"k": KEYS[:1]}, {"k": KEYS}, {"c": LINKS[:2]}, {"c": LINKS}, {"n": [1, 2]}, {"n": [1, 2, 3, 4]}]
)
def test_children_separators_and_counts_that_do_not_match_are_refused(changed: dict[str, object]) -> None:
    assert refused({**INNER, **changed}, r"\d children, \d counts and \d separators")


def test_an_inner_page_without_children_is_refused() -> None:
    assert refused({"c": [], "k": [], "n": []}, "links to pages")


@pytest.mark.parametrize("separators", [[KEYS[1], KEYS[0]], [KEYS[0], KEYS[0]]])
def test_separators_that_do_not_ascend_are_refused(separators: list[bytes]) -> None:
    assert refused({**INNER, "k": separators}, "separators 0 and 1 are not in ascending order")


def test_an_empty_separator_is_refused() -> None:
    assert refused({**INNER, "k": [b"", KEYS[0]]}, "a separator is empty")


# --- dataset roots ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2, -1, True, 1.0, "1", None])
def test_another_format_version_is_refused(version: object) -> None:
    assert refused({**ROOT, "v": version}, f"format version {version!r} is not 1")


@pytest.mark.parametrize("trees", [[], LINKS[:3], [*LINKS, LINKS[0]], None, {}])
def test_a_dataset_root_with_other_than_four_trees_is_refused(trees: object) -> None:
    assert refused({**ROOT, "t": trees}, "must link to four trees")


@pytest.mark.parametrize("count", [-1, 2**63, True, 7.0, None])
def test_a_number_of_quads_out_of_range_is_refused(count: object) -> None:
    assert refused({**ROOT, "n": count}, "number of quads must be an integer")


def test_the_numbers_of_quads_at_the_limits_are_read() -> None:
    assert [read(encoded({**ROOT, "n": count})).count for count in (0, 2**63 - 1)] == [0, 2**63 - 1]


# --- CIDs as text -----------------------------------------------------------------------------------------------


@given(CIDS)
def test_a_cid_survives_its_text_form(cid: bytes) -> None:
    assert len(cid) == CID_LENGTH
    assert cid_text(cid).startswith("bafyrei")
    assert cid_bytes(cid_text(cid)) == cid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bafy",
        "not a cid",
        cid_text(EMPTY_TREE).upper(),
        cid_text(EMPTY_TREE)[:-1],
        cid_text(EMPTY_TREE) + "a",
        " " + cid_text(EMPTY_TREE),
        "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ],
)
def test_text_that_is_not_the_cid_of_a_page_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CID"):
        cid_bytes(text)


def test_a_leaf_of_more_keys_than_a_cut_leaves_is_refused() -> None:
    keys = [b"<%02d" % at for at in range(LEAF_KEYS_MAX + 1)]
    assert read(Leaf(keys[:-1]).encode()).count == len(keys) - 1
    with pytest.raises(PageError, match="41 keys; 40 are the most"):
        read(Leaf(keys).encode())


def test_an_inner_page_of_more_children_than_a_cut_leaves_is_refused() -> None:
    keys = [b"<%02d" % at for at in range(CHILDREN_MAX)]
    cids = [cid_of(key) for key in (b"", *keys)]
    counts = [1] * len(cids)
    assert read(Inner(cids[:-1], keys[:-1], counts[:-1]).encode()).count == len(cids) - 1
    with pytest.raises(PageError, match="9 children; 8 are the most"):
        read(Inner(cids, keys, counts).encode())
