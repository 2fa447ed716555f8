"""The client of all publishers against a chain: what it claims, and every lie of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.anchor import NoContractError
from dkg.chain.checkpoints import STATE_SLOT, Checkpoint, ContractState, Mark, Reason, Status
from dkg.chain.registry import LOG_STATE_SLOT, entry_slot
from dkg.checkpoints.answer import OriginsError, TooManyError, prove_joint, prove_origins
from dkg.checkpoints.owners import prefix_of
from dkg.client.anchored import PendingError, RollbackError, StaleError, State
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.checkpointed import CheckpointClient, NoCheckpointError
from dkg.client.checkpointread import OldCheckpointError
from dkg.client.rpc import ChainError
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError, ProofError, StoreError
from dkg.page import CID_PREFIX
from dkg.pages import MemoryPageStore, StoredPages
from node.devnet.chain import devnet
from tests.chain.lies import LIES, as_of, edited, refused
from tests.chain.words import Words
from tests.chain.world import DEPTH, World, world
from tests.evaluators import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.chain.registry import Committed
    from dkg.client.unionhead import UnionHead
    from tests.oracle import Quad

NAMES = "SELECT ?name { ?s <http://e/name> ?name }"
EVERYBODY = range(4)


@dataclass
class Scene:
    """A world with a checkpoint contract, and the datasets of four publishers, of whom each said something once."""

    here: World
    words: Words
    store: MemoryPageStore = field(default_factory=MemoryPageStore)
    said: dict[int, set[Quad]] = field(default_factory=dict)
    made: list[Checkpoint] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def publisher(self, who: int) -> bytes:
        return self.here.registry.accounts[who]

    def say(self, who: int, *names: str) -> Committed:
        """Commit a dataset with these names."""
        graph = prefix_of(self.here.registry.domain, self.publisher(who)) + b"x>"
        self.said[who] = {(b"<http://e/s>", b"<http://e/name>", f'"{name}"'.encode(), graph) for name in names}
        return self.here.registry.commit(self.publisher(who), self._kept(self.said[who]))

    def _kept(self, quads: Iterable[Quad]) -> bytes:
        pages, root = build(quads)
        self.store.pages.update(pages.pages)
        return root.removeprefix(CID_PREFIX)

    def checkpoint(self, status: Status = Status.FINAL, *, position: int | None = None, **fields: object) -> Checkpoint:
        """A checkpoint of what was said, at the log's end."""
        root = self._kept(set().union(*self.said.values()))
        at = 1 + max(one.position for one in self.here.registry.latest.values()) if position is None else position
        times: dict[str, Any] = {"proposed": 1_000, "ends": 2_000, "open_demands": 0, "demands": 0} | fields
        number, marks = len(self.made) + 1, len(self.marks)
        self.made.append(Checkpoint(number, b"\x07" * 20, at, marks, root, status, **times))
        self.words.checkpoints(self.made, self.marks)
        return self.made[-1]

    def mark(self, committed: Committed, reason: Reason = Reason.UNAVAILABLE) -> None:
        """Mark a commit."""
        self.marks.append(Mark(len(self.marks) + 1, committed.position, reason))
        self.words.checkpoints(self.made, self.marks)

    def client(self, trusted: TrustedHeads | None = None, *, depth: int = DEPTH) -> CheckpointClient:
        here = self.here
        return CheckpointClient(
            here.reader(),
            here.registry.domain,
            self.words.address,
            trusted=trusted,
            clock=here.clock,
            finality_depth=depth,
        )

    def names(self, client: CheckpointClient, head: UnionHead) -> list[str]:
        """What a client learns over all publishers."""
        proof = prove_joint(StoredPages(self.store), head.parts, NAMES)
        answer = client.verify(proof.car, NAMES, head)
        return sorted(row[0].value for row in answer.answer.rows)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def built() -> Iterator[Scene]:
    with devnet() as chain, world(chain.url) as here:
        made = Scene(here, Words(here.rpc))
        for who in EVERYBODY:
            made.say(who, f"first {who}")
        yield made


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    with built.here.undone() as here:
        yield Scene(here, built.words, built.store, built.said.copy())


FIRST = [f"first {who}" for who in EVERYBODY]


# --- what is claimed -----------------------------------------------------------------------------------------


