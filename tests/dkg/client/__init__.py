"""Tests of dkg.client."""

