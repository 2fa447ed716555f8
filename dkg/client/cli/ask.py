"""`dkg query` and `dkg verify`: the same question, asked of a store or of a proof."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import dkg
from dkg.client.cli.console import is_terminal
from dkg.client.files import read_input, read_proof, write_proof
from dkg.client.progress import duration, grouped, size
from dkg.errors import InputError
from dkg.evaluate import evaluate
from dkg.limits import DEFAULT_BUDGET
from dkg.normal import normalize
from dkg.pages import RecordedPages, StoredPages

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from dkg.answer import Results
    from dkg.checkpoints.answer import VerifiedJointAnswer
    from dkg.client.anchored import ClientHead
    from dkg.client.cli.console import Console
    from dkg.client.signed import SignedHead
    from dkg.proof import VerifiedAnswer

QUERY_BYTES_MAX = 4 * 1024 * 1024
"""Longest file that is read as a query; the parser has its own, smaller limits."""


def query(args: argparse.Namespace, console: Console) -> int:
    """Answer from the store; with --proof, keep the proof. With --node, see `everybody`."""
    if args.node is not None:
        from dkg.client.cli.everybody import query as ask_everybody  # noqa: PLC0415 - it needs a chain

        return ask_everybody(args, console)
    from dkg.client.cli.datasets import opened, root_of  # noqa: PLC0415 - `verify` needs no store

    text, options, proof = text_of(args), options_of(args), None
    budget = options["budget"]
    start = time.perf_counter()
    with opened(args.store) as store:
        root = root_of(store, args.root)
        if args.proof is None:
            pages = RecordedPages(StoredPages(store), budget.pages, budget.proof_bytes)
            answer, read = evaluate(pages, root, text, **options), len(pages.read)
        else:
            proof = dkg.prove(store, root, text, **options)
            answer, read = proof.answer, proof.pages
    seconds = time.perf_counter() - start
    facts = {
        "root": dkg.root_text(root),
        "verified": False,
        "pages": read,
        "proof_bytes": None if proof is None else len(proof.car),
        "seconds": seconds,
    }
    shown = rendered(answer, args, console, facts, text)  # first, so that a refused format writes no proof
    written = "" if proof is None else f"; proof of {size(write_proof(args.proof, proof.car))} in {args.proof}"
    console.result(shown)
    cost = f"{grouped(read)} pages, {duration(seconds)}"
    console.say(f"{amount(answer)} in your store for root {facts['root']} ({cost}){written}")
    return 0


def verify(args: argparse.Namespace, console: Console) -> int:
    """Recompute the answer from a proof. With --min-claim, see `everybody`."""
    if args.min_claim is not None:
        from dkg.client.cli.everybody import verify as verify_everybody  # noqa: PLC0415 - it needs a chain

        return verify_everybody(args, console)
    text, options = text_of(args), options_of(args)
    budget = options.pop("budget")
    car = read_proof(args.proof, budget)
    head = _head(args) if args.root is None else None
    root = args.root if head is None else dkg.root_text(head.root)
    if args.private is not None:
        from dkg.client.cli.opening import private_root  # noqa: PLC0415 - few proofs are of private parts

        root = private_root(args, root, None if head is None else head.describe(), budget)
    start = time.perf_counter()
    answer = dkg.verify(car, text, root, limits=budget, **options)
    seconds = time.perf_counter() - start
    facts = {
        "root": root,
        "verified": True,
        "pages": answer.pages,
        "proof_bytes": answer.proof_bytes,
        "seconds": seconds,
    }
    if head is not None:
        facts |= head.describe()
    console.result(rendered(answer, args, console, facts, text))
    found = (
        "provably nothing matches, complete" if answer.provably_nothing else f"{amount(answer)}, correct and complete"
    )
    console.say(f"verified: {found} for root {root} ({cost_of(answer, seconds)})", "green")
    if head is not None:
        console.say(head.sentence(), "yellow" if getattr(head, "went_back", False) else "")
    return 0


def cost_of(answer: VerifiedAnswer | VerifiedJointAnswer, seconds: float) -> str:
    """What a verified answer took."""
    return f"{grouped(answer.pages)} pages, {size(answer.proof_bytes)}, {duration(seconds)}"


def _head(args: argparse.Namespace) -> ClientHead | SignedHead:
    from dkg.client.cli.chain import head_of  # noqa: PLC0415 - `--root` needs no chain

    return head_of(args)


def text_of(args: argparse.Namespace) -> str:
    """The query. Raises `InputError`."""
    raw = _encoded(args.query) if args.file is None else read_input(args.file, QUERY_BYTES_MAX, "query")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the query is not UTF-8: {error.reason} at byte {error.start}") from error


def _encoded(text: str) -> bytes:
    """An argument as the bytes it was: those that are no UTF-8 arrive as lone surrogates."""
    return text.encode(errors="surrogateescape")


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments that `dkg.query`, `dkg.prove` and (with another name for the budget) `dkg.verify` share."""
    limits = {
        field: value
        for field in ("pages", "proof_bytes", "quads", "rows")
        if (value := getattr(args, f"max_{field}")) is not None
    }
    return {
        "dataset": dkg.Dataset(_graphs(args.default_graph), _graphs(args.named_graph)),
        "budget": replace(DEFAULT_BUDGET, **limits),
        "base_iri": args.base,
        "now": args.now,
    }


def _graphs(names: list[str] | None) -> tuple[bytes, ...] | None:
    return None if names is None else tuple(graph_name(name) for name in names)


def graph_name(iri: str) -> bytes:
    """The term of a graph's IRI. Raises `RdfError` when it is none."""
    return normalize(b"<" + _encoded(iri) + b">")


def rendered(answer: Results, args: argparse.Namespace, console: Console, facts: dict[str, Any], text: str) -> bytes:
    """The results, in the format that was asked for, or the one that fits where they go."""
    if console.json:
        head = json.dumps(facts)[:-1].encode()
        return head + b', "rows": %d, "answer": ' % len(answer) + answer.serialize("json").strip() + b"}"
    tabular = answer.form.value in {"SELECT", "ASK"}
    chosen = args.format or ("ttl" if not tabular else "table" if is_terminal(sys.stdout) else "json")
    if chosen != "table":
        return answer.serialize(chosen)
    if not tabular:
        raise InputError(f"{answer.form.value} has no table; choose --format ttl, nt, xml or json")
    from dkg.client.cli.table import table  # noqa: PLC0415 - only where somebody looks
    from dkg.sparql.syntax import parse  # noqa: PLC0415

    lines, cut = table(answer, parse(text, now=args.now, base_iri=args.base).prefixes)
    if cut:
        console.say(f"{cut} long values were cut (…): use --format json, csv or tsv to see them whole", "dim")
    return lines.encode()


def amount(answer: Results) -> str:
    """How much was found, in words."""
    if answer.boolean is not None:
        return "true" if answer.boolean else "false"
    what = "row" if answer.form.value == "SELECT" else "triple"
    return f"{grouped(len(answer))} {what}{'' if len(answer) == 1 else 's'}"
