"""Imports as assets: what stays when nothing changed, and what goes with the content."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dkg.errors import InputError, LimitError
from node.assets import items
from node.assets.edits import retract
from node.assets.errors import AssetError
from node.assets.items import ItemsRecord, items_graph
from node.assets.provenance import about
from node.assets.request import PublishOptions, Request, publish_request
from node.imports.options import ImportOptions, import_of
from tests.node.assets.world import NOW, PUBLISHER, World, ual

if TYPE_CHECKING:
    from pathlib import Path


MAPPING = {
    "@context": {"name": "https://schema.org/name"},
    "@id": "https://example.org/{code}",
    "ignore": ["code"],
}
CSV = "code,name\nA,a\nB,b\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "same.csv").write_text("code,name\nB,b\nA,a\n")
    (tmp_path / "b.nt").write_text("<urn:s> <urn:p> <urn:o> .\n")
    (tmp_path / "x.bib").write_text("@misc{k, title={T}, odd={x}}")
    return tmp_path


def request(folder: Path, *names: str, now: int = NOW, kind: str | None = None, **more: Any) -> Request:  # noqa: ANN401
    mapping = json.dumps(MAPPING).encode() if any("csv" in name for name in names) else None
    files = tuple(str(folder / name) for name in names)
    options = ImportOptions(kind, more.pop("mapping", mapping), source=more.pop("source", None))
    return publish_request(PUBLISHER, PublishOptions("a", files, imports=options, **more), now)


GRAPH = items_graph(ual("a"))


def test_where_items_are_from_stands_in_a_graph_of_its_own(folder: Path) -> None:
    world = World()
    world.apply(request(folder, "t.csv", "b.nt").edit)
    assert len(world.graph(ual("a").graph)) == 3
    assert world.ask(
        f"""PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX dcterms: <http://purl.org/dc/terms/>
        ASK {{ GRAPH <{ual("a")}#items> {{ <https://example.org/B> prov:wasDerivedFrom ?place .
          ?place dcterms:isPartOf ?file . ?file dcterms:format "csv" .
          ?import prov:used ?file ; prov:endedAtTime ?when . FILTER(STR(?when) = "2027-01-15T08:00:00Z")
          FILTER(STRENDS(STR(?place), "#row=3")) }} }}"""
    )


def test_the_same_import_again_changes_nothing_whenever_it_is_made(folder: Path) -> None:
    world = World()
    first, again = request(folder, "t.csv"), request(folder, "t.csv", now=NOW + 99)
    assert first.id == again.id
    world.apply(first.edit)
    assert not world.change(again.edit)


def test_the_same_content_from_another_file_is_told(folder: Path) -> None:
    world = World()
    world.apply(request(folder, "t.csv").edit)
    other = request(folder, "same.csv", now=NOW + 99)
    assert other.id != request(folder, "t.csv").id
    change = world.apply(other.edit)
    assert {quad[3] for quad in change.add} == {GRAPH, ual("a").provenance_graph}
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert (found.generated, found.modified) == ("2027-01-15T08:00:00Z", "2027-01-15T08:01:39Z")


def test_it_goes_with_the_content_and_stays_with_it(folder: Path) -> None:
    world = World()
    world.apply(request(folder, "t.csv").edit)
    before = world.graph(GRAPH)
    assert before
    world.apply(request(folder, "t.csv", now=NOW + 5, title="T").edit)
    assert world.graph(GRAPH) == before
    world.apply(request(folder, "b.nt").edit)
    assert world.graph(GRAPH) == set()
    world.apply(request(folder, "t.csv").edit)
    world.apply(retract(ual("a"), NOW + 9))
    assert world.graph(GRAPH) == set()
    assert world.graph(ual("a").graph) == set()


def test_a_file_cannot_write_there(folder: Path) -> None:
    (folder / "f.nq").write_text(f"<urn:s> <urn:p> <urn:o> {GRAPH.decode()} .\n")
    with pytest.raises(AssetError, match="only says what dkg itself writes"):
        request(folder, "f.nq")


def test_what_is_left_out_is_a_warning(folder: Path) -> None:
    (told,) = request(folder, "x.bib").warnings
    assert "'odd' (1)" in told


@pytest.mark.parametrize(
    ("names", "more", "reason"),
    [
        (("b.nt",), {"mapping": b"{}"}, "no file is imported"),
        (("b.nt",), {"source": "urn:x"}, "no file is imported"),
        (("b.nt",), {"kind": "csv", "format": "nt"}, "not both"),
        (("b.nt",), {"contexts": (("urn:c", "c.json"),)}, "none is given as one"),
        (("t.csv",), {"source": "no iri"}, "no absolute IRI"),
        (("t.csv", "same.csv"), {"source": "urn:x"}, "same.csv: a source is that of one file"),
    ],
)
def test_options_that_do_not_go_together(
    folder: Path, names: tuple[str, ...], more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        request(folder, *names, **more)


@pytest.mark.parametrize(
    ("name", "mapping", "kind"),
    [
        ("a.csv", False, "csv"),
        ("A.TSV.GZ", False, "csv"),
        ("a.json", True, "json"),
        ("a.json", False, None),
        ("a.htm", False, "html"),
        ("a.bib", False, "bibtex"),
        ("a.atom", False, "rss"),
        ("a.ttl", True, None),
        ("a.xml", False, None),
    ],
)
def test_names_tell_what_a_file_is(name: str, mapping: bool, kind: str | None) -> None:  # noqa: FBT001 - a column
    assert import_of(name, None, mapping=mapping) == kind
    assert import_of(name, "rss", mapping=mapping) == "rss"


def test_the_graph_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    triples = [(b"<urn:s>", b"<urn:p>", b'"%d"' % n) for n in range(3)]
    monkeypatch.setattr(items, "ITEM_QUADS_MAX", 2)
    assert ItemsRecord.of(ual("a"), triples[:2]).quads
    with pytest.raises(LimitError, match="2 is the most"):
        ItemsRecord.of(ual("a"), triples)