def test_without_changes_an_answer_is_the_checkpoints(scene: Scene) -> None:
    scene.checkpoint()
    client = scene.client()
    head = client.head()
    assert (head.checkpoint, head.since, head.beside, head.behind) == (scene.made[0], frozenset(), {}, {})
    assert scene.names(client, head) == FIRST
    said = head.describe()
    assert {"claim": "L2", "anchor": "proved", "position": 4, "marks": 0, "key_bytes_max": 768}.items() <= said.items()
    assert "log position 4 (checkpoint 1, final), and as of block" in head.sentence()
    assert f"{head.block.number} as nobody committed since" in head.sentence()


def test_who_committed_since_is_answered_from_what_counts_now(scene: Scene) -> None:
    scene.checkpoint()
    scene.say(1, "second 1")
    latest = scene.say(1, "third 1", "more of 1")
    scene.say(3)
    client = scene.client()
    head = client.head()
    assert head.since == head.beside.keys() == {scene.publisher(1), scene.publisher(3)}
    assert head.beside[scene.publisher(1)].committed == latest
    assert scene.names(client, head) == ["first 0", "first 2", "more of 1", "third 1"]
    assert "for the 2 that committed since" in head.sentence()


def test_a_new_publisher_is_not_missing(scene: Scene) -> None:
    scene.checkpoint()
    scene.say(5, "new")
    client = scene.client()
    assert scene.names(client, client.head()) == [*FIRST, "new"]


def test_the_position_just_before_at_and_after_a_commit(scene: Scene) -> None:
    for position in (3, 4, 5):
        scene.checkpoint(position=min(position, 4))
        if position == 5:
            scene.say(3, "second 3")
        head = scene.client().head()
        assert head.since == ({scene.publisher(3)} if position != 4 else set())


def test_an_answer_is_final_when_the_checkpoint_and_all_that_came_since_are_buried(scene: Scene) -> None:
    scene.checkpoint()
    client = scene.client()
    assert client.head().state is State.PENDING
    scene.here.mine(DEPTH - 1)
    assert client.head().state is State.PENDING
    scene.here.mine(1)
    assert client.head().state is client.head(final=True).state is State.FINAL
    scene.say(0, "second 0")
    assert client.head().state is State.PENDING
    head = client.head(final=True)
    assert (head.state, head.since, head.length) == (State.FINAL, frozenset(), 4)
    assert scene.names(client, head) == FIRST
    with pytest.raises(PendingError, match="this head is not final"):
        client.verify(b"", NAMES, client.head(), final=True)


def test_without_a_final_checkpoint_there_is_no_answer(scene: Scene) -> None:
    scene.words.checkpoints([])
    with pytest.raises(NoCheckpointError, match="none is pending either"):
        scene.client().head()
    scene.checkpoint(Status.PENDING)
    with pytest.raises(NoCheckpointError, match="1 is pending, and can be asked for"):
        scene.client().head()


def test_a_pending_checkpoint_is_asked_for_by_name(scene: Scene) -> None:
    scene.checkpoint(position=3)
    scene.checkpoint(Status.PENDING, ends=5_000)
    client = scene.client()
    scene.here.mine(DEPTH)
    assert client.head().checkpoint.id == 1
    head = client.head(pending=True)
    assert (head.checkpoint.id, head.state, head.since) == (2, State.PENDING, frozenset())
    assert "(checkpoint 2, pending)" in head.sentence()
    assert head.sentence().startswith("said with a bond, and not known, to be complete for all publishers")
    assert client.head().sentence().startswith("complete for all publishers")
    assert client.head(final=True).checkpoint.id == 1
    with pytest.raises(InputError, match="one of the two"):
        client.head(final=True, pending=True)


def test_a_pending_checkpoint_that_a_later_one_overtook_is_not_asked_for(scene: Scene) -> None:
    scene.checkpoint()
    scene.checkpoint(Status.PENDING, position=3)
    assert scene.client().head(pending=True).checkpoint.id == 1


def test_of_pending_checkpoints_the_one_about_most_is_asked_for_whenever_it_was_proposed(scene: Scene) -> None:
    scene.checkpoint(position=1)
    scene.checkpoint(Status.PENDING, position=4)
    scene.checkpoint(Status.PENDING, position=2)
    assert scene.client().head(pending=True).checkpoint.id == 2


