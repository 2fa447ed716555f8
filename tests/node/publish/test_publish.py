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
from node.publish.publisher import open_publisher
from node.publish.wallet import Wallet, Wallets
from tests.node.publish.world import (
    DEPTH,
    KEY,
    OTHER_KEY,
    PAYER_KEY,
    PROMPT,
    QUICK,
    FakeTime,
    World,
    adds,
    quad,
    request,
)

if TYPE_CHECKING:
    from dkg.pages import Pages
    from node.publish.sender import At


def stop_at(step: str) -> At:
    """An interrupt when a step is done."""

    def at(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    return at


def test_each_request_becomes_one_commit(either: World) -> None:
    with either.publisher() as publisher:
        first = publisher.publish(request("a", quad(1), quad(2)))
        second = publisher.publish(request("b", quad(3)))
    one, two = either.check("a", "b")
    assert (first.seq, first.count, first.changed, first.state) == (1, 2, True, State.PENDING)
    assert (second.seq, second.count, second.label) == (2, 3, "label of b")
    assert (first.block, second.block) == (one.block, two.block)
    assert either.content() == {quad(1), quad(2), quad(3)}
    assert second.transaction is not None
    receipt = either.rpc("eth_getTransactionReceipt", "0x" + second.transaction.hex())
    assert (int(receipt["gasUsed"], 16), receipt["blockHash"]) == (second.gas_used, "0x" + second.block_hash.hex())
    assert either.states("b") == ["planned", "signed", "sent", "mined"]


def test_quads_go_and_come_back(here: World) -> None:
    def takes_out(_pages: Pages, base: bytes | None) -> Change:
        assert base is not None
        return Change(remove=frozenset({quad(1)}))

    with here.publisher() as publisher:
        whole = publisher.publish(request("a", quad(1), quad(2)))
        less = publisher.publish(Request("b", "less", takes_out))
        again = publisher.publish(request("c", quad(1)))
    assert (whole.count, less.count, again.count) == (2, 1, 2)
    assert whole.root == again.root != less.root
    here.check("a", "b", "c")


def test_the_same_request_again_sends_nothing(either: World) -> None:
    with either.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
        again = publisher.publish(request("a", quad(2)))
    assert again == replace(first, changed=False)
    either.check("a")


def test_a_request_that_changes_nothing_gives_the_commit_that_is_there(here: World) -> None:
    def nothing(_pages: Pages, _base: bytes | None) -> Change:
        return Change()

    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
        for other in (request("b", quad(1)), Request("c", "nothing", nothing)):
            found = publisher.publish(other)
            assert found == replace(first, label=other.label, changed=False)
    here.check("a")


def test_nothing_at_all_cannot_be_published(here: World) -> None:
    with here.publisher() as publisher, pytest.raises(InputError, match="nothing to publish"):
        publisher.publish(Request("a", "empty", lambda _pages, _base: Change()))


def test_an_edit_that_refuses_leaves_no_trace(here: World) -> None:
    def refuses(_pages: Pages, _base: bytes | None) -> Change:
        raise InputError("no")

    with here.publisher() as publisher:
        publisher.publish(request("a", quad(1)))
        with pytest.raises(InputError, match="no"):
            publisher.publish(Request("b", "refused", refuses))
        assert publisher.resume() is None
    here.check("a")


def test_final_is_waited_for(either: World) -> None:
    told: list[tuple[str, int, int]] = []

    def mines(text: str, done: int, wanted: int) -> None:
        told.append((text, done, wanted))
        if "final" in text:
            either.rpc("anvil_mine", "0x1")

    with either.publisher() as publisher:
        found = publisher.publish(request("a"), mines, wait="final")
        assert found.state is State.FINAL
        assert [step for step in told if "final" in step[0]][:DEPTH] == [
            ("waiting until commit 1 is final", 0, DEPTH),
            ("waiting until commit 1 is final", 1, DEPTH),
        ]
        assert publisher.publish(request("a"), wait="final") == replace(found, changed=False)
        assert publisher.resume(wait="final") is None
    either.check("a")
    assert either.states("a")[-1] == "final"


def test_a_mined_commit_is_final_later(here: World) -> None:
    with here.publisher() as publisher:
        assert publisher.publish(request("a")).state is State.PENDING
        here.rpc("anvil_mine", hex(DEPTH))
        assert publisher.publish(request("a")).state is State.FINAL
        assert publisher.publish(request("b", quad(0, "a"))).state is State.FINAL


def test_many_jobs_become_final_together(here: World) -> None:
    names = [f"r{number}" for number in range(12)]
    with here.publisher() as publisher:
        for name in names:
            publisher.publish(request(name))
    states = [str(job.state) for job in here.journal()[0]]
    assert states == ["final"] * 8 + ["mined"] * 4
    here.check(*names)


def test_final_at_depth_nought_is_when_it_is_mined(here: World) -> None:
    with here.publisher(depth=0) as publisher:
        assert publisher.publish(request("a")).state is State.FINAL


def test_another_account_pays(either: World) -> None:
    wallets = Wallets(address_of(KEY), Wallet(KEY), Wallet(PAYER_KEY))
    before = int(either.rpc("eth_getTransactionCount", "0x" + wallets.publisher.hex(), "latest"), 16)
    with either.publisher(wallets=wallets) as publisher:
        publisher.publish(request("a"))
        found = publisher.publish(request("b"))
    either.check("a", "b")
    assert found.transaction is not None
    sent = either.rpc("eth_getTransactionByHash", "0x" + found.transaction.hex())
    assert sent["from"] == "0x" + wallets.payer.address.hex()
    assert int(either.rpc("eth_getTransactionCount", "0x" + wallets.publisher.hex(), "latest"), 16) == before
    kept = either.home().commit(2)
    assert kept is not None
    assert verify_commit(kept, either.domain, wallets.signer.address).commit.seq == 2


def test_a_hot_key_signs_for_the_publisher_when_it_is_the_signer(here: World) -> None:
    hot = Wallet(OTHER_KEY)
    wallets = Wallets(address_of(KEY), hot, hot)
    with here.publisher(wallets=wallets) as publisher:
        with pytest.raises(SignerError, match="may not sign"):
            publisher.publish(request("a"))
        here.registry.call("rotate", wallets.publisher, hot.address, sender=wallets.publisher)
        publisher.publish(request("a"))
    with here.publisher() as publisher, pytest.raises(SignerError, match="may not sign"):
        publisher.publish(request("b"))
    here.check("a")


@pytest.mark.parametrize(("function", "match"), [("revoke", "revoked"), ("retire", "retired")])
def test_a_publisher_without_a_signer_cannot_publish(here: World, function: str, match: str) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
        here.registry.call(function, here.wallets.publisher, sender=here.wallets.publisher)
        with pytest.raises(SignerError, match=match):
            publisher.publish(request("b"))
    here.check("a")


def test_a_signed_commit_is_signed_anew_by_a_new_signer(here: World) -> None:
    """A relayed commit that was signed, and then the signer is rotated: the statement stays, the signature changes."""

    old = Wallets(address_of(KEY), Wallet(KEY), Wallet(PAYER_KEY))
    with here.publisher(wallets=old, at=stop_at("signed")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    here.registry.call("rotate", old.publisher, address_of(OTHER_KEY), sender=old.publisher)
    with here.publisher(wallets=replace(old, signer=Wallet(OTHER_KEY))) as publisher:
        found = publisher.resume()
    assert found is not None
    assert found.seq == 1
    here.check("a")


# --- homes that do not fit ------------------------------------------------------------------------------------------


def test_a_chain_that_another_home_publishes_to_is_refused(here: World) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
    with here.publisher(home="other") as publisher, pytest.raises(ForeignCommitError, match="not made in this home"):
        publisher.publish(request("b"))
    here.check("a")


def test_a_home_that_only_has_the_pages_goes_on(here: World) -> None:
    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
    here.home("other").path.mkdir()
    here.home().store.rename(here.home("other").store)
    with here.publisher(home="other") as publisher:
        again = publisher.publish(request("x", quad(1)))
        assert (again.transaction, again.block, again.changed) == (first.transaction, first.block, False)
        publisher.publish(request("b", quad(2)))
    assert here.content("other") == {quad(1), quad(2)}
    assert len(here.events()) == 2


def test_a_commit_that_was_signed_elsewhere_with_our_number_is_refused(here: World) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
        here.registry.latest[here.wallets.publisher] = here.events()[-1]
        here.registry.commit(here.wallets.publisher)
        with pytest.raises(ForeignCommitError, match="commit 2"):
            publisher.publish(request("b"))
        assert here.home().commit(2) is None


def test_a_planned_commit_gives_way_to_one_that_the_chain_has_in_its_place(here: World) -> None:
    """Nothing was signed: the request is planned anew, after the other commit, whose pages are here."""
    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
    with here.publisher(at=stop_at("planned")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(2)))
    here.registry.latest[here.wallets.publisher] = here.events()[-1]
    here.registry.commit(here.wallets.publisher, first.root[4:])
    with here.publisher() as publisher:
        found = publisher.publish(request("b", quad(2)))
        assert (found.seq, found.count, found.changed) == (3, 2, True)
    assert [event.commit.seq for event in here.events()] == [1, 2, 3]
    assert [str(job.state) for job in here.journal()[0]] == ["mined", "mined"]


@pytest.mark.parametrize("step", ["planned", "signed"])
def test_a_commit_that_follows_from_one_that_is_gone(here: World, step: str) -> None:
    """What was planned is planned anew; what was signed is not signed again, for another root before it."""
    with here.publisher() as publisher:
        publisher.publish(request("a", quad(1)))
    here.home("other").path.mkdir()
    here.home().store.rename(here.home("other").store)  # the pages, and not the signed commit
    with here.publisher(home="other", at=stop_at(step)) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(2)))
    (job,) = here.journal("other")[0]
    here.rpc("anvil_reorg", 1, [])
    here.registry.commit(here.wallets.publisher, job.commit.root)  # instead of the one that is gone
    (here.home("other").path / "heads.json").unlink()
    with here.publisher(home="other") as publisher:
        if step == "signed":
            with pytest.raises(ForeignCommitError, match="commit 1"):
                publisher.publish(request("b", quad(2)))
        else:
            found = publisher.publish(request("b", quad(3)))
            assert (found.seq, found.count) == (2, 3)


