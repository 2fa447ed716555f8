"""Limits that several parts of retrieval share; nothing here is heavy to import."""

from __future__ import annotations

from typing import Final

TOKENS: Final = 150
"""Tokens of a context, if nothing is said."""

TOKENS_MIN: Final = 10
"""Fewest tokens of a context that may be asked for."""

TOKENS_MAX: Final = 8_000
"""Most tokens of a context that may be asked for."""
