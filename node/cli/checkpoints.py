"""`dkg checkpoint propose`, `challenge`, `watch` and `withdraw`: for those who run a node with a key that pays.

The first two ask the node that runs: it has the data, and the key. `watch` runs the node itself, and tells what its
watcher does. `withdraw` takes the key from its home.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import checksum
from dkg.client.cli.console import plain
from dkg.client.cli.everybody import contract_of
from dkg.client.cli.exits import Exit
from dkg.client.progress import duration, grouped, size
from dkg.client.rpc import Waiting
from dkg.errors import InputError, StoreError
from node.cli.asking import NodeSilentError, call, token_in, url_of
from node.cli.nodes import config_path, configured
from node.core.statusfile import read_status
from node.home import Home
from node.publish.errors import RejectedError
from node.publish.fees import ether

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from dkg.client.cli.console import Console

ANSWER_S: Final = 300.0
"""How long a node may take, in seconds: it waits for blocks."""

EVENT: Final = "checkpoint"
"""What the names of the events begin with that a watcher logs."""


def propose(args: argparse.Namespace, console: Console) -> int:
    """Have the node propose a checkpoint."""
    chosen = "" if args.position is None else f"?position={args.position}"
    made = _asked(args, f"/v1/checkpoints{chosen}")
    if console.json:
        console.object(made)
    else:
        console.line(str(made["root"]))
    marked = f", without those that the first {made['marks']} marks name" if made["marks"] else ""
    console.say(
        f"proposed for the first {made['position']} commits{marked}; "
        f"the bond is {ether(made['bond_wei'])}, and the window {duration(made['window_seconds'])}"
    )
    _say_steps(made["steps"], console)
    return Exit.OK


def challenge(args: argparse.Namespace, console: Console) -> int:
    """Have the node judge a pending checkpoint, and refute it if it is wrong. 2 if nothing can be said of it."""
    made = _asked(args, f"/v1/checkpoints/{args.id}/challenge?dry_run={'true' if args.dry_run else 'false'}")
    if console.json:
        console.object(made)
    else:
        console.line(str(made["found"]))
    console.say(_found(made, dry_run=args.dry_run))
    _say_steps(made["steps"], console)
    return Exit.OK if made["found"] in {"right", "wrong"} else Exit.UNPROVED


def _found(made: dict[str, Any], *, dry_run: bool) -> str:
    number = made["checkpoint"]
    if made["found"] == "right":
        return f"checkpoint {number} is right: nothing was sent"
    if made["found"] != "wrong":
        return f"nothing can be said of checkpoint {number} now: {plain(str(made['why']))}"
    reward = f"half of the bond, {ether(made['reward_wei'])}"
    if not dry_run:
        done = "is refuted" if made["steps"] else "was refuted already"
        return f"checkpoint {number} is wrong ({made['kind']}) and {done}: {reward}, is the challenger's"
    shows, gas = made["shows"], made["estimated_gas"]
    cost = f"about {grouped(gas)} gas" if shows == 0 else f"{shows} pages would be shown first"
    return f"checkpoint {number} is wrong ({made['kind']}): {cost}, for {reward}; nothing was sent"


def _say_steps(steps: Sequence[dict[str, Any]], console: Console) -> None:
    for step in steps:
        gas = "" if step["gas"] is None else f", {grouped(step['gas'])} gas"
        where = "" if step["block"] is None else f" in block {step['block']}"
        console.say(f"{step['what']}: transaction {step['transaction']}{where}{gas}, {size(step['bytes'])}", "dim")


def _asked(args: argparse.Namespace, path: str) -> dict[str, Any]:
    url, token = url_of(configured(args)), token_in(args.token_file)
    try:
        return call(f"{url}{path}", token, b"", timeout_s=ANSWER_S)
    except NodeSilentError as error:
        raise StoreError(
            f"{error}. It goes on all the same: `dkg logs --event '{EVENT}*'` and `dkg checkpoint status` say what came"
        ) from error


def withdraw(args: argparse.Namespace, console: Console) -> int:
    """Have the contract pay out what it owes the home's key: bonds that came back, and rewards."""
    from node.checkpoints import calls  # noqa: PLC0415 - the other commands need no key
    from node.checkpoints.sending import CheckpointSender, Errand, never  # noqa: PLC0415
    from node.cli.signing import Waiter, policy_of, wallet_of  # noqa: PLC0415
    from node.publish.publisher import connected  # noqa: PLC0415
    from node.publish.sender import Tools  # noqa: PLC0415
    from node.publish.waits import Waits  # noqa: PLC0415

    home = Home.find(args.home)
    settings = home.chain()
    contract, wallet = contract_of(settings, home.path), wallet_of(args, home)
    with connected(settings.endpoints, settings.need) as (reader, writer), Waiter(console) as tell:
        tools = Tools(writer, Waiting(), time.time, policy_of(args), Waits())
        sender = CheckpointSender(home, wallet, settings.domain, reader, tools)
        try:
            sent = sender.send(Errand(calls.withdraw(contract), never, once=True), tell)
        except RejectedError as error:
            if "nothing owed" not in str(error):
                raise
            raise InputError(f"nothing is owed to {checksum(wallet.address)}: nothing was sent") from error
    transaction = f"0x{(sent.transaction or b'').hex()}"
    if console.json:
        console.object({"transaction": transaction, "block": sent.block, "gas": sent.gas_used})
    else:
        console.line(transaction)
    console.say(f"paid out to {checksum(wallet.address)} in block {sent.block}, {grouped(sent.gas_used or 0)} gas")
    return Exit.OK


def watch(args: argparse.Namespace, console: Console) -> int:
    """Run the node, and tell what its watcher does, until SIGINT or SIGTERM."""
    from node.core.run import run  # noqa: PLC0415 - `--help` needs no node

    told = {"DKG_NODE_CHECKPOINTS_WATCH": "true"}
    if args.propose_every is not None:
        told["DKG_NODE_CHECKPOINTS_PROPOSE_EVERY"] = f"{args.propose_every:g}"
    config = configured(args, told)
    if config.chain().checkpoints is None:
        raise InputError(
            f"{config.source} knows no checkpoint contract: set chain.checkpoints, or `dkg chain use --checkpoints`"
        )
    if read_status(config.directory) is not None:
        raise InputError(
            f"a node runs in {config.directory} already, and watches unless checkpoints.watch is false there: "
            f"`dkg logs --follow --event '{EVENT}*' --config {config_path(args.config)}` shows what it does"
        )

    def ready(facts: dict[str, Any]) -> None:
        if console.json:
            console.object(facts)
            sys.stdout.flush()
        what = "refutes what is wrong" if config["publish.home"] else "only looks: publish.home names no key that pays"
        console.say(f"watching checkpoints; it {what}. Ctrl-C ends it")

    def event(name: str, facts: dict[str, object]) -> None:
        if name.startswith(EVENT):
            said = ", ".join(f"{key}: {value}" for key, value in facts.items() if value not in {"", None})
            console.say(f"{name}: {said}", "yellow" if facts.get("level") == "warning" else "")

    return run(config, ready=ready, event=event)
