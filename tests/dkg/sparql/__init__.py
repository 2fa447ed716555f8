"""Tests of `dkg.sparql`."""