def test_a_publisher_is_opened_with_what_its_home_says(here: World) -> None:
    home = here.home()
    home.keep_chain(here.settings())
    with open_publisher(home, here.wallets, waits=QUICK) as publisher:
        publisher.publish(request("a"))
    with open_publisher(home, here.wallets, settings=here.settings(here.url), policy=PROMPT) as publisher:
        publisher.publish(request("b"))
    here.check("a", "b")


def test_a_lost_journal_loses_no_signed_commit(here: World) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
    with here.publisher(at=stop_at("kept")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(7)))
    for path in here.homes.glob("home/jobs.db*"):
        path.unlink()
    with here.publisher() as publisher:
        found = publisher.publish(request("c", quad(8)))
    assert (found.seq, found.count) == (3, 3)
    assert [event.commit.seq for event in here.events()] == [1, 2, 3]
    assert [job.request for job in here.journal()[0]] == ["recovered commit 2", "c"]


def test_a_home_of_another_registry_is_refused(here: World) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
    domain = replace(here.domain, registry=b"\x77" * 20)
    home = here.home("mixed")
    kept = here.home().commit(1)
    assert kept is not None
    home.keep_commit(SignedCommit.make(domain, kept.commit, KEY))
    with here.publisher(home="mixed") as publisher, pytest.raises(JournalError, match="another publisher or for"):
        publisher.publish(request("b"))


