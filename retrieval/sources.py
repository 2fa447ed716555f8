"""Where snapshots come from: the caller's own store, or a publisher whose head was read from the chain.

| made by    | what was checked before                                              | claim                    |
|------------|----------------------------------------------------------------------|--------------------------|
| `local`    | nothing: it is the caller's own                                      | `LOCAL`                  |
| `signed`   | the signature over the root                                          | `AUTHENTIC`              |
| `anchored` | the head is proved from a block, the latest, and its key still signs | `COMPLETE_FOR_PUBLISHER` |

Pages need no trust, so they may come from any store: from a local one, a file (`dkg.client.carstore`), or a node
(`retrieval.sources_http`). `current` makes the snapshots of one question, and says which publishers it left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dkg.chain.ual import Publisher
from dkg.client.anchored import State
from dkg.dataset import diff_datasets, quads
from dkg.errors import InputError, MissingPageError, ProofError, StoreError
from dkg.page import cid_bytes
from dkg.pages import Pages, StoredPages
from retrieval.model import LOCAL, Claim, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.client.anchored import Client, ClientHead
    from dkg.client.signed import SignedHead
    from dkg.page import Page
    from dkg.pages import PageStore
    from dkg.terms import Quad


class RevokedError(ProofError):
    """A publisher's key is revoked, or the publisher has retired: nothing of it is read."""


def local(store: PageStore | Pages, root: bytes | str, *, publisher: str = LOCAL) -> Snapshot:
    """A dataset of one's own. `root`: its CID. `publisher`: how its facts are signed off, if not as `LOCAL`.

    Raises `InputError` for a text that is no CID, `StoreError` if the store does not hold the dataset, and `PageError`.
    """
    try:
        cid = cid_bytes(root) if isinstance(root, str) else root
    except ValueError as error:
        raise InputError(str(error)) from error
    pages = _pages(store)
    pages.root(cid)
    return Snapshot(publisher, cid, pages, Claim.LOCAL)


def signed(head: SignedHead, store: PageStore | Pages) -> Snapshot:
    """A dataset that its publisher signed (`dkg.client.signed.verify_head`). Whether it is the latest is not known."""
    commit, domain = head.verified.commit, head.verified.domain
    publisher = Publisher(domain.chain_id, domain.registry, commit.publisher)
    return Snapshot(publisher.did, head.root, _pages(store), Claim.AUTHENTIC, sequence=commit.seq, only=_own(publisher))


def anchored(
    client: Client, store: PageStore | Pages, *, final: bool = False, max_age: float | None = None
) -> Snapshot:
    """The dataset of the client's publisher as of now. `final`, `max_age`: see `Client.head`.

    Also of a final head the newest block is asked whether the key still signs. Raises `RevokedError`; `ProofError` if
    the head cannot be trusted or there is no commit; `ChainError` if the chain cannot be read.
    """
    head = client.head(max_age=max_age)
    _require_signer(head, client.publisher)
    if final and head.state is not State.FINAL:
        head = client.head(final=True, max_age=max_age)
        _require_signer(head, client.publisher)
    root, committed, block = head.root, head.committed, head.anchored.block
    return Snapshot(
        publisher=client.publisher.did,
        root=root,
        pages=_pages(store),
        claim=Claim.COMPLETE_FOR_PUBLISHER,
        state=str(head.state),
        sequence=committed.commit.seq if committed else None,
        block=block.number,
        time=block.timestamp,
        committed=committed.time if committed else None,
        only=_own(client.publisher),
    )


class Source(NamedTuple):
    """A publisher to read: whoever knows its head, and where its pages are."""

    client: Client
    store: PageStore | Pages


class Excluded(NamedTuple):
    """A publisher of whom nothing is read, and why, as a sentence."""

    publisher: str
    reason: str
    failed: bool = False
    """Whether it is not known what the publisher says: the chain or the node fails, or shows what is no proof."""


def current(
    sources: Iterable[Source], *, final: bool = False, max_age: float | None = None
) -> tuple[list[Snapshot], list[Excluded]]:
    """The snapshots of all sources as of now, and those that have none: revoked, retired, unproved, unreachable."""
    snapshots: list[Snapshot] = []
    excluded: list[Excluded] = []
    for client, store in sources:
        try:
            snapshots.append(anchored(client, store, final=final, max_age=max_age))
        except (ProofError, StoreError) as error:
            failed = not isinstance(error, RevokedError)
            excluded.append(Excluded(client.publisher.did, str(error), failed))
    return snapshots, excluded


def changes(old: Snapshot | None, new: Snapshot | None) -> Iterator[tuple[list[Quad], list[Quad]]]:
    """What went and what came between two snapshots of a publisher, in batches; None is an empty dataset.

    What both share is skipped, so it takes time with what changed only, where the same graphs count. Raises
    `InputError` for two publishers, and what the pages raise.
    """
    if old is not None and new is not None and old.publisher != new.publisher:
        raise InputError(f"these are snapshots of two publishers, {old.publisher} and {new.publisher}")
    if old is None or new is None or old.only != new.only:
        if old is not None:
            yield from ((_counted(old, batch), []) for batch in quads(old.pages, old.root))
        if new is not None:
            yield from (([], _counted(new, batch)) for batch in quads(new.pages, new.root))
        return
    if old.root == new.root:
        return
    pages = new.pages if new.pages is old.pages else _EitherPages(new.pages, old.pages)
    for went, came in diff_datasets(pages, old.root, new.root):
        yield _counted(old, went), _counted(new, came)


class _EitherPages(Pages):
    """Pages of two sources: what the first lacks comes from the second."""

    def __init__(self, first: Pages, second: Pages) -> None:
        self._first, self._second = first, second

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        try:
            return self._first.page(cid)
        except (StoreError, MissingPageError):
            return self._second.page(cid)


def _counted(snapshot: Snapshot, batch: list[Quad]) -> list[Quad]:
    """The quads in graphs that count."""
    return [quad for quad in batch if snapshot.counts(quad[3])]


def _own(publisher: Publisher) -> bytes:
    """What the names of a publisher's graphs begin with, as terms."""
    return b"<" + publisher.prefix.encode()


def _pages(store: PageStore | Pages) -> Pages:
    return store if isinstance(store, Pages) else StoredPages(store)


def _require_signer(head: ClientHead, publisher: Publisher) -> None:
    if head.anchored.head.signer is None:
        what = "has retired" if head.anchored.head.retired else "has revoked its key"
        raise RevokedError(
            f"the publisher {publisher.did} {what} (block {head.anchored.block.number}): nothing of it is read"
        )
