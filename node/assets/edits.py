"""Create, change, supersede and retract assets: each gives an `Edit`, a pure function of the dataset it is applied to.

An asset is two graphs: `<UAL>` has its content, `<UAL>#provenance` what is said about it; what was imported has a
third, `<UAL>#items`, which says where each item is from (`node.assets.items`). An edit touches the graphs of its
asset, and in the provenance of an asset that is superseded the one statement that says so. It reads these graphs
alone, so that its work is in proportion to the asset. What is there already makes an empty change: that time went by
is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dkg.chain.ual import Ual, ual_of_graph
from dkg.errors import LimitError
from dkg.normal import shown
from node.assets import vocabulary as v
from node.assets.errors import AssetError
from node.assets.graphs import has_graph, quads_of_graph
from node.assets.items import ITEM_QUADS_MAX, items_graph
from node.assets.provenance import (
    PROVENANCE_QUADS_MAX,
    TEXT_CHARACTERS_MAX,
    About,
    iri,
    read_about,
    statements,
    text,
    time_text,
)
from node.change import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.pages import Pages
    from dkg.terms import Quad
    from node.assets.items import ItemsRecord
    from node.assets.provenance import Signed
    from node.change import Edit

ASSET_QUADS_MAX: Final = 500_000
"""Most quads of an asset's content. They are in memory while it is published: about 0.5 GB for so many."""

ASSET_BYTES_MAX: Final = 256 * 1024 * 1024
"""Most bytes of an asset's content: of subjects, predicates and objects, as N-Triples writes them."""

NAMES_MAX: Final = 100
"""Most authors, most sources, and most superseded assets of one asset."""

SUCCESSION_MAX: Final = 1000
"""Most assets that are looked at, one superseded by the other, to see that none supersedes itself."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a publisher says about an asset. None: what was said before stays. Empty: nothing is said any more.

    Raises `AssetError` and `LimitError`.
    """

    title: str | None = None
    authors: tuple[str, ...] | None = None
    """IRIs: an ORCID, a homepage, a mailto:, a DID."""
    licence: str | None = None
    """An IRI."""
    derived_from: tuple[str, ...] | None = None
    """IRIs."""
    supersedes: tuple[Ual, ...] | None = None

    def __post_init__(self) -> None:
        check_text(self.title or "", "title")
        for what, names in (("an author", self.authors), ("a source", self.derived_from)):
            _check_names(names or (), what)
        _check_names((self.licence,) if self.licence else (), "a licence")
        if len(self.supersedes or ()) > NAMES_MAX:
            raise LimitError(f"an asset supersedes {NAMES_MAX} others at most, not {len(self.supersedes or ())}")

    def given(self) -> dict[str, object]:
        """What is said, by the names of the fields of `About`: in one order, each thing once."""
        said: dict[str, object] = {}
        if self.title is not None:
            said["title"] = self.title or None
        if self.licence is not None:
            said["licence"] = self.licence or None
        if self.authors is not None:
            said["authors"] = _in_order(self.authors)
        if self.derived_from is not None:
            said["derived_from"] = _in_order(self.derived_from)
        if self.supersedes is not None:
            said["replaces"] = _in_order(map(str, self.supersedes))
        return said


_KIND: Final = {
    "a licence": "https://creativecommons.org/licenses/by/4.0/",
    "an author": "https://orcid.org/0000-0002-1825-0097 or mailto:ada@example.org",
    "a source": "https://example.org/data.ttl, or a UAL",
}


def _check_names(names: tuple[str, ...], what: str) -> None:
    if len(names) > NAMES_MAX:
        raise LimitError(f"{len(names)} are given where {what} is named; {NAMES_MAX} is the most")
    for name in names:
        try:
            iri(name)
        except AssetError as error:
            raise AssetError(f"{error}; {what} is named by an IRI, such as {_KIND[what]}") from error


def check_text(value: str, what: str) -> None:
    """Raise `AssetError` or `LimitError` for a text that cannot be said."""
    if len(value) > TEXT_CHARACTERS_MAX:
        raise LimitError(f"the {what} has {len(value)} characters; {TEXT_CHARACTERS_MAX} is the most")
    text(value)


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names), key=str.encode))


# --- content -------------------------------------------------------------------------------------------------


