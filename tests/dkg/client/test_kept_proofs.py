"""Proofs over all publishers that were kept: as of which moment they hold, and what ends that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dkg.chain.checkpoints import Status
from dkg.checkpoints.answer import prove_joint
from dkg.client.anchored import PendingError, RollbackError, StaleError, State
from dkg.client.checkpointed import NoCheckpointError
from dkg.client.trusted import TrustedHeads
from dkg.client.unionhead import AsOf, UnionHead
from dkg.errors import InputError, ProofError
from dkg.pages import StoredPages
from tests.chain.world import DEPTH
from tests.dkg.client.test_checkpointed import EVERYBODY, FIRST, NAMES, Scene, built, scene

__all__ = ["built", "scene"]  # fixtures


def _kept(scene: Scene, head: UnionHead) -> bytes:
    return prove_joint(StoredPages(scene.store), head.parts, NAMES).car


def _read(scene: Scene, proof: bytes, as_of: AsOf) -> list[str]:
    """What another client makes of a kept proof."""
    client = scene.client()
    found = client.verify(proof, NAMES, client.head(as_of=as_of))
    return sorted(row[0].value for row in found.answer.rows)  # type: ignore[union-attr]


def test_a_kept_proof_holds_as_of_its_moment_whatever_comes_later(scene: Scene) -> None:
    scene.checkpoint()
    kept = []
    for what in ("nothing", "second 1", "third 1"):
        if what != "nothing":
            scene.say(1, what)
        head = scene.client().head()
        kept.append((head.as_of, head.parts, _kept(scene, head)))
    assert [str(as_of) for as_of, _, _ in kept] == ["1/4", "1/5", "1/6"]
    scene.say(2, "second 2")
    scene.checkpoint()
    scene.say(1, "fourth 1")
    scene.say(5, "new")
    for (as_of, parts, proof), name in zip(kept, ("first 1", "second 1", "third 1"), strict=True):
        assert scene.client().head(as_of=as_of).parts == parts
        assert _read(scene, proof, as_of) == sorted({*FIRST, name} - ({"first 1"} - {name}))
        with pytest.raises(ProofError, match="expected"):
            _read(scene, proof, AsOf(2, 8))


def test_what_is_left_out_is_told_and_ages_the_answer(scene: Scene) -> None:
    scene.checkpoint()
    newest = scene.client().head()
    assert (newest.later, newest.as_of) == (None, AsOf(1, 4))
    later = scene.say(1, "second 1")
    scene.say(1, "third 1")
    client = scene.client()
    head = client.head(as_of=AsOf(1, 4))
    assert (head.later, head.length, head.since, head.complete_until) == (later, 4, frozenset(), later.time)
    assert "and as of log position 4 as nobody committed since" in head.sentence()
    assert "committed from log position 4 on is left out" in head.sentence()
    assert "is left out" not in newest.sentence()
    assert {"position": 4, "as_of": "1/4", "complete_until": later.time}.items() <= head.describe().items()
    scene.here.now = later.time + 50
    assert client.head(as_of=AsOf(1, 4), max_age=50).age == 50
    with pytest.raises(StaleError, match="left out, as of which this is, is 50 s old"):
        client.head(as_of=AsOf(1, 4), max_age=49)


def test_a_moment_is_final_when_it_is_buried_though_more_was_committed(scene: Scene) -> None:
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.here.mine(DEPTH)
    scene.say(2, "second 2")
    client = scene.client()
    assert client.head().state is State.PENDING
    assert client.head(as_of=AsOf(1, 5)).state is client.head(as_of=AsOf(1, 5), final=True).state is State.FINAL
    assert client.head(as_of=AsOf(1, 6)).state is State.PENDING
    with pytest.raises(ProofError, match="no answer by it as of 6"):
        client.head(as_of=AsOf(1, 6), final=True)


def test_publishers_asked_beside_are_as_of_the_moment(scene: Scene) -> None:
    first = {who: scene.here.registry.latest[scene.publisher(who)] for who in EVERYBODY}
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.say(1, "third 1")
    client = scene.client()
    everybody = [scene.publisher(who) for who in EVERYBODY]
    head = client.beside(client.head(as_of=AsOf(1, 4)), [*everybody, scene.publisher(5)])
    assert {one: counts.committed for one, counts in head.beside.items()} == {
        **{scene.publisher(who): committed for who, committed in first.items()},
        scene.publisher(5): None,
    }
    scene.say(5, "new")
    again = client.beside(client.head(as_of=AsOf(1, 4)), [scene.publisher(5)])
    assert again.beside[scene.publisher(5)].committed is None


def test_a_commit_that_was_marked_meanwhile_counts_in_no_kept_proof(scene: Scene) -> None:
    first = scene.here.registry.latest[scene.publisher(1)]
    scene.checkpoint()
    withheld = scene.say(1, "second 1")
    head = scene.client().head()
    proof = _kept(scene, head)
    scene.say(1, "third 1")
    assert "second 1" in _read(scene, proof, head.as_of)
    scene.mark(withheld)
    with pytest.raises(ProofError, match="root"):
        _read(scene, proof, head.as_of)
    assert scene.client().head(as_of=head.as_of).beside[scene.publisher(1)].committed == first
    scene.mark(first)  # which the checkpoint counts
    assert scene.client().head(as_of=AsOf(1, 4)).beside[scene.publisher(1)].committed is None


def test_a_refuted_checkpoint_proves_nothing_any_more(scene: Scene) -> None:
    scene.checkpoint(Status.PENDING)
    head = scene.client().head(pending=True)
    as_of = head.as_of
    with pytest.raises(NoCheckpointError, match="checkpoint 1 is not final in block"):
        scene.client().head(as_of=as_of)
    assert scene.client().head(as_of=as_of, pending=True).parts == head.parts
    scene.made.clear()
    scene.checkpoint(Status.REFUTED)
    for pending in (False, True):
        with pytest.raises(NoCheckpointError, match="checkpoint 1 was refuted"):
            scene.client().head(as_of=as_of, pending=pending)


def _second_final_after_more(scene: Scene, trusted: TrustedHeads) -> None:
    """Eight commits and checkpoint 1 were seen final; then checkpoint 2 of five is, and a proof as of it is read."""
    assert scene.client(trusted).head().length == 8
    scene.made[1] = replace(scene.made[1], status=Status.FINAL)
    scene.words.checkpoints(scene.made, scene.marks)
    scene.here.mine(DEPTH)
    assert scene.client(trusted).head(as_of=AsOf(2, 5)).state is State.FINAL


def test_an_old_moment_does_not_take_back_how_long_the_log_was(scene: Scene) -> None:
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.checkpoint(Status.PENDING)
    scene.here.mine(DEPTH)
    snapshot, latest = scene.here.rpc("evm_snapshot"), scene.here.registry.latest.copy()
    for at in range(3):
        scene.say(2, f"more {at}")
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    _second_final_after_more(scene, trusted)
    kept = trusted.union(scene.here.registry.domain, scene.words.address)
    assert kept is not None
    assert kept.length == 8
    assert scene.here.rpc("evm_revert", snapshot)
    scene.here.registry.latest = latest
    scene.words.checkpoints(scene.made, scene.marks)
    scene.here.mine(3 * DEPTH)
    with pytest.raises(RollbackError, match="and 8 commits were final before"):
        scene.client(trusted).head()


@pytest.mark.parametrize(("latest", "known"), [(1, ""), (2, ""), (1, "the latest"), (2, "the latest")])
def test_a_final_checkpoint_that_is_not_below_the_latest_locks_nobody_out(
    scene: Scene, latest: int, known: str
) -> None:
    withheld = scene.say(1, "withheld")
    scene.checkpoint(position=5)
    scene.mark(withheld)
    scene.checkpoint(position=4)
    scene.words.checkpoints(scene.made, scene.marks, final=latest)
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    if known:
        assert scene.client(trusted).head().checkpoint.id == latest
    other = scene.made[2 - latest]
    head = scene.client(trusted).head(as_of=AsOf(other.id, 5))
    assert (head.checkpoint, head.state) == (other, State.FINAL)
    assert scene.client(trusted).head().checkpoint.id == latest


@pytest.mark.parametrize("number", [0, 2, 2**47])
def test_a_checkpoint_that_nobody_proposed(scene: Scene, number: int) -> None:
    scene.checkpoint()
    with pytest.raises(NoCheckpointError, match=f"there is no checkpoint {number} in block"):
        scene.client().head(as_of=AsOf(number, 4))


@pytest.mark.parametrize("length", [3, 5])
def test_a_moment_before_the_checkpoint_or_after_the_log(scene: Scene, length: int) -> None:
    scene.checkpoint()
    with pytest.raises(ProofError, match=f"about 4 commits, and the log has 4 in block .* as of {length}$"):
        scene.client().head(as_of=AsOf(1, length))


def test_what_is_final_is_not_taken_from_a_block_that_is_not(scene: Scene) -> None:
    scene.checkpoint()
    with pytest.raises((PendingError, NoCheckpointError)):
        scene.client().head(as_of=AsOf(1, 4), final=True)


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "3/4/5", "-1/2", "3/٤", "3/" + "9" * 16, " 3/4"])
def test_a_moment_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="is no moment: it is CHECKPOINT/POSITION"):
        AsOf.parse(text)
    assert AsOf.parse("3/17") == AsOf(3, 17)
