"""What the commands ask of a chain: the head that `dkg verify --publisher` trusts, and `dkg evidence check`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

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
    read_settings,
)
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError

if TYPE_CHECKING:
    import argparse

    from dkg.client.anchored import ClientHead
    from dkg.client.cli.console import Console


def head_of(args: argparse.Namespace) -> ClientHead:
    """The head of the publisher that the arguments of `dkg verify` name, checked against the chain."""
    home = home_path(args.home)
    settings = settings_of(args, home)
    client = Client(
        reader_of(settings.endpoints, settings.need),
        settings.domain,
        address_from_text(args.publisher),
        trusted=TrustedHeads(Path(args.trusted) if args.trusted else home / HEADS_FILE),
        clock=time.time,
        finality_depth=settings.finality_depth,
        allow_unproved=args.allow_unproved,
    )
    return client.head(final=args.final, max_age=args.max_age)


def settings_of(args: argparse.Namespace, home: Path) -> ChainSettings:
    """What the arguments say of the chain, and what they leave out as the home has it."""
    kept = read_settings(home) or ChainSettings(0, "")
    said = {"chain_id": args.chain_id, "registry": args.registry, "endpoints": args.rpc, "need": args.need}
    said["finality_depth"] = args.finality_depth
    if args.rpc and not args.need:
        said["need"] = 1  # what the home says of its own endpoints is not for others
    settings = replace(kept, **{name: value for name, value in said.items() if value is not None})
    for option, value in (
        ("--registry", settings.registry),
        ("--chain-id", settings.chain_id),
        ("--rpc", settings.endpoints),
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
