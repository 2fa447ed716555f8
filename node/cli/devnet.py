"""`dkg devnet`: a development chain, coins of it, and a whole network on this machine.

The chain is anvil where that is on the PATH, as it is faster; otherwise our own, which needs nothing but pip.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import address_from_text, checksum
from dkg.client.cli.exits import Exit
from dkg.client.cli.table import aligned
from dkg.client.rpc import HttpRpc, RpcRefusedError
from dkg.errors import InputError, StoreError
from node.home import Home
from node.keys import address_in

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from dkg.client.cli.console import Console
    from node.cli.children import Child, Stop
    from node.cli.network import Network

RECEIPT_S: Final = 30.0
"""How long a payment may take to be mined, in seconds."""

DEFAULT_NETWORKS: Final = "~/.dkg/devnet"

WATCH_S: Final = 0.2
"""Time between two looks at the processes of a network, in seconds."""

_LISTENING: Final = re.compile(r"Listening on [0-9.]+:(\d+)")
_POLL_S: Final = 0.05


def chain(args: argparse.Namespace, console: Console) -> int:
    """Run a development chain until SIGINT or SIGTERM."""
    found = shutil.which("anvil") if args.engine != "builtin" else None
    if args.engine == "anvil" and found is None:
        raise InputError("anvil is not on the PATH; leave --engine out to run our own chain")
    port_file = Path(args.port_file) if args.port_file else None
    if found is not None:
        console.say(f"running {found}")
        return _anvil(found, args, port_file)
    from node.devnet.chain import Options, serve  # noqa: PLC0415 - py-evm takes a second

    try:
        serve(Options(args.port, args.chain_id, args.accounts, args.block_time, host=args.host), port_file)
    except OSError as error:
        raise StoreError(
            f"the development chain cannot listen at {args.host}:{args.port}: {error.strerror or error}"
        ) from error
    return 0


def _anvil(program: str, args: argparse.Namespace, port_file: Path | None) -> int:
    """Run anvil, and say where it listens as our own chain does."""
    options = [
        f"--host={args.host}",
        f"--port={args.port}",
        f"--chain-id={args.chain_id}",
        f"--accounts={args.accounts}",
    ]
    if args.block_time:
        options.append(f"--block-time={args.block_time:g}")
    if port_file:
        port_file.unlink(missing_ok=True)
    process = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True, process_group=0)  # noqa: S603

    def end(_signal: int, _frame: FrameType | None) -> None:
        process.terminate()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    asked_to_end = 0
    try:
        with process.stdout or sys.stdin as lines:
            for line in lines:
                sys.stdout.write(line)
                sys.stdout.flush()
                if port_file and (port := _LISTENING.search(line)):
                    beside = port_file.with_name(f"{port_file.name}.{os.getpid()}")
                    beside.write_text(port[1] + "\n", encoding="ascii")
                    beside.replace(port_file)
        asked_to_end = process.wait()
    finally:
        if port_file:
            port_file.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked_to_end not in {0, -signal.SIGTERM, -signal.SIGINT}:
        raise StoreError(f"anvil ended with code {asked_to_end}; what it said is above")
    return 0


def up(args: argparse.Namespace, console: Console) -> int:
    """Run a whole network until SIGINT or SIGTERM."""
    from node.cli.children import Children, Stop, StoppedError  # noqa: PLC0415 - `devnet chain` needs none of it
    from node.cli.network import Builder, new_directory  # noqa: PLC0415

    directory, before = new_directory(Path(args.directory or DEFAULT_NETWORKS).expanduser().absolute())
    if before is not None:
        console.say(f"the network in {before} ended with its chain, which was in memory: this is a new one", "dim")
    with Stop() as stop, Children(stop) as children:
        builder = Builder(directory, children, stop, lambda text: console.say(text, "dim"))
        try:
            network = builder.up(args.peers, args.publishers, args.block_time)
        except StoppedError:
            console.say(f"interrupted: nothing runs any more; what was made is in {directory}")
            return Exit.INTERRUPTED
        if console.json:
            console.object(network.facts())
        else:
            console.line(_told(network))
        sys.stdout.flush()
        console.say("Ctrl-C ends it")
        watch(network.processes, stop, console)
        console.say("ending all of it", "dim")
    console.say(f"nothing runs any more; what was made is in {directory}")
    return Exit.OK


def watch(processes: list[Child], stop: Stop, console: Console) -> None:
    """Wait until the command is told to end, and tell what ends before. Raises `StoreError` if the chain does."""
    chain, *running = processes
    while not stop.wait(WATCH_S):
        if not chain.is_running:
            raise StoreError(f"{chain.why()}; without it there is no network")
        for peer in [one for one in running if not one.is_running]:
            console.say(f"{peer.why()}; the others go on", "yellow")
            running.remove(peer)


def _told(network: Network) -> str:
    """The network, and what to try, as people read it."""
    first, peer = network.publishers[0], network.peers[-1]
    rows = [["chain", network.chain.url, f"registry {network.chain.registry}, chain {network.chain.chain_id}"]]
    rows += [[f"peer {n}", one.http, one.config] for n, one in enumerate(network.peers, 1)]
    rows += [[f"publisher {n}", one.address, one.home] for n, one in enumerate(network.publishers, 1)]
    home = f"--home {shlex.quote(first.home)}"
    tried = [
        f"dkg publish FILE --asset NAME {home} --password-file {shlex.quote(first.password_file)}",
        f"dkg push {network.peers[0].http} {home} --token-file {shlex.quote(network.peers[0].token_file)}",
        f"curl -G {peer.http}/sparql --data-urlencode 'query=SELECT * {{ ?s ?p ?o }} LIMIT 3'",
        f"dkg peers --config {shlex.quote(peer.config)}",
        f"dkg logs --follow --config {shlex.quote(peer.config)}",
    ]
    return "\n".join([aligned(["", "where", ""], rows, [False] * 3), "", "Try:", *(f"  {one}" for one in tried)])


def fund(args: argparse.Namespace, console: Console) -> int:
    """Send coins from the first account of a development chain."""
    to = address_from_text(args.address) if args.address else address_in(Home.find(args.home).key_file)
    rpc = HttpRpc(args.rpc)
    try:
        accounts = rpc.call("eth_accounts")
        if not accounts:
            raise InputError(f"{rpc.name} has no accounts of its own: it is no development chain")
        wei = int(args.ether * 10**18)
        sent = rpc.call("eth_sendTransaction", [{"from": accounts[0], "to": "0x" + to.hex(), "value": hex(wei)}])
        _await(rpc, sent)
    except RpcRefusedError as error:
        raise InputError(f"{rpc.name} is no development chain that gives coins: {error}") from error
    finally:
        rpc.close()
    if console.json:
        console.object({"address": checksum(to), "wei": wei, "transaction": sent})
    else:
        console.line(checksum(to))
    console.say(f"{args.ether:g} ether for {checksum(to)}")
    return 0


def _await(rpc: HttpRpc, transaction: str) -> None:
    end = time.monotonic() + RECEIPT_S
    while rpc.call("eth_getTransactionReceipt", [transaction]) is None:
        if time.monotonic() > end:
            raise StoreError(f"{rpc.name} did not mine the payment {transaction} in {RECEIPT_S:g} s")
        time.sleep(_POLL_S)
