"""What is said about an asset: `About` as a value, as quads of the graph `<UAL>#provenance`, and read back.

The graph holds what `statements` writes and nothing else (docs/assets.md lists it). Reading is for graphs of any
publisher, so `read_about` takes whatever is there: what it does not understand it leaves out, and of several values
where one belongs it takes the least. Who the publisher is stands in the UAL, not in the graph, so it cannot be forged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

import pyoxigraph as ox

from dkg.errors import RdfError
from dkg.normal import normalize
from dkg.terms import to_oxigraph
from node.assets import vocabulary as v
from node.assets.errors import AssetError
from node.assets.graphs import has_graph, quads_of_graph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.chain.ual import Ual
    from dkg.pages import Pages
    from dkg.terms import Quad, Term

PROVENANCE_QUADS_MAX: Final = 1000
"""Most quads of a provenance graph that is read."""

TEXT_CHARACTERS_MAX: Final = 2000
"""Longest title, and longest reason for a retraction, in characters."""

_TIME: Final = re.compile(rb'"([^"\\]{1,64})"\^\^' + re.escape(v.DATE_TIME))
_YEARS_MAX: Final = 253_402_300_800  # the year 10000, in Unix seconds


@dataclass(frozen=True, slots=True)
class Signed:
    """That a third party signed the asset's content (W3C Data Integrity), as its publisher found and recorded it."""

    signer: str
    """The DID of who signed."""
    method: str
    """The verification method: an IRI that names the key."""
    cryptosuite: str
    purpose: str
    proof_value: str
    source: str
    """The signed document, as RFC 6920 names it by its SHA-256: `ni:///sha-256;...`."""
    checked: str
    """When the publisher checked it (xsd:dateTime)."""
    created: str | None = None
    """When it was signed, as the signer says (xsd:dateTime)."""
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the provenance of an asset says. Times are texts of xsd:dateTime; other names are IRIs."""

    ual: Ual
    created: str | None = None
    """When the asset was first published."""
    modified: str | None = None
    """When its content, or what is said about it, last changed."""
    generated: str | None = None
    """When its content last changed."""
    title: str | None = None
    authors: tuple[str, ...] = ()
    licence: str | None = None
    derived_from: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    retracted: str | None = None
    """When its content was taken back."""
    reason: str | None = None
    signed: Signed | None = None
    private: str | None = None
    """The commitment to what is private of it (`dkg.private`)."""


def about(pages: Pages, root: bytes, ual: Ual) -> About | None:
    """What a dataset says about an asset; None if the asset is not there and never was.

    Raises `LimitError` for a provenance graph over `PROVENANCE_QUADS_MAX`, and what reading pages raises.
    """
    found = quads_of_graph(pages, root, ual.provenance_graph, PROVENANCE_QUADS_MAX)
    if not found and not has_graph(pages, root, ual.graph):
        return None
    return read_about(ual, found)


def statements(about: About) -> frozenset[Quad]:
    """The provenance graph that says this."""
    ual, graph = about.ual, about.ual.provenance_graph
    asset = ual.graph
    publisher = iri(ual.publisher.did)
    said = [
        (asset, v.TYPE, v.ENTITY),
        (asset, v.WAS_ATTRIBUTED_TO, publisher),
        (asset, v.PUBLISHER, publisher),
        *_maybe(asset, v.CREATED, about.created, time_term),
        *_maybe(asset, v.MODIFIED, about.modified, time_term),
        *_maybe(asset, v.GENERATED_AT, about.generated, time_term),
        *_maybe(asset, v.TITLE, about.title, text),
        *_maybe(asset, v.LICENCE, about.licence, iri),
        *((asset, v.CREATOR, iri(author)) for author in about.authors),
        *((asset, v.WAS_DERIVED_FROM, iri(source)) for source in about.derived_from),
        *((asset, how, iri(old)) for old in about.replaces for how in (v.REPLACES, v.WAS_REVISION_OF)),
        *((asset, v.IS_REPLACED_BY, iri(new)) for new in about.replaced_by),
        *_maybe(asset, v.PRIVATE_COMMITMENT, about.private, iri),
        *_retraction(about, publisher),
        *_signature(about, publisher),
    ]
    return frozenset((s, p, o, graph) for s, p, o in said)


def _retraction(about: About, publisher: Term) -> list[tuple[Term, Term, Term]]:
    if about.retracted is None:
        return []
    asset, act = about.ual.graph, _part(about.ual, "retraction")
    return [
        (asset, v.INVALIDATED_AT, time_term(about.retracted)),
        (asset, v.WAS_INVALIDATED_BY, act),
        (act, v.TYPE, v.ACTIVITY),
        (act, v.ENDED_AT, time_term(about.retracted)),
        (act, v.WAS_ASSOCIATED_WITH, publisher),
        *_maybe(act, v.COMMENT, about.reason, text),
    ]


def _signature(about: About, publisher: Term) -> list[tuple[Term, Term, Term]]:
    signed = about.signed
    if signed is None:
        return []
    proof, check = _part(about.ual, "proof"), _part(about.ual, "check")
    return [
        (about.ual.graph, v.SOURCE, iri(signed.source)),
        (proof, v.TYPE, v.DATA_INTEGRITY_PROOF),
        (proof, v.WAS_ATTRIBUTED_TO, iri(signed.signer)),
        (proof, v.VERIFICATION_METHOD, iri(signed.method)),
        (proof, v.CRYPTOSUITE, text(signed.cryptosuite)),
        (proof, v.PROOF_PURPOSE, iri(v.SECURITY + signed.purpose)),
        (proof, v.PROOF_VALUE, text(signed.proof_value)),
        *_maybe(proof, v.CREATED, signed.created, time_term),
        *_maybe(proof, v.EXPIRATION, signed.expires, time_term),
        (check, v.TYPE, v.ACTIVITY),
        (check, v.USED, proof),
        (check, v.WAS_ASSOCIATED_WITH, publisher),
        (check, v.ENDED_AT, time_term(signed.checked)),
    ]


# --- reading -------------------------------------------------------------------------------------------------


class _Said:
    """The objects of statements, by subject and predicate, in the order of their bytes."""

    def __init__(self, quads: Iterable[Quad]) -> None:
        self._objects: dict[tuple[Term, Term], list[Term]] = {}
        for s, p, o, _ in sorted(quads):
            self._objects.setdefault((s, p), []).append(o)

    def iris(self, subject: Term, predicate: Term) -> tuple[str, ...]:
        """The IRIs among the objects."""
        found = self._objects.get((subject, predicate), [])
        return tuple(term[1:-1].decode() for term in found if term.startswith(b"<"))

    def iri(self, subject: Term, predicate: Term) -> str | None:
        """The first IRI among the objects."""
        return next(iter(self.iris(subject, predicate)), None)

    def text(self, subject: Term, predicate: Term) -> str | None:
        """The text of the first literal among the objects."""
        found = self._objects.get((subject, predicate), [])
        return next((cast("ox.Literal", to_oxigraph(term)).value for term in found if term.startswith(b'"')), None)

    def time(self, subject: Term, predicate: Term) -> str | None:
        """The first xsd:dateTime among the objects."""
        matches = map(_TIME.fullmatch, self._objects.get((subject, predicate), []))
        return next((match[1].decode() for match in matches if match), None)


def read_about(ual: Ual, quads: Iterable[Quad]) -> About:
    """What the quads of a provenance graph say."""
    said, asset = _Said(quads), ual.graph
    retracted = said.time(asset, v.INVALIDATED_AT)
    return About(
        ual,
        created=said.time(asset, v.CREATED),
        modified=said.time(asset, v.MODIFIED),
        generated=said.time(asset, v.GENERATED_AT),
        title=said.text(asset, v.TITLE),
        authors=said.iris(asset, v.CREATOR),
        licence=said.iri(asset, v.LICENCE),
        derived_from=said.iris(asset, v.WAS_DERIVED_FROM),
        replaces=said.iris(asset, v.REPLACES),
        replaced_by=said.iris(asset, v.IS_REPLACED_BY),
        retracted=retracted,
        reason=said.text(_part(ual, "retraction"), v.COMMENT) if retracted else None,
        signed=_read_signed(ual, said),
        private=said.iri(asset, v.PRIVATE_COMMITMENT),
    )


def _read_signed(ual: Ual, said: _Said) -> Signed | None:
    proof, check = _part(ual, "proof"), _part(ual, "check")
    needed = (
        said.iri(proof, v.WAS_ATTRIBUTED_TO),
        said.iri(proof, v.VERIFICATION_METHOD),
        said.text(proof, v.CRYPTOSUITE),
        (said.iri(proof, v.PROOF_PURPOSE) or "").removeprefix(v.SECURITY),
        said.text(proof, v.PROOF_VALUE),
        said.iri(ual.graph, v.SOURCE),
        said.time(check, v.ENDED_AT),
    )
    if not all(needed):
        return None
    texts = cast("tuple[str, str, str, str, str, str, str]", needed)
    return Signed(*texts, created=said.time(proof, v.CREATED), expires=said.time(proof, v.EXPIRATION))


# --- terms ---------------------------------------------------------------------------------------------------


def iri(name: str) -> Term:
    """An IRI as a term. Raises `AssetError` if it is none."""
    try:
        term = f"<{name}>".encode()
        if normalize(term) == term:
            return term
    except (RdfError, UnicodeEncodeError) as error:
        raise AssetError(f"{name!r} is no absolute IRI") from error
    raise AssetError(f"{name!r} is no IRI in normal form: write {normalize(term)[1:-1].decode()!r}")


def text(value: str) -> Term:
    """A text as a term: a plain literal. Raises `AssetError` for what is no text."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise AssetError(f"{value!r} holds half a character (a lone surrogate)") from error
    return normalize(str(ox.Literal(value)).encode())


def time_term(value: str) -> Term:
    """The text of an xsd:dateTime as a term."""
    return normalize(f'"{value}"^^'.encode() + v.DATE_TIME)


def normal_time(value: str) -> str:
    """The text of an xsd:dateTime in normal form."""
    return time_term(value).partition(b'"^^')[0][1:].decode()


def time_text(seconds: int) -> str:
    """Unix seconds as the text of an xsd:dateTime in UTC."""
    if not 0 <= seconds < _YEARS_MAX:
        raise AssetError(f"{seconds} is no time: Unix seconds of the years 1970 to 9999 are needed")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _maybe(subject: Term, predicate: Term, value: str | None, make: _Make) -> list[tuple[Term, Term, Term]]:
    return [] if value is None else [(subject, predicate, make(value))]


def _part(ual: Ual, name: str) -> Term:
    """Something that belongs to an asset: `<UAL#name>`."""
    return f"<{ual}#{name}>".encode()


if TYPE_CHECKING:
    from collections.abc import Callable

    _Make = Callable[[str], Term]