def test_a_pending_checkpoint_of_a_later_position_and_fewer_marks_is_not_asked_for(scene: Scene) -> None:
    older = scene.here.registry.latest[scene.publisher(1)]
    scene.checkpoint(Status.PENDING)
    scene.mark(older)
    scene.checkpoint(position=3)
    assert scene.client().head(pending=True).checkpoint.id == 2


def test_who_is_behind_can_be_asked_beside_the_checkpoint_later(scene: Scene) -> None:
    scene.checkpoint()
    latest = scene.say(0, "second 0")
    client = scene.client()
    head = client.beside(client.head(behind={scene.publisher(0)}), [scene.publisher(0), b"\x44" * 20])
    assert head.behind == {}
    assert {one: counted.committed for one, counted in head.beside.items()} == {
        scene.publisher(0): latest,
        b"\x44" * 20: None,
    }


def test_a_checkpoint_of_which_a_page_is_demanded_is_disputed(scene: Scene) -> None:
    scene.checkpoint(Status.PENDING, open_demands=1, demands=1)
    head = scene.client().head(pending=True)
    assert head.state is State.DISPUTED
    assert "(checkpoint 1, disputed)" in head.sentence()


def test_a_refuted_checkpoint_is_never_answered_from(scene: Scene) -> None:
    scene.checkpoint(position=2)
    scene.checkpoint(Status.REFUTED)
    assert scene.client().head(pending=True).checkpoint.id == 1


# --- marks ---------------------------------------------------------------------------------------------------


def test_a_commit_that_is_marked_since_does_not_count_and_the_one_before_does(scene: Scene) -> None:
    scene.checkpoint()
    good = scene.say(2, "second 2")
    for reason in Reason:
        scene.mark(scene.say(2, "withheld"), reason)
    client = scene.client()
    head = client.head()
    counted = head.beside[scene.publisher(2)]
    assert (counted.committed, [mark.number for mark in counted.skipped]) == (good, [2, 1])
    assert scene.names(client, head) == ["first 0", "first 1", "first 3", "second 2"]
    assert "do not count of 0x" in head.sentence()
    said: Any = head.describe()
    assert [one["reason"] for one in said["beside"][0]["skipped"]] == ["unavailable", "malformed"]


def test_a_commit_that_the_checkpoint_counts_and_that_is_marked_since_is_gone(scene: Scene) -> None:
    older = scene.here.registry.latest[scene.publisher(1)]
    later = scene.say(1, "second 1")
    scene.checkpoint()
    scene.mark(later)
    client = scene.client()
    head = client.head()
    assert head.beside[scene.publisher(1)].committed == older
    assert scene.names(client, head) == FIRST
    scene.mark(older)
    assert scene.names(client, client.head()) == ["first 0", "first 2", "first 3"]


def test_a_mark_of_what_counted_is_not_hidden_by_one_of_an_older_commit(scene: Scene) -> None:
    oldest = scene.here.registry.latest[scene.publisher(1)]
    middle, latest = (scene.say(1, name) for name in ("second 1", "third 1"))
    scene.checkpoint()
    scene.mark(latest)
    scene.mark(oldest)
    head = scene.client().head()
    assert {one: counted.committed for one, counted in head.beside.items()} == {scene.publisher(1): middle}


def test_marks_of_commits_before_the_one_that_counts_change_nothing(scene: Scene) -> None:
    older = [scene.here.registry.latest[scene.publisher(who)] for who in EVERYBODY]
    for who in EVERYBODY:
        scene.say(who, f"second {who}")
    scene.checkpoint()
    for committed in older:
        scene.mark(committed)
    client = scene.client()
    assert client.head().since == frozenset()
    scene.say(3, "third 3")
    head = client.head()
    assert head.since == {scene.publisher(3)}
    assert scene.names(client, head) == ["second 0", "second 1", "second 2", "third 3"]


def test_marks_that_the_checkpoint_knows_change_nothing(scene: Scene) -> None:
    later = scene.say(1, "withheld")
    scene.mark(later)
    scene.checkpoint()
    assert scene.client().head().since == frozenset()


