"""`Remembered`: the answers whose proofs can still be asked for, in bounded memory. Threads may share it.

Somebody's literals may be long and fit a budget of tokens all the same, since prompts cut them: so bytes are counted.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from retrieval.results import Result

KEPT: Final = 256
"""Answers that are remembered."""

KEPT_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of text that they hold together: of long ones fewer are remembered, and the newest always."""

DROPPED_KEPT: Final = 100
"""Of what an answer left out, how much is remembered with it."""


class Remembered:
    """See the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[str, tuple[Result, int]] = OrderedDict()
        self._bytes = 0

    def get(self, proof: str) -> Result | None:
        """The answer with these proofs; None if it is not remembered."""
        with self._lock:
            found = self._results.get(proof)
        return None if found is None else found[0]

    def keep(self, result: Result) -> None:
        """Remember an answer, as the newest."""
        kept = replace(result, context=replace(result.context, dropped=result.context.dropped[:DROPPED_KEPT]))
        size = bytes_of(kept)
        with self._lock:
            _, before = self._results.pop(result.proof, (None, 0))
            self._results[result.proof] = kept, size
            self._bytes += size - before
            while len(self._results) > KEPT or (self._bytes > KEPT_BYTES and len(self._results) > 1):
                _, (_, gone) = self._results.popitem(last=False)
                self._bytes -= gone


def bytes_of(result: Result) -> int:
    """About how many bytes of text an answer holds."""
    context = result.context
    terms = [term for fact in context.facts for term in fact.statement]
    terms += [term for dropped in context.dropped for term in dropped.statement]
    words = [*result.texts, result.found, context.question, context.query or "", *context.lines]
    words += [cell for row in context.rows for cell in row]
    labels = [part for label in context.labels.items() for part in label]
    return sum(map(len, terms)) + sum(map(len, words)) + sum(map(len, labels))
