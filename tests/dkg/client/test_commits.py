"""All commits of a publisher from the chain: whole or an error, whatever an endpoint shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import dkg.client.commits
from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader
from dkg.client.commits import commits_of
from dkg.client.rpc import ChainError, HttpRpc, RpcTooLongError, Waiting
from dkg.errors import ProofError
from node.devnet.chain import devnet
from tests.chain.lies import LIES, honest
from tests.chain.proxy import proxy
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dkg.chain.registry import Committed
    from dkg.client.chainread import Log
    from tests.chain.proxy import Proxy

QUICK = Waiting(sleep=lambda _seconds: None)


@pytest.fixture(scope="module")
def chain() -> Iterator[tuple[Proxy, Registry, list[Committed]]]:
    with devnet() as running, proxy(running.url, honest) as between:
        registry = Registry(Rpc(running.url))
        mine = []
        for _ in range(6):
            mine.append(registry.commit(registry.accounts[0]))
            registry.commit(registry.accounts[1])
        yield between, registry, mine


def read(chain: tuple[Proxy, Registry, list[Committed]], reader: RpcReader) -> list[Committed]:
    _, registry, mine = chain
    client = Client(reader, registry.domain, mine[0].publisher, clock=time.time)
    return commits_of(reader, client.head(), registry.first_block)


def test_all_commits_are_read_oldest_first(chain: tuple[Proxy, Registry, list[Committed]]) -> None:
    with RpcReader(HttpRpc(chain[0].url)) as reader:
        assert read(chain, reader) == chain[2]


def test_a_publisher_without_commits_has_none(chain: tuple[Proxy, Registry, list[Committed]]) -> None:
    with RpcReader(HttpRpc(chain[0].url)) as reader:
        client = Client(reader, chain[1].domain, b"\7" * 20, clock=time.time)
        assert commits_of(reader, client.head()) == []


class Narrow(RpcReader):
    """An endpoint that answers for four blocks at most."""

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        if end - start > 3:
            raise RpcTooLongError("too long")
        return super().logs(address, start, end, topics)


def test_ranges_that_are_too_long_are_made_shorter(
    chain: tuple[Proxy, Registry, list[Committed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Narrow(HttpRpc(chain[0].url)) as reader:
        assert read(chain, reader) == chain[2]
    monkeypatch.setattr(dkg.client.commits, "BLOCKS_PER_REQUEST", 1)
    with RpcReader(HttpRpc(chain[0].url)) as reader:
        assert read(chain, reader) == chain[2]


@pytest.mark.parametrize("name", sorted(LIES))
def test_no_lie_leaves_a_commit_out_or_forges_one(chain: tuple[Proxy, Registry, list[Committed]], name: str) -> None:
    between, _, mine = chain
    between.rule = LIES[name]()
    try:
        with RpcReader(HttpRpc(between.url, waiting=QUICK)) as reader:
            found = read(chain, reader)
    except (ProofError, ChainError):
        found = mine
    finally:
        between.rule = honest
    assert found == mine[: len(found)]
    assert len(found) == len(mine) or name == "old head"
