"""The W3C SPARQL 1.1 Protocol: what a request asks, from its query string, its form or its body.

https://www.w3.org/TR/sparql11-protocol/, section 2. A dataset that the request names (`default-graph-uri`,
`named-graph-uri`) takes the place of the one that the query names. Fields that nothing here knows are passed over, as
clients send some of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.ual import Ual
from dkg.errors import InputError, RdfError
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.normal import normalize
from node.http.body import FORM, body_of, media_type_of, parse_fields, text_of
from node.http.moments import Moment, wrong
from node.http.problems import Code, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from node.http.room import Room
    from node.http.settings import HttpSettings

QUERY: Final = "application/sparql-query"
UPDATE: Final = "application/sparql-update"

GRAPHS_MAX: Final = 1_000
"""Most graphs of each kind that a request names."""

PRIVATE_MAX: Final = 64
"""Most assets whose private parts a request names."""

PRIVATE_ALL: Final = "all"
"""The value of `private` for all that the caller may read."""

SCOPE_PRIVATE: Final = "private"
"""The value of `scope` for a private part without any public dataset."""

_DATE_TIME: Final = re.compile(
    r"-?[0-9]{4,9}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,18})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_UPDATE_FIELDS: Final = frozenset({"update", "using-graph-uri", "using-named-graph-uri"})


@dataclass(frozen=True, slots=True)
class PrivateAsked:
    """Which private parts a query asks, and whether these alone."""

    uals: tuple[Ual, ...] | None
    """None: of all assets that the caller may read."""
    alone: bool = False
    """Without any public dataset: then it is one asset."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query with everything that its answer depends on, but for the format."""

    text: str
    moment: Moment
    dataset: Dataset = ALL_GRAPHS
    now: str | None = None
    private: PrivateAsked | None = None
    """What is private and asked as well."""
    base: str | None = None
    """What relative IRIs are relative to; None: the URL of the endpoint, as RFC 3986 (5.1.3) has it."""


def with_base(asked: Asked, base: str) -> Asked:
    """The same with a base."""
    return Asked(asked.text, asked.moment, asked.dataset, asked.now, asked.private, base)


class Fields:
    """The fields of a request, by name."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        """All values of a field."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of a field that may be there once. Raises `Problem`."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise wrong(name, f"it is given {len(values)} times, and may be given once")
        return values[0]

    def names(self) -> Iterable[str]:
        """The names of those that are there."""
        return self._values


async def read_query(request: Request, room: Room, settings: HttpSettings) -> Asked | None:
    """What a request asks; None for a GET that asks nothing, which is to describe the service. Raises `Problem`."""
    pairs = parse_fields(request.scope["query_string"], "query string")
    direct: str | None = None
    if request.method == "POST":
        media_type = media_type_of(request)
        if media_type == UPDATE:
            raise _update()
        if media_type not in {QUERY, FORM}:
            raise Problem(Code.MEDIA_TYPE_UNSUPPORTED, f"send a query as {QUERY}, or as the field `query` of {FORM}")
        async with body_of(request, room, settings, settings.query_bytes) as body:
            if media_type == FORM:
                pairs += parse_fields(body, "form")
            else:
                direct = text_of(body, "query")
    fields = Fields(pairs)
    if not _UPDATE_FIELDS.isdisjoint(fields.names()):
        raise _update()
    text = fields.one("query")
    if direct is not None and text is not None:
        raise wrong("query", "the body is a query, and the URL has another")
    text = direct if text is None else text
    if text is None and request.method == "POST":
        raise wrong("query", "the form has no such field")
    asked = _asked(text or "", fields)
    return None if text is None else asked


def _update() -> Problem:
    return Problem(
        Code.UPDATE_REFUSED,
        "data changes by signed commits of its publisher, not by SPARQL Update: see /v1/commits and /v1/assets",
    )


def _asked(text: str, fields: Fields) -> Asked:
    default, named = fields.all("default-graph-uri"), fields.all("named-graph-uri")
    dataset = ALL_GRAPHS
    if default or named:
        # Where the request names a dataset, what it leaves out is empty (section 2.1.4), and not every graph.
        dataset = Dataset(_graphs("default-graph-uri", default), _graphs("named-graph-uri", named))
    moment = Moment.of(
        fields.all("publisher"),
        fields.one("at"),
        fields.one("min_claim"),
        fields.one("max_age"),
        fields.all("beside"),
        fields.one("origins"),
    )
    now, base = _now(fields.one("now")), _base(fields.one("base"))
    private = _private(fields.all("private"), fields.one("scope"))
    if private is not None and moment.by_checkpoint:
        raise wrong("min_claim", "a checkpoint covers nothing that is private: L1 is the most")
    return Asked(text, moment, dataset, now, private, base)


def _private(names: list[str], scope: str | None) -> PrivateAsked | None:
    if scope not in {None, SCOPE_PRIVATE}:
        raise wrong("scope", f"it is {SCOPE_PRIVATE}, or not given")
    if not names:
        if scope is not None:
            raise wrong("scope", "name the asset whose private part is asked alone: private=UAL")
        return None
    if len(names) > PRIVATE_MAX:
        raise wrong("private", f"{len(names)} assets are named; {PRIVATE_MAX} are the most")
    uals = None if names == [PRIVATE_ALL] else tuple(dict.fromkeys(_ual(name) for name in names))
    if scope is not None and (uals is None or len(uals) != 1):
        raise wrong("scope", "the private part of one asset can be asked alone, not of several: name one")
    return PrivateAsked(uals, scope is not None)


def _ual(text: str) -> Ual:
    try:
        return Ual.parse(text)
    except InputError as error:
        raise wrong("private", f"{error}; or {PRIVATE_ALL}, alone") from error


def _now(text: str | None) -> str | None:
    if text is not None and not _DATE_TIME.fullmatch(text):
        raise wrong("now", f"{text[:40]!r} is no xsd:dateTime, such as 2027-01-15T08:00:00Z")
    return text


def _base(iri: str | None) -> str | None:
    if iri is not None and not iri.isascii():
        raise wrong("base", "write characters beyond ASCII with percent signs")
    return None if iri is None else graph_name("base", iri)[1:-1].decode()


def _graphs(name: str, iris: list[str]) -> tuple[bytes, ...]:
    if len(iris) > GRAPHS_MAX:
        raise wrong(name, f"{len(iris)} graphs are named; {GRAPHS_MAX} are the most")
    return tuple(dict.fromkeys(graph_name(name, iri) for iri in iris))


def graph_name(field: str, iri: str) -> bytes:
    """The term of a graph's IRI. Raises `Problem`."""
    try:
        term = normalize(f"<{iri}>".encode())
    except (RdfError, UnicodeEncodeError) as error:
        raise wrong(field, f"{iri[:200]!r} is no absolute IRI") from error
    if not term.startswith(b"<"):
        raise wrong(field, f"{iri[:200]!r} is no absolute IRI")
    return term
