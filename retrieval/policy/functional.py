"""Which predicates are functional by the data: those of which nearly all subjects have one value.

Each publisher's dataset is looked at by itself, so that two publishers who contradict each other do not make a
predicate look as if it had many values, and each has a say of its weight, so that nobody's own data decides for others.
What is looked at is a sample: the first subjects in the order of the index by value.
"""

from __future__ import annotations

from fractions import Fraction
from threading import Lock
from typing import TYPE_CHECKING, Final

from retrieval.reading import Reader
from retrieval.reading_ranges import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrieval.model import Snapshot
    from retrieval.policy.document import Detection

SAMPLE_MAX: Final = 1_000
"""Most triples that are read to find enough subjects."""

CACHED_MAX: Final = 10_000
"""Most findings, one for a dataset and predicate, that are kept."""


class Functional:
    """Finds out, and keeps what it found: the root, and which graphs count, name the data, so that never changes."""

    def __init__(self, detection: Detection) -> None:
        self._detection = detection
        self._found: dict[tuple[bytes, bytes | None, bytes], bool | None] = {}
        self._lock = Lock()

    def holds(self, predicate: bytes, snapshots: Sequence[Snapshot], weight: Callable[[str], Fraction]) -> bool:
        """Whether publishers of more weight use a predicate as functional than do not."""
        balance = Fraction(0)
        for one in snapshots:
            says = self._of(predicate, one) if weight(one.publisher) > 0 else None
            if says is not None:
                balance += weight(one.publisher) if says else -weight(one.publisher)
        return balance > 0

    def _of(self, predicate: bytes, snapshot: Snapshot) -> bool | None:
        key = (snapshot.root, snapshot.only, predicate)  # two publishers may have one root, and other graphs count
        with self._lock:
            if key in self._found:
                return self._found[key]
        try:
            says = self._measured(predicate, Reader([snapshot]))
        except FAULTS:
            return None  # who cannot be read has no say, this time
        with self._lock:
            if len(self._found) >= CACHED_MAX:
                self._found.clear()
            self._found[key] = says
        return says

    def _measured(self, predicate: bytes, reader: Reader) -> bool | None:
        facts = reader.about(predicate=predicate, most=SAMPLE_MAX)
        subjects = list(dict.fromkeys(fact.statement.subject for fact in facts))[: self._detection.subjects]
        if len(subjects) < self._detection.subjects:
            return None
        single = sum(len(reader.about(subject, predicate, most=2)) == 1 for subject in subjects)
        return Fraction(single, len(subjects)) >= self._detection.single
