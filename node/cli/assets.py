"""`dkg publish`, `dkg retract`, `dkg history`."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.chain.ual import Publisher as Identity
from dkg.client.anchored import Client
from dkg.client.cli.console import plain
from dkg.client.cli.exits import Exit
from dkg.client.commits import commits_of
from dkg.client.endpoints import reader_of
from dkg.client.files import read_input
from dkg.client.progress import Progress, grouped
from dkg.client.store import SqliteStore
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError
from dkg.page import cid_text
from dkg.pages import StoredPages
from node.assets.history import Point
from node.assets.history import history as versions_of
from node.assets.report import ShapesViolated
from node.assets.request import PublishOptions, asset_of, publish_request, retract_request
from node.cli.chains import publisher_of
from node.cli.signing import Waiter, publisher_at
from node.home import Home
from node.imports.limits import MAPPING_BYTES_MAX
from node.imports.options import ImportOptions
from node.publish.published import Request

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

    from dkg.chain.ual import Ual
    from dkg.client.cli.console import Console
    from dkg.client.settings import ChainSettings
    from node.assets.history import Version
    from node.assets.request import Request as Asked
    from node.publish.published import Published, Wanted


def publish(args: argparse.Namespace, console: Console) -> int:
    """Create or change an asset; without files, finish what was interrupted."""
    home = Home.find(args.home)
    if not args.files and args.private is None:
        if args.asset is not None:
            raise InputError("name the files that are to be the asset's content")
        return _resume(args, console)
    if args.asset is None:
        raise InputError("name the asset: --asset NAME")
    shapes = home.path / "shapes.ttl"
    options = PublishOptions(
        args.asset,
        tuple(args.files),
        format=args.format,
        base=args.base,
        title=args.title,
        authors=None if args.author is None else tuple(args.author),
        licence=args.licence,
        derived_from=None if args.derived_from is None else tuple(args.derived_from),
        supersedes=None if args.supersedes is None else tuple(args.supersedes),
        shapes=args.shapes or (str(shapes) if shapes.exists() else None),
        credential=args.credential,
        signer=args.signer,
        contexts=tuple(_context(text) for text in args.context or ()),
    )
    identity = _identity(home)
    with _staged(args, asset_of(args.asset, identity)) as commitment:
        try:
            with Progress("importing", "items", lines=args.progress) as bar:
                options = replace(options, private=commitment, imports=_imports(args, bar))
                asked = publish_request(identity, options, int(time.time()))
        except ShapesViolated as error:
            return _violated(error, console)
        for warning in asked.warnings:
            console.say(warning, "yellow")
        return _send(args, console, home, asked)


def _imports(args: argparse.Namespace, bar: Progress) -> ImportOptions:
    """How files that are no RDF are imported."""
    mapping = None if args.mapping is None else read_input(args.mapping, MAPPING_BYTES_MAX, "mapping")
    return ImportOptions(args.from_, mapping, args.base, args.source, bar.add)


def _staged(args: argparse.Namespace, ual: Ual) -> AbstractContextManager[str | None]:
    """See `node.cli.private.staged`. Who has nothing private needs none of a node's packages."""
    if args.private is None:
        return nullcontext()
    from node.cli.private import staged  # noqa: PLC0415 - as the above says

    return staged(args, ual)


def _violated(error: ShapesViolated, console: Console) -> int:
    """Tell what the shapes found, a line each; with `--json` the whole report."""
    first, *rest = str(error).split("\n")
    if console.json:
        told = {"kind": type(error).__name__, "message": first, "exit": int(Exit.INPUT)}
        console.object({"error": told, "report": error.report.json()})
        return Exit.INPUT
    console.fail(first, type(error).__name__, Exit.INPUT)
    for line in rest:
        console.say(line)
    return Exit.INPUT


def retract(args: argparse.Namespace, console: Console) -> int:
    """Take an asset's content back."""
    home = Home.find(args.home)
    return _send(args, console, home, retract_request(_identity(home), args.asset, int(time.time()), args.reason))


def _context(text: str) -> tuple[str, str]:
    url, equals, path = text.rpartition("=")
    if not equals:
        raise InputError(f"{text!r} names no context: write URL=FILE")
    return url, path


