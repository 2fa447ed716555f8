"""`Remembered`: the answers whose proofs can still be asked for, in bounded memory. Threads may share it.

They are asked for by names that only who got the answer can know: names that hang on the question alone would tell
whoever guesses a question that somebody asked it. Somebody's literals may be long and fit a budget of tokens all the
same, since prompts cut them: so bytes are counted.
"""

from __future__ import annotations

import hmac
import secrets
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

_NAME_BYTES: Final = 16


class Remembered:
    """See the module."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._results: OrderedDict[str, tuple[Result, int]] = OrderedDict()
        self._bytes = 0

    def get(self, proof: str) -> Result | None:
        """The answer with these proofs; None if it is not remembered."""
        with self._lock:
            found = self._results.get(proof)
        return None if found is None else found[0]

    def keep(self, result: Result) -> str:
        """Remember an answer, as the newest; gives the name of its proofs, the same for the same answer."""
        name = hmac.digest(self._secret, result.proof.encode(), "sha256")[:_NAME_BYTES].hex()
        context = replace(result.context, dropped=result.context.dropped[:DROPPED_KEPT])
        kept = replace(result, context=context, proof=name)
        size = bytes_of(kept)
        with self._lock:
            _, before = self._results.pop(name, (None, 0))
            self._results[name] = kept, size
            self._bytes += size - before
            while len(self._results) > KEPT or (self._bytes > KEPT_BYTES and len(self._results) > 1):
                _, (_, gone) = self._results.popitem(last=False)
                self._bytes -= gone
        return name


def bytes_of(result: Result) -> int:
    """About how many bytes of text an answer holds."""
    context = result.context
    terms = [term for fact in context.facts for term in fact.statement]
    terms += [term for dropped in context.dropped for term in dropped.statement]
    words = [*result.texts, result.found, context.question, context.query or "", *context.lines]
    words += [cell for row in context.rows for cell in row]
    labels = [part for label in context.labels.items() for part in label]
    return sum(map(len, terms)) + sum(map(len, words)) + sum(map(len, labels))
