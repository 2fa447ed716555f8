"""Datasets whose pages were made to deceive: malformed trees, and keys that are no quads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.page import ORDERS, DatasetRoot, Inner, Leaf, Page
from dkg.pages import MemoryPageStore, PageSink
from dkg.terms import key_of
from tests.mutation.subjects import NARROW, car_of, cid

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.oracle import Quad

QUADS: list[Quad] = [
    (
        b"<http://e/s%02d>" % i,
        b"<http://e/p>",
        b'"%d"^^<http://www.w3.org/2001/XMLSchema#integer>' % i,
        b"<http://e/g>",
    )
    for i in range(12)
]


class Forge:
    """A dataset whose pages can be replaced one by one."""

    def __init__(self) -> None:
        self.store = MemoryPageStore()

    def put(self, page: Page | bytes) -> bytes:
        """Keep a page under the name of its bytes, whatever they are."""
        raw = page if isinstance(page, bytes) else page.encode()
        self.store.pages[cid(raw)] = raw
        return cid(raw)

    def tree(self, order: str, extra: list[bytes] | None = None) -> bytes:
        """Return the root of an index of QUADS and of extra keys."""
        sink = PageSink(self.store)
        keys = {key_of(quad, order) for quad in QUADS} | set(extra or ())
        root, _ = build_tree([sorted(keys)], sink, NARROW)
        sink.flush()
        return root

    def root(self, trees: dict[str, bytes], count: int = len(QUADS)) -> bytes:
        """Return a dataset in which some indexes are replaced."""
        return self.put(DatasetRoot([trees.get(order) or self.tree(order) for order in ORDERS], count))


def keys(order: str) -> list[bytes]:
    return sorted(key_of(quad, order) for quad in QUADS)


def leaves(forge: Forge, order: str) -> tuple[list[bytes], list[bytes]]:
    """Return two leaves that hold the index, and the separator between them."""
    own = keys(order)
    return [forge.put(Leaf(own[:6])), forge.put(Leaf(own[6:]))], [own[6]]


def a_dataset_root_where_a_tree_belongs(forge: Forge, _order: str) -> bytes:
    return forge.root({})


def a_count_that_is_too_small(forge: Forge, order: str) -> bytes:
    children, separators = leaves(forge, order)
    return forge.put(Inner(children, separators, [5, 7]))


def a_count_that_is_too_large(forge: Forge, order: str) -> bytes:
    children, separators = leaves(forge, order)
    return forge.put(Inner(children, separators, [6, 1 << 62]))


def a_count_of_the_tree_that_is_not_the_datasets(forge: Forge, order: str) -> bytes:
    return forge.put(Leaf(keys(order)[:-1]))


def children_in_the_wrong_order(forge: Forge, order: str) -> bytes:
    children, separators = leaves(forge, order)
    return forge.put(Inner(children[::-1], separators, [6, 6]))


def one_child_twice(forge: Forge, order: str) -> bytes:
    children, separators = leaves(forge, order)
    return forge.put(Inner([children[0], children[0]], separators, [6, 6]))


def a_separator_that_hides_keys(forge: Forge, order: str) -> bytes:
    children, _ = leaves(forge, order)
    return forge.put(Inner(children, [keys(order)[3]], [6, 6]))


def separators_out_of_order(forge: Forge, order: str) -> bytes:
    own = keys(order)
    children = [forge.put(Leaf(own[i : i + 4])) for i in (0, 4, 8)]
    return forge.put(Inner(children, [own[8], own[4]], [4, 4, 4]))


def keys_out_of_order(forge: Forge, order: str) -> bytes:
    return forge.put(Leaf(keys(order)[::-1]))


def a_key_twice(forge: Forge, order: str) -> bytes:
    return forge.put(Leaf([keys(order)[0], *keys(order)[:-1]]))


def an_inner_page_without_children(forge: Forge, _order: str) -> bytes:
    return forge.put(b"\xa3\x61c\x80\x61k\x80\x61n\x80")


def a_leaf_with_another_field(forge: Forge, order: str) -> bytes:
    return forge.put(b"\xa2" + Leaf(keys(order)).encode()[1:] + b"\x61x\x01")


def a_leaf_of_links(forge: Forge, order: str) -> bytes:
    links = b"".join(b"\xd8\x2a\x58\x25\0" + child for child in leaves(forge, order)[0])
    return forge.put(b"\xa1\x61k\x82" + links)


def a_leaf_of_texts(forge: Forge, _order: str) -> bytes:
    return forge.put(b"\xa1\x61k\x81\x61a")


def an_inner_page_with_keys_for_links(forge: Forge, order: str) -> bytes:
    raw = Inner(*leaves(forge, order), counts=[6, 6]).encode()
    return forge.put(raw.replace(b"\xd8\x2a\x58\x25\0", b"\x58\x24"))


def a_tree_that_is_too_deep(forge: Forge, order: str) -> bytes:
    root = forge.put(Leaf(keys(order)))
    for _ in range(40):
        root = forge.put(Inner([root], [], [12]))
    return root


def a_page_in_another_encoding(forge: Forge, order: str) -> bytes:
    return forge.put(b"\xa1\x78\x01k" + Leaf(keys(order)).encode()[3:])


def a_page_with_something_after_it(forge: Forge, order: str) -> bytes:
    return forge.put(Leaf(keys(order)).encode() + b"\0")


def a_page_that_nests_too_deep(forge: Forge, _order: str) -> bytes:
    return forge.put(b"\xa1\x61k" + b"\x81" * 100_000 + b"\x80")


def a_page_that_is_too_large(forge: Forge, order: str) -> bytes:
    own = keys(order)
    return forge.put(Leaf([*own[:-1], own[-1] + b"\0" * (49 << 20)]))


def a_page_that_nobody_has(forge: Forge, order: str) -> bytes:
    root = a_tree_that_is_too_deep(forge, order)
    del forge.store.pages[root]
    return root


MALFORMED: tuple[Callable[[Forge, str], bytes], ...] = (
    a_dataset_root_where_a_tree_belongs,
    a_count_that_is_too_small,
    a_count_that_is_too_large,
    a_count_of_the_tree_that_is_not_the_datasets,
    children_in_the_wrong_order,
    one_child_twice,
    a_separator_that_hides_keys,
    separators_out_of_order,
    keys_out_of_order,
    a_key_twice,
    an_inner_page_without_children,
    a_leaf_with_another_field,
    a_leaf_of_links,
    a_leaf_of_texts,
    an_inner_page_with_keys_for_links,
    a_tree_that_is_too_deep,
    a_page_in_another_encoding,
    a_page_with_something_after_it,
    a_page_that_nests_too_deep,
    a_page_that_is_too_large,
    a_page_that_nobody_has,
)


def all_pages(forge: Forge, root: bytes) -> bytes:
    """Return a CAR of all pages, the root first."""
    pages = forge.store.pages
    return car_of(root, [(root, pages[root]), *(page for page in pages.items() if page[0] != root)])


G, P = b"<http://e/g>", b"<http://e/p>"
NO_QUADS = (
    b"",
    b"\0",
    b"\0\0\0\0",
    b"<http://e/z>\0<http://e/p>\0\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0<http://e/g>",  # no last terminator
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0",  # a triple
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0<http://e/g>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0\0",
    b'"z"\0<http://e/p>\0<http://e/o>\0<http://e/g>\0',  # a literal as subject
    b'<http://e/z>\0"p"\0<http://e/o>\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0<http://e/o>\0"g"\0',
    b"_:z\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",  # blank nodes
    b"<http://e/z>\0<http://e/p>\0_:o\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0_:g\0",
    b"<z>\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",  # a relative IRI
    b"<http://e/z z>\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/\xff>\0<http://e/g>\0",  # no UTF-8
    b'<http://e/z>\0<http://e/p>\0"\xed\xa0\x80"\0<http://e/g>\0',  # a surrogate
    b'<http://e/z>\0<http://e/p>\0"o\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"a"b"\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"\\q"\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"\n"\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"a"@EN\0<http://e/g>\0',  # off the normal form
    b'<http://e/z>\0<http://e/p>\0"a"^^<http://www.w3.org/2001/XMLSchema#string>\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"\\u0061"\0<http://e/g>\0',
    b'<http://e/z>\0<http://e/p>\0"1"^^<http://www.w3.org/2001/XMLSchema#integer>\0<http://e/g>\0',  # no order bytes
    b'<http://e/z>\0<http://e/p>\0\x10"1"^^<http://www.w3.org/2001/XMLSchema#integer>\0<http://e/g>\0',
    key_of((b"<http://e/z>", P, b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>', G), "spog"),
    key_of((b"<http://e/z>", P, b'"7"^^<http://www.w3.org/2001/XMLSchema#int>', G), "spog"),
    b'<http://e/z>\0<http://e/p>\0\x10%b"7"^^<http://www.w3.org/2001/XMLSchema#integer>\0%b\0' % (b"\x80" * 9, G),
    # Lines that would say more than one quad when a parser sees them.
    b"<http://e/z>\0<http://e/p>\0<http://e/o> .\n<http://e/evil> <http://e/p> <http://e/o>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o> <http://e/h> .\n<http://e/evil> <http://e/p> <http://e/o>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o>\0<http://e/g> .\n<http://e/evil> <http://e/p> <http://e/o> <http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/o> #\0<http://e/g>\0",
    b"<http://e/z> # \0<http://e/p>\0<http://e/o>\0<http://e/g>\0",
    b"<<( <http://e/a> <http://e/b> <http://e/c> )>>\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<<( <http://e/a> <http://e/b> <http://e/c> )>>\0<http://e/g>\0",
    b'<http://e/z>\0<http://e/p>\0"a"@en--ltr\0<http://e/g>\0',
    b"<http://e/z>\r\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",
    b"\xef\xbb\xbf<http://e/z>\0<http://e/p>\0<http://e/o>\0<http://e/g>\0",
    b"<http://e/z>\0<http://e/p>\0<http://e/" + b"o" * 70_000 + b">\0<http://e/g>\0",
)  # fmt: skip


def reordered(key: bytes, order: str) -> bytes:
    """Return a key of index spog as it would stand in another one, as far as it has parts."""
    parts = dict(zip("spog", key.split(b"\0"), strict=False))
    if len(parts) < 4 or key.count(b"\0") != 4:
        return key
    return b"".join(parts[place] + b"\0" for place in order)
