"""What the commands ask of a chain: the head that `dkg verify --publisher` trusts, and `dkg evidence check`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.chain.commit import Domain
from dkg.chain.evidence import EVIDENCE_BYTES_MAX, check_evidence
from dkg.chain.secp import address_from_text, checksum
from dkg.client.anchored import Client
from dkg.client.endpoints import reader_of
from dkg.client.files import read_input
from dkg.client.trusted import TrustedHeads

if TYPE_CHECKING:
    import argparse

    from dkg.client.anchored import ClientHead
    from dkg.client.cli.console import Console


def head_of(args: argparse.Namespace) -> ClientHead:
    """The head of the publisher that the arguments of `dkg verify` name, checked against the chain."""
    client = Client(
        reader_of(args.rpc, args.need),
        Domain(args.chain_id, address_from_text(args.registry)),
        address_from_text(args.publisher),
        trusted=TrustedHeads(Path(args.trusted) if args.trusted else None),
        clock=time.time,
        finality_depth=args.finality_depth,
        allow_unproved=args.allow_unproved,
    )
    return client.head(final=args.final, max_age=args.max_age)


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
