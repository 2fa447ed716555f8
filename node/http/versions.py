"""The versions of an asset, and what changed between two of them, from the roots that the node keeps."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError
from dkg.page import CID_PREFIX, ORDERS, cid_text
from dkg.scan import count_range, prefix_end
from node.assets.edits import ASSET_QUADS_MAX
from node.assets.graphs import diff_graph
from node.assets.history import Point, history
from node.http.shapes import Diff, VersionShape
from node.serving import At, UnknownMomentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.chain.registry import Committed
    from dkg.chain.ual import Ual
    from dkg.pages import Pages
    from dkg.terms import Quad
    from node.assets.history import Version
    from node.http.context import Context
    from node.serving import Service

VERSIONS: Final = 50
VERSIONS_MAX: Final = 200
"""Commits that one request looks at: if nothing is said, and at most."""

_GSPO: Final = ORDERS.index("gspo")


async def versions(
    context: Context, ual: Ual, *, before: int | None, most: int
) -> tuple[list[VersionShape], bool, int | None]:
    """What the newest commits below a position of the log did to an asset, the newest first.

    Besides, whether the roots of all of these commits are kept, and the position to go on from; None at the end.
    Raises `UnknownPublisherError`, `LimitError`, and what reading pages raises.
    """
    service, publisher = context.service, ual.publisher.address
    service.standing((publisher,))  # else it is not known here
    found = service.commits(publisher, before=before, most=most + 1)
    kept = _kept(service, found)
    if not kept:
        return [], not found, None
    # What the oldest of them did can be told only if it was the first of all; else it is what the next is compared to.
    base = None if kept[-1].commit.seq == 1 else kept[-1]
    points = [Point.of(one) for one in reversed(kept)]

    def work(pages: Pages) -> list[Version]:
        for point in points:
            _check_size(pages, point.root, ual)
        return list(history(pages, ual, points))

    with ExitStack() as leases:
        for point in points:
            leases.enter_context(service.reading(point.root))
        told = await context.read(work)
    shown = [VersionShape.of(one) for one in reversed(told) if base is None or one.point.seq != base.commit.seq]
    more = base is not None and len(kept) == most + 1
    return shown, len(kept) == len(found), kept[-2].position if more else None


def _kept(service: Service, found: list[Committed]) -> list[Committed]:
    """The commits down to the first one whose dataset is not kept."""
    kept: list[Committed] = []
    for one in found:
        try:
            service.standing((one.publisher,), At(root=CID_PREFIX + one.commit.root))
        except UnknownMomentError:
            break
        kept.append(one)
    return kept


async def difference(context: Context, ual: Ual, from_seq: int, to_seq: int) -> Diff:
    """What changed in an asset from one commit to another. Raises `LimitError` for too much."""
    service, most = context.service, context.settings.diff_quads
    old, new = (service.standing((ual.publisher.address,), At(seq=seq)).root for seq in (from_seq, to_seq))

    def work(pages: Pages) -> tuple[frozenset[Quad], frozenset[Quad]]:
        for root in (old, new):
            _check_size(pages, root, ual)
        return diff_graph(pages, old, new, ual.graph)

    with service.reading(old), service.reading(new):
        went, came = await context.read(work)
    if len(went) + len(came) > most:
        raise LimitError(
            f"the two versions differ in {len(went) + len(came)} triples; {most} are the most that are shown"
        )
    return Diff(
        ual=str(ual),
        from_seq=from_seq,
        to_seq=to_seq,
        from_root=cid_text(old),
        to_root=cid_text(new),
        removed=_lines(went),
        added=_lines(came),
    )


def _check_size(pages: Pages, root: bytes, ual: Ual) -> None:
    """A publisher's dataset may hold anything; what is larger than an asset that we publish is not compared."""
    prefix = ual.graph + b"\0"
    count = count_range(pages, pages.root(root).trees[_GSPO], prefix, prefix_end(prefix))
    if count > ASSET_QUADS_MAX:
        raise LimitError(f"the asset {ual.name!r} has {count} quads; {ASSET_QUADS_MAX} are the most that are compared")


def _lines(quads: Iterable[Quad]) -> list[str]:
    return sorted((b"%b %b %b ." % quad[:3]).decode() for quad in quads)
