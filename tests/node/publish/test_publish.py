"""Publishing where nothing goes wrong, and where the caller or the home is at fault."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import SignedCommit, verify_commit
from dkg.chain.secp import address_of
from dkg.client.anchored import State
from dkg.client.store import SqliteStore
from dkg.errors import InputError, StoreError
from dkg.page import CID_PREFIX
from node.change import Change
from node.publish.errors import ForeignCommitError, HomeBusyError, JournalError, SignerError
from node.publish.lock import home_lock
from node.publish.published import Request
from node.publish.wallet import Wallet, Wallets
from tests.node.publish.world import (
    DEPTH,
    KEY,
    OTHER_KEY,
    PAYER_KEY,
    QUICK,
    FakeTime,
    World,
    adds,
    anvil_world,
    quad,
    request,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.pages import Pages


@pytest.fixture(params=["devnet", "anvil"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with (anvil_world if request.param == "anvil" else world)(tmp_path) as made:
        yield made


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_each_request_becomes_one_commit(here: World) -> None:
    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1), quad(2)))
        second = publisher.publish(request("b", quad(3)))
    one, two = here.check("a", "b")
    assert (first.seq, first.count, first.changed, first.state) == (1, 2, True, State.PENDING)
    assert (second.seq, second.count, second.label) == (2, 3, "label of b")
    assert (first.block, second.block) == (one.block, two.block)
    assert here.content() == {quad(1), quad(2), quad(3)}
    assert second.transaction is not None
    receipt = here.rpc("eth_getTransactionReceipt", "0x" + second.transaction.hex())
    assert (int(receipt["gasUsed"], 16), receipt["blockHash"]) == (second.gas_used, "0x" + second.block_hash.hex())
    assert here.states("b") == ["planned", "signed", "sent", "mined"]


def test_quads_go_and_come_back(ours: World) -> None:
    def takes_out(_pages: Pages, base: bytes | None) -> Change:
        assert base is not None
        return Change(remove=frozenset({quad(1)}))

    with ours.publisher() as publisher:
        whole = publisher.publish(request("a", quad(1), quad(2)))
        less = publisher.publish(Request("b", "less", takes_out))
        again = publisher.publish(request("c", quad(1)))
    assert (whole.count, less.count, again.count) == (2, 1, 2)
    assert whole.root == again.root != less.root
    ours.check("a", "b", "c")


def test_the_same_request_again_sends_nothing(here: World) -> None:
    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
        again = publisher.publish(request("a", quad(2)))
    assert again == replace(first, changed=False)
    here.check("a")


def test_a_request_that_changes_nothing_gives_the_commit_that_is_there(ours: World) -> None:
    def nothing(_pages: Pages, _base: bytes | None) -> Change:
        return Change()

    with ours.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
        for other in (request("b", quad(1)), Request("c", "nothing", nothing)):
            found = publisher.publish(other)
            assert found == replace(first, label=other.label, changed=False)
    ours.check("a")


def test_nothing_at_all_cannot_be_published(ours: World) -> None:
    with ours.publisher() as publisher, pytest.raises(InputError, match="nothing to publish"):
        publisher.publish(Request("a", "empty", lambda _pages, _base: Change()))


def test_an_edit_that_refuses_leaves_no_trace(ours: World) -> None:
    def refuses(_pages: Pages, _base: bytes | None) -> Change:
        raise InputError("no")

    with ours.publisher() as publisher:
        publisher.publish(request("a", quad(1)))
        with pytest.raises(InputError, match="no"):
            publisher.publish(Request("b", "refused", refuses))
        assert publisher.resume() is None
    ours.check("a")


def test_final_is_waited_for(here: World) -> None:
    told: list[tuple[str, int, int]] = []

    def mines(text: str, done: int, wanted: int) -> None:
        told.append((text, done, wanted))
        if "final" in text:
            here.rpc("anvil_mine", "0x1")

    with here.publisher() as publisher:
        found = publisher.publish(request("a"), mines, wait="final")
        assert found.state is State.FINAL
        assert [step for step in told if "final" in step[0]][:DEPTH] == [
            ("waiting until commit 1 is final", 0, DEPTH),
            ("waiting until commit 1 is final", 1, DEPTH),
        ]
        assert publisher.publish(request("a"), wait="final") == replace(found, changed=False)
        assert publisher.resume(wait="final") is None
    here.check("a")
    assert here.states("a")[-1] == "final"


def test_a_mined_commit_is_final_later(ours: World) -> None:
    with ours.publisher() as publisher:
        assert publisher.publish(request("a")).state is State.PENDING
        ours.rpc("anvil_mine", hex(DEPTH))
        assert publisher.publish(request("a")).state is State.FINAL
        assert publisher.publish(request("b", quad(0, "a"))).state is State.FINAL


def test_many_jobs_become_final_together(ours: World) -> None:
    names = [f"r{number}" for number in range(12)]
    with ours.publisher() as publisher:
        for name in names:
            publisher.publish(request(name))
    states = [str(job.state) for job in ours.journal()[0]]
    assert states == ["final"] * 8 + ["mined"] * 4
    ours.check(*names)


def test_final_at_depth_nought_is_when_it_is_mined(ours: World) -> None:
    with ours.publisher(depth=0) as publisher:
        assert publisher.publish(request("a")).state is State.FINAL


def test_another_account_pays(here: World) -> None:
    wallets = Wallets(address_of(KEY), Wallet(KEY), Wallet(PAYER_KEY))
    before = int(here.rpc("eth_getTransactionCount", "0x" + wallets.publisher.hex(), "latest"), 16)
    with here.publisher(wallets=wallets) as publisher:
        publisher.publish(request("a"))
        found = publisher.publish(request("b"))
    here.check("a", "b")
    assert found.transaction is not None
    sent = here.rpc("eth_getTransactionByHash", "0x" + found.transaction.hex())
    assert sent["from"] == "0x" + wallets.payer.address.hex()
    assert int(here.rpc("eth_getTransactionCount", "0x" + wallets.publisher.hex(), "latest"), 16) == before
    kept = here.home().commit(2)
    assert kept is not None
    assert verify_commit(kept, here.domain, wallets.signer.address).commit.seq == 2


def test_a_hot_key_signs_for_the_publisher_when_it_is_the_signer(ours: World) -> None:
    hot = Wallet(OTHER_KEY)
    wallets = Wallets(address_of(KEY), hot, hot)
    with ours.publisher(wallets=wallets) as publisher:
        with pytest.raises(SignerError, match="may not sign"):
            publisher.publish(request("a"))
        ours.registry.call("rotate", wallets.publisher, hot.address, sender=wallets.publisher)
        publisher.publish(request("a"))
    with ours.publisher() as publisher, pytest.raises(SignerError, match="may not sign"):
        publisher.publish(request("b"))
    ours.check("a")


@pytest.mark.parametrize(("function", "match"), [("revoke", "revoked"), ("retire", "retired")])
def test_a_publisher_without_a_signer_cannot_publish(ours: World, function: str, match: str) -> None:
    with ours.publisher() as publisher:
        publisher.publish(request("a"))
        ours.registry.call(function, ours.wallets.publisher, sender=ours.wallets.publisher)
        with pytest.raises(SignerError, match=match):
            publisher.publish(request("b"))
    ours.check("a")


def test_a_signed_commit_is_signed_anew_by_a_new_signer(ours: World) -> None:
    """A relayed commit that was signed, and then the signer is rotated: the statement stays, the signature changes."""

    def stop(step: str) -> None:
        if step == "signed":
            raise KeyboardInterrupt

    old = Wallets(address_of(KEY), Wallet(KEY), Wallet(PAYER_KEY))
    with ours.publisher(wallets=old, at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    ours.registry.call("rotate", old.publisher, address_of(OTHER_KEY), sender=old.publisher)
    with ours.publisher(wallets=replace(old, signer=Wallet(OTHER_KEY))) as publisher:
        found = publisher.resume()
    assert found is not None
    assert found.seq == 1
    ours.check("a")


# --- homes that do not fit ------------------------------------------------------------------------------------------


def test_a_chain_that_another_home_publishes_to_is_refused(ours: World) -> None:
    with ours.publisher() as publisher:
        publisher.publish(request("a"))
    with ours.publisher(home="other") as publisher, pytest.raises(ForeignCommitError, match="not made in this home"):
        publisher.publish(request("b"))
    ours.check("a")


def test_a_home_that_only_has_the_pages_goes_on(ours: World) -> None:
    with ours.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
    ours.home("other").path.mkdir()
    ours.home().store.rename(ours.home("other").store)
    with ours.publisher(home="other") as publisher:
        again = publisher.publish(request("x", quad(1)))
        assert (again.transaction, again.block, again.changed) == (first.transaction, first.block, False)
        publisher.publish(request("b", quad(2)))
    assert ours.content("other") == {quad(1), quad(2)}
    assert len(ours.events()) == 2


def test_a_commit_that_was_signed_elsewhere_with_our_number_is_refused(ours: World) -> None:
    with ours.publisher() as publisher:
        publisher.publish(request("a"))
        ours.registry.latest[ours.wallets.publisher] = ours.events()[-1]
        ours.registry.commit(ours.wallets.publisher)
        with pytest.raises(ForeignCommitError, match="commit 2"):
            publisher.publish(request("b"))
        assert ours.home().commit(2) is None


def test_a_lost_journal_loses_no_signed_commit(ours: World) -> None:
    def stop(step: str) -> None:
        if step == "kept":
            raise KeyboardInterrupt

    with ours.publisher() as publisher:
        publisher.publish(request("a"))
    with ours.publisher(at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(7)))
    for path in ours.homes.glob("home/jobs.db*"):
        path.unlink()
    with ours.publisher() as publisher:
        found = publisher.publish(request("c", quad(8)))
    assert (found.seq, found.count) == (3, 3)
    assert [event.commit.seq for event in ours.events()] == [1, 2, 3]
    assert [job.request for job in ours.journal()[0]] == ["recovered commit 2", "c"]


def test_a_home_of_another_registry_is_refused(ours: World) -> None:
    with ours.publisher() as publisher:
        publisher.publish(request("a"))
    domain = replace(ours.domain, registry=b"\x77" * 20)
    home = ours.home("mixed")
    kept = ours.home().commit(1)
    assert kept is not None
    home.keep_commit(SignedCommit.make(domain, kept.commit, KEY))
    with ours.publisher(home="mixed") as publisher, pytest.raises(JournalError, match="another publisher or for"):
        publisher.publish(request("b"))


def test_a_journal_of_another_registry_is_refused(ours: World) -> None:
    with ours.publisher() as publisher:
        publisher.publish(request("a"))
    with (
        ours.publisher(wallets=Wallets.of(OTHER_KEY)) as publisher,
        pytest.raises(JournalError, match="a home publishes for one publisher"),
    ):
        publisher.publish(request("b"))


def test_pages_that_are_lost_after_signing_are_an_error_and_no_second_commit(ours: World) -> None:
    def stop(step: str) -> None:
        if step == "signed":
            raise KeyboardInterrupt

    with ours.publisher(at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    for path in ours.home().store.iterdir():
        path.unlink()
    with ours.publisher() as publisher:
        for _ in range(2):
            with pytest.raises(JournalError, match="pages of commit 1"):
                publisher.publish(request("b"))
    assert ours.events() == []


def test_a_signed_commit_that_is_lost_is_an_error_and_not_signed_again(ours: World) -> None:
    def stop(step: str) -> None:
        if step == "signed":
            raise KeyboardInterrupt

    with ours.publisher(at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    (ours.home().path / "commits" / "1").unlink()
    with ours.publisher() as publisher, pytest.raises(JournalError, match="bring the folder"):
        publisher.resume()
    assert ours.events() == []


def test_a_planned_pages_root_is_kept_and_is_not_the_head(ours: World) -> None:
    def stop(step: str) -> None:
        if step == "planned":
            raise KeyboardInterrupt

    with ours.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
    with ours.publisher(at=stop) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(2)))
    (job,) = (job for job in ours.journal()[0] if job.request == "b")
    with SqliteStore(ours.home().store, read_only=True) as store:
        assert store.head() == first.root
        assert CID_PREFIX + job.commit.root in store.heads()


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_a_home_in_use_is_waited_for_and_then_refused(ours: World) -> None:
    time = FakeTime()
    told: list[str] = []
    with (
        home_lock(ours.home().path, QUICK, FakeTime().waiting(), lambda *_: None),
        ours.publisher(waiting=time.waiting()) as publisher,
        pytest.raises(HomeBusyError, match="another process publishes from"),
    ):
        publisher.publish(request("a"), lambda text, _done, _wanted: told.append(text))
    assert time.now - 1000.0 >= QUICK.lock_s
    assert "another process publishes" in told[0]
    with ours.publisher() as publisher:
        publisher.publish(request("a"))


def test_a_home_that_cannot_be_made_is_an_error(ours: World) -> None:
    (ours.homes / "file").write_text("")
    with ours.publisher(home="file/home") as publisher, pytest.raises(StoreError, match="cannot be made"):
        publisher.publish(request("a"))


def test_keys_are_in_no_text() -> None:
    wallets = Wallets.of(KEY)
    for text in (repr(wallets), str(wallets), f"{wallets.signer}", repr(wallets.payer)):
        assert KEY.hex() not in text
        assert repr(KEY) not in text
    assert not hasattr(wallets.signer, "__dict__")


def test_edits_see_the_dataset_that_is_on_the_chain(ours: World) -> None:
    seen: list[bytes | None] = []

    def edit(_pages: Pages, base: bytes | None) -> Change:
        seen.append(base)
        return adds(quad(len(seen)))(_pages, base)

    with ours.publisher() as publisher:
        first = publisher.publish(Request("a", "a", edit))
        publisher.publish(Request("b", "b", edit))
    assert seen == [None, first.root]
