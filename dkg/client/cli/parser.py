"""The command line of `dkg`, as argparse has it. docs/cli.md describes each option; a test compares the two."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from dkg.client.cli.exits import HELP, Exit
from dkg.limits import FINALITY_DEPTH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import SupportsWrite

RDF_FORMATS = ("ttl", "nt", "nq", "trig", "n3", "jsonld", "xml")
CORE = frozenset({"load", "root", "query", "verify", "diff", "fsck", "export", "bench", "evidence"})
"""First words of the commands that are always there."""

COUNT_MAX = 2**40
"""Largest number that an option takes: far beyond any memory, and small enough for every library below."""

RESULT_FORMATS = ("table", "json", "csv", "tsv", "xml", "ttl", "nt")
_OF_A_NODE = (
    *("min_claim", "pending", "final", "max_age", "origins", "behind", "checkpoints", "trusted", "home"),
    *("rpc", "need", "registry", "chain_id", "finality_depth"),
)


class Parser(argparse.ArgumentParser):
    """Usage errors exit with 64: argparse's own 2 means that a proof was refused."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        self.exit(Exit.USAGE, f"dkg: error: {message} (see `{self.prog} --help`)\n")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """See `argparse.ArgumentParser.print_help`, which is silent where the output cannot be written."""
        (sys.stdout if file is None else file).write(self.format_help())


def dkg_version() -> str:
    """The version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - 11 ms

    try:
        return version("dkg")
    except PackageNotFoundError:
        return "0 (not installed)"


def _directory(text: str) -> str:
    if not text:  # an unset variable of a script; the current directory is "."
        raise argparse.ArgumentTypeError("the name of a directory is empty")
    return text


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command; `run` names what does the work, as `module:function`, None for --version.

    Raises `SystemExit` after help or a usage error.
    """
    parser, commands = make_parsers(with_plugins=not argv or argv[0] not in CORE)
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in commands), 0)
    if not words:
        args = parser.parse_args(argv)
        if not args.version:
            parser.error("say what to do: load, query, verify, ...")
        return argparse.Namespace(run=None)
    command = commands[" ".join(argv[:words])]
    args = command.parse_intermixed_args(argv[words:])  # so that QUERY may come before or after options
    if "query" in args and (args.query is None) == (args.file is None):
        command.error("give either a QUERY or -f FILE")
    if "node" in args and "min_claim" in args:
        _check_query(args, command)
    if "as_of" in args:
        _check_verify(args, command)
    if "commit" in args and args.signer and not args.commit:
        command.error("--signer goes with --commit: from a chain it is known who signs")
    return args


def _check_query(args: argparse.Namespace, command: Parser) -> None:
    """What goes with a store and what with a node."""
    if (args.store is None) == (args.node is None):
        command.error("give either the --store that you trust, or a --node")
    if args.node is not None and (args.min_claim is None or args.root is not None):
        command.error("--node goes with --min-claim L2, and without --root")
    given = (name for name in _OF_A_NODE if getattr(args, name) is not None and getattr(args, name) is not False)
    if args.node is None and any(given):
        command.error("a claim, a state, an age and a chain are of a --node's answer")
    if args.pending and args.final:
        command.error("what is pending is not final: give --pending or --final")


def _check_verify(args: argparse.Namespace, command: Parser) -> None:
    """What is trusted: a root, a publisher's head, or a checkpoint."""
    if (args.root is not None) + (args.publisher is not None) + (args.min_claim is not None) != 1:
        command.error("give one of the --root that you trust, the --publisher, and --min-claim L2")
    of_all = (args.as_of, args.pending, args.origins, args.behind, args.beside, args.checkpoints)
    if args.min_claim is None and any(of_all):
        command.error("a moment and a checkpoint are of a proof over all publishers: give --min-claim L2")
    if args.min_claim is not None and any(
        (args.commit, args.private, args.opening, args.commitment, args.allow_unproved)
    ):
        command.error("--commit, --allow-unproved and private parts are of one publisher's proof")
    if args.pending and args.final:
        command.error("what is pending is not final: give --pending or --final")


