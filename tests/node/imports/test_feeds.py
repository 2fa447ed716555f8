"""RSS, Atom and podcast feeds."""

from __future__ import annotations

import pytest

from dkg.errors import LimitError
from node.imports.errors import SourceError
from tests.node.imports.desk import Imported, imported

PODCAST = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>
<title>Pod</title><link>https://example.org/</link><language>en-us</language>
<item><title>One</title><guid isPermaLink="false">abc</guid><link>https://example.org/1</link>
<description>&lt;p&gt;Hello &lt;b&gt;w&lt;/b&gt;orld&lt;/p&gt;&lt;script&gt;x&lt;/script&gt;</description>
<pubDate>Tue, 10 Nov 2026 10:00:00 +0200</pubDate><category>news</category>
<enclosure url="https://example.org/1.mp3" type="audio/mpeg" length="123"/>
<itunes:duration>1:02:03</itunes:duration><itunes:author>Ann</itunes:author><itunes:episode>7</itunes:episode>
</item></channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><id>tag:x,2020:1</id><title>A</title><entry><id>urn:uuid:1</id>
<title type="html">&lt;b&gt;B&lt;/b&gt; &amp;amp; c</title><updated>2003-12-13T18:30:02.25+01:00</updated>
<link href="https://example.org/b"/><author><name>John</name></author>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Hi <i>there</i></p></div></content></entry></feed>"""


def item(inner: str, head: str = "") -> Imported:
    xml = f'<?xml version="1.0"?>{head}<rss version="2.0"><channel><title>T</title><link>https://example.org/</link>'
    return imported(
        "rss", f"{xml}<item><title>t</title><guid>https://example.org/1</guid>{inner}</item></channel></rss>"
    )


def test_an_episode_of_a_podcast() -> None:
    found = imported("rss", PODCAST)
    author = next(s for s, p, o in found.triples if o == '"Ann"')
    assert found.about(":1") == {
        ("rdf:type", "schema:PodcastEpisode"),
        ("schema:name", '"One"@en-us'),
        ("schema:description", '"Hello world"@en-us'),
        ("schema:url", ":1"),
        ("schema:partOfSeries", ":"),
        ("schema:keywords", '"news"'),
        ("schema:datePublished", '"2026-11-10T08:00:00Z"^^xsd:dateTime'),
        ("schema:duration", '"PT1H2M3S"^^xsd:duration'),
        ("schema:episodeNumber", '"7"^^xsd:integer'),
        ("schema:author", author),
        ("schema:associatedMedia", ":1.mp3"),
    }
    assert found.about(":1.mp3") == {
        ("rdf:type", "schema:AudioObject"),
        ("schema:contentUrl", ":1.mp3"),
        ("schema:encodingFormat", '"audio/mpeg"'),
        ("schema:contentSize", '"123"^^xsd:integer'),
    }
    assert ("rdf:type", "schema:PodcastSeries") in found.about(":")
    places = {(s, o.partition("#")[2]) for s, p, o in found.record if p == "prov:wasDerivedFrom"}
    assert places == {(":", "feed"), (":1", "item=1")}
    assert any(p == "dcterms:identifier" and o == '"abc"' for _, p, o in found.record)
    assert found.warnings == []


def test_an_entry_of_atom() -> None:
    said = imported("rss", ATOM).about("urn:uuid:1")
    assert said >= {
        ("rdf:type", "schema:Article"),
        ("schema:headline", '"B & c"'),
        ("schema:description", '"Hi there"'),
        ("schema:dateModified", '"2003-12-13T17:30:02Z"^^xsd:dateTime'),
        ("schema:isPartOf", "tag:x,2020:1"),
        ("schema:url", ":b"),
    }
    assert not {p for p, _ in said} & {"schema:datePublished"}


def test_an_item_without_an_iri_is_named_by_what_it_says() -> None:
    feed = PODCAST.replace("<link>https://example.org/1</link>", "")
    (one,) = {s for s, p, o in imported("rss", feed).triples if o == "schema:PodcastEpisode"}
    (other,) = {s for s, p, o in imported("rss", feed.replace("One", "Two")).triples if o == "schema:PodcastEpisode"}
    assert one == other  # its guid is the same
    assert one.startswith("items:")


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://127.0.0.1:9/rss.dtd">',
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
    ],
)
def test_entities_that_grow_or_come_from_elsewhere_are_refused(declared: str) -> None:
    with pytest.raises(SourceError, match="document type"):
        item("<description>&x;</description>", declared)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("<html></html>", "neither RSS nor Atom"),
        ("plain text", "does not parse"),
        ("https://example.org/feed.xml", "does not parse"),
        ("/etc/hostname", "does not parse"),
        (b"<?xml version='1.0' encoding='utf-16'?><rss/>", "in 'utf-16'"),
        (b"\xff\xfe<\x00", "UTF-16"),
        (b"<rss><channel>\xff</channel></rss>", "is not utf-8"),
        ("<rss version='2.0'><channel><item><title>t</item></channel></rss>", "does not parse"),
        ("<rss version='2.0'><channel></channel></rss>", "has no item"),
    ],
)
def test_feeds_that_cannot_be_read_are_refused(data: str | bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        imported("rss", data)


def test_other_encodings_that_the_feed_declares_are_read() -> None:
    head = "<?xml version='1.0' encoding='ISO-8859-1'?><rss version='2.0'><channel>"
    xml = head + "<item><title>café</title></item></channel></rss>"
    assert any(o == '"café"' for _, _, o in imported("rss", xml.encode("latin-1")).triples)


@pytest.mark.parametrize(
    ("inner", "warning"),
    [
        ("<pubDate>nonsense</pubDate>", "item 1: its date 'nonsense'"),
        ('<enclosure url="rel.mp3" type="audio/mpeg"/>', "item 1: an enclosure has no address"),
    ],
)
def test_what_cannot_be_said_is_left_out_with_a_warning(inner: str, warning: str) -> None:
    (told,) = item(inner).warnings
    assert warning in told


@pytest.mark.parametrize(
    "date",
    [
        "9" * 5_000,
        "2012-" + "9" * 4_500,
        "Fri, 3 Feb 2012 23:59:00 +9999",
        "Fri, 3 Feb 2012 23:59:00 XYZ",
        "2012",
        "2012-02",
        "2012-01-01T" * 20_000,
        "Fri, 30 Feb 2012 10:00:00 GMT",
    ],
)
def test_a_date_that_could_only_be_guessed_at_is_left_out(date: str) -> None:
    found = item(f"<pubDate>{date}</pubDate>")
    assert not [p for _, p, _ in found.triples if p == "schema:datePublished"]
    (told,) = found.warnings
    assert "its date" in told


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("Tue, 03 Feb 2012 23:59:00 +0100", "2012-02-03T22:59:00Z"),
        ("3 Feb 2012 23:59 EST", "2012-02-04T04:59:00Z"),
        ("2012-02-03", "2012-02-03T00:00:00Z"),
        ("2012-02-03T10:00:00.5-02:00", "2012-02-03T12:00:00Z"),
    ],
)
def test_dates_that_rss_and_atom_know_are_read(date: str, said: str) -> None:
    assert any(o == f'"{said}"^^xsd:dateTime' for _, _, o in item(f"<pubDate>{date}</pubDate>").triples)


def test_addresses_that_run_something_are_none() -> None:
    found = item("<link>javascript:alert(1)</link>")
    assert not any("javascript" in term for triple in found.triples for term in triple)


def test_texts_that_are_no_html_keep_their_angles() -> None:
    feed = ATOM.replace('<title type="html">&lt;b&gt;B&lt;/b&gt; &amp;amp; c', '<title type="text">if x &lt;y then')
    assert ("schema:headline", '"if x <y then"') in imported("rss", feed).about("urn:uuid:1")


@pytest.mark.parametrize(
    ("name", "most", "within", "over"),
    [
        ("CELL_CHARACTERS_MAX", 21, "x" * 21, "x" * 22),
        ("HTML_CHARACTERS_MAX", 21, "x" * 21, "x" * 22),
        ("FEED_ITEMS_MAX", 1, "x", "x</description></item><item><description>y"),
    ],
)
def test_limits(name: str, most: int, within: str, over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"node.imports.feeds.{name}", most)
    assert item(f"<description>{within}</description>").triples
    with pytest.raises(LimitError, match=name):
        item(f"<description>{over}</description>")


def test_feeds_are_limited_in_bytes_and_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitError, match="RDF_DEPTH_MAX"):
        item("<a>" * 256 + "</a>" * 256)
    monkeypatch.setattr("node.imports.feeds.FEED_BYTES_MAX", len(PODCAST.encode()))
    assert imported("rss", PODCAST).triples
    with pytest.raises(LimitError, match="FEED_BYTES_MAX"):
        imported("rss", PODCAST + " ")
