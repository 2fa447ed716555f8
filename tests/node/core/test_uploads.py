"""Signed commits that are handed in: what is taken, what is refused, how an operation goes (rows A1, B2, C7)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from dkg.car import read_car, write_car
from dkg.chain.commit import Commit, Domain, SignedCommit
from dkg.chain.evidence import check_evidence
from dkg.chain.secp import SignatureError
from dkg.errors import LimitError, MissingPageError, ProofError
from dkg.page import CID_PREFIX
from node.core.core import CHAIN_LANE
from node.core.desk import INBOX
from node.core.uploads import EVIDENCE
from node.serving import NoKeyError, OperationConflictError, Stage, State, Ticket, UnknownPublisherError, body_of
from node.storage import QuotaError
from node.workers.errors import OverloadedError
from tests.node.core.quiet import Quiet
from tests.node.replication.datasets import MALFORMED
from tests.sim.actors import key_of
from tests.sim.cores import NodeDiedError
from tests.sim.ledger import DOMAIN, RotateTo, signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg.pages import MemoryPageStore
    from node.replication.messages import Anchored
    from node.storage import Operation


def state_of(quiet: Quiet, operation: Operation) -> str:
    found = quiet.node.core.operation(operation.id)
    assert found is not None
    return found.state


def test_an_upload_is_accepted_relayed_mined_and_final(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        actor = quiet.actors[0]
        commit, car = quiet.next(actor)
        operation = await quiet.upload(commit, car)
        assert (operation.kind, operation.state) == ("commit", Stage.ACCEPTED)
        assert (quiet.node.directory / INBOX / operation.id).exists()
        await quiet.wait(1)
        assert state_of(quiet, operation) == Stage.RUNNING
        await quiet.mine()
        assert state_of(quiet, operation) == Stage.MINED
        standing = quiet.node.core.standing((actor.address,))
        assert (standing.seq, standing.state, standing.root) == (1, State.PENDING, CID_PREFIX + commit.commit.root)
        await quiet.mine(4)
        assert state_of(quiet, operation) == Stage.FINAL
        assert quiet.node.core.standing((actor.address,)).state is State.FINAL
        found = quiet.node.core.operation(operation.id)
        assert found is not None
        body = body_of(found)
        assert body["block"] == 1
        assert body["transaction"].startswith("0x")
        assert body.keys() >= {"digest", "publisher", "seq", "root", "block", "transaction"}
        assert not list((quiet.node.directory / INBOX).iterdir())

    quiet.run(main)


def test_what_was_asked_for_before_is_not_done_again(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        commit, car = quiet.next(quiet.actors[0])
        first = await quiet.upload(commit, car, name="mine")
        again = await quiet.upload(commit, b"no car at all", name="mine")
        assert again.id == first.id
        other, other_car = quiet.next(quiet.actors[1])
        with pytest.raises(OperationConflictError, match="something else"):
            await quiet.upload(other, other_car, name="mine")
        elsewhere = await quiet.upload(commit, b"", name="other-name", relay=False)  # the pages are here
        await quiet.wait(1)
        await quiet.mine(6)
        assert {state_of(quiet, one) for one in (first, elsewhere)} == {Stage.FINAL}
        assert len(quiet.ledger.commits()) == 1

    quiet.run(main)


def test_a_commit_that_somebody_else_anchors_is_followed_too(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        commit, car = quiet.next(quiet.actors[0])
        operation = await quiet.upload(commit, car, relay=False)
        await quiet.mine(2)
        assert state_of(quiet, operation) == Stage.ACCEPTED
        quiet.ledger.send(commit)
        await quiet.mine()
        assert state_of(quiet, operation) == Stage.MINED
        later = await quiet.upload(commit, car, name="after-it-was-mined")
        assert later.state == Stage.ACCEPTED
        await quiet.mine()
        assert state_of(quiet, later) == Stage.MINED

    quiet.run(main)


def bent(commit: SignedCommit, **changes: int | bytes) -> SignedCommit:
    """The commit with other values, signed by the same key."""
    return signed(key_of(1), replace(commit.commit, **changes))  # type: ignore[arg-type]  # of its fields


Blocks = list[tuple[bytes, bytes]]
Wrong = tuple[SignedCommit, bytes]

ONES = bytes([1] * 32)


def other_domain(domain: Domain) -> Callable[[SignedCommit, bytes, Blocks], Wrong]:
    return lambda commit, root, blocks: (
        SignedCommit.make(domain, commit.commit, key_of(1)),
        write_car(root, blocks),
    )


WRONG: dict[str, tuple[Callable[[SignedCommit, bytes, Blocks], Wrong], str]] = {
    "chain": (other_domain(Domain(1, DOMAIN.registry)), "for chain 1,"),
    "registry": (other_domain(Domain(DOMAIN.chain_id, bytes(20))), "for the registry"),
    "signature": (lambda c, r, b: (signed(key_of(2), c.commit), write_car(r, b)), "signed by"),
    "number": (lambda c, r, b: (bent(c, seq=3, previous=ONES), write_car(r, b)), "2 is next"),
    "root before": (lambda c, r, b: (bent(c, previous=ONES), write_car(r, b)), "does not follow"),
    "number that is taken": (lambda c, r, b: (bent(c, seq=1, previous=bytes(32)), write_car(r, b)), "has another"),
    "count": (lambda c, r, b: (bent(c, count=c.commit.count + 1), write_car(r, b)), "quads"),
    "a page that is missing": (lambda c, r, b: (c, write_car(r, b[:-1])), "neither sent nor here"),
    "another page": (lambda c, r, b: (c, write_car(r, [*b[:-1], (b[-1][0], b[0][1])])), "hash to"),
    "a car of another root": (lambda c, _r, b: (c, write_car(b[-1][0], b)), "not for"),
    "a page twice": (lambda c, r, b: (c, write_car(r, [*b, b[-1]])), "there twice"),
    "nothing": (lambda c, _r, _b: (c, b""), "not a CAR"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_an_upload_is_told_and_nothing_of_it_is_kept(folder: Path, what: str) -> None:
    quiet = Quiet(folder)
    make, says = WRONG[what]

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        commit, car = quiet.next(quiet.actors[0])
        root = CID_PREFIX + commit.commit.root
        wrong, wrong_car = make(commit, root, list(read_car(car, root, 1_000).items()))
        with pytest.raises(ProofError, match=says):
            await quiet.upload(wrong, wrong_car)
        core = quiet.node.core
        assert not core.shelf.staged()
        assert [one.state for one in core.operations(10)] == [Stage.MINED]
        assert quiet.ledger.pool == []

    quiet.run(main)


@pytest.mark.parametrize("forge", MALFORMED, ids=lambda forge: forge.__name__)
def test_a_dataset_that_breaks_the_format_is_not_taken(
    folder: Path, forge: Callable[[], tuple[MemoryPageStore, Anchored]]
) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        store, head = forge()
        commit = Commit(quiet.actors[0].address, 1, head.root.removeprefix(CID_PREFIX), head.count, bytes(32), 1)
        with pytest.raises(ProofError):
            await quiet.upload(signed(key_of(1), commit), write_car(head.root, store.pages.items()))
        assert not quiet.node.core.shelf.staged()

    quiet.run(main)


def test_whoever_may_sign_is_what_the_log_says(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        actor = quiet.actors[0]
        old, car = quiet.next(actor)
        actor.rotations = 1
        quiet.ledger.send(RotateTo(actor.address, [*actor.keys()][-1]))
        await quiet.mine()
        with pytest.raises(SignatureError, match="signs"):
            await quiet.upload(old, car)
        new, car = quiet.next(actor)
        await quiet.upload(new, car)
        await quiet.wait(1)
        await quiet.mine()
        quiet.ledger.send(RotateTo(actor.address, None))
        await quiet.mine()
        third = bent(new, seq=2, previous=new.commit.root)
        with pytest.raises(SignatureError, match="revoked"):
            await quiet.upload(third, car, name="third")

    quiet.run(main)


def test_what_was_signed_with_a_key_that_was_changed_since_stands_in_nobodys_way(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.ledger.mine(1)

    async def main() -> None:
        actor, desk = quiet.actors[0], quiet.node.core.desk
        old, car = quiet.next(actor)  # by its owner, or by whoever stole the key
        await quiet.upload(old, car, name="old", relay=False)
        actor.rotations = 1
        quiet.ledger.send(RotateTo(actor.address, [*actor.keys()][-1]))
        await quiet.mine()
        new, car = quiet.next(actor)
        assert new.commit.seq == old.commit.seq
        await quiet.upload(new, car, name="new")
        assert not (quiet.node.directory / EVIDENCE).exists()
        assert not quiet.logged("equivocation")
        failed = desk.get("old")
        assert failed is not None
        assert (failed.state, "sign it anew" in failed.body.decode()) == ("failed", True)
        assert [one.id for one in desk.unfinished()] == ["new"]

    quiet.run(main)


def test_a_commit_that_comes_before_this_node_has_seen_the_one_before_is_taken(folder: Path) -> None:
    quiet = Quiet(folder, poll_s=60.0, poll_max_s=60.0)
    quiet.ledger.mine(1)

    async def main() -> None:
        actor = quiet.actors[0]
        first, car = quiet.next(actor)
        quiet.ledger.send(first)
        quiet.ledger.mine(int(quiet.net.loop.time))  # and the node looks only once a minute
        second, second_car = quiet.next(actor)
        await quiet.upload(second, second_car)
        assert [one.commit for one in quiet.node.core.commits(None, before=None, most=9)] == [first.commit]
        assert len(car) > 100

    quiet.run(main)


def test_a_look_that_was_under_way_does_not_count_for_a_commit_that_came_later(folder: Path) -> None:
    quiet = Quiet(folder, poll_s=60.0, poll_max_s=60.0)
    quiet.ledger.mine(1)

    async def main() -> None:
        actor, core = quiet.actors[0], quiet.node.core
        runtime: Any = core.parts.runtime
        at_once = runtime.blocking

        async def slowly(lane: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work gives
            if lane != CHAIN_LANE:
                return await at_once(lane, work)
            found = work()
            await runtime.sleep(1.0)
            return found

        runtime.blocking = slowly
        core._stir()
        await quiet.wait(0.5)  # it looks, and its answers are under way
        first, _ = quiet.next(actor)
        quiet.ledger.send(first)
        quiet.ledger.mine(int(quiet.net.loop.time))
        second, car = quiet.next(actor)
        await quiet.upload(second, car)
        assert [one.commit for one in core.commits(None, before=None, most=9)] == [first.commit]

    quiet.run(main)


def test_a_commit_that_does_not_fit_while_the_chain_does_not_answer_may_be_sent_again(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.ledger.mine(1)

    async def main() -> None:
        actor = quiet.actors[0]
        quiet.node.reader.down = True
        first, _ = quiet.next(actor)
        quiet.ledger.send(first)
        quiet.ledger.mine(int(quiet.net.loop.time))
        second, car = quiet.next(actor)
        with pytest.raises(OverloadedError, match=r"0 commits of .*: 1 is next; and it does not answer now"):
            await quiet.upload(second, car)
        quiet.node.reader.down = False
        await quiet.wait(60.0)
        await quiet.upload(second, car)

    quiet.run(main)


def test_a_commit_that_the_registry_refuses_has_failed_when_that_is_final(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        actor = quiet.actors[0]
        commit, car = quiet.next(actor)
        actor.rotations = 1
        quiet.ledger.send(RotateTo(actor.address, [*actor.keys()][-1]))  # mined before the commit
        operation = await quiet.upload(commit, car)
        await quiet.wait(1)
        assert state_of(quiet, operation) == Stage.RUNNING
        for _ in range(12):
            await quiet.mine()
            await quiet.wait(10)
        found = quiet.node.core.operation(operation.id)
        assert found is not None
        assert (found.state, body_of(found)["error"]) == (Stage.FAILED, "its signer may not sign")

    quiet.run(main)


def test_a_commit_is_not_given_up_for_a_rotation_that_a_reorganisation_takes_back(folder: Path) -> None:
    """Found by seed 67 of the simulator: it was refused, the chain went back, and it was refused again."""
    quiet = Quiet(folder)

    async def main() -> None:
        actor = quiet.actors[0]
        commit, car = quiet.next(actor)
        actor.rotations = 1
        rotation = RotateTo(actor.address, [*actor.keys()][-1])
        quiet.ledger.send(rotation)
        operation = await quiet.upload(commit, car)
        for again in range(3):
            for _ in range(quiet.node.core.parts.settings.finality_depth - 1):
                await quiet.mine()
                await quiet.wait(10)
            quiet.ledger.reorganise(2, [quiet.ledger.head.header.timestamp] * 3, lambda _sent: True)
            await quiet.wait(10)
            assert state_of(quiet, operation) == Stage.RUNNING, again

    quiet.run(main)


def test_a_commit_that_a_reorganisation_drops_is_relayed_again(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        commit, operation = await quiet.publish(quiet.actors[0])
        assert state_of(quiet, operation) == Stage.MINED
        quiet.ledger.reorganise(1, [quiet.ledger.head.header.timestamp] * 2, lambda _sent: False)
        await quiet.wait()
        assert state_of(quiet, operation) in {Stage.ACCEPTED, Stage.RUNNING}
        assert quiet.logged("went_back")
        assert quiet.logged("commit_gone")
        await quiet.wait(20)
        assert commit in quiet.ledger.pool
        await quiet.mine(6)
        assert state_of(quiet, operation) == Stage.FINAL
        assert [one.commit for one in quiet.ledger.commits()] == [commit.commit]

    quiet.run(main)


def test_two_commits_with_one_number_end_as_evidence_that_anybody_can_check(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        first, car = quiet.next(quiet.actors[0])
        await quiet.upload(first, car)
        second = bent(first, created=first.commit.created + 1)
        with pytest.raises(ProofError, match="evidence"):
            await quiet.upload(second, car)
        (file,) = (quiet.node.directory / EVIDENCE).iterdir()
        found = check_evidence(file.read_bytes())
        assert {found.first, found.second} == {first.commit, second.commit}
        assert quiet.logged("equivocation")

    quiet.run(main)


@pytest.mark.parametrize("writes", range(14))
def test_an_operation_goes_on_where_it_was_after_a_crash_at_any_write(folder: Path, writes: int) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        commit, car = quiet.next(quiet.actors[0])
        quiet.node.disk.crash_after = writes
        with suppress(NodeDiedError):
            await quiet.upload(commit, car, name="it")
        await quiet.wait(5)
        quiet.node.disk.crash_after = -1
        if not quiet.node.is_up:
            quiet.node.start()
        await quiet.wait(3)
        await quiet.upload(commit, car, name="it")  # whoever was not answered asks again
        await quiet.wait(3)
        await quiet.mine(8)
        found = quiet.node.core.operation("it")
        assert found is not None
        assert found.state == Stage.FINAL
        assert [one.commit for one in quiet.ledger.commits()] == [commit.commit]

    quiet.run(main)


def test_who_is_not_followed_is_not_taken_from(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.nodes[0].settings = replace(quiet.node.settings, follow=(quiet.actors[1].address,))

    async def main() -> None:
        with pytest.raises(UnknownPublisherError, match="does not follow"):
            await quiet.upload(*quiet.next(quiet.actors[0]))
        await quiet.upload(*quiet.next(quiet.actors[1]))

    quiet.run(main)


def test_limits_are_kept_to_the_last_one(folder: Path) -> None:
    quiet = Quiet(folder, publishers=4, uploads_max=2)

    async def main() -> None:
        commits = [quiet.next(actor) for actor in quiet.actors]
        quads = commits[0][0].commit.count
        core = quiet.node.core
        core.uploads._parts = replace(core.parts, settings=replace(core.parts.settings, upload_quads_max=quads - 1))
        with pytest.raises(LimitError, match="at most"):
            await quiet.upload(*commits[0])
        core.uploads._parts = replace(core.parts, settings=replace(core.parts.settings, upload_quads_max=quads))
        await quiet.upload(*commits[0], relay=False)
        core.uploads._parts = replace(core.parts, settings=replace(core.parts.settings, upload_pages_max=1))
        with pytest.raises(ProofError, match="more than the 1 pages"):
            await quiet.upload(*commits[1], relay=False)
        core.uploads._parts = core.parts
        await quiet.upload(*commits[1], relay=False)
        with pytest.raises(OverloadedError, match="2 uploads wait"):
            await quiet.upload(*commits[2], relay=False)

    quiet.run(main)


def test_a_full_disk_refuses_the_upload_and_goes_on_answering(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        await quiet.publish(quiet.actors[0])
        before = quiet.node.core.standing((quiet.actors[0].address,))
        quiet.node.core.parts.store.quota_bytes = 1
        with pytest.raises(QuotaError):
            await quiet.upload(*quiet.next(quiet.actors[1]))
        assert quiet.node.core.standing((quiet.actors[0].address,)).root == before.root
        quiet.node.core.parts.store.quota_bytes = None
        await quiet.upload(*quiet.next(quiet.actors[1]))

    quiet.run(main)


def test_a_node_without_a_key_relays_nothing_and_says_so(folder: Path) -> None:
    quiet = Quiet(folder)
    quiet.node.payer = None

    async def main() -> None:
        with pytest.raises(NoKeyError, match="anchor it yourself"):
            await quiet.upload(*quiet.next(quiet.actors[0]))
        with pytest.raises(NoKeyError, match="holds no publisher's key"):
            await quiet.node.call(lambda: quiet.node.core.retract(Ticket("x", "y"), "name", None))

    quiet.run(main)


def test_an_upload_that_nobody_anchors_is_given_up(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        operation = await quiet.upload(*quiet.next(quiet.actors[0]), relay=False)
        quiet.node.skew_s = 8 * 86_400
        await quiet.wait(60)
        assert state_of(quiet, operation) == Stage.FAILED
        assert not quiet.node.core.shelf.staged()
        assert not list((quiet.node.directory / INBOX).iterdir())

    quiet.run(main)


def test_an_upload_whose_file_is_lost_says_so(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        operation = await quiet.upload(*quiet.next(quiet.actors[0]), relay=False)
        quiet.node.stop()
        await quiet.wait(1)
        (quiet.node.directory / INBOX / operation.id).unlink()
        quiet.node.start()
        await quiet.mine()
        found = quiet.node.core.operation(operation.id)
        assert found is not None
        assert (found.state, "lost" in body_of(found)["error"]) == (Stage.FAILED, True)

    quiet.run(main)


def test_every_error_of_an_upload_is_one_that_was_meant(folder: Path) -> None:
    quiet = Quiet(folder)

    async def main() -> None:
        commit, car = quiet.next(quiet.actors[0])
        for _ in range(60):
            at = quiet.rng.randrange(len(car))
            damaged = car[:at] + bytes([car[at] ^ 1 << quiet.rng.randrange(8)]) + car[at + 1 :]
            name = sha256(damaged).hexdigest()[:20]
            with pytest.raises(ProofError):
                await quiet.upload(commit, damaged, name=name)
        root = CID_PREFIX + commit.commit.root
        with pytest.raises(MissingPageError):
            await quiet.upload(commit, write_car(root, list(read_car(car, root, 1_000).items())[:1]))

    quiet.run(main)
