"""Calls of the checkpoint contract: sent once, tried first, resumed, and done when storage proves it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from dkg.chain.checkpoints import Status
from dkg.client.checkpointread import read_checkpoints
from dkg.limits import SHOW_MAX
from node.checkpoints import calls
from node.checkpoints.hand import Hand, Step
from node.checkpoints.refusals import sentence
from node.checkpoints.sending import CheckpointSender, Errand, has_status, is_marked, is_settled, is_shown, never
from node.devnet.chain import devnet
from node.home import Home
from node.publish.errors import EmptyWalletError, RejectedError
from node.publish.fees import FeePolicy
from node.publish.publisher import connected
from node.publish.sender import Tools
from node.publish.wallet import Wallet
from tests.chain.checkpoints import MALFORMED, TERMS, Checkpoints, invalid
from tests.chain.lies import LIES, dead, honest, only, refused
from tests.chain.world import World, world
from tests.node.publish.world import KEYS, QUICK, hasty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.client.chainread import ChainReader
    from node.publish.sender import At
    from tests.chain.proxy import Request, Response

ROOT, DIGEST = b"\x33" * 32, sha256(MALFORMED).digest()


def nothing(_step: str) -> None:
    """The `At` that does nothing."""


class Desk:
    """A chain with both contracts, and a home that sends to them."""

    def __init__(self, there: World, contract: Checkpoints, folder: Path) -> None:
        self.world, self.contract, self.home = there, contract, Home(folder)
        self.address = contract.address

    @contextmanager
    def sender(self, key: bytes = KEYS[5], at: At = nothing) -> Iterator[tuple[CheckpointSender, ChainReader]]:
        with ExitStack() as stack:
            reader, writer = stack.enter_context(connected([self.world.proxy.url], 1))
            tools = Tools(writer, hasty(), time.time, FeePolicy(), QUICK, at)
            yield CheckpointSender(self.home, Wallet(key), self.world.registry.domain, reader, tools), reader

    def proposal(self, position: int = 0, root: bytes = ROOT) -> Errand:
        tip = self.world.registry.latest[self.world.publisher].entry() if position else bytes(32)
        return Errand(calls.propose(self.address, position, 0, root, tip, TERMS.bond), never, once=True)

    def count(self) -> int:
        """Transactions of the sender so far."""
        return int(self.world.rpc("eth_getTransactionCount", "0x" + Wallet(KEYS[5]).address.hex(), "latest"), 16)

    def kept(self) -> list[Path]:
        return list(self.home.path.glob("checkpoints-*"))


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[World, Checkpoints]]:
    with devnet() as chain, world(chain.url) as made:
        made.registry.commit(made.publisher)
        yield made, Checkpoints(made.registry)


@pytest.fixture
def desk(built: tuple[World, Checkpoints], tmp_path: Path) -> Iterator[Desk]:
    with built[0].undone():
        yield Desk(*built, tmp_path)


def test_a_proposal_is_sent_with_its_bond_and_made_final(desk: Desk) -> None:
    with desk.sender() as (sender, reader):
        sent = sender.send(desk.proposal(1))
        assert sent.transaction is not None
        head = reader.header("latest")
        (pending,) = read_checkpoints(reader, desk.address, head).pending
        assert (pending.proposer, pending.root, sent.block) == (sender.address, ROOT, head.number)
        desk.contract.wait(TERMS.window + 1)
        final = Errand(calls.finalise(desk.address, 1), has_status(reader, desk.address, 1, Status.FINAL))
        assert sender.send(final).transaction is not None
        again = sender.send(final)
        assert (again.transaction, again.block, again.gas_used) == (None, None, None)
        assert sender.send(Errand(calls.withdraw(desk.address), never, once=True)).gas_used
    assert desk.kept() == []


def test_what_the_contract_refuses_is_told_with_its_reason_and_costs_nothing(desk: Desk) -> None:
    before = desk.count()
    with desk.sender() as (sender, reader):
        sender.send(desk.proposal())
        for errand, reason in (
            (
                Errand(calls.finalise(desk.address, 1), has_status(reader, desk.address, 1, Status.FINAL)),
                "its window has not passed yet .*: window",
            ),
            (Errand(calls.finalise(desk.address, 7), never, once=True), "it is final, or somebody else has refuted it"),
            (desk.proposal(0), "a pending checkpoint says the same: .*: pending already"),
            (
                Errand(calls.propose(desk.address, 1, 0, ROOT, bytes(32), TERMS.bond), never, once=True),
                "the chain has gone back",
            ),
            (
                Errand(calls.propose(desk.address, 0, 0, b"\x44" * 32, bytes(32), TERMS.bond - 1), never),
                "not what the contract asks for",
            ),
            (Errand(calls.withdraw(desk.address), never, once=True), "nothing owed"),
        ):
            with pytest.raises(RejectedError, match=reason):
                sender.send(errand)
    assert desk.count() == before + 1


def test_a_reason_that_is_none_of_a_call_says_that_evidence_is_none_and_other_words_are_left_alone() -> None:
    assert sentence("reverted: not a member (code 3)").startswith("the contract does not take this for evidence")
    assert sentence("execution reverted") == "execution reverted"


def test_a_bond_that_is_not_there_is_told(desk: Desk) -> None:
    with desk.sender(b"\x77" * 32) as (sender, _), pytest.raises(EmptyWalletError, match=r"the bond is 0\.5 ether"):
        sender.send(desk.proposal())


def test_marks_pages_and_demands_are_done_when_storage_says_so(desk: Desk) -> None:
    committed = desk.world.registry.commit(desk.world.publisher, DIGEST)
    with desk.sender() as (sender, reader):
        sender.send(desk.proposal(0, DIGEST))
        demand = calls.demand_checkpoint(desk.address, 1, b"", TERMS.demand_bond)
        assert sender.send(Errand(demand, never, once=True)).transaction is not None
        answer = Errand(calls.answer(desk.address, 1, MALFORMED), is_settled(reader, desk.address, 1))
        assert sender.send(answer).transaction is not None
        shown = Errand(calls.show(desk.address, MALFORMED), is_shown(reader, desk.address, DIGEST))
        assert sender.send(shown).transaction is None  # the answer showed it
        mark = Errand(calls.evidence(desk.address, invalid(committed, b"")), is_marked(reader, desk.address, 1))
        assert sender.send(mark).transaction is not None
        state = read_checkpoints(reader, desk.address, reader.header("latest")).state
    assert (state.marks, state.demands) == (1, 1)


@pytest.mark.parametrize("raw", [b"", bytes(SHOW_MAX + 1), MALFORMED])
def test_a_page_that_no_transaction_can_hold_is_an_answer_when_it_was_shown(desk: Desk, raw: bytes) -> None:
    desk.contract.propose(0, root=sha256(raw).digest())
    desk.contract.send(calls.demand_checkpoint(desk.address, 1, b"", TERMS.demand_bond))
    steps: list[Step] = []
    with desk.sender() as (sender, reader), connected([desk.world.proxy.url], 1) as (_, writer):
        hand = Hand(sender, reader, writer, desk.address, desk.world.registry.domain)
        hand.answer(1, raw, steps.append)
        assert is_settled(reader, desk.address, 1)(reader.header("latest"))
    assert [step.what for step in steps] == ["answer"] if raw == MALFORMED else ["show", "answer"]


def test_a_checkpoint_has_one_status(desk: Desk) -> None:
    desk.contract.propose(0)
    desk.contract.finalise(1)
    desk.contract.propose(1, root=b"\x22" * 32)
    with desk.sender() as (_, reader):
        head = reader.header("latest")
        for number, status in ((1, Status.FINAL), (2, Status.PENDING)):
            assert [one for one in Status if has_status(reader, desk.address, number, one)(head)] == [status]


@pytest.mark.parametrize("step", ["built", "broadcast", "sent", "receipt"])
def test_what_was_interrupted_is_resumed_and_sent_once(desk: Desk, step: str) -> None:
    before = desk.count()

    def crash(now: str) -> None:
        if now == step:
            raise KeyboardInterrupt

    with desk.sender(at=crash) as (sender, _), pytest.raises(KeyboardInterrupt):
        sender.send(desk.proposal(1))
    assert len(desk.kept()) == 1
    with desk.sender() as (sender, reader):
        assert sender.send(desk.proposal(1)).transaction is not None
        assert read_checkpoints(reader, desk.address, reader.header("latest")).state.last == 1
    assert desk.count() == before + 1
    assert desk.kept() == []


def test_a_proposal_that_was_refuted_before_it_was_resumed_is_not_sent_again(desk: Desk) -> None:
    def crash(now: str) -> None:
        if now == "sent":
            raise KeyboardInterrupt

    with desk.sender(at=crash) as (sender, _), pytest.raises(KeyboardInterrupt):
        sender.send(desk.proposal(0, DIGEST))
    desk.contract.send(calls.demand_checkpoint(desk.address, 1, b"", TERMS.demand_bond))
    desk.contract.wait(TERMS.demand_window + 1)
    desk.contract.send(calls.expire(desk.address, 1))
    with desk.sender() as (sender, reader):
        sender.send(desk.proposal(0, DIGEST))
        assert read_checkpoints(reader, desk.address, reader.header("latest")).state.last == 1


def interrupted(desk: Desk) -> None:
    """A proposal that was sent, and of which nothing is known since."""

    def crash(now: str) -> None:
        if now == "sent":
            raise KeyboardInterrupt

    with desk.sender(at=crash) as (sender, _), pytest.raises(KeyboardInterrupt):
        sender.send(desk.proposal())
    assert len(desk.kept()) == 1


def test_a_proposal_that_others_made_in_the_same_block_is_not_taken_for_sent(desk: Desk) -> None:
    rpc, call = desk.world.rpc, desk.proposal().call
    rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON-RPC
    fields = {"from": desk.world.registry.accounts[8], "to": desk.address, "data": call.data}
    sent = {name: "0x" + value.hex() for name, value in fields.items()}
    rpc("eth_sendTransaction", sent | {"value": hex(call.value), "gas": hex(1_000_000), "gasPrice": hex(10**12)})
    interrupted(desk)
    rpc("evm_setAutomine", True)  # noqa: FBT003 - JSON-RPC
    rpc("evm_mine")
    with desk.sender() as (sender, _), pytest.raises(RejectedError, match="pending already"):
        sender.send(desk.proposal())
    assert desk.kept() == []


def test_a_receipt_of_a_block_that_is_on_no_chain_is_not_believed(desk: Desk) -> None:
    interrupted(desk)
    desk.world.proxy.rule = LIES["receipt of another block"]()
    with desk.sender() as (sender, _), pytest.raises(RejectedError, match="pending already"):
        sender.send(desk.proposal())


def test_a_transaction_that_waits_is_not_forgotten_when_an_endpoint_says_that_the_contract_refuses_it(
    desk: Desk,
) -> None:
    before = desk.count()
    desk.world.rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON-RPC
    interrupted(desk)
    desk.world.proxy.rule = only(("eth_call",), refused(3, "execution reverted"))
    with desk.sender() as (sender, _), pytest.raises(RejectedError):
        sender.send(desk.proposal())
    assert len(desk.kept()) == 1
    desk.world.proxy.rule = honest
    desk.world.rpc("evm_setAutomine", True)  # noqa: FBT003 - JSON-RPC
    desk.world.rpc("evm_mine")
    with desk.sender() as (sender, _):
        assert sender.send(desk.proposal()).transaction is not None
    assert desk.count() == before + 1


def test_what_others_did_first_is_done(desk: Desk) -> None:
    desk.contract.propose(0)
    desk.contract.wait(TERMS.window + 1)
    desk.world.rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON-RPC

    def overtaken(step: str) -> None:
        if step == "sent":
            desk.world.rpc("evm_setAutomine", True)  # noqa: FBT003 - JSON-RPC

    with desk.sender(at=overtaken) as (sender, reader):
        errand = Errand(calls.finalise(desk.address, 1), has_status(reader, desk.address, 1, Status.FINAL))
        assert sender.send(errand).transaction is not None
        assert sender.send(errand).transaction is None


def test_an_endpoint_that_is_down_for_a_moment_is_waited_for(desk: Desk) -> None:
    failed: list[str] = []
    down = dead()

    def rule(request: Request, response: Response) -> Response:
        if request.method not in {"eth_call", "eth_sendRawTransaction"} or len(failed) == 3:
            return response
        failed.append(request.method)
        return down(request, response)

    desk.world.proxy.rule = rule
    with desk.sender() as (sender, _):
        assert sender.send(desk.proposal()).transaction is not None
    assert len(failed) == 3
