"""The handle on anvil does what it says. Skipped where anvil is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.header import header_of_json
from tests.chain import anvil as module
from tests.chain.anvil import Anvil, anvil, find_anvil, require_anvil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def chain() -> Iterator[Anvil]:
    with anvil() as chain:
        yield chain


def payment(chain: Anvil) -> str:
    owner, other = chain.accounts()[:2]
    return str(chain.rpc("eth_sendTransaction", {"from": owner, "to": other, "value": "0x1"}))


def test_two_run_at_once_with_their_own_ids() -> None:
    with anvil(chain_id=5) as one, anvil(chain_id=6) as other:
        assert (one.rpc("eth_chainId"), other.rpc("eth_chainId")) == ("0x5", "0x6")


def test_blocks_are_final_two_below_the_latest(chain: Anvil) -> None:
    chain.mine(10)
    assert chain.head() == 10
    assert [int(chain.block(tag)["number"], 16) for tag in ("latest", "safe", "finalized")] == [10, 9, 8]


def test_a_reorganisation_makes_other_blocks_of_the_same_heights(chain: Anvil) -> None:
    chain.mine(5)
    before = [chain.block(number)["hash"] for number in range(6)]
    chain.reorg(2)
    after = [chain.block(number)["hash"] for number in range(6)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True] * 4 + [False] * 2
    assert header_of_json(chain.block(), bytes.fromhex(after[5][2:])).number == 5


def test_a_transaction_waits_and_can_be_dropped(chain: Anvil) -> None:
    chain.set_automine(False)
    digest = payment(chain)
    assert chain.rpc("eth_getTransactionReceipt", digest) is None
    chain.drop_transaction(digest)
    chain.mine()
    assert chain.rpc("eth_getTransactionByHash", digest) is None


def test_a_snapshot_comes_back(chain: Anvil) -> None:
    chain.mine(2)
    snapshot = chain.snapshot()
    chain.mine(3)
    chain.revert(snapshot)
    assert chain.head() == 2


def test_balances_and_time_are_what_they_are_set_to(chain: Anvil) -> None:
    owner = chain.accounts()[0]
    chain.set_balance(owner, 77)
    assert chain.rpc("eth_getBalance", owner, "latest") == hex(77)
    before = int(chain.block()["timestamp"], 16)
    chain.increase_time(3600)
    chain.mine()
    assert int(chain.block()["timestamp"], 16) >= before + 3600


def test_without_mining_nothing_happens() -> None:
    with anvil(mining=False) as chain:
        payment(chain)
        assert chain.head() == 0


def test_an_anvil_that_does_not_start_says_why() -> None:
    with pytest.raises(AssertionError, match="anvil ended with"), anvil(options=["--no-such-option"]):
        pass


def test_a_test_is_skipped_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DKG_ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "PLACES", (tmp_path,))
    assert find_anvil() is None
    with pytest.raises(pytest.skip.Exception, match="npm install"):
        require_anvil()
    monkeypatch.setenv("DKG_ANVIL", str(tmp_path / "anvil"))
    assert find_anvil() == tmp_path / "anvil"