def content(batches: Iterable[list[Quad]], ual: Ual) -> frozenset[Quad]:
    """The quads of a document as the content of an asset: all of them in its graph, and not too many.

    Raises `AssetError` that names a graph that is another, and `LimitError`.
    """
    graph = ual.graph
    found: set[Quad] = set()
    size = 0
    for batch in batches:
        for quad in batch:
            if quad[3] != graph:
                raise AssetError(_other_graph(quad[3], ual))
            if quad not in found:
                found.add(quad)
                size += len(quad[0]) + len(quad[1]) + len(quad[2])
        if len(found) > ASSET_QUADS_MAX:
            raise LimitError(f"an asset has {ASSET_QUADS_MAX} quads at most (ASSET_QUADS_MAX): publish it in parts")
        if size > ASSET_BYTES_MAX:
            raise LimitError(f"an asset has {ASSET_BYTES_MAX} bytes at most (ASSET_BYTES_MAX): publish it in parts")
    if not found:
        raise AssetError(f"there are no triples to publish as {ual.name!r}; to take its content back, retract it")
    return frozenset(found)


def _other_graph(graph: bytes, ual: Ual) -> str:
    if graph in {ual.provenance_graph, items_graph(ual)}:
        return f"a quad is in the graph {shown(graph)}, which only says what dkg itself writes about the asset"
    if graph.startswith(ual.graph[:-1] + b"/.well-known/genid/"):
        return f"a quad is in a graph that a blank node names; triples of the asset {ual.name!r} are in no graph"
    return (
        f"a quad is in the graph {shown(graph)}; all quads of the asset {ual.name!r} belong in {shown(ual.graph)}, "
        "or in no graph: publish other graphs as assets of their own"
    )


# --- edits ---------------------------------------------------------------------------------------------------


def put(
    ual: Ual,
    quads: frozenset[Quad],
    details: Details,
    now: int,
    signed: Signed | None = None,
    private: str | None = None,
    *,
    items: ItemsRecord | None = None,
) -> Edit:
    """Make this the content of an asset, whatever it was before, also if it was retracted. `now`: Unix seconds.

    That somebody signed the content (`signed`), and where its items are from (`items`), is remembered until the content
    changes. `private`: the commitment to its private part from now on; None: that stays as it is.
    The edit raises `AssetError` and `LimitError`, and what reading pages raises.
    """
    _check_own(ual, details)
    content([list(quads)], ual)
    time = time_text(now)

    def edit(pages: Pages, root: bytes | None) -> Change:
        before = _Asset.read(pages, root, ual)
        same = before.content == quads and before.about.retracted is None
        kept = before.about.signed if same else None
        about = _told(before.about, details, kept, signed)
        if private is not None:
            about = replace(about, private=private)
        told = before.items if same else frozenset()
        if items is not None and not items.same_as(told):
            told = items.at(time)
        return _written(pages, root, before, quads, about, time, items=told)

    return edit


def commit_private(ual: Ual, commitment: str | None, now: int) -> Edit:
    """Let the provenance of an asset have a commitment to its private part, or none any more. `now`: Unix seconds.

    Its public content stays; there may be none. The edit raises `AssetError`, and what reading pages raises.
    """
    time = time_text(now)

    def edit(pages: Pages, root: bytes | None) -> Change:
        before = _Asset.read(pages, root, ual)
        if commitment is None and before.about.private is None:
            raise AssetError(f"the asset {ual.name!r} has no private part")
        about = replace(before.about, private=commitment)
        if commitment is not None:
            about = replace(about, retracted=None, reason=None)
        return _written(pages, root, before, before.content, about, time, items=before.items)

    return edit


def supersede(ual: Ual, older: tuple[Ual, ...], now: int) -> Edit:
    """Let an asset that is there supersede others of its publisher, and none but these.

    The edit raises `AssetError`, and what reading pages raises.
    """
    details = Details(supersedes=older)
    _check_own(ual, details)
    time = time_text(now)

    def edit(pages: Pages, root: bytes | None) -> Change:
        before = _Asset.read(pages, root, ual)
        if not before.content:
            raise AssetError(f"there is no content of the asset {ual.name!r}: publish it first")
        about = _told(before.about, details, before.about.signed, None)
        return _written(pages, root, before, before.content, about, time, items=before.items)

    return edit


def retract(ual: Ual, now: int, reason: str | None = None) -> Edit:
    """Take the content of an asset back, its private part too; its provenance stays and says so.

    `reason`: None keeps what was said.

    The edit raises `AssetError` if there is no such asset, and what reading pages raises.
    """
    check_text(reason or "", "reason")
    time = time_text(now)

    def edit(pages: Pages, root: bytes | None) -> Change:
        before = _Asset.read(pages, root, ual)
        if not before.content and not before.said:
            raise AssetError(f"there is no asset {ual.name!r} of {ual.publisher.did} to retract")
        about = before.about
        told = about.reason if reason is None else reason or None
        if about.retracted is not None and not before.content:
            return before.to(frozenset(), replace(about, reason=told), frozenset())
        gone = replace(about, retracted=time, reason=told, modified=time, private=None)
        return before.to(frozenset(), gone, frozenset())

    return edit


