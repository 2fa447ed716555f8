"""Checkpoints in a node: the union that they are about, what is wrong with a proposed one, and the watcher.

docs/formats.md, sections 11 to 13, say what holds; docs/adr/0012-checkpoints.md why.
"""
