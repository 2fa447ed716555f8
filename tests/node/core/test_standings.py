"""Which root answers for whom and when, what may be said of it, and that it stays readable (rows B1, B3, B4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.errors import InputError, QueryError, StoreError
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from dkg.proof import verify
from node.core.watch import Condition
from node.replication.ask import Asker
from node.replication.messages import GetProof, Hello
from node.serving import At, Claim, State, UnknownMomentError, UnknownPublisherError
from node.storage import Retention, Rule, Views
from node.union_keeper import UNION
from node.workers.errors import OverloadedError, ViewFailedError
from node.workers.inprocess import InProcess
from node.workers.jobs import EVERY_GRAPH, Plain
from tests.node.core.quiet import Quiet
from tests.sim.actors import union_root
from tests.sim.cores import EPOCH
from tests.sim.ledger import DOMAIN, Ledger, RotateTo

if TYPE_CHECKING:
    from pathlib import Path

    from node.core.parts import Parts
    from node.serving import Standing
    from tests.sim.actors import Actor

KEEP_ALL = Retention(Rule(count=1_000))


def ask(quiet: Quiet, *actors: Actor, at: At | None = None) -> Standing:
    who = tuple(actor.address for actor in actors) if actors else None
    return quiet.node.core.standing(who) if at is None else quiet.node.core.standing(who, at)


def test_before_anything_was_read_nothing_is_answered(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.node.reader.down = True

    async def main() -> None:
        with pytest.raises(UnknownMomentError, match="has not read the chain"):
            ask(quiet)
        assert quiet.node.core.publishers(after=b"", most=10) == []
        assert quiet.node.core.watch.condition is Condition.DOWN

    quiet.run(main)


def test_an_empty_registry_has_an_empty_union_and_no_publisher(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        standing = ask(quiet)
        assert (standing.publishers, standing.position, standing.behind) == ((), 0, 0)
        assert standing.root == union_root([], {})
        with pytest.raises(UnknownPublisherError):
            ask(quiet, quiet.actors[0])
        with pytest.raises(InputError, match="no publisher is named"):
            quiet.node.core.standing(())

    quiet.run(main)


def test_what_an_answer_says_of_itself(folder: Path) -> None:
    quiet = Quiet(folder)
    one, two = quiet.actors

    async def main() -> None:
        first, _ = await quiet.publish(one)
        await quiet.publish(two)
        await quiet.mine(2)
        head = quiet.ledger.head.header
        standing = ask(quiet, one)
        assert standing.root == CID_PREFIX + first.commit.root
        assert (standing.claim, standing.state, standing.seq) == (Claim.PUBLISHER, State.PENDING, 1)
        assert (standing.block, standing.block_hash, standing.block_time) == (head.number, head.hash, head.timestamp)
        assert (standing.publishers, standing.finality_depth, standing.behind) == ((one.address,), 4, 0)
        await quiet.mine(2)
        assert ask(quiet, one).state is State.FINAL
        union = ask(quiet)
        assert (union.claim, union.state, union.seq) == (Claim.PUBLISHER, State.FINAL, None)
        assert union.publishers == tuple(sorted([one.address, two.address]))
        assert union.root == union_root(quiet.actors, quiet.ledger.head.state.latest)

    quiet.run(main)


def test_every_moment_has_the_root_that_counted_then(folder: Path) -> None:
    quiet = Quiet(folder, retention=KEEP_ALL)
    one, two = quiet.actors

    async def main() -> None:
        states = []
        for actor in (one, two, one, one, two):
            await quiet.publish(actor)
            await quiet.wait(20)
            states.append(quiet.ledger.head)
        for block in states:
            latest, number = block.state.latest, block.header.number
            union = union_root(quiet.actors, latest)
            for at in (At(block=number), At(time=block.header.timestamp), At(root=union)):
                assert ask(quiet, at=at).root == union
            for actor in quiet.actors:
                if actor.address not in latest:
                    with pytest.raises(UnknownMomentError):
                        ask(quiet, actor, at=At(block=number))
                    continue
                committed = latest[actor.address]
                root, seq = CID_PREFIX + committed.commit.root, committed.commit.seq
                moments = At(block=number), At(time=block.header.timestamp), At(seq=seq), At(root=root)
                assert {ask(quiet, actor, at=at).root for at in moments} == {root}
                assert {ask(quiet, actor, at=at).seq for at in moments} == {seq}

    quiet.run(main)


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (At(block=10**6), "is not there yet"),
        (At(time=10**11), "not 100000000000"),
        (At(seq=7), "no commit number 7"),
        (At(root=CID_PREFIX + bytes(32)), "is not kept"),
        (At(block=0), "no root is kept"),
    ],
)
def test_a_moment_that_is_not_kept_is_told(folder: Path, at: At, says: str) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        with pytest.raises(UnknownMomentError, match=says):
            ask(quiet, quiet.actors[0], at=at)

    quiet.run(main)


def test_a_moment_that_means_nothing_is_told(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        with pytest.raises(InputError, match="one publisher only"):
            ask(quiet, at=At(seq=1))
        with pytest.raises(InputError, match="as one of"):
            ask(quiet, at=At(seq=1, block=1))

    quiet.run(main)


# --- unions of some publishers ---------------------------------------------------------------------------------------


def test_a_union_of_some_is_made_when_it_is_asked_for_and_follows(folder: Path) -> None:
    quiet = Quiet(folder, publishers=3)
    one, two, _three = quiet.actors

    async def main() -> None:
        for actor in quiet.actors:
            await quiet.publish(actor)
        with pytest.raises(OverloadedError, match="is being made"):
            ask(quiet, one, two)
        await quiet.wait(1)
        standing = ask(quiet, two, one)
        latest = quiet.ledger.head.state.latest
        assert standing.root == union_root([one, two], latest)
        assert (standing.claim, standing.seq, standing.behind) == (Claim.PUBLISHER, None, 0)
        assert standing.publishers == tuple(sorted([one.address, two.address]))
        await quiet.publish(one)
        stale = ask(quiet, one, two)
        assert (stale.root, stale.behind) == (standing.root, 1)
        await quiet.wait(1)
        assert ask(quiet, one, two).root == union_root([one, two], quiet.ledger.head.state.latest)
        assert ask(quiet, one, two).state is State.PENDING
        await quiet.mine(4)
        assert ask(quiet, one, two).state is State.FINAL

    quiet.run(main)


def test_unions_of_some_are_bounded_in_number_and_size(folder: Path) -> None:
    quiet = Quiet(folder, publishers=5, subsets_max=2, subset_publishers_max=3)

    async def main() -> None:
        for actor in quiet.actors:
            await quiet.publish(actor)
        for at in range(4):
            with pytest.raises(OverloadedError):
                ask(quiet, quiet.actors[at], quiet.actors[at + 1])
            await quiet.wait(1)
        assert sum(name.startswith("subset:") for name in quiet.node.core.shelf.kept) == 2
        with pytest.raises(InputError, match="3 publishers at most"):
            ask(quiet, *quiet.actors[:4])
        with pytest.raises(OverloadedError):
            ask(quiet, *quiet.actors[:3])
        settings = quiet.node.core.standings._settings
        quads = sum(one.commit.count for one in quiet.ledger.head.state.latest.values())
        quiet.node.core.standings._settings = replace(settings, subset_quads_max=quads // 10)
        with pytest.raises(InputError, match="the most that are answered for together"):
            ask(quiet, *quiet.actors[:3])

    quiet.run(main)


# --- what the chain does ---------------------------------------------------------------------------------------------


def test_while_the_endpoint_is_down_answers_grow_old_and_say_so(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        await quiet.mine(4)
        before = ask(quiet, quiet.actors[0])
        quiet.node.reader.down = True
        await quiet.wait(600)
        assert ask(quiet, quiet.actors[0]) == before
        status = quiet.node.core.status()
        chain = status["chain"]
        assert isinstance(chain, dict)
        assert chain["condition"] == "down"
        assert chain["age_seconds"] > 600
        asked = quiet.node.reader.asked
        await quiet.wait(600)
        assert quiet.node.reader.asked - asked < 80  # it asks less often, and goes on asking
        quiet.node.stop()
        await quiet.wait(1)
        quiet.node.start()
        await quiet.wait(1)
        assert ask(quiet, quiet.actors[0]) == before
        quiet.node.reader.down = False
        await quiet.wait(30)
        await quiet.mine()
        assert ask(quiet, quiet.actors[0]).block == quiet.ledger.head.header.number

    quiet.run(main)


def test_a_node_that_ends_between_a_new_log_and_its_datasets_shows_none_at_another_place(folder: Path) -> None:
    quiet = Quiet(folder)
    one, two = quiet.actors

    async def main() -> None:
        first, _ = await quiet.publish(one)
        await quiet.publish(two)
        time = quiet.ledger.head.header.timestamp
        gone = quiet.ledger.reorganise(2, [time] * 2, lambda sent: sent != first)
        assert gone == [first]
        quiet.ledger.send(first)
        quiet.ledger.mine(time)  # the two commits have changed places
        quiet.node.disk.crash_after = 0  # the log is no database: it is written, and then the machine stops
        await quiet.wait(5)
        assert not quiet.node.is_up
        quiet.node.reader.down = True
        quiet.node.start()
        await quiet.wait(3)
        assert quiet.node.core.chain.view.length == 2
        for actor in (one, two):
            with pytest.raises(UnknownMomentError, match="is being fetched"):
                ask(quiet, actor)
        quiet.node.reader.down = False
        await quiet.wait(30)
        assert [ask(quiet, actor).seq for actor in (one, two)] == [1, 1]
        assert ask(quiet).root == union_root(quiet.actors, quiet.ledger.head.state.latest)

    quiet.run(main)


def test_a_reorganisation_takes_a_head_back_to_pending_and_tells(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        second, _ = await quiet.publish(quiet.actors[0])
        assert ask(quiet, quiet.actors[0]).seq == 2
        quiet.ledger.reorganise(1, [quiet.ledger.head.header.timestamp] * 2, lambda _sent: False)
        await quiet.wait()
        back = ask(quiet, quiet.actors[0])
        assert (back.seq, back.state) == (1, State.PENDING)
        assert quiet.logged("went_back") == [{"commits": 1, "block": back.block, "now": 1}]
        assert [one["name"] for one in quiet.logged("dropped")] != []
        assert len(quiet.node.core.shelf.staged()) == 1  # the chain may have it again
        fetched = len(quiet.logged("accepted"))
        await quiet.wait(20)
        await quiet.mine()
        again = ask(quiet, quiet.actors[0])
        assert (again.seq, again.root) == (2, CID_PREFIX + second.commit.root)
        assert len(quiet.logged("accepted")) == fetched  # nobody was asked for it
        assert quiet.node.core.watch.counted.reorganisations == 1

    quiet.run(main)


def test_where_a_final_block_is_gone_everything_is_disputed_and_nothing_moves(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        await quiet.mine(6)
        before = ask(quiet, quiet.actors[0])
        assert before.state is State.FINAL
        quiet.node.reader.ledger = other = Ledger(EPOCH)
        for _ in range(20):
            other.mine(EPOCH)
        await quiet.wait(5)
        for standing in (ask(quiet, quiet.actors[0]), ask(quiet)):
            assert standing.state is State.DISPUTED
        assert ask(quiet, quiet.actors[0]).root == before.root
        chain = quiet.node.core.status()["chain"]
        assert isinstance(chain, dict)
        assert "was final and is not on the chain" in chain["frozen"]
        quiet.node.stop()
        await quiet.wait(1)
        quiet.node.start()
        await quiet.wait(5)
        assert ask(quiet, quiet.actors[0]).state is State.DISPUTED  # it is no less so after a restart
        quiet.node.reader.ledger = quiet.ledger
        await quiet.wait(60)
        assert ask(quiet, quiet.actors[0]).state is State.FINAL

    quiet.run(main)


def test_an_endpoint_of_another_chain_is_not_followed(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.node.reader.lie = lambda method, answer: 1 if method == "chain_id" else answer

    async def main() -> None:
        assert quiet.node.core.watch.condition is Condition.WRONG
        assert "of chain 1" in quiet.node.core.watch.trouble
        assert quiet.node.core.chain.view.head is None

    quiet.run(main)


@pytest.mark.parametrize("restarted", [False, True])  # then the block that was checked last is not known
def test_where_an_endpoint_hid_a_change_of_keys_the_log_is_read_anew(folder: Path, *, restarted: bool) -> None:
    quiet = Quiet(folder)
    actor = quiet.actors[0]

    def condition() -> str:
        return str(quiet.node.core.watch.condition)

    async def main() -> None:
        actor.rotations = 1
        quiet.ledger.send(RotateTo(actor.address, [*actor.keys()][-1]))
        quiet.node.reader.lie = lambda method, answer: [] if method == "logs" else answer
        await quiet.mine(6)
        quiet.node.reader.lie = None
        await quiet.mine()
        commit, car = quiet.next(actor)
        quiet.ledger.send(commit)
        if restarted:
            quiet.node.stop()
            await quiet.wait(1)
            quiet.ledger.mine(int(EPOCH + quiet.net.loop.time))
            quiet.node.start()
        await quiet.mine(2)
        if restarted:
            assert condition() == "wrong"
        await quiet.wait(200 if restarted else 10)
        assert condition() == "following"
        assert quiet.node.core.watch.counted.read_anew == 1
        assert quiet.node.core.chain.view.signer(actor.address) == [*actor.keys()][-1]
        await quiet.upload(commit, car)
        assert ask(quiet, actor).seq == 1
        quiet.node.stop()
        await quiet.wait(1)
        quiet.node.start()
        await quiet.wait(5)
        assert condition() == "following"

    quiet.run(main)


# --- what nobody has -------------------------------------------------------------------------------------------------


def test_a_dataset_that_nobody_has_holds_the_union_up_for_a_while_and_then_is_left_out(folder: Path) -> None:
    quiet = Quiet(folder, patience_s=100.0)
    one, two = quiet.actors

    async def main() -> None:
        await quiet.publish(one)
        commit, car = quiet.next(two)
        quiet.ledger.send(commit)  # and nobody is given its pages
        await quiet.mine()
        await quiet.publish(one)
        waiting = ask(quiet)
        assert (waiting.position, waiting.behind) == (1, 2)
        await quiet.wait(120)
        without = ask(quiet)
        assert (without.publishers, without.position, without.behind) == ((one.address,), 3, 1)
        latest = {who: it for who, it in quiet.ledger.head.state.latest.items() if who == one.address}
        assert without.root == union_root([one], latest)
        (missing,) = quiet.node.core.status()["union"]["waits_for"]  # type: ignore[index]
        assert missing["seq"] == 1
        await quiet.upload(commit, car)
        await quiet.wait(6)
        whole = ask(quiet)
        assert (whole.behind, whole.root) == (0, union_root(quiet.actors, quiet.ledger.head.state.latest))

    quiet.run(main)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_root_stays_while_it_is_read_and_a_while_after_it_was_named(folder: Path) -> None:
    quiet = Quiet(folder, retention=Retention(Rule(count=1)), lease_s=30.0, collect_s=5.0)
    actor = quiet.actors[0]

    async def main() -> None:
        await quiet.publish(actor)
        first = ask(quiet, actor).root
        core = quiet.node.core
        with core.reading(first) as view:
            assert view is None
            await quiet.publish(actor)
            await quiet.wait(100)
            assert first not in {row.root for rows in core.shelf.kept.values() for row in rows}
            assert core.page(first) is not None
            count = await quiet.node.call(lambda: core.read(lambda pages: pages.root(first).count))
            assert count == len(actor.quads[first])
        second = ask(quiet, actor).root
        await quiet.publish(actor)
        await quiet.wait(15)
        assert second not in {row.root for rows in core.shelf.kept.values() for row in rows}
        with core.reading(second):  # it was named less than half a minute ago
            pass
        await quiet.wait(100)
        for root in (first, second):
            with pytest.raises(StoreError, match="not kept here"), core.reading(root):
                pytest.fail("it was read")
        with core.reading(ask(quiet, actor).root):
            pass

    quiet.run(main)


def test_a_view_is_made_of_what_is_asked_plainly_and_is_large_enough(folder: Path) -> None:
    made: list[bytes] = []
    quiet = Quiet(folder, view_quads_min=1, view_s=1.0)
    views = folder / "views"

    def change(parts: Parts) -> Parts:
        def make(root: bytes) -> None:
            made.append(root)
            Views(views, parts.store.pages).ensure(root)

        return replace(parts, make_view=make, views=views)

    quiet.node.change = change

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        core, root = quiet.node.core, ask(quiet).root
        with core.reading(root) as view:
            assert view is None
        await quiet.wait(3)
        assert made == [root]
        with core.reading(root) as view:
            assert view is not None
            assert view.is_dir()
        await quiet.publish(quiet.actors[0])
        later = ask(quiet).root
        with core.reading(later):
            pass
        await quiet.wait(30)
        assert made == [root, later]
        with core.reading(later) as view:
            assert view is not None
        await quiet.wait(10)
        with core.reading(ask(quiet, quiet.actors[0]).root):
            pass
        await quiet.wait(10)
        assert root not in Views(views, core.parts.store.pages).roots()

    quiet.run(main)


def test_a_view_that_cannot_be_read_is_put_away_and_made_again_and_pages_answer_meanwhile(folder: Path) -> None:
    quiet = Quiet(folder, view_quads_min=1, view_s=1.0)
    views = folder / "views"

    def change(parts: Parts) -> Parts:
        return replace(parts, make_view=lambda root: Views(views, parts.store.pages).ensure(root), views=views)

    quiet.node.change = change
    text = "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }"

    def answer(root: bytes, text: str = text) -> tuple[bool, bytes]:
        """Whether it was from a view, and the answer."""
        core = quiet.node.core
        with core.reading(root) as view:
            job = Plain(root=root, text=text, allowed=EVERY_GRAPH, view=str(view) if view else None, table="csv")
            return view is not None, core.parts.runner.run_sync(job, client="test").body

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        core, root = quiet.node.core, ask(quiet).root
        right = answer(root)[1]
        await quiet.wait(3)
        assert answer(root) == (True, right)
        with pytest.raises(QueryError, match="function"):
            answer(root, "SELECT (<urn:f>(?o) AS ?x) { GRAPH ?g { ?s ?p ?o } }")
        assert not core.housekeeping.has_failed(root)
        runner = core.parts.runner
        assert isinstance(runner, InProcess)
        for name in ("*.sst", "MANIFEST-*", "CURRENT"):
            runner.close()
            for file in Views(views, core.parts.store.pages).ensure(root).glob(name):
                file.write_bytes(file.read_bytes()[:-9] + b"damaged!!")
            with pytest.raises(ViewFailedError, match="cannot be read"):
                answer(root)
            assert answer(root) == (False, right)
            await quiet.wait(3)
            assert answer(root) == (True, right)
        assert len(quiet.logged("view_failed")) == 3
        assert not core.housekeeping.has_failed(root)

    quiet.run(main)


def test_a_peer_is_given_a_proof_that_holds(folder: Path) -> None:
    quiet = Quiet(folder, nodes=2)
    query = "SELECT ?s ?o WHERE { ?s ?p ?o } ORDER BY ?s ?o"

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        root = ask(quiet, quiet.actors[0]).root
        other = quiet.nodes[1]
        assert other.transport is not None
        hello = Hello(DOMAIN.chain_id, DOMAIN.registry, "test", ())
        asker = Asker(other.transport, hello)
        car = await asker.proof("n0", GetProof(root, query))
        assert len(verify(car, query, root)) > 0

    quiet.run(main)


# --- lists -----------------------------------------------------------------------------------------------------------


def test_publishers_and_commits_are_listed_a_part_at_a_time(folder: Path) -> None:
    quiet = Quiet(folder, publishers=3)

    async def main() -> None:
        for actor in [*quiet.actors, *quiet.actors]:
            await quiet.publish(actor)
        core, log = quiet.node.core, quiet.ledger.commits()
        assert core.commits(None, before=None, most=100) == log[::-1]
        assert core.commits(None, before=4, most=2) == [log[3], log[2]]
        assert core.commits(None, before=0, most=2) == []
        assert core.commits(None, before=10**9, most=1) == [log[-1]]
        mine = [one for one in log if one.publisher == quiet.actors[1].address][::-1]
        assert core.commits(quiet.actors[1].address, before=None, most=9) == mine
        assert core.commits(quiet.actors[1].address, before=mine[0].position, most=9) == mine[1:]
        assert core.commits(bytes(20), before=None, most=9) == []
        addresses = sorted(actor.address for actor in quiet.actors)
        assert [one.address for one in core.publishers(after=b"", most=2)] == addresses[:2]
        assert [one.address for one in core.publishers(after=addresses[1], most=9)] == addresses[2:]
        core.chain._publishers_max = 2
        wanted = sorted(core.chain.followed())
        assert len(wanted) == 2
        assert [one.address for one in core.publishers(after=b"", most=9, followed=True)] == wanted
        core.chain._publishers_max = 3
        status = core.publisher(addresses[0])
        assert status is not None
        assert status.latest == status.held
        assert (status.signer, status.retired, status.followed, status.trouble) == (addresses[0], False, True, None)
        assert core.publisher(bytes(20)) is None
        assert core.peers() == []
        rows = core.shelf.rows(UNION)
        assert len(StoredPages(core.parts.store.pages).root(rows[0].root).trees) == 4

    quiet.run(main)