@dataclass(frozen=True, slots=True)
class _Asset:
    """An asset in a dataset: its content, its provenance as quads and what they say, and where its items are from."""

    content: frozenset[Quad]
    said: frozenset[Quad]
    about: About
    items: frozenset[Quad]

    @classmethod
    def read(cls, pages: Pages, root: bytes | None, ual: Ual) -> _Asset:
        """Read it; its graphs are empty if there is none."""
        said = quads_of_graph(pages, root, ual.provenance_graph, PROVENANCE_QUADS_MAX)
        items = quads_of_graph(pages, root, items_graph(ual), ITEM_QUADS_MAX)
        return cls(quads_of_graph(pages, root, ual.graph, ASSET_QUADS_MAX), said, read_about(ual, said), items)

    def to(self, quads: frozenset[Quad], about: About, items: frozenset[Quad]) -> Change:
        """The change to this content and provenance."""
        old, new = self.content | self.said | self.items, quads | statements(about) | items
        return Change(new - old, old - new)


def _told(about: About, details: Details, kept: Signed | None, signed: Signed | None) -> About:
    """What is said now. A signature that was recorded before keeps the time at which it was checked."""
    if signed and kept and replace(signed, checked=kept.checked) == kept:
        signed = kept
    told = replace(about, retracted=None, reason=None, signed=signed or kept)
    return replace(told, **details.given())  # type: ignore[arg-type]  # its keys are fields, its values of their types


def _written(
    pages: Pages,
    root: bytes | None,
    before: _Asset,
    quads: frozenset[Quad],
    about: About,
    time: str,
    *,
    items: frozenset[Quad],
) -> Change:
    """The change to this content and provenance, and to those of the assets that are superseded now, or no longer."""
    new_content = before.content != quads
    if new_content or before.said != statements(about) or before.items != items:
        generated = time if new_content else about.generated or time
        about = replace(about, created=about.created or time, generated=generated, modified=time)
    change = before.to(quads, about, items)
    marks = [_mark(pages, root, old, about) for old in sorted({*about.replaces} - {*before.about.replaces})]
    no_more = [ual_of_graph(iri(old)) for old in {*before.about.replaces} - {*about.replaces}]
    unmarks = [_mark_of(old, about.ual) for old in no_more if old is not None]
    return replace(change, add=change.add | {*marks}, remove=change.remove | {*unmarks})


def _check_own(ual: Ual, details: Details) -> None:
    for old in details.supersedes or ():
        if old.publisher != ual.publisher:
            raise AssetError(
                f"the asset {ual.name!r} cannot supersede {old}, which is another publisher's; name it as a source "
                "that yours is derived from"
            )
        if old == ual:
            raise AssetError(f"the asset {ual.name!r} cannot supersede itself")


def _mark(pages: Pages, root: bytes | None, old: str, about: About) -> Quad:
    """The statement that an asset is superseded; raises `AssetError` if it is not there, or is by another already."""
    ual = Ual.parse(old)
    if root is None or not has_graph(pages, root, ual.provenance_graph):
        raise AssetError(f"there is no asset {ual.name!r} of yours that {about.ual.name!r} could supersede")
    others = [new for new in _about(pages, root, ual).replaced_by if new != str(about.ual)]
    if others:
        raise AssetError(f"the asset {ual.name!r} is superseded already, by {others[0]}: supersede that one")
    _check_order(pages, root, ual, about.ual)
    return _mark_of(ual, about.ual)


def _check_order(pages: Pages, root: bytes, old: Ual, new: Ual) -> None:
    """Raise `AssetError` if the older asset supersedes the newer one itself, however many are between them."""
    seen, pending = {str(old)}, [old]
    while pending:
        for older in _about(pages, root, pending.pop()).replaces:
            if older == str(new):
                raise AssetError(f"the asset {old.name!r} supersedes {new.name!r}: the reverse cannot hold as well")
            ual = ual_of_graph(iri(older))
            if ual is not None and older not in seen:
                seen.add(older)
                pending.append(ual)
        if len(seen) > SUCCESSION_MAX:
            raise LimitError(f"over {SUCCESSION_MAX} assets precede {old.name!r} (SUCCESSION_MAX)")


def _about(pages: Pages, root: bytes, ual: Ual) -> About:
    return read_about(ual, quads_of_graph(pages, root, ual.provenance_graph, PROVENANCE_QUADS_MAX))


def _mark_of(old: Ual, new: Ual) -> Quad:
    return old.graph, v.IS_REPLACED_BY, new.graph, old.provenance_graph
