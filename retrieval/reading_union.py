"""SPARQL over several snapshots at once (`dkg.joint`): what `Reader.select` runs. Graphs about assets never count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.errors import ProofError, StoreError
from dkg.gather import Gather
from dkg.joint import Graphs, GraphsWithin, JointGather, Part, PartError
from dkg.pages import RecordedPages
from dkg.scan import LAST, prefix_end
from retrieval.model import is_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.limits import Budget
    from retrieval.model import Snapshot


GRAPHS_LOOKED_AT: Final = 64
"""Graphs of one dataset of which it is found out whether all count: then its queries may use the counts in pages."""


class _All(Graphs):
    def counts(self, graph: bytes) -> bool:
        """See `Graphs.counts`."""
        return not is_aside(graph)


class _Own(GraphsWithin):
    def counts(self, graph: bytes) -> bool:
        """See `Graphs.counts`."""
        return super().counts(graph) and not is_aside(graph)


def gather_of(snapshots: Sequence[Snapshot], budget: Budget) -> Gather:
    """What evaluation reads the union of snapshots through. `budget.pages` holds for each of them.

    Raises `PartError`, as all reading does, where the pages of one of them are wrong or missing.
    """
    parts = []
    for at, one in enumerate(snapshots):
        try:
            gather = Gather(RecordedPages(one.pages, budget.pages, budget.proof_bytes), one.root, budget.quads)
            if len(snapshots) == 1 and one.only is None and _has_no_asides(gather):
                return gather
        except (ProofError, StoreError) as error:
            raise PartError(at, error) from error
        parts.append(Part(gather, _All() if one.only is None else _Own(one.only)))
    return JointGather(parts, budget.quads)


def _has_no_asides(gather: Gather) -> bool:
    """Whether a dataset is known to have no graph about an asset. With more than `GRAPHS_LOOKED_AT` it is not known."""
    cursor = gather.cursor("gspo")
    low = b""
    for _ in range(GRAPHS_LOOKED_AT):
        key = next((keys[0] for keys in cursor.batches(low, LAST) if keys), None)
        if key is None:
            return True
        graph = key[: key.find(b"\0")]
        if is_aside(graph):
            return False
        low = prefix_end(graph + b"\0")
    return False
