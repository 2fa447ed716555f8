"""`dkg query --node URL --min-claim L2`: all publishers are asked, by a checkpoint, and the answer is verified here.

The chain says which datasets are asked; the node proves the answer over just these; nothing else of it is believed.
`dkg verify --min-claim L2` does the same with a proof that was kept, and asks nobody but the chain.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.checkpoints import Status
from dkg.chain.secp import address_from_text, checksum
from dkg.checkpoints.answer import OriginsError
from dkg.client.checkpointed import CheckpointClient
from dkg.client.cli.ask import amount, cost_of, options_of, rendered, text_of
from dkg.client.cli.chain import settings_of
from dkg.client.endpoints import reader_of
from dkg.client.files import read_proof, write_proof
from dkg.client.nodes import Node, NodeLacksError
from dkg.client.progress import size
from dkg.client.settings import HEADS_FILE, SETTINGS_FILE, home_path
from dkg.client.trusted import TrustedHeads
from dkg.client.unionhead import AsOf
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
        car, found = asked(client, node, text, args)
    seconds = time.perf_counter() - start
    shown = _shown(found, args, console, text, seconds)  # first: a refused format writes no proof
    written = size(write_proof(args.proof, car)) if args.proof is not None else ""
    console.result(shown)
    _say(found, console, seconds)
    if written:
        console.say(f"proof of {written} in {args.proof}; verify it with {' '.join(_again(found, args))}")
    return 0


def verify(args: argparse.Namespace, console: Console) -> int:
    """Recompute an answer over all publishers from a proof that was kept, and print it with what it claims."""
    text, options = text_of(args), _options(args)
    car = read_proof(args.proof, options["budget"])
    start = time.perf_counter()
    with client_of(args) as client:
        head = client.head(
            final=args.final,
            pending=args.pending,
            max_age=args.max_age,
            behind=_addresses(args.behind),
            as_of=AsOf.parse(args.as_of) if args.as_of is not None else None,
        )
        if args.beside:
            head = client.beside(head, _addresses(args.beside))
        found = client.verify(car, text, head, origins=args.origins, final=args.final, max_age=args.max_age, **options)
    seconds = time.perf_counter() - start
    console.result(_shown(found, args, console, text, seconds))
    _say(found, console, seconds)
    return 0


def _again(found: UnionAnswer, args: argparse.Namespace) -> list[str]:
    """The options of `dkg verify` with which a proof that is kept is of the same datasets."""
    head = found.head
    words = ["--min-claim", "L2", "--as-of", str(head.as_of)]
    words += ["--pending"] if head.checkpoint.status is Status.PENDING else []
    words += ["--origins"] if args.origins else []
    for option, publishers in (("--behind", head.behind), ("--beside", head.beside.keys() - head.since)):
        words += [word for publisher in sorted(publishers) for word in (option, checksum(publisher))]
    for option in ("base", "now", "default_graph", "named_graph"):  # without which it is another proof
        given = getattr(args, option) or []
        for value in [given] if isinstance(given, str) else given:
            words += ["--" + option.replace("_", "-"), shlex.quote(value)]
    return words


def _shown(found: UnionAnswer, args: argparse.Namespace, console: Console, text: str, seconds: float) -> bytes:
    answer = found.answer
    facts = {
        "verified": True,
        "pages": answer.pages,
        "proof_bytes": answer.proof_bytes,
        "seconds": seconds,
        **found.describe(),
    }
    return rendered(answer, args, console, facts, text)


def _say(found: UnionAnswer, console: Console, seconds: float) -> None:
    answer, head = found.answer, found.head
    beside = len(head.parts.datasets)
    what = "nothing matches" if answer.provably_nothing else amount(answer)
    of = f"checkpoint {head.checkpoint.id}" + (
        f" and {beside} dataset{'s' if beside > 1 else ''} beside it" if beside else ""
    )
    is_final = head.checkpoint.status is Status.FINAL
    console.say(f"verified: {what} in {of} ({cost_of(answer, seconds)})", "green" if is_final else "yellow")
    console.say(found.sentence(), "" if is_final and not head.went_back else "yellow")


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


def asked(client: CheckpointClient, node: Node, text: str, args: argparse.Namespace) -> tuple[bytes, UnionAnswer]:
    """A node's proof, and the answer that it proves. Raises `ProofError`, `InputError`, `StoreError`."""
    options = _options(args)
    behind = _addresses(args.behind)
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
) -> tuple[bytes, UnionAnswer]:
    """Proof and answer as of a head. `origins`: with all those beside the checkpoint whose quads are looked at."""
    asked_for = {name: value for name, value in options.items() if name not in {"final", "max_age"}}
    while True:
        car = node.prove(text, head.parts, origins=origins, **asked_for)
        try:
            return car, client.verify(car, text, head, origins=origins, **options)
        except OriginsError as error:
            head = client.beside(head, error.publishers)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    options = options_of(args)
    if args.default_graph or args.named_graph:  # a node takes what is not named of them for empty
        named: Dataset = options["dataset"]
        options["dataset"] = Dataset(named.default_graphs or (), named.named_graphs or ())
    return options


def _addresses(texts: list[str] | None) -> set[bytes]:
    return {address_from_text(text) for text in texts or ()}
