"""What an endpoint can do to its caller: `FAULTS` fail, `LIES` answer what is not so. Each name makes a fresh rule.

`INVENTIONS` are blocks that hash to what they say and are of no chain: one endpoint alone can have them believed.

Combine them: `only(("eth_getLogs",), rule)`, `first(3, rule)` (bad three times, then honest), `after(3, rule)`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rlp  # type: ignore[import-untyped]

from dkg.chain.secp import keccak256
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from tests.chain.proxy import Request, Response, Rule

Edit = Callable[[Any], Any]
"""Makes another result of an honest one."""


def honest(_request: Request, response: Response) -> Response:
    """The truth, the whole truth."""
    return response


# --- combining ---------------------------------------------------------------------------------------------------


def only(methods: tuple[str, ...], rule: Rule) -> Rule:
    """A rule for some methods; the others are answered honestly."""
    return lambda request, response: rule(request, response) if request.method in methods else response


def first(calls: int, rule: Rule) -> Rule:
    """A rule for the first calls of a proxy, honest from then on."""
    return lambda request, response: rule(request, response) if request.number <= calls else response


def after(calls: int, rule: Rule) -> Rule:
    """Honest for the first calls of a proxy, the rule from then on."""
    return lambda request, response: response if request.number <= calls else rule(request, response)


def edited(methods: tuple[str, ...], edit: Edit) -> Rule:
    """Change the results of some methods. A result of null stays as it is."""

    def rule(request: Request, response: Response) -> Response:
        if request.method not in methods or response.result is None:
            return response
        return response.with_result(request, edit(copy.deepcopy(response.result)))

    return rule


# --- faults ------------------------------------------------------------------------------------------------------


def dead() -> Rule:
    """It hangs up."""
    return lambda _request, response: replace(response, hang_up=True)


def slow(seconds: float = 3600.0) -> Rule:
    """It answers after so long."""
    return lambda _request, response: replace(response, delay_s=seconds)


def busy(retry_after: str = "1") -> Rule:
    """HTTP 429."""
    return lambda _request, response: replace(
        response, status=429, headers={"Retry-After": retry_after}, body=b"too many requests"
    )


def failing(status: int = 500) -> Rule:
    """HTTP 500."""
    return lambda _request, response: replace(response, status=status, body=b"<html>internal server error</html>")


def half_a_response() -> Rule:
    """It hangs up in the middle."""
    return lambda _request, response: replace(response, part=0.5)


def invalid_json(body: bytes = b'{"jsonrpc": "2.0", "id": 1, "result": ') -> Rule:
    """No JSON."""
    return lambda _request, response: replace(response, body=body)


def nested_json(depth: int = 100_000) -> Rule:
    """JSON that is so deep that a recursive parser fails."""
    return invalid_json(b"[" * depth + b"]" * depth)


def endless_body() -> Rule:
    """An answer that never ends."""
    return lambda _request, response: replace(response, body=b'{"result": "0x', endless=b"00" * 32768)


def trickle(pause_s: float = 0.02) -> Rule:
    """An answer that never ends, a byte at a time: no single read is slow."""
    return lambda _request, response: replace(response, body=b" ", endless=b" ", pause_s=pause_s)


def redirect(url: str = "http://127.0.0.1:1/") -> Rule:
    """It sends its caller elsewhere."""
    return lambda _request, response: replace(response, status=307, headers={"Location": url}, body=b"")


def wrong_id() -> Rule:
    """The answer to another call."""
    return lambda request, response: replace(response, _payload={**response.payload, "id": f"not {request.id}"})


def no_object() -> Rule:
    """JSON, but no answer."""
    return invalid_json(b'["jsonrpc", "2.0"]')


def neither_result_nor_error() -> Rule:
    """An answer that says nothing."""
    return lambda request, response: replace(response, body=json.dumps({"jsonrpc": "2.0", "id": request.id}).encode())


def refused(code: int = -32601, message: str = "the method does not exist") -> Rule:
    """An error object."""
    return lambda request, response: response.with_error(request, code, message)


def narrow_range(blocks: int) -> Rule:
    """Logs of so many blocks at most, as public endpoints have it. Both ends must be numbers."""

    def rule(request: Request, response: Response) -> Response:
        if request.method != "eth_getLogs" or "blockHash" in request.params[0]:
            return response
        query = request.params[0]
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= blocks:
            return response.with_error(request, -32005, f"query exceeds max block range {blocks}")
        return response

    return rule


FAULTS: dict[str, Callable[[], Rule]] = {
    "dead": dead,
    "slow": slow,
    "busy": busy,
    "failing": failing,
    "half a response": half_a_response,
    "invalid JSON": invalid_json,
    "nested JSON": nested_json,
    "endless body": endless_body,
    "trickle": trickle,
    "redirect": redirect,
    "another call's answer": wrong_id,
    "no object": no_object,
    "neither result nor error": neither_result_nor_error,
    "refused": refused,
}


# --- lies --------------------------------------------------------------------------------------------------------

_BLOCKS = ("eth_getBlockByNumber", "eth_getBlockByHash")


def _with(**members: object) -> Edit:
    return lambda result: result | members


def _added(name: str, more: int) -> Edit:
    return lambda result: result | {name: hex(max(0, int(result[name], 16) + more))}


def _flipped(text: str) -> str:
    """Hex with its last bit turned."""
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


def _turned(name: str) -> Edit:
    return lambda result: result | {name: _flipped(result[name])}


def _logs(edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[], Rule]:
    """A rule on lists of logs that are not empty."""
    return lambda: edited(("eth_getLogs",), lambda logs: edit(logs) if logs else logs)


def wrong_chain_id(chain_id: int = 1) -> Rule:
    """Another chain's endpoint."""
    return edited(("eth_chainId",), lambda _result: hex(chain_id))


