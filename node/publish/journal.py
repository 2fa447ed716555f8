"""The journal of jobs, `jobs.db` in a home: what is being published, and every transaction signed for it.

A job is one commit on its way to the chain. Its states, in order:

| state     | what is durable                                                                                  |
|-----------|--------------------------------------------------------------------------------------------------|
| `planned` | the commit's fields; its pages are in the store                                                  |
| `signed`  | the signed commit is in the home: it is this one or none                                         |
| `sent`    | a transaction for it has been taken by an endpoint                                               |
| `mined`   | it was proved to be on the chain                                                                 |
| `final`   | so many blocks deep that it stays                                                                |
| `dropped` | a reorganisation took it off the chain, or no endpoint knows its transaction: it is sent again   |
| `failed`  | given up before it was signed; its request may be planned anew                                   |

`sent`, `mined` and `dropped` may alternate. A job is finished when it is `final` or `failed`. At most one job is
`planned` or `signed`: the next commit is planned when all before it are on the chain. Transactions are in the journal
before they are sent. SQLite in WAL mode with `synchronous=FULL`: what a method wrote is durable when it returns.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dkg.chain.secp import checksum
from dkg.errors import InputError
from node.publish.errors import JournalError
from node.publish.jobs import (
    ATTEMPT_COLUMNS,
    JOB_COLUMNS,
    Attempt,
    Entry,
    Job,
    JobState,
    Outcome,
    attempt_of,
    attempt_row,
    job_of,
    job_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dkg.chain.commit import Commit, Domain

FINISHED_MAX: Final = 1_000
"""Finished jobs that are kept; a request older than that is not recognised any more."""

ENTRIES_MAX: Final = 64
"""Changes of state that are kept for one job, the newest."""

ATTEMPTS_KEPT: Final = 256
"""Transactions that are kept for one job, the newest."""

TEXT_MAX: Final = 1_000
"""Longest request id, label and reason, in characters."""

_APPLICATION: Final = 0x646B676A
_VERSION: Final = 1
_WAIT_S: Final = 1.0

_SCHEMA: Final = """
CREATE TABLE owner (id INTEGER PRIMARY KEY CHECK (id = 1), chain INTEGER, registry BLOB, publisher BLOB) STRICT;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL UNIQUE, label TEXT NOT NULL,
    seq INTEGER NOT NULL, root BLOB NOT NULL, count INTEGER NOT NULL, previous BLOB NOT NULL, created INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL,
    tx BLOB, block INTEGER, block_hash BLOB, gas INTEGER,
    started INTEGER NOT NULL, updated INTEGER NOT NULL, checksum BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_job_per_seq ON jobs (seq) WHERE state <> 'failed';
CREATE UNIQUE INDEX one_job_in_preparation ON jobs ((1)) WHERE state IN ('planned', 'signed');
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE, sender BLOB NOT NULL, nonce INTEGER NOT NULL,
    max_fee TEXT NOT NULL, tip TEXT NOT NULL, gas INTEGER NOT NULL,
    data BLOB NOT NULL, raw BLOB NOT NULL, checksum BLOB NOT NULL, refused INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_of_job ON transactions (job);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    at INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX entries_of_job ON entries (job)
