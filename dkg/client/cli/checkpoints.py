"""`dkg checkpoint status`: the contract of checkpoints as of the newest block, proved; and what a checkpoint covers."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoints import Checkpoint, Status
from dkg.chain.secp import checksum
from dkg.checkpoints.owners import prefix_of
from dkg.client.anchored import State
from dkg.client.checkpointread import OldCheckpointError, log_length, read_checkpoints
from dkg.client.cli.chain import settings_of
from dkg.client.cli.everybody import contract_of
from dkg.client.cli.table import aligned
from dkg.client.counting import Place, changes_since, counting
from dkg.client.endpoints import reader_of
from dkg.client.nodes import Node
from dkg.client.progress import duration, grouped
from dkg.client.settings import home_path
from dkg.errors import ProofError
from dkg.joint import GraphsWithin
from dkg.page import CID_PREFIX, ORDERS, cid_text
from dkg.pages import FetchedPages
from dkg.scan import count_range

if TYPE_CHECKING:
    import argparse

    from dkg.client.checkpointread import CheckpointState
    from dkg.client.cli.console import Console

PUBLISHERS_MAX: Final = 1_000
"""Most publishers of whom it is told how much of their data is covered."""

PAGES_MAX: Final = 20_000
"""Most pages that are read for that."""

_GSPO: Final = ORDERS.index("gspo")


def status(args: argparse.Namespace, console: Console) -> int:
    """Print it."""
    home = home_path(args.home)
    settings = settings_of(args, home)
    contract = contract_of(settings, home)
    with closing(reader_of(settings.endpoints, settings.need)) as reader:
        if (chain_id := reader.chain_id()) != settings.chain_id:
            raise ProofError(f"the endpoint is of chain {chain_id}, not {settings.chain_id}")
        header = reader.header("latest")
        place = Place(reader, settings.domain, contract, header)
        found = read_checkpoints(reader, contract, header)
        changed = _changed(place, found)
        facts: dict[str, Any] = {
            "contract": checksum(contract),
            "registry": checksum(settings.domain.registry),
            "chain_id": settings.chain_id,
            "block": header.number,
            "age_seconds": int(time.time() - header.timestamp),
            "position": log_length(reader, settings.domain.registry, header).length,
            "marks": found.state.marks,
            "demands": found.state.demands,
            "final": None if found.final is None else described(found.final, header.timestamp),
            "pending": [described(one, header.timestamp) for one in found.pending],
            "changed": None if changed is None else [checksum(one) for one in sorted(changed)],
        }
        if args.node is not None and found.final is not None:
            with Node(args.node) as node:
                facts["coverage"] = coverage(place, found.final, node, changed)
    if console.json:
        console.object(facts)
    else:
        console.line(_told(facts))
    _say(facts, console)
    return 0


def described(checkpoint: Checkpoint, now: int) -> dict[str, Any]:
    """A checkpoint for programs. `now`: the time of the block, in Unix seconds."""
    is_final = checkpoint.status is Status.FINAL
    pending = State.DISPUTED if checkpoint.disputed else State.PENDING
    return {
        "id": checkpoint.id,
        "state": str(State.FINAL if is_final else pending),
        "position": checkpoint.position,
        "marks": checkpoint.marks,
        "root": cid_text(CID_PREFIX + checkpoint.root),
        "proposer": checksum(checkpoint.proposer),
        "proposed": checkpoint.proposed,
        "age_seconds": now - checkpoint.proposed,
        "ends_in_seconds": None if is_final else max(0, checkpoint.ends - now),
        "open_demands": checkpoint.open_demands,
        "demands": checkpoint.demands,
    }


def _changed(place: Place, found: CheckpointState) -> set[bytes] | None:
    """The publishers of whom something else may count than the final checkpoint has; None: too much came since."""
    if found.final is None:
        return set()
    try:
        return {*changes_since(place, found.final, found.state).first}
    except OldCheckpointError:
        return None


def coverage(place: Place, checkpoint: Checkpoint, node: Node, changed: set[bytes] | None) -> list[dict[str, Any]]:
    """How many quads of each publisher a checkpoint covers, from counts in its pages, and of its commit how many not.

    Of those who committed since, what is not covered is not told: their commit is another than the checkpoint's.
    """
    pages = FetchedPages(node.page, PAGES_MAX)
    tree = pages.root(CID_PREFIX + checkpoint.root).trees[_GSPO]
    publishers = node.publishers(PUBLISHERS_MAX)
    found = []
    for publisher, one in sorted(counting(place, publishers).items()):
        own = GraphsWithin(prefix_of(place.domain, publisher))
        covered = count_range(pages, tree, own.low, own.high)
        total = one.committed.commit.count if one.committed is not None else 0
        is_same = changed is not None and publisher not in changed
        not_covered = max(0, total - covered) if is_same else None
        if covered or total:
            found.append({"publisher": checksum(publisher), "covered": covered, "not_covered": not_covered})
    return found


def _told(facts: dict[str, Any]) -> str:
    """As people read it."""
    known = [*([facts["final"]] if facts["final"] else []), *facts["pending"]]
    names = ["checkpoint", "state", "position", "marks", "proposed", "ends in", "open demands", "root"]
    rows = [
        [
            str(one["id"]),
            one["state"],
            f"{one['position']} of {facts['position']}",
            f"{one['marks']} of {facts['marks']}",
            f"{duration(max(0, one['age_seconds']))} ago",
            "" if one["ends_in_seconds"] is None else duration(one["ends_in_seconds"]),
            str(one["open_demands"]),
            one["root"],
        ]
        for one in known
    ]
    parts = [aligned(names, rows, [True, False, True, True, True, True, True, False])] if rows else []
    if facts.get("coverage"):
        cells = [
            [
                one["publisher"],
                grouped(one["covered"]),
                "it committed since" if one["not_covered"] is None else grouped(one["not_covered"]),
            ]
            for one in facts["coverage"]
        ]
        parts += ["", aligned(["publisher", "quads covered", "not covered"], cells, [False, True, True])]
    return "\n".join(parts)


def _say(facts: dict[str, Any], console: Console) -> None:
    changed, final = facts["changed"], facts["final"]
    if final is None:
        console.say("no checkpoint is final yet: nothing is complete for all publishers", "yellow")
    elif changed is None:
        console.say("too many commits came since the final checkpoint: it is of little use", "yellow")
    else:
        whose = "publisher" if len(changed) == 1 else "publishers"
        since = f"{len(changed)} {whose} committed since: answered from their own datasets"
        console.say(since if changed else "nobody committed since")
    console.say(f"as of block {facts['block']}, {facts['age_seconds']} s old, proved from its hash", "dim")
