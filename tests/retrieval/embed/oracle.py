"""all-MiniLM-L6-v2 once more, in float64, as the paper says (BERT, 2018): plain, sharing no code with the graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.embed.weights import Tensors

    Floats = NDArray[np.float64]

_erf = np.vectorize(math.erf)


def embedded(tensors: Tensors, tokens: Sequence[int]) -> Floats:
    """The vector of one text."""

    def of(name: str) -> Floats:
        array: NDArray[Any] = tensors[name]
        return array.astype(np.float64)

    def dense(rows: Floats, name: str) -> Floats:
        made: Floats = rows @ of(f"{name}.weight").T + of(f"{name}.bias")
        return made

    def normal(rows: Floats, name: str) -> Floats:
        centred = rows - rows.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        made: Floats = centred / deviation * of(f"{name}.weight") + of(f"{name}.bias")
        return made

    words = tensors["embeddings.word_embeddings.weight"][list(tokens)].astype(np.float64)
    places = of("embeddings.position_embeddings.weight")[: len(tokens)]
    rows = normal(words + places + of("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    for layer in range(6):
        base = f"encoder.layer.{layer}"
        query, key, value = (dense(rows, f"{base}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for head in range(12):
            part = slice(head * 32, head * 32 + 32)
            weights = np.exp(query[:, part] @ key[:, part].T / math.sqrt(32))
            heads.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, part])
        seen = dense(np.concatenate(heads, axis=1), f"{base}.attention.output.dense")
        rows = normal(seen + rows, f"{base}.attention.output.LayerNorm")
        wide = dense(rows, f"{base}.intermediate.dense")
        wide = wide * 0.5 * (1 + _erf(wide / math.sqrt(2)))
        rows = normal(dense(wide, f"{base}.output.dense") + rows, f"{base}.output.LayerNorm")
    mean: Floats = rows.mean(axis=0)
    mean /= np.linalg.norm(mean)
    return mean
