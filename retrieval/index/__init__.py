"""The index of retrieval: a cache of what snapshots say, which only proposes (docs/retrieval.md)."""

from __future__ import annotations

from retrieval.index.store import KnowledgeIndex

__all__ = ["KnowledgeIndex"]
