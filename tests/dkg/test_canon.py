"""RDFC-1.0 on graphs of our own: labels hang on the graph alone, and work is bounded."""

from __future__ import annotations

import hashlib

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.canon import RawQuad, canonical_nquads, canonicalize, nquad
from dkg.errors import CanonicalizationError

P, Q, G = b"<urn:p>", b"<urn:q>", b"<urn:g>"

_NODES = st.sampled_from([b"_:a", b"_:b", b"_:c", b"_:d", b"<urn:x>"])
_QUADS = st.lists(
    st.tuples(_NODES, st.sampled_from([P, Q]), _NODES, st.sampled_from([b"", G, b"_:a"])), min_size=1, max_size=8
)


def _renamed(quads: list[RawQuad], names: dict[bytes, bytes]) -> list[RawQuad]:
    return [(names.get(s, s), p, names.get(o, o), names.get(g, g)) for s, p, o, g in quads]


@settings(max_examples=200, deadline=None)
@given(_QUADS, st.permutations([b"_:z", b"_:a", b"_:7", b"_:b"]), st.randoms(use_true_random=False))
def test_names_and_order_do_not_change_the_canonical_form(
    quads: list[RawQuad], names: list[bytes], random: object
) -> None:
    other = _renamed(quads, dict(zip([b"_:a", b"_:b", b"_:c", b"_:d"], names, strict=True)))
    random.shuffle(other)  # type: ignore[attr-defined]
    assert canonical_nquads(other) == canonical_nquads(quads)


def test_a_graph_without_blank_nodes_is_only_sorted() -> None:
    quads = [(b"<urn:b>", P, b'"x"', G), (b"<urn:a>", P, b'"x"', b"")]
    assert canonicalize(quads) == {}
    assert canonical_nquads([*quads, *quads]) == b'<urn:a> <urn:p> "x" .\n<urn:b> <urn:p> "x" <urn:g> .\n'


def test_a_blank_node_that_is_twice_in_one_quad_counts_once() -> None:
    expected = hashlib.sha256(b"_:a <urn:p> _:a .\n").hexdigest()
    assert len(expected) == 64
    assert canonicalize([(b"_:x", P, b"_:x", b"")]) == {b"x": b"c14n0"}


def test_another_hash_gives_labels_too_and_an_unknown_one_is_refused() -> None:
    quads = [(b"_:x", P, b'"1"', b""), (b"_:y", P, b'"2"', b"")]
    assert set(canonicalize(quads, hash_name="sha384").values()) == {b"c14n0", b"c14n1"}
    with pytest.raises(CanonicalizationError, match="sha256 or sha384"):
        canonicalize(quads, hash_name="md5")


def _clique(size: int) -> list[RawQuad]:
    nodes = [b"_:%d" % i for i in range(size)]
    return [(a, P, b, b"") for a in nodes for b in nodes if a != b]


def _hubs(leaves: int) -> list[RawQuad]:
    pairs = [(b"_:h%d" % h, b"_:x%d-%d" % (h, i)) for h in range(2) for i in range(leaves)]
    return [quad for h, x in pairs for quad in ((h, P, x, b""), (x, Q, h, b""))]


def _matched(leaves: int) -> list[RawQuad]:
    """Two hubs whose leaves are linked in pairs, so that none can change places alone."""
    return [*_hubs(leaves), *((b"_:x0-%d" % i, P, b"_:x1-%d" % i, b"") for i in range(leaves))]


def test_attack_a_clique_is_refused() -> None:
    with pytest.raises(CanonicalizationError, match="CANON_WORK_MAX"):
        canonicalize(_clique(12))


@pytest.mark.parametrize("leaves", [9, 100, 10_000])
def test_leaves_that_can_change_places_are_not_tried_in_every_order(leaves: int) -> None:
    assert len(set(canonicalize(_hubs(leaves)).values())) == 2 * leaves + 2