def test_a_journal_of_another_registry_is_refused(here: World) -> None:
    with here.publisher() as publisher:
        publisher.publish(request("a"))
    with (
        here.publisher(wallets=Wallets.of(OTHER_KEY)) as publisher,
        pytest.raises(JournalError, match="a home publishes for one publisher"),
    ):
        publisher.publish(request("b"))


def test_pages_that_are_lost_after_signing_are_an_error_and_no_second_commit(here: World) -> None:
    with here.publisher(at=stop_at("signed")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    for path in here.home().store.iterdir():
        path.unlink()
    with here.publisher() as publisher:
        for _ in range(2):
            with pytest.raises(JournalError, match="pages of commit 1"):
                publisher.publish(request("b"))
    assert here.events() == []


def test_a_signed_commit_that_is_lost_is_an_error_and_not_signed_again(here: World) -> None:
    with here.publisher(at=stop_at("signed")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"))
    (here.home().path / "commits" / "1").unlink()
    with here.publisher() as publisher, pytest.raises(JournalError, match="bring the folder"):
        publisher.resume()
    assert here.events() == []


def test_a_planned_pages_root_is_kept_and_is_not_the_head(here: World) -> None:
    with here.publisher() as publisher:
        first = publisher.publish(request("a", quad(1)))
    with here.publisher(at=stop_at("planned")) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("b", quad(2)))
    (job,) = (job for job in here.journal()[0] if job.request == "b")
    with SqliteStore(here.home().store, read_only=True) as store:
        assert store.head() == first.root
        assert CID_PREFIX + job.commit.root in store.heads()


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_a_home_in_use_is_waited_for_and_then_refused(here: World) -> None:
    time = FakeTime()
    told: list[str] = []
    with (
        home_lock(here.home().path, QUICK, FakeTime().waiting(), lambda *_: None),
        here.publisher(waiting=time.waiting()) as publisher,
        pytest.raises(HomeBusyError, match="another process publishes from"),
    ):
        publisher.publish(request("a"), lambda text, _done, _wanted: told.append(text))
    assert time.now - 1000.0 >= QUICK.lock_s
    assert "another process publishes" in told[0]
    with here.publisher() as publisher:
        publisher.publish(request("a"))


def test_a_home_that_cannot_be_made_is_an_error(here: World) -> None:
    (here.homes / "file").write_text("")
    with here.publisher(home="file/home") as publisher, pytest.raises(StoreError, match="cannot be made"):
        publisher.publish(request("a"))


def test_keys_are_in_no_text() -> None:
    wallets = Wallets.of(KEY)
    for text in (repr(wallets), str(wallets), f"{wallets.signer}", repr(wallets.payer)):
        assert KEY.hex() not in text
        assert repr(KEY) not in text
    assert not hasattr(wallets.signer, "__dict__")


STEPS = ["begin", "head", "pages", "planned", "kept", "signed", "built", "broadcast", "sent", "receipt", "proved"]


@pytest.mark.parametrize("step", [*STEPS, "mined", "stored"])
def test_an_interrupt_at_any_step_is_resumed_by_the_same_object(here: World, step: str) -> None:
    armed = [False]

    def at(reached: str) -> None:
        if armed[0] and reached == step:
            armed[0] = False
            raise KeyboardInterrupt

    with here.publisher(at=at) as publisher:
        publisher.publish(request("a", quad(1)))
        armed[0] = True
        with pytest.raises(KeyboardInterrupt):
            publisher.publish(request("b", quad(2)))
        publisher.resume()
        found = publisher.publish(request("b", quad(2)))
        assert (found.seq, found.count) == (2, 2)
    here.check("a", "b")


def test_edits_see_the_dataset_that_is_on_the_chain(here: World) -> None:
    seen: list[bytes | None] = []

    def edit(_pages: Pages, base: bytes | None) -> Change:
        seen.append(base)
        return adds(quad(len(seen)))(_pages, base)

    with here.publisher() as publisher:
        first = publisher.publish(Request("a", "a", edit))
        publisher.publish(Request("b", "b", edit))
    assert seen == [None, first.root]
