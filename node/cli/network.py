"""A whole network on one machine, for `dkg devnet up`: a chain with a registry, publishers with keys, peers.

    DIR/7/                 each network is in a new directory: its chain is in memory, and ends with it
        network.json       what `--json` tells
        chain.err          what the chain complained of, if it did; each peer has a `start.err`
        publisher-1/       a home (`node.home`), with the password of its key in `password`
        peer-1/            a node: node.toml, node.log, `token` with every scope, and what the node keeps

Everything listens on the loopback interface, at ports that are free. The keys are made here, and are worth nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoints import Terms
from dkg.chain.commit import Domain
from dkg.chain.secp import checksum
from dkg.client.rpc import HttpRpc, Waiting
from dkg.client.settings import ChainSettings
from dkg.errors import StoreError
from node.cli.children import POLL_S
from node.config import TOKENS_FILE, example
from node.core.statusfile import read_status
from node.home import Home
from node.http.tokens import Scope, new_token, write_tokens
from node.keys import address_in, create, unlock
from node.publish.fees import FeePolicy
from node.publish.keychange import deploy, deploy_checkpoints
from node.publish.publisher import connected
from node.publish.sender import Tools
from node.publish.waits import Waits
from node.publish.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.cli.children import Child, Children, Stop

PEERS_MAX: Final = 16
"""Most peers of a network: each takes some 120 MB."""

PUBLISHERS_MAX: Final = 16

FINALITY_DEPTH: Final = 2
"""Blocks until final: nobody reorganises this chain."""

ETHER: Final = 10**18
FUNDS_WEI: Final = 100 * ETHER
"""What each publisher gets."""

KEY_WORK: Final = 4096
"""scrypt's N for the keys of publishers: they are worth nothing, and are to open fast."""

TERMS: Final = Terms(bond=ETHER // 2, window=60, demand_bond=ETHER // 20, demand_window=20)
"""Of the checkpoint contract: windows are short, to be waited out."""

CHAIN_POLL_S: Final = 0.5
"""Time between two looks of a peer at the chain, in seconds."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain and its contracts."""

    url: str
    chain_id: int
    registry: str
    checkpoints: str


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publisher: its address, its home, the file with its key's password."""

    address: str
    home: str
    password_file: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A node: where it answers, its configuration, its log, and a file with a token of every scope."""

    http: str
    address: str
    """Multiaddress."""
    pid: int
    config: str
    log: str
    token_file: str


@dataclass(frozen=True, slots=True)
class Network:
    """All of it, and the processes that it is made of."""

    directory: Path
    chain: Chain
    publishers: list[Publisher]
    peers: list[Peer]
    processes: list[Child]
    """The chain's, then those of the peers."""

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "directory": str(self.directory),
            "chain": asdict(self.chain),
            "publishers": [asdict(one) for one in self.publishers],
            "peers": [asdict(one) for one in self.peers],
        }


def new_directory(base: Path) -> tuple[Path, Path | None]:
    """A new directory for a network below `base`, and the newest of those that were there. Raises `StoreError`."""
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        numbers = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
        newest = max(numbers, default=0)
        number = newest + 1
        while True:
            try:
                (base / str(number)).mkdir(mode=0o700)
            except FileExistsError:  # another `dkg devnet up` was faster
                number += 1
            else:
                return base / str(number), base / str(newest) if newest else None
    except OSError as error:
        raise StoreError(f"{base} cannot be used: {error.strerror or error}") from error


