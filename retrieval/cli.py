"""The commands of retrieval: `dkg ask`, `dkg mcp`, `dkg proxy`.

`define` is called by `dkg.client.cli.parser` whenever a command is not one of its own, so it imports nothing heavy;
`retrieval.commands` does the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.client.cli.parser import COUNT_MAX, between
from dkg.client.settings import DEFAULT_HOME, HOME_VARIABLE
from dkg.limits import FINALITY_DEPTH_MAX
from retrieval.limits import TOKENS, TOKENS_MAX, TOKENS_MIN

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    Add = Callable[..., ArgumentParser]
    """Adds a command: name, `module:function`, summary, details."""

PROXY_PORT: Final = 8901

EMBEDDERS: Final = ("auto", "int8", "static", "torch", "none")


def define(add: Add) -> None:
    """Define the commands."""
    for one in (_ask, _mcp, _proxy):
        one(add)


def _ask(add: Add) -> None:
    command = add(
        "ask",
        "retrieval.commands:ask",
        "answer a question from verified facts, with citations",
        "Without a language model: the facts, and what is provably not there.",
    )
    command.add_argument("question", metavar="QUESTION", help="in plain words")
    command.add_argument(
        "--model",
        metavar="FILE|URL",
        help="a GGUF file, or an OpenAI-compatible URL, with #NAME for one of its models (default: the small one)",
    )
    command.add_argument(
        "--remote-model", action="store_true", help="the URL may be of another machine, which gets facts"
    )
    command.add_argument("--key-file", metavar="FILE", help="file with the key for the URL")
    command.add_argument("--no-model", action="store_true", help="only the facts")
    command.add_argument("--proofs", metavar="DIR", help="write the proofs there, with their queries")
    _budget(command)
    _knowledge(command)


def _mcp(add: Add) -> None:
    command = add(
        "mcp",
        "retrieval.commands:mcp",
        "serve verified knowledge to agents, over the Model Context Protocol",
        "Speaks on standard input and output, as the clients that start it expect.",
    )
    _knowledge(command)


def _proxy(add: Add) -> None:
    command = add(
        "proxy",
        "retrieval.commands:proxy",
        "put verified facts before the questions to a chat endpoint, and citations into its answers",
        "Clients use http://HOST:PORT/v1 in place of the endpoint.",
    )
    command.add_argument("--upstream", metavar="URL", required=True, help="the OpenAI-compatible endpoint")
    command.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="default: this machine alone")
    command.add_argument(
        "--port", metavar="N", type=between(0, 65_535), default=PROXY_PORT, help=f"default: {PROXY_PORT}; 0: any"
    )
    command.add_argument("--port-file", metavar="FILE", help="file that has the port while the proxy answers")
    command.add_argument(
        "--on-failure",
        choices=("refuse", "forward"),
        default="refuse",
        help="when nothing can be looked up: refuse the question, or hand it on without facts (default: refuse)",
    )
    _budget(command)
    _knowledge(command)


def _budget(command: ArgumentParser) -> None:
    command.add_argument(
        "--budget",
        metavar="N",
        type=between(TOKENS_MIN, TOKENS_MAX),
        default=TOKENS,
        help=f"most tokens of facts (default: {TOKENS})",
    )


def _knowledge(command: ArgumentParser) -> None:
    """What a command takes that says which knowledge, and on which terms."""
    command.add_argument("--store", metavar="DIR", help="directory of a store")
    command.add_argument("--root", metavar="CID", help="the dataset of the store (default: its root)")
    command.add_argument("--policy", metavar="FILE", help="trust policy (docs/policy.md); read again when it changes")
    command.add_argument("--index", metavar="DIR", help="keep the index there (default: in memory)")
    command.add_argument(
        "--embedder", choices=EMBEDDERS, default="auto", help="of texts (default: the best that is installed)"
    )
    trust = command.add_argument_group("publishers, whose signed heads come from a chain")
    trust.add_argument(
        "--publisher", metavar="ADDRESS", dest="publishers", action="append", help="one that you trust (repeatable)"
    )
    trust.add_argument(
        "--node", metavar="URL", help="fetch pages from this node; each is checked (in place of --store)"
    )
    trust.add_argument("--home", metavar="DIR", help=f"your home (default: ${HOME_VARIABLE}, else {DEFAULT_HOME})")
    trust.add_argument("--rpc", metavar="URL", action="append", help="endpoint of the chain (repeatable: see --need)")
    trust.add_argument(
        "--need", metavar="N", type=between(1, COUNT_MAX), help="endpoints that must agree (default: most)"
    )
    trust.add_argument("--registry", metavar="ADDRESS", help="the registry on that chain")
    trust.add_argument("--chain-id", metavar="N", type=between(1, COUNT_MAX), help="id of the chain")
    trust.add_argument(
        "--finality-depth", metavar="N", type=between(0, FINALITY_DEPTH_MAX), help="blocks until final (default: 12)"
    )
    trust.add_argument("--final", action="store_true", help="take the newest final heads, not the newest")
    trust.add_argument(
        "--max-age", metavar="S", type=between(0, COUNT_MAX), help="refuse heads as of an older block, in seconds"
    )
    trust.add_argument("--allow-unproved", action="store_true", help="believe an endpoint without eth_getProof")
