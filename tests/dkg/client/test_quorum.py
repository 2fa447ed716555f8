"""Several endpoints of which some are dead, slow or lie (rows B4, B5, C8)."""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from dkg.chain.registry import COMMITTED, entry_slot
from dkg.client.chainread import RpcReader, UnprovableError
from dkg.client.quorum import ENDPOINTS_MAX, FAULTS_MAX, REPORTS_MAX, REST_S, NoQuorumError, Quorum
from dkg.client.rpc import ChainError, HttpRpc, RpcUnavailableError, Waiting
from dkg.errors import InputError
from node.devnet.chain import devnet
from tests.chain.lies import (
    FAULTS,
    INVENTIONS,
    LIES,
    as_of,
    dead,
    edited,
    honest,
    only,
    refused,
    rehashed,
    wrong_chain_id,
)
from tests.chain.proxy import Proxy, proxy
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader
    from tests.chain.proxy import Request, Response, Rule

ENDPOINTS = 4
NO_WAIT = Waiting(sleep=lambda _seconds: None)


@dataclass
class World:
    """A chain with commits and proxies before it."""

    rpc: Rpc
    registry: Registry
    proxies: list[Proxy]
    tip: Header
    clock: float = 0.0
    quorums: list[Quorum] = field(default_factory=list)
    held: list[threading.Event] = field(default_factory=list)

    def hold(self, which: int, rule: Rule = honest, methods: tuple[str, ...] = ()) -> threading.Event:
        """Make an endpoint wait with its answers (to some methods) until the event is set."""
        released = threading.Event()
        self.held.append(released)

        def slow(request: Request, response: Response) -> Response:
            if not methods or request.method in methods:
                released.wait()
            return rule(request, response)

        self.proxies[which].rule = slow
        return released

    def quorum(self, of: int, need: int, *, grace_s: float = 600.0) -> Quorum:
        """A quorum over the first proxies. Whoever waits for a slow one waits for ten minutes."""
        readers: list[tuple[str, ChainReader]] = []
        for number, one in enumerate(self.proxies[:of]):
            rpc = HttpRpc(one.url, waiting=NO_WAIT, attempts=2, timeout_s=600.0, bytes_max=100_000)
            readers.append((f"endpoint {number}", RpcReader(rpc)))
        self.quorums.append(Quorum(readers, need, lambda: self.clock, grace_s=grace_s))
        return self.quorums[-1]

    def all_answers(self, quorum: Quorum) -> list[object]:
        """The answer to each question."""
        registry, tip = self.registry, self.tip
        return [
            quorum.chain_id(),
            quorum.header("latest"),
            quorum.header(tip.number - 1),
            quorum.header(tip.hash),
            quorum.logs(registry.address, 0, tip.number, [COMMITTED]),
            quorum.slots(registry.address, [entry_slot(0), entry_slot(9)], tip),
            quorum.storage(registry.address, entry_slot(1), tip),
        ]


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, ExitStack() as stack:
        rpc = Rpc(chain.url)
        registry = Registry(rpc)
        for _ in range(4):
            registry.commit(registry.accounts[0])
        proxies = [stack.enter_context(proxy(chain.url, honest)) for _ in range(ENDPOINTS)]
        with RpcReader(HttpRpc(chain.url)) as reader:
            tip = reader.header("latest")
        yield World(rpc, registry, proxies, tip)


@pytest.fixture
def here(built: World) -> Iterator[World]:
    yield built
    for quorum in built.quorums:
        quorum.close()
    built.quorums.clear()
    for released in built.held:
        released.set()
    built.held.clear()
    built.clock = 0.0
    for one in built.proxies:
        one.rule = honest
        one.calls.clear()


@pytest.fixture(scope="module")
def truth(built: World) -> list[object]:
    with RpcReader(HttpRpc(built.rpc.url)) as reader, Quorum([("one", reader)], 1) as alone:
        return built.all_answers(alone)


# --- a minority is survived ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "need"), [(1, 1), (2, 2), (3, 2), (3, 3), (4, 3)])
def test_honest_endpoints_agree(here: World, truth: list[object], of: int, need: int) -> None:
    quorum = here.quorum(of, need)
    assert here.all_answers(quorum) == truth
    assert (quorum.need, quorum.reports()) == (need, [])


@pytest.mark.parametrize(("which", "name"), [(at % 3, name) for at, name in enumerate(FAULTS)])
def test_one_of_three_that_fails_is_survived_and_not_waited_for(
    here: World, truth: list[object], which: int, name: str
) -> None:
    here.proxies[which].rule = FAULTS[name]()
    assert here.all_answers(here.quorum(3, 2, grace_s=0.02)) == truth  # a slow one would take ten minutes


