"""`dkg doctor`: what is wrong with a set-up, in sentences, each with what to do about it.

Every check runs, whatever the others find; what cannot be checked because something else is missing is left out.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from dkg.chain.anchor import verify_slots
from dkg.chain.registry import Head, head_slot
from dkg.chain.secp import address_from_text, checksum
from dkg.client.chainread import RpcReader
from dkg.client.cli.exits import Exit
from dkg.client.progress import duration, size
from dkg.client.rpc import HttpRpc, RpcRefusedError, Waiting
from dkg.client.store import SqliteStore
from dkg.client.trusted import TrustedHeads
from dkg.errors import DkgError, InputError
from node.cli.chains import code_at, is_ours, publisher_of, terms_at
from node.home import Home
from node.keys import address_in
from node.publish.fees import ether

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.cli.console import Console
    from dkg.client.settings import ChainSettings

FREE_BYTES_MIN: Final = 1024 * 1024 * 1024
"""Free space of the home's disk below which the doctor warns, in bytes."""

AGE_S_MAX: Final = 600
"""Age of the newest block above which the doctor warns, in seconds."""

SKEW_S_MAX: Final = 15
"""How far the newest block may be in the future, in seconds, before the doctor blames the device's clock."""

COMMIT_GAS: Final = 100_000
"""Gas for which a wallet should have coins: one commit, with a margin."""

TIMEOUT_S: Final = 5.0
"""How long an endpoint may take, in seconds."""

