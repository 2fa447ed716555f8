"""Tests of `dkg.checkpoints`."""
