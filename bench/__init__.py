"""Measurements: data, queries, peers, and what `scripts/bench` does with them. Not shipped."""