def old_head(blocks: int = 5) -> Rule:
    """The chain as it was some blocks ago: the head, and everything that is asked by `latest`."""
    return _shifted_head(-blocks)


def future_head(blocks: int = 1000) -> Rule:
    """A head that nobody has mined."""
    return _shifted_head(blocks)


def _shifted_head(by: int) -> Rule:
    def rule(request: Request, response: Response) -> Response:
        if request.method == "eth_blockNumber":
            return response.with_result(request, hex(max(0, int(response.result, 16) + by)))
        if request.method == "eth_getBlockByNumber" and request.params[0] in ("latest", "safe", "finalized"):
            return response.with_result(request, _added("number", by)(response.result))
        return response

    return rule


def old_block() -> Rule:
    """Whatever block is asked for by number, the first that was asked for is answered: no new one is ever seen."""
    kept: dict[str, Any] = {}

    def rule(request: Request, response: Response) -> Response:
        if request.method != "eth_getBlockByNumber" or response.result is None:
            return response
        return response.with_result(request, kept.setdefault("block", response.result))

    return rule


def another_slot() -> Rule:
    """A storage proof that holds, but of the slot that was proved first."""
    kept: dict[str, Any] = {}

    def edit(result: dict[str, Any]) -> dict[str, Any]:
        proofs = kept.setdefault("proofs", result["storageProof"])
        swapped = [was | {"key": now["key"]} for was, now in zip(proofs, result["storageProof"], strict=False)]
        return result | {"storageProof": swapped}

    return edited(("eth_getProof",), edit)


def _slots(edit: Edit) -> Callable[[], Rule]:
    """A rule on each slot of a proof."""
    return lambda: edited(
        ("eth_getProof",), lambda result: result | {"storageProof": [edit(slot) for slot in result["storageProof"]]}
    )


def _last_node(nodes: list[str]) -> list[str]:
    return [*nodes[:-1], _flipped(nodes[-1])] if nodes else nodes


def _next_log(logs: list[dict[str, Any]]) -> dict[str, Any]:
    last = logs[-1]
    return last | {"logIndex": hex(int(last["logIndex"], 16) + 1), "data": _flipped(last["data"])}


def swallowed_transaction() -> Rule:
    """It says that it took a transaction, and forgets it."""

    def rule(request: Request, response: Response) -> Response:
        if request.method != "eth_sendRawTransaction":
            return response
        return response.with_result(request, "0x" + keccak256(bytes.fromhex(request.params[0][2:])).hex())

    return rule


