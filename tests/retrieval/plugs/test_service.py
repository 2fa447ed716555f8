"""`Knowledge`: fresh at every question, in any thread, within bounds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.errors import InputError, RdfError, StoreError
from retrieval import remembered, sources
from retrieval.limits import TOKENS_MAX, TOKENS_MIN
from retrieval.model import LOCAL, AbsentKind, Claim, Snapshot
from retrieval.opening import PolicyFile, following
from retrieval.policy import PolicyError
from retrieval.proofs import claims, proof_id
from retrieval.service import (
    BusyError,
    Knowledge,
    NoModelError,
    NothingReadError,
    NotReadyError,
    PolicyLostError,
    UnknownProofError,
    Waits,
    term_of_text,
)
from retrieval.sources import Excluded
from tests.retrieval.plugs.world import CURIE, DISCOVERED, FACTS, FLEMING, PENICILLIN, RADIUM, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.retrieval.plugs.world import World

QUESTION = "Who discovered penicillin?"
FACT = "Alexander Fleming's discovered is penicillin."
WITHOUT = FACTS.replace(":discovered :penicillin ;", "")
DENY = "version: 1\npublishers:\n  deny: [local]\n"
ALLOW = "version: 1\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "db") as made:
        yield made


def test_a_retracted_fact_is_in_no_part_of_the_next_answer(here: World) -> None:
    knowledge = here.knowledge
    assert FACT in knowledge.retrieve(QUESTION).texts
    assert knowledge.check(FLEMING, DISCOVERED, PENICILLIN).fact is not None
    here.load(WITHOUT)
    assert FACT not in knowledge.retrieve(QUESTION).texts
    assert FACT not in knowledge.about(FLEMING).texts
    checked = knowledge.check(FLEMING, DISCOVERED, PENICILLIN)
    assert checked.fact is None
    assert checked.absent is not None


def test_proofs_of_an_old_answer_are_of_the_old_root(here: World) -> None:
    found = here.knowledge.retrieve(QUESTION)
    root = here.root
    here.load(WITHOUT)
    assert here.root != root
    made = here.knowledge.proof(found.proof)
    answer = dkg.verify(made.car, made.claimed.query, root)
    assert len(answer) == len(found.context.facts)


def test_whoever_guesses_a_question_cannot_guess_the_name_of_its_proofs(here: World) -> None:
    found = here.knowledge.retrieve(QUESTION)
    assert here.knowledge.retrieve(QUESTION).proof == found.proof
    with pytest.raises(UnknownProofError):
        here.knowledge.result(proof_id(found.context))
    with Knowledge(lambda: (found.context.snapshots, ())) as other:
        assert other.retrieve(QUESTION).proof != found.proof


def test_every_fact_of_an_answer_is_shown_by_its_proofs(here: World) -> None:
    found = here.knowledge.retrieve("What is the country of the place of birth of Marie Curie?", 300)
    shown: set[int] = set()
    for number, claimed in enumerate(here.knowledge.claims(found.proof), 1):
        answer = dkg.verify(here.knowledge.proof(found.proof, number).car, claimed.query, here.root)
        if claimed.facts:
            assert {int(str(row[0]).split('"')[1]) for row in answer.rows} == set(claimed.facts)
            shown |= set(claimed.facts)
    assert shown == set(range(1, len(found.context.facts) + 1)) != set()


def test_a_literal_cannot_end_the_query_of_its_proof_early(tmp_path: Path) -> None:
    text = r"\" ) } } # <x> \\\" \n } SELECT"
    with world(tmp_path, f'<{FLEMING}> <https://example.org/note> "{text}" .') as made:
        about = made.knowledge.about(FLEMING)
        checked = made.knowledge.check(FLEMING, "https://example.org/note", about.facts[0].statement.object.decode())
        (claimed,) = made.knowledge.claims(checked.proof)
        assert len(dkg.verify(made.knowledge.proof(checked.proof).car, claimed.query, made.root)) == 1


# --- policies ------------------------------------------------------------------------------------------------------


def test_a_policy_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(ALLOW)
    with world(tmp_path / "db", policy=PolicyFile(str(file))) as made:
        assert made.knowledge.retrieve(QUESTION).context.facts
        assert made.knowledge.about(FLEMING).facts
        file.write_text(DENY)
        assert not made.knowledge.retrieve(QUESTION).context.facts
        about = made.knowledge.about(FLEMING)
        assert not about.facts
        assert any("the policy lets 0 of 1" in note for note in made.knowledge.retrieve(QUESTION).context.notes)
        checked = made.knowledge.check(FLEMING, DISCOVERED, PENICILLIN)
        assert checked.fact is None
        assert checked.absent is not None
        assert checked.absent.kind is AbsentKind.NOT_ASKED  # it is there, and the policy leaves it out: not absent
        file.write_text(ALLOW)
        assert made.knowledge.retrieve(QUESTION).context.facts


def test_a_policy_file_that_breaks_stops_answers_and_is_not_ignored(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(DENY)
    with world(tmp_path / "db", policy=PolicyFile(str(file))) as made:
        made.knowledge.retrieve(QUESTION)
        for broken in (b"version: [", b"\xff"):
            file.write_bytes(broken)
            with pytest.raises(PolicyLostError, match="policy"):
                made.knowledge.retrieve(QUESTION)
        file.unlink()
        with pytest.raises(PolicyLostError) as told:  # no fault of whoever asks, who is not told where it was
            made.knowledge.retrieve(QUESTION)
        assert str(tmp_path) not in str(told.value)
    with pytest.raises((PolicyError, InputError)):
        PolicyFile(str(file))


@pytest.mark.parametrize("failed", [True, False])
def test_where_no_publisher_can_be_read_nothing_is_said_to_be_nothing(here: World, failed: bool) -> None:  # noqa: FBT001
    excluded = [Excluded("did:x", "the chain does not answer", failed)]
    with Knowledge(lambda: ([], excluded)) as knowledge:
        if failed:
            for ask in (knowledge.retrieve, knowledge.chat, knowledge.about):
                with pytest.raises(NothingReadError, match="the chain does not answer"):
                    ask("urn:x")
        else:
            assert knowledge.retrieve(QUESTION).context.notes[-1].endswith("the chain does not answer")
    snapshot = sources.local(here.store, here.root)
    with Knowledge(lambda: ([snapshot], excluded)) as knowledge:
        assert knowledge.retrieve(QUESTION).context.facts  # one that fails stops no other


# --- many at once --------------------------------------------------------------------------------------------------


def test_threads_get_the_answers_that_one_gets(here: World) -> None:
    questions = [QUESTION, "What did Marie Curie discover?", "Where was Alexander Fleming born?"] * 6
    alone = [here.knowledge.retrieve(one).texts for one in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: here.knowledge.retrieve(one).texts, questions)) == alone


def test_whoever_waits_too_long_is_told_so(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()
    with world(tmp_path, waits=Waits(turn_s=0.01)) as made:
        real = made.knowledge._heads

        def slow() -> Any:  # noqa: ANN401
            begun.set()
            go.wait()
            return real()

        made.knowledge._heads = slow
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(made.knowledge.retrieve, QUESTION)
            begun.wait()
            with pytest.raises(BusyError):
                made.knowledge.retrieve(QUESTION)
            go.set()
            assert FACT in first.result().texts


def test_long_literals_do_not_fill_the_memory_with_answers(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = "".join(f':curie :note "Radium {number} {"x" * 10_000}" . ' for number in range(9))
    here.load(FACTS + facts)
    asked = [f"What is the note of Marie Curie? {number}" for number in range(4)]
    size = remembered.bytes_of(here.knowledge.retrieve(asked[0]))
    assert size > 10_000
    for most, kept in ((3 * size + 100, 3), (1, 1)):
        monkeypatch.setattr(remembered, "KEPT_BYTES", most)
        proofs = [here.knowledge.retrieve(one).proof for one in asked]
        found = [proof for proof in proofs if here.knowledge._answers.get(proof)]
        assert found == proofs[-kept:]


def test_only_so_many_answers_are_remembered(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 2)
    first = here.knowledge.check(FLEMING, DISCOVERED, PENICILLIN).proof
    second = here.knowledge.check(FLEMING, DISCOVERED, RADIUM).proof
    assert here.knowledge.result(first).proof == first
    assert here.knowledge.check(FLEMING, DISCOVERED, PENICILLIN).proof == first  # the same is the same
    here.knowledge.check(CURIE, DISCOVERED, RADIUM)
    assert here.knowledge.result(first).proof == first
    with pytest.raises(UnknownProofError):
        here.knowledge.proof(second)
    with pytest.raises(UnknownProofError):
        here.knowledge.proof(first, 2)


# --- following -------------------------------------------------------------------------------------------------------


def test_while_its_index_is_made_nothing_is_answered(tmp_path: Path) -> None:
    with world(tmp_path, follows=True) as made:
        with pytest.raises(NotReadyError):
            made.knowledge.retrieve(QUESTION)
        assert made.knowledge.follow()
        assert FACT in made.knowledge.retrieve(QUESTION).texts
        assert not made.knowledge.follow()


def test_an_index_that_is_behind_never_brings_back_what_is_gone(tmp_path: Path) -> None:
    with world(tmp_path, follows=True, waits=Waits(index_s=0.0)) as made:
        made.knowledge.follow()
        made.load(WITHOUT)
        found = made.knowledge.retrieve(QUESTION)
        assert FACT not in found.texts
        assert any("behind" in note for note in found.context.notes)
        made.knowledge.follow()
        made.load(FACTS)
        assert any("behind" in note for note in made.knowledge.retrieve(QUESTION).context.notes)
        made.knowledge.follow()
        found = made.knowledge.retrieve(QUESTION)
        assert FACT in found.texts
        assert not any("behind" in note for note in found.context.notes)


def test_a_thread_that_follows_lets_the_next_question_see_what_is_new(tmp_path: Path) -> None:
    with (
        world(tmp_path, WITHOUT, follows=True, waits=Waits(index_s=60.0)) as made,
        following(made.knowledge, every_s=3600.0),
    ):
        while not made.knowledge.ready:
            made.knowledge.wanted(0.01)
        made.load(FACTS)
        assert FACT in made.knowledge.retrieve(QUESTION).texts


def test_a_follower_goes_on_after_a_failure_and_stops_when_told(tmp_path: Path) -> None:
    with world(tmp_path, follows=True) as made:
        real, failures = made.knowledge._heads, [StoreError("the disk is gone")]

        def heads() -> Any:  # noqa: ANN401
            if failures:
                raise failures.pop()
            return real()

        made.knowledge._heads = heads
        with following(made.knowledge, every_s=0.01):
            while not made.knowledge.ready:
                made.knowledge.wanted(0.01)
        assert not failures
    assert not [one for one in threading.enumerate() if one.name == "dkg-index"]


def test_an_index_that_cannot_be_built_is_told_once_and_not_for_ever(tmp_path: Path) -> None:
    place = tmp_path / "index"
    place.write_text("a file where a directory should be")
    told: list[Exception] = []
    with (
        world(tmp_path / "db") as made,
        Knowledge(made.knowledge._heads, follows=True, directory=place) as knowledge,
    ):
        tries, real = threading.Semaphore(0), knowledge.follow

        def follow() -> bool:
            tries.release()
            return real()

        knowledge.follow = follow  # type: ignore[method-assign]
        with following(knowledge, every_s=0.01, told=told.append):
            tries.acquire()
            tries.acquire()
            with pytest.raises(NotReadyError):
                knowledge.retrieve(QUESTION)
            place.unlink()
            while not knowledge.ready:
                knowledge.wanted(0.01)
    assert ["cannot write the index" in str(one) for one in told] == [True]


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_budget_at_its_limits_and_one_past_them(here: World) -> None:
    for tokens in (TOKENS_MIN, TOKENS_MAX):
        here.knowledge.retrieve(QUESTION, tokens)
    for tokens in (TOKENS_MIN - 1, TOKENS_MAX + 1):
        with pytest.raises(InputError, match="tokens"):
            here.knowledge.retrieve(QUESTION, tokens)


@pytest.mark.parametrize("question", ["", " ", "?!", "\ud800", "\x00", "x" * 100_000])
def test_what_is_no_question_is_refused(here: World, question: str) -> None:
    for ask in (here.knowledge.retrieve, here.knowledge.chat):
        with pytest.raises(InputError):
            ask(question)


def test_an_answer_needs_a_model(here: World) -> None:
    with pytest.raises(NoModelError):
        here.knowledge.answer(QUESTION)


def test_a_dataset_without_labels_is_answered_from_all_the_same(tmp_path: Path) -> None:
    with world(tmp_path, f"<{FLEMING}> <{DISCOVERED}> <{PENICILLIN}> .") as made:
        found = made.knowledge.retrieve("What has fleming discovered?")
        assert found.texts == ("fleming's discovered is penicillin.",)


def test_no_publisher_at_all_is_no_answer_and_no_proof() -> None:
    with Knowledge(lambda: ([], [])) as knowledge:
        found = knowledge.retrieve(QUESTION)
        assert not found.context.facts
        assert claims(found.context) == []
        assert knowledge.claims(found.proof) == []


def test_a_dataset_whose_pages_are_gone_is_an_error_and_no_empty_answer() -> None:
    gone = Snapshot(
        LOCAL, b"\x01\x71\x12\x20" + bytes(32), dkg.pages.StoredPages(dkg.pages.MemoryPageStore()), Claim.LOCAL
    )
    with Knowledge(lambda: ([gone], [])) as knowledge, pytest.raises(StoreError):
        knowledge.retrieve(QUESTION)


def test_terms_are_read_as_iris_ntriples_or_text() -> None:
    assert term_of_text(FLEMING) == f"<{FLEMING}>".encode()
    assert term_of_text(f" <{FLEMING}> ") == f"<{FLEMING}>".encode()
    assert term_of_text("Ada: a life", literal=True) == b'"Ada: a life"'
    assert term_of_text('say "hi"\n\\', literal=True) == rb'"say \"hi\"\n\\"'
    assert term_of_text('"1"^^<http://www.w3.org/2001/XMLSchema#integer>') == (
        b'"1"^^<http://www.w3.org/2001/XMLSchema#integer>'
    )
    for text in ("", "no iri", "<", '"', "<a b>", "<x> <y> <z>", '"a" . <s> <p> <o>', "\ud800"):
        with pytest.raises(RdfError):
            term_of_text(text)
