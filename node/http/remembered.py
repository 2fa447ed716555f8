"""Answers that were given, to be given again: an answer of a root never changes, so its validator tells it for ever.

The newest stay, within a number of bytes. Only answers over public quads come here. Whoever asks can see from the time
that an answer took whether somebody asked the same a short time ago, and not who.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from node.workers.jobs import Result

ANSWER_BYTES_MAX: Final = 256 * 1024
"""Longest body that is remembered, in bytes."""

_ABOUT_BYTES: Final = 512  # what an answer takes besides its body


class Remembered:
    """See the module. `most`: bytes of all of them; 0: none is remembered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._results: OrderedDict[str, Result] = OrderedDict()

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return self._held

    def get(self, validator: str) -> Result | None:
        """The answer that a validator stands for, if it is remembered."""
        found = self._results.get(validator)
        if found is not None:
            self._results.move_to_end(validator)
        return found

    def put(self, validator: str, result: Result) -> None:
        """Remember an answer, if it is short; forget those that were not asked for longest."""
        size = _size(result)
        if len(result.body) > ANSWER_BYTES_MAX or size > self._most or validator in self._results:
            return
        self._results[validator] = result
        self._held += size
        while self._held > self._most:
            _, old = self._results.popitem(last=False)
            self._held -= _size(old)


def _size(result: Result) -> int:
    return len(result.body) + _ABOUT_BYTES
