"""Peers over libp2p: what `node.replication` talks through, over TCP, Noise and yamux.

Nothing listens beyond the loopback interface unless it is told to. py-libp2p 0.8.1 is young. What it gets wrong is put
right in `node.peers.guards`, where each guard says what happens without it; and since a fault in it must not end the
node, it runs under supervision (`node.peers.transport`).
"""

from __future__ import annotations

import logging
import os
import warnings

with warnings.catch_warnings():
    # libp2p imports a part of websockets that is deprecated, for a transport that is not used here.
    warnings.filterwarnings("ignore", message="websockets.legacy is deprecated", category=DeprecationWarning)
    import libp2p

if "LIBP2P_DEBUG" not in os.environ:
    # It logs as errors, with stack traces, whatever strangers do wrong.
    logging.getLogger(libp2p.__name__).addHandler(logging.NullHandler())
    logging.getLogger(libp2p.__name__).setLevel(logging.CRITICAL)
