"""Several endpoints of one chain, of which `need` must agree: a dead, slow or lying one is survived.

Heads differ by a block or two between honest endpoints, so "latest" is asked as the highest block that `need` of them
have; everything else must be equal. An endpoint that takes long is not waited for once enough agree, and after a grace
it is left out until it is done; one that fails again and again rests. What each did wrong is kept in `reports`.

An endpoint counts once: one host and port given twice is refused. Whether two hosts are of one company, only you know;
and where `need` of them lie together, their lie is what is believed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from dkg.chain.header import Header
from dkg.client.chainread import ChainReader, UnprovableError
from dkg.client.rpc import ChainError
from dkg.errors import InputError, ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.client.chainread import Log

ENDPOINTS_MAX: Final = 16
"""Most endpoints that are asked at once."""

FAULTS_MAX: Final = 3
"""Faults in a row after which an endpoint is left alone for `REST_S`."""

REST_S: Final = 30.0
"""How long a faulty endpoint is left alone, in seconds."""

REPORTS_MAX: Final = 16
"""Reports kept for one endpoint."""

GRACE_S: Final = 1.0
"""How long an endpoint is waited for where it is not needed: to say otherwise once enough agree, to be done with the
question before, or to prove something before the next one is asked. In seconds."""

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


class NoQuorumError(ChainError):
    """Fewer endpoints than needed agree; the message says what each said."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """An endpoint, and how it did."""

    name: str
    reader: ChainReader
    faults: int = 0
    """In a row, so far."""
    reports: list[str] = field(default_factory=list)
    rests_until: float = 0.0
    late: Future[Any] | None = None
    """A question that was settled without its answer, while it is still busy with it."""
    asked_at: float = 0.0
    """When it was last asked something, by `time.monotonic`."""
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "dkg-rpc"), repr=False)
    """The one thread in which it is asked."""


@dataclass(slots=True)
class Question(Generic[T]):
    """What is asked, and what came back. `enough`: whether these answers do, while so many are still out."""

    ask: Callable[[ChainReader], T]
    enough: Callable[[Sequence[T], int], bool]
    good: list[tuple[Endpoint, T]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What those said that gave no answer."""

    @property
    def answers(self) -> list[T]:
        """The answers."""
        return [answer for _, answer in self.good]

    def is_settled(self, outstanding: int) -> bool:
        """Whether the answers that are still out need not be waited for."""
        return self.enough(self.answers, outstanding)

    def all_said(self) -> list[str]:
        """What each said, for people."""
        return [*self.said, *(f"{endpoint.name}: {_shown(answer)}" for endpoint, answer in self.good)]