@pytest.mark.parametrize(("which", "name"), [(at % 3, name) for at, name in enumerate([*LIES, *INVENTIONS])])
def test_one_of_three_that_lies_is_survived(here: World, truth: list[object], which: int, name: str) -> None:
    here.proxies[which].rule = (LIES | INVENTIONS)[name]()
    quorum = here.quorum(3, 2)
    for _ in range(2):
        assert here.all_answers(quorum) == truth


def test_one_dead_and_one_lying_of_four_are_survived(here: World, truth: list[object]) -> None:
    here.proxies[0].rule, here.proxies[2].rule = dead(), LIES["forged timestamp"]()
    quorum = here.quorum(4, 2)
    assert here.all_answers(quorum) == truth
    reports = quorum.reports()
    assert any(report.startswith("endpoint 0: ") for report in reports)
    assert any(report.startswith("endpoint 2: ") for report in reports)


def test_an_endpoint_that_lags_is_no_liar(here: World) -> None:
    here.proxies[0].rule = as_of(here.rpc.url, here.tip.number - 2)
    quorum = here.quorum(3, 2)
    for _ in range(FAULTS_MAX):
        assert quorum.header("latest") == here.tip
    assert quorum.reports() == []


def test_the_newest_block_is_the_highest_that_enough_have(here: World) -> None:
    here.proxies[0].rule = as_of(here.rpc.url, here.tip.number - 2)
    here.proxies[1].rule = as_of(here.rpc.url, here.tip.number - 1)
    assert [here.quorum(3, need).header("latest").number - here.tip.number for need in (1, 2, 3)] == [0, -1, -2]


def test_a_liar_that_names_a_block_that_nobody_has_does_not_part_the_others(here: World) -> None:
    # The others are at different heights: the liar's claim and the higher one are two for a block that one has.
    invented = INVENTIONS["higher block"]()

    def and_no_other(request: Request, response: Response) -> Response:
        if request.method == "eth_getBlockByNumber" and request.params[0] != "latest":
            return response.with_result(request, None)
        return invented(request, response)

    here.proxies[0].rule = and_no_other
    here.proxies[1].rule = as_of(here.rpc.url, here.tip.number - 1)
    assert here.quorum(3, 2).header("latest").number == here.tip.number - 1


def test_a_few_that_are_fast_do_not_outvote_those_that_come_within_the_grace(here: World) -> None:
    here.proxies[0].rule = wrong_chain_id(1)
    with pytest.raises(NoQuorumError):
        here.quorum(2, 1).chain_id()
    assert here.quorum(3, 1).chain_id() == 31337


# --- a majority is not ---------------------------------------------------------------------------------------------


def test_liars_that_do_not_agree_are_no_quorum_and_each_is_quoted(here: World) -> None:
    here.proxies[0].rule, here.proxies[1].rule = wrong_chain_id(1), wrong_chain_id(2)
    here.proxies[2].rule = only(("eth_chainId",), dead())
    with pytest.raises(NoQuorumError, match="fewer than 2 endpoints agree on the chain's id") as caught:
        here.quorum(3, 2).chain_id()
    text = str(caught.value)
    assert "endpoint 0: 1" in text
    assert "endpoint 1: 2" in text
    assert f"endpoint 2: {here.proxies[2].url} does not answer" in text


def test_two_of_three_that_lie_together_are_no_quorum_where_all_must_agree(here: World) -> None:
    here.proxies[0].rule = here.proxies[1].rule = wrong_chain_id(1)
    with pytest.raises(NoQuorumError):
        here.quorum(3, 3).chain_id()


def test_two_of_three_that_lie_together_are_believed(here: World) -> None:
    # What a quorum licenses: choose endpoints that have no reason to lie together.
    here.proxies[0].rule = here.proxies[1].rule = wrong_chain_id(1)
    assert here.quorum(3, 2).chain_id() == 1


def test_blocks_that_differ_are_shown_with_their_hashes(here: World) -> None:
    here.proxies[0].rule = edited(("eth_getBlockByNumber",), lambda block: rehashed(block | {"gasUsed": "0x7"}))
    with pytest.raises(NoQuorumError, match=f"block {here.tip.number}, 0x{here.tip.hash.hex()}"):
        here.quorum(2, 2).header("latest")


