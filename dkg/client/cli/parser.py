"""The command line of `dkg`, as argparse has it. docs/cli.md describes each option; a test compares the two."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from dkg.client.cli.exits import HELP, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RDF_FORMATS = ("ttl", "nt", "nq", "trig", "n3", "jsonld", "xml")
RESULT_FORMATS = ("table", "json", "csv", "tsv", "xml", "ttl", "nt")


class Parser(argparse.ArgumentParser):
    """Usage errors exit with 64: argparse's own 2 means that a proof was refused."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        self.exit(Exit.USAGE, f"dkg: error: {message} (see `{self.prog} --help`)\n")


def dkg_version() -> str:
    """The version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - 11 ms

    try:
        return version("dkg")
    except PackageNotFoundError:
        return "0 (not installed)"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command; `run` names what does the work, as `module:function`, None for --version.

    Raises `SystemExit` after help or a usage error.
    """
    parser, commands = make_parsers()
    if not argv or argv[0] not in commands:
        args = parser.parse_args(argv)
        if not args.version:
            parser.error("say what to do: load, query, verify, ...")
        return argparse.Namespace(run=None)
    command = commands[argv[0]]
    args = command.parse_intermixed_args(argv[1:])  # so that QUERY may come before or after options
    if "query" in args and (args.query is None) == (args.file is None):
        command.error("give either a QUERY or -f FILE")
    return args


def make_parsers() -> tuple[Parser, dict[str, Parser]]:
    """The whole command line: `dkg` itself, and each of its commands."""
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

    def add(name: str, run: str, summary: str, details: str = "") -> Parser:
        command = choices.add_parser(
            name,
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

    for define in (_load, _root, _query, _verify, _diff, _fsck, _export, _bench):
        define(add)
    return parser, commands


def _store(command: Parser) -> None:
    command.add_argument("--store", metavar="DIR", required=True, help="directory of the store")


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


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _query(add: Callable[..., Parser]) -> None:
    command = add("query", "ask:query", "answer a query from your own store, and prove the answer to others")
    _store(command)
    command.add_argument("--root", metavar="CID", help="the dataset to ask (default: the root of the store)")
    command.add_argument("--proof", metavar="OUT.car", help="write the proof there (compressed: OUT.car.zst)")
    _question(command)


def _verify(add: Callable[..., Parser]) -> None:
    command = add(
        "verify",
        "ask:verify",
        "recompute an answer from a proof, trusting nothing but the root",
        "--base, --now and the graphs must be what they were for the proof.",
    )
    command.add_argument("proof", metavar="PROOF.car", help="proof, compressed or not, or - for standard input")
    command.add_argument("--root", metavar="CID", required=True, help="the root you trust")
    _question(command)


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


def _bench(add: Callable[..., Parser]) -> None:
    command = add("bench", "measure:bench", "time lookups, scans, proofs and verification on your own store")
    _store(command)
    command.add_argument("--root", metavar="CID", help="the dataset (default: the root of the store)")
    command.add_argument("--seconds", metavar="S", type=float, default=0.3, help="time for each figure (default: 0.3)")
