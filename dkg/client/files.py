"""Files of the shell: proofs read within bounds, and outputs that are there whole or not at all.

A proof file is a CAR (`.car`), or one zstd frame around a CAR (`.car.zst`); reading tells them apart by their first
bytes. Compression is for storage and transport only: the proof is the CAR.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from dkg.car import BLOCK_OVERHEAD
from dkg.errors import InputError, ProofError, StoreError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.limits import Budget

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

_HEADER_BYTES: Final = 128
_WINDOW_LOG_MAX: Final = 27  # 128 MiB: more than any proof needs, and what a hostile frame could claim is in GiB
_LEVEL: Final = 10  # proofs are written once and sent often; level 10 is still above 50 MB/s


def read_input(path: str, bytes_max: int, what: str) -> bytes:
    """A whole file, or standard input for `-`. Raises `InputError` when it cannot be read or is too long."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise InputError(f"cannot read the {what} -: standard input is closed")
            data = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with open(path, "rb") as file:  # noqa: PTH123 - a path may be a FIFO or /dev/fd/N
                data = file.read(bytes_max + 1)
    except OSError as error:
        raise InputError(f"cannot read the {what} {path}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise InputError(f"the {what} {path} is longer than the {bytes_max} bytes that are allowed")
    return data


def read_proof(path: str, limits: Budget) -> bytes:
    """The CAR in a proof file, decompressed within `limits`.

    Raises `InputError` for a file that cannot be read or is over the limits, `ProofError` for one that cannot be a
    proof.
    """
    most = proof_file_bytes_max(limits)
    data = read_input(path, most, "proof")
    return decompress(data, most) if data.startswith(ZSTD_MAGIC) else data


def proof_file_bytes_max(limits: Budget) -> int:
    """Most bytes that a CAR within `limits` can have."""
    return _HEADER_BYTES + limits.proof_bytes + limits.pages * BLOCK_OVERHEAD


def decompress(data: bytes, bytes_max: int) -> bytes:
    """The content of exactly one zstd frame. Raises `ProofError` when it is anything else, or too long."""
    decompressor = ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG_MAX})
    try:
        out = decompressor.decompress(data, max_length=bytes_max + 1)
    except ZstdError as error:
        raise ProofError(f"the proof does not decompress: {error}") from error
    if len(out) > bytes_max:
        raise ProofError(f"the proof decompresses to more than the {bytes_max} bytes that the limits allow")
    if not decompressor.eof:
        raise ProofError("the compressed proof ends early")
    if decompressor.unused_data:
        raise ProofError(f"{len(decompressor.unused_data)} bytes follow the compressed proof")
    return out


def compress(data: bytes) -> bytes:
    """One zstd frame around `data`."""
    compressor = ZstdCompressor(level=_LEVEL)
    return compressor.compress(data, mode=ZstdCompressor.FLUSH_FRAME)


def write_proof(path: str, car: bytes) -> int:
    """Write a proof file, compressed if its name ends in `.zst`; gives its bytes. Raises `StoreError`."""
    data = compress(car) if path.endswith(".zst") else car
    with replaced(path) as file:
        file.write(data)
    return len(data)


@contextmanager
def replaced(path: str) -> Iterator[BinaryIO]:
    """A file to write; it takes the place of `path` when all went well, and leaves no trace when not.

    What is not a regular file (a pipe, a terminal, /dev/null) is written to as it is. Raises `StoreError`.
    """
    target = os.path.realpath(path)
    try:
        special = os.path.lexists(target) and not stat.S_ISREG(os.stat(target).st_mode)  # noqa: PTH116
        name = target if special else f"{target}.{os.getpid()}.tmp"
        with open(name, "wb" if special else "xb") as file:  # noqa: PTH123 - see `read_input`
            try:
                yield file
                file.flush()
                if not special:
                    os.fsync(file.fileno())
            except BaseException:
                if not special:
                    os.unlink(name)  # noqa: PTH108
                raise
        if not special:
            os.replace(name, target)  # noqa: PTH105
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; nothing was written there") from error
