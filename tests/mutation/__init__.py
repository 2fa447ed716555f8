"""Proofs that are wrong on purpose: altered, mixed, malformed, or made from hostile pages."""
