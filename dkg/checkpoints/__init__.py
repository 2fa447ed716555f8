"""Checkpoints: what a transaction shows a contract of trees and of the log, and what that proves.

Formats: docs/formats.md, sections 11 to 13. Why: docs/adr/0012-checkpoints.md.
"""