def test_too_few_that_live_are_no_quorum(here: World) -> None:
    for one in here.proxies[:2]:
        one.rule = dead()
    with pytest.raises(NoQuorumError) as caught:
        here.quorum(3, 2).header("latest")
    assert re.search(r"endpoint 0: \S+ does not answer", str(caught.value))
    assert re.search(r"endpoint 1: \S+ does not answer", str(caught.value))
    here.proxies[2].rule = dead()
    with pytest.raises(NoQuorumError, match="fewer than 1 endpoints agree on a block"):
        here.quorum(3, 2).header(here.tip.hash)
    with pytest.raises(NoQuorumError, match="fewer than 1 endpoints agree on a proof"):
        here.quorum(3, 2).slots(here.registry.address, [], here.tip)


def test_two_names_of_one_endpoint_are_one_witness_cve_2026_49834() -> None:
    # There a threshold was counted by entries: one authority, listed twice, met a threshold of two.
    with (
        RpcReader(HttpRpc("http://127.0.0.1:1")) as reader,
        pytest.raises(InputError, match="named twice: a witness counts once"),
    ):
        Quorum([(reader.name, reader), ("another", reader), (reader.name, reader)], 2)


@pytest.mark.parametrize(("of", "need"), [(1, 0), (1, 2), (0, 1), (ENDPOINTS_MAX + 1, 1), (2, 3), (2, -1)])
def test_a_quorum_that_cannot_be_is_refused(of: int, need: int) -> None:
    with RpcReader(HttpRpc("http://127.0.0.1:1")) as reader:
        with pytest.raises(InputError, match="cannot agree"):
            Quorum([(str(number), reader) for number in range(of)], need)
        Quorum([(str(number), reader) for number in range(ENDPOINTS_MAX)], ENDPOINTS_MAX).close()


# --- endpoints that do not prove -----------------------------------------------------------------------------------


def unproving() -> Rule:
    return only(("eth_getProof",), refused())


def test_the_one_that_proves_is_found(here: World, truth: list[object]) -> None:
    here.proxies[0].rule = here.proxies[1].rule = unproving()
    assert here.all_answers(here.quorum(3, 2)) == truth


def test_where_none_proves_that_is_said(here: World) -> None:
    for one in here.proxies:
        one.rule = unproving()
    with pytest.raises(UnprovableError, match="does not offer eth_getProof"):
        here.quorum(3, 2).slots(here.registry.address, [entry_slot(0)], here.tip)


def test_one_liar_cannot_hide_that_the_others_do_not_prove(here: World) -> None:
    here.proxies[0].rule, here.proxies[1].rule, here.proxies[2].rule = (
        LIES["forged storage proof"](),
        unproving(),
        unproving(),
    )
    with pytest.raises(UnprovableError, match=r"endpoint 0: .*hash"):
        here.quorum(3, 2).slots(here.registry.address, [entry_slot(0)], here.tip)


# --- rest ----------------------------------------------------------------------------------------------------------


def test_an_endpoint_that_fails_again_and_again_rests_and_comes_back(here: World) -> None:
    here.proxies[0].rule = FAULTS["no object"]()
    quorum = here.quorum(2, 1)  # so that both are waited for
    for _ in range(FAULTS_MAX):
        quorum.chain_id()
    asked = len(here.proxies[0].calls)
    assert asked == FAULTS_MAX
    here.clock = REST_S - 0.1
    quorum.chain_id()
    assert len(here.proxies[0].calls) == asked
    here.proxies[0].rule = honest
    here.clock = REST_S
    quorum.chain_id()
    assert len(here.proxies[0].calls) == asked + 1
    assert quorum.endpoints[0].faults == 0


def test_those_that_rest_are_asked_where_the_others_are_not_enough(here: World) -> None:
    here.proxies[0].rule = FAULTS["no object"]()
    quorum = here.quorum(2, 1)
    for _ in range(FAULTS_MAX):
        quorum.chain_id()
    here.proxies[0].rule, here.proxies[1].rule = honest, dead()
    assert quorum.chain_id() == 31337


def test_reports_are_bounded(here: World) -> None:
    here.proxies[0].rule = FAULTS["no object"]()
    quorum = here.quorum(2, 1)
    for at in range(REPORTS_MAX + 2):
        here.clock = at * REST_S
        quorum.chain_id()
    assert len(quorum.reports()) == REPORTS_MAX
    assert "no JSON-RPC object" in quorum.reports()[0]


# --- slow ones, threads --------------------------------------------------------------------------------------------


