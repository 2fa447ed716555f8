"""`/v1/` about the node: datasets, graphs, publishers, commits, peers, status; everything in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.log import Block
from dkg.chain.registry import Retired
from dkg.page import cid_text
from node.http import Scope
from node.http.node_routes import ITEMS_MAX
from tests.node.http.conftest import bearer, walk
from tests.node.http.world import DOMAIN, START, address, publisher, ual

if TYPE_CHECKING:
    from tests.node.http.conftest import Site


def test_the_dataset_that_answers_come_from(site: Site) -> None:
    standing = site.node.standing(None)
    assert site.get("/v1/dataset").json() == {
        "root": cid_text(standing.root),
        "quads": 33,
        "claim": "L1",
        "state": "pending",
        "chain": 31337,
        "registry": f"0x{DOMAIN.registry.hex()}",
        "block": 5,
        "block_hash": f"0x{site.node.block.hash.hex()}",
        "block_time": "2027-01-15T08:00:48Z",
        "age": 30,
        "finality_depth": 2,
        "position": 4,
        "seq": None,
        "behind": 0,
        "publisher_count": 2,
        "publishers": sorted(f"0x{address(number).hex()}" for number in (0, 1)),
    }


def test_the_dataset_of_a_publisher_and_of_then(site: Site) -> None:
    found = site.get("/v1/dataset", params={"publisher": f"0x{address(0).hex()}", "at": "seq:1"}).json()
    assert (found["claim"], found["seq"], found["quads"]) == ("L1", 1, 13)


def test_graphs_in_parts(site: Site) -> None:
    whole = site.get("/v1/graphs").json()["items"]
    assert {one["graph"] for one in whole} == {
        f"{ual(number, name)}{more}"
        for number, name in ((0, "air"), (0, "people"), (1, "water"))
        for more in ("", "#provenance")
    }
    assert sum(one["quads"] for one in whole) == 33
    for limit in (1, 2, 3, 6, ITEMS_MAX):
        assert walk(site, f"/v1/graphs?limit={limit}") == whole
    who = f"0x{address(1).hex()}"
    assert walk(site, f"/v1/graphs?limit=1&publisher={who}") == [one for one in whole if who in one["graph"]]


def test_publishers_in_parts(site: Site) -> None:
    whole = site.get("/v1/publishers").json()["items"]
    assert [one["address"] for one in whole] == sorted(f"0x{address(number).hex()}" for number in (0, 1))
    assert walk(site, "/v1/publishers?limit=1") == whole
    (first,) = (one for one in whole if one["address"] == f"0x{address(0).hex()}")
    assert first["prefix"] == publisher(0).prefix
    assert first["did"] == publisher(0).did
    assert (first["followed"], first["retired"], first["signer"]) == (True, False, first["address"])
    assert first["latest"]["seq"] == first["held"]["seq"] == 3


def test_one_publisher(own: Site) -> None:
    assert own.get(f"/v1/publishers/0x{address(1).hex()}").json()["latest"]["seq"] == 1
    block = Block(own.node.block.number + 1, bytes(32), own.node.block.hash, START + 100)
    own.node.log.apply(block, [Retired(address(1), 0, len(own.node.log.entries))])
    after = own.get(f"/v1/publishers/0x{address(1).hex()}").json()
    assert (after["retired"], after["signer"]) == (True, None)


def test_commits_newest_first_in_parts(site: Site) -> None:
    whole = site.get("/v1/commits").json()["items"]
    assert [one["position"] for one in whole] == [3, 2, 1, 0]
    assert walk(site, "/v1/commits?limit=1") == walk(site, "/v1/commits?limit=3") == whole
    own = walk(site, f"/v1/commits?limit=1&publisher=0x{address(0).hex()}")
    assert [one["seq"] for one in own] == [3, 2, 1]
    assert own[0]["previous"] == own[1]["root"]
    assert own[2]["previous"] is None
    for one in whole:
        assert site.get(f"/v1/commits/{one['position']}").json() == one


def test_peers_in_parts_and_addresses_for_those_who_run_the_node(site: Site) -> None:
    public = walk(site, "/v1/peers?limit=1")
    assert [one["id"] for one in public] == [f"12D3KooW{number}" for number in range(3)]
    hidden = ("addresses", "remote", "penalties")
    assert all(one[name] is None for one in public for name in hidden)
    told = site.get("/v1/peers", headers=bearer(Scope.ADMIN)).json()["items"]
    assert all(one[name] for one in told for name in hidden)
    lesser = site.get("/v1/peers", headers=bearer(Scope.PUBLISH)).json()["items"]
    assert all(one[name] is None for one in lesser for name in hidden)


def test_what_is_told_of_a_peer(site: Site) -> None:
    told = site.get("/v1/peers", headers=bearer(Scope.ADMIN)).json()["items"][1]
    root = told["heads"][0].pop("root")
    assert root.startswith("bafy")
    assert told == {
        "id": "12D3KooW1",
        "direction": "inbound",
        "pinned": False,
        "since": "2027-01-15T08:00:00Z",
        "last_seen": "2027-01-15T08:01:41Z",
        "agent": "dkg/0",
        "sent_bytes": 10,
        "received_bytes": 20,
        "heads": [{"publisher": "0x" + address(0).hex(), "seq": 3}],
        "score": 60.0,
        "shut_out": False,
        "addresses": ["/ip4/203.0.113.1/tcp/9000/p2p/12D3KooW1"],
        "remote": "203.0.113.1:40123",
        "penalties": [{"at": "2027-01-15T08:00:50Z", "points": 60, "why": "the peer sent another page"}],
    }


def test_status(site: Site) -> None:
    assert site.get("/v1/status").json()["block"] == 5


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (f"/v1/commits?limit={ITEMS_MAX + 1}", (400, "parameter-invalid")),
        ("/v1/commits?limit=0", (400, "parameter-invalid")),
        ("/v1/commits?limit=x", (400, "parameter-invalid")),
        ("/v1/commits?before=-1", (400, "parameter-invalid")),
        ("/v1/commits?publisher=0x1", (400, "parameter-invalid")),
        ("/v1/commits/99", (404, "commit-unknown")),
        ("/v1/commits/-1", (400, "parameter-invalid")),
        (f"/v1/commits/{10**30}", (400, "parameter-invalid")),
        (f"/v1/commits/{2**48 - 1}", (404, "commit-unknown")),
        ("/v1/commits/x", (400, "parameter-invalid")),
        ("/v1/publishers?after=x", (400, "parameter-invalid")),
        ("/v1/publishers/x", (400, "parameter-invalid")),
        ("/v1/publishers/0x" + "11" * 20, (404, "publisher-unknown")),
        ("/v1/publishers/0x" + "aB" * 20, (400, "parameter-invalid")),
        ("/v1/graphs?after=x", (400, "parameter-invalid")),
        ("/v1/graphs?publisher=x", (400, "parameter-invalid")),
        ("/v1/assets?after=x", (400, "parameter-invalid")),
        ("/v1/dataset?at=x", (400, "parameter-invalid")),
        ("/v1/dataset?publisher=0x" + "11" * 20, (404, "publisher-unknown")),
        ("/v1/nothing", (404, "not-found")),
        ("/", (200, "")),
    ],
)
def test_what_is_wrong_is_said(site: Site, where: str, expected: tuple[int, str]) -> None:
    response = site.get(where)
    assert (response.status_code, response.json().get("code", "")) == expected


def test_the_longest_part_is_given(site: Site) -> None:
    assert site.get(f"/v1/commits?limit={ITEMS_MAX}").status_code == 200
