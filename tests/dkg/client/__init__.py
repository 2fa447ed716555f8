"""Tests of dkg.client."""
