"""Tests of `bench`: its data, its questions, its model of a peer, its report."""