def as_of(target: str, number: int) -> Rule:
    """The chain at `target` as it was when it had so many blocks: an endpoint that lags, or hides the newest blocks."""
    newest = Rpc(target)("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003 - JSON-RPC
    known = {Rpc(target)("eth_getBlockByNumber", hex(n), False)["hash"] for n in range(number + 1)}  # noqa: FBT003

    def rule(request: Request, response: Response) -> Response:
        match request.method:
            case "eth_blockNumber":
                return response.with_result(request, hex(number))
            case "eth_getBlockByNumber" if request.params[0] == "latest":
                return response.with_result(request, newest)
            case "eth_getBlockByNumber" if request.params[0].startswith("0x") and int(request.params[0], 16) > number:
                return response.with_result(request, None)
            case "eth_getBlockByHash" if request.params[0] not in known:
                return response.with_result(request, None)
            case "eth_getProof" | "eth_getStorageAt" if request.params[2].get("blockHash") not in known:
                return response.with_error(request, -32000, "header not found")
            case "eth_getLogs":
                logs = [log for log in response.result if log["blockHash"] in known]
                return response.with_result(request, logs)
        return response

    return rule


_NUMBERS = frozenset(
    {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas"}
)
_FIELDS = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot",
    "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
)  # fmt: skip


def rehashed(block: dict[str, Any]) -> dict[str, Any]:
    """A block with the hash that its header has, whatever it says."""
    names = [name for name in _FIELDS if block.get(name) is not None]
    values = [int(block[name], 16) if name in _NUMBERS else bytes.fromhex(block[name][2:]) for name in names]
    return block | {"hash": "0x" + keccak256(rlp.encode(values)).hex()}


def _invented(edit: Edit) -> Rule:
    """The newest block with other contents, and a hash that fits; its state is proved as that of the true one."""
    true: dict[str, str] = {}

    def rule(request: Request, response: Response) -> Response:
        if request.method == "eth_getBlockByNumber" and request.params[0] == "latest":
            made = rehashed(edit(copy.deepcopy(response.result)))
            true[made["hash"]] = response.result["hash"]
            return response.with_result(request, made)
        if request.method in {"eth_getProof", "eth_getStorageAt"}:
            named = request.params[2]["blockHash"]
            request.params[2]["blockHash"] = true.get(named, named)
        return response

    return rule


INVENTIONS: dict[str, Callable[[], Rule]] = {
    "higher block": lambda: _invented(_added("number", 1000)),
    "younger block": lambda: _invented(_added("timestamp", 3600)),
    "older block": lambda: _invented(_added("timestamp", -3600)),
}

LIES: dict[str, Callable[[], Rule]] = {
    "wrong chain id": wrong_chain_id,
    "old head": old_head,
    "future head": future_head,
    "old block": old_block,
    "missing log": _logs(lambda logs: logs[:-1]),
    "no logs": _logs(lambda _logs: []),
    "forged log": _logs(lambda logs: [*logs[:-1], _turned("data")(logs[-1])]),
    "invented log": _logs(lambda logs: [*logs, _next_log(logs)]),
    "log twice": _logs(lambda logs: [*logs, logs[-1]]),
    "logs in another order": _logs(lambda logs: logs[::-1]),
    "log of another contract": _logs(lambda logs: [*logs[:-1], _turned("address")(logs[-1])]),
    "log of another block": _logs(lambda logs: [*logs[:-1], _turned("blockHash")(logs[-1])]),
    "removed log": _logs(lambda logs: [*logs[:-1], logs[-1] | {"removed": True}]),
    "forged topic": _logs(
        lambda logs: [*logs[:-1], logs[-1] | {"topics": [*logs[-1]["topics"][:-1], _flipped(logs[-1]["topics"][-1])]}]
    ),
    "forged receipt": lambda: edited(
        ("eth_getTransactionReceipt",), lambda receipt: receipt | {"status": _flipped(receipt["status"])}
    ),
    "receipt of another block": lambda: edited(("eth_getTransactionReceipt",), _turned("blockHash")),
    "receipt of another transaction": lambda: edited(("eth_getTransactionReceipt",), _turned("transactionHash")),
    "null receipt": lambda: edited(("eth_getTransactionReceipt",), lambda _receipt: None),
    "forged account proof": lambda: edited(
        ("eth_getProof",), lambda result: result | {"accountProof": _last_node(result["accountProof"])}
    ),
    "short account proof": lambda: edited(
        ("eth_getProof",), lambda result: result | {"accountProof": result["accountProof"][:-1]}
    ),
    "forged storage proof": _slots(lambda slot: slot | {"proof": _last_node(slot["proof"])}),
    "short storage proof": _slots(lambda slot: slot | {"proof": slot["proof"][:-1]}),
    "forged storage value": _slots(_turned("value")),
    "storage proof of nothing": _slots(_with(value="0x0", proof=[])),
    "storage proof of another slot": another_slot,
    "no storage proof": lambda: edited(("eth_getProof",), _with(storageProof=[])),
    "forged storage root": lambda: edited(("eth_getProof",), _turned("storageHash")),
    "another block hash": lambda: edited(_BLOCKS, _turned("hash")),
    "another parent": lambda: edited(_BLOCKS, _turned("parentHash")),
    "forged state root": lambda: edited(_BLOCKS, _turned("stateRoot")),
    "forged timestamp": lambda: edited(_BLOCKS, _added("timestamp", 1)),
    "null block": lambda: edited(_BLOCKS, lambda _block: None),
    "forged call": lambda: edited(("eth_call",), lambda result: _flipped(result) if result != "0x" else result),
    "forged nonce": lambda: edited(("eth_getTransactionCount",), lambda result: hex(int(result, 16) + 7)),
    "swallowed transaction": swallowed_transaction,
}
