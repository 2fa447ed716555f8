"""`dkg peers`: whom the running node is connected with."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dkg.client.cli.console import plain
from dkg.client.cli.exits import Exit
from dkg.client.cli.table import aligned
from dkg.client.progress import duration, size
from node.cli.asking import call, token_in, url_of
from node.cli.nodes import configured

if TYPE_CHECKING:
    import argparse

    from dkg.client.cli.console import Console

ITEMS: Final = 1_000
"""Peers that are asked for at a time."""

AGENT_MAX: Final = 24
"""Most characters of a peer's name for itself that are shown."""

_NAMES: Final = ("peer", "direction", "for", "agent", "sent", "received", "datasets", "points", "address")
_RIGHT: Final = (False, False, True, False, True, True, True, True, False)


def peers(args: argparse.Namespace, console: Console) -> int:
    """Print them. 3 if the node does not run."""
    url = url_of(configured(args))
    token = None if args.token_file is None else token_in(args.token_file)
    found = list(_all(url, token))
    if console.json:
        console.object({"node": url, "peers": found})
        return Exit.OK
    rows = [_row(one, time.time()) for one in found]
    if rows:
        console.line(aligned(_NAMES, rows, _RIGHT))
    console.say(
        f"{len(found)} peer{'' if len(found) == 1 else 's'}" + ("" if rows else ": `peers.bootstrap` names some")
    )
    return Exit.OK


def _all(url: str, token: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        part = call(f"{url}/v1/peers?limit={ITEMS}{after}", token)
        found += part["items"]
        if not part.get("next"):
            return found
        after = f"&after={quote(found[-1]['id'])}"


def _row(one: dict[str, Any], now: float) -> list[str]:
    """The cells of a peer. What it says of itself is shown as text that is safe on a terminal."""
    since = one.get("since")
    agent = plain(str(one.get("agent") or ""))
    points = f"{one.get('score') or 0:g}" + (", shut out" if one.get("shut_out") else "")
    return [
        plain(str(one["id"])),
        plain(str(one.get("direction") or "")) + (", pinned" if one.get("pinned") else ""),
        duration(max(0.0, now - datetime.fromisoformat(since).timestamp())) if since else "",
        agent if len(agent) <= AGENT_MAX else f"{agent[: AGENT_MAX - 1]}…",
        size(one.get("sent_bytes") or 0),
        size(one.get("received_bytes") or 0),
        str(len(one.get("heads") or ())),
        points,
        plain(str(one.get("remote") or "")),
    ]
