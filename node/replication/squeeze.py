"""zstd for what peers send: one frame, whose size is known before it is unpacked."""

from __future__ import annotations

import sys
from typing import Final

from node.replication.errors import PeerError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError, compress
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError, compress

_LEVEL: Final = 3
_WINDOW: Final[dict[int, int]] = {DecompressionParameter.window_log_max: 22}  # 4 MiB; level 3 takes half of it


def squeezed(data: bytes) -> bytes:
    """Data as one zstd frame."""
    return compress(data, _LEVEL)


def unsqueezed(body: bytes, size: int) -> bytes:
    """The `size` bytes of one frame; no more memory is used than for that. Raises `PeerError` for anything else."""
    decompressor = ZstdDecompressor(options=_WINDOW)
    try:
        data = decompressor.decompress(body, max_length=size + 1)
    except ZstdError as error:
        raise PeerError(f"what a peer compressed cannot be unpacked: {error}") from error
    if len(data) != size or not decompressor.eof or decompressor.unused_data:
        raise PeerError(f"what a peer compressed is not one frame of {size} bytes")
    return data
