"""Blocks, the pool, time, snapshots and reorganisations of the development chain."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.header import header_of_json
from node.devnet.chain import Options, devnet
from tests.chain.rpc import Rpc, RpcFailure
from tests.node.devnet.script import CONTRACT, CREATION, OTHER, OWNER, signed, word

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER = "0x" + OWNER.address.hex()
OTHER_SENDER = "0x" + OTHER.address.hex()
GWEI = 10**9


@pytest.fixture
def rpc() -> Iterator[Rpc]:
    with devnet() as chain:
        rpc = Rpc(chain.url)
        rpc("eth_sendRawTransaction", signed(0, to=None, data=CREATION))
        yield rpc


def send(rpc: Rpc, nonce: int, value: int = 1, **changes: object) -> str:
    return str(rpc("eth_sendRawTransaction", signed(nonce, data=word(value), **changes)))


def values(rpc: Rpc) -> list[int]:
    return [int(log["data"], 16) for log in rpc("eth_getLogs", {"fromBlock": "0x0", "address": CONTRACT})]


def block_of(rpc: Rpc, digest: str) -> int | None:
    receipt = rpc("eth_getTransactionReceipt", digest)
    return None if receipt is None else int(receipt["blockNumber"], 16)


# --- the pool ----------------------------------------------------------------------------------------------------


def test_a_gap_in_the_nonces_waits_until_it_is_filled(rpc: Rpc) -> None:
    later = send(rpc, 2, 22)
    assert block_of(rpc, later) is None
    assert rpc("eth_getTransactionByHash", later)["blockNumber"] is None
    assert rpc("eth_getTransactionCount", SENDER, "pending") == "0x1"
    sooner = send(rpc, 1, 11)
    assert (block_of(rpc, sooner), block_of(rpc, later)) == (2, 2)
    assert values(rpc) == [11, 22]


def test_a_transaction_that_pays_less_than_the_base_fee_waits(rpc: Rpc) -> None:
    poor = send(rpc, 1, maxFeePerGas=GWEI // 2, maxPriorityFeePerGas=1)
    assert block_of(rpc, poor) is None
    rpc("anvil_mine", "0xa")  # empty blocks make gas cheaper
    assert block_of(rpc, poor) is not None


def test_a_replacement_must_pay_a_tenth_more_in_both_fees(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON
    stuck = send(rpc, 1, 11)
    for fees in ({"maxFeePerGas": 6 * GWEI}, {"maxPriorityFeePerGas": 2 * GWEI}, {"gas": 100_000}):
        with pytest.raises(RpcFailure, match="replacement transaction underpriced"):
            send(rpc, 1, 12, **fees)
    better = send(rpc, 1, 13, maxFeePerGas=6 * GWEI, maxPriorityFeePerGas=2 * GWEI)
    assert rpc("eth_getTransactionByHash", stuck) is None
    rpc("evm_mine")
    assert (block_of(rpc, better), values(rpc)) == (2, [13])


def test_the_same_transaction_twice_is_known_already(rpc: Rpc) -> None:
    mined = signed(1, data=word(1))
    rpc("eth_sendRawTransaction", mined)
    waiting = signed(5, data=word(1))
    rpc("eth_sendRawTransaction", waiting)
    for raw in (mined, waiting):
        with pytest.raises(RpcFailure, match="already known"):
            rpc("eth_sendRawTransaction", raw)


def test_who_tips_more_comes_first(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003
    send(rpc, 1, 11)
    send(rpc, 0, 99, key=OTHER.key, maxPriorityFeePerGas=3 * GWEI)
    send(rpc, 2, 22, maxPriorityFeePerGas=4 * GWEI)
    rpc("evm_mine")
    assert values(rpc) == [99, 11, 22]  # the second of a sender cannot come before the first


def test_what_does_not_fit_into_a_block_goes_into_the_next(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003
    first, second = (send(rpc, 1 + at, at + 1, gas=29_990_000) for at in range(2))
    rpc("evm_mine")
    assert (block_of(rpc, first), block_of(rpc, second)) == (2, None)
    rpc("evm_setAutomine", True)  # noqa: FBT003
    assert block_of(rpc, second) == 3


def test_a_dropped_transaction_is_never_mined(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003
    digest = send(rpc, 1)
    assert rpc("anvil_dropTransaction", digest) == digest
    assert rpc("anvil_dropTransaction", digest) is None
    rpc("evm_mine")
    assert (rpc("eth_getTransactionByHash", digest), values(rpc)) == (None, [])


def test_the_pending_block_is_what_would_be_mined(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003
    digest = send(rpc, 1)
    pending = rpc("eth_getBlockByNumber", "pending", False)  # noqa: FBT003
    assert (pending["number"], pending["transactions"]) == ("0x2", [digest])
    assert rpc("eth_blockNumber") == "0x1"
    assert rpc("eth_getTransactionCount", SENDER, "pending") == "0x2"
    assert rpc("txpool_status") == {"pending": "0x1", "queued": "0x0"}
    assert list(rpc("txpool_content")["pending"][SENDER]) == ["1"]


def test_a_transaction_whose_money_is_spent_meanwhile_is_left_out(rpc: Rpc) -> None:
    rpc("evm_setAutomine", False)  # noqa: FBT003
    wealth = int(rpc("eth_getBalance", OTHER_SENDER, "latest"), 16) - 10**16
    payments = [
        rpc("eth_sendRawTransaction", signed(at, key=OTHER.key, value=wealth, gas=21_000, to="0x" + "77" * 20))
        for at in range(2)
    ]
    rpc("evm_mine")
    assert [block_of(rpc, digest) for digest in payments] == [2, None]


# --- time --------------------------------------------------------------------------------------------------------


def timestamp(rpc: Rpc) -> int:
    return int(rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)  # noqa: FBT003


def test_the_clock_goes_where_it_is_put(rpc: Rpc) -> None:
    before = timestamp(rpc)
    assert rpc("evm_increaseTime", 1000) == 1000
    rpc("evm_mine")
    assert timestamp(rpc) >= before + 1000
    rpc("evm_setNextBlockTimestamp", before + 5000)
    rpc("evm_mine")
    assert timestamp(rpc) == before + 5000
    rpc("evm_mine")
    assert timestamp(rpc) >= before + 5000
    with pytest.raises(RpcFailure, match="cannot be of"):
        rpc("evm_setNextBlockTimestamp", before)


def test_mined_blocks_can_be_spaced(rpc: Rpc) -> None:
    before = timestamp(rpc)
    rpc("anvil_mine", 4, 100)
    assert timestamp(rpc) >= before + 300


# --- snapshots and reorganisations -------------------------------------------------------------------------------


def state(rpc: Rpc) -> dict[str, Any]:
    return {
        "head": rpc("eth_getBlockByNumber", "latest", True),  # noqa: FBT003
        "logs": rpc("eth_getLogs", {"fromBlock": "0x0"}),
        "nonce": rpc("eth_getTransactionCount", SENDER, "pending"),
        "call": rpc("eth_call", {"to": CONTRACT}, "latest"),
        "proof": rpc("eth_getProof", CONTRACT, ["0x0"], "latest"),
        "pool": rpc("txpool_content"),
    }


def test_a_snapshot_brings_everything_back(rpc: Rpc) -> None:
    send(rpc, 1, 11)
    send(rpc, 7, 77)
    before = state(rpc)
    snapshot = rpc("evm_snapshot")
    later = [send(rpc, nonce, nonce) for nonce in range(2, 7)]
    assert rpc("eth_blockNumber") == "0x7"
    assert rpc("evm_revert", snapshot) is True
    assert state(rpc) == before
    assert [rpc("eth_getTransactionByHash", digest) for digest in later] == [None] * 5
    assert rpc("evm_revert", snapshot) is False


def test_a_snapshot_is_reached_across_a_reorganisation(rpc: Rpc) -> None:
    send(rpc, 1, 11)
    before = state(rpc)
    snapshot = rpc("evm_snapshot")
    rpc("anvil_reorg", 2, [])
    assert values(rpc) == []
    assert rpc("evm_revert", snapshot) is True
    assert state(rpc) == before


def test_a_reorganisation_replaces_blocks_logs_and_receipts(rpc: Rpc) -> None:
    old = [send(rpc, nonce, nonce) for nonce in range(1, 4)]
    hashes = [rpc("eth_getBlockByNumber", hex(number), False)["hash"] for number in range(5)]  # noqa: FBT003
    rpc("anvil_reorg", 2, [[signed(2, data=word(22)), 0], [signed(3, data=word(33)), 1]])
    assert rpc("eth_blockNumber") == "0x4"
    assert values(rpc) == [1, 22, 33]
    assert [block_of(rpc, digest) for digest in old] == [2, None, None]
    new = [rpc("eth_getBlockByNumber", hex(number), False) for number in range(5)]  # noqa: FBT003
    assert [block["hash"] == digest for block, digest in zip(new, hashes, strict=True)] == [True] * 3 + [False] * 2
    assert rpc("eth_getBlockByHash", hashes[4], False) is None  # noqa: FBT003
    for parent, block in pairwise(new):
        assert block["parentHash"] == parent["hash"]
        assert header_of_json(block, bytes.fromhex(block["hash"][2:])).number == int(block["number"], 16)


def test_an_empty_reorganisation_makes_other_blocks(rpc: Rpc) -> None:
    rpc("anvil_mine", 3)
    before = rpc("eth_getBlockByNumber", "latest", False)["hash"]  # noqa: FBT003
    rpc("anvil_reorg", 1, [])
    assert rpc("eth_getBlockByNumber", "latest", False)["hash"] != before  # noqa: FBT003


def test_a_transaction_can_be_sent_again_after_its_block_is_gone(rpc: Rpc) -> None:
    raw = signed(1, data=word(5))
    digest = rpc("eth_sendRawTransaction", raw)
    rpc("anvil_reorg", 1, [])
    assert rpc("eth_getTransactionByHash", digest) is None
    assert rpc("eth_sendRawTransaction", raw) == digest
    assert (block_of(rpc, digest), values(rpc)) == (3, [5])


@pytest.mark.parametrize("depth", [0, 2, 10**9])
def test_the_genesis_block_is_not_reorganised(rpc: Rpc, depth: int) -> None:
    with pytest.raises(RpcFailure, match="a reorganisation of"):
        rpc("anvil_reorg", depth, [])


def test_a_chain_that_does_not_mine_keeps_what_it_is_sent() -> None:
    with devnet(Options(mining=False)) as chain:
        rpc = Rpc(chain.url)
        digest = rpc("eth_sendRawTransaction", signed(0, to=None, data=CREATION))
        assert block_of(rpc, digest) is None
        rpc("anvil_mine", 2)
        assert (block_of(rpc, digest), rpc("eth_blockNumber")) == (1, "0x2")