class Quorum:
    """A `ChainReader` over several, which it closes. One object serves one thread at a time."""

    def __init__(
        self,
        readers: Sequence[tuple[str, ChainReader]],
        need: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        grace_s: float = GRACE_S,
    ) -> None:
        """`readers`: names to show, each once, and readers. Raises `InputError` if `need` cannot be met."""
        if not 1 <= need <= len(readers) <= ENDPOINTS_MAX:
            raise InputError(
                f"{need} of {len(readers)} endpoints cannot agree: give between {max(1, need)} and {ENDPOINTS_MAX}"
            )
        if twice := [name for name, count in Counter(name for name, _ in readers).items() if count > 1]:
            raise InputError(f"the endpoint {twice[0]} is named twice: a witness counts once")
        self.endpoints = [Endpoint(name, reader) for name, reader in readers]
        self._need = need
        self._clock = clock
        self._grace = grace_s

    @property
    def need(self) -> int:
        """See `ChainReader`."""
        return self._need

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the endpoints and end the threads: who is being asked is hung up on."""
        for endpoint in self.endpoints:
            endpoint.thread.shutdown(wait=False, cancel_futures=True)
        for endpoint in self.endpoints:
            endpoint.reader.close()
        for endpoint in self.endpoints:
            endpoint.thread.shutdown()

    def reports(self) -> list[str]:
        """What went wrong with which endpoint, newest last."""
        return [f"{endpoint.name}: {report}" for endpoint in self.endpoints for report in endpoint.reports]

    # --- ChainReader ---------------------------------------------------------------------------------------

    def chain_id(self) -> int:
        """See `ChainReader`."""
        return self._agreed("the chain's id", lambda reader: reader.chain_id())

    def header(self, which: str | int | bytes) -> Header:
        """See `ChainReader`. A tag means the highest such block that enough endpoints have."""
        if isinstance(which, str):
            return self._tagged(which)
        if isinstance(which, int):
            return self._agreed(f"block {which}", _header(which))
        return self._first("a block", _header(which))  # whoever gives it, its hash is checked

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        """See `ChainReader`."""
        what = f"the events of blocks {start} to {end}"
        return list(self._agreed(what, lambda reader: tuple(reader.logs(address, start, end, topics))))

    def slots(self, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
        """See `ChainReader`. A proof is one, whoever gives it."""
        return self._first("a proof of storage", lambda reader: reader.slots(address, slots, header))

    def storage(self, address: bytes, slot: bytes, header: Header) -> int:
        """See `ChainReader`."""
        return self._agreed("a storage slot", lambda reader: reader.storage(address, slot, header))

    # --- questions -----------------------------------------------------------------------------------------

    def _tagged(self, tag: str) -> Header:
        """The highest block with a tag that enough endpoints have, and agree on.

        A liar may name a block that nobody else has. So where the endpoints do not agree on the highest that enough
        of them claim to have, the lower ones that they named are tried too.
        """
        need = self._need
        question = Question(_header(tag), lambda answers, outstanding: len(answers) >= need and not outstanding)
        self._ask(question, self._waves())
        if len(question.good) < need:
            raise _no_quorum(f"the {tag} block", need, question.all_said())
        numbers = sorted((header.number for header in question.answers), reverse=True)
        failed: NoQuorumError | None = None
        for number in dict.fromkeys(numbers[need - 1 :]):
            same = [(endpoint, header) for endpoint, header in question.good if header.number == number]
            found = _winner([header for _, header in same], need)
            try:
                if found is None:
                    having = [endpoint for endpoint, header in question.good if header.number >= number]
                    return self._agreed(f"block {number}", _header(number), having)
            except NoQuorumError as error:
                failed = error
            else:
                self._judge(found, same, f"block {number}")
                return found
        raise failed or AssertionError("at least one number was tried")

    def _agreed(self, what: str, ask: Callable[[ChainReader], H], among: Sequence[Endpoint] | None = None) -> H:
        """The answer that enough endpoints give, and more than give another one."""
        question = Question(ask, lambda answers, outstanding: _winner(answers, self._need, outstanding) is not None)
        self._ask(question, self._waves() if among is None else [among])
        agreed = _winner(question.answers, self._need)
        if agreed is None:
            raise _no_quorum(what, self._need, question.all_said())
        self._judge(agreed, question.good, what)
        return agreed

    def _judge(self, agreed: H, answers: Sequence[tuple[Endpoint, H]], what: str) -> None:
        for endpoint, answer in answers:
            if answer == agreed:
                endpoint.faults = 0
            else:
                self._fault(endpoint, ChainError(f"it stands alone with what it says of {what}: {_shown(answer)}"))

    def _first(self, what: str, ask: Callable[[ChainReader], T]) -> T:
        """The first answer that stands a check of its own: one is asked, the next when it fails or takes long."""
        queue = [endpoint for wave in self._waves() for endpoint in sorted(wave, key=lambda one: one.faults)]
        waiting: dict[Future[T], Endpoint] = {}
        said: list[str] = []
        refused: UnprovableError | None = None
        while queue or waiting:
            if queue:
                endpoint = queue.pop(0)
                waiting[_submitted(endpoint, ask)] = endpoint
            done, _ = wait(waiting, self._grace if queue else None, FIRST_COMPLETED)
            for one in done:
                endpoint = waiting.pop(one)
                try:
                    answer = one.result()
                except UnprovableError as error:
                    refused = error
                    said.append(str(error))
                except (ChainError, ProofError, CancelledError) as error:
                    said.append(self._fault(endpoint, error))
                else:
                    endpoint.faults = 0
                    _leave(waiting)
                    return answer
        if refused is not None:
            raise UnprovableError("; ".join(said), refused.code)
        raise _no_quorum(what, 1, said)

    # --- asking --------------------------------------------------------------------------------------------

    def _waves(self) -> list[Sequence[Endpoint]]:
        """Whom to ask first, and whom if that is not enough: those that rest or are late."""
        now = self._clock()
        self._collect_late()
        awake = [endpoint for endpoint in self.endpoints if endpoint.rests_until <= now and endpoint.late is None]
        if len(awake) < self._need:
            return [self.endpoints]
        return [awake, [endpoint for endpoint in self.endpoints if endpoint not in awake]]

    def _collect_late(self) -> None:
        """See what became of questions that were settled before all had answered."""
        since = time.monotonic() - self._grace
        for endpoint in self.endpoints:
            if endpoint.late is None:
                continue
            done, _ = wait([endpoint.late], max(0.0, endpoint.asked_at - since))
            if done:
                endpoint.late = None
            for late in done:
                failed = late.exception()
                if isinstance(failed, ChainError | ProofError) and not isinstance(failed, UnprovableError):
                    self._fault(endpoint, failed)

    def _ask(self, question: Question[T], waves: Sequence[Sequence[Endpoint]]) -> None:
        """Ask wave after wave until it is enough."""
        for wave in waves:
            if not question.is_settled(0):
                self._ask_all(question, wave)

    def _ask_all(self, question: Question[T], endpoints: Sequence[Endpoint]) -> None:
        """Ask all at once, until no answer that is still out can change anything, or those that are out take long."""
        waiting = {_submitted(endpoint, question.ask): endpoint for endpoint in endpoints}
        while waiting and not question.is_settled(len(waiting)):
            done, _ = wait(waiting, self._grace if question.is_settled(0) else None, FIRST_COMPLETED)
            if not done:
                break
            for one in done:
                endpoint = waiting.pop(one)
                try:
                    question.good.append((endpoint, one.result()))
                except (ChainError, ProofError, CancelledError) as error:
                    question.said.append(self._fault(endpoint, error))
        _leave(waiting)

    def _fault(self, endpoint: Endpoint, error: Exception) -> str:
        endpoint.faults += 1
        if endpoint.faults >= FAULTS_MAX:
            endpoint.rests_until = self._clock() + REST_S
        endpoint.reports = [*endpoint.reports[-REPORTS_MAX + 1 :], str(error)]
        return f"{endpoint.name}: {error}"


def _winner(answers: Sequence[H], need: int, outstanding: int = 0) -> H | None:
    """The answer that `need` give, and more than can give any other one; None if there is none yet."""
    ranked = Counter(answers).most_common(2)
    second = ranked[1][1] if len(ranked) > 1 else 0
    return ranked[0][0] if ranked and ranked[0][1] >= max(need, second + outstanding + 1) else None


def _submitted(endpoint: Endpoint, ask: Callable[[ChainReader], T]) -> Future[T]:
    endpoint.asked_at = time.monotonic()
    try:
        return endpoint.thread.submit(ask, endpoint.reader)
    except RuntimeError as error:  # its thread was shut down
        raise NoQuorumError("the endpoints were closed") from error


def _leave(waiting: dict[Future[T], Endpoint]) -> None:
    """Wait for these answers no longer."""
    for one, endpoint in waiting.items():
        if not one.cancel():
            endpoint.late = one


def _header(which: str | int | bytes) -> Callable[[ChainReader], Header]:
    return lambda reader: reader.header(which)


def _shown(answer: object) -> str:
    if isinstance(answer, Header):
        return f"block {answer.number}, 0x{answer.hash.hex()}"
    return f"{len(answer)} events" if isinstance(answer, tuple) else str(answer)


def _no_quorum(what: str, need: int, said: list[str]) -> NoQuorumError:
    return NoQuorumError(f"fewer than {need} endpoints agree on {what}: " + "; ".join(said))
