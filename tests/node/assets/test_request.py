"""Requests: from files and options to an edit, the same request for the same command."""

from __future__ import annotations

import gzip
import io
import sys
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from dkg.errors import InputError, LimitError, RdfError
from node.assets import edits
from node.assets.errors import AssetError, IntegrityError, ShapesError
from node.assets.provenance import About, about
from node.assets.report import ShapesViolated
from node.assets.request import PublishOptions, Request, asset_of, publish_request, retract_request
from tests.node.assets.signing import CONTEXT, DID, DOCUMENT, encoded, signed
from tests.node.assets.world import NOW, OTHER, PUBLISHER, TIME, World, triples, ual

if TYPE_CHECKING:
    from pathlib import Path

TTL = "@prefix : <https://example.org/> . :s :p 1, [ :q 2 ] ."
SHAPES = """@prefix : <https://example.org/> . @prefix sh: <http://www.w3.org/ns/shacl#> .
:S a sh:NodeShape ; sh:targetSubjectsOf :p ; sh:property [ sh:path :p ; sh:maxCount 2 ], [ sh:path :w ; sh:minCount 1 ;
sh:severity sh:Warning ] ."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.ttl").write_text(TTL)
    (tmp_path / "b.nt").write_text("<urn:s> <urn:p> <urn:o> .\n")
    (tmp_path / "shapes.ttl").write_text(SHAPES)
    (tmp_path / "signed.jsonld").write_bytes(encoded(signed()))
    return tmp_path


def options(folder: Path, *files: str, **more: Any) -> PublishOptions:  # noqa: ANN401
    return PublishOptions("a", tuple(str(folder / file) for file in files), **more)


def request(folder: Path, *files: str, **more: Any) -> Request:  # noqa: ANN401
    return publish_request(PUBLISHER, options(folder, *files, **more), NOW)


def test_files_become_an_asset(folder: Path) -> None:
    world = World()
    made = request(folder, "a.ttl", "b.nt", title="T", licence="urn:l", authors=("urn:x",), derived_from=("urn:d",))
    world.apply(made.edit)
    assert world.graph(ual("a").graph) >= triples("a", ":s :p 1, [ :q 2 ] .")
    assert (made.label, made.quads, made.ual) == ("publish a (4 quads)", 4, ual("a"))
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert (found.title, found.licence, found.authors, found.derived_from) == ("T", "urn:l", ("urn:x",), ("urn:d",))
    assert (made.report, made.signed, made.warnings) == (None, None, [])


def test_a_request_is_known_again_whenever_and_however_it_is_made(folder: Path) -> None:
    first = request(folder, "a.ttl", "b.nt", derived_from=("urn:a", "urn:b"))
    (folder / "other.ttl").write_text("@prefix e: <https://example.org/> . e:s e:p 1 . e:s e:p _:x . _:x e:q 02 .")
    again = publish_request(
        PUBLISHER,
        replace(options(folder, "b.nt", "other.ttl", "b.nt"), name=str(ual("a")), derived_from=("urn:b", "urn:a")),
        NOW + 5,
    )
    assert first.id == again.id
    assert len(first.id) == 32
    world = World()
    world.apply(first.edit)
    assert not world.change(again.edit)


def test_a_request_for_anything_else_is_another(folder: Path) -> None:
    base = options(folder, "a.ttl")
    others = [
        base,
        replace(base, name="b"),
        replace(base, files=(str(folder / "b.nt"),)),
        replace(base, title="T"),
        replace(base, title=""),
        replace(base, licence="urn:l"),
        replace(base, authors=("urn:l",)),
        replace(base, authors=()),
        replace(base, derived_from=("urn:l",)),
        replace(base, supersedes=("c",)),
        replace(base, files=(str(folder / "signed.jsonld"),), credential=True),
    ]
    ids = [publish_request(PUBLISHER, one, NOW).id for one in others]
    ids += [publish_request(OTHER, base, NOW).id]
    ids += [retract_request(PUBLISHER, "a", NOW, reason).id for reason in (None, "", "why")]
    ids += [retract_request(PUBLISHER, "b", NOW).id]
    assert len(set(ids)) == len(ids)


def test_an_empty_name_is_how_to_say_none(folder: Path) -> None:
    world = World()
    world.apply(publish_request(PUBLISHER, replace(options(folder, "b.nt"), name="old"), NOW).edit)
    names = {"authors": ("urn:x",), "derived_from": ("urn:d",), "supersedes": ("old",)}
    world.apply(request(folder, "a.ttl", title="T", licence="urn:l", **names).edit)
    nothing: dict[str, Any] = dict.fromkeys(names, ("",))
    world.apply(request(folder, "a.ttl", title="", licence="", **nothing).edit)
    found = about(world.pages, world.now, ual("a"))
    assert found == About(ual("a"), TIME, TIME, TIME)


def test_a_retraction_takes_a_name_or_a_ual(folder: Path) -> None:
    world = World()
    world.apply(request(folder, "a.ttl").edit)
    one, other = retract_request(PUBLISHER, "a", NOW, "why"), retract_request(PUBLISHER, str(ual("a")), NOW + 1, "why")
    assert (one.id, one.label, one.ual) == (other.id, "retract a", ual("a"))
    world.apply(one.edit)
    assert not world.change(other.edit)
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert found.reason == "why"


def test_an_asset_is_superseded_by_name_or_ual(folder: Path) -> None:
    world = World()
    world.apply(request(folder, "a.ttl").edit)
    newer = replace(options(folder, "b.nt"), name="b")
    one, other = (publish_request(PUBLISHER, replace(newer, supersedes=(old,)), NOW) for old in ("a", str(ual("a"))))
    assert one.id == other.id
    world.apply(one.edit)
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert found.replaced_by == (str(ual("b")),)


def test_the_assets_of_others_are_none_of_ours() -> None:
    assert asset_of("a", PUBLISHER) == asset_of(str(ual("a")), PUBLISHER) == ual("a")
    with pytest.raises(AssetError, match="is not an asset of did:pkh"):
        asset_of(str(ual("a", OTHER)), PUBLISHER)
    with pytest.raises(InputError, match="is no UAL"):
        asset_of("did:key:z6Mk", PUBLISHER)
    with pytest.raises(InputError, match="is no name for an asset"):
        asset_of("a/b", PUBLISHER)


def test_packed_files_and_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "c.ttl.gz").write_bytes(gzip.compress(TTL.encode()))
    assert request(folder, "c.ttl.gz").id == request(folder, "a.ttl").id
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TTL.encode())))
    assert publish_request(PUBLISHER, PublishOptions("a", ("-",), "ttl"), NOW).id == request(folder, "a.ttl").id
    with pytest.raises(AssetError, match="standard input has no name"):
        publish_request(PUBLISHER, PublishOptions("a", ("-",)), NOW)


@pytest.mark.parametrize(
    ("name", "data", "error", "reason"),
    [
        ("none.ttl", None, InputError, "cannot read .*none.ttl: No such file"),
        ("x.ttl", b"<urn:s> <urn:p>", RdfError, "x.ttl: the document does not parse at line 1"),
        ("x.ttl", b"<s> <urn:p> 1 .", RdfError, "x.ttl: "),
        ("x.doc", b"", InputError, "does not tell its format"),
        ("x.ttl", b"", AssetError, "no triples to publish as 'a'"),
        ("x.ttl.gz", b"<urn:s>", InputError, "x.ttl.gz does not decompress"),
        ("x.ttl.gz", gzip.compress(b"<urn:s> <urn:p> 1 .", mtime=0)[:-9], InputError, "x.ttl.gz does not decompress"),
        ("x.nq", b"<urn:s> <urn:p> <urn:o> <urn:g> .", AssetError, "a quad is in the graph <urn:g>"),
    ],
)
def test_a_file_that_cannot_be_published_is_named(
    folder: Path, name: str, data: bytes | None, error: type[Exception], reason: str
) -> None:
    if data is not None:
        (folder / name).write_bytes(data)
    with pytest.raises(error, match=reason):
        request(folder, name)


def test_a_folder_and_no_file_at_all(folder: Path) -> None:
    (folder / "d.ttl").mkdir()
    with pytest.raises(InputError, match=r"d\.ttl: Is a directory"):
        request(folder, "d.ttl")
    with pytest.raises(AssetError, match="no file to publish as 'a'"):
        request(folder)


def test_relative_iris_are_relative_to_the_base(folder: Path) -> None:
    (folder / "r.ttl").write_text("<s> <urn:p> 1 .")
    world = World()
    world.apply(request(folder, "r.ttl", base="https://example.org/x/").edit)
    assert {quad[0] for quad in world.graph(ual("a").graph)} == {b"<https://example.org/x/s>"}


def test_too_large_a_file_is_refused_before_it_is_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "big.nt").write_text("".join(f"<urn:s> <urn:p> <urn:o{i}> .\n" for i in range(100)))
    monkeypatch.setattr(edits, "ASSET_QUADS_MAX", 99)
    with pytest.raises(LimitError, match="ASSET_QUADS_MAX"):
        request(folder, "big.nt")


# --- shapes ----------------------------------------------------------------------------------------------------


def test_shapes_warn_and_refuse(folder: Path) -> None:
    shapes = str(folder / "shapes.ttl")
    made = request(folder, "a.ttl", shapes=shapes)
    assert made.id == request(folder, "a.ttl").id
    assert made.report is not None
    assert made.report.nodes == 1
    assert made.warnings == ["warning: <https://example.org/s>, <https://example.org/w>: sh:minCount 1 is expected"]
    (folder / "a.ttl").write_text(TTL + " :s :p 3 .")
    with pytest.raises(ShapesViolated, match="sh:maxCount 2 is expected"):
        request(folder, "a.ttl", shapes=shapes)
    assert request(folder, "b.nt", shapes=shapes).warnings == [
        "the shapes have no target in this asset: nothing was checked"
    ]


def test_shapes_that_cannot_be_read_refuse(folder: Path) -> None:
    (folder / "packed.ttl.gz").write_bytes(gzip.compress(SHAPES.encode()))
    assert request(folder, "a.ttl", shapes=str(folder / "packed.ttl.gz")).report is not None
    for name, error, reason in (
        ("none.ttl", InputError, "cannot read .*none.ttl"),
        ("b.nt", ShapesError, "none of the shapes has a target"),
        ("shapes.txt", InputError, "cannot read"),
    ):
        with pytest.raises(error, match=reason):
            request(folder, "a.ttl", shapes=str(folder / name))


# --- credentials -----------------------------------------------------------------------------------------------


def test_a_signed_document_becomes_an_asset_that_says_who_signed_it(folder: Path) -> None:
    world = World()
    made = request(folder, "signed.jsonld", credential=True)
    world.apply(made.edit)
    assert made.signed is not None
    assert made.signed.signer == DID
    assert (b"<did:example:abcdefgh>", b"<https://www.w3.org/ns/credentials/examples#alumniOf>") in {
        quad[:2] for quad in world.graph(ual("a").graph)
    }
    assert not any(b"security#" in term for quad in world.graph(ual("a").graph) for term in quad)
    found = about(world.pages, world.now, ual("a"))
    assert found is not None
    assert found.signed == made.signed.recorded(NOW)
    assert made.signed.source_hash == sha256((folder / "signed.jsonld").read_bytes()).digest()
    later = publish_request(PUBLISHER, options(folder, "signed.jsonld", credential=True), NOW + 9)
    assert (later.id, bool(world.change(later.edit))) == (made.id, False)


def test_a_signed_document_that_does_not_hold_is_refused(folder: Path) -> None:
    (folder / "signed.jsonld").write_bytes(encoded({**signed(), "name": "Another"}))
    with pytest.raises(IntegrityError, match=r"signed\.jsonld: the signature is not of this key"):
        request(folder, "signed.jsonld", credential=True)
    with pytest.raises(IntegrityError, match=r"a\.ttl: the document does not parse"):
        request(folder, "a.ttl", credential=True)
    with pytest.raises(InputError, match="cannot read the signed document"):
        request(folder, "none.jsonld", credential=True)


def test_a_signed_document_with_graphs_of_its_own_is_refused(folder: Path) -> None:
    presentation = {
        "@context": CONTEXT,
        "type": "VerifiablePresentation",
        "verifiableCredential": {"@context": CONTEXT, "id": "urn:c", "type": "VerifiableCredential", "name": "N"},
    }
    (folder / "vp.jsonld").write_bytes(encoded(signed(presentation)))
    with pytest.raises(AssetError, match="a graph that a blank node names"):
        request(folder, "vp.jsonld", credential=True)


def test_the_signer_and_further_contexts_can_be_given(folder: Path) -> None:
    assert request(folder, "signed.jsonld", credential=True, signer=DID).signed is not None
    with pytest.raises(IntegrityError, match=r"signed by did:key:.*, not by did:key:z6Mk"):
        request(folder, "signed.jsonld", credential=True, signer="did:key:z6Mk")
    inline = signed({**DOCUMENT, "@context": [*CONTEXT, {"shoe": "urn:shoe"}], "shoe": "left"})
    (folder / "own.jsonld").write_bytes(encoded({**inline, "@context": [*CONTEXT, "https://example.org/c"]}))
    (folder / "c.jsonld").write_text('{"@context": {"shoe": "urn:shoe"}}')
    with pytest.raises(IntegrityError, match=r"'https://example\.org/c' is not among"):
        request(folder, "own.jsonld", credential=True)
    own = (("https://example.org/c", str(folder / "c.jsonld")),)
    assert request(folder, "own.jsonld", credential=True, contexts=own).quads == 10
    for wrong, reason in (("[", "Expecting"), ("5", "not iterable"), ("{}", "no member @context")):
        (folder / "c.jsonld").write_text(wrong)
        with pytest.raises(AssetError, match=f"c.jsonld is no JSON-LD context: .*{reason}"):
            request(folder, "own.jsonld", credential=True, contexts=own)


@pytest.mark.parametrize(
    ("files", "more", "reason"),
    [
        (("signed.jsonld", "a.ttl"), {"credential": True}, "is one file, not 2"),
        ((), {"credential": True}, "is one file, not 0"),
        (("signed.jsonld",), {"credential": True, "format": "ttl"}, "neither format nor base"),
        (("signed.jsonld",), {"credential": True, "base": "urn:x"}, "neither format nor base"),
        (("a.ttl",), {"signer": DID}, "none is given as one"),
        (("a.ttl",), {"contexts": (("urn:c", "c"),)}, "none is given as one"),
    ],
)
def test_options_that_do_not_go_together(
    folder: Path, files: tuple[str, ...], more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssetError, match=reason):
        request(folder, *files, **more)
