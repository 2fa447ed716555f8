"""Assets are created, changed, superseded, retracted; nothing else in the dataset moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dkg.errors import InputError, LimitError
from node.assets import edits, provenance
from node.assets.edits import Details, content, put, retract, supersede
from node.assets.errors import AssetError
from node.assets.provenance import About, Signed, about
from tests.datasets import university
from tests.node.assets.world import NOW, OTHER, TIME, World, triples, ual

CC = "https://creativecommons.org/licenses/by/4.0/"
LATER = "2027-01-15T08:01:40Z"
SIGNED = Signed(
    "did:key:z6Mk", "did:key:z6Mk#z6Mk", "eddsa-rdfc-2022", "assertionMethod", "z1", "ni:///sha-256;abc", TIME, TIME
)


def said(world: World, name: str) -> About:
    found = about(world.pages, world.now, ual(name))
    assert found is not None
    return found


def published(*names: str) -> World:
    world = World()
    for name in names:
        world.apply(put(ual(name), triples(name, f":{name} :n 1 ; :m 2 ."), Details(), NOW))
    return world


def test_an_asset_has_its_content_and_its_provenance() -> None:
    world = World()
    details = Details("A title", ("https://orcid.org/0000-0002-1825-0097",), CC, ("urn:b", "urn:a"))
    world.apply(put(ual("a"), triples("a", ":s :p 1, [ :q 2 ] ."), details, NOW))
    assert world.graph(ual("a").graph) == triples("a", ":s :p 1, [ :q 2 ] .")
    assert said(world, "a") == About(
        ual("a"), TIME, TIME, TIME, "A title", details.authors or (), CC, ("urn:a", "urn:b")
    )
    assert world.ask(
        "PREFIX d: <http://purl.org/dc/terms/> PREFIX p: <http://www.w3.org/ns/prov#> ASK { GRAPH ?g { ?s ?x 1 } "
        f"?g a p:Entity ; p:wasAttributedTo <{ual('a').publisher.did}> ; d:license <{CC}> ; d:title 'A title' }}"
    )


@pytest.mark.parametrize(
    "again",
    [
        Details(),
        Details(licence=CC),
        Details("T", ("urn:x",), CC, ("urn:b", "urn:a", "urn:b"), ()),
    ],
)
def test_the_same_again_is_no_change_whenever_it_is(again: Details) -> None:
    world = World()
    world.apply(put(ual("a"), triples("a", ":s :p [] ."), Details("T", ("urn:x",), CC, ("urn:a", "urn:b")), NOW))
    assert not world.change(put(ual("a"), triples("a", ":s :p [] ."), again, NOW + 100))


def test_a_change_replaces_the_content_and_keeps_when_it_was_created() -> None:
    world = published("a")
    change = world.apply(put(ual("a"), triples("a", ":a :n 1 ; :k 3 ."), Details(), NOW + 100))
    assert world.graph(ual("a").graph) == triples("a", ":a :n 1 ; :k 3 .")
    assert {quad[1] for quad in change.remove if quad[3] == ual("a").graph} == {b"<https://example.org/m>"}
    assert said(world, "a") == About(ual("a"), TIME, LATER, LATER)


def test_what_is_said_can_change_and_stay_and_go_without_the_content() -> None:
    world = published("a")
    world.apply(put(ual("a"), triples("a", ":a :n 1 ; :m 2 ."), Details("T", ("urn:x",), CC), NOW + 100))
    assert said(world, "a") == About(ual("a"), TIME, LATER, TIME, "T", ("urn:x",), CC)
    world.apply(put(ual("a"), triples("a", ":a :n 1 ; :m 2 ."), Details("", (), "", ()), NOW))
    assert said(world, "a") == About(ual("a"), TIME, TIME, TIME)


def test_a_retracted_asset_is_a_tombstone_and_can_come_back() -> None:
    world = published("a", "b")
    world.apply(put(ual("a"), triples("a", ":a :n 1 ; :m 2 ."), Details("T"), NOW))
    world.apply(retract(ual("a"), NOW + 100, "it was wrong"))
    assert world.graph(ual("a").graph) == set()
    assert said(world, "a") == About(ual("a"), TIME, LATER, TIME, "T", retracted=LATER, reason="it was wrong")
    assert not world.change(retract(ual("a"), NOW + 200))
    assert not world.change(retract(ual("a"), NOW + 200, "it was wrong"))
    world.apply(retract(ual("a"), NOW + 200, ""))
    assert said(world, "a").reason is None
    world.apply(put(ual("a"), triples("a", ":a :n 1 ; :m 2 ."), Details(), NOW + 100))
    assert said(world, "a") == About(ual("a"), TIME, LATER, LATER, "T")
    assert not world.graph(ual("a").provenance_graph) & {q for q in world.quads() if b"retraction" in q[0]}


def test_what_is_not_there_cannot_be_retracted() -> None:
    world = published("a")
    for where in (world, World()):
        with pytest.raises(AssetError, match="no asset 'b' of did:pkh"):
            where.change(retract(ual("b"), NOW))


def test_an_asset_supersedes_another_which_stays_and_says_so() -> None:
    world = published("a", "b")
    before = world.graph(ual("a").graph)
    world.apply(put(ual("b"), triples("b", ":b :n 1 ; :m 2 ."), Details(supersedes=(ual("a"),)), NOW + 100))
    assert world.graph(ual("a").graph) == before
    assert said(world, "a") == About(ual("a"), TIME, TIME, TIME, replaced_by=(str(ual("b")),))
    assert said(world, "b") == About(ual("b"), TIME, LATER, TIME, replaces=(str(ual("a")),))
    # Neither a change of the old one nor one of the new one ends it; only saying so does.
    world.apply(put(ual("a"), triples("a", ":a :n 5 ."), Details(), NOW + 100))
    world.apply(put(ual("b"), triples("b", ":b :n 5 ."), Details(), NOW + 100))
    world.apply(retract(ual("a"), NOW))
    assert said(world, "a").replaced_by == (str(ual("b")),)
    world.apply(put(ual("b"), triples("b", ":b :n 5 ."), Details(supersedes=()), NOW))
    assert (said(world, "a").replaced_by, said(world, "b").replaces) == ((), ())


def test_supersede_is_the_same_as_publishing_with_it() -> None:
    one, other = published("a", "b"), published("a", "b")
    one.apply(supersede(ual("b"), (ual("a"),), NOW + 100))
    other.apply(put(ual("b"), triples("b", ":b :n 1 ; :m 2 ."), Details(supersedes=(ual("a"),)), NOW + 100))
    assert one.now == other.now
    assert not one.change(supersede(ual("b"), (ual("a"),), NOW + 200))
    with pytest.raises(AssetError, match="no content of the asset 'c'"):
        one.change(supersede(ual("c"), (ual("a"),), NOW))


def test_what_cannot_be_superseded() -> None:
    world = published("a", "b", "c")
    world.apply(supersede(ual("b"), (ual("a"),), NOW))
    world.apply(supersede(ual("c"), (ual("b"),), NOW))
    for new, old, reason in [
        ("c", "x", "no asset 'x' of yours that 'c' could supersede"),
        ("c", "a", f"superseded already, by {ual('b')}: supersede that one"),
        ("a", "b", "superseded already"),
        ("a", "c", "'c' supersedes 'a': the reverse cannot hold"),
    ]:
        with pytest.raises(AssetError, match=reason):
            world.change(supersede(ual(new), (ual(old),), NOW))
    with pytest.raises(AssetError, match="cannot supersede itself"):
        supersede(ual("a"), (ual("a"),), NOW)
    with pytest.raises(AssetError, match="another publisher's; name it as a source"):
        supersede(ual("a"), (ual("a", OTHER),), NOW)
    with pytest.raises(AssetError, match="no asset 'x'"):
        World().change(put(ual("a"), triples("a", ":a :n 1 ."), Details(supersedes=(ual("x"),)), NOW))


def test_a_long_succession_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = published("a", "b", "c", "d")
    world.apply(supersede(ual("b"), (ual("a"),), NOW))
    world.apply(supersede(ual("c"), (ual("b"),), NOW))
    monkeypatch.setattr(edits, "SUCCESSION_MAX", 3)
    assert world.change(supersede(ual("d"), (ual("c"),), NOW))
    monkeypatch.setattr(edits, "SUCCESSION_MAX", 2)
    with pytest.raises(LimitError, match="SUCCESSION_MAX"):
        world.change(supersede(ual("d"), (ual("c"),), NOW))


def test_a_signature_is_remembered_until_the_content_changes() -> None:
    world = World()
    quads = triples("a", ":s :p 1 .")
    world.apply(put(ual("a"), quads, Details(), NOW, SIGNED))
    assert said(world, "a").signed == SIGNED
    assert not world.change(put(ual("a"), quads, Details(), NOW + 100, replace(SIGNED, checked=LATER)))
    assert not world.change(put(ual("a"), quads, Details(), NOW + 100))
    other = replace(SIGNED, proof_value="z2", created=None, expires=LATER)
    world.apply(put(ual("a"), quads, Details(), NOW, other))
    assert said(world, "a").signed == other
    world.apply(put(ual("a"), triples("a", ":s :p 2 ."), Details(), NOW))
    assert said(world, "a").signed is None


def test_a_provenance_graph_with_anything_else_in_it_is_put_right() -> None:
    world = published("a")
    clean = world.quads()
    stranger = (ual("a").graph, b"<urn:p>", b'"x"', ual("a").provenance_graph)
    world.load([*clean, stranger])
    world.apply(put(ual("a"), triples("a", ":a :n 1 ; :m 2 ."), Details(), NOW))
    assert world.quads() == clean


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("GRAPH <{other}> {{ :s :p 1 }}", r"<{other}>; all quads of the asset 'a' belong in <{own}>, or in no graph"),
        ("GRAPH <{own}#provenance> {{ <{own}> :p 1 }}", "<{own}#provenance>, which only says what dkg itself writes"),
        ("GRAPH _:b {{ :s :p 1 }}", "a graph that a blank node names"),
        ("GRAPH <{own}#x> {{ :s :p 1 }}", "<{own}#x>; all quads"),
        ("GRAPH <https://example.org/g> {{ :s :p 1 }} :s :p 2 .", "https://example.org/g>; all quads"),
        ("GRAPH <{own}> {{ }}", "no triples to publish as 'a'; to take its content back, retract it"),
    ],
)
def test_a_document_that_writes_elsewhere_is_refused(document: str, reason: str) -> None:
    names = {"own": ual("a"), "other": ual("b")}
    with pytest.raises(AssetError) as caught:
        triples("a", document.format(**names), format="trig")
    assert reason.format(**names) in str(caught.value)
    assert triples("a", f":s :p 1 . GRAPH <{ual('a')}> {{ :s :p 2 }}", format="trig")


def test_an_edit_takes_no_quad_of_another_graph() -> None:
    with pytest.raises(AssetError, match="all quads of the asset 'a' belong"):
        put(ual("a"), triples("b", "<urn:s> <urn:p> 1 ."), Details(), NOW)


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (
            {"licence": "CC-BY-4.0"},
            r"'CC-BY-4.0' is no absolute IRI; a licence is named by an IRI, such as https://crea",
        ),
        ({"licence": "https://e.org/a b"}, "no absolute IRI"),
        ({"licence": "urn:a> <urn:b> <urn:c"}, "no absolute IRI"),
        ({"licence": r"urn:\u0061"}, "no IRI in normal form: write 'urn:a'"),
        ({"licence": "urn:\ud800"}, "no absolute IRI"),
        ({"derived_from": ("data.ttl",)}, "'data.ttl' is no absolute IRI; a source is named by an IRI"),
        ({"authors": ("Ada Lovelace",)}, "'Ada Lovelace' is no absolute IRI; an author is named by an IRI"),
        ({"title": "\udcff"}, "half a character"),
    ],
)
def test_what_is_said_must_be_sayable(details: dict[str, Any], reason: str) -> None:
    with pytest.raises(AssetError, match=reason):
        Details(**details)


def test_the_limits_hold_and_one_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    most = provenance.TEXT_CHARACTERS_MAX
    names = tuple(f"urn:{i}" for i in range(edits.NAMES_MAX + 1))
    older = tuple(ual(f"n{i}") for i in range(edits.NAMES_MAX + 1))
    assert len(Details("t" * most, names[1:], None, names[1:], older[1:]).given()) == 4
    too_much: list[dict[str, Any]] = [
        {"title": "t" * (most + 1)},
        {"authors": names},
        {"derived_from": names},
        {"supersedes": older},
    ]
    for details in too_much:
        with pytest.raises(LimitError):
            Details(**details)
    assert published("a").change(retract(ual("a"), NOW, "r" * most))
    with pytest.raises(LimitError, match=f"the reason has {most + 1} characters"):
        retract(ual("a"), NOW, "r" * (most + 1))
    quads = triples("a", ":s :p 1, 2, 3 .")
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 3)
    monkeypatch.setattr(edits, "ASSET_BYTES_MAX", sum(len(term) for quad in quads for term in quad[:3]))
    assert content([list(quads), list(quads)], ual("a")) == quads
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 2)
    with pytest.raises(LimitError, match="ASSET_QUADS_MAX"):
        content([list(quads)], ual("a"))
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 3)
    monkeypatch.setattr(edits, "ASSET_BYTES_MAX", edits.ASSET_BYTES_MAX - 1)
    with pytest.raises(LimitError, match="ASSET_BYTES_MAX"):
        content([list(quads)], ual("a"))


def test_a_larger_graph_than_is_allowed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = published("a")
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 2)
    assert world.change(retract(ual("a"), NOW))
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 1)
    with pytest.raises(LimitError, match=f"<{ual('a')}> has 2 quads; 1 is the most"):
        world.change(retract(ual("a"), NOW))


def test_times_before_1970_or_after_9999_are_refused() -> None:
    assert provenance.time_text(253_402_300_799) == "9999-12-31T23:59:59Z"
    for seconds in (-1, 253_402_300_800):
        with pytest.raises(AssetError, match="is no time"):
            retract(ual("a"), seconds)


def test_an_edit_reads_its_asset_and_not_the_rest() -> None:
    """The work is in proportion to the asset: the same in a dataset that is forty times larger."""
    read = []
    for students in (100, 4000):
        world = World()
        small = triples("a", " ".join(f":s{i} :p {i} ." for i in range(400)))
        world.load(university(students), list(world.change(put(ual("a"), small, Details(), NOW)).add))
        assert world.pages.root(world.now).count > 6 * students
        for edit in (
            put(ual("a"), triples("a", ":s0 :p 0 ."), Details(), NOW),
            retract(ual("a"), NOW),
            put(ual("b"), triples("b", ":s0 :p 0 ."), Details(), NOW),
        ):
            pages = world.recorded()
            assert edit(pages, world.now)
            read.append(len(pages.read))
    small_ones, large_ones = read[:3], read[3:]
    assert all(large <= small + 12 for small, large in zip(small_ones, large_ones, strict=True)), read
    assert max(small_ones[:2]) < 60
    assert large_ones[2] < 20


def test_names_that_only_begin_like_an_asset_are_others() -> None:
    world = published("a", "a.b", "a-b", "ab", "a0")
    rest = {quad for quad in world.quads() if quad[3] not in {ual("a").graph, ual("a").provenance_graph}}
    world.apply(retract(ual("a"), NOW))
    assert {quad for quad in world.quads() if quad[3] != ual("a").provenance_graph} == rest


def test_another_publisher_s_asset_of_that_name_is_another() -> None:
    world = published("a")
    assert about(world.pages, world.now, ual("a", OTHER)) is None
    with pytest.raises(InputError, match="no asset 'a'"):
        world.change(retract(ual("a", OTHER), NOW))
