"""The peer node and the publisher: what needs a chain, a network or a server."""
