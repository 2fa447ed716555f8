"""Measurements of verified retrieval: `scripts/bench retrieval`."""
