"""Who asks, and how much of it: clients by address, their rates, and how many requests are answered at a time."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from node.http.problems import Code, Problem
from node.replication.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Network, IPv6Network

    from node.http.settings import HttpSettings

UNKNOWN: Final = "unknown"
"""Who asks over a connection without an address."""

_PREFIX: Final = 64  # of an IPv6 address: what one customer has
_FORWARDED_MAX: Final = 32  # addresses of X-Forwarded-For that are looked at


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """The client that an address belongs to: itself, or its network of 64 bits, as one customer has 2^64 of those."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        kept = int(found) >> _PREFIX << _PREFIX
        return str(found) if found.is_loopback else f"{IPv6Address(kept)}/{_PREFIX}"
    return str(found)


def is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of some networks."""
    try:
        found = ip_address(address.strip())
    except ValueError:
        return False
    return any(found in network for network in networks)


def asked_by(peer: str, forwarded: str, proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """The address of who asks: the peer's or, behind proxies that are trusted, what the outermost of them saw.

    `forwarded`: X-Forwarded-For; addresses before that one are whatever the client wrote.
    """
    if not proxies or not is_within(peer, proxies):
        return peer
    for address in reversed(forwarded.split(",")[-_FORWARDED_MAX:]):
        if not is_within(address, proxies):
            return address.strip()
    return peer


class Admission:
    """Lets requests in while there is room. `ticks`: seconds that never go back."""

    def __init__(self, settings: HttpSettings, ticks: Callable[[], float]) -> None:
        self._settings = settings
        self._ticks = ticks
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._answering: dict[str, int] = {}
        self._all = 0

    @property
    def answering(self) -> int:
        """Requests that are being answered."""
        return self._all

    @property
    def by_client(self) -> Mapping[str, int]:
        """Those of each client that has any."""
        return self._answering

    def enter(self, client: str) -> None:
        """Let a request in; `leave` when it is answered. Raises `Problem`."""
        now, bucket = self._ticks(), self._bucket(client)
        wait = bucket.wait_s(now)
        if wait > 0:
            seconds = math.ceil(wait)
            detail = f"more than {self._settings.requests_per_s:.15g} requests a second; try again in {seconds} s"
            raise Problem(Code.RATE_LIMITED, detail, retry_after_s=seconds)
        bucket.take(1, now)
        own = self._answering.get(client, 0)
        if own >= self._settings.client_requests_at_once:
            raise Problem(Code.RATE_LIMITED, f"{own} requests of this client are being answered", retry_after_s=1)
        if self._all >= self._settings.requests_at_once:
            raise Problem(Code.OVERLOADED, f"{self._all} requests are being answered", retry_after_s=1)
        self._answering[client] = own + 1
        self._all += 1

    def leave(self, client: str) -> None:
        """A request is answered."""
        self._all -= 1
        left = self._answering[client] - 1
        if left:
            self._answering[client] = left
        else:
            del self._answering[client]

    def _bucket(self, client: str) -> Bucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            settings = self._settings
            bucket = Bucket(settings.requests_per_s, settings.requests_burst, self._ticks())
            self._buckets[client] = bucket
            if len(self._buckets) > settings.clients:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        return bucket
