"""Counts, lists, superlatives and comparisons, answered by verified queries from templates (docs/retrieval.md)."""

from __future__ import annotations

from retrieval.aggregate.answer import try_aggregate
from retrieval.aggregate.context import Tried, aggregate_context
from retrieval.aggregate.result import AggregateResult

__all__ = ["AggregateResult", "Tried", "aggregate_context", "try_aggregate"]
