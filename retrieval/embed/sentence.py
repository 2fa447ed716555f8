"""The embedder for those who have torch anyway: the same weights in float32, by the library they were made for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from retrieval.embed.base import TEXTS_AT_ONCE, TOKENS_MAX, looked_at
from retrieval.embed.weights import MINILM, MINILM_TOKENIZER, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def available() -> bool:
    """Whether sentence-transformers is installed. It is not imported, which takes seconds."""
    return find_spec("sentence_transformers") is not None


class SentenceEmbedder:
    """all-MiniLM-L6-v2 by sentence-transformers and torch. Raises `StoreError` where the weights are not there."""

    name: Final = f"all-minilm-l6-v2-float32-{MINILM.sha256[:12]}"
    dimension: Final = 384

    def __init__(self) -> None:
        weights = checked(MINILM)
        checked(MINILM_TOKENIZER)
        from sentence_transformers import (  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - slow
            SentenceTransformer,
        )

        self._model = SentenceTransformer(str(weights.parent), local_files_only=True)
        self._model.max_seq_length = TOKENS_MAX

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        import numpy as np  # noqa: PLC0415

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokenizer = self._model.tokenizer
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = [looked_at(text) for text in texts[start : start + TEXTS_AT_ONCE]]
            tokens = tokenizer(part, add_special_tokens=False, truncation=True, max_length=TOKENS_MAX)["input_ids"]
            known = [place for place, ids in enumerate(tokens) if any(one != tokenizer.unk_token_id for one in ids)]
            if known:
                rows[[start + place for place in known]] = self._model.encode(
                    [part[place] for place in known], normalize_embeddings=True, show_progress_bar=False
                )
        return rows
