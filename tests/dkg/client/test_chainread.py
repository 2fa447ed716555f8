"""Reading a chain through one endpoint: what JSON is taken, what is refused, and how much is read."""

from __future__ import annotations

import copy
import json
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.anchor import PROOF_NODE_BYTES_MAX, PROOF_NODES_MAX, NoContractError
from dkg.chain.registry import COMMITTED, LOG_STATE_SLOT, LogState, entry_slot, head_slot
from dkg.client import chainread
from dkg.client.chainread import RpcReader, UnprovableError
from dkg.client.rpc import ChainError, HttpRpc, RpcAnswerError, RpcRefusedError, RpcTooLongError, Waiting
from dkg.errors import ProofError
from node.devnet.chain import devnet
from tests.chain.lies import edited, honest, narrow_range, only, refused
from tests.chain.proxy import Proxy, proxy
from tests.chain.raw import Caller, http, raw_server
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.chain.header import Header
    from tests.chain.proxy import Request, Response

NO_WAIT = Waiting(sleep=lambda _seconds: None)
COMMITS = 5


@dataclass
class World:
    """A chain with commits, a proxy before it, and a reader that asks the proxy."""

    rpc: Rpc
    registry: Registry
    proxy: Proxy
    reader: RpcReader
    tip: Header


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with (
        devnet() as chain,
        proxy(chain.url, honest) as before,
        RpcReader(HttpRpc(before.url, waiting=NO_WAIT)) as reader,
    ):
        rpc = Rpc(chain.url)
        registry = Registry(rpc)
        for _ in range(COMMITS):
            registry.commit(registry.accounts[0])
        yield World(rpc, registry, before, reader, reader.header("latest"))


@pytest.fixture
def here(built: World) -> Iterator[World]:
    built.proxy.rule = honest
    built.proxy.calls.clear()
    yield built
    built.proxy.rule = honest


def commits(world: World, start: int = 0, end: int | None = None) -> list[chainread.Log]:
    end = world.tip.number if end is None else end
    return world.reader.logs(world.registry.address, start, end, [COMMITTED])


# --- what works ----------------------------------------------------------------------------------------------------


def test_a_chain_is_read(here: World) -> None:
    reader, registry = here.reader, here.registry
    assert (reader.chain_id(), reader.need, reader.name) == (31337, 1, here.proxy.url)
    assert reader.header(here.tip.number) == reader.header(here.tip.hash) == here.tip
    assert reader.header("earliest").number == 0
    assert [log.block_number for log in commits(here)] == list(range(2, 2 + COMMITS))
    latest = registry.latest[registry.accounts[0]]
    slots = [LOG_STATE_SLOT.to_bytes(32), entry_slot(latest.position), entry_slot(999)]
    words = reader.slots(registry.address, slots, here.tip)
    assert LogState.unpack(words[0]) == LogState(registry.first_block, COMMITS)
    assert words[1:] == [int.from_bytes(latest.entry()), 0]
    assert [reader.storage(registry.address, slot, here.tip) for slot in slots] == words


def test_topics_choose_events(here: World) -> None:
    nobody = [COMMITTED, b"\1" * 32]
    assert here.reader.logs(here.registry.address, 0, here.tip.number, nobody) == []
    own = [COMMITTED, here.registry.accounts[0].rjust(32, b"\0")]
    assert len(here.reader.logs(here.registry.address, 0, here.tip.number, own)) == COMMITS


def test_hexadecimal_in_upper_case_is_the_same(here: World) -> None:
    def upper(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, dict):
            return {name: upper(one) for name, one in value.items()}
        if isinstance(value, list):
            return [upper(one) for one in value]
        return "0x" + value[2:].upper() if isinstance(value, str) else value

    latest, slot = here.tip, entry_slot(0)
    expected = commits(here), here.reader.slots(here.registry.address, [slot], latest)
    here.proxy.rule = edited(("eth_getBlockByNumber", "eth_getLogs", "eth_getProof", "eth_chainId"), upper)
    assert here.reader.header("latest") == latest
    assert (commits(here), here.reader.slots(here.registry.address, [slot], latest)) == expected
    assert here.reader.chain_id() == 31337


def test_a_block_that_is_not_the_one_asked_for_is_refused(here: World) -> None:
    other = here.rpc("eth_getBlockByNumber", "0x1", False)  # noqa: FBT003 - JSON-RPC
    here.proxy.rule = edited(("eth_getBlockByNumber", "eth_getBlockByHash"), lambda _block: other)
    with pytest.raises(ProofError, match="gave block 1 for block 2"):
        here.reader.header(2)
    with pytest.raises(ProofError, match="the endpoint gave the block"):
        here.reader.header(here.tip.hash)


def test_a_block_that_there_is_not_is_refused(here: World) -> None:
    with pytest.raises(ProofError, match="no such block"):
        here.reader.header(10**6)