@pytest.mark.parametrize("leaves", [12, 100, 10_000])
def test_attack_two_hubs_with_leaves_that_look_alike_are_refused(leaves: int) -> None:
    """Each order of 10,000 leaves is 10,000 steps: counting orders alone would let this run for hours."""
    with pytest.raises(CanonicalizationError, match="CANON_WORK_MAX"):
        canonicalize(_matched(leaves))


def test_attack_a_chain_so_long_that_one_walk_along_it_is_too_much_is_refused() -> None:
    with pytest.raises(CanonicalizationError, match="CANON_WORK_MAX"):
        canonicalize([(b"_:%d" % i, P, b"_:%d" % (i + 1), b"") for i in range(30_000)])


def test_two_long_lists_with_the_same_values_are_no_attack() -> None:
    values = [(b"_:%d-%d" % (k, i), P, b'"%d"' % i, b"") for k in range(2) for i in range(5_000)]
    rests = [(b"_:%d-%d" % (k, i), Q, b"_:%d-%d" % (k, i + 1), b"") for k in range(2) for i in range(4_999)]
    assert len(set(canonicalize([*values, *rests]).values())) == 10_000


def test_a_list_of_equal_values_needs_no_stack_of_python() -> None:
    """Steps that nest on Python's stack end as a `RecursionError` for a caller that is deep in it already."""
    values = [(b"_:%d" % i, P, b'"0"', b"") for i in range(300)]
    rests = [(b"_:%d" % i, Q, b"_:%d" % (i + 1), b"") for i in range(299)]
    assert len(set(canonicalize([*values, *rests]).values())) == 300


def test_where_the_standard_leaves_a_tie_open_the_order_of_the_input_does_not_break_it() -> None:
    quads = [(b"_:1", P, b"<urn:x>", b""), (b"_:0", P, b"_:3", b"_:2"), (b"_:2", P, b"_:1", b"_:0")]
    assert canonical_nquads(quads) == canonical_nquads(quads[::-1])
    other = [(b"_:1", P, b"<urn:x>", b""), (b"_:2", P, b"_:3", b"_:0"), (b"_:0", P, b"_:1", b"_:2")]
    assert canonical_nquads(quads) == canonical_nquads(other)


def _as_the_engine_does(quads: list[RawQuad]) -> bytes:
    dataset = ox.Dataset(ox.parse(b"".join(map(nquad, quads)), ox.RdfFormat.N_QUADS))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return b"".join(sorted(ox.serialize([quad], format=ox.RdfFormat.N_QUADS) or b"" for quad in dataset))


_PLAIN = st.lists(
    st.tuples(
        st.sampled_from([b"_:%d" % i for i in range(6)]),
        st.sampled_from([P, P, Q]),
        st.sampled_from([*(b"_:%d" % i for i in range(6)), b"<urn:x>", b'"x"']),
        st.sampled_from([b"", b"", G, b"_:g"]),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(_PLAIN)
def test_small_datasets_are_labelled_as_by_the_engine(quads: list[RawQuad]) -> None:
    assert canonical_nquads(quads) == _as_the_engine_does(quads)


def test_attack_a_long_chain_of_look_alikes_is_refused_before_the_stack_ends() -> None:
    size = 2_000
    with pytest.raises(CanonicalizationError, match="give some of them IRIs"):
        canonicalize([(b"_:%d" % i, P, b"_:%d" % ((i + 1) % size), b"") for i in range(size)])


def test_the_bound_on_work_is_exact_and_repeatable() -> None:
    quads = _clique(3)
    refused = set()
    for work in range(300):
        try:
            labels = canonicalize(quads, work_max=work)
        except CanonicalizationError:
            refused.add(work)
        else:
            assert labels == canonicalize(quads)
    assert refused == set(range(len(refused)))
    assert 0 < len(refused) < 300


def test_many_blank_nodes_are_labelled_when_they_differ_or_come_in_pairs() -> None:
    count = 20_000
    assert len(canonicalize([(b"_:%d" % i, P, b'"%d"' % i, b"") for i in range(count)])) == count
    assert len(canonicalize([(b"_:n%d" % i, P, b"_:m%d" % i, b"") for i in range(count)])) == 2 * count
