"""A small contract, and the same script over web3.py on any chain: deploy, send, read logs and proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_account import Account
from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from web3 import HTTPProvider, Web3

from dkg.chain.secp import keccak256
from node.devnet.accounts import dev_accounts

if TYPE_CHECKING:
    from hexbytes import HexBytes

RUNTIME = bytes.fromhex(
    "36 15 6019 57"  # no calldata: go to `read`
    "5f35 80 15 6022 57"  # the word that was sent; zero: go to `fail`
    "80 5f55 5f52"  # storage[0] = word; memory[0] = word
    "33 60aa 6020 5f a2 00"  # log2(memory[0:32], 0xaa, caller)
    "5b 5f54 5f52 6020 5f f3"  # read: return storage[0]
    "5b 6308c379a0 60e01b 5f52 6020 6004 52 6004 6024 52 637a65726f 60e01b 6044 52 6064 5f fd"  # fail: Error("zero")
)
CREATION = bytes([0x60, len(RUNTIME)]) + bytes.fromhex("80 6009 5f 39 5f f3") + RUNTIME
TOPIC = "0x" + f"{0xAA:064x}"
OWNER, OTHER = dev_accounts(2)
CONTRACT = "0x" + keccak256(b"\xd6\x94" + OWNER.address + b"\x80")[12:].hex()
"""Where the contract is if it is the first thing that the first account sends."""


def connected(url: str) -> Web3:
    return Web3(HTTPProvider(url))


def signed(nonce: int, **changes: Any) -> HexStr:  # noqa: ANN401 - fields of a transaction
    """A raw transaction of the first account, in hex."""
    key = changes.pop("key", OWNER.key)
    transaction = {
        "chainId": 31337,
        "nonce": nonce,
        "gas": 200_000,
        "maxFeePerGas": 5 * 10**9,
        "maxPriorityFeePerGas": 10**9,
        "value": 0,
        "to": to_checksum_address(CONTRACT),
        "data": b"",
    } | changes
    kept = {name: value for name, value in transaction.items() if value is not None}
    return HexStr("0x" + bytes(Account.sign_transaction(kept, key).raw_transaction).hex())


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _sent(chain: Web3) -> list[HexBytes]:
    """Deploy, then call with each kind of transaction; gives their hashes."""
    access = [{"address": to_checksum_address(CONTRACT), "storageKeys": ["0x" + "00" * 32]}]
    legacy = {"gasPrice": 5 * 10**9, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    raw = [
        signed(0, to=None, data=CREATION),
        signed(1, data=word(7)),
        signed(2, data=word(8), **legacy),
        signed(3, data=word(9), accessList=access, **legacy),
        signed(4, data=word(0)),
    ]
    hashes: list[HexBytes] = []
    for one in raw:
        hashes.append(chain.eth.send_raw_transaction(one))
        chain.eth.wait_for_transaction_receipt(hashes[-1], poll_latency=0.01)
    return hashes


def play(chain: Web3) -> dict[str, Any]:
    """The script; what the chain answers, by what was asked. Deploys in block 1, sends in 2 to 5."""

    def ask(method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        answer: Any = chain.provider.make_request(method, list(params))  # type: ignore[arg-type]
        return answer["result"] if "result" in answer else answer["error"]["code"]

    hashes = _sent(chain)
    names = ["0x" + bytes(one).hex() for one in hashes]
    slots = ["0x" + word(0).hex(), "0x" + word(1).hex()]
    found = {f"receipt {at}": ask("eth_getTransactionReceipt", name) for at, name in enumerate(names)}
    found |= {f"transaction {at}": ask("eth_getTransactionByHash", name) for at, name in enumerate(names)}
    found |= {f"block {at}": ask("eth_getBlockByNumber", hex(at), at % 2 == 1) for at in range(6)}
    found |= {
        f"logs {query}": ask("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", **query})
        for query in (
            {},
            {"address": CONTRACT},
            {"address": [CONTRACT, "0x" + "11" * 20], "fromBlock": "0x3"},
            {"topics": [TOPIC]},
            {"topics": [None, ["0x" + OWNER.address.rjust(32, b"\0").hex(), "0x" + word(3).hex()]]},
            {"topics": ["0x" + word(1).hex()]},
            {"fromBlock": "0x2", "toBlock": "0x2"},
            {"address": "0x" + "22" * 20},
        )
    }
    call = {"from": "0x" + OWNER.address.hex(), "to": CONTRACT}
    return found | {
        "hashes": names,
        "proof": ask("eth_getProof", CONTRACT, slots, "latest"),
        "proof of an account": ask("eth_getProof", "0x" + OTHER.address.hex(), [], "latest"),
        "proof of nothing": ask("eth_getProof", "0x" + "99" * 20, slots[:1], "latest"),
        "code": ask("eth_getCode", CONTRACT, "latest"),
        "no code": ask("eth_getCode", "0x" + "99" * 20, "latest"),
        "slot": ask("eth_getStorageAt", CONTRACT, "0x0", "latest"),
        "nonce": ask("eth_getTransactionCount", call["from"], "latest"),
        "old nonce": ask("eth_getTransactionCount", call["from"], "0x2"),
        "balance": ask("eth_getBalance", call["from"], "latest"),
        "call": ask("eth_call", call, "latest"),
        "old call": ask("eth_call", call, "0x2"),
        "failing call": ask("eth_call", call | {"data": "0x" + word(0).hex()}, "latest"),
        "gas": ask("eth_estimateGas", call | {"data": "0x" + word(3).hex()}),
        "gas of a payment": ask("eth_estimateGas", {"to": "0x" + OTHER.address.hex(), "value": "0x1"}),
        "no block": ask("eth_getBlockByNumber", "0xffff", False),  # noqa: FBT003 - JSON
        "no block by hash": ask("eth_getBlockByHash", "0x" + "11" * 32, False),  # noqa: FBT003
        "no transaction": ask("eth_getTransactionByHash", "0x" + "11" * 32),
        "no receipt": ask("eth_getTransactionReceipt", "0x" + "11" * 32),
        "chain id": ask("eth_chainId"),
        "network": ask("net_version"),
        "block number": ask("eth_blockNumber"),
        "accounts": ask("eth_accounts"),
        "gas price": ask("eth_gasPrice"),
        "tip": ask("eth_maxPriorityFeePerGas"),
        "fees": ask("eth_feeHistory", "0x3", "latest", [50]),
        "syncing": ask("eth_syncing"),
        "unknown method": ask("eth_nothing"),
        "too few parameters": ask("eth_getBalance"),
        "an odd address": ask("eth_getBalance", "0x123", "latest"),
        "nonce too low": ask("eth_sendRawTransaction", signed(0)),
        "no money": ask("eth_sendRawTransaction", signed(5, value=10**30)),
        "another chain": ask("eth_sendRawTransaction", signed(5, chainId=1)),
        "too little gas": ask("eth_sendRawTransaction", signed(5, gas=20_000)),
        "no transaction at all": ask("eth_sendRawTransaction", "0x00"),
    }
