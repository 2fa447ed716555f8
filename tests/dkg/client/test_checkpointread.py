"""Commits since a checkpoint, from the chain: all of them or an error, whatever an endpoint or a node shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import dkg.client.checkpointread
from dkg.client import search
from dkg.client.chainread import RpcReader
from dkg.client.checkpointread import OldCheckpointError, entries_since
from dkg.client.rpc import HttpRpc, RpcAnswerError, Waiting
from dkg.errors import DkgError, ProofError
from node.devnet.chain import devnet
from tests.chain.lies import edited, honest
from tests.chain.proxy import proxy
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.chain.registry import Committed
    from tests.chain.proxy import Proxy, Request, Response

QUICK = Waiting(sleep=lambda _seconds: None)


class Chain:
    """A registry behind a proxy, and all that it logged."""

    def __init__(self, url: str, between: Proxy) -> None:
        self.rpc = Rpc(url)
        self.proxy = between
        self.registry = Registry(self.rpc)
        self.logged = [self.registry.commit(self.registry.accounts[at % 3]) for at in range(8)]

    def since(self, position: int, shown: Iterable[Committed] = ()) -> list[Committed]:
        with RpcReader(HttpRpc(self.proxy.url, waiting=QUICK)) as reader:
            return entries_since(reader, self.registry.domain, reader.header("latest"), position, shown)


@pytest.fixture(scope="module")
def running() -> Iterator[Chain]:
    with devnet() as chain, proxy(chain.url, honest) as between:
        yield Chain(chain.url, between)


@pytest.fixture
def chain(running: Chain) -> Iterator[Chain]:
    yield running
    running.proxy.rule = honest
    running.proxy.calls.clear()


@pytest.mark.parametrize("position", [0, 5, 7, 8])
def test_all_commits_from_a_position_are_read_in_order(chain: Chain, position: int) -> None:
    assert chain.since(position) == chain.logged[position:]


def test_small_windows_find_the_same(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_WINDOW", 1)
    monkeypatch.setattr(dkg.client.checkpointread, "SLOTS_PER_PROOF", 3)
    assert chain.since(1) == chain.logged[1:]


def test_what_a_node_shows_need_not_be_looked_for(chain: Chain) -> None:
    assert chain.since(3, chain.logged) == chain.logged[3:]
    assert "eth_getLogs" not in chain.proxy.calls


def test_what_a_node_forges_is_looked_for(chain: Chain) -> None:
    forged = [replace(one, commit=replace(one.commit, count=1)) for one in chain.logged]
    assert chain.since(3, forged) == chain.logged[3:]


def test_commits_before_the_position_that_a_node_shows_do_not_stand_in(chain: Chain) -> None:
    moved = [replace(one, position=one.position + 3) for one in chain.logged]
    assert chain.since(3, moved) == chain.logged[3:]


def test_an_endpoint_that_hides_a_commit_is_an_error(chain: Chain) -> None:
    chain.proxy.rule = edited(("eth_getLogs",), lambda logs: logs[:-2] + logs[-1:])
    with pytest.raises(ProofError, match="does not show commit 6"):
        chain.since(4)


def test_an_endpoint_that_forges_commits_is_an_error(chain: Chain) -> None:
    def forged(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**log, "data": "0x" + "11" * 32 + log["data"][66:]} for log in logs]

    chain.proxy.rule = edited(("eth_getLogs",), forged)
    with pytest.raises(ProofError, match="does not show commit 4"):
        chain.since(4)


def test_an_endpoint_that_repeats_forgeries_is_given_up(chain: Chain) -> None:
    def many(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**log, "data": f"0x{at:064x}{log['data'][66:]}"} for log in logs for at in range(1, 9)]

    chain.proxy.rule = edited(("eth_getLogs",), many)
    with pytest.raises(ProofError, match="forged events of commit 7"):
        chain.since(4)


def test_an_endpoint_that_calls_all_but_single_blocks_too_long_is_given_up(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    (log,) = chain.rpc("eth_getLogs", {"address": "0x" + chain.registry.address.hex(), "fromBlock": "0x0"})[-1:]

    def long(request: Request, response: Response) -> Response:
        if request.method != "eth_getLogs":
            return response
        first, last = request.params[0]["fromBlock"], request.params[0]["toBlock"]
        return response.with_result(request, [log | {"blockNumber": first}] * 3 if first != last else [])

    chain.rpc("anvil_mine", hex(100))
    chain.proxy.rule = long
    monkeypatch.setattr("dkg.client.chainread.LOGS_MAX", 2)
    monkeypatch.setattr(search, "WINDOWS_MAX", 30)
    with pytest.raises(RpcAnswerError, match="more than 30 requests"):
        chain.since(4)


def test_so_many_windows_are_asked_for_and_no_more(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_WINDOW", 1)
    chain.proxy.calls.clear()
    assert chain.since(4) == chain.logged[4:]
    windows = chain.proxy.calls.count("eth_getLogs")
    monkeypatch.setattr(search, "WINDOWS_MAX", windows)
    assert chain.since(4) == chain.logged[4:]
    monkeypatch.setattr(search, "WINDOWS_MAX", windows - 1)
    with pytest.raises(RpcAnswerError, match="ask another endpoint"):
        chain.since(4)


def test_an_endpoint_that_shortens_the_log_is_an_error(chain: Chain) -> None:
    def shorter(proof: dict[str, Any]) -> dict[str, Any]:
        return {**proof, "storageProof": [{**one, "proof": one["proof"][:-1]} for one in proof["storageProof"]]}

    chain.proxy.rule = edited(("eth_getProof",), shorter)
    with pytest.raises(ProofError):
        chain.since(4)


def test_a_position_beyond_the_log_is_of_another_registry(chain: Chain) -> None:
    with pytest.raises(ProofError, match="another registry"):
        chain.since(9)


@pytest.mark.parametrize("most", [4, 3])
def test_more_commits_than_the_limit_make_a_checkpoint_too_old(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(dkg.client.checkpointread, "LOG_ENTRIES_MAX", most)
    if most == 4:
        assert chain.since(4) == chain.logged[4:]
    else:
        with pytest.raises(OldCheckpointError, match="too old: 3 are looked at") as caught:
            chain.since(4)
        assert isinstance(caught.value, DkgError)
