"""The embedder for devices without torch: all-MiniLM-L6-v2 in int8 under onnxruntime.

The model comes from one of two places, and either way its content is pinned:

- the file that `export` wrote, in the folder of models: 24 MB, all that a device needs;
- otherwise the package of the weights: 91 MB, from which the same file is made in memory in half a second.

Texts of equally many tokens go through the model together, so nothing is padded; each thread takes a batch.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkg.client.files import replaced
from dkg.errors import StoreError
from retrieval.embed.base import TEXTS_AT_ONCE, TOKENS_MAX, looked_at, threads_of
from retrieval.embed.weights import MINILM, MINILM_TOKENIZER, Tensors, checked, installed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Encoding

EXPORTED_SHA256: Final = "31d7ae10c80ce030dff5a2d49bd5ce3d2012e68e43171aca39af0b602984a0fc"
"""SHA-256 of what `retrieval.embed.minilm.exported` makes of the pinned weights. A change of the graph changes it."""
FILE: Final = f"all-minilm-l6-v2-int8-{EXPORTED_SHA256[:12]}.onnx"
TOKENS_AT_ONCE: Final = 512
"""Tokens of one run of the model: more is not faster, and costs memory (about 50 kB a token and thread)."""

_UNKNOWN: Final = 100
"""The token [UNK]."""


def models_folder() -> Path:
    """Where models are looked for if the caller names no folder: `$XDG_CACHE_HOME/dkg/models`, or under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dkg" / "models"


def made() -> bytes:
    """The model's file, made from the installed package of the weights. Raises `StoreError`."""
    from retrieval.embed.minilm import exported  # noqa: PLC0415 - numpy only where it is used

    tokenizer = checked(MINILM_TOKENIZER).read_text(encoding="utf-8")
    return _pinned(exported(Tensors(checked(MINILM)), tokenizer), "the model made from the package's weights")


def _pinned(model: bytes, what: str) -> bytes:
    found = hashlib.sha256(model).hexdigest()
    if found != EXPORTED_SHA256:
        raise StoreError(
            f"{what} is damaged: its SHA-256 is {found}, not {EXPORTED_SHA256}; delete it and export it again"
        )
    return model


def export(folder: Path) -> Path:
    """Write the model's file into a folder, which is made where it is missing. Raises `StoreError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {folder} for the model: {error.strerror}; name another one"
        ) from error
    path = folder / FILE
    with replaced(str(path)) as file:
        file.write(made())
    return path


def available(folder: Path | None = None) -> bool:
    """Whether the model can be had here: as a file in the folder of models, or from its package."""
    return ((folder or models_folder()) / FILE).exists() or installed(MINILM)


def model_bytes(folder: Path | None = None) -> bytes:
    """The model's file, read from the folder, or else made from the package. Raises `StoreError`."""
    path = (folder or models_folder()) / FILE
    try:
        return _pinned(path.read_bytes(), str(path))
    except FileNotFoundError:
        return made()
    except OSError as error:
        raise StoreError(f"cannot read the model {path}: {error.strerror}; delete it and export it again") from error


class OnnxEmbedder:
    """all-MiniLM-L6-v2, int8. `folder` is where `export` wrote it (default: `models_folder`). Raises `StoreError`."""

    name: Final = f"all-minilm-l6-v2-int8-{EXPORTED_SHA256[:12]}"
    dimension: Final = 384

    def __init__(self, folder: Path | None = None, *, threads: int | None = None) -> None:
        from onnxruntime import (  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, and only here
            InferenceSession,
            SessionOptions,
        )
        from tokenizers import Tokenizer  # noqa: PLC0415

        options = SessionOptions()
        options.intra_op_num_threads = 1  # one thread a batch: small products do not gain from two
        options.log_severity_level = 3
        self._session = InferenceSession(model_bytes(folder), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_str(self._session.get_modelmeta().custom_metadata_map["tokenizer"])
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._threads = threads_of(threads)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        import numpy as np  # noqa: PLC0415

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            self._fill(rows[start : start + TEXTS_AT_ONCE], texts[start : start + TEXTS_AT_ONCE])
        return rows

    def _fill(self, rows: NDArray[np.float32], texts: Sequence[str]) -> None:
        encoded = self._tokenizer.encode_batch_fast([looked_at(text) for text in texts])
        batches = list(_batches(encoded))

        def run(batch: tuple[list[int], list[list[int]]]) -> None:
            import numpy as np  # noqa: PLC0415

            places, ids = batch
            (rows[places],) = self._session.run(["vectors"], {"ids": np.array(ids, dtype=np.int64)})

        if self._threads == 1 or len(batches) == 1:
            for batch in batches:
                run(batch)
            return
        with ThreadPoolExecutor(self._threads, thread_name_prefix="dkg-embed") as pool:
            list(pool.map(run, batches))


def _batches(encoded: Sequence[Encoding]) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Places and tokens of texts of one length; those of which the model knows no token are left out, and stay zero."""
    lengths: dict[int, list[tuple[int, list[int]]]] = {}
    for place, encoding in enumerate(encoded):
        ids = encoding.ids
        if any(token != _UNKNOWN for token in ids[1:-1]):
            lengths.setdefault(len(ids), []).append((place, ids))
    for length, group in sorted(lengths.items(), reverse=True):  # the dear ones first: no thread waits long at the end
        size = max(1, TOKENS_AT_ONCE // length)
        for start in range(0, len(group), size):
            part = group[start : start + size]
            yield [place for place, _ in part], [ids for _, ids in part]