def make_parsers(*, with_plugins: bool = True) -> tuple[Parser, dict[str, Parser]]:
    """The command line: `dkg` itself, and each of its commands, `with_plugins` or only those of this package.

    A plug-in is an entry point in the group `dkg.commands`: a function that is given `add` and defines commands. The
    name of a command is one word or two; `run` names its function, as `package.module:function`.
    """
    parser = Parser(
        prog="dkg",
        description="Datasets with a root, and SPARQL answers that prove themselves.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    choices = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    commands: dict[str, Parser] = {}
    groups: dict[str, argparse._SubParsersAction[Parser]] = {}

    def place(name: str) -> argparse._SubParsersAction[Parser]:
        first, _, second = name.partition(" ")
        if not second:
            return choices
        if first not in groups:
            group = choices.add_parser(first, help=f"see `dkg {first} --help`", allow_abbrev=False)
            groups[first] = group.add_subparsers(metavar="COMMAND", parser_class=Parser, required=True)
        return groups[first]

    def add(name: str, run: str, summary: str, details: str = "") -> Parser:
        command = place(name).add_parser(
            name.rpartition(" ")[2],
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {details}".strip(),
            epilog=HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        commands[name] = command
        command.set_defaults(run=run)
        command.add_argument("--json", action="store_true", help="one JSON object on standard output")
        command.add_argument("-q", "--quiet", action="store_true", help="no summary on standard error")
        return command

    for define in (_load, _root, _query, _verify, _diff, _fsck, _export, _bench, _evidence, _checkpoints):
        define(add)
    if with_plugins:
        from importlib.metadata import entry_points  # noqa: PLC0415 - 11 ms

        for plugin in sorted(entry_points(group="dkg.commands")):
            plugin.load()(add)
    return parser, commands


def _store(command: Parser, *, required: bool = True) -> None:
    command.add_argument("--store", metavar="DIR", required=required, type=_directory, help="directory of the store")


def _progress(command: Parser) -> None:
    command.add_argument("--progress", action="store_true", help="lines of progress where there is no terminal")


def _load(add: Callable[..., Parser]) -> None:
    command = add(
        "load",
        "datasets:load",
        "load RDF files into a store and print the new root",
        "All files or none are loaded.",
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="RDF file, or - for standard input")
    _store(command)
    command.add_argument("--graph", metavar="IRI", help="graph of triples that have none (default: urn:dkg:default)")
    command.add_argument("--format", choices=RDF_FORMATS, help="syntax of the files (default: by their names)")
    command.add_argument("--base", metavar="IRI", help="base of relative IRIs")
    _progress(command)


def _root(add: Callable[..., Parser]) -> None:
    _store(add("root", "datasets:root", "print the root of the store"))


def _question(command: Parser) -> None:
    """What `query` and `verify` share; a proof holds only for the same values on both sides."""
    command.add_argument("query", metavar="QUERY", nargs="?", help="SPARQL 1.1 query")
    command.add_argument("-f", "--file", metavar="FILE", help="read the query from a file, or - for standard input")
    command.add_argument("--format", choices=RESULT_FORMATS, help="of the results (default: see docs/cli.md)")
    command.add_argument("--base", metavar="IRI", help="base of relative IRIs in the query")
    command.add_argument("--now", metavar="DATETIME", help="xsd:dateTime that NOW() gives (default: refuse NOW())")
    for option, what in (("--default-graph", "in the default graph"), ("--named-graph", "that GRAPH can name")):
        command.add_argument(
            option, metavar="IRI", action="append", help=f"a graph {what} (repeatable; overrides FROM; default: all)"
        )
    for option, what in (
        ("--max-pages", "pages read"),
        ("--max-proof-bytes", "bytes of the proof, uncompressed"),
        ("--max-quads", "quads looked at"),
        ("--max-rows", "rows of any result on the way"),
    ):
        command.add_argument(option, metavar="N", type=_count, help=f"refuse over this many {what}")


def between(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that is a number from `least` to `most`."""

    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    return number


_count = between(1, COUNT_MAX)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < COUNT_MAX:  # not a number is not, either
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def _query(add: Callable[..., Parser]) -> None:
    command = add(
        "query",
        "ask:query",
        "answer a query from your own store, and prove the answer to others",
        "With --node: ask all publishers, and verify what the node proves.",
    )
    _store(command, required=False)
    command.add_argument("--root", metavar="CID", help="the dataset to ask (default: the root of the store)")
    command.add_argument("--proof", metavar="OUT.car", help="write the proof there (compressed: OUT.car.zst)")
    _question(command)
    everybody = command.add_argument_group("instead of --store: all publishers, by a checkpoint on a chain")
    everybody.add_argument("--node", metavar="URL", help="a peer node that proves the answer; it is not trusted")
    everybody.add_argument("--final", action="store_true", help="take only what is final, checkpoint and commits since")
    everybody.add_argument("--max-age", metavar="S", type=_seconds, help="refuse an answer that is older, in seconds")
    _everybody(everybody)
    _chain(everybody)
    _trusted(everybody)


def _everybody(group: argparse._ActionsContainer) -> None:
    """What `query` and `verify` share of answers over all publishers."""
    group.add_argument("--min-claim", choices=("L2",), help="complete for all publishers")
    group.add_argument("--pending", action="store_true", help="take the newest checkpoint that is pending, if any")
    group.add_argument("--origins", action="store_true", help="take no quad from the checkpoint's word alone")
    group.add_argument(
        "--behind", metavar="ADDRESS", action="append", help="a publisher to take as the checkpoint has it (repeatable)"
    )
    group.add_argument("--checkpoints", metavar="ADDRESS", help="the contract of the registry's checkpoints")


def _verify(add: Callable[..., Parser]) -> None:
    command = add(
        "verify",
        "ask:verify",
        "recompute an answer from a proof, trusting nothing but the root",
        "--base, --now and the graphs must be what they were for the proof.",
    )
    command.add_argument("proof", metavar="PROOF.car", help="proof, compressed or not, or - for standard input")
    command.add_argument("--root", metavar="CID", help="the root you trust")
    _question(command)
    _trust(command)
    everybody = command.add_argument_group("for a proof over all publishers, with the chain's options above")
    _everybody(everybody)
    everybody.add_argument(
        "--as-of", metavar="CHECKPOINT/POSITION", help="the moment that the proof is of (default: the newest)"
    )
    everybody.add_argument(
        "--beside", metavar="ADDRESS", action="append", help="a publisher asked beside the checkpoint (repeatable)"
    )
    private = command.add_argument_group("for a proof over the private part of an asset")
    private.add_argument("--private", metavar="UAL", help="the asset; the root is its publisher's public one then")
    private.add_argument("--opening", metavar="FILE", help="file with the field DKG-Opening that came with the proof")
    private.add_argument("--commitment", metavar="PROOF.car", help="public proof of the question for its commitment")


def _chain(group: argparse._ActionsContainer) -> None:
    """Which chain. What is left out comes from the home's settings."""
    group.add_argument("--rpc", metavar="URL", action="append", help="endpoint of the chain (repeatable: see --need)")
    group.add_argument("--need", metavar="N", type=_count, help="endpoints that must agree (default: most)")
    group.add_argument("--registry", metavar="ADDRESS", help="the registry on that chain")
    group.add_argument("--chain-id", metavar="N", type=_count, help="id of the chain")
    group.add_argument(
        "--finality-depth", metavar="N", type=between(0, FINALITY_DEPTH_MAX), help="blocks until final (default: 12)"
    )
    group.add_argument("--home", metavar="DIR", help="where chain.json and heads.json are (default: $DKG_HOME, ~/.dkg)")


def _trusted(group: argparse._ActionsContainer) -> None:
    group.add_argument("--trusted", metavar="FILE", help="heads seen before, never gone behind (default: in the home)")


def _trust(command: Parser) -> None:
    """What `verify` takes to learn the root from a chain. What is left out comes from the home's settings."""
    trust = command.add_argument_group("instead of --root: the head of a publisher, from a chain")
    trust.add_argument("--publisher", metavar="ADDRESS", help="the publisher you trust")
    _chain(trust)
    _trusted(trust)
    trust.add_argument("--final", action="store_true", help="take the newest final head, not the newest")
    trust.add_argument("--max-age", metavar="S", type=_seconds, help="refuse if the block used is older, in seconds")
    trust.add_argument("--commit", metavar="FILE", help="a signed commit of the publisher, in place of a chain")
    trust.add_argument("--signer", metavar="ADDRESS", help="who signs for the publisher (default: its own key)")
    trust.add_argument("--allow-unproved", action="store_true", help="believe an endpoint without eth_getProof")


def _diff(add: Callable[..., Parser]) -> None:
    command = add(
        "diff",
        "datasets:diff",
        "print what changed between two roots, as N-Quads after `- ` or `+ `",
        "With --json: only how many.",
    )
    command.add_argument("old", metavar="OLD", help="root before")
    command.add_argument("new", metavar="NEW", help="root after")
    _store(command)


def _fsck(add: Callable[..., Parser]) -> None:
    command = add("fsck", "datasets:fsck", "re-derive every root of a store from its quads and compare")
    _store(command)
    command.add_argument("--current", action="store_true", help="only the current root, not the older ones")
    _progress(command)


def _export(add: Callable[..., Parser]) -> None:
    command = add("export", "datasets:export", "write a dataset to a file: its quads (.nq) or its pages (.car)")
    command.add_argument("out", metavar="OUT.nq|OUT.car", help="file to write")
    _store(command)
    command.add_argument("--root", metavar="CID", help="the dataset (default: the root of the store)")
    command.add_argument("--format", choices=("nq", "car"), help="what to write (default: by the file's name)")
    _progress(command)


def _evidence(add: Callable[..., Parser]) -> None:
    command = add(
        "evidence check",
        "chain:evidence",
        "check evidence that a signer signed two different commits with one number",
        "Exit code 0: the evidence holds. 2: it is none.",
    )
    command.add_argument("evidence", metavar="FILE", help="evidence, or - for standard input")


def _checkpoints(add: Callable[..., Parser]) -> None:
    command = add(
        "checkpoint status",
        "checkpoints:status",
        "say what the contract of checkpoints says now",
        "All of it is proved from a block's hash. With --node: also how much of each publisher's data is covered.",
    )
    command.add_argument("--node", metavar="URL", help="a peer node to read pages from, each of which is checked")
    command.add_argument("--checkpoints", metavar="ADDRESS", help="the contract of the registry's checkpoints")
    _chain(command)


def _bench(add: Callable[..., Parser]) -> None:
    command = add("bench", "measure:bench", "time lookups, scans, proofs and verification on your own store")
    _store(command)
    command.add_argument("--root", metavar="CID", help="the dataset (default: the root of the store)")
    command.add_argument(
        "--seconds", metavar="S", type=_seconds, default=0.3, help="time for each figure (default: 0.3)"
    )
