"""The versions of an asset: what each of its publisher's commits did to it.

Two roots share all pages but those that changed, so a commit that did not touch the asset is passed over after a few
pages, and one that did costs what changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from dkg.page import CID_PREFIX
from node.assets.graphs import diff_graph
from node.assets.provenance import about as read_about

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.chain.registry import Committed
    from dkg.chain.ual import Ual
    from dkg.pages import Pages
    from node.assets.provenance import About

Kind = Literal["created", "changed", "described", "superseded", "retracted", "restored", "removed"]
"""What happened, the weightiest first where it is more than one thing. `described`: its content stayed, what is said
about it did not. `restored`: content came back after a retraction. `removed`: no trace is left, as no edit of ours
leaves it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A commit of the publisher: its number, the CID of its dataset root, and its block (number, Unix seconds)."""

    seq: int
    root: bytes
    block: int
    time: int

    @classmethod
    def of(cls, committed: Committed) -> Self:
        """A commit in the registry's log."""
        return cls(committed.commit.seq, CID_PREFIX + committed.commit.root, committed.block, committed.time)


@dataclass(frozen=True, slots=True)
class Version:
    """What one commit did to an asset. `added`, `removed`: quads of its content. `about`: what is said from then on."""

    point: Point
    kind: Kind
    added: int
    removed: int
    about: About | None


def history(pages: Pages, ual: Ual, points: Iterable[Point]) -> Iterator[Version]:
    """The versions of an asset, oldest first. `points`: all commits of its publisher, in order.

    Raises what reading pages raises: `StoreError` where pages of an old root are not kept.
    """
    old: bytes | None = None
    before: About | None = None
    for point in points:
        went, came = diff_graph(pages, old, point.root, ual.graph)
        if went or came or any(diff_graph(pages, old, point.root, ual.provenance_graph)):
            after = read_about(pages, point.root, ual)
            yield Version(point, _kind(before, after, content_differs=bool(went or came)), len(came), len(went), after)
            before = after
        old = point.root


def _kind(before: About | None, after: About | None, *, content_differs: bool) -> Kind:
    if before is None:
        return "created"
    if after is None:
        return "removed"
    if bool(before.retracted) != bool(after.retracted):
        return "retracted" if after.retracted else "restored"
    if {*after.replaced_by} - {*before.replaced_by}:
        return "superseded"
    return "changed" if content_differs else "described"
