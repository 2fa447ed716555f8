"""How nodes bring each other's datasets over, without trusting each other: the peer protocol, free of I/O.

The chain says which root a publisher's dataset should have; peers only say who has it, and send bytes. Nothing that a
peer sends counts before its hash is the one asked for, and no head moves before the whole dataset, derived again from
its quads, has the root that is anchored.

Nothing here opens a socket, reads a clock or rolls dice: that comes as `Transport` and `Runtime`, which
`node/peers` brings for the network and `tests/sim` for the simulator.
"""
