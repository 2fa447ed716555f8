"""Following the checkpoint contract beside the registry, on a real chain: what is kept, and what lies cannot do."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.checkpoint_events import TOPICS, Demanded, Page, Shown, Target
from dkg.chain.checkpoint_log import CheckpointLog
from dkg.chain.checkpoints import Checkpoint, ContractState, Mark, Reason, Status
from dkg.chain.log import LogError
from dkg.checkpoints.records import Record
from dkg.client.checkpointfollow import CheckpointFollower
from dkg.client.checkpointread import marks_at, read_checkpoints
from dkg.client.rpc import ChainError
from dkg.errors import ProofError
from node.checkpoints import calls
from node.devnet.chain import devnet
from tests.chain.checkpoints import MALFORMED, TERMS, Checkpoints
from tests.chain.lies import dead, edited, first, only, refused
from tests.chain.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.chain.log import RegistryLog
    from dkg.chain.registry import Committed
    from dkg.client.follower import Follower

DIGEST = sha256(MALFORMED).digest()
ROOT = b"\x11" * 32
ONLY_LOGS = ("eth_getLogs",)


class Both:
    """A world with a checkpoint contract, and what follows both contracts."""

    def __init__(self, there: World, contract: Checkpoints) -> None:
        self.world, self.contract = there, contract
        self.registry: Follower = there.follower()
        self.follower = CheckpointFollower(
            there.reader(), contract.address, CheckpointLog(), first_block=there.registry.first_block
        )

    def commit(self, root: bytes | None = None) -> Committed:
        return self.world.registry.commit(self.world.publisher, root)

    def step(self) -> CheckpointLog:
        """Follow both; what was found is what storage says, and what a new follower finds."""
        head = self.registry.step().head
        return self.follower.step(head, self.registry.log)

    def checked(self) -> CheckpointLog:
        log = self.step()
        assert self.follower.proved
        assert self.registry.head is not None
        reader, address = self.world.reader(), self.contract.address
        stored = read_checkpoints(reader, address, self.registry.head)
        assert (stored.state, stored.final, list(stored.pending)) == (log.state, log.final, log.pending)
        assert marks_at(reader, address, self.registry.head, list(log.marked)) == log.marked
        same(Both(self.world, self.contract).step(), log)
        return log


def same(one: CheckpointLog, other: CheckpointLog) -> None:
    for name in ("state", "opened", "checkpoints", "marks", "marked", "demands", "shown"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[World, Checkpoints]]:
    with devnet() as chain, world(chain.url) as made:
        for _ in range(3):
            made.registry.commit(made.publisher)
        yield made, Checkpoints(made.registry)


@pytest.fixture
def both(built: tuple[World, Checkpoints]) -> Iterator[Both]:
    with built[0].undone():
        yield Both(*built)


def test_a_new_contract_has_nothing(both: Both) -> None:
    log = both.checked()
    assert (log.state, log.final, log.pending) == (ContractState(0, 0, 0, 0), None, [])


def test_a_checkpoint_is_proposed_and_becomes_final(both: Both) -> None:
    both.contract.propose(2)
    both.contract.propose(3)
    log = both.checked()
    one, other = log.pending
    assert (one.id, one.position, one.marks, one.root, one.status) == (1, 2, 0, ROOT, Status.PENDING)
    assert (one.proposer, one.ends) == (both.world.registry.accounts[8], one.proposed + TERMS.window)
    both.contract.finalise(1)
    log = both.checked()
    assert log.final == replace(one, status=Status.FINAL)
    assert log.pending == [other]
    both.contract.send(calls.finalise(both.contract.address, 2))
    assert both.checked().state == ContractState(2, 2, 0, 0)


def test_one_that_goes_back_becomes_final_and_not_the_latest(both: Both) -> None:
    both.contract.propose(3)
    both.contract.propose(1)
    both.contract.finalise(1)
    both.contract.send(calls.finalise(both.contract.address, 2))
    log = both.checked()
    assert log.state.final == 1
    assert log.checkpoints[2].status is Status.FINAL


def test_a_commit_is_marked_and_a_page_shown(both: Both) -> None:
    committed = both.commit(DIGEST)
    both.contract.send(calls.show(both.contract.address, MALFORMED))
    both.contract.mark(committed, b"")
    log = both.checked()
    mark = Mark(1, committed.position, Reason.MALFORMED)
    assert (log.marks, log.marked, log.shown) == ({1: mark}, {committed.position: mark}, {DIGEST: Page.MALFORMED})
    assert log.mark_at(committed.position, 1) == mark
    assert log.mark_at(committed.position, 0) is None


def test_a_demand_is_answered(both: Both) -> None:
    both.contract.propose(3, root=DIGEST)
    both.contract.send(calls.demand_checkpoint(both.contract.address, 1, b"", TERMS.demand_bond))
    log = both.checked()
    (demand,) = log.demands.values()
    assert (demand.digest, demand.kind, demand.target) == (DIGEST, Target.CHECKPOINT, 1)
    assert log.pending[0].disputed
    both.contract.send(calls.answer(both.contract.address, 1, MALFORMED))
    log = both.checked()
    assert (log.demands, log.shown) == ({}, {DIGEST: Page.MALFORMED})
    assert (log.pending[0].open_demands, log.pending[0].demands) == (0, 1)


def test_a_demand_late_in_the_window_puts_its_end_off(both: Both) -> None:
    both.contract.propose(3)
    both.contract.wait(TERMS.window - 5)
    before = both.step().pending[0].ends
    both.contract.send(calls.demand_checkpoint(both.contract.address, 1, b"", TERMS.demand_bond))
    assert both.checked().pending[0].ends > before


def test_demands_that_nobody_answers_refute_and_mark(both: Both) -> None:
    committed = both.commit(DIGEST)
    both.contract.propose(4)
    both.contract.send(calls.demand_checkpoint(both.contract.address, 1, b"", TERMS.demand_bond))
    record = Record.of(committed)
    demand = calls.demand_commit(both.contract.address, committed.publisher, record, b"", TERMS.demand_bond)
    both.contract.send(demand)
    both.contract.send(demand)
    assert [one.kind for one in both.checked().demands.values()] == [Target.CHECKPOINT, Target.COMMIT, Target.COMMIT]
    both.contract.wait(TERMS.demand_window + 1)
    for number in (1, 2, 3):
        both.contract.send(calls.expire(both.contract.address, number))
    log = both.checked()
    assert log.checkpoints[1].status is Status.REFUTED
    assert log.marked[committed.position].reason is Reason.UNAVAILABLE
    assert (log.demands, log.opened) == ({}, ())


def test_a_demand_outlives_its_checkpoint(both: Both) -> None:
    both.contract.propose(3, root=DIGEST)
    both.contract.send(calls.demand_checkpoint(both.contract.address, 1, b"", TERMS.demand_bond))
    both.contract.send(calls.demand_checkpoint(both.contract.address, 1, b"", TERMS.demand_bond))
    both.contract.wait(TERMS.demand_window + 1)
    both.contract.send(calls.expire(both.contract.address, 2))
    log = both.checked()
    assert (log.checkpoints[1].status, log.checkpoints[1].open_demands) == (Status.REFUTED, 1)
    both.contract.send(calls.expire(both.contract.address, 1))
    assert both.checked().checkpoints[1].open_demands == 0


# --- reorganisations -------------------------------------------------------------------------------------------------


def test_a_reorganisation_takes_back_what_it_takes_back(both: Both) -> None:
    both.contract.propose(2)
    before = both.checked().copy()
    both.world.mine(1)
    both.step()
    committed = both.commit(DIGEST)
    both.contract.mark(committed)
    both.contract.propose(3)
    assert len(both.checked().marks) == 1
    both.world.rpc("anvil_reorg", 3, [])
    log = both.checked()
    same(log, before)
    both.contract.propose(1)
    assert [one.position for one in both.checked().pending] == [2, 1]


def test_another_checkpoint_under_the_same_id_is_noticed(both: Both) -> None:
    both.contract.propose(2)
    assert both.checked().pending[0].position == 2
    both.world.rpc("anvil_reorg", 1, [])
    both.contract.propose(3)
    both.world.mine(1)
    assert [one.position for one in both.checked().pending] == [3]


def test_a_step_that_failed_in_the_middle_goes_on(both: Both) -> None:
    both.contract.propose(2)
    head = both.registry.step().head
    both.world.proxy.rule = only(("eth_getProof",), first(10**9, dead()))
    with pytest.raises(ChainError):
        both.follower.step(head, both.registry.log)
    both.world.proxy.rule = lambda _request, response: response
    both.world.rpc("anvil_reorg", 1, [])
    both.contract.propose(3)
    assert [one.position for one in both.checked().pending] == [3]


# --- lies ------------------------------------------------------------------------------------------------------------


def _without(topic: bytes) -> Any:  # noqa: ANN401 - an edit
    wanted = "0x" + topic.hex()
    return lambda logs: [log for log in logs if log["topics"][0] != wanted]


def _other_root(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**log, "data": log["data"].replace(ROOT.hex(), "22" * 32)} for log in logs]


@pytest.mark.parametrize("kind", [one for one in TOPICS if one is not Shown])
def test_no_event_that_counts_can_be_left_out(both: Both, kind: Any) -> None:  # noqa: ANN401
    both.contract.propose(3)
    both.contract.finalise(1)
    committed = both.commit(DIGEST)
    both.contract.propose(4)
    both.contract.send(calls.demand_checkpoint(both.contract.address, 2, b"", TERMS.demand_bond))
    record = Record.of(committed)
    for _ in range(2):
        both.contract.send(
            calls.demand_commit(both.contract.address, committed.publisher, record, b"", TERMS.demand_bond)
        )
    both.contract.send(calls.answer(both.contract.address, 2, MALFORMED))
    both.contract.wait(TERMS.demand_window + 1)
    both.contract.send(calls.expire(both.contract.address, 1))
    both.contract.send(calls.expire(both.contract.address, 3))
    both.world.proxy.rule = edited(ONLY_LOGS, _without(TOPICS[kind]))
    head = both.registry.step().head
    with pytest.raises(LogError):
        both.follower.step(head, both.registry.log)
    both.world.proxy.rule = lambda _request, response: response
    assert both.checked().state == ContractState(1, 2, 1, 3)


def test_an_event_that_is_forged_is_found_out(both: Both) -> None:
    both.contract.propose(3)

    both.world.proxy.rule = edited(ONLY_LOGS, _other_root)
    head = both.registry.step().head
    with pytest.raises(LogError, match="not those that the checkpoint contract stored"):
        both.follower.step(head, both.registry.log)
    assert both.follower.log.state.last == 0


def test_an_event_that_is_none_of_the_contracts_is_found_out(both: Both) -> None:
    both.contract.propose(3)
    both.world.proxy.rule = edited(ONLY_LOGS, lambda logs: [{**log, "data": log["data"] + "00"} for log in logs])
    head = both.registry.head or both.world.reader().header("latest")
    with pytest.raises(ProofError):
        both.follower.step(head, both.registry.log)


def test_commits_that_the_registry_does_not_have_are_found_out(both: Both) -> None:
    both.contract.propose(3)
    head, log = both.registry.step().head, both.registry.log
    shorter: RegistryLog = both.world.follower().log
    with pytest.raises(LogError, match="the registry's log has 0"):
        both.follower.step(head, shorter)
    assert both.follower.step(head, log).state.last == 1


def test_without_proofs_it_says_so_and_with_them_again_all_is_proved(both: Both) -> None:
    both.contract.propose(3)
    both.world.proxy.rule = only(("eth_getProof",), refused(-32601, "no such method"))
    both.step()
    assert not both.follower.proved
    both.world.proxy.rule = lambda _request, response: response
    both.world.mine(1)
    both.step()
    assert both.follower.proved


def test_a_lie_that_was_taken_without_proof_is_found_out(both: Both) -> None:
    both.contract.propose(3)

    lie = edited(ONLY_LOGS, _other_root)
    unproved = only(("eth_getProof",), refused(-32601, "no such method"))
    both.world.proxy.rule = lambda request, response: lie(request, unproved(request, response))
    assert both.step().pending[0].root == b"\x22" * 32
    both.world.proxy.rule = lambda _request, response: response
    both.world.mine(1)
    with pytest.raises(LogError):
        both.step()


def test_types_are_told_apart() -> None:
    assert Demanded(1, DIGEST, Target.COMMIT, 3, 9).pack() == 2 << 88 | 9 << 48 | 3
    assert Checkpoint.slots(1) != Checkpoint.slots(2)
