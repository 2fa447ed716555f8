"""Tests of the checkpoint contract, on titanoboa's py-evm: the shipped artefact beside the library."""
