"""Following the log: what a follower keeps, and what endpoints that fail, lag or lie cannot do to it (B3 to B5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.log import LogError
from dkg.chain.registry import REVOKED_TOPIC, ROTATED
from dkg.client import blocks
from dkg.client import follower as module
from dkg.client.blocks import BLOCKS_AHEAD_MAX
from dkg.client.chainread import FinalityError
from dkg.client.follower import BehindError, Follower, ForgedPastError
from dkg.client.rpc import ChainError, RpcTooLongError
from node.devnet.chain import devnet
from tests.chain.lies import FAULTS, after, as_of, dead, edited, narrow_range, only, refused, rehashed
from tests.chain.world import DEPTH, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chain.proxy import Request, Response, Rule


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        yield made


@pytest.fixture
def here(built: World) -> Iterator[World]:
    with built.undone():
        yield built


def state(follower: Follower) -> tuple[object, ...]:
    """All that a follower knows of the log."""
    return follower.log.entries, follower.log.publishers


def fresh(here: World) -> tuple[object, ...]:
    """What an honest start from nothing gives."""
    rule, here.proxy.rule = here.proxy.rule, lambda _request, response: response
    follower = here.follower()
    assert follower.step().proved
    here.proxy.rule = rule
    return state(follower)


def rotate(here: World, who: bytes, signer: bytes) -> None:
    here.registry.call("rotate", who, signer, sender=who)


# --- what is followed ----------------------------------------------------------------------------------------------


def test_commits_and_changes_of_keys_are_followed(here: World) -> None:
    one, two, hot = here.registry.accounts[:3]
    follower = here.follower()
    assert (follower.head, follower.age(0), follower.final_block, follower.final_position) == (None, None, None, 0)
    first = here.registry.commit(one)
    rotate(here, one, hot)
    second = here.registry.commit(one, sender=hot)
    step = follower.step()
    assert (step.new_events, step.rolled_back, step.proved) == (3, 0, True)
    assert follower.log.entries == [first, second]
    assert [follower.log.signer_at(one, position) for position in (0, 1)] == [one, hot]
    here.registry.call("revoke", one, sender=hot)
    third = here.registry.commit(two)
    here.registry.call("retire", two, sender=two)
    step = follower.step()
    assert (step.new_events, step.head.number) == (3, here.height())
    assert follower.log.entries == [first, second, third]
    assert follower.log.signer_at(one, 2) is None
    assert follower.log.publishers[two].head.retired
    assert state(follower) == fresh(here)


def test_what_is_buried_is_final(here: World) -> None:
    follower = here.follower()
    for _ in range(2):
        here.registry.commit(here.publisher)
    follower.step()
    finals = [follower.final_position]
    for _ in range(DEPTH):
        here.mine(1)
        follower.step()
        finals.append(follower.final_position)
    assert finals == [0, 0, 1, 2]
    assert follower.final_block == here.height() - DEPTH


def test_a_step_without_news_asks_one_question(here: World) -> None:
    follower = here.follower()
    here.registry.commit(here.publisher)
    follower.step()
    here.proxy.calls.clear()
    step = follower.step()
    assert here.proxy.calls == ["eth_getBlockByNumber"]
    assert (step.new_events, step.proved) == (0, True)


def test_a_block_without_events_costs_little(here: World) -> None:
    follower = here.follower()
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    follower.step()
    here.mine(1)
    here.proxy.calls.clear()
    follower.step()
    by_number = ["eth_getBlockByNumber"] * 2  # the newest, and the one that is final now
    assert sorted(here.proxy.calls) == [*by_number, "eth_getLogs", "eth_getProof"]


def test_progress_is_told(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCKS_PER_REQUEST", 4)
    here.mine(10 - here.height())
    told: list[tuple[int, int]] = []
    here.follower().step(lambda reached, newest: told.append((reached, newest)))
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_the_age_goes_up_while_nothing_new_is_heard(here: World) -> None:
    follower = here.follower()
    time = follower.step().head.timestamp
    here.proxy.rule = dead()
    assert follower.age(time + 5) == 5
    with pytest.raises(ChainError):
        follower.step()
    assert follower.age(time + 3600.9) == 3600
    assert follower.age(time - 10) == -10  # the device's clock is behind


# --- endpoints that fail -------------------------------------------------------------------------------------------


FAILING = {name: FAULTS[name] for name in FAULTS.keys() - {"slow", "trickle"}} | {"refused": lambda: refused(-32000)}


@pytest.mark.parametrize("name", sorted(FAILING))
@pytest.mark.parametrize("at", [1, 2, 4, 6])
def test_what_was_final_is_served_while_an_endpoint_fails_and_followed_when_it_is_back(
    here: World, name: str, at: int
) -> None:
    follower = here.follower(reader=here.reader(bytes_max=100_000))
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    follower.step()
    known, final = state(follower), follower.final_position
    assert final == 1
    for who in here.registry.accounts[:2]:
        here.registry.commit(who)
    here.proxy.rule = after(len(here.proxy.calls) + at - 1, FAILING[name]())
    with pytest.raises(ChainError):
        follower.step()
    assert (follower.log.entries[:1], follower.final_position) == (known[0], final)
    here.proxy.rule = lambda _request, response: response
    step = follower.step()
    assert step.proved
    assert state(follower) == fresh(here)


def test_a_step_that_is_interrupted_goes_on_later(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCKS_PER_REQUEST", 2)
    for number in range(8):
        here.registry.commit(here.registry.accounts[number % 2])
    follower = here.follower()

    def stop(reached: int, newest: int) -> None:
        if reached >= newest // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follower.step(stop)
    assert 0 < len(follower.log.entries) < 8
    assert follower.head is None
    here.proxy.calls.clear()
    follower.step()
    assert state(follower) == fresh(here)


def test_endpoints_that_take_few_blocks_or_give_few_events_are_read_in_pieces(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        here.registry.commit(here.publisher)
    expected = fresh(here)
    here.proxy.rule = narrow_range(2)
    follower = here.follower()
    follower.step()
    assert state(follower) == expected
    here.proxy.rule = lambda _request, response: response
    monkeypatch.setattr("dkg.client.chainread.LOGS_MAX", 1)
    follower = here.follower()
    follower.step()
    assert state(follower) == expected
    monkeypatch.setattr("dkg.client.chainread.LOGS_MAX", 0)
    with pytest.raises(RpcTooLongError):
        here.follower().step()


# --- endpoints that lag, and chains that are reorganised -----------------------------------------------------------


def test_an_endpoint_that_lags_takes_nothing_back(here: World) -> None:
    follower = here.follower()
    for _ in range(4):
        here.registry.commit(here.publisher)
    head = follower.step().head
    known, final = state(follower), follower.final_position
    for lag in range(1, DEPTH + 1):
        here.proxy.rule = as_of(here.rpc.url, head.number - lag)
        step = follower.step()
        assert (step.head, step.rolled_back) == (head, 0)
        assert (state(follower), follower.final_position) == (known, final)


def test_an_endpoint_that_shows_less_than_what_was_final_is_behind(here: World) -> None:
    follower = here.follower()
    for _ in range(5):
        here.registry.commit(here.publisher)
    head = follower.step().head
    known = state(follower)
    here.proxy.rule = as_of(here.rpc.url, head.number - DEPTH - 1)
    with pytest.raises(BehindError, match="they lag, or hide the newest blocks"):
        follower.step()
    assert (follower.head, state(follower), follower.final_position) == (head, known, 2)


def test_a_reorganisation_before_the_first_commit_is_followed() -> None:
    with devnet() as chain, world(chain.url) as there:
        there.mine(5)
        follower = there.follower()
        follower.step()
        there.rpc("anvil_reorg", 1, [])
        there.mine(1)
        step = follower.step()
        assert (step.head.number, step.rolled_back) == (there.height(), 1)
        for reader in there.opened:
            reader.close()


@pytest.mark.parametrize("depth", range(1, DEPTH + 1))
def test_a_reorganisation_between_blocks_without_events_is_no_alarm(here: World, depth: int) -> None:
    # Only few blocks of a long way were looked at: a shallow reorganisation must not look deep.
    here.registry.commit(here.publisher)
    here.mine(50)
    follower = here.follower()
    follower.step()
    here.rpc("anvil_reorg", depth, [])
    here.registry.commit(here.registry.accounts[1])
    step = follower.step()
    assert step.rolled_back >= 1
    assert state(follower) == fresh(here)


def test_a_reorganisation_to_a_shorter_chain_is_followed_and_final_stays(here: World) -> None:
    snapshot, latest = None, None
    here.registry.commit(here.publisher)
    here.mine(4)
    snapshot, latest = here.rpc("evm_snapshot"), here.registry.latest.copy()
    here.registry.commit(here.publisher)
    here.mine(DEPTH - 1)
    follower = here.follower()
    follower.step()
    final = follower.final_block
    assert len(follower.log.entries) == 2
    here.rpc("evm_revert", snapshot)
    here.registry.latest = latest
    here.registry.commit(here.publisher, b"\7" * 32)
    step = follower.step()
    assert step.head.number < (final or 0) + DEPTH
    assert (follower.final_block, follower.log.entries[1].commit.root) == (final, b"\7" * 32)
    assert state(follower) == fresh(here)
    here.mine(DEPTH)
    follower.step()
    assert follower.final_position == 2


@pytest.mark.parametrize("deeper", range(1, 9))
def test_a_reorganisation_deeper_than_finality_raises_the_alarm_and_rewrites_nothing(here: World, deeper: int) -> None:
    here.registry.commit(here.publisher)
    here.mine(10)
    snapshot = here.rpc("evm_snapshot")
    follower = here.follower()
    here.registry.commit(here.publisher)
    here.mine(DEPTH + deeper - 1)
    follower.step()
    known, final = state(follower), (follower.final_position, follower.final_block)
    assert final[0] == 2
    kept = here.rpc("evm_snapshot")
    here.rpc("anvil_reorg", DEPTH + deeper, [])
    for _ in range(3):
        with pytest.raises(FinalityError, match=r"is not on the chain any more.*What was final is frozen"):
            follower.step()
        here.mine(5)  # however long the other chain gets
        assert (state(follower), (follower.final_position, follower.final_block)) == (known, final)
    here.rpc("evm_revert", kept)
    here.mine(1)
    follower.step()  # and when the endpoints come to their senses, it goes on
    assert state(follower) == known
    here.rpc("evm_revert", snapshot)


def test_a_reorganisation_in_the_middle_of_a_failing_step_loses_nothing(here: World) -> None:
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    snapshot, latest = here.rpc("evm_snapshot"), here.registry.latest.copy()
    here.registry.commit(here.publisher)
    follower = here.follower()
    head = follower.step().head
    kept, final = here.rpc("evm_snapshot"), follower.final_position
    here.rpc("anvil_reorg", 1, [])
    here.mine(1)
    here.proxy.rule = only(("eth_getLogs",), dead())
    with pytest.raises(ChainError):
        follower.step()
    assert (len(follower.log.entries), follower.final_position) == (1, final)
    here.proxy.rule = lambda _request, response: response
    here.rpc("evm_revert", kept)
    step = follower.step()  # the chain is the one of before again, its head is the one that is known
    assert (step.head, step.new_events, len(follower.log.entries)) == (head, 1, 2)
    here.rpc("evm_revert", snapshot)
    here.registry.latest = latest


# --- endpoints that lie --------------------------------------------------------------------------------------------


def test_a_forged_history_does_not_wedge_a_follower_for_ever(here: World) -> None:
    # More blocks with events than can be rolled back one by one.
    kept = 4 + 64
    for _ in range(kept + 10):
        here.registry.commit(here.publisher)
    forged = b"\x77" * 32

    def forge(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*logs[:-5], logs[-5] | {"data": "0x" + forged.hex() + logs[-5]["data"][66:]}, *logs[-4:]]

    for rule in (
        edited(("eth_getLogs",), forge),
        edited(("eth_getLogs",), lambda logs: logs[:-1]),
        edited(("eth_getLogs",), lambda logs: logs[1:]),
    ):
        follower = here.follower(depth=1)
        here.proxy.rule = rule
        for _ in range(2):
            with pytest.raises(LogError):
                follower.step()
        assert follower.log.entries == []
        here.proxy.rule = lambda _request, response: response
        assert follower.step().proved
        assert len(follower.log.entries) == kept + 10


def without(topics: tuple[bytes, ...]) -> Rule:
    """An endpoint that hides events."""
    hidden = {"0x" + topic.hex() for topic in topics}
    return edited(("eth_getLogs",), lambda logs: [log for log in logs if log["topics"][0] not in hidden])


def test_a_rotation_that_is_hidden_is_found_out(here: World) -> None:
    here.registry.commit(here.publisher)
    rotate(here, here.publisher, here.registry.accounts[1])
    here.proxy.rule = without((ROTATED,))
    with pytest.raises(LogError, match="the signers that events tell of are not those"):
        here.follower().step()


def test_a_rotation_forth_and_back_that_is_hidden_is_found_out_by_the_nonce(here: World) -> None:
    here.registry.commit(here.publisher)
    rotate(here, here.publisher, here.registry.accounts[1])
    rotate(here, here.publisher, here.publisher)
    here.proxy.rule = without((ROTATED,))
    with pytest.raises(LogError, match=r"changes of keys up to block .* are missing"):
        here.follower().step()


def test_a_change_of_keys_before_the_first_commit_that_was_hidden_is_proved_when_it_shows(here: World) -> None:
    who, hot = here.registry.accounts[2], here.registry.accounts[1]
    here.registry.commit(here.publisher)
    rotate(here, who, hot)
    follower = here.follower()
    here.proxy.rule = without((ROTATED,))
    assert follower.step().proved  # storage does not say which publishers there are
    here.proxy.rule = lambda _request, response: response
    here.registry.commit(who, sender=hot)
    with pytest.raises(ForgedPastError, match=r"a change of keys of 0x.* was left out before: begin anew"):
        follower.step()
    anew = here.follower()
    assert anew.step().proved
    assert state(anew) == fresh(here)
    assert anew.log.signer_at(who, 1) == hot


def test_a_change_of_keys_of_a_publisher_without_commits_that_was_hidden_is_found_out_when_it_is_doubted(
    here: World,
) -> None:
    who, hot, other = here.registry.accounts[2], here.registry.accounts[1], here.registry.accounts[3]
    here.registry.commit(here.publisher)
    rotate(here, who, hot)
    follower = here.follower()
    here.proxy.rule = without((ROTATED,))
    assert follower.step().proved
    here.proxy.rule = lambda _request, response: response
    follower.doubt(other)  # of whom there is nothing
    assert follower.step().proved
    follower.doubt(who)
    for _ in range(2):  # it stays in doubt until it is settled
        with pytest.raises(ForgedPastError, match=r"a change of keys of 0x.* was left out before: begin anew"):
            follower.step()
    anew = here.follower()
    anew.doubt(who)
    assert anew.step().proved
    assert anew.log.signer_at(who, 1) == hot


def test_so_many_publishers_are_doubted_at_once_and_no_more(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOUBTED_MAX", 2)
    who, hot = here.registry.accounts[2], here.registry.accounts[1]
    rotate(here, who, hot)
    follower = here.follower()
    here.proxy.rule = without((ROTATED,))
    follower.step()
    here.proxy.rule = lambda _request, response: response
    for one in (here.registry.accounts[3], here.registry.accounts[4], who):
        follower.doubt(one)
    assert follower.step().proved  # the third was left out
    follower.doubt(here.registry.accounts[3])
    follower.doubt(who)
    with pytest.raises(ForgedPastError):
        follower.step()


def test_a_change_of_keys_that_is_hidden_with_the_first_commit_blames_nothing_that_was_read_before(
    here: World,
) -> None:
    who, hot = here.registry.accounts[2], here.registry.accounts[1]
    follower = here.follower()
    follower.step()
    rotate(here, who, hot)
    here.registry.commit(who, sender=hot)
    here.proxy.rule = without((ROTATED,))
    with pytest.raises(LogError, match="the signers that events tell of") as caught:
        follower.step()
    assert not isinstance(caught.value, ForgedPastError)
    here.proxy.rule = lambda _request, response: response
    assert follower.step().proved
    assert state(follower) == fresh(here)


def test_a_revocation_that_is_hidden_is_found_out(here: World) -> None:
    here.registry.commit(here.publisher)
    follower = here.follower()
    follower.step()
    here.registry.call("revoke", here.publisher, sender=here.publisher)
    here.proxy.rule = without((REVOKED_TOPIC,))
    for _ in range(2):
        with pytest.raises(LogError, match="the signers that events tell of"):
            follower.step()
    here.proxy.rule = lambda _request, response: response
    follower.step()
    assert follower.log.signer_at(here.publisher, 1) is None


def test_events_of_blocks_that_were_not_asked_for_are_refused(here: World) -> None:
    here.registry.commit(here.publisher)
    here.proxy.rule = edited(("eth_getLogs",), lambda logs: [log | {"blockNumber": "0x999"} for log in logs])
    with pytest.raises(ChainError, match="not asked for"):
        here.follower().step()


def test_a_head_made_up_beyond_all_reason_is_refused_at_once(here: World) -> None:
    far = hex(here.height() + BLOCKS_AHEAD_MAX + 10)

    def invented(request: Request, response: Response) -> Response:
        if request.method != "eth_getBlockByNumber":
            return response
        number = far if request.params[0] == "latest" else request.params[0]
        block = response.result or here.rpc("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC
        return response.with_result(request, rehashed(block | {"number": number}))

    here.proxy.rule = invented
    here.proxy.calls.clear()
    with pytest.raises(LogError, match="no chain has that many blocks"):
        here.follower().step()
    assert here.proxy.calls == ["eth_getBlockByNumber"] * 2


# --- endpoints that do not prove -----------------------------------------------------------------------------------


def test_without_proofs_the_log_is_followed_and_marked_and_proved_later(here: World) -> None:
    here.registry.commit(here.publisher)
    follower = here.follower()
    here.proxy.rule = only(("eth_getProof",), refused())
    step = follower.step()
    assert (step.new_events, step.proved) == (1, False)
    here.mine(1)
    assert not follower.step().proved
    assert not follower.step().proved  # nothing new, and still not proved
    here.registry.commit(here.publisher)
    here.proxy.rule = lambda _request, response: response
    assert follower.step().proved
    assert state(follower) == fresh(here)


def test_what_was_taken_without_proof_is_proved_before_it_is_called_proved(here: World) -> None:
    here.registry.commit(here.publisher)
    follower = here.follower()

    def lying(request: Request, response: Response) -> Response:
        if request.method == "eth_getProof":
            return response.with_error(request, -32601, "no such method")
        if request.method == "eth_getLogs" and response.result:
            logs = [log | {"data": "0x" + "66" * 32 + log["data"][66:]} for log in response.result]
            return response.with_result(request, logs)
        return response

    here.proxy.rule = lying
    assert not follower.step().proved
    assert follower.log.entries[0].commit.root == b"\x66" * 32  # what it licenses: this is believed, and marked
    here.mine(1)
    here.proxy.rule = lambda _request, response: response
    with pytest.raises(ForgedPastError, match=r"commit 0 of the log, .* was a lie: begin anew"):
        follower.step()
