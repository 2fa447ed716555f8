"""The JSON of blocks, transactions, receipts, logs and proofs, as Ethereum's execution API writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rlp  # type: ignore[import-untyped]

from dkg.chain.secp import keccak256

if TYPE_CHECKING:
    from eth.abc import BlockHeaderAPI

    from node.devnet.ledger import LogEntry
    from node.devnet.machine import Block, TrieProof
    from node.devnet.transactions import Sent

Json = dict[str, Any]


def quantity(value: int) -> str:
    """A number as JSON-RPC writes it: no leading zeros."""
    return hex(value)


def data(value: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + value.hex()


def word(value: int) -> str:
    """A number as 32 bytes."""
    return f"0x{value:064x}"


def header_json(header: BlockHeaderAPI) -> Json:
    """Every field of a header, so that keccak256 of its RLP is the hash."""
    fields: Any = header  # the fields of the later forks are not in py-evm's interface
    return {
        "hash": data(fields.hash),
        "parentHash": data(fields.parent_hash),
        "sha3Uncles": data(fields.uncles_hash),
        "miner": data(fields.coinbase),
        "stateRoot": data(fields.state_root),
        "transactionsRoot": data(fields.transaction_root),
        "receiptsRoot": data(fields.receipt_root),
        "logsBloom": f"0x{fields.bloom:0512x}",
        "difficulty": quantity(fields.difficulty),
        "number": quantity(fields.block_number),
        "gasLimit": quantity(fields.gas_limit),
        "gasUsed": quantity(fields.gas_used),
        "timestamp": quantity(fields.timestamp),
        "extraData": data(fields.extra_data),
        "mixHash": data(fields.mix_hash),
        "nonce": data(fields.nonce),
        "baseFeePerGas": quantity(fields.base_fee_per_gas),
        "withdrawalsRoot": data(fields.withdrawals_root),
        "blobGasUsed": quantity(fields.blob_gas_used),
        "excessBlobGas": quantity(fields.excess_blob_gas),
        "parentBeaconBlockRoot": data(fields.parent_beacon_block_root),
        "requestsHash": data(fields.requests_hash),
    }


def block_json(block: Block, *, full: bool) -> Json:
    """A block, with its transactions in full or as their hashes."""
    transactions: list[Any] = [
        transaction_json(sent, block, at) if full else data(sent.hash) for at, sent in enumerate(block.transactions)
    ]
    return header_json(block.header) | {
        "totalDifficulty": "0x0",
        "size": quantity(block.size),
        "uncles": [],
        "transactions": transactions,
        "withdrawals": [],
    }


def transaction_json(sent: Sent, block: Block | None = None, at: int | None = None) -> Json:
    """A transaction; `block` and `at` are None while it waits."""
    evm: Any = sent.evm
    found: Json = {
        "type": quantity(sent.type),
        "nonce": quantity(sent.nonce),
        "gas": quantity(evm.gas),
        "to": None if sent.to is None else data(sent.to),
        "value": quantity(evm.value),
        "input": data(evm.data),
        "r": quantity(evm.r),
        "s": quantity(evm.s),
        "v": quantity(evm.y_parity if sent.type else evm.v),
        "hash": data(sent.hash),
        "from": data(sent.sender),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "gasPrice": quantity(evm.max_fee_per_gas),
    }
    if evm.chain_id is not None:
        found["chainId"] = quantity(evm.chain_id)
    if sent.type:
        found |= {"yParity": quantity(evm.y_parity), "accessList": _access_list(evm.access_list)}
    if sent.type > 1:
        found |= {
            "maxFeePerGas": quantity(evm.max_fee_per_gas),
            "maxPriorityFeePerGas": quantity(evm.max_priority_fee_per_gas),
        }
    if block is None or at is None:
        return found
    fields: Any = block.header
    return found | {
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "blockTimestamp": quantity(fields.timestamp),
        "transactionIndex": quantity(at),
        "gasPrice": quantity(sent.price(fields.base_fee_per_gas)),
    }


def _access_list(pairs: Any) -> list[Json]:  # noqa: ANN401 - py-evm's pairs have two types
    return [{"address": data(address), "storageKeys": [word(key) for key in keys]} for address, keys in pairs]


def receipt_json(block: Block, at: int, logs: list[LogEntry]) -> Json:
    """The receipt of a block's transaction; `logs` are those of the block."""
    sent, receipt, fields = block.transactions[at], block.receipts[at], _fields(block)
    before = block.receipts[at - 1].gas_used if at else 0
    created = keccak256(rlp.encode([sent.sender, sent.nonce]))[12:]
    return {
        "type": quantity(sent.type),
        "status": "0x1" if receipt.state_root else "0x0",
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "logs": [log_json(entry) for entry in logs if entry.transaction == at],
        "logsBloom": f"0x{receipt.bloom:0512x}",
        "transactionHash": data(sent.hash),
        "transactionIndex": quantity(at),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "gasUsed": quantity(receipt.gas_used - before),
        "effectiveGasPrice": quantity(sent.price(fields.base_fee_per_gas)),
        "blobGasPrice": "0x1",
        "from": data(sent.sender),
        "to": None if sent.to is None else data(sent.to),
        "contractAddress": data(created) if sent.to is None else None,
    }


def _fields(block: Block) -> Any:  # noqa: ANN401 - as in header_json
    return block.header


def log_json(entry: LogEntry) -> Json:
    """A log and where it stands."""
    block = entry.block
    return {
        "address": data(entry.log.address),
        "topics": [word(topic) for topic in entry.log.topics],
        "data": data(entry.log.data),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "blockTimestamp": quantity(_fields(block).timestamp),
        "transactionHash": data(block.transactions[entry.transaction].hash),
        "transactionIndex": quantity(entry.transaction),
        "logIndex": quantity(entry.index),
        "removed": False,
    }


def proof_json(address: bytes, slots: list[int], proof: TrieProof) -> Json:
    """An account's proof as EIP-1186 writes it; the nodes go from the root downward."""
    return {
        "address": data(address),
        "balance": quantity(proof.balance),
        "codeHash": data(proof.code_hash),
        "nonce": quantity(proof.nonce),
        "storageHash": data(proof.storage_root),
        "accountProof": [data(node) for node in proof.nodes],
        "storageProof": [
            {"key": word(slot), "value": quantity(value), "proof": [data(node) for node in nodes]}
            for slot, (value, nodes) in zip(slots, proof.slots, strict=True)
        ],
    }
