"""The commands of `dkg` for those who publish: keys, chains, assets. They come with the extra `publish`.

| module        | what it has                                                           |
|---------------|-----------------------------------------------------------------------|
| `password`    | where the password of a key file comes from                           |
| `keys`        | `key new`, `key show`, `key rotate`, `key revoke`, `key retire`       |
| `chains`      | `chain deploy`, `chain use`, `chain status`                           |
| `devnet`      | `devnet chain`, `devnet fund`, `devnet up`                            |
| `network`     | what `devnet up` starts, and where it is                              |
| `children`    | the processes of one command, which end with it; `child`: one of them |
| `assets`      | `publish`, `retract`, `history`                                       |
| `doctor`      | `doctor`                                                              |
| `checkpoints` | `checkpoint propose`, `challenge`, `watch`, `withdraw`                |
| `nodes`       | `init`, `start`, `status`, `backup`, `restore`: a peer node           |
| `peers`       | `peers`                                                               |
| `logs`        | `logs`                                                                |
| `push`        | `push`: handing commits to nodes                                      |
| `tokens`      | `token new`, `token list`, `token revoke`                             |
| `private`     | `private grant`, `private revoke`, `private list`, `private check`    |
| `sign_in`     | `private sign-in`                                                     |
| `asking`      | one request to a node, and its answer                                 |

`define` is called by `dkg.client.cli.parser` whenever a command is not one of its own, so it imports nothing heavy.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from dkg.client.cli.parser import RDF_FORMATS, between
from dkg.client.settings import DEFAULT_HOME, HOME_VARIABLE
from dkg.limits import FINALITY_DEPTH, FINALITY_DEPTH_MAX
from node.imports.options import KINDS

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

    Add = Callable[..., ArgumentParser]
    """Adds a command: name, `module:function`, summary, details."""

PORT: Final = 8545
"""Where chains listen by custom."""

BLOCK_TIME_MAX: Final = 3_600
"""Longest time between two blocks of a development chain, in seconds."""


ETHER_MAX: Final = 10**9
"""Largest bond, in ether."""


def define(add: Add) -> None:
    """Define the commands."""
    for one in (_keys, _chains, _devnet, _publish, _retract, _history, _doctor, _nodes, _checkpoints):
        one(add)


def _home(command: ArgumentParser) -> None:
    command.add_argument("--home", metavar="DIR", help=f"your home (default: ${HOME_VARIABLE}, else {DEFAULT_HOME})")


def _signs(command: ArgumentParser) -> None:
    """What a command takes that unlocks the key and sends a transaction."""
    _home(command)
    command.add_argument("--password-file", metavar="FILE", help="file with the password (default: ask for it)")
    command.add_argument("--max-fee", metavar="GWEI", type=float, help="most to pay for one unit of gas, in gwei")
    command.add_argument("--progress", action="store_true", help="lines of progress where there is no terminal")


def _keys(add: Add) -> None:
    command = add("key new", "node.cli.keys:new", "make a key and keep it in your home, encrypted with a password")
    _home(command)
    command.add_argument("--password-file", metavar="FILE", help="file with the password (default: ask for it)")
    _home(add("key show", "node.cli.keys:show", "print the address of your key and what it may sign"))
    command = add(
        "key rotate",
        "node.cli.keys:rotate",
        "name the address that signs your commits from now on",
        "Only the publisher's own key can do this; keep it cold, and let a rotated key sign day by day.",
    )
    command.add_argument("signer", metavar="ADDRESS", help="the new signer")
    _signs(command)
    command = add(
        "key revoke",
        "node.cli.keys:revoke",
        "let nobody sign your commits until you name a signer",
        "For a stolen key. What was committed before stays valid.",
    )
    _signs(command)
    command = add("key retire", "node.cli.keys:retire", "end publishing under this address, for ever")
    _signs(command)


def _chains(add: Add) -> None:
    command = add("chain deploy", "node.cli.chains:deploy", "put a registry and checkpoints on a chain, and use them")
    command.add_argument("--rpc", metavar="URL", action="append", required=True, help="endpoint (repeatable)")
    terms, seconds = command.add_argument_group("terms of checkpoints, for ever"), between(1, 2**32 - 1)
    for name, amount, of in (("bond", "0.5", "a checkpoint"), ("demand-bond", "0.05", "a demand")):
        what = f"bond of {of} (default: {amount})"
        terms.add_argument(f"--{name}", metavar="ETHER", type=_wei, default=amount, help=what)
    for name, default, of in (("window", 86_400, "to refute one"), ("demand-window", 14_400, "to answer a demand")):
        what = f"time {of}, in seconds (default: {default})"
        terms.add_argument(f"--{name}", metavar="S", type=seconds, default=default, help=what)
    _chain_settings(command)
    _signs(command)
    command = add("chain use", "node.cli.chains:use", "use a registry that is on a chain")
    command.add_argument("--rpc", metavar="URL", action="append", required=True, help="endpoint (repeatable)")
    command.add_argument("--registry", metavar="ADDRESS", required=True, help="the registry on that chain")
    command.add_argument("--checkpoints", metavar="ADDRESS", help="its checkpoint contract, if there is one")
    command.add_argument("--publisher", metavar="ADDRESS", help="whose datasets you publish (default: your key's own)")
    command.add_argument("--any-code", action="store_true", help="accept a contract that is not the one we know")
    _chain_settings(command)
    _home(command)
    _home(add("chain status", "node.cli.chains:status", "print what the chain and its registry say now"))


def _chain_settings(command: ArgumentParser) -> None:
    command.add_argument("--need", metavar="N", type=between(1, 16), help="endpoints that must agree (default: most)")
    command.add_argument(
        "--finality-depth",
        metavar="N",
        type=between(0, FINALITY_DEPTH_MAX),
        default=FINALITY_DEPTH,
        help="blocks until final (default: 12)",
    )


def _devnet(add: Add) -> None:
    command = add(
        "devnet chain",
        "node.cli.devnet:chain",
        "run a development chain until interrupted; nothing on it is worth anything or kept",
    )
    command.add_argument("--port", metavar="N", type=between(0, 65_535), default=PORT, help=f"default: {PORT}; 0: any")
    command.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="default: this machine alone")
    command.add_argument("--port-file", metavar="FILE", help="file that has the port while the chain answers")
    command.add_argument("--chain-id", metavar="N", type=between(1, 2**53 - 1), default=31337, help="default: 31337")
    command.add_argument("--accounts", metavar="N", type=between(1, 1000), default=10, help="funded (default: 10)")
    command.add_argument("--block-time", metavar="S", type=_block_time, default=0.0, help="0: one per transaction")
    command.add_argument("--engine", choices=("auto", "builtin", "anvil"), default="auto", help="auto: anvil if there")
    command = add(
        "devnet up",
        "node.cli.devnet:up",
        "run a whole network on this machine until interrupted: a chain, publishers, peers that know each other",
        "Everything listens on the loopback interface; the chain is in memory, so each network is a new one.",
    )
    command.add_argument("--peers", metavar="N", type=between(1, 16), default=3, help="1 to 16 (default: 3)")
    command.add_argument("--publishers", metavar="M", type=between(1, 16), default=2, help="1 to 16 (default: 2)")
    command.add_argument("--directory", metavar="DIR", help="networks are kept below (default: ~/.dkg/devnet)")
    command.add_argument("--block-time", metavar="S", type=_block_time, default=1.0, help="0: one per transaction")
    command = add("devnet fund", "node.cli.devnet:fund", "give an address coins of a development chain")
    command.add_argument("address", metavar="ADDRESS", nargs="?", help="default: that of your key")
    command.add_argument("--rpc", metavar="URL", default=f"http://127.0.0.1:{PORT}", help="the development chain")
    command.add_argument("--ether", metavar="N", type=float, default=10.0, help="how much (default: 10)")
    _home(command)


def _wei(text: str) -> int:
    """An amount of ether, in wei."""
    try:
        value = Decimal(text) * 10**18
    except InvalidOperation:
        value = Decimal("nan")
    if not (value.is_finite() and 0 < value <= ETHER_MAX * 10**18 and value == value.to_integral_value()):
        raise ArgumentTypeError(f"{text} is no amount of ether above 0 and up to {ETHER_MAX}, with 18 decimals at most")
    return int(value)


def _interval(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:  # not a number is not, either
        raise ArgumentTypeError(f"{text} is no number of seconds from 0 on")
    return value


def _block_time(text: str) -> float:
    value = float(text)
    if not 0 <= value <= BLOCK_TIME_MAX:  # not a number is not, either
        raise ArgumentTypeError(f"{text} is no number of seconds from 0 to {BLOCK_TIME_MAX}")
    return value


def _publish(add: Add) -> None:
    command = add(
        "publish",
        "node.cli.assets:publish",
        "create or change an asset: sign its publisher's new dataset and anchor it on the chain",
        "The same content again does nothing. Without FILE: finish what was interrupted.",
    )
    command.add_argument("files", metavar="FILE", nargs="*", help="RDF file, or one to import")
    command.add_argument("--asset", metavar="NAME", help="name of the asset: letters, digits, '.', '_', '-'")
    command.add_argument("--format", choices=RDF_FORMATS, help="syntax of the files (default: by their names)")
    command.add_argument("--base", metavar="IRI", help="base of relative IRIs")
    command.add_argument("--from", dest="from_", choices=KINDS, help="import the files (default: by their names)")
    command.add_argument("--mapping", metavar="FILE", help="what columns (CSV) or members (JSON) mean")
    command.add_argument("--source", metavar="IRI", help="where the imported file was got")
    command.add_argument("--title", metavar="TEXT", help="title of the asset")
    command.add_argument("--author", metavar="IRI", action="append", help="who made it (repeatable)")
    command.add_argument("--licence", "--license", metavar="IRI", help="its licence")
    command.add_argument("--derived-from", metavar="IRI", action="append", help="source (repeatable)")
    command.add_argument("--supersedes", metavar="NAME", action="append", help="asset of yours that it replaces")
    command.add_argument("--shapes", metavar="FILE", help="SHACL shapes to check (default: shapes.ttl in your home)")
    command.add_argument("--credential", action="store_true", help="FILE is JSON-LD with a Data Integrity proof")
    command.add_argument("--signer", metavar="DID", help="with --credential: the did:key that must have signed it")
    command.add_argument("--context", metavar="URL=FILE", action="append", help="a JSON-LD context it may name")
    command.add_argument("--private", metavar="FILE", help="RDF file with what only some may read (dkg private grant)")
    command.add_argument("--config", metavar="FILE", help="with --private: configuration of the node that keeps it")
    _waits(command)


def _waits(command: ArgumentParser) -> None:
    command.add_argument("--final", action="store_true", help="wait until the commit is final, not only mined")
    _signs(command)


def _retract(add: Add) -> None:
    command = add("retract", "node.cli.assets:retract", "take an asset's content back; that it was there stays known")
    command.add_argument("asset", metavar="NAME", help="name or UAL of the asset")
    command.add_argument("--reason", metavar="TEXT", help="why, for those who look for it")
    _waits(command)


def _history(add: Add) -> None:
    command = add("history", "node.cli.assets:history", "print the versions of an asset of yours")
    command.add_argument("asset", metavar="UAL", help="UAL or name of the asset")
    _home(command)


def _doctor(add: Add) -> None:
    _home(add("doctor", "node.cli.doctor:doctor", "say what is wrong with your set-up, and what to do about it"))


def _nodes(add: Add) -> None:
    command = add("init", "node.cli.nodes:init", "write the configuration of a peer node")
    _config(command)
    _home(command)
    command.add_argument("--follow", metavar="ADDRESS", action="append", help="a publisher (repeatable; default: all)")
    command.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="HTTP: default: this machine alone")
    command.add_argument("--port", metavar="N", type=between(0, 65_535), default=8900, help="HTTP: default: 8900")
    command.add_argument("--listen", metavar="ADDR", default="/ip4/127.0.0.1/tcp/0", help="multiaddress for peers")
    command.add_argument("--bootstrap", metavar="ADDR", action="append", help="a peer, as /ip4/.../p2p/ID (repeatable)")
    _config(add("start", "node.cli.nodes:start", "run the peer node until it is interrupted"))
    _config(add("status", "node.cli.nodes:status", "say whether the node runs, and how things stand there"))
    command = add(
        "peers",
        "node.cli.peers:peers",
        "say whom the running node is connected with",
        "Addresses and penalties are told to a token of scope admin alone.",
    )
    command.add_argument("--token-file", metavar="FILE", help="file with a token of scope admin")
    _config(command)
    _logs(add)
    command = add("backup", "node.cli.nodes:backup", "copy all that the node keeps, also while it runs")
    command.add_argument("to", metavar="DIR", help="a new directory")
    _config(command)
    command = add("restore", "node.cli.nodes:restore", "make a node's directory from a copy, which is checked")
    command.add_argument("source", metavar="COPY", help="what `dkg backup` made")
    command.add_argument("to", metavar="DIR", help="a new directory")

    command = add("push", "node.cli.push:push", "hand your newest commit, with the pages that it lacks, to a peer node")
    command.add_argument("node", metavar="URL", help="the node, as http://127.0.0.1:8900")
    command.add_argument("--token-file", metavar="FILE", required=True, help="file with a token of scope publish")
    command.add_argument("--progress", action="store_true", help="lines of progress where there is no terminal")
    _home(command)
    command = add("token new", "node.cli.tokens:new", "make a bearer token for those who may write to your node")
    command.add_argument("name", metavar="NAME", help="whose it is")
    scopes = ("publish", "admin", "metrics", "grant")
    command.add_argument("--scope", choices=scopes, action="append", help="what for (repeatable)")
    command.add_argument("--reads", metavar="ADDRESS", help="read private parts as this address")
    _config(command)
    _config(add("token list", "node.cli.tokens:show", "print the names of your node's tokens, and what each is for"))
    command = add("token revoke", "node.cli.tokens:revoke", "take tokens back, from your node's next start on")
    command.add_argument("names", metavar="NAME", nargs="+", help="whose")
    _config(command)
    _private(add)


def _checkpoints(add: Add) -> None:
    command = add(
        "checkpoint propose",
        "node.cli.checkpoints:propose",
        "have your node propose a checkpoint of all publishers' data, and pay its bond",
        "It refuses while anything that counts is missing, or malformed and not marked: the bond would be lost.",
    )
    command.add_argument(
        "--position", metavar="N", type=between(1, 2**48 - 1), help="commits (default: all final ones)"
    )
    _with_token(command)
    command = add(
        "checkpoint challenge",
        "node.cli.checkpoints:challenge",
        "have your node judge a pending checkpoint now, and refute it if it is wrong",
        "Exit code 0: it is right, or wrong and refuted. 2: nothing can be said of it now.",
    )
    command.add_argument("id", metavar="ID", type=between(1, 2**32 - 1), help="the checkpoint's number")
    command.add_argument("--dry-run", action="store_true", help="only look, and say what it would cost")
    _with_token(command)
    command = add(
        "checkpoint watch",
        "node.cli.checkpoints:watch",
        "run the peer node, and tell what its watcher does, until it is interrupted",
        "A node that is started by `dkg start` watches too; `dkg logs --event 'checkpoint*'` shows it.",
    )
    command.add_argument(
        "--propose-every", metavar="S", type=_interval, help="propose, this many seconds apart at least"
    )
    _config(command)
    command = add(
        "checkpoint withdraw",
        "node.cli.checkpoints:withdraw",
        "have the contract of checkpoints pay out what it owes your key",
        "Bonds come back and rewards are given as credit.",
    )
    _signs(command)


def _with_token(command: ArgumentParser) -> None:
    command.add_argument("--token-file", metavar="FILE", required=True, help="file with a token of scope publish")
    _config(command)


def _private(add: Add) -> None:
    for name, summary in (
        ("grant", "let an address read the private part of an asset"),
        ("revoke", "let an address read it no more, from the next request on"),
    ):
        command = add(f"private {name}", f"node.cli.private:{name}", summary)
        command.add_argument("asset", metavar="UAL", help="the asset; or a publisher's address, for all of its own")
        command.add_argument("reader", metavar="ADDRESS", help="who")
        _config(command)
    _config(add("private list", "node.cli.private:show", "print who may read which private parts"))
    _config(add("private check", "node.cli.private:check", "check every private part that the node keeps"))
    command = add(
        "private sign-in",
        "node.cli.sign_in:sign_in",
        "show a node whose key you have, and print a token to read with",
        "The token is good for an hour, for what was granted to your address.",
    )
    command.add_argument("node", metavar="URL", help="the node, as http://127.0.0.1:8900")
    command.add_argument("--password-file", metavar="FILE", help="file with the password (default: ask for it)")
    _home(command)


def _logs(add: Add) -> None:
    command = add(
        "logs",
        "node.cli.logs:logs",
        "show the log of the node",
        "With --json: a JSON object a line, as the node wrote it.",
    )
    command.add_argument("file", metavar="FILE", nargs="?", help="a log, or - for standard input (default: the node's)")
    command.add_argument("-f", "--follow", action="store_true", help="go on with what comes, until interrupted")
    command.add_argument("--lines", metavar="N", type=between(1, 1_000_000), default=100, help="last (default: 100)")
    levels = ("debug", "info", "warning", "error")
    command.add_argument("--level", choices=levels, default="debug", help="the least that is shown (default: all)")
    command.add_argument("--event", metavar="NAME", action="append", help="only these; 'http.*' too (repeatable)")
    command.add_argument("--since", metavar="TIME", help="from then on: 10m, 2h, 3d ago, or 2026-01-31T12:00:00Z")
    _config(command)


def _config(command: ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", help="default: $DKG_NODE_CONFIG, else ~/.dkg/node/node.toml")