_OTHERS: Final = 0o077
"""Permission bits of everybody but the owner."""


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `advice`: what to do, empty if nothing."""

    level: Level
    what: str
    advice: str = ""


def doctor(args: argparse.Namespace, console: Console) -> int:
    """Look at everything; 3 if there is a problem."""
    found = list(findings(Home.find(args.home), time.time()))
    problems = sum(finding.level is Level.PROBLEM for finding in found)
    if console.json:
        console.object({"healthy": not problems, "findings": [asdict(finding) for finding in found]})
    else:
        console.line("\n".join(_shown(finding) for finding in found))
    console.say(f"{problems} problem{'' if problems == 1 else 's'}" if problems else "nothing is wrong")
    return Exit.STORE if problems else Exit.OK


def _shown(finding: Finding) -> str:
    return f"{finding.level:8} {finding.what}" + (f"\n         -> {finding.advice}" if finding.advice else "")


def findings(home: Home, now: float) -> Iterator[Finding]:
    """All findings. `now`: Unix seconds."""
    yield from _packages()
    yield from _directory(home)
    yield from _key(home)
    yield from _store(home)
    yield from _heads(home)
    try:
        settings = home.chain()
    except DkgError as error:
        yield Finding(Level.PROBLEM, str(error))
        return
    yield Finding(Level.OK, f"registry {settings.registry} on chain {settings.chain_id}")
    if not settings.endpoints:
        yield Finding(
            Level.PROBLEM, "no endpoint of the chain is known", "`dkg chain use --rpc URL --registry ADDRESS`"
        )
    for url in settings.endpoints:
        yield from _endpoint(url, settings, home, now)


def _packages() -> Iterator[Finding]:
    yield Finding(Level.OK, f"Python {sys.version.partition(' ')[0]}")
    missing = [name for name in ("web3", "eth_account", "cryptography", "pyshacl") if find_spec(name) is None]
    if missing:
        yield Finding(Level.PROBLEM, f"{', '.join(missing)} cannot be imported", "pip install 'dkg[publish]'")


def _directory(home: Home) -> Iterator[Finding]:
    if not home.path.is_dir():
        yield Finding(Level.PROBLEM, f"there is no home {home.path}", "`dkg key new` makes it")
        return
    free = shutil.disk_usage(home.path).free
    level = Level.OK if free >= FREE_BYTES_MIN else Level.WARNING
    yield Finding(level, f"home {home.path}, {size(free)} free", "" if level is Level.OK else "free some space")


def _key(home: Home) -> Iterator[Finding]:
    try:
        address = address_in(home.key_file)
    except DkgError as error:
        yield Finding(Level.PROBLEM, str(error))
        return
    yield Finding(Level.OK, f"key {checksum(address)}")
    if home.key_file.stat().st_mode & _OTHERS:
        yield Finding(Level.WARNING, "others on this machine can read the key file", f"chmod 600 {home.key_file}")


def _store(home: Home) -> Iterator[Finding]:
    if not (home.store / "pages.db").exists():
        yield Finding(Level.OK, "nothing was published from here yet")
        return
    try:
        with SqliteStore(home.store, read_only=True) as store:
            roots = len(set(store.heads()))
    except DkgError as error:
        yield Finding(Level.PROBLEM, str(error), f"`dkg fsck --store {home.store}` tells more")
        return
    yield Finding(Level.OK, f"store with {roots} root{'' if roots == 1 else 's'}")


def _heads(home: Home) -> Iterator[Finding]:
    try:
        TrustedHeads(home.heads)
    except DkgError as error:
        yield Finding(Level.PROBLEM, str(error))


def _endpoint(url: str, settings: ChainSettings, home: Home, now: float) -> Iterator[Finding]:
    with closing(HttpRpc(url, timeout_s=TIMEOUT_S, attempts=1, waiting=Waiting())) as rpc:
        reader = RpcReader(rpc)
        try:
            chain_id, header = reader.chain_id(), reader.header("latest")
            if chain_id != settings.chain_id:
                yield Finding(
                    Level.PROBLEM, f"{rpc.name} is of chain {chain_id}, not {settings.chain_id}", "`dkg chain use` anew"
                )
                return
            yield _age(rpc.name, header, now)
            yield from _registry(rpc, url, header, settings, home)
        except DkgError as error:
            yield Finding(Level.PROBLEM, str(error), f"is {rpc.name} running, and the right one?")


def _age(name: str, header: Header, now: float) -> Finding:
    age = now - header.timestamp
    where = f"{name} answers; block {header.number}"
    if age < -SKEW_S_MAX:
        return Finding(
            Level.WARNING, f"{where} is {duration(-age)} in the future", "this device's clock is slow: set it"
        )
    if age > AGE_S_MAX:
        return Finding(
            Level.WARNING, f"{where} is {duration(age)} old", "the endpoint is behind, or this device's clock is fast"
        )
    return Finding(Level.OK, f"{where}, {duration(max(0.0, age))} old")


def _registry(rpc: HttpRpc, url: str, header: Header, settings: ChainSettings, home: Home) -> Iterator[Finding]:
    registry = settings.domain.registry
    code = code_at(url, registry)
    if not code:
        yield Finding(Level.PROBLEM, f"{rpc.name} has no contract at {settings.registry}", "`dkg chain use` another")
        return
    if not is_ours(code):
        yield Finding(Level.WARNING, f"the contract at {settings.registry} is not the registry of this release")
    if settings.checkpoints is not None:
        yield _checkpoints(url, settings.checkpoints, settings.domain)
    publisher = publisher_of(home, settings)
    slots = [head_slot(publisher)] if publisher else []
    block = {"blockHash": "0x" + header.hash.hex()}
    try:
        proof = rpc.call("eth_getProof", ["0x" + registry.hex(), ["0x" + slot.hex() for slot in slots], block])
    except RpcRefusedError:
        yield Finding(
            Level.WARNING, f"{rpc.name} does not offer eth_getProof", "its word is believed only with --allow-unproved"
        )
        return
    words = verify_slots(header, registry, slots, proof)
    if publisher:
        yield _signer(Head.unpack(publisher, words[0]), home)
        yield _wallet(rpc, home)


def _checkpoints(url: str, address: str, domain: Domain) -> Finding:
    try:
        terms = terms_at(url, address_from_text(address), domain)
    except InputError as error:
        return Finding(Level.PROBLEM, str(error), "`dkg chain use` without --checkpoints, or with another")
    bond, window = ether(terms.bond), duration(terms.window)
    return Finding(Level.OK, f"checkpoints at {address}: a bond of {bond}, and {window} to refute one")


def _signer(head: Head, home: Home) -> Finding:
    who, key = checksum(head.publisher), address_in(home.key_file) if home.key_file.exists() else None
    if head.retired:
        return Finding(Level.PROBLEM, f"the publisher {who} has retired", "publish under another key: `dkg key new`")
    if head.signer is None:
        return Finding(
            Level.PROBLEM,
            f"the signer of {who} was revoked",
            "the publisher's own key names a new one: `dkg key rotate`",
        )
    if key is not None and key != head.signer:
        return Finding(
            Level.PROBLEM,
            f"{checksum(head.signer)} signs for {who}, and this home has the key of {checksum(key)}",
            "`dkg key rotate`, or another --home",
        )
    return Finding(Level.OK, f"{checksum(head.signer)} may sign for {who}, which has {head.seq} commits")


def _wallet(rpc: HttpRpc, home: Home) -> Finding:
    address = checksum(address_from_text(checksum(address_in(home.key_file))))
    balance = int(rpc.call("eth_getBalance", [address, "latest"]), 16)
    need = COMMIT_GAS * int(rpc.call("eth_gasPrice"), 16)
    if balance < need:
        return Finding(
            Level.PROBLEM,
            f"{address} has {balance / 1e18:.6f} ether; a commit takes about {need / 1e18:.6f}",
            "send it coins; on a development chain: `dkg devnet fund`",
        )
    return Finding(Level.OK, f"{address} has {balance / 1e18:.6f} ether, a commit takes about {need / 1e18:.6f}")
