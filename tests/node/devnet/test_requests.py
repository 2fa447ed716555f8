"""Requests that are wrong get an error in words and a code; none of them ends the server."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from node.devnet.chain import devnet
from node.devnet.server import REQUEST_BYTES_MAX
from tests.chain.rpc import Rpc, RpcFailure
from tests.node.devnet.script import CONTRACT, OWNER, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER = "0x" + OWNER.address.hex()
HASH = "0x" + "11" * 32

# The code of the error, then the call.
WRONG: list[tuple[int, str, list[Any]]] = [
    (-32601, "eth_nothing", []),
    (-32601, "eth_newFilter", [{}]),
    (-32602, "eth_getBalance", []),
    (-32602, "eth_getBalance", [SENDER, "latest", 1]),
    (-32602, "eth_getBalance", ["0x1", "latest"]),
    (-32602, "eth_getBalance", [SENDER[:-2], "latest"]),
    (-32602, "eth_getBalance", [None, "latest"]),
    (-32602, "eth_getBalance", [SENDER, "newest"]),
    (-32602, "eth_getBalance", [SENDER, "-0x1"]),
    (-32602, "eth_getBalance", [SENDER, "0x"]),
    (-32602, "eth_getBalance", [SENDER, None]),
    (-32602, "eth_getBalance", [SENDER, ["latest"]]),
    (-32602, "eth_getBalance", [SENDER, {}]),
    (-32000, "eth_getBalance", [SENDER, "0x99"]),
    (-32000, "eth_getBalance", [SENDER, {"blockHash": HASH}]),
    (-32602, "eth_getBlockByNumber", ["latest", "yes"]),
    (-32602, "eth_getBlockByHash", ["0x12"]),
    (-32602, "eth_getStorageAt", [CONTRACT, "0x" + "1" * 65, "latest"]),
    (-32602, "eth_getProof", [CONTRACT, "0x0", "latest"]),
    (-32602, "eth_getProof", [CONTRACT, ["zero"], "latest"]),
    (-32602, "eth_getProof", [CONTRACT, ["0x0"] * 1025, "latest"]),
    (-32602, "eth_getLogs", [[]]),
    (-32602, "eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}]),
    (-32602, "eth_getLogs", [{"blockHash": HASH, "fromBlock": "0x0"}]),
    (-32000, "eth_getLogs", [{"blockHash": HASH}]),
    (-32602, "eth_getLogs", [{"address": "0x12"}]),
    (-32602, "eth_getLogs", [{"topics": ["0x12"]}]),
    (-32602, "eth_getLogs", [{"topics": [None] * 5}]),
    (-32602, "eth_call", ["data", "latest"]),
    (-32602, "eth_call", [{"to": CONTRACT, "data": "0x1"}, "latest"]),
    (-32602, "eth_call", [{"to": CONTRACT, "accessList": []}, "latest"]),
    (-32000, "eth_call", [{"from": "0x" + "99" * 20, "to": CONTRACT, "value": "0x1"}, "latest"]),
    (-32000, "eth_call", [{"to": CONTRACT, "gas": "0x1"}, "latest"]),
    (-32000, "eth_estimateGas", [{"data": "0xfe"}]),
    (-32602, "eth_feeHistory", ["0x1", "latest", [101]]),
    (-32602, "eth_feeHistory", ["0x1", "latest", ["50"]]),
    (-32602, "eth_sendRawTransaction", ["0x"]),
    (-32602, "eth_sendRawTransaction", ["0x02"]),
    (-32602, "eth_sendRawTransaction", ["0x05c0"]),
    (-32602, "eth_sendRawTransaction", ["0x7f"]),
    (-32602, "eth_sendRawTransaction", ["0xc0"]),
    (-32602, "eth_sendRawTransaction", ["0xf8ff"]),
    (-32602, "eth_sendRawTransaction", [signed(0)[:-2]]),
    (-32602, "eth_sendRawTransaction", [signed(0) + "00"]),
    (-32003, "eth_sendRawTransaction", ["0x03c0"]),
    (-32003, "eth_sendRawTransaction", [signed(0, chainId=5)]),
    (-32000, "eth_sendRawTransaction", [signed(0, gas=30_000_001)]),
    (-32602, "eth_sendTransaction", [{}]),
    (-32003, "eth_sendTransaction", [{"from": "0x" + "99" * 20}]),
    (-32602, "eth_sendTransaction", [{"from": SENDER, "blobs": []}]),
    (-32602, "anvil_mine", ["0xffffff"]),
    (-32602, "anvil_mine", ["0x1", "0xffffffffffff"]),
    (-32602, "anvil_reorg", [1, [["0x00"]]]),
    (-32602, "anvil_reorg", [1, []]),
    (-32602, "evm_increaseTime", [-5]),
    (-32602, "evm_setAutomine", ["no"]),
]


@pytest.fixture(scope="module")
def rpc() -> Iterator[Rpc]:
    with devnet() as chain:
        yield Rpc(chain.url)


@pytest.mark.parametrize(("code", "method", "params"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_call_is_an_error_with_its_code(rpc: Rpc, code: int, method: str, params: list[Any]) -> None:
    with pytest.raises(RpcFailure) as caught:
        rpc(method, *params)
    assert caught.value.code == code, caught.value.message
    assert len(caught.value.message) > 10


def test_a_signature_that_was_altered_is_refused(rpc: Rpc) -> None:
    raw = bytearray.fromhex(signed(0)[2:])
    raw[-33:] = bytes(33)
    with pytest.raises(RpcFailure):
        rpc("eth_sendRawTransaction", "0x" + raw.hex())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (b"{}", -32600),
        (b'{"id": 1, "method": 5}', -32600),
        (b'{"id": 1, "method": "eth_chainId", "params": {}}', -32602),
        (json.dumps([{"id": 1, "method": "eth_chainId"}] * 1001).encode(), -32600),
    ],
)
def test_a_wrong_body_is_an_error(rpc: Rpc, body: bytes, code: int) -> None:
    status, answer = rpc.post(body)
    assert status == 200
    assert json.loads(answer)["error"]["code"] == code


def test_a_batch_is_answered_call_by_call(rpc: Rpc) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        7,
        {"jsonrpc": "2.0", "id": 3, "method": "eth_nothing"},
    ]
    answers = json.loads(rpc.post(json.dumps(calls).encode())[1])
    assert [answer.get("id") for answer in answers] == ["a", None, 3]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601]
    assert answers[0] == {"jsonrpc": "2.0", "id": "a", "result": "0x7a69"}


def test_a_notification_has_no_answer(rpc: Rpc) -> None:
    assert rpc.post(b'{"jsonrpc": "2.0", "method": "eth_chainId"}') == (200, b"")


def test_a_body_that_is_too_long_is_not_read(rpc: Rpc) -> None:
    with closing(http.client.HTTPConnection(rpc.url.removeprefix("http://"))) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(REQUEST_BYTES_MAX + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413


@pytest.mark.parametrize("length", [None, "-1", "many", "1_000"])
def test_a_body_without_a_length_is_refused(rpc: Rpc, length: str | None) -> None:
    with closing(http.client.HTTPConnection(rpc.url.removeprefix("http://"))) as connection:
        connection.putrequest("POST", "/")
        if length:
            connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 411


def test_other_methods_of_http_are_refused(rpc: Rpc) -> None:
    with closing(http.client.HTTPConnection(rpc.url.removeprefix("http://"))) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 501


def test_a_body_of_the_longest_length_is_answered(rpc: Rpc) -> None:
    body = rpc.request("eth_chainId").ljust(REQUEST_BYTES_MAX)
    assert json.loads(rpc.post(body)[1])["result"] == "0x7a69"


def test_it_goes_on_after_all_that(rpc: Rpc) -> None:
    assert rpc("eth_blockNumber") == "0x0"
