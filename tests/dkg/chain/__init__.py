"""Tests of `dkg`, one module each."""
