"""RSS, Atom and podcast feeds: an item is a schema:Article, or a schema:PodcastEpisode if it has sound or pictures.

Read by feedparser, from bytes alone: a text that looks like an address or a path would be opened. Before that the XML
is held to the bounds of `dkg.rdf_safety` (no entities that grow, no deep nesting), and must be well formed: a guess at
what a broken feed says would be signed as if it were said.

HTML in descriptions becomes plain text, here: feedparser's own cleaning of it takes time that grows with the square of
its length, and is off. Dates become xsd:dateTime in UTC; one that is none is left out, with a warning.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import feedparser  # type: ignore[import-untyped]

from dkg.errors import InputError, LimitError
from dkg.rdf_safety import check_nesting
from node.imports.errors import SourceError
from node.imports.item import Item, iri_term
from node.imports.limits import CELL_CHARACTERS_MAX, FEED_BYTES_MAX, FEED_ITEMS_MAX, HTML_CHARACTERS_MAX
from node.imports.markup import plain_text
from node.imports.tables import digest_of
from node.imports.vocabulary import SCHEMA, Builder, text_literal, typed_literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from time import struct_time

    from node.imports.item import Bounded

_ENCODING: Final = re.compile(rb"<\?xml[^>]{0,100}?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"'][^>]{0,100}?\?>")
_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_DURATION: Final = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,4}):)?([0-9]{1,7})")
_DATE_MAX: Final = 100
_RFC822: Final = re.compile(
    r"(?:[A-Za-z]{3,9},? )?[0-9]{1,2}[ -][A-Za-z]{3,9}[ -](?:[0-9]{2}|[0-9]{4})"
    r"(?: [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: (?:[+-](?:0[0-9]|1[0-4])[0-5][0-9]|UTC?|GMT|Z|[ECMP][SD]T))?)?"
)
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:[Zz]|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?)?"
)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_MEDIA: Final = {"audio": f"{SCHEMA}AudioObject", "video": f"{SCHEMA}VideoObject"}
_WARNINGS_MAX: Final = 20


class FeedImport:
    """The import of one feed. `names`: what the IRIs of items begin with that the feed gives no IRI."""

    def __init__(self, base: str | None, names: str) -> None:
        self._base = base
        self._names = names
        self.warnings: list[str] = []

    def items(self, source: Bounded) -> Iterator[Item]:
        """See `node.imports.item.Import`."""
        parsed = parsed_feed(source.whole(FEED_BYTES_MAX, "FEED_BYTES_MAX"), self._base)
        entries, feed = parsed["entries"], parsed["feed"]
        if len(entries) > FEED_ITEMS_MAX:
            raise LimitError(f"the feed has {len(entries)} items; {FEED_ITEMS_MAX} is the most (FEED_ITEMS_MAX)")
        if not entries:
            raise SourceError("the feed has no item")
        podcast = any(_media(entry) for entry in entries)
        channel = self._channel(feed, podcast=podcast)
        yield channel
        language = str(feed.get("language", ""))
        language = language.lower() if _LANGUAGE.fullmatch(language) else ""
        for number, entry in enumerate(entries, 1):
            try:
                yield self._item(entry, number, channel.nodes[0], language, podcast=podcast)
            except InputError as error:
                raise type(error)(f"item {number}: {error}") from error

    def _channel(self, feed: Any, *, podcast: bool) -> Item:  # noqa: ANN401 - feedparser has no types
        own = [str(link.get("href", "")) for link in feed.get("links", []) if link.get("rel") == "self"]
        given = [str(feed.get("id", "")), str(feed.get("link", "")), *own]
        subject = _first_iri(given) or f"<{self._names}feed>".encode()
        made = Builder(f"{self._names}feed")
        made.types(subject, f"{SCHEMA}PodcastSeries" if podcast else f"{SCHEMA}WebSite")
        made.add(subject, f"{SCHEMA}name", _text(feed, "title"))
        made.add(subject, f"{SCHEMA}description", _text(feed, "subtitle"))
        made.add(subject, f"{SCHEMA}inLanguage", _text(feed, "language"))
        made.add(subject, f"{SCHEMA}url", _address(feed.get("link")))
        made.add(subject, f"{SCHEMA}webFeed", *map(_address, own[:1]))
        return Item((subject,), "feed", None, tuple(made.triples))

    def _item(self, entry: Any, number: int, channel: bytes, language: str, *, podcast: bool) -> Item:  # noqa: ANN401
        guid, link = str(entry.get("id", "")), str(entry.get("link", ""))
        said = [guid, link, str(entry.get("title", "")), str(entry.get("summary", "")), str(entry.get("published", ""))]
        own = self._names + digest_of(said[:1] if guid else said)
        subject = _first_iri([guid, link]) or f"<{own}>".encode()
        made = Builder(own)
        media = _media(entry)
        made.types(subject, f"{SCHEMA}PodcastEpisode" if media else f"{SCHEMA}Article")
        title = _text(entry, "title", language)
        made.add(subject, f"{SCHEMA}name", title)
        made.add(subject, f"{SCHEMA}headline", None if media else title)
        made.add(subject, f"{SCHEMA}description", _text(entry, "summary", language))
        made.add(subject, f"{SCHEMA}url", _address(link))
        made.add(subject, f"{SCHEMA}partOfSeries" if podcast and media else f"{SCHEMA}isPartOf", channel)
        made.add(subject, f"{SCHEMA}keywords", *_keywords(entry))
        for name, predicate in (("published", "datePublished"), ("updated", "dateModified")):
            made.add(subject, SCHEMA + predicate, self._time(entry, name, number))
        _say_authors(made, subject, entry)
        if not _say_media(made, subject, media):
            self._warn(f"item {number}: an enclosure has no address that can be used, and is left out")
        made.add(subject, f"{SCHEMA}duration", self._duration(entry, number))
        episode = str(entry.get("itunes_episode", ""))
        if re.fullmatch("[0-9]{1,9}", episode):
            made.add(subject, f"{SCHEMA}episodeNumber", typed_literal(episode, "integer"))
        return Item((subject,), f"item={number}", guid or link or None, tuple(made.triples))

    def _time(self, entry: Any, name: str, number: int) -> bytes | None:  # noqa: ANN401 - as above
        if name not in entry:  # a feedparser dictionary gives `published` where `updated` is asked for
            return None
        time: struct_time | None = entry.get(f"{name}_parsed") if _is_date(str(entry[name])) else None
        if time is None or not 1 <= time.tm_year <= 9999:  # noqa: PLR2004 - the years of four digits
            self._warn(f"item {number}: its date {str(entry[name])[:60]!r} is none that is known, and is left out")
            return None
        text = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*time[:5], min(time[5], 59))
        return typed_literal(text, "dateTime")

    def _duration(self, entry: Any, number: int) -> bytes | None:  # noqa: ANN401 - as above
        text = str(entry.get("itunes_duration", "")).strip()
        if not text:
            return None
        found = _DURATION.fullmatch(text)
        if found is None:
            self._warn(f"item {number}: its duration {text[:60]!r} is none that is known, and is left out")
            return None
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return typed_literal(f"PT{hours * 3600 + minutes * 60 + seconds}S", "duration")

    def _warn(self, warning: str) -> None:
        if len(self.warnings) < _WARNINGS_MAX:
            self.warnings.append(warning)
        elif len(self.warnings) == _WARNINGS_MAX:
            self.warnings.append("and more of this kind")


def _is_date(text: str) -> bool:
    """Whether a date is written as RSS or Atom say, to the day at least. feedparser guesses at what is not."""
    return len(text) <= _DATE_MAX and any(form.fullmatch(" ".join(text.split())) for form in (_RFC822, _RFC3339))


def parsed_feed(data: bytes, base: str | None) -> Any:  # noqa: ANN401 - feedparser has no types
    """What feedparser makes of a feed. Raises `SourceError` and `LimitError`."""
    data = _in_utf8(data)
    try:
        check_nesting(data, "xml")
    except LimitError:
        raise
    except InputError as error:
        raise SourceError(str(error)) from error
    headers = {"content-type": "application/xml; charset=utf-8", **({"content-location": base} if base else {})}
    parsed = feedparser.parse(BytesIO(data), response_headers=headers, sanitize_html=False, resolve_relative_uris=False)
    if parsed["bozo"]:
        raise SourceError(f"the feed cannot be read: {str(parsed.get('bozo_exception'))[:200]!r}")
    if not parsed["version"]:
        raise SourceError("the XML is neither RSS nor Atom")
    return parsed


def _in_utf8(data: bytes) -> bytes:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise SourceError("the feed is not UTF-8 (it has null characters, or is in UTF-16): convert the file")
    found = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf"))
    name = found[1].decode().lower() if found else "utf-8"
    if name not in _ENCODINGS:
        raise SourceError(f"the feed says that it is in {name!r}; convert it to UTF-8")
    try:
        text = data.decode("utf-8-sig" if name in {"utf-8", "utf8"} else name)
    except UnicodeDecodeError as error:
        raise SourceError(f"the feed is not {name}: {error.reason} at byte {error.start}") from error
    return re.sub(r"\A<\?xml[^>]{0,300}\?>", '<?xml version="1.0" encoding="utf-8"?>', text).encode()


def _first_iri(given: list[str]) -> bytes | None:
    """The first of several texts that is an absolute IRI with something after its scheme, as a term."""
    found = (iri_term(text) for text in given if re.match(r"(?:https?://.|urn:.|tag:.|did:.|doi:.)", text))
    return next((term for term in found if term is not None), None)


def _address(given: object) -> bytes | None:
    """The address of something on the web, as a term; None if it is no http: or https: IRI."""
    text = str(given or "")
    return iri_term(text) if re.match("https?://.", text) else None


def _text(entry: Any, name: str, language: str = "") -> bytes | None:  # noqa: ANN401 - as above
    value, kind = str(entry.get(name) or ""), (entry.get(f"{name}_detail") or {}).get("type")
    if len(value) > HTML_CHARACTERS_MAX:
        raise LimitError(
            f"its {name} has {len(value)} characters, markup included; {HTML_CHARACTERS_MAX} is the most "
            "(HTML_CHARACTERS_MAX)"
        )
    value = " ".join(value.split()) if kind == "text/plain" else plain_text(value)
    return text_literal(_bounded(value, name), language or None) if value else None


def _bounded(value: str, what: str) -> str:
    if len(value) > CELL_CHARACTERS_MAX:
        raise LimitError(
            f"its {what} has {len(value)} characters; {CELL_CHARACTERS_MAX} is the most (CELL_CHARACTERS_MAX)"
        )
    return value


def _keywords(entry: Any) -> list[bytes]:  # noqa: ANN401 - as above
    terms = [str(tag.get("term") or "").strip() for tag in entry.get("tags", [])]
    return [text_literal(_bounded(term, "category")) for term in dict.fromkeys(terms) if term]


def _media(entry: Any) -> list[Any]:  # noqa: ANN401 - as above
    """The enclosures that are sound or pictures."""
    return [
        link
        for link in entry.get("links", [])
        if link.get("rel") == "enclosure" and str(link.get("type", "")).partition("/")[0] in _MEDIA
    ]


def _say_media(made: Builder, subject: bytes, media: list[Any]) -> bool:
    """Say what can be heard or seen; gives whether that was all."""
    addresses = [_address(link.get("href")) for link in media]
    for link, address in zip(media, addresses, strict=True):
        if address is None:
            continue
        kind = str(link["type"])[:100]
        made.add(subject, f"{SCHEMA}associatedMedia", address)
        made.types(address, _MEDIA[kind.partition("/")[0]])
        made.add(address, f"{SCHEMA}contentUrl", address)
        made.add(address, f"{SCHEMA}encodingFormat", text_literal(kind))
        size = str(link.get("length", ""))
        if re.fullmatch("[1-9][0-9]{0,17}", size):
            made.add(address, f"{SCHEMA}contentSize", typed_literal(size, "integer"))
    return None not in addresses


def _say_authors(made: Builder, subject: bytes, entry: Any) -> None:  # noqa: ANN401 - as above
    given = [str(author.get("name") or "").strip() for author in entry.get("authors", [])]
    for name in dict.fromkeys(given):
        if name:
            node = made.part("author")
            made.types(node, f"{SCHEMA}Person")
            made.add(node, f"{SCHEMA}name", text_literal(_bounded(name, "author")))
            made.add(subject, f"{SCHEMA}author", node)
