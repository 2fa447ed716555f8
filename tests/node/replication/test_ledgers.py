"""Buckets fill, penalties fade, and what is remembered of peers is bounded."""

from __future__ import annotations

from random import Random

import pytest

from node.replication.acquaintance import HEADS_MAX, LACKS_S, PEERS_MAX, ROOTS_MAX, STALLED_S, Acquaintances
from node.replication.bucket import Bucket
from node.replication.ledger import HALF_LIFE_S, LIE, REASONS_MAX, REMEMBERED_MAX, STALL, WHY_CHARACTERS_MAX, Ledger
from node.replication.messages import Anchored
from tests.node.replication.examples import EXAMPLES, cid

HELLO = EXAMPLES[0]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=5, now=0.0)
    for _ in range(5):
        assert bucket.wait_s(0.0) == 0
        bucket.take(1, 0.0)
    assert bucket.wait_s(0.0) == pytest.approx(0.1)
    assert bucket.wait_s(0.11) == 0


def test_an_overdrawn_bucket_has_to_fill_up_first() -> None:
    bucket = Bucket(rate=10, burst=5, now=0.0)
    bucket.take(105, 0.0)
    assert bucket.wait_s(0.0) == pytest.approx(10.1)
    assert bucket.wait_s(10.1) == pytest.approx(0.0)


def test_a_bucket_never_holds_more_than_its_burst_and_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(rate=10, burst=5, now=0.0)
    bucket.take(5, 1_000_000.0)
    assert bucket.wait_s(1_000_000.0) > 0
    assert bucket.wait_s(0.0) > 0
    assert bucket.wait_s(999_999.0) > 0


def test_two_lies_shut_a_peer_out_until_the_points_have_faded() -> None:
    ledger = Ledger()
    assert not ledger.penalise("a", LIE, 0.0)
    assert not ledger.is_out("a", 0.0)
    assert ledger.penalise("a", LIE, 0.0)
    assert ledger.is_out("a", 0.0)
    assert ledger.is_out("a", HALF_LIFE_S)  # 60 points
    assert not ledger.is_out("a", 1.5 * HALF_LIFE_S)
    assert ledger.points("a", 1.5 * HALF_LIFE_S) < 50


def test_one_who_never_answers_is_not_shut_out_for_it() -> None:
    ledger = Ledger()
    for time in range(10_000):
        assert not ledger.penalise("a", STALL, STALLED_S * time)


def test_the_ledger_forgets_whom_it_penalised_longest_ago() -> None:
    ledger = Ledger()
    for number in range(REMEMBERED_MAX + 10):
        ledger.penalise(f"{number}", 200, 0.0)
    assert ledger.points("0", 0.0) == 0
    assert not ledger.is_out("0", 0.0)
    assert ledger.is_out(f"{REMEMBERED_MAX + 9}", 0.0)


def test_the_newest_reasons_of_penalties_are_remembered_and_cut_to_size() -> None:
    ledger = Ledger()
    for number in range(REASONS_MAX + 3):
        ledger.penalise("a", STALL, float(number), f"{number}" + "x" * WHY_CHARACTERS_MAX)
    reasons = ledger.reasons("a")
    assert [one.at for one in reasons] == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert all(len(one.why) == WHY_CHARACTERS_MAX for one in reasons)
    for number in range(REMEMBERED_MAX):
        ledger.penalise(f"{number}", STALL, 0.0, "late")
    assert ledger.reasons("a") == []
    assert len(ledger._reasons) == REMEMBERED_MAX


def test_of_a_peer_the_latest_commit_of_each_publisher_is_remembered_that_it_said_it_has() -> None:
    known = Acquaintances(Random(1))
    assert known.heads("a") == ()
    assert known.agent("a") is None
    heads = [Anchored(publisher.to_bytes(20), 1, cid(publisher), 5, publisher) for publisher in range(HEADS_MAX + 5)]
    for head in heads:
        known.holds("a", head)
    known.holds("a", Anchored(heads[9].publisher, 2, cid(900), 6, 99))
    assert known.providers(cid(900), ["a"]) == ["a"]
    told = known.heads("a")
    assert [head.publisher for head in told] == sorted(head.publisher for head in heads[5:])
    assert [head.seq for head in told if head.publisher == heads[9].publisher] == [2]
    known.greeted("a", HELLO)  # type: ignore[arg-type]  # the first example is a greeting
    known.gone("a")
    assert known.agent("a") == "dkg/0.1"


def test_those_who_have_a_dataset_are_asked_first() -> None:
    known = Acquaintances(Random(1))
    known.has("c", cid(1))
    for _ in range(10):
        assert known.order(cid(1), ["a", "b", "c"], 0.0)[0] == "c"
    assert known.providers(cid(1), ["a", "c"]) == ["c"]
    assert known.providers(cid(2), ["a", "c"]) == []


def test_one_who_lacked_it_is_left_alone_for_a_while_unless_it_says_that_it_has_it_now() -> None:
    known = Acquaintances(Random(1))
    known.lacks("a", cid(1), 0.0)
    assert known.order(cid(1), ["a"], 1.0) == []
    assert known.order(cid(2), ["a"], 1.0) == ["a"]
    assert known.order(cid(1), ["a"], LACKS_S) == ["a"]
    known.lacks("a", cid(1), LACKS_S)
    known.has("a", cid(1))
    assert known.order(cid(1), ["a"], LACKS_S) == ["a"]


def test_one_who_is_away_is_asked_nothing_until_it_is_back() -> None:
    known = Acquaintances(Random(1))
    known.away("a", 10.0)
    known.away("a", 5.0)
    assert known.order(cid(1), ["a", "b"], 9.0) == ["b"]
    assert sorted(known.order(cid(1), ["a", "b"], 10.0)) == ["a", "b"]


def test_one_who_was_gone_has_to_greet_again() -> None:
    known = Acquaintances(Random(1))
    assert known.hello("a") is None
    known.greeted("a", HELLO)  # type: ignore[arg-type]  # the first example is a greeting
    assert known.hello("a") == HELLO
    known.gone("a")
    assert known.hello("a") is None
    known.gone("b")


def test_what_is_remembered_is_bounded_whatever_peers_claim() -> None:
    known = Acquaintances(Random(1))
    for number in range(PEERS_MAX + 100):
        known.has(f"{number}", cid(1))
    for number in range(ROOTS_MAX + 100):
        known.has("x", cid(number))
        known.lacks("x", cid(100_000 + number), 0.0)
    assert len(known._peers) == PEERS_MAX
    assert len(known._peers["x"].has) == ROOTS_MAX
    assert len(known._peers["x"].lacks) == ROOTS_MAX
    assert known.providers(cid(1), ["0"]) == []
