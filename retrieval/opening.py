"""Knowledge as the command line says it: a store or a node, publishers from a chain, a policy file, an embedder."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from dkg.chain.secp import address_from_text
from dkg.client.anchored import Client
from dkg.client.cli.chain import settings_of
from dkg.client.cli.datasets import opened as opened_store
from dkg.client.cli.datasets import root_of
from dkg.client.endpoints import reader_of
from dkg.client.files import read_input
from dkg.client.settings import HEADS_FILE, home_path
from dkg.client.trusted import TrustedHeads
from dkg.errors import DkgError, InputError, StoreError
from dkg.pages import StoredPages
from retrieval import sources
from retrieval.policy import Policy
from retrieval.service import Knowledge
from retrieval.sources_http import NodePages

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from dkg.client.settings import ChainSettings
    from dkg.pages import Pages
    from retrieval.embed import Embedder
    from retrieval.llm.model import Model
    from retrieval.model import Snapshot
    from retrieval.service import Heads

POLICY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest policy file, in bytes; the policy has its own, smaller limits."""

FOLLOW_S: Final = 5.0
"""Time between two looks at whether datasets have changed, in seconds, where nobody asks."""


class PolicyFile:
    """The policy in a file, as it is now: it is read before each question."""

    def __init__(self, path: str) -> None:
        """Raises what `__call__` raises."""
        self._path = path
        self._known: tuple[bytes, Policy] | None = None
        self()

    def __call__(self) -> Policy:
        """The policy. Raises `InputError` while the file has none that can be used: an old one is not gone on with."""
        data = read_input(self._path, POLICY_BYTES_MAX, "policy")
        known = self._known
        if known is None or known[0] != data:
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                raise InputError(f"the policy {self._path} is not UTF-8: {error.reason}") from error
            known = self._known = data, Policy.from_yaml(text)
        return known[1]


@contextmanager
def over_store(
    directory: str | Path,
    *,
    policy: str | None = None,
    model: Model | None = None,
    embedder: str = "auto",
    index: Path | None = None,
) -> Iterator[Knowledge]:
    """Knowledge over a store of one's own, as it is at each question. `policy`: a file. `index`: where it is kept.

    Raises `StoreError` when there is no store, and `InputError`.
    """
    with opened_store(str(directory)) as store:
        pages = StoredPages(store)
        root_of(store, None)
        with Knowledge(
            lambda: ([sources.local(pages, root_of(store, None))], []),
            embedder=embedder_of(embedder),
            policy=Policy if policy is None else PolicyFile(policy),
            model=model,
            directory=index,
        ) as knowledge:
            yield knowledge


@contextmanager
def opened(
    args: argparse.Namespace, *, model: Model | None = None, follows: bool = False, told: Told | None = None
) -> Iterator[Knowledge]:
    """The knowledge that arguments name (`retrieval.cli`). `follows`: with a thread that keeps its index fresh.

    `told`: see `following`.

    Raises `InputError` and `StoreError`.
    """
    if (args.store is None) == (args.node is None):
        raise InputError("give either the --store that has the data, or the --node to fetch it from")
    if args.node is not None and not args.publishers:
        raise InputError("a --node may say anything: name the --publisher that you trust")
    if args.publishers and args.root:
        raise InputError("give either a --root of your store, or --publisher, whose root comes from the chain")
    with ExitStack() as stack:
        heads = _heads(args, stack)
        knowledge = stack.enter_context(
            Knowledge(
                heads,
                embedder=embedder_of(args.embedder),
                policy=Policy if args.policy is None else PolicyFile(args.policy),
                model=model,
                directory=None if args.index is None else Path(args.index),
                follows=follows,
            )
        )
        if follows:
            stack.enter_context(following(knowledge, told=told))
        yield knowledge


Told: TypeAlias = "Callable[[DkgError], None]"
"""Is told why an index does not follow, when the reason is another one than before; in a thread of its own."""


@contextmanager
def following(knowledge: Knowledge, every_s: float = FOLLOW_S, told: Told | None = None) -> Iterator[None]:
    """A thread that keeps the index of knowledge fresh while the block runs.

    Why it cannot is told to `told`; whoever asks is told that there is no index, or that it is behind.
    """
    stopping = threading.Event()

    def follow() -> None:
        last = ""
        while not stopping.is_set():
            try:
                knowledge.follow()
                last = ""
            except DkgError as error:
                if told is not None and not stopping.is_set() and str(error) != last:
                    told(error)
                last = str(error)
                stopping.wait(1.0)
            knowledge.wanted(every_s)

    thread = threading.Thread(target=follow, name="dkg-index", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        knowledge.stir()
        thread.join()


def embedder_of(name: str) -> Embedder | None:
    """An embedder by its name on the command line. Raises `StoreError` where what it needs is not here."""
    if name == "none":
        return None
    from retrieval.embed import (  # noqa: PLC0415 - numpy and runtimes
        OnnxEmbedder,
        SentenceEmbedder,
        StaticEmbedder,
        best_embedder,
    )

    if name != "auto":
        made: Embedder = {"int8": OnnxEmbedder, "static": StaticEmbedder, "torch": SentenceEmbedder}[name]()
        return made
    try:
        return best_embedder()
    except StoreError:  # there is none, and names are compared by their words alone
        return None


def _heads(args: argparse.Namespace, stack: ExitStack) -> Heads:
    """What gives the snapshots of now."""
    if args.store is None:
        pages: Pages = StoredPages(stack.enter_context(NodePages(args.node)))
        return _anchored(args, pages, stack)
    store = stack.enter_context(opened_store(args.store))
    pages = StoredPages(store)
    if args.publishers:
        return _anchored(args, pages, stack)
    root_of(store, args.root)  # a store without it is told now, and not when somebody asks
    return lambda: ([sources.local(pages, root_of(store, args.root))], [])


def _anchored(args: argparse.Namespace, pages: Pages, stack: ExitStack) -> Heads:
    home = home_path(args.home)
    settings = settings_of(args, home)
    made = [
        sources.Source(stack.enter_context(_client(settings, one, home, args)), pages)
        for one in dict.fromkeys(map(address_from_text, args.publishers))
    ]
    lock = threading.Lock()

    def heads() -> tuple[list[Snapshot], list[sources.Excluded]]:
        with lock:  # a client is for one thread at a time
            return sources.current(made, final=args.final, max_age=args.max_age)

    return heads


def _client(settings: ChainSettings, publisher: bytes, home: Path, args: argparse.Namespace) -> Client:
    return Client(
        reader_of(settings.endpoints, settings.need),
        settings.domain,
        publisher,
        trusted=TrustedHeads(home / HEADS_FILE),
        clock=time.time,
        finality_depth=settings.finality_depth,
        allow_unproved=args.allow_unproved,
    )
