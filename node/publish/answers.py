"""What endpoints answer about transactions, read strictly; whatever is off is a fault of the endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from dkg.chain.anchor import PROOF_NODE_BYTES_MAX, PROOF_NODES_MAX
from dkg.client.rpc import RpcAnswerError

NUMBER_MAX: Final = 2**63 - 1
"""Largest nonce, number of a block, gas or price of gas in wei that is believed."""

_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HASH: Final = 32

_KNOWN: Final = ("already known", "already imported", "known transaction", "alreadyknown", "already in mempool")
_STALE: Final = ("nonce too low", "nonce is too low", "old nonce", "oldnonce")
_FUNDS: Final = ("insufficient funds", "insufficient balance")
_UNDERPRICED: Final = (
    "underpriced", "less than block base fee", "fee too low", "feetoolow", "gas price too low", "fee cap less than",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction, as an endpoint tells. `success`: False if it was reverted. `gas`: units that it used."""

    block: int
    block_hash: bytes
    success: bool
    gas: int


class Taken(Enum):
    """What an endpoint did with a transaction that it was sent."""

    YES = "taken"
    STALE = "its nonce is used"
    UNDERPRICED = "it pays too little"
    FUNDS = "its sender has too little"
    NO = "refused"


def refusal(text: str) -> Taken:
    """What the text of an error object means, by the words of geth, anvil, erigon, nethermind, besu and ours."""
    said = text.lower()
    for words, meaning in (
        (_KNOWN, Taken.YES),
        (_STALE, Taken.STALE),
        (_FUNDS, Taken.FUNDS),
        (_UNDERPRICED, Taken.UNDERPRICED),
    ):
        if any(word in said for word in words):
            return meaning
    return Taken.NO


def number(value: object, what: str, most: int = NUMBER_MAX) -> int:
    """A quantity. Raises `RpcAnswerError` if it is none, or larger than `most`."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise RpcAnswerError(f"{what} is not a number as JSON-RPC writes it")
    found = int(value, 16)
    if found > most:
        raise RpcAnswerError(f"{what} is {found}, which cannot be")
    return found


def octets(value: object, what: str, length: int | None = None) -> bytes:
    """Bytes. Raises `RpcAnswerError` if they are none, or not `length` of them."""
    if not isinstance(value, str) or not _DATA.fullmatch(value) or length not in {None, len(value) // 2 - 1}:
        raise RpcAnswerError(f"{what} is not hexadecimal, or has another length")
    return bytes.fromhex(value[2:])


def members(value: object, what: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise RpcAnswerError(f"{what} is no JSON object")
    return value


def receipt(value: object, digest: bytes) -> Receipt | None:
    """A receipt of the transaction with this hash; None where there is none."""
    if value is None:
        return None
    found = members(value, "a receipt")
    if octets(found.get("transactionHash"), "transactionHash of a receipt", _HASH) != digest:
        raise RpcAnswerError("a receipt is of another transaction")
    return Receipt(
        number(found.get("blockNumber"), "blockNumber of a receipt"),
        octets(found.get("blockHash"), "blockHash of a receipt", _HASH),
        number(found.get("status"), "status of a receipt") == 1,
        number(found.get("gasUsed"), "gasUsed of a receipt"),
    )


def account_nodes(value: object) -> list[bytes]:
    """The nodes of an account's proof in an answer of eth_getProof."""
    nodes = members(value, "the answer of eth_getProof").get("accountProof")
    if not isinstance(nodes, list) or len(nodes) > PROOF_NODES_MAX:
        raise RpcAnswerError(f"accountProof of eth_getProof is no list of at most {PROOF_NODES_MAX} nodes")
    found = [octets(node, "a node of accountProof") for node in nodes]
    if any(len(node) > PROOF_NODE_BYTES_MAX for node in found):
        raise RpcAnswerError(f"a node of accountProof has more than {PROOF_NODE_BYTES_MAX} bytes")
    return found
