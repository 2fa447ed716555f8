"""Row B5 of the fault matrix, for publishing: what endpoints make up never makes a publish that is told as done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.errors import ProofError, StoreError
from tests.chain.lies import LIES, Edit, edited, honest, refused
from tests.chain.proxy import proxy
from tests.node.publish.world import PATIENT, PROMPT, FakeTime, World, request

if TYPE_CHECKING:
    from tests.chain.proxy import Request, Response, Rule


def is_there(world: World, seq: int) -> bool:
    return seq in [event.commit.seq for event in world.events()]


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_lying_endpoint_is_never_believed_and_does_no_harm(here: World, name: str) -> None:
    with (
        proxy(here.url, honest) as between,
        here.publisher(between.url, waits=PATIENT, waiting=FakeTime().waiting(), policy=PROMPT) as publisher,
    ):
        publisher.publish(request("a"))
        between.rule = LIES[name]()
        try:
            found = publisher.publish(request("b"))
        except (ProofError, StoreError):
            pass
        else:
            assert (found.seq, found.changed) == (2, True)
            assert is_there(here, 2)
        between.rule = honest
        publisher.publish(request("b"))
        publisher.publish(request("c"))
    here.check("a", "b", "c")


FORGED_HASH = "0x" + "ab" * 32


def invented_receipt() -> Rule:
    """A receipt for whatever is asked for, mined or not."""

    def rule(request: Request, response: Response) -> Response:
        if request.method != "eth_getTransactionReceipt":
            return response
        made = {"blockNumber": "0x2", "blockHash": FORGED_HASH, "status": "0x1", "gasUsed": "0x5208"}
        return response.with_result(request, made | {"transactionHash": request.params[0]})

    return rule


WRITER_LIES: dict[str, Rule] = {
    **{
        name: LIES[name]()
        for name in (
            "forged receipt",
            "receipt of another block",
            "receipt of another transaction",
            "null receipt",
            "future head",
            "old head",
            "forged nonce",
            "forged account proof",
            "swallowed transaction",
        )
    },
    "another hash": edited(("eth_sendRawTransaction",), lambda _result: FORGED_HASH),
    "an invented receipt": invented_receipt(),
}


@pytest.mark.parametrize("name", sorted(WRITER_LIES))
def test_lies_of_the_endpoint_that_sends_are_found_out_by_the_one_that_reads(here: World, name: str) -> None:
    with (
        proxy(here.url, WRITER_LIES[name]) as between,
        here.publisher(send_to=[between.url], waits=PATIENT, waiting=FakeTime().waiting(), policy=PROMPT) as publisher,
    ):
        try:
            found = publisher.publish(request("a"))
        except (ProofError, StoreError):
            assert name in {"swallowed transaction", "forged nonce", "forged account proof"}
            between.rule = honest
            here.mine()
            found = publisher.publish(request("a"))
        assert is_there(here, 1)
        assert found.block_hash.hex() not in FORGED_HASH
    here.check("a")


def test_a_transaction_that_is_swallowed_by_all_is_never_told_as_done(here: World) -> None:
    """The receipt is invented too: the endpoint that sends plays a whole chain."""

    def both(request: Request, response: Response) -> Response:
        rule = swallowed if request.method == "eth_sendRawTransaction" else invented
        return rule(request, response)

    swallowed, invented = LIES["swallowed transaction"](), invented_receipt()
    with (
        proxy(here.url, both) as between,
        here.publisher(send_to=[between.url], waits=PATIENT, waiting=FakeTime().waiting(), policy=PROMPT) as publisher,
    ):
        with pytest.raises(StoreError, match="no block came"):
            publisher.publish(request("a"))
        assert here.events() == []
        between.rule = honest
        publisher.resume()
    here.check("a")


def test_one_that_swallows_cannot_keep_a_transaction_from_the_others(here: World) -> None:
    with (
        proxy(here.url, LIES["swallowed transaction"]()) as between,
        here.publisher(send_to=[between.url, here.url]) as publisher,
    ):
        publisher.publish(request("a"))
    here.check("a")


DEAR: dict[str, Edit] = {
    "tip": lambda _result: hex(10**15),
    "huge tip": lambda _result: hex(2**70),
}


@pytest.mark.parametrize("name", sorted(DEAR))
def test_an_invented_tip_costs_no_more_than_the_policy_allows(here: World, name: str) -> None:
    rule = edited(("eth_maxPriorityFeePerGas",), DEAR[name])
    with (
        proxy(here.url, rule) as between,
        here.publisher(between.url, waits=PATIENT, waiting=FakeTime().waiting(), policy=PROMPT) as publisher,
    ):
        try:
            publisher.publish(request("a"))
        except StoreError:
            assert name == "huge tip"
        else:
            (attempt,) = here.attempts("a")
            assert attempt.fees.tip == 50 * 10**9


def test_an_endpoint_without_proofs_is_refused_unless_it_is_allowed(here: World) -> None:
    rule = refused()

    def unproved(request: Request, response: Response) -> Response:
        return rule(request, response) if request.method == "eth_getProof" else response

    with proxy(here.url, unproved) as between, here.publisher(between.url) as publisher:
        with pytest.raises(StoreError, match="eth_getProof"):
            publisher.publish(request("a"))
        publisher._allow_unproved = True
        publisher.publish(request("a"))
        publisher.publish(request("b"))
    here.check("a", "b")
