"""Verified retrieval: a question in, and a small context out in which every fact is proved, signed and cited."""
