"""Jobs and their transactions, as values: what the journal keeps, and the rows in which it does.

A row ends with a checksum over its columns, so that a bit that flips on the disk is found before the row is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.commit import Commit
from node.publish.fees import Fees

if TYPE_CHECKING:
    from collections.abc import Sequence

JOB_COLUMNS: Final = (
    "request, label, seq, root, count, previous, created, state, reason, tx, block, block_hash, gas, started, updated, "
    "checksum"
)
ATTEMPT_COLUMNS: Final = "hash, sender, nonce, max_fee, tip, gas, data, raw, checksum"


class JobState(StrEnum):
    """How far a job is."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    DROPPED = "dropped"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self in {JobState.FINAL, JobState.FAILED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a commit is on the chain. `transaction`, `gas`: as endpoints tell; None if none does."""

    transaction: bytes | None
    block: int
    block_hash: bytes
    gas: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """One commit on its way. `request`: what it is known by; `label`: for people. Times in Unix seconds."""

    id: int
    request: str
    label: str
    commit: Commit
    state: JobState
    reason: str
    """Why it is `dropped` or `failed`; empty otherwise."""
    outcome: Outcome | None
    started: int
    updated: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction. `sender`: whose nonce it has. `data`: what it calls with. `raw`: what is sent."""

    hash: bytes
    sender: bytes
    nonce: int
    fees: Fees
    gas: int
    data: bytes
    raw: bytes
    refused: bool = False
    """Whether every endpoint refused to take it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of state. `at`: Unix seconds."""

    at: int
    state: JobState
    reason: str


def job_row(job: Job) -> tuple[Any, ...]:
    """The columns of a job."""
    commit, kept = job.commit, job.outcome
    where = (kept.transaction, kept.block, kept.block_hash, kept.gas) if kept else (None,) * 4
    fields = (commit.seq, commit.root, commit.count, commit.previous, commit.created)
    return _summed(job.request, job.label, *fields, str(job.state), job.reason, *where, job.started, job.updated)


def job_of(row: Sequence[Any], number: int, publisher: bytes) -> Job:
    """A job from its columns. Raises `ValueError` or `InputError` if they are not as they were written."""
    request, label, seq, root, count, previous, created, state, reason, tx, block, block_hash, gas, *times, _ = row
    commit = Commit(publisher, seq, root, count, previous, created)
    outcome = None if block is None else Outcome(tx, block, block_hash, gas)
    job = Job(number, request, label, commit, JobState(state), reason, outcome, *times)
    if job_row(job) != tuple(row):
        raise ValueError("the checksum is another")
    return job


def attempt_row(attempt: Attempt) -> tuple[Any, ...]:
    """The columns of a transaction that never change."""
    fees = (str(attempt.fees.max_fee), str(attempt.fees.tip))
    return _summed(attempt.hash, attempt.sender, attempt.nonce, *fees, attempt.gas, attempt.data, attempt.raw)


def attempt_of(row: Sequence[Any], *, refused: bool) -> Attempt:
    """A transaction from its columns. Raises `ValueError` if they are not as they were written."""
    digest, sender, nonce, max_fee, tip, gas, data, raw, _ = row
    attempt = Attempt(digest, sender, nonce, Fees(int(max_fee), int(tip)), gas, data, raw, refused)
    if attempt_row(attempt) != tuple(row):
        raise ValueError("the checksum is another")
    return attempt


def _summed(*columns: str | int | bytes | None) -> tuple[Any, ...]:
    return (*columns, sha256(repr(columns).encode()).digest()[:8])