def test_of_a_publisher_whose_last_eight_commits_are_marked_nothing_counts(scene: Scene) -> None:
    scene.checkpoint()
    marked = [scene.say(1, f"withheld {at}") for at in range(8)]
    for committed in marked[1:]:
        scene.mark(committed)
    client = scene.client()
    assert client.head().beside[scene.publisher(1)].committed == marked[0]
    scene.mark(marked[0])
    head = client.head()
    assert head.beside[scene.publisher(1)].root is None
    assert scene.names(client, head) == ["first 0", "first 2", "first 3"]


def test_a_mark_that_is_not_buried_makes_no_answer_final(scene: Scene) -> None:
    older = scene.here.registry.latest[scene.publisher(1)]
    scene.checkpoint()
    scene.here.mine(DEPTH)
    scene.mark(older)
    assert scene.client().head().state is State.PENDING
    scene.here.mine(DEPTH)
    assert scene.client().head().state is State.FINAL


def test_a_publisher_of_whom_only_a_mark_is_new_is_not_left_as_the_checkpoint_has_it(scene: Scene) -> None:
    older = scene.here.registry.latest[scene.publisher(1)]
    scene.checkpoint()
    scene.mark(older)
    client = scene.client()
    head = client.head(behind={scene.publisher(1)})
    assert not head.behind
    assert head.beside.keys() == {scene.publisher(1)}
    assert scene.names(client, head) == ["first 0", "first 2", "first 3"]


# --- who is behind, and origins --------------------------------------------------------------------------------


def test_a_publisher_whose_data_nobody_has_can_be_left_as_the_checkpoint_has_it(scene: Scene) -> None:
    scene.checkpoint()
    withheld = scene.here.registry.commit(scene.publisher(0), b"\x55" * 32)
    scene.here.rpc("evm_increaseTime", 100)
    scene.here.registry.commit(scene.publisher(0), b"\x56" * 32)
    scene.say(1, "second 1")
    client = scene.client()
    with pytest.raises(StoreError, match="no page"):
        scene.names(client, client.head())
    head = client.head(behind={scene.publisher(0)})
    assert (head.behind, head.complete_until) == ({scene.publisher(0): withheld}, withheld.time)
    assert scene.names(client, head) == ["first 0", "first 2", "first 3", "second 1"]
    assert "though they committed since: 0x" in head.sentence()
    assert "for the 1 that committed since" in head.sentence()
    scene.here.now = withheld.time + 50
    assert client.head(behind={scene.publisher(0)}, max_age=50).age == 50
    with pytest.raises(StaleError, match="left out, as of which this is, is 50 s old"):
        client.head(behind={scene.publisher(0)}, max_age=49)


