"""What endpoints answer, read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from dkg.chain.anchor import PROOF_NODE_BYTES_MAX, PROOF_NODES_MAX
from dkg.client.rpc import RpcAnswerError
from node.publish.answers import NUMBER_MAX, Receipt, Taken, account_nodes, number, octets, receipt, refusal

DIGEST = b"\x11" * 32
GOOD = {
    "transactionHash": "0x" + DIGEST.hex(),
    "blockNumber": "0x7",
    "blockHash": "0x" + "22" * 32,
    "status": "0x1",
    "gasUsed": "0xea60",
}

# As geth, anvil (two versions), erigon, nethermind, besu and our own chain say it.
SAID = {
    "already known": Taken.YES,
    "transaction already imported": Taken.YES,
    "AlreadyKnown": Taken.YES,
    "Known transaction": Taken.YES,
    "nonce too low: next nonce 5, tx nonce 4": Taken.STALE,
    "Nonce too low": Taken.STALE,
    "OldNonce, Current nonce: 2": Taken.STALE,
    "insufficient funds for gas * price + value: have 0 want 1": Taken.FUNDS,
    "Insufficient funds for gas * price + value": Taken.FUNDS,
    "replacement transaction underpriced": Taken.UNDERPRICED,
    "max fee per gas less than block base fee": Taken.UNDERPRICED,
    "transaction underpriced: gas tip cap 1, minimum needed 2": Taken.UNDERPRICED,
    "FeeTooLow, MaxFeePerGas too low": Taken.UNDERPRICED,
    "invalid sender": Taken.NO,
    "": Taken.NO,
}


@pytest.mark.parametrize("said", sorted(SAID))
def test_refusals_are_understood_by_their_words(said: str) -> None:
    assert refusal(f"http://127.0.0.1:1 refused eth_sendRawTransaction: {said} (code -32000)") is SAID[said]


def test_a_receipt_is_read() -> None:
    assert receipt(None, DIGEST) is None
    assert receipt(GOOD, DIGEST) == Receipt(7, b"\x22" * 32, success=True, gas=60_000)
    reverted = receipt(GOOD | {"status": "0x0"}, DIGEST)
    assert reverted is not None
    assert not reverted.success


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": "0x" + "12" * 32},
        {"transactionHash": None},
        {"blockNumber": 7},
        {"blockNumber": "0x07"},
        {"blockNumber": hex(NUMBER_MAX + 1)},
        {"blockHash": "0x22"},
        {"status": None},
        {"gasUsed": "0xz"},
    ],
    ids=str,
)
def test_a_receipt_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RpcAnswerError):
        receipt(GOOD | change, DIGEST)


@pytest.mark.parametrize("value", [[], "0x", 5, True])
def test_what_is_no_object_is_no_receipt(value: object) -> None:
    with pytest.raises(RpcAnswerError):
        receipt(value, DIGEST)


def test_numbers_at_their_limit_and_past_it() -> None:
    assert number(hex(NUMBER_MAX), "n") == NUMBER_MAX
    assert number("0x0", "n") == 0
    for value in (hex(NUMBER_MAX + 1), "0x00", "0x", "1", 1, None, "0x" + "f" * 65, "0x1\n"):
        with pytest.raises(RpcAnswerError):
            number(value, "n")


def test_bytes_have_their_length() -> None:
    assert octets("0x0aFF", "b", 2) == b"\x0a\xff"
    for value in ("0x0aff00", "0xaff", "0aff", None, "0x0g00", "0x0aff\n"):
        with pytest.raises(RpcAnswerError):
            octets(value, "b", 2)


def test_nodes_of_a_proof_are_bounded() -> None:
    node = "0x" + "00" * PROOF_NODE_BYTES_MAX
    assert len(account_nodes({"accountProof": [node] * PROOF_NODES_MAX})) == PROOF_NODES_MAX
    for nodes in ([node] * (PROOF_NODES_MAX + 1), [node + "00"], "0x", [5], None):
        with pytest.raises(RpcAnswerError):
            account_nodes({"accountProof": nodes})
