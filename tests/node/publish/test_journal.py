"""The journal: what is written is there after a restart, it is bounded, and damage is found."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import Commit, Domain
from dkg.chain.secp import address_of, keccak256
from dkg.errors import InputError
from node.publish import journal as module
from node.publish.errors import JournalError
from node.publish.fees import Fees
from node.publish.jobs import Attempt, JobState, Outcome
from node.publish.journal import ENTRIES_MAX, TEXT_MAX, Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHO = address_of(b"\x11" * 32)
DOMAIN = Domain(31337, b"\xaa" * 20)
OUTCOME = Outcome(b"\1" * 32, 7, b"\2" * 32, 60_000)


def commit(seq: int) -> Commit:
    previous = keccak256(b"%d" % (seq - 1)) if seq > 1 else bytes(32)
    return Commit(WHO, seq, keccak256(b"%d" % seq), 10 * seq, previous, 1_800_000_000 + seq)


def attempt(number: int, **more: bool) -> Attempt:
    raw = b"raw %d" % number
    return Attempt(keccak256(raw), WHO, number, Fees(2**64 + number, number), 60_000, b"data", raw, **more)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    """Opens the journal; each call closes the one before."""
    made: list[Journal] = []

    def again() -> Journal:
        if made:
            made[-1].close()
        made.append(Journal(tmp_path / "home" / "jobs.db", DOMAIN, WHO, lambda: 1000.0 + len(made)))
        return made[-1]

    yield again
    made[-1].close()


def test_what_is_written_is_there_after_a_restart(opened: Callable[[], Journal]) -> None:
    journal = opened()
    job = journal.plan("a", "label", commit(1))
    journal.keep_attempt(job, attempt(1))
    journal.keep_attempt(job, attempt(2))
    journal.refuse_attempt(attempt(1))
    journal = opened()
    assert journal.job("a") == journal.at_seq(1) == job
    assert journal.attempts(job) == [attempt(1, refused=True), attempt(2)]
    job = journal.move(job, JobState.SIGNED)
    job = journal.move(job, JobState.MINED, outcome=OUTCOME)
    journal = opened()
    assert journal.open_jobs() == [job]
    assert (job.state, job.outcome, job.started, job.updated) == (JobState.MINED, OUTCOME, 1001, 1002)
    assert [(entry.state, entry.at) for entry in journal.history(job)] == [
        (JobState.PLANNED, 1001),
        (JobState.SIGNED, 1002),
        (JobState.MINED, 1002),
    ]
    job = journal.move(job, JobState.DROPPED, "gone")
    assert (job.outcome, job.reason) == (OUTCOME, "gone")
    assert journal.move(job, JobState.FINAL).reason == ""
    assert (journal.open_jobs(), journal.attempts(job)) == ([], [])


def test_unknown_requests_have_no_job(opened: Callable[[], Journal]) -> None:
    journal = opened()
    assert (journal.job("a"), journal.at_seq(1), journal.jobs()) == (None, None, [])


def test_a_refused_transaction_that_is_signed_again_is_the_newest(opened: Callable[[], Journal]) -> None:
    journal = opened()
    job = journal.plan("a", "label", commit(1))
    for number in (1, 2):
        journal.keep_attempt(job, attempt(number))
    journal.refuse_attempt(attempt(1))
    journal.keep_attempt(job, attempt(1))
    assert journal.attempts(job) == [attempt(2), attempt(1)]


def test_only_one_job_is_in_preparation(opened: Callable[[], Journal]) -> None:
    journal = opened()
    job = journal.plan("a", "label", commit(1))
    with pytest.raises(RuntimeError, match="must not be"):
        journal.plan("b", "label", commit(2))
    job = journal.move(job, JobState.SIGNED)
    with pytest.raises(RuntimeError, match="must not be"):
        journal.plan("b", "label", commit(2))
    journal.move(job, JobState.SENT)
    journal.plan("b", "label", commit(2))


def test_a_number_has_one_job_and_a_request_one_commit(opened: Callable[[], Journal]) -> None:
    journal = opened()
    journal.move(journal.plan("a", "label", commit(1)), JobState.MINED, outcome=OUTCOME)
    for request, seq in (("b", 1), ("a", 2)):
        with pytest.raises(RuntimeError, match="must not be"):
            journal.plan(request, "label", commit(seq))
    assert len(journal.jobs()) == 1


def test_a_failed_request_can_be_planned_anew(opened: Callable[[], Journal]) -> None:
    journal = opened()
    journal.move(journal.plan("a", "label", commit(1)), JobState.FAILED, "the chain moved on")
    job = journal.plan("a", "label", commit(1))
    assert journal.jobs() == [job]


@pytest.mark.parametrize("field", ["request", "label"])
def test_texts_are_bounded(opened: Callable[[], Journal], field: str) -> None:
    journal = opened()

    def plan(text: str, seq: int) -> None:
        texts = {"request": f"r{seq}", "label": "label"} | {field: text}
        job = journal.plan(texts["request"], texts["label"], commit(seq))
        journal.move(job, JobState.SENT)

    plan("x" * TEXT_MAX, 1)
    for text in ("x" * (TEXT_MAX + 1), ""):
        with pytest.raises(InputError, match="1 to 1000 are allowed"):
            plan(text, 2)


def test_long_reasons_are_cut(opened: Callable[[], Journal]) -> None:
    journal = opened()
    job = journal.move(journal.plan("a", "label", commit(1)), JobState.DROPPED, "x" * 5000)
    assert journal.job("a") == job
    assert len(job.reason) == TEXT_MAX


def test_entries_and_transactions_of_a_job_are_bounded(
    opened: Callable[[], Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS_KEPT", 3)
    journal = opened()
    job = journal.plan("a", "label", commit(1))
    for number in range(4):
        journal.keep_attempt(job, attempt(number))
    assert journal.attempts(job) == [attempt(number) for number in (1, 2, 3)]
    for _ in range(ENTRIES_MAX // 2):
        job = journal.move(journal.move(job, JobState.SENT), JobState.DROPPED)
    states = [str(entry.state) for entry in journal.history(job)]
    assert states == ["sent", "dropped"] * (ENTRIES_MAX // 2)


def test_finished_jobs_are_kept_up_to_a_limit(opened: Callable[[], Journal], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISHED_MAX", 2)
    journal = opened()
    for seq in range(1, 5):
        job = journal.plan(f"r{seq}", "label", commit(seq))
        journal.keep_attempt(job, attempt(seq))
        journal.move(job, JobState.MINED, outcome=OUTCOME)
    for job in journal.jobs():
        journal.move(job, JobState.FINAL)
    assert [job.request for job in journal.jobs()] == ["r3", "r4"]
    rows = sqlite3.connect(journal._path).execute("SELECT count(*) FROM transactions, entries").fetchall()
    assert rows == [(0,)]


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_journal_of_others_says_whose_it_is(opened: Callable[[], Journal], tmp_path: Path) -> None:
    path = opened()._path
    for domain, who in ((replace(DOMAIN, chain_id=1), WHO), (replace(DOMAIN, registry=b"\xbb" * 20), WHO)):
        with pytest.raises(JournalError, match="0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa of chain 31337"):
            Journal(path, domain, who, lambda: 1.0)
    with pytest.raises(JournalError, match="use another home"):
        Journal(path, DOMAIN, b"\x55" * 20, lambda: 1.0)
    assert tmp_path in path.parents


def test_bytes_that_are_no_database_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalError, match=r"damaged.*Move it away"):
        Journal(path, DOMAIN, WHO, lambda: 1.0)
    assert path.read_bytes().startswith(b"not a database")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(JournalError, match="no journal of this release"):
        Journal(path, DOMAIN, WHO, lambda: 1.0)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "jobs.db", DOMAIN, WHO, lambda: 1.0)


CHANGES = [
    "UPDATE jobs SET root = x'00'",
    "UPDATE jobs SET seq = 0",
    "UPDATE jobs SET count = -1",
    "UPDATE jobs SET state = 'sending'",
    "UPDATE transactions SET raw = x'00'",
    "UPDATE transactions SET hash = x'00'",
    "UPDATE transactions SET tip = 'much'",
    "UPDATE owner SET registry = NULL",
    "DELETE FROM owner",
]


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_make_no_sense_are_found_before_use(opened: Callable[[], Journal], change: str) -> None:
    journal = opened()
    journal.keep_attempt(journal.plan("a", "label", commit(1)), attempt(1))
    other = sqlite3.connect(journal._path, isolation_level=None)
    other.execute(change)
    other.close()
    assert read_or_refused(opened) is None


def flipped(data: bytes, seed: int) -> bytes:
    """Data with one bit turned, of a byte that is not zero: free space is."""
    chance = random.Random(seed)
    places = [at for at, byte in enumerate(data) if byte]
    at = chance.choice(places)
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def read_or_refused(opened: Callable[[], Journal]) -> list[tuple[Commit, list[Attempt]]] | None:
    """All open jobs with their transactions; None if the journal says that it is damaged."""
    try:
        journal = opened()
        return [
            (job.commit, [replace(sent, refused=False) for sent in journal.attempts(job)])
            for job in journal.open_jobs()
        ]
    except JournalError:
        return None


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_is_found_before_it_is_used(opened: Callable[[], Journal], seed: int) -> None:
    """Row A6, as far as the journal goes: what comes back is an error, or what was written."""
    journal = opened()
    written = []
    for seq in range(1, 4):
        job = journal.plan(f"r{seq}", "label", commit(seq))
        journal.keep_attempt(job, attempt(seq))
        journal.move(job, JobState.SENT)
        written.append((commit(seq), [attempt(seq)]))
    journal.close()
    journal._path.write_bytes(flipped(journal._path.read_bytes(), seed))
    found = read_or_refused(opened)
    assert found is None or found == written