"""

_JOB_MARKS: Final = ", ".join("?" * len(JOB_COLUMNS.split(",")))
_ATTEMPT_MARKS: Final = ", ".join("?" * len(ATTEMPT_COLUMNS.split(",")))
_JOB: Final = f"SELECT {JOB_COLUMNS}, id FROM jobs"  # noqa: S608 - all of it is ours, here and below
_INSERT: Final = f"INSERT INTO jobs ({JOB_COLUMNS}) VALUES ({_JOB_MARKS})"  # noqa: S608
_UPDATE: Final = f"UPDATE jobs SET ({JOB_COLUMNS}) = ({_JOB_MARKS}) WHERE id = ?"  # noqa: S608
_ATTEMPT: Final = f"SELECT {ATTEMPT_COLUMNS}, refused FROM transactions"  # noqa: S608
_ATTEMPT_INSERT: Final = (
    f"INSERT OR REPLACE INTO transactions ({ATTEMPT_COLUMNS}, refused, job) VALUES ({_ATTEMPT_MARKS}, ?, ?)"  # noqa: S608
)


class Journal:
    """The journal of one publisher at one registry. The caller holds the home's lock."""

    def __init__(self, path: Path, domain: Domain, publisher: bytes, now: Callable[[], float]) -> None:
        """Open or make it. Raises `JournalError` if it is damaged, or another publisher's or registry's."""
        self._path, self._publisher, self._now = path, publisher, now
        with self._guard("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=rwc",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._guard("opened"):
                self._prepare(domain)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # --- reading -------------------------------------------------------------------------------------------

    def job(self, request: str) -> Job | None:
        """The job of a request, whatever its state."""
        return self._one(f"{_JOB} WHERE request = ?", request)

    def at_seq(self, seq: int) -> Job | None:
        """The job of a commit's number that has not failed."""
        return self._one(f"{_JOB} WHERE seq = ? AND state <> 'failed'", seq)

    def jobs(self) -> list[Job]:
        """All jobs that are kept, the oldest first."""
        with self._guard("read"):
            return [self._job(row) for row in self._db.execute(f"{_JOB} ORDER BY id")]

    def open_jobs(self) -> list[Job]:
        """The jobs that are not finished, by the number of their commit."""
        with self._guard("read"):
            rows = self._db.execute(f"{_JOB} WHERE state NOT IN ('final', 'failed') ORDER BY seq")
            return [self._job(row) for row in rows]

    def attempts(self, job: Job) -> list[Attempt]:
        """The transactions of a job, the oldest first."""
        with self._guard("read"):
            rows = self._db.execute(f"{_ATTEMPT} WHERE job = ? ORDER BY id", (job.id,))
            return [self._attempt(row) for row in rows]

    def history(self, job: Job) -> list[Entry]:
        """How a job's state changed, the oldest first."""
        with self._guard("read"):
            rows = self._db.execute("SELECT at, state, reason FROM entries WHERE job = ? ORDER BY id", (job.id,))
            return [Entry(at, JobState(state), reason) for at, state, reason in rows]

    # --- writing -------------------------------------------------------------------------------------------

    def plan(self, request: str, label: str, commit: Commit, state: JobState = JobState.PLANNED) -> Job:
        """Begin a job. One of the same request that failed is forgotten; raises `InputError` for texts too long."""
        for name, text in (("id", request), ("label", label)):
            if not 0 < len(text) <= TEXT_MAX:
                raise InputError(f"the {name} of a request has {len(text)} characters; 1 to {TEXT_MAX} are allowed")
        with self._writing() as now:
            self._db.execute("DELETE FROM jobs WHERE request = ? AND state = 'failed'", (request,))
            job = Job(0, request, label, commit, state, "", None, now, now)
            made = self._db.execute(_INSERT, job_row(job))
            job = replace(job, id=int(made.lastrowid or 0))
            self._enter(job)
        return job

    def move(self, job: Job, state: JobState, reason: str = "", outcome: Outcome | None = None) -> Job:
        """Change a job's state. `outcome`: replaces the one that is there, if given."""
        with self._writing() as now:
            job = replace(job, state=state, reason=reason[:TEXT_MAX], outcome=outcome or job.outcome, updated=now)
            self._db.execute(_UPDATE, (*job_row(job), job.id))
            self._enter(job)
            if state.finished:
                self._db.execute("DELETE FROM transactions WHERE job = ?", (job.id,))
                self._forget()
        return job

    def keep_attempt(self, job: Job, attempt: Attempt) -> None:
        """Keep a transaction that is about to be sent; one that was refused before counts as new."""
        with self._writing():
            self._db.execute(_ATTEMPT_INSERT, (*attempt_row(attempt), attempt.refused, job.id))
            self._only_newest("transactions", job.id, ATTEMPTS_KEPT)

    def refuse_attempt(self, attempt: Attempt) -> None:
        """Remember that no endpoint took a transaction."""
        with self._writing():
            self._db.execute("UPDATE transactions SET refused = 1 WHERE hash = ?", (attempt.hash,))

    # --- inside --------------------------------------------------------------------------------------------

    def _prepare(self, domain: Domain) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")
        if not self._pragma("schema_version"):
            self._create(domain)
        if (self._pragma("application_id"), self._pragma("user_version")) != (_APPLICATION, _VERSION):
            raise JournalError(f"{self._path} is no journal of this release; {_REMEDY}")
        if self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise self._damaged("its pages do not fit together")
        owner = self._db.execute("SELECT chain, registry, publisher FROM owner").fetchone()
        if owner != (domain.chain_id, domain.registry, self._publisher):
            raise self._another(owner)

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _create(self, domain: Domain) -> None:
        with self._writing():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            owner = (domain.chain_id, domain.registry, self._publisher)
            self._db.execute("INSERT INTO owner (id, chain, registry, publisher) VALUES (1, ?, ?, ?)", owner)
            self._db.execute(f"PRAGMA application_id={_APPLICATION}")
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    def _another(self, owner: Any) -> JournalError:  # noqa: ANN401 - a row
        match owner:
            case int(chain), bytes(registry), bytes(publisher) if len(registry) == len(publisher) == 20:  # noqa: PLR2004
                return JournalError(
                    f"{self._path} is of {checksum(publisher)} at the registry {checksum(registry)} of chain {chain}: "
                    "a home publishes for one publisher at one registry; use another home (--home DIR)"
                )
        return self._damaged("it does not say whose it is")

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """One transaction, durable when it ends; gives the time in Unix seconds."""
        with self._guard("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield int(self._now())
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk ends it on its own
                    self._db.execute("ROLLBACK")
                raise

    def _enter(self, job: Job) -> None:
        self._db.execute(
            "INSERT INTO entries (job, at, state, reason) VALUES (?, ?, ?, ?)",
            (job.id, job.updated, job.state, job.reason),
        )
        self._only_newest("entries", job.id, ENTRIES_MAX)

    def _only_newest(self, table: str, job: int, most: int) -> None:
        self._db.execute(
            f"DELETE FROM {table} WHERE job = ?1 AND id NOT IN "  # noqa: S608 - a name of ours
            f"(SELECT id FROM {table} WHERE job = ?1 ORDER BY id DESC LIMIT ?2)",
            (job, most),
        )

    def _forget(self) -> None:
        """Of the finished jobs, keep the newest."""
        self._db.execute(
            "DELETE FROM jobs WHERE state IN ('final', 'failed') AND id NOT IN "
            "(SELECT id FROM jobs WHERE state IN ('final', 'failed') ORDER BY id DESC LIMIT ?)",
            (FINISHED_MAX,),
        )

    def _one(self, query: str, value: str | int) -> Job | None:
        with self._guard("read"):
            row = self._db.execute(query, (value,)).fetchone()
            return None if row is None else self._job(row)

    def _job(self, row: tuple[Any, ...]) -> Job:
        *columns, number = row
        try:
            return job_of(columns, number, self._publisher)
        except (InputError, ValueError) as error:
            raise self._damaged(f"job {number} is not as it was written") from error

    def _attempt(self, row: tuple[Any, ...]) -> Attempt:
        *columns, refused = row
        try:
            return attempt_of(columns, refused=bool(refused))
        except ValueError as error:
            raise self._damaged("a transaction is not as it was written") from error

    def _damaged(self, what: str) -> JournalError:
        return JournalError(f"{self._path} is damaged: {what}. {_REMEDY}")

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise RuntimeError(f"a job that must not be: {error}") from error
        except sqlite3.DatabaseError as error:
            raise self._failure(doing, error) from error
        except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes it
            raise self._damaged("its text is no text") from error
        except OSError as error:
            raise JournalError(f"{self._path} cannot be {doing}: {error.strerror or error}") from error

    def _failure(self, doing: str, error: sqlite3.DatabaseError) -> JournalError:
        name = getattr(error, "sqlite_errorname", None) or ""
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or (not name and "decode" in str(error)):
            return self._damaged(str(error))
        if name == "SQLITE_FULL":
            return JournalError(f"{self._path} cannot be {doing}: the disk is full. Free space, then publish again")
        return JournalError(f"{self._path} cannot be {doing}: {error}. Check that you may read and write there")


_REMEDY: Final = (
    "Move it away with its -wal and -shm files, then publish again: commits and pages are elsewhere, and what was "
    "signed and is not on the chain is sent then"
)
