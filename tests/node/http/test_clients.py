"""Who asks, behind proxies and without; rates, and how many requests are answered at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

import pytest

from node.http import HttpSettings, Problem
from node.http.clients import UNKNOWN, Admission, asked_by, client_of, is_within


@dataclass
class Ticks:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNKNOWN),
        ("nonsense", UNKNOWN),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client


PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "", ""),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.1"),
        ("::1", "203.0.113.7", "203.0.113.7"),
    ],
)
def test_only_a_proxy_that_is_trusted_tells_who_asks(peer: str, forwarded: str, client: str) -> None:
    assert asked_by(peer, forwarded, PROXIES) == client
    assert asked_by(peer, forwarded, ()) == peer


def test_whatever_a_client_writes_before_it_is_not_believed() -> None:
    forged = ", ".join(f"198.51.100.{n}" for n in range(200)) + ", 203.0.113.7"
    assert asked_by("10.0.0.1", forged, PROXIES) == "203.0.113.7"
    assert not is_within("nonsense", PROXIES)


def admission(ticks: Ticks, **settings: Any) -> Admission:  # noqa: ANN401
    return Admission(replace(HttpSettings(requests_per_s=10, requests_burst=5), **settings), ticks)


def test_a_rate_at_its_limit_and_over_it_and_later() -> None:
    ticks = Ticks()
    gate = admission(ticks)
    for _ in range(5):
        gate.enter("a")
        gate.leave("a")
    with pytest.raises(Problem) as caught:
        gate.enter("a")
    assert (caught.value.code.text, caught.value.retry_after_s) == ("rate-limited", 1)
    gate.enter("b")  # of somebody else
    ticks.now += 0.11
    gate.enter("a")


def test_requests_of_one_client_at_a_time() -> None:
    gate = admission(Ticks(), client_requests_at_once=2)
    gate.enter("a")
    gate.enter("a")
    with pytest.raises(Problem, match="2 requests of this client"):
        gate.enter("a")
    gate.leave("a")
    gate.enter("a")
    assert dict(gate.by_client) == {"a": 2}


def test_requests_of_all_at_a_time() -> None:
    gate = admission(Ticks(), requests_at_once=3)
    for name in "abc":
        gate.enter(name)
    with pytest.raises(Problem) as caught:
        gate.enter("d")
    assert (caught.value.code.text, caught.value.retry_after_s) == ("overloaded", 1)
    gate.leave("a")
    gate.enter("d")
    for name in "bcd":
        gate.leave(name)
    assert (gate.answering, dict(gate.by_client)) == (0, {})


def test_clients_are_remembered_up_to_a_limit() -> None:
    gate = admission(Ticks(), clients=3, requests_burst=1)
    for name in "abc":
        gate.enter(name)
        gate.leave(name)
    gate.enter("d")  # "a" is forgotten, and begins anew
    gate.enter("a")
    with pytest.raises(Problem):
        gate.enter("d")
    assert len(gate._buckets) == 3
