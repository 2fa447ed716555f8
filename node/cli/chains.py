"""`dkg chain`: put a registry and its checkpoints on a chain, use what is there, and say how things stand."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from contracts import checkpoints as checkpoints_artefact
from contracts import registry as registry_artefact
from dkg.chain.checkpoints import Terms, UnknownCodeError
from dkg.chain.commit import Domain
from dkg.chain.registry import LOG_STATE_SLOT, LogState
from dkg.chain.secp import address_from_text, checksum, keccak256
from dkg.chain.trie import verify_account
from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader, UnprovableError
from dkg.client.checkpointread import read_checkpoints
from dkg.client.endpoints import reader_of
from dkg.client.progress import grouped
from dkg.client.rpc import ChainError, HttpRpc, Waiting
from dkg.client.settings import ChainSettings, check_settings, majority
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError, ProofError
from dkg.page import CID_PREFIX, cid_text
from node.home import Home
from node.keys import address_in

if TYPE_CHECKING:
    import argparse

    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader
    from dkg.client.cli.console import Console


def deploy(args: argparse.Namespace, console: Console) -> int:
    """Put a registry and a checkpoint contract on a chain, and take them."""
    from node.cli.signing import Waiter, policy_of, wallet_of  # noqa: PLC0415 - `chain status` needs no web3
    from node.publish.deployment import CHECKPOINTS_DEPLOYMENT, KeptAttempts  # noqa: PLC0415
    from node.publish.keychange import deploy as put  # noqa: PLC0415
    from node.publish.keychange import deploy_checkpoints as put_checkpoints  # noqa: PLC0415
    from node.publish.lock import home_lock  # noqa: PLC0415
    from node.publish.publisher import connected  # noqa: PLC0415
    from node.publish.sender import Tools  # noqa: PLC0415
    from node.publish.waits import Waits  # noqa: PLC0415

    home = Home.find(args.home)
    wallet, need = wallet_of(args, home), args.need or majority(len(args.rpc))
    terms = _sound(Terms(args.bond, args.window, args.demand_bond, args.demand_window))
    kept, later, waiting, waits = KeptAttempts(home), KeptAttempts(home, CHECKPOINTS_DEPLOYMENT), Waiting(), Waits()
    with (
        connected(args.rpc, need) as (reader, writer),
        Waiter(console) as tell,
        home_lock(home.path, waits, waiting, tell),
    ):
        tools = Tools(writer, waiting, time.time, policy_of(args), waits)
        done = put(wallet, reader, tools, tell, kept)
        domain = Domain(done.chain_id, done.address)
        other = put_checkpoints(wallet, reader, tools, domain, terms, progress=tell, kept=later)
        settings = ChainSettings(
            done.chain_id,
            checksum(done.address),
            list(args.rpc),
            need,
            done.block,
            args.finality_depth,
            checkpoints=checksum(other.address),
        )
        home.keep_chain(settings)
        later.forget()  # in this order: a registry that is forgotten is deployed anew
        kept.forget()
    for one in (done, other):
        if one.gas_used is not None:
            console.say(f"deployed in block {one.block} for {grouped(one.gas_used)} gas")
    _told(settings, console)
    return 0


def use(args: argparse.Namespace, console: Console) -> int:
    """Take a registry that is there."""
    home = Home.find(args.home)
    registry, need = address_from_text(args.registry), args.need or majority(len(args.rpc))
    checkpoints = address_from_text(args.checkpoints) if args.checkpoints else None
    with closing(reader_of(args.rpc, need)) as reader:
        domain = Domain(reader.chain_id(), registry)
        for url in args.rpc:
            if not is_ours(code_at(url, registry)) and not args.any_code:
                raise InputError(
                    f"the contract at {checksum(registry)} is not the registry of this release, as {HttpRpc(url).name} "
                    "shows it: nothing was changed; --any-code takes it all the same"
                )
            if checkpoints is not None and not args.any_code:
                _sound(terms_at(url, checkpoints, domain))
        settings = ChainSettings(
            domain.chain_id,
            checksum(registry),
            list(args.rpc),
            need=need,
            first_block=_log_state(reader, registry, reader.header("latest")).first_block,
            finality_depth=args.finality_depth,
            checkpoints=checksum(checkpoints) if checkpoints else None,
            publisher=args.publisher,
        )
        check_settings(settings, "the command line")
    home.keep_chain(settings)
    _told(settings, console)
    return 0


def _told(settings: ChainSettings, console: Console) -> None:
    facts = {
        "chain_id": settings.chain_id,
        "registry": settings.registry,
        "checkpoints": settings.checkpoints,
        "first_block": settings.first_block,
    }
    if console.json:
        console.object(facts)
    else:
        console.line(settings.registry)
    console.say(f"this home publishes to the registry {settings.registry} on chain {settings.chain_id}")


def code_at(url: str, address: bytes) -> bytes:
    """The code of a contract in the latest block; empty if there is none. Raises `ChainError` and `ProofError`.

    It is checked against the state root of a block where the endpoint proves accounts.
    """
    with closing(HttpRpc(url)) as rpc:
        header = RpcReader(rpc).header("latest")
        block = {"blockHash": "0x" + header.hash.hex()}
        found: Any = rpc.call("eth_getCode", ["0x" + address.hex(), block])
        try:
            code = bytes.fromhex(str(found).removeprefix("0x"))
        except ValueError as error:
            raise ProofError(f"{rpc.name} shows code of {checksum(address)} that is not hexadecimal") from error
        try:
            proof: Any = rpc.call("eth_getProof", ["0x" + address.hex(), [], block])
        except ChainError:
            return code
        nodes = [bytes.fromhex(node[2:]) for node in proof["accountProof"]]
        account = verify_account(header.state_root, address, nodes)
        if keccak256(code) != (account.code_hash if account else keccak256(b"")):
            raise ProofError(f"{rpc.name} shows code of {checksum(address)} that the block does not have")
        return code


def is_ours(code: bytes) -> bool:
    """Whether code is the registry of this release, byte for byte."""
    return code == bytes.fromhex(registry_artefact().runtime[2:])


def terms_at(url: str, address: bytes, domain: Domain) -> Terms:
    """The terms of the checkpoint contract at an address, as an endpoint shows its code.

    Raises `InputError` if it is not that of this release, byte for byte, for this registry; and what `code_at` raises.
    """
    try:
        return Terms.of_code(code_at(url, address), bytes.fromhex(checkpoints_artefact().runtime[2:]), domain)
    except UnknownCodeError as error:
        raise InputError(f"at {checksum(address)}, as {HttpRpc(url).name} shows it: {error}") from error


def _sound(terms: Terms) -> Terms:
    """The terms, if a page that is missed when a checkpoint is proposed can be demanded twice before that is final."""
    if terms.window < 2 * terms.demand_window:
        raise InputError(
            f"the window of checkpoints has {terms.window} seconds, less than two of those for demands "
            f"({terms.demand_window}): pages that are withheld could not be missed in time. Make it longer"
        )
    return terms


def status(args: argparse.Namespace, console: Console) -> int:
    """Print what the chain says now."""
    home = Home.find(args.home)
    settings = home.chain()
    publisher = publisher_of(home, settings)
    with closing(reader_of(settings.endpoints, settings.need)) as reader:
        facts = _facts(reader, settings, publisher, home)
    if console.json:
        console.object(facts)
    else:
        console.line(
            "\n".join(
                f"{name.replace('_', ' ')}: {'none' if value is None else value}" for name, value in facts.items()
            )
        )
    return 0


def publisher_of(home: Home, settings: ChainSettings) -> bytes | None:
    """Whose datasets this home publishes; None if it has no key."""
    if settings.publisher is not None:
        return address_from_text(settings.publisher)
    return address_in(home.key_file) if home.key_file.exists() else None


def _log_state(reader: ChainReader, registry: bytes, header: Header) -> LogState:
    """Where the registry's log began, and how long it is; proved where the endpoint proves."""
    slot = LOG_STATE_SLOT.to_bytes(32)
    try:
        (word,) = reader.slots(registry, [slot], header)
    except UnprovableError:
        word = reader.storage(registry, slot, header)
    return LogState.unpack(word)


