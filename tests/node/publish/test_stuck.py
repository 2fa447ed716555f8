"""Row B6 of the fault matrix: stuck and used nonces, replacement, gas above the cap, an empty wallet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.chain.secp import checksum, keccak256
from node.publish.decide import NONCES_MAX
from node.publish.errors import (
    EmptyWalletError,
    ForeignCommitError,
    GasCapError,
    RejectedError,
    SignerError,
    StuckError,
)
from node.publish.fees import BUMP, GWEI, FeePolicy
from node.publish.sender import REFUSALS_MAX
from node.publish.wallet import Wallet, Wallets
from tests.chain.lies import edited, honest, only, refused
from tests.chain.proxy import proxy
from tests.node.publish.world import PATIENT, PAYER_KEY, PROMPT, FakeTime, World, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.publish.waits import Progress


def each_time(*actions: Callable[[], object]) -> Progress:
    """At the n-th wait the n-th action; the last one from then on."""
    count = 0

    def progress(_text: str, _done: int, _wanted: int) -> None:
        nonlocal count
        action = actions[min(count, len(actions) - 1)]
        count += 1
        action()

    return progress


def base_fee(world: World, gwei: float) -> None:
    """What the next block burns."""
    world.rpc("anvil_setNextBlockBaseFeePerGas", hex(int(gwei * GWEI)))


def dearer_block(world: World, gwei: float) -> Callable[[], None]:
    def mine() -> None:
        base_fee(world, gwei)
        world.mine()

    return mine


# --- replacement -----------------------------------------------------------------------------------------------------


def test_a_transaction_that_pays_too_little_by_now_is_replaced(real: World) -> None:
    real.set_automine(False)
    with real.publisher(policy=PROMPT) as publisher:
        publisher.publish(request("a"), each_time(dearer_block(real, 50), real.mine))
    real.check("a")
    first, second = real.attempts("a")
    assert first.nonce == second.nonce
    more, of = BUMP
    assert second.fees.max_fee * of >= first.fees.max_fee * more
    assert second.fees.tip * of >= first.fees.tip * more


def test_replacement_is_bounded(real: World) -> None:
    real.set_automine(False)
    policy = replace(PROMPT, max_fee_cap=10**6 * GWEI, replacements_max=3)
    gwei = 10.0

    def spike() -> None:
        nonlocal gwei
        gwei *= 8  # more than twice the base fee and the tip
        dearer_block(real, gwei)()

    with real.publisher(policy=policy) as publisher:
        with pytest.raises(StuckError, match="replaced 3 times"):
            publisher.publish(request("a"), each_time(spike))
        attempts = real.attempts("a")
        assert (len(attempts), len({attempt.nonce for attempt in attempts})) == (4, 1)
        assert str(real.journal()[0][0].state) == "sent"
        base_fee(real, 1)
        real.mine()
        real.set_automine(True)
        publisher.resume()
    real.check("a")


def test_one_that_was_replaced_may_be_the_one_that_is_mined(real: World) -> None:
    real.set_automine(False)

    def old_one_wins() -> None:
        first, second = real.attempts("a")
        real.rpc("anvil_dropTransaction", "0x" + second.hash.hex())
        base_fee(real, 1)
        real.mine()  # cheap again
        base_fee(real, 1)
        real.rpc("eth_sendRawTransaction", "0x" + first.raw.hex())
        real.mine()

    with real.publisher(policy=PROMPT) as publisher:
        found = publisher.publish(request("a"), each_time(dearer_block(real, 50), old_one_wins))
    real.check("a")
    assert found.transaction == real.attempts("a")[0].hash


def test_a_refused_price_is_quoted_anew(real: World) -> None:
    """The base fee rises between the question and the sending."""
    done: list[str] = []

    def at(step: str) -> None:
        if step == "built" and not done:
            done.append(step)
            base_fee(real, 60)

    with real.publisher(at=at) as publisher:
        publisher.publish(request("a"))
    real.check("a")
    assert [attempt.refused for attempt in real.attempts("a")] == [True, False]


def test_prices_that_are_always_refused_end(here: World) -> None:
    always = only(("eth_sendRawTransaction",), refused(-32000, "transaction underpriced"))
    with proxy(here.url, always) as between, here.publisher(between.url) as publisher:
        with pytest.raises(RejectedError, match="transaction underpriced"):
            publisher.publish(request("a"))
        assert between.calls.count("eth_sendRawTransaction") == REFUSALS_MAX
        between.rule = honest
        publisher.resume()
    here.check("a")


def test_a_refusal_without_remedy_is_told(here: World) -> None:
    always = only(("eth_sendRawTransaction",), refused(-32000, "sanctioned"))
    with proxy(here.url, always) as between, here.publisher(between.url) as publisher:
        with pytest.raises(RejectedError, match="sanctioned"):
            publisher.publish(request("a"))
        between.rule = honest
        publisher.publish(request("b"))
    here.check("a", "b")


# --- the cap ---------------------------------------------------------------------------------------------------------


def test_gas_above_the_cap_sends_nothing(either: World) -> None:
    with either.publisher(policy=FeePolicy(max_fee_cap=10)) as publisher:
        for _ in range(2):
            with pytest.raises(GasCapError, match=r"gas is above your cap.*the cap is 0.00000001 gwei"):
                publisher.publish(request("a"))
    assert (either.attempts("a"), either.states("a")) == ([], ["planned", "signed"])
    with either.publisher() as publisher:
        publisher.publish(request("b"))
    either.check("a", "b")


def test_a_replacement_above_the_cap_waits_for_cheaper_gas(real: World) -> None:
    real.set_automine(False)
    base_fee(real, 1)
    real.mine()
    with real.publisher(policy=replace(PROMPT, max_fee_cap=3 * GWEI)) as publisher:
        with pytest.raises(GasCapError, match="a transaction waits that pays"):
            publisher.publish(request("a"), each_time(dearer_block(real, 50)))
        (only_one,) = real.attempts("a")
        base_fee(real, 1)
        real.mine()
        found = publisher.resume(each_time(real.mine))
    assert found is not None
    assert found.transaction == only_one.hash
    real.check("a")


# --- an empty wallet -------------------------------------------------------------------------------------------------


def test_an_empty_wallet_says_how_much_to_send_where(either: World) -> None:
    wallets = Wallets.of(keccak256(b"a poor key"))
    here = replace(either, wallets=wallets)
    with here.publisher() as publisher:
        with pytest.raises(EmptyWalletError, match="cannot pay for gas: it has 0 ether") as caught:
            publisher.publish(request("a"))
        assert checksum(wallets.publisher) in str(caught.value)
        here.fund(wallets.publisher, caught.value.missing)
        publisher.resume()
    here.check("a")


def test_a_wallet_that_has_just_enough_pays_less_at_most(either: World) -> None:
    wallets = Wallets.of(keccak256(b"a thrifty key"))
    here = replace(either, wallets=wallets)
    with here.publisher() as publisher:
        with pytest.raises(EmptyWalletError) as caught:
            publisher.publish(request("a"))
        here.fund(wallets.publisher, caught.value.missing * 9 // 10)
        publisher.resume()
    here.check("a")
    (attempt,) = here.attempts("a")
    assert attempt.gas * attempt.fees.max_fee <= caught.value.missing * 9 // 10


def test_an_endpoint_that_sees_less_money_is_told_of(here: World) -> None:
    poor = only(("eth_sendRawTransaction",), refused(-32000, "insufficient funds for gas * price + value"))
    with proxy(here.url, poor) as between, here.publisher(between.url) as publisher:
        with pytest.raises(EmptyWalletError, match="insufficient funds"):
            publisher.publish(request("a"))
        between.rule = honest
        publisher.resume()
    here.check("a")


# --- nonces that others use ------------------------------------------------------------------------------------------


def test_another_wallet_takes_the_nonce(either: World) -> None:
    either.set_automine(False)

    def foreign() -> None:
        either.rpc("eth_sendRawTransaction", either.payment(either.nonce()))
        either.mine()

    with either.publisher() as publisher:
        publisher.publish(request("a"), each_time(foreign, either.mine))
    either.check("a")
    first, second = either.attempts("a")
    assert second.nonce == first.nonce + 1
    assert either.states("a") == ["planned", "signed", "sent", "dropped", "sent", "mined"]
    (reason,) = (entry.reason for entry in either.journal()[1]["a"] if entry.state == "dropped")
    assert f"nonce {first.nonce} was used up" in reason


def test_another_wallet_that_always_is_faster_ends_it(here: World) -> None:
    here.set_automine(False)

    def foreign() -> None:
        here.rpc("eth_sendRawTransaction", here.payment(here.nonce()))
        here.mine()

    with here.publisher() as publisher:
        with pytest.raises(StuckError, match=f"{NONCES_MAX} nonces were used up"):
            publisher.publish(request("a"), each_time(foreign))
        assert len(here.attempts("a")) == NONCES_MAX
        here.set_automine(True)
        publisher.resume()
    here.check("a")


def test_a_payment_that_waits_goes_first(either: World) -> None:
    either.set_automine(False)
    either.rpc("eth_sendRawTransaction", either.payment(either.nonce()))
    before = either.nonce()
    with either.publisher() as publisher:
        publisher.publish(request("a"), each_time(either.mine))
    either.check("a")
    (attempt,) = either.attempts("a")
    assert attempt.nonce == before + 1


def test_a_payment_that_is_stuck_in_front_is_named_and_left_alone(here: World) -> None:
    here.set_automine(False)
    nonce = here.nonce()
    here.rpc("eth_sendRawTransaction", here.payment(nonce, 2))
    with here.publisher(policy=PROMPT) as publisher:
        with pytest.raises(StuckError, match=f"another one with nonce {nonce}, which was not sent from here"):
            publisher.publish(request("a"), each_time(here.mine))
        here.rpc("eth_sendRawTransaction", here.payment(nonce))  # its owner speeds it up
        here.mine()
        publisher.resume()
    here.check("a")
    assert len(here.attempts("a")) == 1


def test_a_transaction_that_a_pool_has_is_not_sent_again(here: World) -> None:
    """It waits behind another one; blocks come, and the pool still has it."""
    here.set_automine(False)
    nonce = here.nonce()
    here.rpc("eth_sendRawTransaction", here.payment(nonce, 2))

    def sped_up() -> None:
        here.rpc("eth_sendRawTransaction", here.payment(nonce))
        here.mine()

    with proxy(here.url, honest) as between, here.publisher(between.url) as publisher:
        publisher.publish(request("a"), each_time(here.mine, here.mine, sped_up))
    assert between.calls.count("eth_sendRawTransaction") == len(here.attempts("a")) == 1
    assert "dropped" not in here.states("a")
    here.check("a")


def test_a_gap_in_the_nonces_is_filled_and_what_was_behind_it_commits_nothing(here: World) -> None:
    """An endpoint forges what waits in its pool; the commit has a nonce that is too high, and waits."""
    forged = edited(("eth_getTransactionCount",), lambda result: hex(int(result, 16) + 5))
    nonce = here.nonce()

    def honest_again() -> None:
        between.rule = honest
        here.mine()

    with proxy(here.url, forged) as between, here.publisher(between.url, policy=PROMPT) as publisher:
        publisher.publish(request("a"), each_time(honest_again))
    assert [attempt.nonce - nonce for attempt in here.attempts("a")] == [5, 0]
    for after in range(1, 5):
        here.rpc("eth_sendRawTransaction", here.payment(nonce + after))
    here.mine()
    assert here.nonce() == nonce + 6  # the one that waited was mined too, and reverted
    here.check("a")


def test_a_nonce_far_ahead_is_not_believed(here: World) -> None:
    forged = edited(("eth_getTransactionCount",), lambda result: hex(int(result, 16) + 17))
    with proxy(here.url, forged) as between, here.publisher(between.url) as publisher:
        publisher.publish(request("a"))
    here.check("a")


def test_another_home_that_is_faster_is_not_taken_for_us(here: World) -> None:
    """While our commit waits, somebody with the same key anchors another one in its place."""

    def other_home() -> None:
        here.registry.latest[here.wallets.publisher] = here.events()[-1]
        here.rpc("anvil_dropTransaction", "0x" + here.attempts("b")[-1].hash.hex())
        here.set_automine(True)
        here.registry.commit(here.wallets.publisher)

    with here.publisher() as publisher:
        publisher.publish(request("a"))
        here.set_automine(False)
        for _ in range(2):
            with pytest.raises(ForeignCommitError, match="commit 2"):
                publisher.publish(request("b"), each_time(other_home))
    assert here.states("b") == ["planned", "signed", "sent"]


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_chain_that_stands_still_is_told_of(here: World) -> None:
    here.set_automine(False)
    time = FakeTime()
    with here.publisher(waiting=time.waiting(), waits=PATIENT) as publisher:
        with pytest.raises(StuckError, match="no block came in 20 s"):
            publisher.publish(request("a"))
        assert time.now - 1000 >= PATIENT.patience_s
        here.mine()
        publisher.resume()
    here.check("a")
    assert len(here.attempts("a")) == 1


def test_finality_that_does_not_come_is_told_of(here: World) -> None:
    time = FakeTime()
    with here.publisher(waiting=time.waiting(), waits=PATIENT) as publisher:
        with pytest.raises(StuckError, match="commit 1 is on the chain and not final, and no block came in 20 s"):
            publisher.publish(request("a"), wait="final")
        here.mine(2)
        found = publisher.resume(wait="final")
    assert found is not None
    assert str(found.state) == "final"
    here.check("a")


def test_a_transaction_of_yesterday_is_sent_again_before_it_is_replaced(here: World) -> None:
    """Another process starts: its pool may have forgotten the transaction, which is no reason to pay more."""
    here.set_automine(False)
    with here.publisher(policy=PROMPT) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"), each_time(interrupt))
    (attempt,) = here.attempts("a")
    here.rpc("anvil_dropTransaction", "0x" + attempt.hash.hex())
    here.mine(5)
    with here.publisher(policy=PROMPT) as publisher:
        found = publisher.publish(request("a"), each_time(here.mine))
    assert found.transaction == attempt.hash
    here.check("a")


@pytest.mark.parametrize("is_lost", [True, False])
def test_another_account_takes_over_paying(here: World, is_lost: bool) -> None:  # noqa: FBT001 - of a test
    """The one that paid first has nonces of its own, and its transaction may still be mined."""
    for nonce in range(5):
        here.rpc("eth_sendRawTransaction", here.payment(nonce))
    here.set_automine(False)
    with here.publisher(policy=PROMPT) as publisher, pytest.raises(KeyboardInterrupt):
        publisher.publish(request("a"), each_time(interrupt))
    (attempt,) = here.attempts("a")
    if is_lost:
        here.rpc("anvil_dropTransaction", "0x" + attempt.hash.hex())
    wallets = replace(here.wallets, payer=Wallet(PAYER_KEY))
    with here.publisher(policy=PROMPT, wallets=wallets) as publisher:
        publisher.publish(request("a"), each_time(here.mine))
    assert [sent.nonce for sent in here.attempts("a")] == [5, 0]
    here.check("a")


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("waits", [1, 2, 3, 7])
def test_an_interrupted_wait_is_resumed(here: World, waits: int) -> None:
    here.set_automine(False)
    with here.publisher() as publisher:
        with pytest.raises(KeyboardInterrupt):
            publisher.publish(request("a"), each_time(*[lambda: None] * (waits - 1), interrupt))
        here.mine()
        publisher.resume()
        here.set_automine(True)
        with pytest.raises(KeyboardInterrupt):
            publisher.publish(request("b"), each_time(interrupt), wait="final")
        here.mine(2)
        found = publisher.resume(wait="final")
    assert found is not None
    assert found.seq == 2
    here.check("a", "b")


# --- lies about gas --------------------------------------------------------------------------------------------------


def test_an_estimate_that_is_too_high_is_not_paid(here: World) -> None:
    dear = edited(("eth_estimateGas",), lambda _result: hex(29_000_000))
    with proxy(here.url, dear) as between, here.publisher(between.url) as publisher:
        with pytest.raises(RejectedError, match="29000000 gas"):
            publisher.publish(request("a"))
        between.rule = honest
        publisher.resume()
    here.check("a")


def test_an_estimate_that_is_too_low_reverts_and_ends(here: World) -> None:
    low = edited(("eth_estimateGas",), lambda _result: hex(30_000))
    with proxy(here.url, low) as between, here.publisher(between.url) as publisher:
        with pytest.raises(StuckError, match="nonces were used up"):
            publisher.publish(request("a"))
        between.rule = honest
        publisher.resume()
    here.check("a")


def test_what_the_registry_would_refuse_is_not_sent(here: World) -> None:
    """The signer is revoked after the head was read."""
    done: list[str] = []

    def at(step: str) -> None:
        if step == "signed" and not done:
            done.append(step)
            here.registry.call("revoke", here.wallets.publisher, sender=here.wallets.publisher)

    with here.publisher(at=at) as publisher, pytest.raises(SignerError, match="revoked"):
        publisher.publish(request("a"))
    assert here.attempts("a") == []