def _identity(home: Home) -> Identity:
    settings = home.chain()
    return _identity_of(home, settings)


def _identity_of(home: Home, settings: ChainSettings) -> Identity:
    publisher = publisher_of(home, settings)
    if publisher is None:
        raise InputError(f"there is no key in {home.path}: `dkg key new` makes one")
    return Identity(settings.chain_id, settings.domain.registry, publisher)


def _send(args: argparse.Namespace, console: Console, home: Home, asked: Asked) -> int:
    wait: Wanted = "final" if args.final else "mined"
    request = Request(_request_id(home, asked), asked.label, asked.edit)
    with publisher_at(args) as publisher, Waiter(console) as tell:
        done = publisher.publish(request, tell, wait=wait)
    _told(done, str(asked.ual), console)
    return 0


def _request_id(home: Home, asked: Asked) -> str:
    """The same command resumes its own job; after another commit it is another request, and may bring back what was."""
    base = b""
    if (home.store / "pages.db").exists():
        with SqliteStore(home.store, read_only=True) as store:
            base = store.head() or b""
    return sha256(asked.id + base).hexdigest()


def _resume(args: argparse.Namespace, console: Console) -> int:
    with publisher_at(args) as publisher, Waiter(console) as tell:
        done = publisher.resume(tell, wait="final" if args.final else "mined")
    if done is None:
        if console.json:
            console.object({"changed": False})
        console.say("nothing was left undone")
        return 0
    _told(done, None, console)
    return 0


def _told(done: Published, ual: str | None, console: Console) -> None:
    """What a publish came to: the UAL first, for scripts."""
    facts: dict[str, Any] = {
        "ual": ual,
        "root": cid_text(done.root),
        "seq": done.seq,
        "count": done.count,
        "changed": done.changed,
        "transaction": "0x" + done.transaction.hex() if done.transaction else None,
        "block": done.block,
        "gas": done.gas_used,
        "state": str(done.state),
    }
    if console.json:
        console.object(facts)
    else:
        console.line(ual or facts["root"])
    if not done.changed:
        console.say(f"there is nothing to do: it is so since commit {done.seq}, in block {done.block}, {done.state}")
        return
    gas = f", {grouped(done.gas_used)} gas" if done.gas_used is not None else ""
    console.say(f"{plain(done.label)}: commit {done.seq}, {grouped(done.count)} quads, root {facts['root']}")
    console.say(f"transaction {facts['transaction']} in block {done.block}, {done.state}{gas}")


def history(args: argparse.Namespace, console: Console) -> int:
    """Print the versions of an asset."""
    home = Home.find(args.home)
    settings = home.chain()
    identity = _identity_of(home, settings)
    ual = asset_of(args.asset, identity)
    with closing(reader_of(settings.endpoints, settings.need)) as reader:
        head = Client(
            reader,
            settings.domain,
            identity.address,
            trusted=TrustedHeads(home.heads),
            clock=time.time,
            finality_depth=settings.finality_depth,
        ).head()
        points = [Point.of(committed) for committed in commits_of(reader, head, settings.first_block)]
    with SqliteStore(home.store, read_only=True) as store:
        found = list(versions_of(StoredPages(store), ual, points))
    if not found:
        raise InputError(f"no commit up to number {head.anchored.head.seq} has the asset {ual}")
    if console.json:
        console.object({"ual": str(ual), "versions": [_facts(version) for version in found]})
    else:
        console.line("\n".join(map(_line, found)))
    return 0


def _facts(version: Version) -> dict[str, Any]:
    point = version.point
    return {
        "seq": point.seq,
        "root": cid_text(point.root),
        "block": point.block,
        "time": point.time,
        "kind": version.kind,
        "added": version.added,
        "removed": version.removed,
        "title": version.about.title if version.about else None,
        "reason": version.about.reason if version.about else None,
    }


def _line(version: Version) -> str:
    point = version.point
    when = datetime.fromtimestamp(point.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    change = f"+{grouped(version.added)} -{grouped(version.removed)}"
    return f"{point.seq:6}  {when}  block {point.block:<9} {version.kind:10}  {change}"
