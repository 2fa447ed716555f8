"""Rows B1 and B2 of the fault matrix: what a reorganisation drops is sent again, and ends as one commit a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dkg.client.anchored import RollbackError, State
from dkg.client.chainread import FinalityError
from tests.node.publish.world import World, request

if TYPE_CHECKING:
    from node.publish.published import Published
    from node.publish.publisher import Publisher

DEEP = 8
"""More blocks than any reorganisation here has, but where it says so."""

NAMES = ["a", "b", "c", "d"]


@dataclass
class Lost:
    """What was published, and then taken off the chain: all but the first `kept` of `names`."""

    world: World
    names: list[str]
    kept: int

    def reorganise(self, how: str) -> None:
        """The latest blocks are replaced by empty ones; by one with a payment that has the nonce of the first lost
        commit; or by ones that have the transactions a block later, where all but the first cannot follow.
        """
        lost = self.names[self.kept :]
        raw = [self.world.attempts(name)[-1] for name in lost]
        pairs: list[list[object]] = []
        depth = len(lost)
        if how == "payment":
            pairs = [[self.world.payment(raw[0].nonce), 0]]
        if how == "later":
            self.world.rpc("anvil_mine", "0x1")
            depth += 1
            pairs = [["0x" + attempt.raw.hex(), at + 1] for at, attempt in enumerate(raw)]
        self.world.rpc("anvil_reorg", depth, pairs)

    def dropped(self, how: str) -> list[str]:
        """Those that were not on the chain after it."""
        return self.names[self.kept + (how == "later") :]


def go_on(publisher: Publisher, then: str) -> Published | None:
    if then == "resume":
        return publisher.resume()
    if then == "again":
        return publisher.publish(request("a"))
    return publisher.publish(request("next"))


@pytest.mark.parametrize("then", ["resume", "again", "next"])
@pytest.mark.parametrize("how", ["empty", "payment", "later"])
@pytest.mark.parametrize(("published", "kept"), [(1, 0), (2, 0), (3, 0), (3, 1)])
def test_what_was_dropped_is_sent_again(here: World, published: int, kept: int, how: str, then: str) -> None:
    names = NAMES[:published]
    with here.publisher(depth=DEEP) as publisher:
        for name in names:
            publisher.publish(request(name))
        lost = Lost(here, names, kept)
        before = here.events()
        lost.reorganise(how)
        assert len(here.events()) < len(before) or how == "later"
        go_on(publisher, then)
    here.check(*names, *(["next"] if then == "next" else []))
    for name in lost.dropped(how):
        assert "dropped" in here.states(name)
    assert all("dropped" not in here.states(name) for name in names[:kept])


@pytest.mark.parametrize("how", ["empty", "payment", "later"])
def test_a_reorganisation_while_finality_is_waited_for(either: World, how: str) -> None:
    done: list[str] = []

    def told(text: str, _done: int, _wanted: int) -> None:
        if "final" in text:
            if not done:
                Lost(either, ["a", "b"], 0).reorganise(how)
                done.append(how)
            either.rpc("anvil_mine", "0x1")

    with either.publisher(depth=DEEP) as publisher:
        publisher.publish(request("a"))
        found = publisher.publish(request("b"), told, wait="final")
    assert (found.state, found.seq) == (State.FINAL, 2)
    either.check("a", "b")


STEPS = ["sent", "receipt", "proved", "mined", "stored"]


@pytest.mark.parametrize("how", ["empty", "payment"])
@pytest.mark.parametrize("step", STEPS)
def test_a_reorganisation_right_after_a_step(here: World, step: str, how: str) -> None:
    done: list[str] = []

    def at(reached: str) -> None:
        if reached == step and not done:
            done.append(step)
            Lost(here, ["a", "b"], 1).reorganise(how)

    with here.publisher(depth=DEEP) as publisher:
        publisher.publish(request("a"))
    with here.publisher(depth=DEEP, at=at) as publisher:
        publisher.publish(request("b"))
        publisher.resume()
    assert done == [step]
    here.check("a", "b")


@pytest.mark.parametrize("depth", range(1, 9))
def test_a_commit_in_another_block_is_told_to_be_there(here: World, depth: int) -> None:
    """Row B1: the transaction is mined again elsewhere; nothing is sent, and the block is the new one."""
    with here.publisher(depth=DEEP + 4) as publisher:
        first = publisher.publish(request("a"))
        here.rpc("anvil_mine", hex(depth - 1))
        raw = "0x" + here.attempts("a")[-1].raw.hex()
        here.rpc("anvil_reorg", depth, [[raw, depth - 1]])
        again = publisher.publish(request("a"))
        assert (again.transaction, again.changed) == (first.transaction, False)
        assert again.block == first.block + depth - 1
        assert again.block_hash != first.block_hash
        assert len(here.attempts("a")) == 1
        publisher.publish(request("b"))
    here.check("a", "b")


def test_earlier_commits_that_moved_are_told_to_be_where_they_are(here: World) -> None:
    """Both commits move; the head is the second, so only the log's entries tell where the first one is."""
    with here.publisher(depth=DEEP) as publisher:
        for name in ("a", "b"):
            publisher.publish(request(name))
        Lost(here, ["a", "b"], 0).reorganise("later")
        publisher.resume()
        found = [publisher.publish(request(name)) for name in ("a", "b")]
    assert [(one.block, one.seq) for one in found] == [(event.block, event.commit.seq) for event in here.events()]
    here.check("a", "b")


