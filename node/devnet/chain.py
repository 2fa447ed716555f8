"""A development chain that several processes can use: `python -m node.devnet.chain --port 8545`.

It stands on py-evm, with the rules of the Prague fork, behind JSON-RPC over HTTP on the loopback interface. Its
accounts are those of anvil and Hardhat, keys included, so nothing on it is worth anything. It is kept in memory only:
when the process ends, the chain is gone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node.devnet.accounts import FUNDS_WEI, DevAccount, dev_accounts
from node.devnet.control import Control
from node.devnet.dispatch import Dispatcher
from node.devnet.ledger import Ledger
from node.devnet.reading import Reading
from node.devnet.server import HOST, JsonServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

CHAIN_ID: Final = 31337
"""The chain id that development chains share."""

ACCOUNTS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """How the chain runs. `block_time`: seconds between blocks; 0 mines each transaction as it comes."""

    port: int = 0
    chain_id: int = CHAIN_ID
    accounts: int = 10
    block_time: float = 0.0
    mining: bool = True
    slots_in_an_epoch: int = 1
    """The safe block is that many blocks behind the latest, the finalized one twice as many."""
    host: str = HOST
    """Where it listens. Whoever can reach it can take all that is on it: its keys are known to all the world."""


@dataclass(frozen=True, slots=True)
class Devnet:
    """A running chain: where it answers, its id, its accounts with their keys."""

    url: str
    chain_id: int
    accounts: tuple[DevAccount, ...]


class Running:
    """A chain with its threads. `stop` ends them and frees the port."""

    def __init__(self, options: Options) -> None:
        accounts = dev_accounts(options.accounts)
        self._ledger = Ledger(options.chain_id, accounts, FUNDS_WEI, slots_in_an_epoch=options.slots_in_an_epoch)
        self._ledger.automine = options.mining and not options.block_time
        reading = Reading(self._ledger)
        self._dispatcher = Dispatcher(reading.methods() | Control(self._ledger, reading, accounts).methods())
        self._server = JsonServer(options.port, self._dispatcher.answer, options.host)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._server.serve_forever, args=(0.05,), name="devnet")]
        if options.mining and options.block_time:
            self._threads.append(threading.Thread(target=self._mine, args=(options.block_time,), name="devnet-miner"))
        self.devnet = Devnet(self._server.url, options.chain_id, accounts)
        for thread in self._threads:
            thread.start()

    def _mine(self, block_time: float) -> None:
        while not self._ended.wait(block_time):
            with self._dispatcher.lock:
                self._ledger.mine()

    def stop(self) -> None:
        """Answer what is being asked, then end."""
        self._ended.set()
        self._server.stop()
        for thread in self._threads:
            thread.join()


@contextmanager
def devnet(options: Options | None = None) -> Iterator[Devnet]:
    """A development chain for as long as the block runs. Raises `OSError` if the port is taken."""
    running = Running(options or Options())
    try:
        yield running.devnet
    finally:
        running.stop()


def serve(options: Options, port_file: Path | None = None) -> None:
    """Run a development chain until SIGINT or SIGTERM. `port_file` has the port while the chain answers."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    if port_file:
        port_file.unlink(missing_ok=True)
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with devnet(options) as chain:
            print(banner(chain, options), flush=True)  # noqa: T201 - a command
            if port_file:
                _write(port_file, chain.url.rpartition(":")[2] + "\n")
            ended.wait()
    finally:
        if port_file:
            port_file.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def banner(chain: Devnet, options: Options) -> str:
    """What the command says when the chain is up."""
    mining = f"a block every {options.block_time:g} s" if options.block_time else "a block for each transaction"
    accounts = "\n".join(f"  {account.name}  0x{account.key.hex()}" for account in chain.accounts)
    return (
        f"Development chain {chain.chain_id} at {chain.url} ({mining if options.mining else 'blocks when told to'})\n"
        "It lives in memory only: when this process ends, the chain is gone.\n"
        f"Accounts with {FUNDS_WEI // 10**18:,} ether each, and their keys, which all the world knows:\n{accounts}\n"
        "Ctrl-C ends it."
    )


def _write(path: Path, text: str) -> None:
    """Whoever waits for the file finds all of it or none."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="ascii")
    beside.replace(path)


def _options(arguments: Sequence[str] | None) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m node.devnet.chain", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8545, help="0 takes a free one (default: 8545)")
    parser.add_argument("--port-file", type=Path, help="file that has the port while the chain answers")
    parser.add_argument("--chain-id", type=int, default=CHAIN_ID, help=f"default: {CHAIN_ID}")
    parser.add_argument("--accounts", type=int, default=10, help="funded accounts (default: 10)")
    parser.add_argument("--block-time", type=float, default=0, help="seconds between blocks; 0: one per transaction")
    parser.add_argument("--no-mining", action="store_true", help="mine only when evm_mine asks for it")
    parser.add_argument("--slots-in-an-epoch", type=int, default=1, help="finality is twice as many blocks deep")
    given = parser.parse_args(arguments)
    for name, value, most in (
        ("--accounts", given.accounts, ACCOUNTS_MAX),
        ("--port", given.port, 65_535),
        ("--chain-id", given.chain_id, 2**53),
        ("--block-time", given.block_time, 86_400),
        ("--slots-in-an-epoch", given.slots_in_an_epoch, 10_000),
    ):
        if not 0 <= value <= most:
            parser.error(f"{name} must be from 0 to {most}, not {value}")
    options = Options(
        given.port, given.chain_id, given.accounts, given.block_time, not given.no_mining, given.slots_in_an_epoch
    )
    return options, given.port_file


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when it was told to end, 1 if the port is taken."""
    options, port_file = _options(arguments)
    try:
        serve(options, port_file)
    except OSError as error:
        print(f"The development chain cannot start on port {options.port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
