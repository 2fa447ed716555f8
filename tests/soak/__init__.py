"""Real nodes under load for a long time, and killed again and again: what `scripts/soak` runs."""
