"""What the commands ask of a chain: the head that `dkg verify --publisher` trusts, and `dkg evidence check`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.chain.commit import SIGNED_COMMIT_BYTES_MAX, SignedCommit
from dkg.chain.evidence import EVIDENCE_BYTES_MAX, check_evidence
from dkg.chain.secp import address_from_text, checksum
from dkg.client.anchored import Client
from dkg.client.endpoints import reader_of
from dkg.client.files import read_input
from dkg.client.settings import (
    HEADS_FILE,
    SETTINGS_FILE,
    ChainSettings,
    check_settings,
    home_path,
    majority,
    read_settings,
)
from dkg.client.signed import verify_head
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError

if TYPE_CHECKING:
    import argparse

    from dkg.client.anchored import ClientHead
    from dkg.client.cli.console import Console
    from dkg.client.signed import SignedHead


def head_of(args: argparse.Namespace) -> ClientHead | SignedHead:
    """The head of the publisher that the arguments of `dkg verify` name, from the chain or from a signed commit."""
    home = home_path(args.home)
    if args.commit is not None:
        return _signed_head(args, home)
    settings = settings_of(args, home)
    publisher = address_from_text(args.publisher)
    trusted = TrustedHeads(Path(args.trusted) if args.trusted else home / HEADS_FILE)
    with Client(
        reader_of(settings.endpoints, settings.need),
        settings.domain,
        publisher,
        trusted=trusted,
        clock=time.time,
        finality_depth=settings.finality_depth,
        allow_unproved=args.allow_unproved,
    ) as client:
        return client.head(final=args.final, max_age=args.max_age)


def _signed_head(args: argparse.Namespace, home: Path) -> SignedHead:
    settings = settings_of(args, home, offline=True)
    signed = SignedCommit.decode(read_input(args.commit, SIGNED_COMMIT_BYTES_MAX, "commit"))
    signer = address_from_text(args.signer) if args.signer else None
    return verify_head(signed, settings.domain, address_from_text(args.publisher), signer=signer)


def settings_of(args: argparse.Namespace, home: Path, *, offline: bool = False) -> ChainSettings:
    """What the arguments say of the chain, and what the home has of the rest. `offline`: no endpoint is needed."""
    kept = read_settings(home) or ChainSettings(0, "")
    if args.registry and args.registry.lower() != kept.registry.lower():
        kept = replace(kept, checkpoints=None)  # what the home has is of its own registry
    said = {"chain_id": args.chain_id, "registry": args.registry, "endpoints": args.rpc, "need": args.need}
    said |= {"finality_depth": args.finality_depth, "checkpoints": getattr(args, "checkpoints", None)}
    if args.rpc and not args.need:
        said["need"] = majority(len(args.rpc))  # what the home says of its own endpoints is not for others
    settings = replace(kept, **{name: value for name, value in said.items() if value is not None})
    for option, value in (
        ("--registry", settings.registry),
        ("--chain-id", settings.chain_id),
        ("--rpc", settings.endpoints or offline),
    ):
        if not value:
            raise InputError(f"say {option}: there is no {SETTINGS_FILE} in {home} that says it")
    check_settings(settings, "the command line")
    return settings


def evidence(args: argparse.Namespace, console: Console) -> int:
    """Check evidence of equivocation."""
    found = check_evidence(read_input(args.evidence, EVIDENCE_BYTES_MAX, "evidence"))
    if not console.json:
        console.line(str(found))
        return 0
    console.object(
        {
            "equivocation": True,
            "signer": checksum(found.signer),
            "publisher": checksum(found.first.publisher),
            "chain_id": found.domain.chain_id,
            "registry": checksum(found.domain.registry),
            "seq": found.first.seq,
            "roots": [found.first.root.hex(), found.second.root.hex()],
        }
    )
    return 0
