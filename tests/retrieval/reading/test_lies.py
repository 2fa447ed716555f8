"""Nothing unverified is read, whatever a store of pages says and whatever an index proposes.

One publisher's pages come from a store that lies in one of the ways of the mutation catalogue; another's are honest.
What must hold is written down in `check`, and a test shows that it would be seen if it did not.
"""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

import pytest

from dkg import pages
from dkg.page import ORDERS, cid_of, decode
from retrieval.model import AbsentKind, Reason, Statement
from retrieval.reading import Reader
from tests.fuzz.grammar import case
from tests.mutation.forgeries import MALFORMED, NO_QUADS, QUADS, Forge, reordered
from tests.oracle import Rows, difference, oracle
from tests.retrieval.reading.liars import KINDS, OLD_AND_OTHER, Liar, lies, stored
from tests.retrieval.reading.world import Published, places, proposed, published, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from retrieval.model import Candidate
    from tests.oracle import Quad

SEEDS = range(3, 7)
LIAR, HONEST = "liar", "honest"
Pattern = tuple[bytes | None, bytes | None, bytes | None]


def check(reader: Reader, truth: Sequence[Published], rng: random.Random, *, well_made: bool = True) -> None:
    """Everything that a reader says is true, and what it does not say it owns up to.

    `well_made`: whether the liar's dataset is. If it is not, nobody can tell what it lacks: its indexes disagree.
    """
    whole = {LIAR, HONEST} if well_made else {HONEST}
    statements = [Statement(*quad[:3]) for one in truth for quad in one.quads]
    candidates = proposed([*statements, *invented(statements, rng), *NOT_TRIPLES])
    rng.shuffle(candidates)
    _check_facts(reader, truth, candidates, whole)
    for pattern in patterns(statements, rng):
        _check_pattern(reader, truth, pattern, whole)
    if well_made:
        _check_query(reader, truth)
    assert set(reader.faults) <= {LIAR}


NOT_TRIPLES = [
    (b"", b"", b""),
    (b"<http://e/a>\0<http://e/p>", b"<http://e/b>", b"<http://e/g1>"),
    (b"<http://e/a>", b"<http://e/p>", b"<http://e/b>\0<http://e/g1>"),
    (b'"a"', b"<http://e/p>", b"<http://e/b>"),
    (b"<http://e/a>", b"<http://e/p>", b"\xff"),
    (b"<http://e/a>", b"<http://e/p>", b'\x10"1"^^<http://www.w3.org/2001/XMLSchema#integer>'),
    *[tuple(key.split(b"\0")[:3]) for key in NO_QUADS if key.count(b"\0") > 2],
]


def invented(statements: Sequence[Statement], rng: random.Random) -> list[Statement]:
    """Triples of the same terms, most of which nobody says."""
    return [
        Statement(rng.choice(statements).subject, rng.choice(statements).predicate, rng.choice(statements).object)
        for _ in statements
    ]


def patterns(statements: Sequence[Statement], rng: random.Random) -> list[Pattern]:
    """Every kind of pattern, over terms that are together and terms that are not."""
    found: list[Pattern] = []
    for shape in product((True, False), repeat=3):
        one, other = rng.choice(statements), rng.choice(statements)
        for terms in (one, Statement(one.subject, other.predicate, one.object)):
            s, p, o = (term if keep else None for term, keep in zip(terms, shape, strict=True))
            found.append((s, p, o))
    return found


def _check_facts(reader: Reader, truth: Sequence[Published], candidates: list[Candidate], whole: set[str]) -> None:
    facts, dropped = reader.facts(candidates)
    assert {*(fact.statement for fact in facts), *(one.statement for one in dropped)} == {
        candidate.statement for candidate in candidates
    }
    assert not {fact.statement for fact in facts} & {one.statement for one in dropped}
    for fact in facts:
        _check_origins(fact.statement, places(fact.origins), truth)
    for drop in dropped:
        assert drop.reason is Reason.UNVERIFIED
        said = {place for one in truth for place in one.origins(drop.statement)}
        assert {publisher for publisher, _ in said} & whole <= set(drop.publishers), drop
    order = list(dict.fromkeys(candidate.statement for candidate in candidates))
    assert [fact.statement for fact in facts] == [one for one in order if one in {fact.statement for fact in facts}]


