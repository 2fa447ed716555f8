"""Tests of `node`, one module each."""
