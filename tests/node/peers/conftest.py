"""libp2p is imported through `node.peers`, which keeps quiet about the one deprecation that importing it shows.

So no filter for warnings is needed here: every other warning of libp2p's is an error, as everywhere.
"""

from __future__ import annotations

import node.peers  # noqa: F401 - before any test imports libp2p
