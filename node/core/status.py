"""How a node is, as JSON: for people, monitors and `dkg status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import checksum
from dkg.page import cid_text
from node.core.shelf import STAGED, SUBSET
from node.union_keeper import UNION

if TYPE_CHECKING:
    from node.core.core import NodeCore


GIB: Final = 1024 * 1024 * 1024
"""What is free on the disk is told in these: else everybody could see how much is private."""


def status_of(core: NodeCore) -> dict[str, Any]:
    """All of it. Reads memory only."""
    return {
        "domain": {"chain_id": core.domain.chain_id, "registry": checksum(core.domain.registry)},
        "chain": _chain(core),
        "union": _union(core),
        "publishers": _publishers(core),
        "storage": _storage(core),
        "operations": {"unfinished": len(core.desk.unfinished())},
        "peers": {"connected": len(core.peers())},
        "checkpoints": core.watcher.status() if core.parts.settings.checkpoints is not None else None,
    }


def _chain(core: NodeCore) -> dict[str, Any]:
    watch, view = core.watch, core.chain.view
    head, counted = view.head, watch.counted
    return {
        "condition": str(watch.condition),
        "trouble": watch.trouble or None,
        "frozen": view.frozen or None,
        "block": head.number if head else None,
        "block_hash": "0x" + head.hash.hex() if head else None,
        "block_time": head.time if head else None,
        "age_seconds": int(core.parts.clock()) - head.time if head else None,
        "finality_depth": core.parts.settings.finality_depth,
        "commits": view.length,
        "final_commits": view.final_position,
        "proved": view.proved,
        "steps": counted.steps,
        "failures": counted.failures,
        "reorganisations": counted.reorganisations,
        "blocks_back": counted.blocks_back,
        "log_trouble": watch.disk_trouble or None,
    }


def _union(core: NodeCore) -> dict[str, Any]:
    rows = core.shelf.rows(UNION)
    missing = core.unions.missing.items()
    return {
        "root": cid_text(rows[0].root) if rows else None,
        "position": rows[0].position if rows else None,
        "publishers": len(rows[0].inputs) if rows else 0,
        "waits_for": [
            {"publisher": checksum(who), "seq": one.committed.commit.seq, "since_s": _since(core, one.since)}
            for who, one in list(missing)[:100]
        ],
        "outside": {checksum(who): what.count for who, what in list(core.unions.outside.items())[:100]},
    }


def _since(core: NodeCore, moment: float) -> int:
    return int(core.parts.monotonic() - moment)


def _publishers(core: NodeCore) -> dict[str, Any]:
    kept = core.shelf.kept
    return {
        "known": len(core.chain.view.log.publishers),
        "held": len(core.shelf.publishers()),
        "refused": len(core.shelf.refused),
        "staged": sum(name.startswith(STAGED) for name in kept),
        "subsets": sum(name.startswith(SUBSET) for name in kept),
        "roots": sum(map(len, kept.values())),
    }


def _storage(core: NodeCore) -> dict[str, Any]:
    usage, keeping = core.housekeeping.usage, core.housekeeping
    broken = core.parts.store.pages.database.broken
    return {
        "used_bytes": usage.used if usage else None,
        "quota_bytes": usage.quota if usage else core.parts.store.quota_bytes,
        "free_on_disk_bytes": usage.free_on_disk // GIB * GIB if usage else None,
        "broken": broken or None,
        "collected": keeping.collected or None,
    }
