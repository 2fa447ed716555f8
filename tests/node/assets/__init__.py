"""Assets: what is published, what is said about it, what is checked."""
