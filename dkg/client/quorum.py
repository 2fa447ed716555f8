"""Several endpoints of one chain, of which `need` must agree: a dead, slow or lying one is survived.

Heads differ by a block or two between honest endpoints, so "latest" is asked as the highest block that `need` of them
have; everything else must be equal. What each endpoint did wrong is kept in `reports`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.client.chainread import UnprovableError
from dkg.client.rpc import ChainError
from dkg.errors import InputError, ProofError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader, Log

ENDPOINTS_MAX: Final = 16
"""Most endpoints that are asked at once."""

FAULTS_MAX: Final = 3
"""Faults in a row after which an endpoint is left alone for `REST_S`."""

REST_S: Final = 30.0
"""How long a faulty endpoint is left alone, in seconds."""

REPORTS_MAX: Final = 16
"""Reports kept for one endpoint."""

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


class NoQuorumError(ChainError):
    """Fewer endpoints than needed agree; the message says what each said."""


@dataclass(slots=True)
class Endpoint:
    """An endpoint, and how it did."""

    name: str
    reader: ChainReader
    faults: int = 0
    """In a row, so far."""
    reports: list[str] = field(default_factory=list)
    rests_until: float = 0.0


class Quorum:
    """A `ChainReader` over several; one object serves one thread at a time."""

    def __init__(
        self, readers: Sequence[tuple[str, ChainReader]], need: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`readers`: names to show, and readers. Raises `InputError` if `need` cannot be met."""
        if not 1 <= need <= len(readers) <= ENDPOINTS_MAX:
            raise InputError(
                f"{need} of {len(readers)} endpoints cannot agree: give between {max(1, need)} and {ENDPOINTS_MAX}"
            )
        self.endpoints = [Endpoint(name, reader) for name, reader in readers]
        self.need = need
        self._clock = clock
        self._pool = ThreadPoolExecutor(len(self.endpoints), thread_name_prefix="dkg-rpc")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reports(self) -> list[str]:
        """What went wrong with which endpoint, newest last."""
        return [f"{endpoint.name}: {report}" for endpoint in self.endpoints for report in endpoint.reports]

    # --- ChainReader ---------------------------------------------------------------------------------------

    def chain_id(self) -> int:
        """See `ChainReader`."""
        return self._agreed("the chain's id", lambda reader: reader.chain_id())

    def header(self, which: str | int | bytes) -> Header:
        """See `ChainReader`. A tag means the highest such block that enough endpoints have."""
        if isinstance(which, bytes):  # a header with this hash is the one, whoever gives it
            return self._first("a block", lambda reader: reader.header(which))
        if isinstance(which, str):
            good, said = self._asked(lambda reader: reader.header(which).number)
            if len(good) < self.need:
                raise _no_quorum(f"the {which} block", self.need, said)
            which = sorted((number for _, number in good), reverse=True)[self.need - 1]
        number = which
        return self._agreed(f"block {number}", lambda reader: reader.header(number))

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

    # --- asking --------------------------------------------------------------------------------------------

    def _awake(self) -> list[Endpoint]:
        """The endpoints to ask; all of them when too few are awake."""
        now = self._clock()
        awake = [endpoint for endpoint in self.endpoints if endpoint.rests_until <= now]
        return awake if len(awake) >= self.need else self.endpoints

    def _asked(self, question: Callable[[ChainReader], T]) -> tuple[list[tuple[Endpoint, T]], list[str]]:
        """The answers of all at once, and in a sentence what the others said."""
        asked = [(endpoint, self._pool.submit(question, endpoint.reader)) for endpoint in self._awake()]
        good: list[tuple[Endpoint, T]] = []
        said: list[str] = []
        for endpoint, answer in asked:
            try:
                good.append((endpoint, answer.result()))
            except (ChainError, ProofError) as error:
                said.append(self._fault(endpoint, error))
        return good, said

    def _agreed(self, what: str, question: Callable[[ChainReader], H]) -> H:
        """The answer that enough endpoints give."""
        good, said = self._asked(question)
        counts = Counter(answer for _, answer in good)
        ranked = counts.most_common(2)
        if ranked and ranked[0][1] >= self.need and (len(ranked) == 1 or ranked[0][1] > ranked[1][1]):
            agreed = ranked[0][0]
            for endpoint, answer in good:
                if answer == agreed:
                    endpoint.faults = 0
                else:
                    self._fault(endpoint, ChainError(f"it stands alone with what it says of {what}"))
            return agreed
        said += [f"{endpoint.name}: {str(answer)[:120]}" for endpoint, answer in good]
        raise _no_quorum(what, self.need, said)

    def _first(self, what: str, question: Callable[[ChainReader], T]) -> T:
        """The first answer that stands a check of its own; raises what the last one failed with."""
        said: list[str] = []
        refused: UnprovableError | None = None
        for endpoint in self._awake():
            try:
                answer = question(endpoint.reader)
            except UnprovableError as error:
                refused = error
            except (ChainError, ProofError) as error:
                said.append(self._fault(endpoint, error))
            else:
                endpoint.faults = 0
                return answer
        if refused is not None and not said:
            raise refused
        raise _no_quorum(what, 1, said)

    def _fault(self, endpoint: Endpoint, error: Exception) -> str:
        endpoint.faults += 1
        if endpoint.faults >= FAULTS_MAX:
            endpoint.rests_until = self._clock() + REST_S
        endpoint.reports = [*endpoint.reports[-REPORTS_MAX + 1 :], str(error)]
        return f"{endpoint.name}: {error}"


def _no_quorum(what: str, need: int, said: list[str]) -> NoQuorumError:
    return NoQuorumError(f"fewer than {need} endpoints agree on {what}: " + "; ".join(said))
