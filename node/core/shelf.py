"""What of the chain is here: the datasets and unions that are kept, those that wait for their commit, those refused.

A `Shelf` is the node's store with what the chain says of it. It is changed in one lane; `kept` and `refused` are
replaced as a whole, so that anybody may read them.

| name in the store       | what is kept under it                                                                     |
|-------------------------|-------------------------------------------------------------------------------------------|
| `publisher:0x...`       | datasets of a publisher, each from the position after its commit on (`node.union_keeper`)  |
| `union`                 | unions of all publishers that are followed                                                |
| `subset:...`            | unions of some of them that somebody asked for                                             |
| `staged:0x.../<number>` | a dataset that was checked and whose commit is not in the log, or was and is not any more  |
"""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.chain.commit import UINT64_MAX
from dkg.errors import PageError, StoreError
from dkg.page import cid_text
from dkg.pages import StoredPages
from node.core.view import anchored, dataset_root
from node.replication.complete import MalformedError
from node.storage import Kept, Refused
from node.union_keeper import UnionKeeper, publisher_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dkg.chain.commit import Commit, Domain
    from dkg.chain.registry import Committed
    from node.core.view import LogView
    from node.replication.messages import Anchored
    from node.storage import NodeStore

SUBSET: Final = "subset:"
STAGED: Final = "staged:0x"
_PUBLISHER: Final = "publisher:0x"

Rows = tuple[Kept, ...]
"""What is kept under one name, the newest first."""


ANY_SEQ: Final = 0
"""Of a staged dataset that was in the log before: any commit that names it will do."""


class Staged(NamedTuple):
    """A dataset that waits for its commit; `seq`: the number of it, or `ANY_SEQ`."""

    publisher: bytes
    seq: int
    root: bytes