def _check_origins(statement: Statement, found: set[tuple[str, bytes]], truth: Sequence[Published]) -> None:
    for one in truth:
        mine = {place for place in found if place[0] == one.publisher}
        said = one.origins(statement)
        assert mine <= said, "somebody is said to say what they do not"
        assert one.publisher == LIAR or mine == said, "an honest publisher is not heard"


def _check_pattern(reader: Reader, truth: Sequence[Published], pattern: Pattern, whole: set[str]) -> None:
    matching = {one.publisher: _matching(one.quads, pattern) for one in truth}
    facts = reader.about(*pattern, most=10_000)
    for fact in facts:
        _check_origins(fact.statement, places(fact.origins), truth)
    found = {fact.statement for fact in facts}
    for publisher, said in matching.items():
        assert said <= found or publisher in reader.faults or publisher not in whole
    reader.faults.clear()
    absent = reader.absent(*pattern)
    if absent is not None:
        assert absent.kind is AbsentKind.EMPTY
        assert not any(matching[publisher] for publisher in absent.publishers if publisher in whole)
        assert set(absent.publishers) | set(reader.faults) == set(matching)
    else:
        assert any(matching.values())
    reader.faults.clear()
    least = len(set().union(*matching.values()))
    assert reader.count(*pattern) >= least or reader.faults or whole != set(matching)
    reader.faults.clear()


def _matching(quads: Iterable[Quad], pattern: Pattern) -> set[Statement]:
    return {
        Statement(*quad[:3])
        for quad in quads
        if all(term in {None, place} for term, place in zip(pattern, quad[:3], strict=True))
    }


def _check_query(reader: Reader, truth: Sequence[Published]) -> None:
    query = "SELECT ?s ?o ?t { ?s <http://e/p> ?o OPTIONAL { ?o <http://e/q> ?t } }"
    rows = reader.select(query)
    quads = {quad for one in truth if one.publisher in rows.publishers for quad in one.quads}
    expected = oracle(sorted(quads), query, None, None, None)
    assert difference(expected, Rows(rows.variables, rows.rows)) is None


def world(seed: int, store: Liar) -> list[Published]:
    """A publisher whose pages a liar keeps, and an honest one who repeats some of what it says."""
    mine = stored(seed).made.quads
    again = [(*quad[:3], b"<http://e/again>") for quad in mine[::2]]
    return [
        shown(LIAR, stored(seed).root, store, mine),
        published(HONEST, {*case(seed + 100).quads, *again}),
    ]


def lied_to(name: str, seed: int) -> int:
    """Check a reader against a store that lies in one way; gives how many lies were told."""
    rng = random.Random(f"{name} {seed}")
    false = lies(name, seed, rng)
    if false is None:
        return 0
    store = Liar(rng, dict(stored(seed).store), false)
    truth = world(seed, store)
    check(Reader([one.snapshot for one in truth]), truth, rng)
    return store.lied


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_unverified_is_read_from_a_store_that_lies(seed: int) -> None:
    told = [name for name in KINDS if lied_to(name, seed)]
    assert len(told) > len(KINDS) // 3, told  # the others change how a proof is written, which a store does not


@pytest.mark.parametrize("name", OLD_AND_OTHER)
def test_a_reader_that_believed_its_store_would_be_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "decode", lambda _cid, raw: decode(cid_of(raw), raw))
    with pytest.raises(AssertionError, match=r"say what they do not|Dropped"):
        lied_to(name, SEEDS[0])


@pytest.mark.parametrize("forgery", MALFORMED, ids=lambda forgery: forgery.__name__)
def test_a_malformed_dataset_silences_its_publisher_alone(forgery: Callable[[Forge, str], bytes]) -> None:
    forge = Forge()
    root = forge.root({order: forgery(forge, order) for order in ORDERS})
    others = {(*quad[:3], b"<http://e/h>") for quad in QUADS[::2]}
    truth = [shown(LIAR, root, forge.store, QUADS), published(HONEST, others)]
    check(Reader([one.snapshot for one in truth]), truth, random.Random(1), well_made=False)


@pytest.mark.parametrize("key", NO_QUADS, ids=range(len(NO_QUADS)))
def test_a_key_that_is_no_quad_is_no_fact(key: bytes) -> None:
    forge = Forge()
    root = forge.root({order: forge.tree(order, [reordered(key, order)]) for order in ORDERS}, len(QUADS) + 1)
    truth = [shown(LIAR, root, forge.store, QUADS), published(HONEST, QUADS[:3])]
    check(Reader([one.snapshot for one in truth]), truth, random.Random(1))
