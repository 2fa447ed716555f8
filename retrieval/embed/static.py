"""The embedder for boards on which even int8 is too slow: WordLlama's vector of each token, and their mean.

It knows words and not their order. Its package is a container of two files for us: importing it would set the logging
of the whole process, and its own `load` asks the network for a tokenizer that lies beside it.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from retrieval.embed.base import TEXTS_AT_ONCE, TOKENS_MAX, looked_at
from retrieval.embed.weights import STATIC, STATIC_TOKENIZER, Tensors, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_BYTES: Final = 259
"""Tokens from 0 on that are marks, or single bytes of what the vocabulary lacks."""
_BLANK: Final = "\u2581"
"""How tokens write a space."""
_TEXTS_SUMMED: Final = 256
"""Texts whose tokens' vectors are in memory at one time: they stay in the processor's cache."""


class StaticEmbedder:
    """WordLlama, 256 wide. Raises `StoreError` where its package is missing or is not the pinned one."""

    name: Final = f"wordllama-256-{STATIC.sha256[:12]}"
    dimension: Final = 256

    def __init__(self) -> None:
        from tokenizers import Tokenizer  # noqa: PLC0415 - heavy, and only here

        self._vectors: NDArray[np.float16] = Tensors(checked(STATIC))["embedding.weight"]
        self._tokenizer = Tokenizer.from_file(str(checked(STATIC_TOKENIZER)))
        vocabulary = self._tokenizer.get_vocab().items()
        self._unknown = frozenset(number for token, number in vocabulary if number < _BYTES or not token.strip(_BLANK))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS_MAX)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        import numpy as np  # noqa: PLC0415

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            self._fill(rows[start : start + TEXTS_AT_ONCE], texts[start : start + TEXTS_AT_ONCE])
        return rows

    def _fill(self, rows: NDArray[np.float32], texts: Sequence[str]) -> None:
        import numpy as np  # noqa: PLC0415

        encoded = self._tokenizer.encode_batch_fast([looked_at(text) for text in texts], add_special_tokens=False)
        known = [(place, ids) for place, one in enumerate(encoded) if not self._unknown.issuperset(ids := one.ids)]
        for start in range(0, len(known), _TEXTS_SUMMED):
            part = known[start : start + _TEXTS_SUMMED]
            lengths = [len(ids) for _, ids in part]
            flat = np.fromiter(chain.from_iterable(ids for _, ids in part), dtype=np.int32, count=sum(lengths))
            begins = np.cumsum([0, *lengths[:-1]])
            sums = np.add.reduceat(self._vectors[flat], begins, axis=0, dtype=np.float32)
            rows[[place for place, _ in part]] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
