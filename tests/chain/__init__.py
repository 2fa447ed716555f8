"""Chains for tests: anvil, and a proxy that is dead, slow or lies."""
