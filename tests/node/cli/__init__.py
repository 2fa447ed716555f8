"""Tests of the publisher's commands."""
