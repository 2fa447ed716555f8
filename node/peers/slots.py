"""Who may connect: limits in all, by network and by key, so that nobody can crowd out everybody else (row G2).

Connections that others make are at most `inbound_max`, and of one network (/24, or /48 in IPv6) at most `group_max`;
so one who has many keys and few networks gets few connections. The connections that this node makes itself are counted
apart, of one network at most `group_dialled_max`. Pinned peers always get in: an attacker who has all other connections
has not these.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from node.peers.addresses import group_of
from node.replication.bucket import Bucket


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """Most connections at a time."""

    inbound_max: int = 48
    """That others make."""
    group_max: int = 8
    """Of these, from one network."""
    shaking_hands_max: int = 32
    """That others make and that are not yet secured."""
    group_per_s: float = 1.0
    """Connections that are accepted from one network, a second."""
    group_burst: float = 30.0
    dialled_max: int = 16
    """That this node makes besides those to pinned peers."""
    group_dialled_max: int = 2
    """Of these, to one network."""


DEFAULT_LIMITS: Final = SlotLimits()

RATES_MAX: Final = 1_024
"""Networks whose connections are counted."""

Remote = tuple[str, int]
"""Where a connection comes from: host and port."""


class Slots:
    """Counts connections. This machine's own loopback interface is no network: only the limits in all hold there."""

    def __init__(self, pinned: frozenset[str], limits: SlotLimits = DEFAULT_LIMITS) -> None:
        self._pinned = pinned
        self._limits = limits
        self._raw: dict[Remote, str] = {}  # its network, from when a connection is accepted until it is closed
        self._secured: set[Remote] = set()
        self._rates: OrderedDict[str, Bucket] = OrderedDict()
        self._inbound: dict[str, str] = {}  # network by peer
        self._dialled: dict[str, str] = {}

    @property
    def inbound(self) -> int:
        """Peers that connected to this node."""
        return len(self._inbound)

    @property
    def dialled(self) -> int:
        """Peers that this node connected to, without the pinned ones."""
        return sum(peer not in self._pinned for peer in self._dialled)

    # --- connections before it is known whose they are ---------------------------------------------------------

    def accept(self, remote: Remote, now: float) -> bool:
        """Whether to talk to somebody who connects. If so, `closed` is to follow, and before it perhaps `secured`.

        `now`: seconds of a clock that never goes back.
        """
        limits, group = self._limits, group_of(remote[0])
        if group and self._too_often(group, now):
            return False
        shaking = len(self._raw) - len(self._secured)
        if shaking >= limits.shaking_hands_max or len(self._raw) >= limits.inbound_max + 2 * limits.shaking_hands_max:
            return False
        if group and list(self._raw.values()).count(group) >= limits.group_max + len(self._pinned):
            return False
        self._raw[remote] = group
        return True

    def _too_often(self, group: str, now: float) -> bool:
        bucket = self._rates.get(group)
        if bucket is None:
            bucket = self._rates[group] = Bucket(self._limits.group_per_s, self._limits.group_burst, now)
            if len(self._rates) > RATES_MAX:
                self._rates.popitem(last=False)
        if bucket.wait_s(now):
            return True
        bucket.take(1, now)
        return False

    def secured(self, remote: Remote) -> None:
        """It is known whose a connection is."""
        if remote in self._raw:
            self._secured.add(remote)

    def closed(self, remote: Remote) -> None:
        """One that was accepted is closed."""
        self._raw.pop(remote, None)
        self._secured.discard(remote)

    # --- peers ---------------------------------------------------------------------------------------------------

    def come(self, peer: str, host: str) -> bool:
        """Whether a peer that connected may stay."""
        limits, group = self._limits, group_of(host)
        if peer not in self._pinned and peer not in self._inbound:
            others = [where for name, where in self._inbound.items() if name not in self._pinned]
            if len(others) >= limits.inbound_max or (group and others.count(group) >= limits.group_max):
                return False
        self._inbound[peer] = group
        return True

    def may_dial(self, peer: str, host: str) -> bool:
        """Whether to connect to a peer."""
        if peer in self._pinned:
            return True
        limits, group = self._limits, group_of(host)
        others = [where for name, where in self._dialled.items() if name not in self._pinned]
        return len(others) < limits.dialled_max and not (group and others.count(group) >= limits.group_dialled_max)

    def went(self, peer: str, host: str) -> None:
        """This node connected to a peer."""
        self._dialled[peer] = group_of(host)

    def gone(self, peer: str) -> None:
        """A peer is not connected any more."""
        self._inbound.pop(peer, None)
        self._dialled.pop(peer, None)