class Shelf:
    """See the module."""

    def __init__(self, store: NodeStore, domain: Domain) -> None:
        """Read what is kept. Raises `StoreError`."""
        self.store = store
        self.keeper = UnionKeeper(store, domain)
        self.kept: Mapping[str, Rows] = MappingProxyType(_by_name(store.kept()))
        self.refused: Mapping[bytes, Refused] = MappingProxyType({one.root: one for one in store.refused()})
        """By dataset, or by dataset and number of quads (`_pair`), what counts for nothing."""
        self.counts: dict[bytes, int] = {}
        """Quads of the datasets of publishers that are kept, as far as the log was read (`learn`)."""
        self._all_roots: tuple[Mapping[str, Rows], frozenset[bytes]] = ({}, frozenset())
        self._known_roots: dict[str, tuple[Rows, frozenset[bytes]]] = {}
        self._addresses: tuple[Mapping[str, Rows], list[bytes]] = ({}, [])

    # --- reading ---------------------------------------------------------------------------------------------------

    def rows(self, name: str) -> Rows:
        """What is kept under a name, the newest first."""
        return self.kept.get(name, ())

    def held(self, publisher: bytes, view: LogView) -> Committed | None:
        """The newest commit of a publisher whose dataset is here, as far as the view goes."""
        for one in self.rows(publisher_name(publisher)):
            if one.position <= view.length:
                found = view.log.entries[one.position - 1]
                return found if (found.publisher, dataset_root(found)) == (publisher, one.root) else None
        return None

    def publishers(self) -> list[bytes]:
        """Those of whom something is kept, in the order of their addresses."""
        kept, found = self._addresses
        if kept is not self.kept:
            kept = self.kept
            names = [name for name in kept if name.startswith(_PUBLISHER)]
            found = sorted(map(address_of, names))
            self._addresses = kept, found
        return found

    def is_kept(self, root: bytes) -> bool:
        """Whether a root is kept under some name."""
        kept, roots = self._all_roots
        if kept is not self.kept:
            kept = self.kept
            roots = frozenset(one.root for rows in kept.values() for one in rows)
            self._all_roots = kept, roots
        return root in roots

    def staged(self) -> list[Staged]:
        """The datasets that wait for their commit."""
        return [_staged(name, rows[0].root) for name, rows in self.kept.items() if name.startswith(STAGED)]

    def is_refused(self, committed: Committed) -> bool:
        """Whether a commit is known to be malformed."""
        root, count = dataset_root(committed), committed.commit.count
        return root in self.refused or _pair(root, count) in self.refused or self.counts.get(root, count) != count

    def why(self, committed: Committed) -> str:
        """What is wrong with a commit that is malformed."""
        root, count = dataset_root(committed), committed.commit.count
        found = self.refused.get(root) or self.refused.get(_pair(root, count))
        if found is None and self.counts.get(root, count) != count:
            return f"it tells {count} quads, and its dataset has {self.counts[root]}"
        return "" if found is None else found.reason

    def wanted(self, publisher: bytes, view: LogView) -> Committed | None:
        """The latest commit of a publisher that is not known to be malformed."""
        found = view.latest(publisher)
        return self.before(found, view) if found is not None and self.is_refused(found) else found

    def before(self, committed: Committed, view: LogView) -> Committed | None:
        """The commit of a publisher that counted before another one."""
        found = view.prior(committed)
        while found is not None and self.is_refused(found):
            found = view.prior(found)
        return found

    def has(self, committed: Committed) -> bool:
        """Whether the dataset of a commit is here as a whole."""
        return dataset_root(committed) in self._roots(publisher_name(committed.publisher))

    def _roots(self, name: str) -> frozenset[bytes]:
        rows = self.rows(name)
        known = self._known_roots.get(name)
        if known is None or known[0] is not rows:
            known = self._known_roots[name] = rows, frozenset(one.root for one in rows)
        return known[1]

    def marked(self, view: LogView) -> Collection[int]:
        """Positions of commits that are malformed for the number of quads that they tell."""
        return _Marked(self, view)

    def learn(self, view: LogView) -> None:
        """Take the numbers of quads of the datasets that are kept from the commits that they are kept for."""
        self.counts = {
            one.root: view.log.entries[one.position - 1].commit.count
            for publisher in self.publishers()
            for one in self.rows(publisher_name(publisher))
            if one.position <= view.length and dataset_root(view.log.entries[one.position - 1]) == one.root
        }

    # --- changing --------------------------------------------------------------------------------------------------

    def keep(self, committed: Committed) -> None:
        """Keep the dataset of a commit, which was checked: all its pages are here. Durable when this returns.

        Raises `MalformedError` when the commit tells another number of quads than its dataset has, and `StoreError`.
        """
        root = dataset_root(committed)
        self.require_count(root, committed.commit)
        name = publisher_name(committed.publisher)
        self.store.keep(name, root, position=committed.position + 1, at=committed.time)
        self.counts[root] = committed.commit.count
        self.reread(name)
        self.unstage(Staged(committed.publisher, committed.commit.seq, root))

    def require_count(self, root: bytes, commit: Commit) -> None:
        """Raise `MalformedError` when a commit tells another number of quads than its dataset, which is here, has."""
        count = StoredPages(self.store.pages, 1).root(root).count
        if count != commit.count:
            raise MalformedError(f"commit {commit.seq} tells {commit.count} quads, and {cid_text(root)} has {count}")

    def refuse(self, committed: Committed, why: str) -> None:
        """Remember that a commit is malformed. Its dataset is, unless what is wrong is the number of quads it tells.

        What is remembered must be the same on every node, so a dataset is refused for what is in its pages alone.
        """
        root, count = dataset_root(committed), committed.commit.count
        key = root if self._has_count(root, count) else _pair(root, count)
        refused = Refused(key, committed.publisher, why, committed.time)
        self.store.refuse(refused)
        self.refused = MappingProxyType({**self.refused, key: refused})

    def _has_count(self, root: bytes, count: int) -> bool:
        """Whether the page of a dataset is here, and of so many quads. Without it, nothing is said of other numbers."""
        try:
            return StoredPages(self.store.pages, 1).root(root).count == count
        except (StoreError, PageError):
            return False

    def stage(self, staged: Staged, *, at: int) -> None:
        """Keep a dataset that was checked until its commit is in the log. `at`: Unix seconds."""
        name = _staged_name(staged)
        self.store.keep(name, staged.root, position=0, at=at)
        self.reread(name)

    def unstage(self, staged: Staged) -> None:
        """It waits no longer."""
        name = _staged_name(staged)
        if name in self.kept and self.kept[name][0].root == staged.root:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Keep nothing under a name any more."""
        self.store.forget(name)
        self.reread(name)

    def give_up_staged(self, before: int) -> list[Staged]:
        """Forget what has waited since before a time, in Unix seconds; gives what that was."""
        old = [name for name, rows in self.kept.items() if name.startswith(STAGED) and rows[0].at < before]
        gone = [_staged(name, self.kept[name][0].root) for name in old]
        for name in old:
            self.forget(name)
        return gone

    def refresh(self) -> None:
        """Read all that is kept again."""
        self.kept = MappingProxyType(_by_name(self.store.kept()))

    def without(self, gone: Iterable[Kept]) -> None:
        """Show these no more: they are about to be dropped."""
        left = {(one.name, one.position) for one in gone}
        self.kept = MappingProxyType(
            _by_name(one for rows in self.kept.values() for one in rows if (one.name, one.position) not in left)
        )

    def reread(self, name: str) -> None:
        """Read what is kept under a name again."""
        rows = tuple(self.store.kept(name))
        others = {key: kept for key, kept in self.kept.items() if key != name}
        self.kept = MappingProxyType(others | ({name: rows} if rows else {}))

    # --- after the chain -------------------------------------------------------------------------------------------

    def common(self, view: LogView) -> int:
        """How far what is kept is certainly of this log, where it is not known of which log it was.

        That is so when the file of the log was lost. Unions say less than datasets of what they are made of.
        """
        bad = [one for one in self.strays(view) if one.name.startswith(_PUBLISHER)]
        return min([view.final_position, *(one.position - 1 for one in bad)])

    def strays(self, view: LogView) -> list[Kept]:
        """What is kept and is not of this log: the node ended after it wrote down another log, and before `roll_back`.

        A dataset is kept from behind its commit on; a union of datasets, no sooner than all of them.
        """
        first: dict[tuple[bytes, bytes], int] = {}
        for entry in view.log.entries:
            first.setdefault((entry.publisher, dataset_root(entry)), entry.position)
        return [
            one
            for name, rows in self.kept.items()
            if not name.startswith(STAGED)
            for one in rows
            if one.position > view.length or not _fits(one, view, first)
        ]

    def roll_back(self, position: int, *, at: int) -> list[Kept]:
        """Drop what counted only after a position, where the log is another one now; gives it. `at`: Unix seconds.

        Datasets are staged: the chain often has their commits again, in other blocks.
        """
        gone = [one for rows in self.kept.values() for one in rows if one.position > position]
        for one in gone:
            if one.name.startswith(_PUBLISHER):
                self.stage(Staged(address_of(one.name), ANY_SEQ, one.root), at=at)
        if gone:
            self.store.roll_back(position)
            self.refresh()
        return gone

    def adopt(self, view: LogView) -> list[Anchored]:
        """Keep those staged datasets whose commit the log has now; gives their heads."""
        found: list[Anchored] = []
        for staged in self.staged():
            committed = self.commit_of(staged, view)
            if committed is not None:
                try:
                    self.keep(committed)
                    found.append(anchored(committed))
                except MalformedError as error:
                    self.refuse(committed, str(error))
                self.unstage(staged)
        return found

    def commit_of(self, staged: Staged, view: LogView) -> Committed | None:
        """The commit in the log that a staged dataset waits for."""
        if staged.seq != ANY_SEQ:
            found = view.commit(staged.publisher, staged.seq)
        else:
            found = view.latest(staged.publisher)
            while found is not None and dataset_root(found) != staged.root:
                found = view.prior(found)
        return found if found is not None and dataset_root(found) == staged.root else None


class _Marked(Collection[int]):
    """Looked up, one by one; nobody goes through all of them."""

    def __init__(self, shelf: Shelf, view: LogView) -> None:
        self._shelf = shelf
        self._view = view

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and self._shelf.is_refused(self._view.log.entries[position])

    def __iter__(self) -> Iterator[int]:
        return (one.position for one in self._view.log.entries if self._shelf.is_refused(one))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _fits(one: Kept, view: LogView, first: Mapping[tuple[bytes, bytes], int]) -> bool:
    """Whether the log has, before the position of what is kept, what it is of. `first`: positions of datasets."""
    if one.name.startswith(_PUBLISHER):
        entry = view.log.entries[one.position - 1] if one.position else None
        return entry is not None and (entry.publisher, dataset_root(entry)) == (address_of(one.name), one.root)
    return all(first.get((address_of(who), root), one.position) < one.position for who, root in one.inputs.items())


def address_of(name: str) -> bytes:
    """The publisher whose datasets are kept under a name."""
    return bytes.fromhex(name.removeprefix(_PUBLISHER))


def _pair(root: bytes, count: int) -> bytes:
    """A dataset together with the number of quads that a commit tells."""
    return root + min(count, UINT64_MAX).to_bytes(8)


def _by_name(kept: Iterable[Kept]) -> dict[str, Rows]:
    found: dict[str, list[Kept]] = {}
    for one in kept:
        found.setdefault(one.name, []).append(one)
    return {name: tuple(rows) for name, rows in found.items()}


def _staged_name(staged: Staged) -> str:
    return f"{STAGED}{staged.publisher.hex()}/{staged.seq}/{staged.root[-8:].hex()}"


def _staged(name: str, root: bytes) -> Staged:
    publisher, seq, _ = name.removeprefix(STAGED).split("/")
    return Staged(bytes.fromhex(publisher), int(seq), root)
