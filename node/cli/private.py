"""`dkg private`: who may read the private parts of your assets; and `dkg publish --private`.

All of it works on the vault in the node's directory, also while the node runs: it sees what changes at once.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.chain.secp import address_from_text, checksum
from dkg.chain.ual import Publisher, Ual
from dkg.client.cli.exits import Exit
from dkg.client.files import read_input
from dkg.client.load import format_of
from dkg.client.store import SqliteStore
from dkg.errors import DkgError, InputError, StoreError
from dkg.pages import StoredPages
from dkg.private import commitment_iri, private_graph
from dkg.rdf import parse_quads
from node.cli.nodes import configured
from node.home import Home
from node.private.assets import committed_at
from node.private.packed import private_dataset
from node.private.vault import Vault, has_vault

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.client.cli.console import Console
    from node.config import Config

DOCUMENT_BYTES_MAX = 32 * 1024 * 1024
"""Longest document with a private part, in bytes."""


def grant(args: argparse.Namespace, console: Console) -> int:
    """Let an address read."""
    config = configured(args)
    reader, whose = address_from_text(args.reader), _whose(config, args.asset)
    with closing(_vault(config, makes=True)) as vault:
        made = vault.grant(reader, whose)
    _told(console, {"whose": made.whose, "reader": checksum(made.reader), "granted": True})
    console.say("it holds from the next request on")
    return Exit.OK


def revoke(args: argparse.Namespace, console: Console) -> int:
    """Let an address read no more."""
    config = configured(args)
    reader, whose = address_from_text(args.reader), _whose(config, args.asset)
    with closing(_vault(config)) as vault:
        was = vault.revoke(reader, whose)
    _told(console, {"whose": whose, "reader": checksum(reader), "revoked": was})
    console.say("it holds from the next request on" if was else "there was no such grant")
    return Exit.OK


def show(args: argparse.Namespace, console: Console) -> int:
    """Print who may read what."""
    with closing(_vault(configured(args))) as vault:
        grants, parts = vault.grants(), vault.versions()
    rows = [{"whose": one.whose, "reader": checksum(one.reader), "since": one.at} for one in grants]
    if console.json:
        console.object({"grants": rows, "parts": sorted({one.ual for one in parts})})
        return Exit.OK
    if grants:
        console.line("\n".join(f"{_when(one.at)}  {checksum(one.reader)}  {one.whose}" for one in grants))
    console.say(f"{len(grants)} grants; private parts of {len({one.ual for one in parts})} assets")
    return Exit.OK


def check(args: argparse.Namespace, console: Console) -> int:
    """Read every private part, and derive its root from its quads anew. Names no page and no quad."""
    problems: list[str] = []
    with closing(_vault(configured(args))) as vault:
        parts = vault.versions()
        for one in parts:
            try:
                dataset = vault.load(one)
                if dataset.count != one.count or private_dataset(Ual.parse(one.ual), dataset.quads()).root != one.root:
                    problems.append(f"a version of the private part of {one.ual} has other quads than its root says")
            except DkgError as error:
                problems.append(f"a version of the private part of {one.ual}: {error}")
    if console.json:
        console.object({"clean": not problems, "parts": len(parts), "problems": problems})
    for problem in problems:
        console.say(problem)
    console.say(f"{len(parts)} private parts, {len(problems)} of them damaged")
    return Exit.STORE if problems else Exit.OK


@contextmanager
def staged(args: argparse.Namespace, ual: Ual) -> Iterator[str | None]:
    """The commitment to the private part that `dkg publish --private FILE` names, which is on the disk; None for none.

    The same file again has the same commitment, if that still stands or has not come to stand yet.
    """
    if args.private is None:
        yield None
        return
    dataset = private_dataset(ual, _read(args, ual))
    with closing(_vault(configured(args), makes=True)) as vault:
        known = [one for one in vault.versions() if one.ual == str(ual)]
        newest = max(known, key=lambda one: one.staged, default=None)
        stands = _standing(Home.find(args.home), ual)
        is_same = newest is not None and newest.root == dataset.root
        if newest is None or not is_same or (newest.seen and newest.commitment != stands):
            newest = vault.stage(ual, dataset)
        yield commitment_iri(newest.commitment)


def _standing(home: Home, ual: Ual) -> bytes | None:
    """The commitment of an asset in the newest dataset of a home."""
    if not (home.store / "pages.db").exists():
        return None
    with SqliteStore(home.store, read_only=True) as store:
        root = store.head()
        return None if root is None else committed_at(StoredPages(store), root, ual)


def _read(args: argparse.Namespace, ual: Ual) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """The quads of the private file. Errors name the file, and show nothing of it."""
    name: str = args.private
    form = args.format or format_of(Path(name))
    data = read_input(name, DOCUMENT_BYTES_MAX, "private document")
    try:
        for batch in parse_quads(data, format=form, base_iri=args.base, graph=private_graph(ual)):
            yield from batch
    except DkgError as error:
        if sys.stderr is not None and sys.stderr.isatty():
            raise type(error)(f"{name}: {error}") from error
        raise type(error)(f"{name} cannot be read as {form}; on a terminal, what is wrong is told") from None


def _vault(config: Config, *, makes: bool = False) -> Vault:
    """The vault of a node. `makes`: if there is none, one is made."""
    if not makes and not has_vault(config.directory):
        raise StoreError(
            f"there is no private store in {config.directory}: nothing was ever kept there, or it was lost"
        )
    return Vault(config.directory, time.time)


def _whose(config: Config, text: str) -> str:
    """What is granted: the private part of an asset, or all those of a publisher, which its address names."""
    domain = config.chain().domain
    if text.startswith("0x"):
        return Publisher(domain.chain_id, domain.registry, address_from_text(text)).prefix
    ual = Ual.parse(text)
    if (ual.publisher.chain_id, ual.publisher.registry) != (domain.chain_id, domain.registry):
        raise InputError(f"{ual} is of another chain or registry than the node's")
    return str(ual)


def _told(console: Console, facts: dict[str, object]) -> None:
    if console.json:
        console.object(facts)
    else:
        console.line(str(facts["whose"]))


def _when(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
