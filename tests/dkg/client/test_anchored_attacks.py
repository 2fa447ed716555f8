"""Attacks on a client, each with what stands against it, and what one endpoint that is believed can do (G1, B4, C5)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.chain.log import LogError
from dkg.chain.secp import checksum
from dkg.client import search
from dkg.client.anchored import (
    CLOCK_BEHIND_MAX_S,
    Anchor,
    AnchoredAnswer,
    PendingError,
    RollbackError,
    StaleError,
    State,
)
from dkg.client.chainread import LOGS_MAX, FinalityError
from dkg.client.rpc import ChainError, RpcAnswerError, RpcTooLongError
from dkg.client.search import CANDIDATES_MAX, find_commit
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError, ProofError
from node.devnet.chain import devnet
from tests.chain.lies import (
    FAULTS,
    INVENTIONS,
    as_of,
    dead,
    edited,
    first,
    honest,
    narrow_range,
    only,
    refused,
)
from tests.chain.world import DEPTH, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chain.proxy import Request, Response, Rule

QUERY = "SELECT ?o { <http://e/a> <http://e/p> ?o }"
DAY_S = 86_400


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        yield made


@pytest.fixture
def here(built: World) -> Iterator[World]:
    with built.undone():
        yield built


def anchored_dataset(here: World) -> tuple[bytes, bytes]:
    """A dataset, committed: its root, and the proof of an answer."""
    store = dkg.MemoryPageStore()
    root = dkg.build(dkg.load(b'<http://e/a> <http://e/p> "x" .', format="nt"), store)
    here.registry.commit(here.publisher, root[4:])
    return root, dkg.prove(store, root, QUERY).car


def time_of(here: World, block: str | int = "latest") -> int:
    tag = hex(block) if isinstance(block, int) else block
    return int(here.rpc("eth_getBlockByNumber", tag, False)["timestamp"], 16)  # noqa: FBT003 - JSON-RPC


# --- endpoints that do not prove -----------------------------------------------------------------------------------


def unproved(rule: Rule = honest) -> Rule:
    """An endpoint that does not offer proofs."""
    return lambda request, response: (
        response.with_error(request, -32601, "no") if request.method == "eth_getProof" else rule(request, response)
    )


def test_what_an_endpoint_says_without_proof_is_not_remembered(here: World) -> None:
    # Else one lie would make the client refuse the true chain for ever.
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    far = (7 << 48 | 0).to_bytes(32)
    trusted = TrustedHeads(None)

    def lie(request: Request, response: Response) -> Response:
        if request.method == "eth_getStorageAt" and response.result[-14:] == "01000000000000":
            return response.with_result(request, "0x" + far.hex())
        return response

    here.proxy.rule = unproved()
    head = here.client(trusted, allow_unproved=True).head()
    assert (head.anchor, head.state) == (Anchor.RPC, State.FINAL)
    here.proxy.rule = unproved(lie)
    with pytest.raises(ProofError):
        here.client(trusted, allow_unproved=True).head()
    for final in (True, False):
        assert trusted.get(here.registry.domain, here.publisher, final=final) is None
    assert here.client(trusted, allow_unproved=True).last_final() is None
    here.proxy.rule = honest
    assert here.client(trusted).head().anchor is Anchor.PROVED


@pytest.mark.parametrize("proofs", [1, 2, 3, 4])
def test_an_endpoint_that_proves_one_part_and_refuses_the_other_has_proved_nothing(here: World, proofs: int) -> None:
    # The head proved, the entry on its word: with that, any root could be called proved.
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    here.registry.commit(here.publisher)
    trusted = TrustedHeads(None)
    left = proofs

    def stingy(request: Request, response: Response) -> Response:
        nonlocal left
        if request.method != "eth_getProof":
            return response
        left -= 1
        return response if left >= 0 else response.with_error(request, -32601, "no")

    here.proxy.rule = stingy
    client = here.client(trusted, allow_unproved=True)
    head = client.head() if proofs == 1 else client.head(final=True)
    assert (head.anchor, head.anchored.proved) == (Anchor.RPC, False)
    assert "on the endpoint's word" in head.sentence()
    assert trusted.get(here.registry.domain, here.publisher, final=proofs > 1) is None
    here.proxy.rule, left = stingy, proofs
    with pytest.raises(ChainError):
        here.client().head(final=proofs > 1)


def test_an_endpoint_without_proofs_does_not_take_a_client_behind_what_was_proved(here: World) -> None:
    here.registry.commit(here.publisher)
    here.registry.commit(here.publisher)
    here.mine(DEPTH)
    trusted = TrustedHeads(None)
    here.client(trusted).head()
    here.proxy.rule = unproved(as_of(here.rpc.url, here.registry.first_block + 1))
    with pytest.raises(RollbackError):
        here.client(trusted, allow_unproved=True).head()


def test_an_unproved_head_is_no_licence_for_a_client_that_does_not_allow_it(here: World) -> None:
    _, proof = anchored_dataset(here)
    here.proxy.rule = unproved()
    head = here.client(allow_unproved=True).head()
    assert here.client(allow_unproved=True).verify(proof, QUERY, head=head).head.anchor is Anchor.RPC
    with pytest.raises(InputError, match="was not proved"):
        here.client().verify(proof, QUERY, head=head)


# --- one endpoint that makes blocks up -----------------------------------------------------------------------------


def test_one_endpoint_alone_can_make_up_the_newest_block_and_answers_say_that_it_was_one(here: World) -> None:
    # Nothing in a block says that it is the chain's. Proofs bind all else to it; who names it must be trusted.
    committed = here.registry.commit(here.publisher)
    here.mine(1)
    here.proxy.rule = INVENTIONS["higher block"]()
    head = here.client().head()
    assert (head.committed, head.state, head.endpoints) == (committed, State.FINAL, 1)  # it is not final
    assert head.describe()["endpoints"] == 1
    assert "proved from the block hash that 1 endpoint names" in head.sentence()
    here.proxy.rule = INVENTIONS["younger block"]()
    assert here.client().head().age <= 0  # it is an hour old, for all we know


# --- searches ------------------------------------------------------------------------------------------------------


def high_chain(number: int, rule: Rule = honest) -> Rule:
    """The chain as if it had so many blocks."""
    invented = INVENTIONS["higher block"]()

    def higher(request: Request, response: Response) -> Response:
        if request.method == "eth_getBlockByNumber" and request.params[0] == "latest":
            block = response.result | {"number": hex(number - 1000)}
            return invented(request, response.with_result(request, block))
        return rule(request, invented(request, response))

    return higher


def no_events(request: Request, response: Response) -> Response:
    return response.with_result(request, []) if request.method == "eth_getLogs" else response


def test_an_endpoint_that_hides_events_on_a_long_chain_is_given_up_after_few_requests(here: World) -> None:
    here.registry.commit(here.publisher)
    here.proxy.rule = high_chain(20_000_000, no_events)
    with pytest.raises(ProofError, match="does not show commit 1"):
        here.client().head()
    assert here.proxy.calls.count("eth_getLogs") == 15
    here.proxy.calls.clear()
    here.proxy.rule = high_chain(2**64 - 1, no_events)
    with pytest.raises(ProofError, match="does not show commit 1"):
        here.client().head()
    assert here.proxy.calls.count("eth_getLogs") < 60


def test_an_endpoint_that_takes_few_blocks_at_once_cannot_make_the_search_explode(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.registry.commit(here.publisher)
    monkeypatch.setattr("dkg.client.chainread.LOGS_REQUESTS_MAX", 50)

    here.proxy.rule = high_chain(
        20_000_000, lambda rq, rs: narrow_range(1000)(rq, rs) if rq.method == "eth_getLogs" else rs
    )
    with pytest.raises(RpcAnswerError, match="use another endpoint"):
        here.client().head()
    # Windows of 1, 2, 4, 8, 16 and 32 thousand blocks, and the limit for the next.
    assert here.proxy.calls.count("eth_getLogs") < 2 * 50 + 50


def test_the_search_ends_where_the_registry_begins(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_WINDOW", 10)
    here.mine(20)
    committed = here.registry.commit(here.publisher)
    here.mine(30)
    asked: list[tuple[int, int]] = []

    def noted(request: Request, response: Response) -> Response:
        if request.method == "eth_getLogs":
            asked.append((int(request.params[0]["fromBlock"], 16), int(request.params[0]["toBlock"], 16)))
        return response

    here.proxy.rule = noted
    assert here.client().head().committed == committed
    top = here.height()
    assert asked == [(top - 9, top), (top - 29, top - 10), (here.registry.first_block, top - 30)]


def test_a_commit_that_somebody_shows_saves_the_search_and_is_believed_only_if_it_is_the_one(here: World) -> None:
    older = here.registry.commit(here.publisher)
    committed = here.registry.commit(here.publisher)
    assert here.client().head(shown=committed).committed == committed
    assert "eth_getLogs" not in here.proxy.calls
    for other in (older, replace(committed, time=1), replace(committed, prior_position=7)):
        here.proxy.calls.clear()
        assert here.client().head(shown=other).committed == committed
        assert "eth_getLogs" in here.proxy.calls


def repeated(count: int) -> Rule:
    """The true event, and before it is found so many with its position and another root."""

    def edit(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        forged = [logs[-1] | {"data": f"0x{number + 1:064x}" + logs[-1]["data"][66:]} for number in range(count)]
        return [*logs, *forged]

    return edited(("eth_getLogs",), lambda logs: edit(logs) if logs else logs)


def test_forged_events_are_passed_over_and_not_without_end(here: World) -> None:
    committed = here.registry.commit(here.publisher)
    here.proxy.rule = repeated(CANDIDATES_MAX - 1)
    assert here.client().head().committed == committed
    here.proxy.rule = repeated(CANDIDATES_MAX)
    with pytest.raises(ProofError, match=f"shows {CANDIDATES_MAX} forged events"):
        here.client().head()


def test_events_of_other_positions_cost_no_questions(here: World) -> None:
    committed = here.registry.commit(here.publisher)

    def many(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        words = logs[-1]["data"]
        return (
            [logs[-1], *(logs[-1] | {"data": words[:-48] + f"{n + 5:012x}" + words[-36:]} for n in range(500))]
            if logs
            else logs
        )

    here.proxy.rule = edited(("eth_getLogs",), many)
    assert here.client().head().committed == committed
    assert here.proxy.calls.count("eth_getBlockByNumber") <= 2


def test_a_window_with_too_many_events_is_made_smaller(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [here.registry.commit(here.publisher) for _ in range(6)]
    monkeypatch.setattr("dkg.client.chainread.LOGS_MAX", 2)
    assert here.client().head().committed == commits[-1]
    monkeypatch.setattr("dkg.client.chainread.LOGS_MAX", 0)
    with pytest.raises(RpcTooLongError):
        here.client().head()
    assert LOGS_MAX > 2


def test_a_malformed_event_is_refused(here: World) -> None:
    committed = here.registry.commit(here.publisher)
    client = here.client()
    head = client.head().anchored
    here.proxy.rule = edited(("eth_getLogs",), lambda logs: [log | {"data": log["data"][:-2]} for log in logs])
    with pytest.raises(ProofError, match="none of the registry's events"):
        find_commit(here.reader(), here.registry.address, head.head, committed.entry(), head.block)
    with pytest.raises(ProofError, match="does not show"):
        find_commit(here.reader(), here.registry.address, head.head, committed.entry(), head.block, 10**9)


# --- freshness -----------------------------------------------------------------------------------------------------


def test_an_endpoint_that_hides_the_newest_blocks_is_told_by_the_age(here: World) -> None:
    here.registry.commit(here.publisher)
    hidden = here.height()
    here.rpc("evm_increaseTime", hex(3600))
    here.registry.commit(here.publisher)
    here.now = time_of(here)
    assert here.client().head(max_age=600).age == 0
    here.proxy.rule = as_of(here.rpc.url, hidden)
    head = here.client().head()
    assert head.committed is not None
    assert head.committed.commit.seq == 1
    assert 3600 <= head.age < 3700
    assert f"{head.age} s old" in head.sentence()
    with pytest.raises(StaleError):
        here.client().head(max_age=600)


def test_the_age_is_that_of_the_block_whose_state_is_told(here: World) -> None:
    first_commit = here.registry.commit(here.publisher)
    here.mine(1)
    old = here.height()
    here.rpc("evm_increaseTime", hex(3600))
    here.mine(DEPTH - 1)
    here.registry.commit(here.publisher)
    here.now = time_of(here)
    assert here.client().head(max_age=0).age == 0
    final = here.client().head(final=True)
    assert (final.committed, final.anchored.block.number) == (first_commit, old)
    assert final.age == here.now - time_of(here, old) >= 3600
    with pytest.raises(StaleError, match=f"block {old}, as of which this is"):
        here.client().head(final=True, max_age=3599)


SKEWS = [sign * by for by in (1, 30, 59, 60, 61, 600, DAY_S, 30 * DAY_S, 365 * DAY_S, 3650 * DAY_S) for sign in (1, -1)]


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("max_age", [0, 120])
def test_a_clock_that_is_wrong_never_makes_what_is_old_young(here: World, skew: int, max_age: int) -> None:
    # A clock that is ahead refuses more. One that is behind by more than a minute refuses all: ages mean nothing then.
    here.registry.commit(here.publisher)
    true = time_of(here)
    here.now = true + skew
    client = here.client()
    assert client.head().age == skew
    if -CLOCK_BEHIND_MAX_S <= skew <= max_age:
        assert client.head(max_age=max_age).age == skew
        return
    with pytest.raises(StaleError, match="ahead of this device's clock" if skew < 0 else "is accepted"):
        client.head(max_age=max_age)


def test_a_clock_that_is_behind_is_shown(here: World) -> None:
    here.registry.commit(here.publisher)
    here.now = time_of(here) - 500
    assert "500 s ahead of this device's clock" in here.client().head().sentence()


@pytest.mark.parametrize("max_age", [-1, float("nan"), -float("inf")])
def test_an_age_that_is_none_is_refused(here: World, max_age: float) -> None:
    here.registry.commit(here.publisher)
    with pytest.raises(InputError, match="an age is 0 seconds or more"):
        here.client().head(max_age=max_age)


# --- heads that were learned before --------------------------------------------------------------------------------


def test_a_head_learned_before_is_as_old_as_it_is_now(here: World) -> None:
    _, proof = anchored_dataset(here)
    here.now = time_of(here)
    client = here.client()
    head = client.head(max_age=60)
    assert head.age == 0
    here.now += 3600
    answer = client.verify(proof, QUERY, head=head)
    assert isinstance(answer, AnchoredAnswer)
    assert (answer.head.age, answer.describe()["age_seconds"]) == (3600, 3600)
    assert "3600 s old" in answer.sentence()
    with pytest.raises(StaleError):
        client.verify(proof, QUERY, head=head, max_age=60)


def test_a_head_learned_before_is_final_where_that_is_asked_for(here: World) -> None:
    _, proof = anchored_dataset(here)
    client = here.client()
    pending = client.head()
    with pytest.raises(PendingError, match="this head is not final"):
        client.verify(proof, QUERY, head=pending, final=True)
    here.mine(DEPTH)
    assert client.verify(proof, QUERY, head=client.head(), final=True).head.state is State.FINAL
    assert client.verify(proof, QUERY, final=True).head.state is State.FINAL


B4 = {name: FAULTS[name] for name in FAULTS.keys() - {"slow", "trickle"}} | {"refused": lambda: refused(-32000)}


@pytest.mark.parametrize("name", sorted(B4))
@pytest.mark.parametrize("minutes", [1, 10, 60, 600, 6000])
def test_what_was_final_is_served_with_its_age_while_the_endpoint_fails(here: World, name: str, minutes: int) -> None:
    root, proof = anchored_dataset(here)
    here.mine(DEPTH)
    here.now = time_of(here)
    client = here.client(reader=here.reader(bytes_max=100_000))
    assert client.last_final() is None
    assert client.head().state is State.FINAL
    here.now += 60 * minutes
    here.proxy.rule = B4[name]()
    with pytest.raises(ChainError):
        client.head()
    cached = client.last_final()
    assert cached is not None
    assert (cached.root, cached.state, cached.age) == (root, State.FINAL, 60 * minutes)
    answer = client.verify(proof, QUERY, head=cached, final=True, max_age=60 * minutes)
    assert (len(answer.answer.rows), answer.head.age) == (1, 60 * minutes)
    with pytest.raises(StaleError):
        client.verify(proof, QUERY, head=cached, max_age=60 * minutes - 1)
    here.proxy.rule = first(2, B4[name]()) if name in {"busy", "dead", "half a response"} else honest
    here.proxy.calls.clear()
    assert client.head().root == root  # and back it is


# --- what is final -------------------------------------------------------------------------------------------------


def test_nothing_is_final_before_it_is_buried(here: World) -> None:
    here.registry.commit(here.publisher)
    client = here.client(depth=here.height() + 5)
    with pytest.raises(PendingError, match="nothing of the registry is final yet"):
        client.head(final=True)  # so deep there was no registry
    with pytest.raises(ProofError, match="committed nothing up to block"):
        here.client(depth=1).head(final=True).root  # noqa: B018 - there was a registry, and no commit
    here.mine(1)
    assert here.client(depth=1).head(final=True).state is State.FINAL


def test_that_there_is_no_commit_is_final_when_the_block_is(here: World) -> None:
    assert here.client().head().state is State.PENDING
    here.mine(DEPTH)
    head = here.client().head(final=True)
    assert (head.committed, head.state, head.anchored.block.number) == (None, State.FINAL, here.height() - DEPTH)
    assert re.match(r"0x\w{40} has no commit, final at block", head.sentence())
    assert {"seq": 0, "position": None, "anchored_block": None}.items() <= head.describe().items()


def test_a_client_with_a_larger_finality_depth_is_not_alarmed_by_one_with_a_smaller(here: World) -> None:
    first_commit = here.registry.commit(here.publisher)
    here.mine(DEPTH)
    second = here.registry.commit(here.publisher)
    here.mine(1)
    trusted = TrustedHeads(None)
    assert here.client(trusted, depth=1).head().committed == second
    final = here.client(trusted).head(final=True)
    assert (final.committed, final.state) == (first_commit, State.FINAL)
    assert trusted.get(here.registry.domain, here.publisher, final=True) == second  # and it forgets nothing


def test_an_older_block_of_another_chain_is_found_out(here: World) -> None:
    # The newest block is of one chain, the one that is final of another: each is right, together they are not.
    here.mine(DEPTH)
    snapshot = here.rpc("evm_snapshot")
    here.registry.commit(here.publisher, b"\x66" * 32)
    number = hex(here.height())
    forked = here.rpc("eth_getBlockByNumber", number, False)  # noqa: FBT003 - JSON-RPC
    logs = here.rpc("eth_getLogs", {"fromBlock": number, "toBlock": number})
    storage: dict[str, Any] = {}

    def remember(request: Request, response: Response) -> Response:
        if request.method == "eth_getProof":
            storage[str(request.params[1])] = response.result
        return response

    here.proxy.rule = remember
    here.client().head()
    here.rpc("evm_revert", snapshot)
    here.registry.latest.clear()
    here.registry.commit(here.publisher)
    here.mine(DEPTH - 1)
    here.registry.commit(here.publisher)

    def mixed(request: Request, response: Response) -> Response:
        match request.method:
            case "eth_getBlockByNumber" if request.params[0] == number:
                return response.with_result(request, forked)
            case "eth_getProof" if request.params[2]["blockHash"] == forked["hash"]:
                return response.with_result(request, storage[str(request.params[1])])
            case "eth_getLogs":
                return response.with_result(request, logs + response.result)
        return response

    here.proxy.rule = mixed
    with pytest.raises(FinalityError, match="the endpoint mixes two chains"):
        here.client().head(final=True)


# --- what was seen before ------------------------------------------------------------------------------------------


def test_commits_that_are_all_gone_are_told_once(here: World) -> None:
    snapshot = here.rpc("evm_snapshot")
    here.registry.commit(here.publisher)
    trusted = TrustedHeads(None)
    client = here.client(trusted)
    client.head()
    here.rpc("evm_revert", snapshot)
    here.mine(2)
    head = client.head()
    assert (head.committed, head.went_back) == (None, True)
    assert "no commit is shown: the chain was reorganised, or blocks are hidden" in head.sentence()
    assert not client.head().went_back
    assert trusted.get(here.registry.domain, here.publisher, final=False) is None


def test_an_endpoint_that_lags_makes_nothing_forgotten(here: World) -> None:
    before = here.registry.commit(here.publisher)
    latest = here.registry.commit(here.publisher)
    trusted = TrustedHeads(None)
    here.client(trusted).head()
    here.proxy.rule = as_of(here.rpc.url, before.block)
    for _ in range(2):
        head = here.client(trusted).head()
        assert (head.committed, head.went_back) == (before, True)
        assert trusted.get(here.registry.domain, here.publisher, final=False) == latest
    here.proxy.rule = honest
    assert not here.client(trusted).head().went_back


def test_another_chain_with_the_same_registry_is_refused_and_says_where_the_memory_is(here: World) -> None:
    here.registry.commit(here.publisher, b"\x11" * 32)
    here.mine(DEPTH)
    trusted = TrustedHeads(None)
    here.client(trusted).head()
    with devnet() as restarted, world(restarted.url) as other:  # a development chain that was started anew
        assert other.registry.address == here.registry.address
        with pytest.raises(RollbackError, match="kept in memory"):
            other.client(trusted).head()
        other.registry.commit(other.publisher, b"\x22" * 32)
        with pytest.raises(FinalityError, match="kept in memory"):
            other.client(trusted).head()
        for reader in other.opened:
            reader.close()


def test_a_forged_previous_root_which_no_entry_has_changes_nothing_that_is_believed(here: World) -> None:
    # Events name the root before. The log's entry does not: of a proved head it is the one thing that is hearsay.
    here.registry.commit(here.publisher)
    committed = here.registry.commit(here.publisher)

    def forged(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        words = logs[-1]["data"]
        return [*logs[:-1], logs[-1] | {"data": words[:66] + "66" * 32 + words[130:]}]

    here.proxy.rule = edited(("eth_getLogs",), forged)
    trusted = TrustedHeads(None)
    for shown in (None, committed):
        head = here.client(trusted).head(shown=shown)
        assert head.committed is not None
        assert (head.committed.entry(), head.went_back) == (committed.entry(), False)
        assert head.root[4:] == committed.commit.root
    here.mine(DEPTH)
    assert here.client(trusted).head().state is State.FINAL
    with pytest.raises(LogError, match="does not follow from the root of the commit before"):
        here.follower().step()  # it has that root
    here.proxy.rule = honest
    assert not here.client(trusted).head(shown=committed).went_back


# --- what answers say ----------------------------------------------------------------------------------------------


def test_an_answer_says_what_it_claims(here: World) -> None:
    _, proof = anchored_dataset(here)
    here.mine(DEPTH)
    here.now = time_of(here) + 7
    answer = here.client().verify(proof, QUERY)
    committed = here.registry.latest[here.publisher]
    assert answer.describe() == {
        "claim": "L1",
        "state": "final",
        "anchor": "proved",
        "endpoints": 1,
        "chain_id": 31337,
        "registry": checksum(here.registry.address),
        "publisher": checksum(here.publisher),
        "seq": 1,
        "position": 0,
        "anchored_block": committed.block,
        "anchored_time": committed.time,
        "block": here.height(),
        "block_hash": here.rpc("eth_getBlockByNumber", "latest", False)["hash"],  # noqa: FBT003 - JSON-RPC
        "block_time": time_of(here),
        "age_seconds": 7,
        "finality_depth": DEPTH,
        "went_back": False,
    }
    assert answer.sentence() == (
        f"signed by {checksum(here.publisher)}, complete as of commit 1, final at block {here.height()} "
        f"(proved from the block hash that 1 endpoint names; 7 s old; final after {DEPTH} blocks)"
    )


def test_a_client_closes_what_it_asks_with(here: World) -> None:
    here.registry.commit(here.publisher)
    with here.client() as client:
        client.head()
    here.proxy.rule = only(("eth_chainId",), dead())
    with pytest.raises(ChainError):
        client.head()