def test_a_word_that_is_no_tag_is_a_mistake_of_the_program(here: World) -> None:
    with pytest.raises(ValueError, match="no tag of a block"):
        here.reader.header("newest")


# --- proofs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-32601, -32004])
def test_an_endpoint_without_proofs_says_that_it_has_none(here: World, code: int) -> None:
    here.proxy.rule = only(("eth_getProof",), refused(code))
    with pytest.raises(UnprovableError, match="does not offer eth_getProof"):
        here.reader.slots(here.registry.address, [], here.tip)


@pytest.mark.parametrize("code", [-32000, -32602, -32603, 0, 3])
def test_no_other_refusal_says_so(here: World, code: int) -> None:
    here.proxy.rule = only(("eth_getProof",), refused(code))
    with pytest.raises(RpcRefusedError) as caught:
        here.reader.slots(here.registry.address, [], here.tip)
    assert not isinstance(caught.value, UnprovableError)


def test_an_account_without_code_is_no_registry(here: World) -> None:
    for address in (here.registry.accounts[0], b"\7" * 20):
        with pytest.raises(NoContractError, match="no contract"):
            here.reader.slots(address, [head_slot(here.registry.accounts[0])], here.tip)


def test_a_proof_of_another_block_is_refused(here: World) -> None:
    before = here.reader.header(here.tip.number - 1)
    old = here.rpc("eth_getProof", "0x" + here.registry.address.hex(), ["0x" + entry_slot(0).hex()], hex(before.number))
    here.proxy.rule = edited(("eth_getProof",), lambda _proof: old)
    with pytest.raises(ProofError):
        here.reader.slots(here.registry.address, [entry_slot(0)], here.tip)


@pytest.mark.parametrize("name", ["accountProof", "proof"])
def test_proofs_have_bounds(here: World, name: str) -> None:
    def with_nodes(nodes: Callable[[list[str]], list[str]]) -> None:
        def edit(result: dict[str, Any]) -> dict[str, Any]:
            place = result if name == "accountProof" else result["storageProof"][0]
            place[name] = nodes(place[name])
            return result

        here.proxy.rule = edited(("eth_getProof",), edit)
        here.reader.slots(here.registry.address, [entry_slot(0)], here.tip)

    node = "0x" + "ff" * PROOF_NODE_BYTES_MAX
    for nodes, reason in (
        (lambda _: ["0x80"] * PROOF_NODES_MAX, "hash"),  # read, and not the right one
        (lambda _: ["0x80"] * (PROOF_NODES_MAX + 1), f"no list of at most {PROOF_NODES_MAX}"),
        (lambda _: [node], "hash"),
        (lambda _: [node + "f"], f"at most {PROOF_NODE_BYTES_MAX} bytes"),
    ):
        with pytest.raises(ProofError, match=reason):
            with_nodes(nodes)


# --- events --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 3, 5, 100])
def test_a_range_that_is_too_wide_is_asked_for_in_pieces(here: World, blocks: int) -> None:
    expected = commits(here)
    here.proxy.rule = narrow_range(blocks)
    assert commits(here) == expected


