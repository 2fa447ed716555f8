"""`dkg query --node URL --min-claim L2`: all publishers are asked, by a checkpoint, and the answer is verified here.

The chain says which datasets are asked; the node proves the answer over just these; nothing else of it is believed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoints import Status
from dkg.chain.secp import address_from_text
from dkg.checkpoints.answer import OriginsError
from dkg.client.checkpointed import CheckpointClient
from dkg.client.cli.ask import amount, cost_of, options_of, rendered, text_of
from dkg.client.cli.chain import settings_of
from dkg.client.endpoints import reader_of
from dkg.client.nodes import Node, NodeLacksError
from dkg.client.settings import HEADS_FILE, SETTINGS_FILE, home_path
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError
from dkg.evaluate import Dataset

if TYPE_CHECKING:
    import argparse

    from dkg.client.cli.console import Console
    from dkg.client.settings import ChainSettings
    from dkg.client.unionhead import UnionAnswer, UnionHead

PATIENCE_S: Final = 10.0
"""How long a node may lack what the chain has already, in seconds."""

LOOK_S: Final = 0.5
"""Time between two tries, in seconds."""


def query(args: argparse.Namespace, console: Console) -> int:
    """Ask, verify, and print the answer with what it claims."""
    text = text_of(args)
    start = time.perf_counter()
    with client_of(args) as client, Node(args.node) as node:
        found = asked(client, node, text, args)
    seconds = time.perf_counter() - start
    answer = found.answer
    facts = {
        "verified": True,
        "pages": answer.pages,
        "proof_bytes": answer.proof_bytes,
        "seconds": seconds,
        **found.describe(),
    }
    console.result(rendered(answer, args, console, facts, text))
    head = found.head
    beside = len(head.parts.datasets)
    what = "nothing matches" if answer.provably_nothing else amount(answer)
    of = f"checkpoint {head.checkpoint.id}" + (
        f" and {beside} dataset{'s' if beside > 1 else ''} beside it" if beside else ""
    )
    is_final = head.checkpoint.status is Status.FINAL
    console.say(f"verified: {what} in {of} ({cost_of(answer, seconds)})", "green" if is_final else "yellow")
    console.say(found.sentence(), "" if is_final and not head.went_back else "yellow")
    return 0


def client_of(args: argparse.Namespace) -> CheckpointClient:
    """The client that the arguments describe. Raises `InputError`."""
    home = home_path(args.home)
    settings = settings_of(args, home)
    trusted = TrustedHeads(Path(args.trusted) if args.trusted else home / HEADS_FILE)
    return CheckpointClient(
        reader_of(settings.endpoints, settings.need),
        settings.domain,
        contract_of(settings, home),
        trusted=trusted,
        clock=time.time,
        finality_depth=settings.finality_depth,
    )


def contract_of(settings: ChainSettings, home: Path) -> bytes:
    """The address of the checkpoint contract. Raises `InputError` if nothing says it."""
    if settings.checkpoints is None:
        raise InputError(f"say --checkpoints: {SETTINGS_FILE} in {home} does not say which contract has checkpoints")
    return address_from_text(settings.checkpoints)


def asked(client: CheckpointClient, node: Node, text: str, args: argparse.Namespace) -> UnionAnswer:
    """The answer of a node, verified. Raises `ProofError`, `InputError`, `StoreError`."""
    options = options_of(args)
    if args.default_graph or args.named_graph:  # a node takes what is not named of them for empty
        named: Dataset = options["dataset"]
        options["dataset"] = Dataset(named.default_graphs or (), named.named_graphs or ())
    behind = {address_from_text(one) for one in args.behind or ()}
    common: dict[str, Any] = {"final": args.final, "max_age": args.max_age}
    until = time.monotonic() + PATIENCE_S
    while True:
        head = client.head(pending=args.pending, behind=behind, **common)
        try:
            return _proved(client, node, text, head, {**common, **options}, origins=args.origins)
        except NodeLacksError as error:  # it has not read that far yet, or is about to bring it over
            if time.monotonic() > until:
                hint = "; --behind takes a publisher as the checkpoint has it" if head.beside else ""
                raise NodeLacksError(f"{error}{hint}") from error
            time.sleep(LOOK_S)


def _proved(
    client: CheckpointClient, node: Node, text: str, head: UnionHead, options: dict[str, Any], *, origins: bool
) -> UnionAnswer:
    """The answer as of a head. `origins`: with all those beside the checkpoint whose quads are looked at."""
    asked_for = {name: value for name, value in options.items() if name not in {"final", "max_age"}}
    while True:
        car = node.prove(text, head.parts, origins=origins, **asked_for)
        try:
            return client.verify(car, text, head, origins=origins, **options)
        except OriginsError as error:
            head = client.beside(head, error.publishers)
