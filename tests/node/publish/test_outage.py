"""Row B4 of the fault matrix, for publishing: endpoints that are dead, slow, busy, or answer half."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.client.rpc import ChainError
from tests.chain.lies import FAULTS, busy, dead, first, half_a_response, honest, only, slow
from tests.chain.proxy import proxy, unreachable
from tests.node.publish.world import QUICK, FakeTime, World, hasty, request

if TYPE_CHECKING:
    from tests.chain.proxy import Request, Response, Rule

READS = ("eth_getBlockByNumber", "eth_getProof", "eth_getLogs")
HINTS = ("eth_getTransactionReceipt", "eth_blockNumber", "eth_feeHistory", "eth_estimateGas")
SENDS = ("eth_sendRawTransaction",)

TIMEOUT_S = 0.15
"""A call that takes longer is given up."""


def between_calls(start: int, end: int, rule: Rule) -> Rule:
    """Honest, but for the calls from `start` up to before `end`."""

    def chosen(request: Request, response: Response) -> Response:
        return rule(request, response) if start <= request.number < end else response

    return chosen


def few(calls: int, methods: tuple[str, ...], rule: Rule) -> Rule:
    """The first calls of some methods fail."""
    left = calls

    def chosen(request: Request, response: Response) -> Response:
        nonlocal left
        if left and request.method in methods:
            left -= 1
            return rule(request, response)
        return response

    return chosen


@pytest.mark.parametrize("methods", [READS, HINTS, SENDS], ids=["reads", "hints", "sends"])
@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"refused"}))
def test_a_fault_that_passes_delays_and_nothing_more(here: World, name: str, methods: tuple[str, ...]) -> None:
    rule = few(5, methods, FAULTS[name]())
    with (
        proxy(here.url, rule) as between,
        here.publisher(between.url, waiting=hasty(), timeout_s=TIMEOUT_S) as publisher,
    ):
        found = publisher.publish(request("a"))
    assert found.seq == 1
    here.check("a")
    assert len(here.attempts("a")) == 1


@pytest.mark.parametrize("name", ["dead", "half a response", "busy"])
def test_an_outage_at_any_call_is_survived(here: World, name: str) -> None:
    """The n-th call and the nine after it fail, for each n of a publish."""
    names = []
    with proxy(here.url, honest) as between, here.publisher(between.url, waiting=hasty()) as publisher:
        publisher.publish(request("first"))
        calls = len(between.calls)
        for start in range(1, calls + 1):
            at = len(between.calls) + start
            between.rule = between_calls(at, at + 10, FAULTS[name]())
            names.append(f"r{start}")
            publisher.publish(request(names[-1]))
    assert calls >= 12
    here.check("first", *names)
    assert all(len(here.attempts(name)) == 1 for name in names[-calls // 2 :])


@pytest.mark.parametrize("name", ["dead", "half a response", "busy", "slow"])
def test_an_outage_that_lasts_is_told_and_loses_nothing(here: World, name: str) -> None:
    told: list[str] = []
    brief = replace(QUICK, outage_s=1.0)
    with (
        proxy(here.url, honest) as between,
        here.publisher(between.url, waiting=hasty(), timeout_s=TIMEOUT_S, waits=brief) as publisher,
    ):
        publisher.publish(request("a"))

        def dies(text: str, _done: int, _wanted: int) -> None:
            told.append(text)
            between.rule = FAULTS[name]()

        here.set_automine(False)
        with pytest.raises(ChainError):
            publisher.publish(request("b"), dies)
        with pytest.raises(ChainError):
            publisher.publish(request("c"))
        here.mine()
        here.set_automine(True)
        between.rule = honest
        publisher.publish(request("c"))
    assert any("trying again" in text for text in told)
    here.check("a", "b", "c")


def test_nobody_listening_is_an_error_after_a_while_and_nothing_happened(here: World) -> None:
    time = FakeTime()
    with (
        here.publisher(unreachable(), waiting=time.waiting()) as publisher,
        pytest.raises(ChainError, match="does not answer"),
    ):
        publisher.publish(request("a"))
    assert time.now - 1000 >= QUICK.outage_s
    assert here.journal()[0] == []


def test_a_busy_endpoint_is_asked_when_it_says(here: World) -> None:
    time = FakeTime()
    with (
        proxy(here.url, first(3, busy("7"))) as between,
        here.publisher(between.url, waiting=time.waiting()) as publisher,
    ):
        publisher.publish(request("a"))
    assert time.now - 1000 >= 3 * 7
    here.check("a")


@pytest.mark.parametrize("order", [0, 1, 2])
def test_one_honest_endpoint_of_three_is_enough(here: World, order: int) -> None:
    with proxy(here.url, dead()) as bad, proxy(here.url, slow()) as late:
        urls = [bad.url, late.url, here.url]
        urls = urls[order:] + urls[:order]
        with here.publisher(*urls, waiting=hasty(), timeout_s=TIMEOUT_S) as publisher:
            publisher.publish(request("a"))
            publisher.publish(request("b"))
    here.check("a", "b")


def test_a_slow_endpoint_does_not_hold_up_what_another_takes(here: World) -> None:
    """The slow one never answers while the test runs: were it waited for, the test would not end."""
    gone = threading.Event()

    def never(request: Request, response: Response) -> Response:
        if request.method in SENDS:
            gone.wait()
        return response

    with proxy(here.url, never) as late, here.publisher(send_to=[late.url, here.url]) as publisher:
        try:
            publisher.publish(request("a"))
            publisher.publish(request("b"))
        finally:
            gone.set()
    here.check("a", "b")


def test_a_transaction_whose_answer_was_lost_is_not_sent_as_another_one(here: World) -> None:
    lost = few(3, SENDS, half_a_response())
    with proxy(here.url, lost) as between, here.publisher(between.url, waiting=hasty()) as publisher:
        found = publisher.publish(request("a"))
    (attempt,) = here.attempts("a")
    assert found.transaction == attempt.hash
    here.check("a")


def test_a_refused_method_is_told_at_once(here: World) -> None:
    rule = only(("eth_getProof",), FAULTS["refused"]())
    with proxy(here.url, rule) as between, here.publisher(between.url) as publisher:
        with pytest.raises(ChainError, match="eth_getProof"):
            publisher.publish(request("a"))
        assert between.calls.count("eth_getProof") == 1
        between.rule = honest
        publisher.publish(request("a"))
    here.check("a")
