"""`dkg verify --private`: from a publisher's public root to the root of an asset's private part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import dkg
from dkg.chain.secp import checksum
from dkg.chain.ual import Ual
from dkg.client.files import read_input, read_proof
from dkg.errors import InputError, ProofError
from dkg.private import Opening, commitment_query, committed_in, opened

if TYPE_CHECKING:
    import argparse

    from dkg.limits import Budget

OPENING_BYTES_MAX: Final = 1024
"""Longest file with an opening, in bytes."""


def private_root(args: argparse.Namespace, root: str, head: dict[str, object] | None, budget: Budget) -> str:
    """The root of the private part, checked against the commitment that the public root has (`dkg.private`).

    `head`: what is known of who the public root is of. The opening is read from a file, as it is a secret. Raises
    `InputError`, and `ProofError` for what does not show it.
    """
    ual = Ual.parse(args.private)
    if args.opening is None or args.commitment is None:
        raise InputError("with --private, give --opening and --commitment too: what opens it, and the public proof")
    if head is not None and head["publisher"] != checksum(ual.publisher.address):
        raise InputError(f"the head is of {head['publisher']}, and {ual} is another publisher's")
    query = commitment_query(ual)
    public = dkg.verify(read_proof(args.commitment, budget), query, root, limits=budget)
    committed = committed_in(public, ual)
    return dkg.root_text(opened(committed, ual, _opening(args.opening)))


def _opening(name: str) -> Opening:
    data = read_input(name, OPENING_BYTES_MAX, "opening").strip()
    try:
        return Opening.parse(data.decode("ascii"))
    except (UnicodeDecodeError, ProofError) as error:
        raise InputError(
            f"{Path(name).name} has no opening: it is the value of the header field DKG-Opening"
        ) from error
