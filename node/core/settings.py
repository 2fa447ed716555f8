"""How a node's core behaves: intervals, limits, and whose datasets it brings over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from node.replication.replicator import DEFAULT_SETTINGS
from node.replication.replicator import Settings as Replicating
from node.replication.serve import DEFAULT_QUOTAS, Quotas
from node.storage import Retention, Rule

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Times in seconds, sizes in bytes. `node.config` has the same, checked, from a file."""

    first_block: int = 0
    """The block of the registry's deployment, or any block before."""
    finality_depth: int = 12
    """Blocks that bury what is final."""
    checkpoints: bytes | None = None
    """Address of the checkpoint contract that is followed too; None: none is."""
    watch: bool = True
    """Whether checkpoints are judged, and wrong ones refuted where there is a key."""
    propose_s: float = 0.0
    """Least time between two checkpoints that are proposed, where there is a key; 0: none are."""
    poll_s: float = 2.0
    """Time between two looks at the chain."""
    poll_max_s: float = 60.0
    """The longest time between two looks while the endpoints fail."""
    news_s: float = 0.5
    """Least time between two looks at the chain, however much peers say that there is news."""

    follow: tuple[bytes, ...] | None = None
    """Addresses of the publishers whose datasets are brought over; None: all that the registry has."""
    publishers_max: int = 10_000
    """Most publishers that are followed where all are: those who came first."""
    patience_s: float = 3_600.0
    """How long the union waits for a dataset that nobody has; then it is made without that publisher."""

    retention: Retention = field(default_factory=lambda: Retention(Rule(count=10, seconds=7 * 86_400, most=1_000)))
    """Which old roots are kept."""
    collect_s: float = 3_600.0
    """Time between two collections of garbage."""
    lease_s: float = 60.0
    """How long the pages of a root stay after it was named to somebody who may read it."""

    subsets_max: int = 8
    """Unions of some of the publishers that are kept."""
    subset_publishers_max: int = 16
    """Most publishers of such a union."""
    subset_quads_max: int = 500_000
    """Most quads of such a union."""

    view_quads_min: int = 20_000
    """Quads from which on a root that is asked plainly gets a view."""
    view_s: float = 10.0
    """Least time between the makings of two views."""
    views: int = 2
    """Views that are kept."""

    upload_pages_max: int = 200_000
    """Most pages of one upload."""
    upload_quads_max: int = 20_000_000
    """Most quads of an uploaded dataset."""
    uploads_max: int = 256
    """Most uploads that wait to be anchored."""
    upload_days: int = 7
    """Days after which an upload that was not anchored is given up."""
    operation_days: int = 30
    """Days after which a finished operation is forgotten."""
    retry_s: float = 5.0
    """Wait before what could not be brought to the chain is tried again; it doubles each time, up to `poll_max_s`."""

    quotas: Quotas = DEFAULT_QUOTAS
    """What a peer may ask for."""
    replicating: Replicating = DEFAULT_SETTINGS
    """How eagerly datasets are brought over."""
    agent: str = "dkg"
    """What this program calls itself among peers."""
