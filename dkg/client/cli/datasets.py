"""`dkg load`, `root`, `diff`, `fsck`, `export`: what a store holds, and how it changes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dkg
from dkg.car import car_blocks, car_header
from dkg.client.cli.ask import graph_name
from dkg.client.cli.console import plain
from dkg.client.cli.exits import Exit
from dkg.client.files import replaced
from dkg.client.fsck import check_store
from dkg.client.load import DEFAULT_GRAPH, load_files
from dkg.client.progress import Progress, duration, grouped, size
from dkg.client.store import SqliteStore
from dkg.dataset import nquads
from dkg.errors import InputError, StoreError
from dkg.page import DatasetRoot, Inner
from dkg.pages import StoredPages
from dkg.proof import root_bytes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.client.cli.console import Console
    from dkg.dataset import Progress as State
    from dkg.pages import Pages
    from dkg.terms import Quad


_PHASES = {"read": ("reading", "quads"), "build": ("building", "keys")}


def load(args: argparse.Namespace, console: Console) -> int:
    """Load files, all or none."""
    graph = DEFAULT_GRAPH if args.graph is None else graph_name(args.graph)[1:-1].decode()
    files = [_file(name, args.format) for name in args.files]
    with SqliteStore(args.store) as store, Progress("reading", "quads", lines=console.progress) as bar:

        def tell(state: State) -> None:
            bar.phase(*_PHASES[state.phase])
            bar.at(state.done, state.total)

        done = load_files(files, store, graph, rdf_format=args.format, base_iri=args.base, progress=tell)
    root = dkg.root_text(done.root)
    if console.json:
        facts = {"quads": done.total, "added": done.added, "files": len(files), "seconds": done.seconds}
        console.object({"root": root, **facts})
    else:
        console.line(root)
    rate = grouped(done.added / done.seconds) if done.seconds else "0"
    console.say(
        f"{grouped(done.added)} quads added, {grouped(done.total)} in the dataset now "
        f"({duration(done.seconds)}, {rate} quads/s)"
    )
    return Exit.OK


def _file(name: str, rdf_format: str | None) -> str:
    if name != "-":
        return name
    if rdf_format is None:
        raise InputError("say which --format standard input is in")
    return "/dev/stdin"


@contextmanager
def opened(directory: str) -> Iterator[SqliteStore]:
    """A store to read. Raises `StoreError` when there is none."""
    with SqliteStore(directory, read_only=True) as store:
        yield store


def root_of(store: SqliteStore, text: str | None) -> bytes:
    """The dataset that was asked for, or the store's current one. Raises `StoreError` when the store lacks it."""
    if text is None:
        head = store.head()
        if head is None:
            raise StoreError(f"the store in {store.directory} is empty: nothing was loaded yet")
        return head
    root = root_bytes(text)
    if store.get(root) is None:
        raise StoreError(f"the store in {store.directory} has no dataset with root {text}")
    return root


def root(args: argparse.Namespace, console: Console) -> int:
    """Print the current root."""
    with opened(args.store) as store:
        current = root_of(store, None)
        count = StoredPages(store).root(current).count
    if console.json:
        console.object({"root": dkg.root_text(current), "quads": count})
    else:
        console.line(dkg.root_text(current))
    return Exit.OK


def fsck(args: argparse.Namespace, console: Console) -> int:
    """Check everything; a store with problems is a failure of the environment."""
    with opened(args.store) as store, Progress("checking pages", "", lines=console.progress) as bar:

        def tell(what: str, done: int, total: int) -> None:
            bar.phase(f"checking {what}", "")
            bar.at(done, total)

        found = check_store(store, all_heads=not args.current, progress=tell)
        heads = list(dict.fromkeys(store.heads()))
    if console.json:
        roots = [dkg.root_text(head) for head in heads[: 1 if args.current else None]]
        facts = {"quads": found.quads, "pages": found.pages, "problems": found.problems}
        console.object({"clean": not found.problems, "roots": roots, **facts})
    else:
        for problem in found.problems:
            console.line(plain(problem))
    if found.problems:
        console.say(f"the store in {args.store} is damaged: {len(found.problems)} problems", "red")
        return Exit.STORE
    checked = 1 if args.current and heads else len(heads)
    console.say(f"clean: {grouped(found.pages)} pages sound, roots re-derived from their quads: {checked}", "green")
    return Exit.OK


def diff(args: argparse.Namespace, console: Console) -> int:
    """Print the quads that went and came, or count them."""
    removed = added = 0
    with opened(args.store) as store:
        for went, came in dkg.diff(store, root_of(store, args.old), root_of(store, args.new)):
            removed, added = removed + len(went), added + len(came)
            if not console.json:
                lines = sorted([(quad, "- ") for quad in went] + [(quad, "+ ") for quad in came])
                for quad, mark in lines:
                    console.line(mark + _line(quad))
    if console.json:
        console.object({"old": args.old, "new": args.new, "removed": removed, "added": added})
    console.say(f"{grouped(removed)} quads went, {grouped(added)} came")
    return Exit.OK


def _line(quad: Quad) -> str:
    return (b"%b %b %b %b ." % quad).decode()


def export(args: argparse.Namespace, console: Console) -> int:
    """Write all quads, or all pages."""
    chosen = args.format or next((name for name in ("nq", "car") if args.out.endswith(f".{name}")), None)
    if chosen is None:
        raise InputError(f"{args.out} ends in neither .nq nor .car; say --format nq or --format car")
    with opened(args.store) as store:
        root = root_of(store, args.root)
        pages = StoredPages(store)
        count = pages.root(root).count
        written = 0
        unit, total, parts = (
            ("quads", count, _quad_lines(pages, root)) if chosen == "nq" else ("pages", None, _car_parts(pages, root))
        )
        with replaced(args.out) as file, Progress("exporting", unit, total, lines=console.progress) as bar:
            for part, done in parts:
                written += file.write(part)
                bar.add(done)
    if console.json:
        console.object({"root": dkg.root_text(root), "out": args.out, "quads": count, "bytes": written})
    console.say(f"{grouped(count)} quads, {size(written)}, in {args.out}")
    return Exit.OK


def _quad_lines(pages: Pages, root: bytes) -> Iterator[tuple[bytes, int]]:
    for lines in nquads(pages, root):
        yield lines, lines.count(b"\n")


def _car_parts(pages: Pages, root: bytes) -> Iterator[tuple[bytes, int]]:
    """The CAR, page by page: each page once, parents before children."""
    yield car_header(root), 0
    waiting, seen = [root], {root}
    while waiting:
        cid = waiting.pop()
        page = pages.page(cid)
        yield from ((part, 1) for part in car_blocks([(cid, page.encode())]))
        links = page.trees if type(page) is DatasetRoot else page.children if type(page) is Inner else []
        fresh = [link for link in dict.fromkeys(links) if link not in seen]
        seen.update(fresh)
        waiting += reversed(fresh)
