"""The proxy passes on what it should, and every fault and every lie is one."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from node.devnet.chain import devnet
from tests.chain.lies import FAULTS, LIES, after, busy, dead, first, honest, narrow_range, only, refused, slow
from tests.chain.proxy import Proxy, proxy, unreachable
from tests.chain.rpc import Rpc, RpcFailure
from tests.node.devnet.script import CONTRACT, CREATION, signed, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chain.proxy import Rule

SLOT = "0x" + "00" * 32
EMPTY = "0x" + "00" * 31 + "05"


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A chain with a contract, two logs and eight blocks."""
    with devnet() as chain:
        rpc = Rpc(chain.url)
        rpc("eth_sendRawTransaction", signed(0, to=None, data=CREATION))
        for nonce in (1, 2):
            rpc("eth_sendRawTransaction", signed(nonce, data=word(nonce)))
        rpc("anvil_mine", 5)
        yield chain.url


def questions(rpc: Rpc) -> list[tuple[str, list[Any]]]:
    """What a client asks; each lie changes one of the answers."""
    receipt = rpc("eth_getBlockByNumber", "0x2")["transactions"][0]
    blocks = [("eth_getBlockByNumber", [tag, False]) for tag in ("latest", "finalized", "0x1", "0x2")]
    return [
        ("eth_chainId", []),
        ("eth_blockNumber", []),
        *blocks,
        ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0x8", "address": CONTRACT}]),
        ("eth_getTransactionReceipt", [receipt]),
        ("eth_getProof", [CONTRACT, [SLOT], "latest"]),
        ("eth_getProof", [CONTRACT, [EMPTY], "latest"]),
        ("eth_call", [{"to": CONTRACT}, "latest"]),
        ("eth_getTransactionCount", [CONTRACT, "latest"]),
    ]


def answers(rpc: Rpc, asked: list[tuple[str, list[Any]]]) -> list[Any]:
    return [rpc(method, *params) for method, params in asked]


def test_an_honest_proxy_changes_nothing(target: str) -> None:
    asked = questions(Rpc(target))
    with proxy(target, honest) as between:
        assert answers(Rpc(between.url), asked) == answers(Rpc(target), asked)
        assert between.calls == [method for method, _ in asked]


@pytest.mark.parametrize("name", sorted(LIES.keys() - {"swallowed transaction"}))
def test_every_lie_is_well_formed_and_not_so(target: str, name: str) -> None:
    asked = questions(Rpc(target))
    truth = answers(Rpc(target), asked)
    with proxy(target, LIES[name]()) as between:
        assert answers(Rpc(between.url), asked) != truth
    assert answers(Rpc(target), asked) == truth


def test_a_swallowed_transaction_never_arrives(target: str) -> None:
    raw = signed(3, data=word(3))
    with proxy(target, LIES["swallowed transaction"]()) as between:
        digest = Rpc(between.url)("eth_sendRawTransaction", raw)
        assert Rpc(between.url)("eth_getTransactionByHash", digest) is None
    snapshot = Rpc(target)("evm_snapshot")
    assert Rpc(target)("eth_sendRawTransaction", raw) == digest
    assert Rpc(target)("evm_revert", snapshot)


ENDLESS = {"endless body", "trickle"}
ERRORS = (AssertionError, ConnectionError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError)


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - ENDLESS - {"slow", "another call's answer", "refused"}))
def test_every_fault_is_no_answer(target: str, name: str) -> None:
    with proxy(target, FAULTS[name]()) as between, pytest.raises(ERRORS):
        Rpc(between.url)("eth_chainId")


def test_another_calls_answer_has_another_id(target: str) -> None:
    rpc = Rpc(target)
    with proxy(target, FAULTS["another call's answer"]()) as between:
        body = rpc.request("eth_chainId")
        assert json.loads(Rpc(between.url).post(body)[1])["id"] != json.loads(body)["id"]


def test_a_refusal_is_an_error_object(target: str) -> None:
    with proxy(target, refused(-32005, "too much")) as between, pytest.raises(RpcFailure) as caught:
        Rpc(between.url)("eth_chainId")
    assert (caught.value.code, caught.value.message) == (-32005, "too much")


def test_a_busy_endpoint_says_when_to_come_again(target: str) -> None:
    with (
        proxy(target, busy("7")) as between,
        closing(http.client.HTTPConnection(between.url.removeprefix("http://"))) as connection,
    ):
        connection.request("POST", "/", Rpc(between.url).request("eth_chainId"))
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_an_endless_answer_goes_on_until_the_client_hangs_up(target: str, name: str) -> None:
    with (
        proxy(target, FAULTS[name]()) as between,
        closing(http.client.HTTPConnection(between.url.removeprefix("http://"))) as connection,
    ):
        connection.request("POST", "/", Rpc(between.url).request("eth_chainId"))
        answer = connection.getresponse()
        assert answer.headers["Content-Length"] is None
        assert len(answer.read(20)) == 20


@pytest.mark.parametrize("rule", [slow(), *(FAULTS[name]() for name in sorted(ENDLESS))])
def test_a_proxy_stops_at_once_whatever_it_is_doing(target: str, rule: Rule) -> None:
    asked = threading.Event()

    def told(request: Any, response: Any) -> Any:  # noqa: ANN401 - a rule
        asked.set()
        return rule(request, response)

    between = Proxy(target, told)
    with closing(http.client.HTTPConnection(between.url.removeprefix("http://"))) as connection:
        connection.request("POST", "/", Rpc(between.url).request("eth_chainId"))
        asked.wait()
        between.stop()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(connection.sock.getpeername()):
            pass


def test_rules_combine(target: str) -> None:
    with proxy(target, first(2, dead())) as between:
        rpc = Rpc(between.url)
        for _ in range(2):
            with pytest.raises(ERRORS):
                rpc("eth_chainId")
        assert rpc("eth_chainId") == "0x7a69"
        between.rule = only(("eth_blockNumber",), dead())
        assert rpc("eth_chainId") == "0x7a69"
        with pytest.raises(ERRORS):
            rpc("eth_blockNumber")
        between.rule = after(len(between.calls) + 1, dead())
        assert rpc("eth_chainId") == "0x7a69"
        with pytest.raises(ERRORS):
            rpc("eth_chainId")


def test_a_range_can_be_too_wide(target: str) -> None:
    with proxy(target, narrow_range(2)) as between:
        rpc = Rpc(between.url)
        assert len(rpc("eth_getLogs", {"fromBlock": "0x2", "toBlock": "0x3"})) == 2
        with pytest.raises(RpcFailure, match="max block range"):
            rpc("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0x3"})


def test_a_batch_is_answered_call_by_call(target: str) -> None:
    calls = [{"jsonrpc": "2.0", "id": at, "method": "eth_chainId", "params": []} for at in range(3)]
    with proxy(target, LIES["wrong chain id"]()) as between:
        found = json.loads(Rpc(between.url).post(json.dumps(calls).encode())[1])
    assert [(answer["id"], answer["result"]) for answer in found] == [(at, "0x1") for at in range(3)]


def test_nobody_listens_where_nobody_is() -> None:
    with pytest.raises(ConnectionRefusedError):
        Rpc(unreachable())("eth_chainId")


def test_there_are_enough_of_them() -> None:
    assert len(LIES) >= 12
    assert len(FAULTS) >= 12