def _facts(reader: ChainReader, settings: ChainSettings, publisher: bytes | None, home: Home) -> dict[str, Any]:
    domain = settings.domain
    header = reader.header("latest")
    facts: dict[str, Any] = {
        "chain_id": reader.chain_id(),
        "registry": checksum(domain.registry),
        "block": header.number,
        "age_seconds": max(0, int(time.time() - header.timestamp)),
        "commits_in_the_registry": _log_state(reader, domain.registry, header).length,
        "finality_depth": settings.finality_depth,
        "checkpoints": settings.checkpoints,
    }
    if settings.checkpoints is not None:
        facts |= _checkpoint_facts(reader, address_from_text(settings.checkpoints), settings, header)
    if publisher is None:
        return facts
    head = Client(
        reader,
        domain,
        publisher,
        trusted=TrustedHeads(home.heads),
        clock=time.time,
        finality_depth=settings.finality_depth,
        allow_unproved=True,
    ).head()
    signer = head.anchored.head.signer
    root = cid_text(CID_PREFIX + head.committed.commit.root) if head.committed else None
    return facts | {
        "publisher": checksum(publisher),
        "signer": checksum(signer) if signer else None,
        "commits": head.anchored.head.seq,
        "root": root,
        "state": str(head.state) if head.committed else None,
        "anchor": str(head.anchor),
    }


def _checkpoint_facts(
    reader: ChainReader, address: bytes, settings: ChainSettings, header: Header
) -> dict[str, int | None]:
    """The state of the checkpoint contract, and its terms as the first endpoint that answers shows them."""
    facts: dict[str, int | None] = {}
    for url in settings.endpoints:
        with suppress(ChainError):
            terms = terms_at(url, address, settings.domain)
            facts = {"bond_wei": terms.bond, "window_seconds": terms.window}
            facts |= {"demand_bond_wei": terms.demand_bond, "demand_window_seconds": terms.demand_window}
            break
    with suppress(UnprovableError):
        found = read_checkpoints(reader, address, header)
        facts |= {"final_checkpoint": found.state.final or None, "pending_checkpoints": len(found.pending)}
        facts |= {"marks": found.state.marks}
    return facts
