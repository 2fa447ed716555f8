"""`dkg init`, `start`, `status`, `backup`, `restore`: a peer node, from its configuration to its copies."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg.client.cli.exits import Exit
from dkg.client.progress import grouped, size
from dkg.client.settings import home_path, read_settings
from dkg.errors import DkgError, InputError, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from dkg.client.cli.console import Console
    from node.config import Config
    from node.storage.backup import Copied

CONFIG_VARIABLE: Final = "DKG_NODE_CONFIG"
DEFAULT_CONFIG: Final = "~/.dkg/node/node.toml"

STATUS_S: Final = 10.0
"""How long the node may take to say how it is, in seconds."""

LOG_FILE: Final = "node.log"


def config_path(option: str | None) -> Path:
    """The configuration that an option, the environment or the default names."""
    return Path(option or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG).expanduser()


def configured(args: argparse.Namespace, more: Mapping[str, str] | None = None) -> Config:
    """The configuration of the node, checked; `DKG_NODE_CONFIG` is no setting of it. `more`: as in the environment."""
    from node.config import read_config  # noqa: PLC0415 - `--help` needs no node

    environment = {name: value for name, value in os.environ.items() if name != CONFIG_VARIABLE}
    return read_config(config_path(args.config), {**environment, **(more or {})})


def init(args: argparse.Namespace, console: Console) -> int:
    """Write a configuration, from what is given and from the home."""
    from node.config import example, read_config  # noqa: PLC0415 - as above

    path, home = config_path(args.config), home_path(args.home)
    if path.exists():
        raise InputError(f"there is a configuration {path} already; it was left alone")
    if read_settings(home) is None:
        raise InputError(f"{home} knows no chain: `dkg chain use --rpc URL --registry ADDRESS` makes it known")
    settings: dict[str, Any] = {
        "node.directory": str(path.parent.absolute()),
        "node.log_file": str(path.parent.absolute() / LOG_FILE),
        "chain.home": str(home.absolute()),
        "follow.all": not args.follow,
        "follow.publishers": tuple(args.follow or ()),
        "http.host": args.host,
        "http.port": args.port,
        "peers.listen": args.listen,
        "peers.bootstrap": tuple(args.bootstrap or ()),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("x", encoding="utf-8") as file:
            file.write(example(settings))
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        read_config(path, {}).chain()
    except InputError:
        path.unlink()
        raise
    if console.json:
        console.object({"config": str(path)})
    else:
        console.line(str(path))
    console.say("`dkg start` runs the node; docs/operations.md lists all settings")
    return Exit.OK


def start(args: argparse.Namespace, console: Console) -> int:
    """Run the node until it is interrupted."""
    from node.core.run import run  # noqa: PLC0415 - as above

    def ready(facts: dict[str, Any]) -> None:
        if console.json:
            console.object(facts)
            sys.stdout.flush()
        console.say(f"answering at {facts['http'] or 'no HTTP'}; Ctrl-C ends it")
        for address in facts["peers"]:
            console.say(f"peers reach it at {address}", "dim")
        if config.log_file is not None:
            console.say(f"its log is {config.log_file}; `dkg logs --follow` shows it", "dim")

    config = configured(args)
    return run(config, ready=ready)


def status(args: argparse.Namespace, console: Console) -> int:
    """Say whether the node runs, and how things stand there; 3 if it does not."""
    from node.cli.asking import call, running  # noqa: PLC0415 - as above

    config = configured(args)
    found = running(config)
    facts: dict[str, Any] = {"directory": str(config.directory), **found}
    with suppress(DkgError):  # it runs, and does not answer: that is told by what is missing
        facts["node"] = call(f"{found.get('http')}/v1/status", timeout_s=STATUS_S)
    if console.json:
        console.object(facts)
    else:
        console.line(json.dumps(facts, indent=1, ensure_ascii=False))
    if "node" not in facts:
        console.say("the node runs, but does not answer over HTTP", "yellow")
    return Exit.OK


def backup(args: argparse.Namespace, console: Console) -> int:
    """Copy the node's directory, also while it runs."""
    from node.storage.backup import backup as copy  # noqa: PLC0415 - as above

    config = configured(args)
    return _copied(console, lambda: copy(config.directory, Path(args.to)), args.to)


def restore(args: argparse.Namespace, console: Console) -> int:
    """Make a node's directory from a copy."""
    from node.storage.backup import restore as copy  # noqa: PLC0415 - as above

    return _copied(console, lambda: copy(Path(args.source), Path(args.to)), args.to)


def _copied(console: Console, copy: Callable[[], Copied], to: str) -> int:
    done = copy()
    if console.json:
        console.object({"to": to, "bytes": done.bytes, "roots": done.roots, "pages": done.pages})
    else:
        console.line(to)
    console.say(f"{size(done.bytes)} with {done.roots} roots, {grouped(done.pages)} pages, all checked")
    return Exit.OK