def test_a_range_of_which_there_is_too_much_to_say_is_asked_for_in_pieces(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = commits(here)
    with closing(HttpRpc(here.proxy.url, bytes_max=2_000)) as rpc:  # two events of about 900 bytes
        assert RpcReader(rpc).logs(here.registry.address, 0, here.tip.number, [COMMITTED]) == expected
    monkeypatch.setattr(chainread, "LOGS_MAX", COMMITS)
    assert commits(here) == expected
    monkeypatch.setattr(chainread, "LOGS_MAX", COMMITS - 1)
    with pytest.raises(RpcTooLongError, match=f"more than {COMMITS - 1} events"):
        commits(here)


def test_an_endpoint_that_refuses_all_ranges_cannot_make_the_reading_explode(here: World) -> None:
    here.proxy.rule = narrow_range(0)
    with pytest.raises(RpcRefusedError, match="max block range"):
        commits(here, 0, 2**40)
    assert len(here.proxy.calls) == 41  # halved down to one block, then given up


def test_an_endpoint_that_takes_few_blocks_at_once_gets_a_bounded_number_of_requests(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.proxy.rule = narrow_range(1)
    monkeypatch.setattr(chainread, "LOGS_REQUESTS_MAX", 20)
    assert len(commits(here, 2, 17)) == COMMITS  # 16, 8, 4 and 2 blocks are refused, then 16 times one is taken
    assert len(here.proxy.calls) == 20
    here.proxy.calls.clear()
    with pytest.raises(RpcAnswerError, match="would take more than 20 requests: use another endpoint"):
        commits(here, 2, 18)
    assert len(here.proxy.calls) == 20


@pytest.mark.parametrize(
    "change",
    [
        {"removed": True},
        {"removed": []},
        {"removed": {}},
        {"removed": "false"},
        {"blockNumber": "0x0"},
        {"blockNumber": "0x99"},
        {"blockNumber": None},
        {"blockNumber": "0x02"},
        {"blockNumber": "2"},
        {"blockHash": "0x12"},
        {"blockHash": None},
        {"logIndex": "0xg"},
        {"logIndex": "-0x1"},
        {"address": "0x" + "11" * 20},
        {"address": "0x" + "11" * 21},
        {"topics": []},
        {"topics": None},
        {"topics": ["0x" + "11" * 32]},
        {"topics": ["0x" + "11" * 32] * 5},
        {"data": "0x1"},
        {"data": None},
        {"data": "0x zz"},
        {"transactionHash": "0x"},
    ],
    ids=str,
)
def test_an_event_that_is_malformed_or_not_asked_for_is_refused(here: World, change: dict[str, Any]) -> None:
    here.proxy.rule = edited(("eth_getLogs",), lambda logs: [*logs[:-1], logs[-1] | change])
    with pytest.raises(RpcAnswerError):
        commits(here, 1)


# --- any JSON at all -----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "0x", "0x0", "0x1", "0x" + "11" * 32, "0xzz", "0x" + "ff" * 200])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)

QUESTIONS: dict[str, Callable[[World, RpcReader], object]] = {
    "chain id": lambda _world, reader: reader.chain_id(),
    "newest block": lambda _world, reader: reader.header("latest"),
    "block by number": lambda world, reader: reader.header(world.tip.number),
    "block by hash": lambda world, reader: reader.header(world.tip.hash),
    "events": lambda world, reader: reader.logs(world.registry.address, 0, world.tip.number, [COMMITTED]),
    "proof": lambda world, reader: reader.slots(
        world.registry.address, [head_slot(world.registry.accounts[0]), entry_slot(99)], world.tip
    ),
    "slot": lambda world, reader: reader.storage(world.registry.address, entry_slot(0), world.tip),
}
PROVED = {"newest block", "block by number", "block by hash", "proof"}


class Puppet:
    """An endpoint that answers every call with what it is told; `reader` asks it."""

    def __init__(self, reader: RpcReader) -> None:
        self.reader = reader
        self.result: object = None

    def serve(self, caller: Caller) -> None:
        while asked := caller.request():
            number = json.loads(asked.partition(b"\r\n\r\n")[2])["id"]
            caller.send(http(json.dumps({"jsonrpc": "2.0", "id": number, "result": self.result}).encode()))


@pytest.fixture(scope="module")
def puppet(built: World) -> Iterator[Puppet]:
    made = Puppet(built.reader)
    with raw_server(made.serve) as server, RpcReader(HttpRpc(server.url, waiting=NO_WAIT)) as reader:
        made.reader = reader
        yield made


@given(st.sampled_from(sorted(QUESTIONS)), JSON)
@settings(max_examples=settings().max_examples * 4)
def test_arbitrary_json_is_an_answer_or_an_error_of_the_chain(
    built: World, puppet: Puppet, name: str, result: object
) -> None:
    puppet.result = result
    try:
        QUESTIONS[name](built, puppet.reader)
    except (ChainError, ProofError):
        return
    assert name not in PROVED


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to each value inside a JSON value."""
    found = [path]
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            found += _paths(one, (*path, key))
    return found


def _changed(value: Any, path: tuple[str | int, ...], new: object) -> Any:  # noqa: ANN401 - JSON
    if not path:
        return new
    made = copy.copy(value)
    made[path[0]] = _changed(made[path[0]], path[1:], new)
    return made


@pytest.fixture(scope="module")
def truths(built: World) -> dict[str, Any]:
    """The honest answer to each question."""
    found: dict[str, Any] = {}
    said: list[Any] = []

    def heard(_request: Request, response: Response) -> Response:
        said.append(response.result)
        return response

    built.proxy.rule = heard
    for name, question in QUESTIONS.items():
        said.clear()
        question(built, built.reader)
        (found[name],) = said
    built.proxy.rule = honest
    return found


@given(st.sampled_from(sorted(PROVED)), st.data())
@settings(max_examples=settings().max_examples * 4)
def test_an_answer_with_one_value_changed_is_the_truth_or_an_error(
    built: World, puppet: Puppet, truths: dict[str, Any], name: str, data: st.DataObject
) -> None:
    truth = truths[name]
    expected = QUESTIONS[name](built, built.reader)
    puppet.result = _changed(truth, data.draw(st.sampled_from(_paths(truth))), data.draw(JSON))
    try:
        found = QUESTIONS[name](built, puppet.reader)
    except (ChainError, ProofError):
        return
    assert found == expected


def test_a_proof_for_a_made_up_block_holds_for_no_other(here: World) -> None:
    made_up = replace(here.tip, state_root=b"\1" * 32)
    with pytest.raises(ProofError):
        here.reader.slots(here.registry.address, [entry_slot(0)], made_up)
