"""Limits of the peer protocol, each with its unit, and known before anything is parsed.

What one peer can make this node hold in memory is `REQUESTS_AT_ONCE_MAX` answers of `PAGES_BYTES_MAX` each.
"""

from __future__ import annotations

from typing import Final

from dkg.limits import QUERY_BYTES_MAX
from dkg.page import PAGE_BYTES_MAX

VERSION: Final = 1
"""Of the protocol. A message of another version is refused with the code `unknown-version`."""

REQUEST_BYTES_MAX: Final = 256 * 1024
"""Longest request, in bytes: a query and the graphs that it may see."""

ANNOUNCEMENT_BYTES_MAX: Final = 16 * 1024
"""Longest announcement, in bytes."""

SMALL_BYTES_MAX: Final = 4 * 1024
"""Longest greeting and error, in bytes."""

HEADS_MAX: Final = 256
"""Most heads in one message; a publisher's head takes about 85 bytes."""

HEADS_BYTES_MAX: Final = 64 * 1024
"""Longest message of heads, in bytes."""

ANNOUNCED_MAX: Final = 64
"""Most heads in one announcement."""

PAGES_MAX: Final = 256
"""Most pages that one request asks for."""

PAGES_BYTES_MAX: Final = 2 * 1024 * 1024
"""Most bytes of pages in one answer, uncompressed; a single page may have `dkg.page.PAGE_BYTES_MAX`."""

BODY_OVERHEAD_BYTES: Final = 8 * 1024
"""What a message has besides its compressed body, and what zstd adds to what cannot be compressed, in bytes."""

ANSWER_BYTES_MAX: Final = PAGE_BYTES_MAX + PAGE_BYTES_MAX // 256 + BODY_OVERHEAD_BYTES
"""Longest answer of any kind, in bytes: one page of the largest size."""

CHANGE_QUADS_MAX: Final = 4_000
"""Most quads, gone and come, of a change that is sent as quads instead of pages."""

CHANGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most bytes of the keys of such a change, uncompressed."""

CHANGE_PAGES_MAX: Final = 20_000
"""Most pages that are read to find such a change."""

PROOF_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest proof that peers send each other, in bytes."""

PROOF_PAGES_MAX: Final = 20_000
"""Most pages of such a proof."""

GRAPHS_MAX: Final = 256
"""Most graphs that a request names."""

TEXT_BYTES_MAX: Final = QUERY_BYTES_MAX
"""Longest query, in bytes."""

REQUESTS_AT_ONCE_MAX: Final = 8
"""Most requests of one peer that are being answered at a time; more are answered with `busy`."""

RETRY_AFTER_MAX_S: Final = 60.0
"""Longest wait that a peer may ask for, in seconds."""
