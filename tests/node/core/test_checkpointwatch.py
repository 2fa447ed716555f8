"""The checkpoint contract watched beside the registry: views of one block, restarts, and what must not hold up what."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.commit import Domain
from dkg.errors import StoreError
from node.checkpoints import calls
from node.core.chainfile import CHAIN_FILE, CHECKPOINTS_FILE, ChainFile
from node.core.checkpointwatch import ANEW_AFTER, CheckpointWatch
from node.core.recorded import CHECKPOINTS, REGISTRY
from node.core.watch import Condition, Watch
from node.devnet.chain import devnet
from tests.chain.checkpoints import MALFORMED, TERMS, Checkpoints
from tests.chain.lies import edited, honest, only, refused
from tests.chain.world import DEPTH, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.chain.checkpoint_log import CheckpointLog
    from tests.chain.proxy import Request, Response

DIGEST = sha256(MALFORMED).digest()


class Desk:
    """A chain with both contracts, and a directory of a node that watches it."""

    def __init__(self, there: World, contract: Checkpoints, folder: Path) -> None:
        self.world, self.contract, self.folder = there, contract, folder
        self.files: list[ChainFile[Any]] = []
        self.watch = self.started()

    def started(self, address: bytes | None = None) -> Watch:
        """A watch of a node that starts."""
        registry = self.world.registry
        own = Domain(registry.domain.chain_id, address or self.contract.address)
        file = ChainFile(self.folder / CHAIN_FILE, registry.domain, REGISTRY)
        other = ChainFile(self.folder / CHECKPOINTS_FILE, own, CHECKPOINTS)
        self.files += [file, other]
        reader, first = self.world.reader(), registry.first_block
        beside = CheckpointWatch(reader, other, other.load(DEPTH), first_block=first, finality_depth=DEPTH)
        kept = file.load(DEPTH)
        return Watch(reader, registry.domain, file, kept, first_block=first, finality_depth=DEPTH, checkpoints=beside)

    def restarted(self) -> Watch:
        """Another watch, after this one was closed without a word."""
        self.close()
        self.watch = self.started()
        return self.watch

    def close(self) -> None:
        for file in self.files:
            file.close()
        self.files.clear()

    def seen(self) -> CheckpointLog:
        """The log after a look, proved."""
        view = self.watch.step()
        assert (self.watch.condition, self.watch.trouble) == (Condition.FOLLOWING, "")
        assert view.checkpoints is not None
        assert view.checkpoints.proved
        return view.checkpoints.log

    def commit(self) -> None:
        self.world.registry.commit(self.world.publisher)

    def only_checkpoints(self, edit: Any) -> None:  # noqa: ANN401 - an edit
        """Have the endpoint lie about the events of the checkpoint contract, and of no other."""
        rule = edited(("eth_getLogs",), edit)
        ours = "0x" + self.contract.address.hex()

        def lying(request: Request, response: Response) -> Response:
            is_ours = request.method == "eth_getLogs" and request.params[0]["address"] == ours
            return rule(request, response) if is_ours else response

        self.world.proxy.rule = lying


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[World, Checkpoints]]:
    with devnet() as chain, world(chain.url) as made:
        made.registry.commit(made.publisher)
        yield made, Checkpoints(made.registry)


@pytest.fixture
def desk(built: tuple[World, Checkpoints], tmp_path: Path) -> Iterator[Desk]:
    with built[0].undone():
        made = Desk(*built, tmp_path)
        with closing(made):
            yield made


def facts(log: CheckpointLog) -> tuple[Any, ...]:
    return log.state, log.opened, log.checkpoints, log.marks, log.marked, log.demands, log.shown


def everything(desk: Desk) -> None:
    """Have something of each kind on the chain."""
    committed = desk.world.registry.commit(desk.world.publisher, DIGEST)
    desk.contract.propose(1, root=DIGEST)
    desk.contract.send(calls.demand_checkpoint(desk.contract.address, 1, b"", TERMS.demand_bond))
    desk.contract.send(calls.demand_checkpoint(desk.contract.address, 1, b"", TERMS.demand_bond))
    desk.contract.send(calls.answer(desk.contract.address, 1, MALFORMED))
    desk.contract.mark(committed, b"")
    desk.contract.propose(2)
    desk.contract.finalise(2)
    desk.contract.send(calls.expire(desk.contract.address, 2))


def test_views_have_both_contracts_as_of_one_block(desk: Desk) -> None:
    assert desk.seen().state.last == 0
    desk.commit()
    desk.contract.propose(2)
    view = desk.watch.step()
    assert view.checkpoints is not None
    assert (view.length, view.checkpoints.log.state.last) == (2, 1)
    before = view.checkpoints
    desk.world.mine(1)
    later = desk.watch.step()
    assert later.head != view.head
    assert later.checkpoints is before  # nothing happened there
    assert desk.watch.step() is later


def test_a_view_does_not_change_when_the_chain_goes_on(desk: Desk) -> None:
    before = desk.seen()
    desk.contract.propose(1)
    assert desk.seen().state.last == 1
    assert before.state.last == 0


def test_a_node_that_starts_again_goes_on_where_it_was(desk: Desk) -> None:
    everything(desk)
    log = facts(desk.seen())
    desk.restarted()
    desk.world.proxy.calls.clear()
    assert facts(desk.seen()) == log
    assert desk.world.proxy.calls.count("eth_getLogs") == 0
    desk.contract.propose(2, 1)
    assert desk.seen().state.last == 3
    desk.restarted()
    assert desk.seen().state.last == 3


def test_what_a_reorganisation_took_back_is_taken_back_after_a_restart_too(desk: Desk) -> None:
    desk.contract.propose(1)
    log = facts(desk.seen())
    desk.world.mine(1)
    desk.contract.propose(1, root=b"\x55" * 32)
    assert desk.seen().state.last == 2
    desk.restarted()
    desk.world.rpc("anvil_reorg", 2, [])
    assert facts(desk.seen()) == log
    desk.restarted()
    assert facts(desk.seen()) == log


def test_what_is_wrong_of_checkpoints_does_not_hold_up_the_registry(desk: Desk) -> None:
    desk.seen()
    desk.commit()
    desk.contract.propose(2)
    desk.only_checkpoints(lambda _logs: [])
    view = desk.watch.step()
    assert (view.length, view.checkpoints, desk.watch.condition) == (2, None, Condition.FOLLOWING)
    assert desk.watch.checkpoints is not None
    assert "not those that the checkpoint contract stored" in desk.watch.checkpoints.trouble
    desk.world.proxy.rule = honest
    assert desk.seen().state.last == 1
    assert desk.watch.checkpoints.trouble == ""


def test_a_lie_that_was_taken_without_proof_is_read_anew_after_some_looks(desk: Desk) -> None:
    desk.contract.propose(1)
    desk.only_checkpoints(lambda logs: [{**log, "data": log["data"].replace("11" * 32, "22" * 32)} for log in logs])
    lie, unproved = desk.world.proxy.rule, only(("eth_getProof",), refused(-32601, "no such method"))
    desk.world.proxy.rule = lambda request, response: lie(request, unproved(request, response))
    view = desk.watch.step().checkpoints
    assert view is not None
    assert (view.proved, view.log.checkpoints[1].root) == (False, b"\x22" * 32)
    desk.world.proxy.rule = honest
    for _ in range(ANEW_AFTER):
        desk.world.mine(1)
        assert desk.watch.step().checkpoints is None
    desk.world.mine(1)
    assert desk.seen().checkpoints[1].root == b"\x11" * 32
    desk.restarted()
    assert desk.seen().checkpoints[1].root == b"\x11" * 32


def test_an_address_without_a_contract_is_told(desk: Desk) -> None:
    (desk.folder / CHECKPOINTS_FILE).unlink()
    desk.close()
    watch = desk.started(b"\x99" * 20)
    view = watch.step()
    assert (view.length, view.checkpoints) == (1, None)
    assert watch.checkpoints is not None
    assert "there is no contract" in watch.checkpoints.trouble


def test_a_file_of_another_contract_is_refused(desk: Desk) -> None:
    desk.seen()
    desk.close()
    with pytest.raises(StoreError, match="another chain or registry"):
        desk.started(b"\x99" * 20)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_crash_while_it_is_written_loses_the_last_step_at_most(desk: Desk, cut: int) -> None:
    everything(desk)
    log = facts(desk.seen())
    desk.close()
    path = desk.folder / CHECKPOINTS_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    desk.restarted()
    assert facts(desk.seen()) == log


def test_pages_of_answers_are_not_kept_on_the_disk(desk: Desk) -> None:
    page = b"\xa1" * 20_000
    desk.contract.propose(1, root=sha256(page).digest())
    desk.contract.send(calls.demand_checkpoint(desk.contract.address, 1, b"", TERMS.demand_bond))
    desk.contract.send(calls.answer(desk.contract.address, 1, page))
    assert desk.seen().demands == {}
    assert (desk.folder / CHECKPOINTS_FILE).stat().st_size < 2_000
