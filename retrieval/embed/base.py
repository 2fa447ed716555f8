"""What an embedder is, and what is the same for all of them: how long a text may be, and how many threads work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

CHARACTERS_MAX: Final = 8192
"""Characters of a text that are looked at; the rest is never cut into tokens, so that long texts are not dear."""
TOKENS_MAX: Final = 256
"""Tokens of a text that count, with the marks at both ends: what the model was trained with. The rest is left out."""
TEXTS_AT_ONCE: Final = 4096
"""Texts whose tokens are held in memory at one time."""
THREADS_MAX: Final = 4
"""Threads that work where the caller names no number; fewer where the machine has fewer processors."""


class Embedder(Protocol):
    """Texts to vectors, so that texts of like meaning have like vectors."""

    @property
    def name(self) -> str:
        """The model and its arithmetic. Vectors of different names do not compare: `Vectors` keeps it."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each text, of shape (texts, dimension).

        A row has length one, so that the product of two rows is their cosine. It has length zero, and is like nothing,
        where the text has no token that the model knows: an empty text, or one in a script that it never saw. Of a long
        text the first `CHARACTERS_MAX` characters and `TOKENS_MAX` tokens count. No text's row depends on others.
        """


def looked_at(text: str) -> str:
    """The part of a text that counts, and that has a UTF-8 form: half a surrogate pair becomes a question mark."""
    return text[:CHARACTERS_MAX].encode("utf-8", "replace").decode()


def threads_of(number: int | None) -> int:
    """How many threads work: what the caller names, or as many as there are processors, up to `THREADS_MAX`."""
    return number if number is not None else min(THREADS_MAX, os.cpu_count() or 1)