def test_too_many_publishers_are_refused_with_what_to_do(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.checkpoint()
    for who in (0, 1):
        scene.say(who, "again")
    monkeypatch.setattr("dkg.checkpoints.answer.BESIDE_MAX", 2)
    assert len(scene.client().head().beside) == 2
    scene.say(2, "again")
    with pytest.raises(TooManyError, match="wait for a newer checkpoint"):
        scene.client().head()
    assert len(scene.client().head(behind={scene.publisher(2)}).beside) == 2


def test_with_origins_a_wrong_checkpoint_has_nothing_believed(scene: Scene) -> None:
    truth = {who: set(quads) for who, quads in scene.said.items()}
    graph = prefix_of(scene.here.registry.domain, scene.publisher(2)) + b"x>"
    scene.said[2] |= {(b"<http://e/s>", b"<http://e/name>", b'"forged"', graph)}
    scene.checkpoint()
    scene.said = truth
    client, pages = scene.client(), StoredPages(scene.store)
    head = client.head()
    assert scene.names(client, head) == [*FIRST, "forged"]
    answer = client.verify(prove_joint(pages, head.parts, NAMES).car, NAMES, head)
    assert answer.sentence().endswith("nobody refuted it, quads can be missing or forged")
    with pytest.raises(OriginsError, match="only the checkpoint shows what is said by"):
        client.verify(prove_joint(pages, head.parts, NAMES, origins=True).car, NAMES, head, origins=True)
    everybody = client.beside(head, [scene.publisher(who) for who in EVERYBODY])
    proof = prove_origins(pages, head.parts, NAMES, lambda one: everybody.beside[one].root)
    scene.say(3, "second 3")  # which changes nothing of what was as of the block
    asked = client.beside(head, proof.parts.beside)
    found = client.verify(proof.car, NAMES, asked, origins=True)
    assert sorted(row[0].value for row in found.answer.rows) == FIRST  # type: ignore[union-attr]
    assert found.sentence().endswith("nobody refuted it, quads can be missing")
    assert found.describe()["shown_by_checkpoint"] == []


# --- lies ----------------------------------------------------------------------------------------------------


def test_a_proof_over_an_older_dirty_set_is_no_answer(scene: Scene) -> None:
    scene.checkpoint()
    client = scene.client()
    before = client.head()
    proof = prove_joint(StoredPages(scene.store), before.parts, NAMES).car
    scene.say(1, "second 1")
    with pytest.raises(ProofError, match="the 2 roots expected"):
        client.verify(proof, NAMES, client.head())


@pytest.mark.parametrize("name", LIES)
def test_no_lie_changes_what_a_client_believes_or_takes_it_back_behind_what_was_final(scene: Scene, name: str) -> None:
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    before = scene.client(trusted).head()
    assert before.state is State.FINAL
    scene.say(2, "second 2")
    latest = scene.client().head()
    scene.here.proxy.rule = LIES[name]()
    try:
        head = scene.client(trusted).head()
    except (ProofError, ChainError):
        return
    assert (head.parts, head.length) in [(before.parts, before.length), (latest.parts, latest.length)]


def test_an_older_state_than_what_was_final_is_a_rollback(scene: Scene) -> None:
    scene.checkpoint(position=2)
    scene.here.mine(DEPTH)
    old = scene.here.height()
    scene.checkpoint()
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    assert scene.client(trusted).head().state is State.FINAL
    scene.here.proxy.rule = as_of(scene.here.rpc.url, old)
    with pytest.raises(RollbackError, match="checkpoint 1 and 4 commits; checkpoint 2, of position 4"):
        scene.client(trusted).head()


def test_an_endpoint_that_hides_the_newest_blocks_does_not_take_what_is_final_back_silently(scene: Scene) -> None:
    scene.checkpoint(position=2)
    scene.here.mine(DEPTH)
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    before = scene.client(trusted).head(final=True)
    assert (before.checkpoint.id, before.length, before.went_back) == (2, 5, False)
    for hidden, expected in ((1, (2, 4)), (2, (1, 4))):
        scene.here.proxy.rule = as_of(scene.here.rpc.url, scene.here.height() - hidden)
        head = scene.client(trusted).head(final=True)
        assert (head.checkpoint.id, head.length, head.describe()["went_back"]) == (*expected, True)
        assert "more was final before" in head.sentence()
        assert not scene.client().head(final=True).went_back


def test_a_log_shorter_than_what_was_final_is_a_rollback(scene: Scene) -> None:
    scene.checkpoint()
    snapshot = scene.here.rpc("evm_snapshot")
    latest = scene.here.registry.latest.copy()
    scene.say(1, "second 1")
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    assert scene.client(trusted).head().length == 5
    assert scene.here.rpc("evm_revert", snapshot)
    scene.here.registry.latest = latest
    scene.here.mine(2 * DEPTH)
    with pytest.raises(RollbackError, match=r"has checkpoint 1 and 4 commits; .* and 5 commits were"):
        scene.client(trusted).head()


def test_a_final_checkpoint_with_a_lower_id_may_be_the_later_one(scene: Scene) -> None:
    scene.checkpoint(Status.PENDING)
    scene.checkpoint(position=3)
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    assert scene.client(trusted).head(final=True).checkpoint.id == 2
    scene.made[0] = replace(scene.made[0], status=Status.FINAL)
    scene.words.checkpoints(scene.made)
    scene.here.mine(DEPTH)
    assert scene.client(trusted).head(final=True).checkpoint.id == 1
    kept = trusted.union(scene.here.registry.domain, scene.words.address)
    assert kept is not None
    assert (kept.checkpoint, kept.at) == (1, (4, 0, 4))
    scene.made[0] = replace(scene.made[0], status=Status.PENDING)
    scene.words.checkpoints(scene.made)
    with pytest.raises(RollbackError, match="checkpoint 2 and 4 commits; checkpoint 1, of position 4"):
        scene.client(trusted).head()


def test_another_log_in_the_place_of_what_was_final(scene: Scene) -> None:
    scene.checkpoint()
    snapshot = scene.here.rpc("evm_snapshot")
    latest = scene.here.registry.latest.copy()
    scene.say(1, "second 1")
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    assert scene.client(trusted).head().length == 5
    assert scene.here.rpc("evm_revert", snapshot)
    scene.here.registry.latest = latest
    scene.say(1, "another second 1")
    with pytest.raises(FinalityError, match="checkpoint 1 or the log up to 5 was final and is another now"):
        scene.client(trusted).head()


@pytest.mark.parametrize("changed", [{"root": b"\x66" * 32}, {"status": Status.REFUTED}])
def test_a_final_checkpoint_that_is_another_now(scene: Scene, changed: dict[str, Any]) -> None:
    first = scene.checkpoint()
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    assert scene.client(trusted).head().state is State.FINAL
    scene.made = [replace(first, **changed)]
    scene.checkpoint()
    with pytest.raises(FinalityError, match="was final and is another now"):
        scene.client(trusted).head()


@pytest.mark.parametrize("changed", [{"root": b"\x66" * 32}, {"status": Status.REFUTED}])
def test_a_buried_checkpoint_that_the_newest_block_has_not_is_of_two_chains(
    scene: Scene, changed: dict[str, Any]
) -> None:
    first = scene.checkpoint()
    scene.here.mine(DEPTH)
    assert scene.client().head(final=True).checkpoint == first
    scene.made = [replace(first, **changed)]
    scene.checkpoint()
    scene.here.mine(DEPTH - 1)
    with pytest.raises(FinalityError, match="the endpoint mixes two chains"):
        scene.client().head(final=True)


def test_a_buried_commit_that_the_newest_log_has_not_is_of_two_chains(scene: Scene) -> None:
    scene.checkpoint()
    late = scene.say(1, "second 1")
    log, here = Words(scene.here.rpc), scene.here
    log.write({LOG_STATE_SLOT.to_bytes(32): 5, entry_slot(late.position): int.from_bytes(late.entry())})
    here.mine(DEPTH)
    domain = replace(here.registry.domain, registry=log.address)

    def head() -> UnionHead:
        address, clock = scene.words.address, here.clock
        client = CheckpointClient(here.reader(), domain, address, clock=clock, finality_depth=DEPTH)
        return client.head(final=True, shown=[late])

    assert head().beside[scene.publisher(1)].committed == late
    log.write({entry_slot(late.position): 1})
    here.mine(DEPTH - 1)
    with pytest.raises(FinalityError, match="the endpoint mixes two chains"):
        head()


def test_what_is_final_is_that_of_the_block_with_just_so_many_on_top(scene: Scene) -> None:
    scene.checkpoint()
    block = scene.here.height()
    scene.here.mine(DEPTH)
    assert scene.client().head(final=True).block.number == block
    client = scene.client(depth=scene.here.height())
    with pytest.raises(PendingError, match="nothing of the contract is final yet"):
        client.head(final=True)
    with pytest.raises(PendingError, match="no block is final yet"):
        scene.client(depth=scene.here.height() + 1).head(final=True)


def test_what_was_final_is_remembered_by_the_next_client(scene: Scene) -> None:
    scene.checkpoint()
    scene.here.mine(DEPTH)
    trusted = TrustedHeads(None)
    scene.client(trusted).head()
    kept = trusted.union(scene.here.registry.domain, scene.words.address)
    assert kept is not None
    assert (kept.checkpoint, kept.root, kept.at) == (1, scene.made[0].root, (4, 0, 4))
    scene.checkpoint(Status.PENDING)
    scene.client(trusted).head(pending=True)
    assert trusted.union(scene.here.registry.domain, scene.words.address) == kept


def test_what_an_older_block_has_does_not_take_the_place_of_what_was_final(scene: Scene) -> None:
    scene.checkpoint(position=3)
    scene.here.mine(DEPTH)
    scene.checkpoint()
    trusted = TrustedHeads(None)
    assert scene.client(trusted, depth=0).head().checkpoint.id == 2
    assert scene.client(trusted).head(final=True).checkpoint.id == 1
    kept = trusted.union(scene.here.registry.domain, scene.words.address)
    assert kept is not None
    assert kept.checkpoint == 2


def test_without_proofs_of_storage_there_is_no_claim(scene: Scene) -> None:
    scene.checkpoint()
    scene.here.proxy.rule = lambda request, response: (
        refused()(request, response) if request.method == "eth_getProof" else response
    )
    with pytest.raises(UnprovableError):
        scene.client().head()


def test_an_endpoint_that_hides_who_committed_since_is_an_error(scene: Scene) -> None:
    scene.checkpoint()
    scene.say(1, "second 1")
    scene.here.proxy.rule = edited(("eth_getLogs",), lambda _logs: [])
    with pytest.raises(ProofError, match="does not show commit 4"):
        scene.client().head()


def test_an_address_without_a_contract(scene: Scene) -> None:
    with pytest.raises(NoContractError):
        replace(scene, words=replace(scene.words, address=b"\x99" * 20)).client().head()
    scene.words = Words(scene.here.rpc)
    with pytest.raises(PendingError, match="nothing of the contract is final yet"):
        scene.client().head(final=True)


def test_a_checkpoint_beyond_the_log_is_of_another_registry(scene: Scene) -> None:
    scene.checkpoint(position=9)
    with pytest.raises(ProofError, match="of another registry"):
        scene.client().head()


@pytest.mark.parametrize("status", [Status.FINAL, Status.PENDING])
def test_a_contract_that_contradicts_itself_is_another_one(scene: Scene, status: Status) -> None:
    one = scene.checkpoint(status)
    for other in {*Status} - {status}:
        scene.words.write({Checkpoint.slots(1)[2]: replace(one, status=other).pack()[2]})
        with pytest.raises(ProofError, match="has another status"):
            scene.client().head(pending=True)
    scene.words.write({Checkpoint.slots(1)[2]: one.pack()[2]})
    assert scene.client().head(pending=True).checkpoint == one
    scene.words.write({STATE_SLOT.to_bytes(32): ContractState(1 if status is Status.FINAL else 0, 0, 0, 0).pack()})
    with pytest.raises(ProofError, match=r"and 0 is the last|which it cannot be"):
        scene.client().head(pending=True)


def test_an_endpoint_of_another_chain(scene: Scene) -> None:
    scene.checkpoint()
    scene.here.proxy.rule = edited(("eth_chainId",), lambda _id: "0x1")
    with pytest.raises(ProofError, match="of chain 1, not"):
        scene.client().head()


def test_too_many_marks_make_a_checkpoint_too_old(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [scene.here.registry.latest[scene.publisher(who)] for who in (0, 1)]
    scene.checkpoint()
    for committed in commits:
        scene.mark(committed)
    monkeypatch.setattr("dkg.client.checkpointread.POSITIONS_MAX", 2)
    assert len(scene.client().head().since) == 2
    monkeypatch.setattr("dkg.client.checkpointread.POSITIONS_MAX", 1)
    with pytest.raises(OldCheckpointError, match="2 marks came after"):
        scene.client().head()


def test_more_publishers_changed_than_marks_are_looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.checkpoint()
    for who in EVERYBODY:
        scene.say(who, f"more {who}")
    monkeypatch.setattr("dkg.client.checkpointread.POSITIONS_MAX", 2)
    assert scene.names(scene.client(), scene.client().head()) == [f"more {who}" for who in EVERYBODY]


def test_an_answer_is_as_young_as_asked_for(scene: Scene) -> None:
    scene.checkpoint()
    client = scene.client()
    head = client.head()
    proof = prove_joint(StoredPages(scene.store), head.parts, NAMES).car
    scene.here.now = head.block.timestamp + 100
    assert client.verify(proof, NAMES, head, max_age=100).head.age == 100
    for ask in (lambda: client.verify(proof, NAMES, head, max_age=99), lambda: client.head(max_age=99)):
        with pytest.raises(StaleError, match="is 100 s old; 99 s is accepted"):
            ask()
    scene.here.now = head.block.timestamp - 61
    with pytest.raises(StaleError, match="ahead of this device's clock"):
        client.head(max_age=1_000)


def test_a_head_of_another_contract(scene: Scene) -> None:
    scene.checkpoint()
    head = scene.client().head()
    with pytest.raises(InputError, match="another registry, contract or chain"):
        scene.client().verify(b"", NAMES, replace(head, contract=b"\x01" * 20))
