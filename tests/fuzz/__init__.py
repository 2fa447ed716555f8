"""Random graphs and random queries: every evaluator against the oracle."""
