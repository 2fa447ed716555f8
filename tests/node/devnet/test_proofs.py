"""What the development chain answers can be verified: hashes of headers, proofs against state roots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.header import header_of_json
from dkg.chain.trie import verify_account, verify_storage
from node.devnet.chain import devnet
from tests.chain.rpc import Rpc
from tests.node.devnet.script import CONTRACT, CREATION, OTHER, OWNER, RUNTIME, signed, word

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def rpc() -> Iterator[Rpc]:
    with devnet() as chain:
        rpc = Rpc(chain.url)
        rpc("eth_sendRawTransaction", signed(0, to=None, data=CREATION))
        yield rpc


def octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def nodes(texts: list[str]) -> list[bytes]:
    return [octets(text) for text in texts]


def block(rpc: Rpc, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = rpc("eth_getBlockByNumber", tag, False)  # noqa: FBT003 - JSON
    return found


def test_every_header_hashes_to_its_hash_and_names_its_parent(rpc: Rpc) -> None:
    for nonce in range(1, 6):
        rpc("eth_sendRawTransaction", signed(nonce, data=word(nonce)))
    parent = bytes(32)
    for number in range(7):
        found = block(rpc, hex(number))
        header = header_of_json(found, octets(found["hash"]))
        assert (header.number, header.parent) == (number, parent)
        parent = header.hash


def test_storage_is_proved_against_the_state_root_of_its_own_block(rpc: Rpc) -> None:
    for nonce in range(1, 6):
        rpc("eth_sendRawTransaction", signed(nonce, data=word(100 + nonce)))
    for number in range(2, 7):
        proof = rpc("eth_getProof", CONTRACT, ["0x0", "0x5"], hex(number))
        root = octets(block(rpc, hex(number))["stateRoot"])
        account = verify_account(root, octets(CONTRACT), nodes(proof["accountProof"]))
        assert account is not None
        values = [
            verify_storage(account.storage_root, octets(slot["key"]), nodes(slot["proof"]))
            for slot in proof["storageProof"]
        ]
        assert values == [99 + number, 0]
        assert [int(slot["value"], 16) for slot in proof["storageProof"]] == values


def test_accounts_are_proved_from_the_genesis_block_on(rpc: Rpc) -> None:
    for tag, nonce in (("0x0", 0), ("latest", 1)):
        proof = rpc("eth_getProof", "0x" + OWNER.address.hex(), [], tag)
        account = verify_account(octets(block(rpc, tag)["stateRoot"]), OWNER.address, nodes(proof["accountProof"]))
        assert account is not None
        assert (account.nonce, account.balance) == (nonce, int(proof["balance"], 16))


def test_what_is_not_there_is_proved_absent(rpc: Rpc) -> None:
    nobody = bytes(19) + b"\x07"
    proof = rpc("eth_getProof", "0x" + nobody.hex(), ["0x0"], "latest")
    root = octets(block(rpc, "latest")["stateRoot"])
    assert verify_account(root, nobody, nodes(proof["accountProof"])) is None
    assert proof["storageProof"] == [{"key": "0x" + "00" * 32, "value": "0x0", "proof": []}]


def test_a_state_of_many_accounts_is_proved(rpc: Rpc) -> None:
    for at in range(40):
        rpc("eth_sendTransaction", {"from": "0x" + OTHER.address.hex(), "to": f"0x{at + 4096:040x}", "value": "0x1"})
    root = octets(block(rpc, "latest")["stateRoot"])
    for at in range(40):
        address = (at + 4096).to_bytes(20, "big")
        proof = rpc("eth_getProof", "0x" + address.hex(), [], "latest")
        account = verify_account(root, address, nodes(proof["accountProof"]))
        assert account is not None
        assert (account.balance, account.nonce) == (1, 0)


def test_code_is_what_was_deployed(rpc: Rpc) -> None:
    assert octets(rpc("eth_getCode", CONTRACT, "latest")) == RUNTIME