def test_commits_that_come_back_by_another_reorganisation_are_not_sent_again(here: World) -> None:
    """The chain leaves two commits, and returns to them before anything new is mined."""

    def stop(step: str) -> None:
        if step == "built":
            raise KeyboardInterrupt

    with here.publisher(depth=DEEP) as publisher:
        first, second = (publisher.publish(request(name)) for name in ("a", "b"))
    snapshot = here.rpc("evm_snapshot")
    here.rpc("anvil_reorg", 2, [[here.payment(here.nonce() - 2), 0]])
    with here.publisher(depth=DEEP, at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.resume()
    assert [here.states(name)[-1] for name in ("a", "b")] == ["dropped", "dropped"]
    assert here.rpc("evm_revert", snapshot)
    with here.publisher(depth=DEEP) as publisher:
        found = publisher.resume()
        assert found == second
        again = publisher.publish(request("a"))
    assert (again.block, again.block_hash, again.gas_used) == (first.block, first.block_hash, first.gas_used)
    here.check("a", "b")


@pytest.mark.parametrize("how", ["empty", "payment"])
def test_an_earlier_commit_is_dropped_while_the_next_one_waits(here: World, how: str) -> None:
    done: list[str] = []

    def told(_text: str, _done: int, _wanted: int) -> None:
        if not done:
            done.append(how)
            Lost(here, ["a"], 0).reorganise(how)
            here.set_automine(True)

    with here.publisher(depth=DEEP) as publisher:
        publisher.publish(request("a"))
        here.set_automine(False)
        publisher.publish(request("b"), told)
    assert "dropped" in here.states("a")
    here.check("a", "b")


def test_a_transaction_that_pools_lost_is_dropped_and_sent_again(either: World) -> None:
    either.rpc("evm_setAutomine", False)  # noqa: FBT003 - JSON
    told = 0

    def mines(text: str, _done: int, _wanted: int) -> None:
        nonlocal told
        told += 1
        if told == 1:
            either.rpc("anvil_dropTransaction", text.split()[4])
        either.rpc("anvil_mine", "0x1")

    with either.publisher() as publisher:
        publisher.publish(request("a"), mines)
    assert either.states("a") == ["planned", "signed", "sent", "dropped", "sent", "mined"]
    assert len(either.attempts("a")) == 1
    either.check("a")


@pytest.mark.parametrize("then", ["resume", "again", "next"])
def test_a_reorganisation_of_what_was_final_is_an_alarm_and_changes_nothing(here: World, then: str) -> None:
    """Row B3, as far as publishing goes."""
    with here.publisher(depth=2) as publisher:
        publisher.publish(request("a"))
        here.rpc("anvil_mine", "0x2")
        assert publisher.publish(request("a")).state is State.FINAL
        here.rpc("anvil_reorg", 3, [])
        with pytest.raises((RollbackError, FinalityError)):
            go_on(publisher, then)
        here.home().heads.unlink()  # even where the client's memory is lost, the journal knows
        with pytest.raises(FinalityError, match="commit 1 was final"):
            go_on(publisher, then)
    assert here.states("a")[-1] == "final"
    assert here.events() == []


def test_a_chain_that_goes_back_under_a_home_without_signed_commits_is_told(here: World) -> None:
    with here.publisher(depth=DEEP) as publisher:
        publisher.publish(request("a"))
    here.home("pages only").path.mkdir()
    here.home().store.rename(here.home("pages only").store)

    def told(text: str, _done: int, _wanted: int) -> None:
        if "final" in text and here.events():
            here.rpc("anvil_reorg", 1, [])

    with (
        here.publisher(home="pages only", depth=DEEP) as publisher,
        pytest.raises(Exception, match="no signed commit of it"),
    ):
        publisher.publish(request("a"), told, wait="final")
