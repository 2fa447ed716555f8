"""Which root answers for whom, at which moment, and what may be said of it: from a view of the log and what is kept.

Nothing here waits or reads a disk, so that whoever answers a request may ask in any thread. What is named to somebody
stays readable for a while (`node.core.leases`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.chain.secp import checksum
from dkg.errors import InputError
from dkg.page import cid_text
from node.core.shelf import address_of
from node.core.unions import subset_name
from node.core.view import dataset_root
from node.serving import NOW, Claim, Standing, State, UnknownMomentError, UnknownPublisherError
from node.union_keeper import UNION, publisher_name
from node.workers.errors import OverloadedError

if TYPE_CHECKING:
    from dkg.chain.log import Block
    from node.core.heads import CoreChain
    from node.core.settings import CoreSettings
    from node.core.shelf import Rows, Shelf
    from node.core.unions import Unions
    from node.core.view import LogView
    from node.serving import At
    from node.storage import Kept

_RETRY_AFTER_S: Final = 2


class Standings:
    """See the module."""

    def __init__(self, chain: CoreChain, shelf: Shelf, unions: Unions, settings: CoreSettings) -> None:
        self._chain = chain
        self._shelf = shelf
        self._unions = unions
        self._settings = settings
        self._now: tuple[object, object, dict[str, Standing]] = (None, None, {})

    def find(self, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        """See `Service.standing`."""
        view, kept = self._chain.view, self._shelf.kept
        if view.head is None:
            raise UnknownMomentError("this node has not read the chain yet: ask again in a moment")
        names = None if publishers is None else tuple(sorted(set(publishers)))
        if names is not None:
            self._require_known(names, view)
        name = UNION if names is None else publisher_name(names[0]) if len(names) == 1 else subset_name(names)
        if names is not None and len(names) > 1:
            self._require_made(name, names, view)
        if at != NOW:
            return self._standing(self._at(name, names, at, view), names, view, view.head, now=False)
        cache = self._now
        if cache[0] is not view or cache[1] is not kept:
            cache = self._now = view, kept, {}
        if name not in cache[2]:
            cache[2][name] = self._standing(self._newest(name, names, view), names, view, view.head, now=True)
        return cache[2][name]

    # --- which root ------------------------------------------------------------------------------------------------

    def _require_known(self, publishers: tuple[bytes, ...], view: LogView) -> None:
        if not publishers:
            raise InputError("no publisher is named")
        for publisher in publishers:
            state = view.log.publishers.get(publisher)
            if state is None or not state.head.seq or not self._chain.follows(publisher):
                raise UnknownPublisherError(
                    f"this node does not follow {checksum(publisher)}, or it has committed nothing up to the newest "
                    "block that was read"
                )

    def _require_made(self, name: str, publishers: tuple[bytes, ...], view: LogView) -> None:
        """See to it that the union of some publishers is made; it is asked for again when it is done."""
        settings, shelf = self._settings, self._shelf
        if len(publishers) > settings.subset_publishers_max:
            raise InputError(f"{settings.subset_publishers_max} publishers at most are answered for together")
        held = [shelf.held(publisher, view) for publisher in publishers]
        missing = [publisher for publisher, one in zip(publishers, held, strict=True) if one is None]
        if missing:
            raise UnknownMomentError(f"no dataset of {checksum(missing[0])} is here yet")
        quads = sum(one.commit.count for one in held if one is not None)
        if quads > settings.subset_quads_max:
            raise InputError(
                f"these publishers have {quads} quads together, and {settings.subset_quads_max} are the most that are "
                "answered for together: ask for one, or for all"
            )
        rows = shelf.rows(name)
        inputs = {publisher_name(one.publisher): dataset_root(one) for one in held if one is not None}
        if rows and dict(rows[0].inputs) == inputs:
            return
        if len(self._unions.asked) < settings.subsets_max:
            self._unions.asked[name] = publishers
            self._unions.wake()
        if not rows:
            raise OverloadedError("the union of these publishers is being made: ask again", _RETRY_AFTER_S)

    def _newest(self, name: str, publishers: tuple[bytes, ...] | None, view: LogView) -> Kept:
        for one in self._shelf.rows(name):
            if one.position <= view.length:
                return one
        who = "this node" if publishers is None else " and ".join(map(checksum, publishers))
        raise UnknownMomentError(f"nothing is here yet of {who}: it is being fetched")

    def _at(self, name: str, publishers: tuple[bytes, ...] | None, at: At, view: LogView) -> Kept:
        given = [value is not None for value in (at.block, at.seq, at.time, at.root)]
        if sum(given) != 1:
            raise InputError("a moment is given as one of: block, seq, time, root")
        rows = self._shelf.rows(name)
        if at.root is not None:
            found = next((one for one in rows if one.root == at.root and one.position <= view.length), None)
            if found is None:
                raise UnknownMomentError(f"the root {cid_text(at.root)} is not kept for these publishers")
            return found
        position = self._position(publishers, at, view)
        found = next((one for one in rows if one.position <= position), None)
        if found is None or self._changed(found, publishers, position, view):
            raise UnknownMomentError(_not_kept(rows, view))
        return found

    def _position(self, publishers: tuple[bytes, ...] | None, at: At, view: LogView) -> int:
        """How many entries the log had at a moment."""
        head = view.head
        if head is None:
            raise UnknownMomentError("this node has not read the chain yet")
        if at.seq is not None:
            if publishers is None or len(publishers) != 1:
                raise InputError("a commit's number means something for one publisher only")
            found = view.commit(publishers[0], at.seq)
            if found is None:
                raise UnknownMomentError(f"{checksum(publishers[0])} has no commit number {at.seq}")
            return found.position + 1
        if at.block is not None:
            if at.block > head.number:
                raise UnknownMomentError(
                    f"block {at.block} is not there yet: the newest that was read is {head.number}"
                )
            return view.at_block(at.block)
        time = at.time or 0
        if time > head.time:
            raise UnknownMomentError(f"the newest block that was read is of {head.time}, in Unix seconds: not {time}")
        return view.at_time(time)

    def _changed(self, found: Kept, publishers: tuple[bytes, ...] | None, position: int, view: LogView) -> bool:
        """Whether one of the publishers committed something between where a root counts from and a position."""
        members = {*publishers} if publishers is not None else {*self._chain.followed()}
        between = view.log.entries[found.position : position]
        return any(one.publisher in members and not self._shelf.is_refused(one) for one in between)

    # --- what may be said of it ------------------------------------------------------------------------------------

    def _standing(
        self, found: Kept, publishers: tuple[bytes, ...] | None, view: LogView, head: Block, *, now: bool
    ) -> Standing:
        """`now`: whether the newest is asked for, so that what came later is missing."""
        members = publishers if publishers is not None else tuple(sorted(map(address_of, found.inputs)))
        commits = [view.log.head_at(publisher, found.position) for publisher in members]
        # What a union leaves out makes it what it is, too: a commit that counts for nothing may yet go from the chain.
        newest = (
            found.position
            if publishers is None
            else max((one.position + 1 for one in commits if one is not None), default=0)
        )
        single = commits[0] if publishers is not None and len(publishers) == 1 else None
        state = State.FINAL if newest <= view.final_position else State.PENDING
        return Standing(
            root=found.root,
            publishers=members,
            claim=Claim.PUBLISHER,
            state=State.DISPUTED if view.frozen else state,
            position=found.position,
            seq=single.commit.seq if single is not None else None,
            block=head.number,
            block_hash=head.hash,
            block_time=head.time,
            finality_depth=self._settings.finality_depth,
            behind=self._behind(found, members, publishers is None, view, now=now),
        )

    def _behind(self, found: Kept, members: tuple[bytes, ...], union: bool, view: LogView, *, now: bool) -> int:  # noqa: FBT001
        """Commits that the answer should take into account and does not: later ones, and those that are left out."""
        followed = self._chain.followed() if union else []
        counted = {*followed, *members}
        later = view.log.entries[found.position :] if now else []
        missing = sum(one.publisher in counted and not self._shelf.is_refused(one) for one in later)
        for publisher in {*followed} - {*members}:
            one = view.log.head_at(publisher, found.position)
            missing += one is not None and not self._shelf.is_refused(one)
        return missing


def _not_kept(rows: Rows, view: LogView) -> str:
    shown = [view.log.entries[one.position - 1].block for one in rows if 0 < one.position <= view.length]
    kept = f"roots are kept as of blocks {', '.join(map(str, shown[:10]))}" if shown else "no root is kept"
    return f"no root is kept for these publishers and that moment; {kept}"