def test_a_slow_endpoint_is_left_out_until_it_is_done(here: World) -> None:
    released = here.hold(1)
    quorum = here.quorum(3, 2, grace_s=0.02)
    slow = quorum.endpoints[1]
    for _ in range(5):
        assert quorum.header("latest") == here.tip
    assert (len(here.proxies[1].calls), slow.faults) == (1, 0)
    released.set()
    assert slow.late is not None
    slow.late.exception()
    assert quorum.header("latest") == here.tip
    assert len(here.proxies[1].calls) == 2
    assert quorum.reports() == []


def test_one_that_hides_the_newest_block_gains_nothing_from_a_moment_of_another(here: World) -> None:
    here.proxies[0].rule = as_of(here.rpc.url, here.tip.number - 1)
    released = here.hold(2, methods=("eth_chainId",))
    quorum = here.quorum(3, 2)
    assert quorum.chain_id() == 31337
    threading.Timer(0.05, released.set).start()
    assert (
        quorum.header("latest") == here.tip
    )  # two of three, and the third is late: it is waited for, within the grace


def test_an_endpoint_that_fails_late_is_not_forgotten(here: World) -> None:
    released = here.hold(1, dead())
    quorum = here.quorum(3, 2, grace_s=0.02)
    assert quorum.chain_id() == 31337
    released.set()
    assert quorum.endpoints[1].late is not None
    quorum.endpoints[1].late.exception()
    assert quorum.chain_id() == 31337
    assert any("does not answer eth_chainId" in report for report in quorum.reports())


def test_a_slow_endpoint_is_waited_for_where_it_is_needed(here: World) -> None:
    released = here.hold(1)
    quorum = here.quorum(3, 2, grace_s=0.02)
    assert quorum.chain_id() == 31337
    here.proxies[0].rule = dead()
    threading.Timer(0.05, released.set).start()
    assert quorum.chain_id() == 31337


def test_a_slow_prover_is_not_waited_for_longer_than_the_grace(here: World, truth: list[object]) -> None:
    here.hold(0, methods=("eth_getProof",))
    assert here.all_answers(here.quorum(3, 2, grace_s=0.02)) == truth


def test_the_newest_block_is_not_waited_for_longer_than_the_grace(here: World) -> None:
    here.hold(0)
    assert here.quorum(3, 2, grace_s=0.02).header("latest") == here.tip


def waiting_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dkg-rpc")]


def test_no_thread_outlives_the_quorum(here: World) -> None:
    for _ in range(20):
        quorum = here.quorum(4, 2)
        quorum.chain_id()
        assert len(waiting_threads()) <= 4
        quorum.close()
    assert waiting_threads() == []


def test_closing_does_not_wait_for_a_slow_endpoint(here: World) -> None:
    here.hold(0)
    with here.quorum(3, 2) as quorum:
        assert quorum.chain_id() == 31337
        assert quorum.endpoints[0].late is not None
    assert waiting_threads() == []  # its time-out is ten minutes
    with pytest.raises(RpcUnavailableError):
        quorum.endpoints[0].late.result()


@pytest.mark.parametrize("ask", [lambda q: q.chain_id(), lambda q: q.header("latest"), lambda q: q.header(b"\1" * 32)])
def test_closing_wakes_whoever_asks(here: World, ask: Callable[[Quorum], object]) -> None:
    asked, caught = threading.Event(), []
    for which in range(3):
        released = here.hold(which)
        slow = here.proxies[which].rule

        def told(request: Request, response: Response, slow: Rule = slow) -> Response:
            asked.set()
            return slow(request, response)

        here.proxies[which].rule = told
    quorum = here.quorum(3, 2)

    def run() -> None:
        try:
            ask(quorum)
        except ChainError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    asked.wait()
    quorum.close()
    thread.join()
    assert isinstance(caught[0], NoQuorumError)
    assert not released.is_set()


def test_a_mistake_of_the_program_is_not_taken_for_a_fault(here: World) -> None:
    with pytest.raises(ValueError, match="no tag of a block"):
        here.quorum(3, 2).header("newest")


def test_who_stands_alone_with_an_answer_is_reported(here: World) -> None:
    here.proxies[0].rule = edited(("eth_getLogs",), lambda logs: logs[:-1])
    quorum = here.quorum(3, 2)
    for _ in range(1000):  # the two that agree may be faster: then nobody asks what the third says
        assert len(quorum.logs(here.registry.address, 0, here.tip.number, [COMMITTED])) == 4
        if quorum.reports():
            break
    assert "stands alone with what it says of the events of blocks 0 to 5: 3 events" in quorum.reports()[0]
