"""JSON-LD in web pages."""

from __future__ import annotations

import time

import pytest

from dkg.errors import LimitError
from node.imports.errors import MappingError, SourceError
from node.imports.markup import plain_text
from tests.node.imports.desk import imported

THING = '{"@context":"https://schema.org","@id":"https://example.org/a","name":"x"}'


def script(text: str, kind: str = "application/ld+json") -> str:
    return f'<p><script type="{kind}">{text}</script>'


def test_every_block_of_a_page_is_read() -> None:
    page = script(
        '{"@context":"http://schema.org/","@type":"Article","headline":"<b>&amp;","url":"https://example.org/u",'
        '"author":{"@type":"Person","name":"Ada"}}'
    ) + script(f'[{THING},{{"@context":"https://schema.org","@type":"Event","name":"E"}}]', "Application/LD+JSON; x=y")
    found = imported("html", page)
    assert ("schema:name", '"x"') in found.about(":a")
    (article,) = {s for s, p, o in found.triples if o == "schema:Article"}
    (event,) = {s for s, p, o in found.triples if o == "schema:Event"}
    assert found.about(article) >= {("schema:headline", '"<b>&amp;"'), ("schema:url", ":u")}
    assert article.startswith("items:")
    assert event.startswith("items:")
    places = {(s, o.partition("#")[2]) for s, p, o in found.record if p == "prov:wasDerivedFrom"}
    assert places == {(article, "script=1"), (event, "script=2"), (":a", "script=2")}


def test_nodes_that_name_each_other_by_blank_nodes_stay_together() -> None:
    page = script(
        '{"@context":"https://schema.org","@graph":[{"@id":"_:x","name":"P","knows":{"@id":"_:y"}},'
        '{"@id":"_:y","name":"Q","knows":{"@id":"_:x"}}]}'
    )
    found = imported("html", page)
    names = {o: s for s, p, o in found.triples if p == "schema:name"}
    assert found.about(names['"P"']) == {("schema:name", '"P"'), ("schema:knows", names['"Q"'])}
    assert found.about(names['"Q"']) == {("schema:name", '"Q"'), ("schema:knows", names['"P"'])}


def test_all_blocks_that_are_wrong_are_named_and_nothing_is_imported() -> None:
    remote = '{"@context":"https://evil.example/c","name":1}'
    with pytest.raises(SourceError, match=r"block 2: .*does not parse.*; block 3: .*never fetched"):
        imported("html", script(THING) + script("{bad") + script(remote))


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<p>nothing", "there is nothing to import"),
        (f"<!-- {script(THING)} -->", "there is nothing to import"),
        (f"<textarea>{script(THING)}</textarea>", "there is nothing to import"),
        (script("5"), "neither an object nor a list"),
        (script("{}"), "it says nothing"),
        (script("[" * 300), "nested over 256"),
        (script('{"@context":"https://schema.org","@id":"rel","name":"x"}'), "the IRI 'rel' is relative.*--base"),
        (script('{"@context":"https://schema.org","name":{"@value":"x","@direction":"rtl"}}'), "@direction"),
        (script('{"@context":"https://schema.org","@id":"urn:g","@graph":[' + THING + "]}"), "named graphs"),
        (script(THING).encode() + b"\xff", "is not UTF-8"),
        (script(THING) + "\0", "null character"),
    ],
)
def test_pages_that_cannot_be_read_are_refused(page: str | bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        imported("html", page)


def test_relative_iris_are_relative_to_the_base_or_the_source() -> None:
    page = script('{"@context":"https://schema.org","@id":"b","name":"x"}')
    assert imported("html", page, base="https://example.org/dir/").about(":dir/b")
    assert imported("html", page, source="https://example.org/page").about(":b")


def test_a_mapping_is_not_for_pages() -> None:
    with pytest.raises(MappingError, match="not for html"):
        imported("html", script(THING), b'{"@context": {}}')


@pytest.mark.parametrize(("name", "most"), [("BLOCKS_MAX", 2), ("PAGE_BYTES_MAX", 2 * len(script(THING)))])
def test_pages_are_limited(name: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"node.imports.webpages.{name}", most)
    assert imported("html", script(THING) * 2).triples
    with pytest.raises(LimitError, match=name):
        imported("html", script(THING) * 3)


def test_elements_are_limited_in_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.imports.markup.ELEMENTS_DEPTH_MAX", 12)  # html and body are two of them
    assert plain_text("<div>" * 10 + "x") == "x"
    with pytest.raises(LimitError, match="ELEMENTS_DEPTH_MAX"):
        plain_text("<div>" * 11 + "x")


@pytest.mark.parametrize("part", ["<a ", "<!--", "<a b='", "</", "<![CDATA[", "<", "&#"])
def test_markup_made_to_be_slow_is_not(part: str) -> None:
    """The standard library's parser takes 42 s of processor time for 24 kB of the first of these."""
    start = time.process_time()
    plain_text(part * (300_000 // len(part)))
    assert time.process_time() - start < 5


def test_plain_text_has_no_markup_and_no_scripts() -> None:
    html = "<p>Hello <b>w</b>orld</p><script>x</script><style>y</style>a&nbsp;&lt;b<br>c"
    assert plain_text(html) == "Hello world a <b c"
