"""Faults of whole nodes: the rows of the fault matrix (docs/faults.md) that nothing smaller shows."""
