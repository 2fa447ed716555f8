"""Tests of the contracts, on titanoboa's py-evm. What is tested is the artefact that is shipped."""