class Builder:
    """Starts a network. `tell`: told each step."""

    def __init__(self, directory: Path, children: Children, stop: Stop, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._children = children
        self._stop = stop
        self._waiting = Waiting(sleep=stop.sleep)
        self._tell = tell
        self._processes: list[Child] = []

    def up(self, peers: int, publishers: int, block_time: float) -> Network:
        """All of it. Raises `StoreError`, `StoppedError`, and what the chain raises."""
        url = self._chain(block_time)
        homes = [self._home(number) for number in range(1, publishers + 1)]
        self._fund(url, homes)
        settings = self._contracts(url, homes[0])
        for home in homes:
            home.keep_chain(settings)
        running: list[Peer] = []
        for number in range(1, peers + 1):
            running.append(self._peer(number, settings, [peer.address for peer in running]))
        network = Network(
            self._directory,
            Chain(url, settings.chain_id, settings.registry, str(settings.checkpoints)),
            [_publisher(home) for home in homes],
            running,
            self._processes,
        )
        _write(self._directory / "network.json", json.dumps(network.facts(), indent=1) + "\n")
        return network

    def _chain(self, block_time: float) -> str:
        self._tell("starting the chain")
        file = self._directory / "chain.port"
        argv = ["devnet", "chain", "--engine", "builtin", "--port", "0", "--port-file", str(file)]
        argv += ["--block-time", f"{block_time:g}"]
        child = self._children.start("the chain", argv, self._directory / "chain.err")
        self._processes.append(child)
        self._children.until(child, file.exists)
        return f"http://127.0.0.1:{file.read_text(encoding='ascii').strip()}"

    # --- publishers ------------------------------------------------------------------------------------------------

    def _home(self, number: int) -> Home:
        home = Home(self._directory / f"publisher-{number}")
        password = secrets.token_urlsafe()
        create(home.key_file, password, secrets.token_bytes(32), work=KEY_WORK)
        _write(home.path / "password", password + "\n")
        return home

    def _fund(self, url: str, homes: list[Home]) -> None:
        """Coins for all publishers."""
        rpc = HttpRpc(url, waiting=self._waiting)
        try:
            payer = rpc.call("eth_accounts")[0]
            gifts = [{"from": payer, "to": _address(home), "value": hex(FUNDS_WEI)} for home in homes]
            sent = [rpc.call("eth_sendTransaction", [gift]) for gift in gifts]
            while any(rpc.call("eth_getTransactionReceipt", [one]) is None for one in sent):
                self._stop.sleep(POLL_S)
        finally:
            rpc.close()

    def _contracts(self, url: str, home: Home) -> ChainSettings:
        self._tell("deploying the registry and the checkpoint contract")
        wallet = Wallet(unlock(home.key_file, (home.path / "password").read_text(encoding="ascii").strip()))
        with connected([url], 1, self._waiting) as (reader, writer):
            tools = Tools(writer, self._waiting, time.time, FeePolicy(), Waits())
            done = deploy(wallet, reader, tools)
            other = deploy_checkpoints(wallet, reader, tools, Domain(done.chain_id, done.address), TERMS)
        registry, checkpoints = checksum(done.address), checksum(other.address)
        return ChainSettings(done.chain_id, registry, [url], 1, done.block, FINALITY_DEPTH, checkpoints=checkpoints)

    # --- peers -----------------------------------------------------------------------------------------------------

    def _peer(self, number: int, chain: ChainSettings, others: list[str]) -> Peer:
        """Start a node that knows the others."""
        name = f"peer-{number}"
        self._tell(f"starting {name}")
        directory = self._directory / name
        directory.mkdir(mode=0o700)
        text, token = new_token("devnet", list(Scope), secrets.token_bytes(32))
        write_tokens(directory / TOKENS_FILE, (token,))
        _write(directory / "token", text + "\n")
        config = directory / "node.toml"
        _write(config, example(_settings(directory, chain, others)))
        child = self._children.start(name, ["start", "--config", str(config), "--quiet"], directory / "start.err")
        self._processes.append(child)
        self._children.until(child, lambda: (read_status(directory) or {}).get("state") == "running")
        facts = read_status(directory) or {}
        return Peer(
            http=str(facts.get("http")),
            address=str(facts.get("peers", [""])[0]),
            pid=child.process.pid,
            config=str(config),
            log=str(directory / "node.log"),
            token_file=str(directory / "token"),
        )


def _settings(directory: Path, chain: ChainSettings, others: list[str]) -> dict[str, object]:
    return {
        "node.directory": str(directory),
        "node.log_file": str(directory / "node.log"),
        "chain.id": chain.chain_id,
        "chain.registry": chain.registry,
        "chain.checkpoints": chain.checkpoints,
        "chain.endpoints": chain.endpoints,
        "chain.first_block": chain.first_block,
        "chain.finality_depth": chain.finality_depth,
        "chain.poll_s": CHAIN_POLL_S,
        "http.port": 0,
        "workers.workers": 1,
        "peers.bootstrap": others,
    }


def _publisher(home: Home) -> Publisher:
    return Publisher(_address(home), str(home.path), str(home.path / "password"))


def _address(home: Home) -> str:
    return checksum(address_in(home.key_file))


def _write(path: Path, text: str) -> None:
    """A new file that its owner alone can read."""
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
