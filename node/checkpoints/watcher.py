"""The watcher: every pending checkpoint compared with this node's own union, and what is wrong with it told the chain.

It looks whenever the chain has news. It judges only what it has a whole view of: the chain followed without trouble,
the log as far as a checkpoint goes, and all pages that count; where something is missing it says so, and does nothing.
Nothing it says is believed by anybody: a challenge is tried before it is sent, and a wrong one is refused.

What it finds is the same whenever it is looked for, and what it does is not done twice: it is written down in a case
(`node.checkpoints.cases`), and each transaction is kept until the chain shows what it was for.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dkg.chain.checkpoint_events import Target
from dkg.chain.checkpoints import OPEN_MAX, Status
from dkg.chain.secp import checksum
from dkg.checkpoints.records import marked_among
from dkg.errors import DkgError, InputError, StoreError
from dkg.limits import COMMITS_MAX
from dkg.page import CID_PREFIX, cid_text
from node.checkpoints.cases import Cases, told
from node.checkpoints.find import Demand, Right, Subject, Wrong, find, find_invalid
from node.checkpoints.keeper import DIRECTORY, LOOKED_AT, CheckpointKeeper
from node.checkpoints.source import PAGES_MAX, Source
from node.checkpoints.union import coverage
from node.core.checkpointed import CHECKPOINT
from node.core.retries import Retries
from node.core.view import dataset_root
from node.publish.errors import RejectedError
from node.replication.fetch import LANE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dkg.chain.checkpoint_events import Demanded
    from dkg.chain.checkpoint_log import CheckpointLog
    from dkg.chain.checkpoints import Checkpoint
    from dkg.chain.registry import Committed
    from node.checkpoints.find import Found
    from node.checkpoints.hand import Hand, Step
    from node.checkpoints.keeper import Made
    from node.core.checkpointwatch import CheckpointView
    from node.core.heads import CoreChain
    from node.core.parts import Parts
    from node.core.shelf import Shelf
    from node.core.view import LogView
    from node.replication.ask import Asker
    from node.replication.runtime import Nursery

    Act = Callable[[Hand, Callable[[Step], None]], None]

T = TypeVar("T")

HAND_LANE: Final = "checkpoints"
"""Where transactions are sent, and cases are written."""

LOOK_S: Final = 5.0
"""Longest time between two looks, in seconds."""

BRING_S: Final = 60.0
"""How long replication may take for a dataset before its spog is fetched alone, in seconds."""

DEMAND_S: Final = 120.0
"""How long a page may be given by nobody before it is demanded, in seconds; sooner where a window is short."""

ACTS_MAX: Final = 8
"""Most answers, ends of demands, marks, and demands of commits in one look, each of which waits for a block: others can
call for any number of them, and must not keep this node from judging checkpoints."""

BRING_MAX: Final = 8
"""Most commits whose spog is fetched at a time: anybody can commit to what does not exist, and to what is large: a page
takes 0.3 ms to look at."""

BRINGING_S: Final = 300.0
"""How long that may take while others wait for it, in seconds."""

PEERS_S: Final = 3_600.0
"""How long peers are asked in one look at most, in seconds: no garbage that came since it began is collected."""

WINDOW_SHARE: Final = 8
"""A page is waited for at most this part of what is left of a checkpoint's window."""

MISSED_MAX: Final = 100_000
"""Most things of which it is remembered since when they are missed; of more, all are missed from now on."""

SHOWN_MAX: Final = 100
"""Most publishers of which the status tells how much is covered."""


@dataclass(slots=True)
class Verdict:
    """What is known of a checkpoint. `key`: what it is about; of another one after a reorganisation nothing is."""

    key: tuple[object, ...]
    state: str
    """right, wrong, withheld or waits"""
    why: str = ""
    found: Found | None = None
    length: int = 0
    """Of the log, when it was judged."""

    def holds(self, length: int) -> bool:
        """Whether it needs no other look, now that the log is so long.

        Evidence says which commit is a publisher's latest, as long as there is none beyond the checkpoint's position.
        """
        return self.state == "right" or (self.state == "wrong" and self.length == length)


class Watcher:
    """See the module."""

    def __init__(self, parts: Parts, chain: CoreChain, shelf: Shelf, asker: Asker, trouble: Callable[[], str]) -> None:
        """`trouble`: what is wrong with the last look at the chain; empty if nothing is."""
        self._parts = parts
        self._chain = chain
        self._shelf = shelf
        self._trouble = trouble
        self.hand = parts.hand
        self._keeper = CheckpointKeeper(shelf, parts.store.directory)
        self._source = Source(parts, asker, self._keeper)
        self.cases = Cases(parts.store.directory / DIRECTORY, parts.clock)
        self._retries = Retries(parts.runtime, parts.settings)
        self._news = parts.runtime.event()
        self._verdicts: dict[int, Verdict] = {}
        self._beside: Nursery | None = None  # of what takes as long as peers like, while this node watches
        self._under_way: dict[str, Nursery] = {}
        self._brings: dict[str, float] = {}  # those of commits, and when they began
        self._view, self._changes = chain.view, list[int]()  # from where on reorganisations changed the log
        self._final: Verdict | None = None  # of the latest final one, if it was final before it was judged
        self._bad: dict[int, tuple[Committed, Found]] = {}  # by position: what is wrong with what counts
        self._arrivals = 0
        self._since: dict[object, float] = {}  # when something was missed first
        self._acts = 0  # how many are left in this look
        self._open_cases: set[str] | None = None  # of which the end is not written down yet
        self._coverage: tuple[bytes, dict[str, Any]] = (b"", {})
        self.waits = "nothing was looked at yet"
        """Why nothing is judged; empty if checkpoints are."""

    def wake(self) -> None:
        """The chain has news. From where the runtime runs."""
        self._news.set()

    def arrived(self) -> None:
        """A dataset is here that was not: what waited for one may be judged. From where the runtime runs."""
        for one in [*self._verdicts.values(), *([] if self._final is None else [self._final])]:
            self._retries.done(str(one.key[0]))
        self._arrivals += 1
        self._news.set()

    async def ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """What somebody asks for, beside the looks. Raises what that raises, and `InputError` if nobody looks."""
        if not self.is_watching:
            raise InputError(
                "this node does not watch checkpoints: checkpoints.watch is false, or it knows no contract"
            )
        return await work()

    @property
    def is_watching(self) -> bool:
        """Whether it looks."""
        settings = self._parts.settings
        return settings.checkpoints is not None and settings.watch

    def close(self) -> None:
        """Close the files."""
        self._keeper.close()

    async def run(self) -> None:
        """Watch, for ever."""
        runtime = self._parts.runtime
        async with runtime.nursery() as self._beside:
            while self.is_watching:
                self._news = runtime.event()
                try:
                    await self.look()
                except DkgError as error:
                    self.waits = str(error)
                    self._parts.log("checkpoints_wait", why=str(error))
                await runtime.wait(self._news, LOOK_S)

    async def look(self) -> None:
        """Look once at everything. Raises what the store raises."""
        view = self._chain.view
        seen, self.waits = view.checkpoints, self.unsure(view)
        if seen is None or self.waits or view.head is None:
            return
        if (common := self._view.common(view)) < self._view.length:
            self._changes.append(common)
        self._view, self._acts = view, ACTS_MAX
        self._source.seen(seen.log.answered)
        self._end_judging(seen.log)
        for one in seen.log.pending:
            await self._look_at(view, seen.log, one)
        await self._have_final(view, seen.log)
        await self._note_ends(seen.log)
        await self._demands(view, seen.log)
        self._acts = ACTS_MAX  # neither what is demanded nor what is committed keeps the other from its turn
        made = await self._commits(view, seen.log)
        await self._own(view, seen)
        await self._parts.runtime.blocking(LANE, lambda: self._tidy(view, seen.log, made))

    async def _note_ends(self, log: CheckpointLog) -> None:
        """Write down how checkpoints and commits ended of which there are cases; also of those of an earlier run."""
        if self._open_cases is None:
            names = self.cases.names
            self._open_cases = {*await self._parts.runtime.blocking(HAND_LANE, names)}
        for name in list(self._open_cases):
            kind, _, number = name.partition("-")
            at = int(number) if number.isdecimal() else -1
            one = log.checkpoints.get(at) if kind == "checkpoint" else None
            mark = log.marked.get(at) if kind == "commit" else None
            if one is not None and one.status is not Status.PENDING:
                end = one.status.name.lower()
            elif mark is not None:
                end = f"marked {mark.reason.name.lower()}"
            else:
                continue
            if not await self._noted(name, ended=end):
                break  # the disk takes none of them now
            self._open_cases.discard(name)

    def unsure(self, view: LogView) -> str:
        """Why this node's view of the chain is not whole."""
        if view.head is None:
            return "the chain was not read yet"
        if view.frozen:
            return f"a chain that was final is gone: {view.frozen}"
        if self._trouble():
            return f"the chain is not followed: {self._trouble()}"
        return "" if view.checkpoints is not None else "the checkpoint contract was not read yet"

    # --- checkpoints -------------------------------------------------------------------------------------------------

    async def _look_at(self, view: LogView, log: CheckpointLog, one: Checkpoint) -> None:
        """Have a pending checkpoint judged, if that is not done; and do what follows from what is known of it."""
        if one.position > view.length:
            return
        # The contract's tip says nothing of marks, nor of entries before it: both decide what the union is.
        named = tuple(log.marks[number].position for number in range(1, one.marks + 1))
        key = (_judging(one), one.position, named, sum(at < one.position for at in self._changes))
        known = self._verdicts.get(one.id)
        # What was right may have gone since, with a reorganisation that was over before this look.
        is_gone = known is not None and known.state == "right" and not self._keeps(one)
        if known is None or known.key != key or not known.holds(view.length) or is_gone:
            self._judge(view, log, one, key)
        if known is not None and known.key == key:
            await self._follow_up(view, log, one, known)

    def _judge(self, view: LogView, log: CheckpointLog, one: Checkpoint, key: tuple[object, ...]) -> None:
        """Judge a checkpoint beside the looks; where nothing changes, at longer and longer times, up to a minute."""
        due, arrivals = _judging(one), self._arrivals

        async def work() -> None:
            try:
                made = await self.judged(view, log, one, key)
            except DkgError as error:
                made = Verdict(key, "waits", str(error))
            is_final = one.status is Status.FINAL
            known = self._final if is_final else self._verdicts.get(one.id)
            if known is not None and (known.key, known.state, known.why) != (made.key, made.state, made.why):
                self._retries.done(due)
            if made.state in {"waits", "withheld"} and arrivals == self._arrivals:  # else something came meanwhile
                self._retries.failed(due)
            elif made.state == "wrong":
                self._retries.done(f"checkpoint-{one.id}")  # this evidence was not tried
            if made.state in {"right", "wrong"}:
                self._since.pop(f"checkpoint-{one.id}", None)
            if is_final:
                self._final = made
            else:
                self._verdicts[one.id] = made
            if known is None or (known.key, known.state) != (made.key, made.state):
                level = "warning" if made.state in {"wrong", "withheld"} else "info"
                event = "checkpoint_final" if is_final else "checkpoint"
                self._parts.log(event, id=one.id, state=made.state, why=made.why, level=level)

        self._begin(due, work)

    def _begin(self, due: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done beside the looks, once at a time: peers may let it take for ever."""
        if self._beside is None or due in self._under_way or not self._retries.is_due(due):
            return

        async def run() -> None:
            try:
                async with self._parts.runtime.nursery() as own:
                    self._under_way[due] = own
                    own.start_soon(work)
            finally:
                self._brings.pop(due, None)
                del self._under_way[due]
                self._news.set()

        self._under_way[due] = self._beside
        self._beside.start_soon(run)

    def _end_judging(self, log: CheckpointLog) -> None:
        """Give up what is looked at for nothing any more, and forget what was found of it."""
        wanted = {_judging(one) for one in [*log.pending, *([] if log.final is None else [log.final])]}
        for due, own in self._under_way.items():
            if due.startswith("judge-") and due not in wanted and own is not self._beside:
                own.cancel()
        for number in self._verdicts.keys() - {*log.opened}:
            del self._verdicts[number]

    async def _have_final(self, view: LogView, log: CheckpointLog) -> None:
        """Have the union of the latest final checkpoint here, where it became final before this node looked at it."""
        final = log.final
        if final is None or final.position > view.length:
            return
        key = (_judging(final),)
        is_judged = self._final is not None and self._final.key == key and self._final.state == "wrong"
        if not is_judged and not self._keeps(final):
            self._judge(view, log, final, key)

    def _keeps(self, one: Checkpoint) -> bool:
        """Whether the union of a checkpoint is here."""
        return any(row.root == CID_PREFIX + one.root for row in self._shelf.rows(f"{CHECKPOINT}{one.id}"))

    async def judged(self, view: LogView, log: CheckpointLog, one: Checkpoint, key: tuple[object, ...]) -> Verdict:
        """What is found of a checkpoint now; what is right is kept. Raises `StoreError` and what looking raises."""
        made = await self.union_at(view, log, one.position, one.marks)
        if made.union is None:  # what the others say is judged all the same: nobody can blind a watcher by withholding
            marked = marked_among(log.marked, one.marks)
            made = await self._parts.runtime.blocking(
                LANE, lambda: self._keeper.make(view.log, one.position, marked, partly=True)
            )
        if made.union is None:
            return Verdict(key, "waits", self.lacks(made))
        ours, root = made.union.root, CID_PREFIX + one.root
        unknown = frozenset(lacking.publisher for lacking in made.missing)
        demanded = log.answered.keys() | {page.digest for page in _demands_of(log, Target.CHECKPOINT, one.id)}
        subject = Subject(self._parts.domain, view.log, log.marked, one, log.shown, unknown, frozenset(demanded))
        left_s = PEERS_S if view.head is None else (one.ends - view.head.time) / WINDOW_SHARE
        seconds = PEERS_S if one.status is Status.FINAL else min(max(left_s, LOOK_S), PEERS_S)
        with ExitStack() as held:  # the union stays while it is compared, however many newer ones there are
            await self._parts.runtime.blocking(LANE, lambda: held.enter_context(self._parts.store.holding(ours)))
            found = await self._source.found(find(subject, self._keeper.pages(LOOKED_AT), ours), seconds=seconds)
        if isinstance(found, Right) and made.missing and one.status is not Status.FINAL:
            return Verdict(key, "waits", self.lacks(made))  # what is final is kept all the same: nobody can refute it
        if isinstance(found, Right):
            at = view.log.entries[one.position - 1].time if one.position else 0
            await self._parts.runtime.blocking(
                LANE, lambda: self._keeper.keep(f"{CHECKPOINT}{one.id}", root, one.position, at)
            )
            return Verdict(key, "right")
        if isinstance(found, Wrong):
            return Verdict(key, "wrong", type(found.evidence).__name__.lower(), found, view.length)
        return Verdict(key, "withheld", f"nobody gives page {cid_text(_named(found, root))}", found)

    async def _follow_up(self, view: LogView, log: CheckpointLog, one: Checkpoint, known: Verdict) -> None:
        """Refute what is wrong; demand what is withheld."""
        name, found = f"checkpoint-{one.id}", known.found
        if isinstance(found, Wrong):
            facts = {"checkpoint": one.id, "root": cid_text(CID_PREFIX + one.root), "evidence": told(found.evidence)}
            await self._act(name, facts, lambda hand, note: hand.refute(found, note))
        elif isinstance(found, Demand) and view.head is not None:
            page = _named(found, CID_PREFIX + one.root)
            left_s = max(0.0, one.ends - view.head.time) / WINDOW_SHARE
            # Whoever gives one page after the other, each of them late, is not waited for anew for each.
            is_missed = self._is_missed(name, min(DEMAND_S, left_s))
            if is_missed and not await self._has_come(log, Target.CHECKPOINT, one.id, page):
                facts = {"checkpoint": one.id, "withheld": cid_text(page)}
                due = f"{name} {cid_text(page)}"
                await self._act(name, facts, lambda hand, note: hand.demand(one.id, found.way, note), due)

    # --- what counts -------------------------------------------------------------------------------------------------

    async def union_at(self, view: LogView, log: CheckpointLog, position: int, marks: int) -> Made:
        """The union. What is missing of it begins to be brought over, in no order that anybody could have made."""
        marked = marked_among(log.marked, marks)
        made = await self._parts.runtime.blocking(LANE, lambda: self._keeper.make(view.log, position, marked))
        if made.union is None:
            self._free_places()
            for one in self._parts.runtime.random.sample(made.missing, len(made.missing)):
                self._bring(view, log, one)
        return made

    def _free_places(self) -> None:
        """Where all places are taken, those who have been brought over for long give way: it goes on another time."""
        now = self._parts.runtime.now()
        if len(self._brings) >= BRING_MAX:
            for due, began in self._brings.items():
                if now - began > BRINGING_S:
                    self._retries.failed(due)
                    self._under_way[due].cancel()

    def _bring(self, view: LogView, log: CheckpointLog, one: Committed) -> None:
        """Fetch the spog of a commit that counts and is none of the datasets that this node keeps."""
        is_awaited = self._shelf.wanted(one.publisher, view) == one and self._chain.follows(one.publisher)
        if is_awaited and not self._is_missed(one, BRING_S):
            return
        root = dataset_root(one)
        known, due = self._bad.get(one.position), f"bring-{one.position}-{root.hex()}"
        is_known = known is not None and known[0] == one and isinstance(known[1], Wrong)
        if is_known or len(self._brings) >= BRING_MAX or due in self._brings or not self._retries.is_due(due):
            return

        async def work() -> None:
            try:
                found = await self._source.found(find_invalid(one, log.shown), pages_max=PAGES_MAX, seconds=PEERS_S)
                if isinstance(found, Right):
                    pages = self._source.spog(root, log.shown)
                    await self._parts.runtime.blocking(LANE, lambda: self._keeper.odd.keep(root, pages))
            except DkgError as error:  # then it is missing; the others are none the worse for it
                self._retries.failed(due)
                self._parts.log("checkpoint_waits", case=f"commit-{one.position}", why=str(error))
                return
            if isinstance(found, Right):
                self._retries.done(due)
                self._bad.pop(one.position, None)
                self.arrived()
            else:
                self._retries.failed(due)
                self._bad[one.position] = one, found

        self._begin(due, work)
        if due in self._under_way:
            self._brings[due] = self._parts.runtime.now()

    async def _commits(self, view: LogView, log: CheckpointLog) -> Made:
        """Mark what is malformed of what counts now; demand what is withheld of it. Gives the union as of now."""
        made = await self.union_at(view, log, view.length, log.state.marks)
        for position in list(self._bad):
            if position not in self._bad:  # its pages came while another one was marked
                continue
            one, found = self._bad[position]
            if not view.has(one) or position in log.marked or self._keeper.has(one):
                del self._bad[position]
                continue
            name, who = f"commit-{position}", checksum(one.publisher)
            if isinstance(found, Wrong):
                facts: dict[str, Any] = {"commit": position, "publisher": who, "evidence": told(found.evidence)}
                await self._act_if_room(name, facts, lambda hand, note, found=found: hand.refute(found, note))  # type: ignore[misc]
            elif isinstance(found, Demand):
                page = _named(found, dataset_root(one))
                is_missed = self._is_missed((name, page), DEMAND_S)
                if is_missed and not await self._has_come(log, Target.COMMIT, position, page):
                    facts = {"commit": position, "publisher": who, "withheld": cid_text(page)}
                    due = f"{name} {cid_text(page)}"
                    await self._act_if_room(
                        name,
                        facts,
                        lambda hand, note, one=one, way=found.way: hand.demand(one, way, note),  # type: ignore[misc]
                        due,
                    )
        return made

    async def _has_come(self, log: CheckpointLog, kind: Target, target: int, page: bytes) -> bool:
        """Whether a page is demanded; or has come since it was withheld: another demand would only be paid for."""
        if page.removeprefix(CID_PREFIX) in log.answered:
            return True
        is_open = any(CID_PREFIX + one.digest == page for one in _demands_of(log, kind, target))
        return is_open or await self._parts.runtime.blocking(LANE, lambda: self._source.here(page)) is not None

    def lacks(self, made: Made) -> str:
        """Why there is no union, as a sentence."""
        one = made.missing[0]
        return (
            f"{len(made.missing)} datasets that count are not here or malformed: commit {one.commit.seq} of "
            f"{checksum(one.publisher)} is the first"
        )

    def _is_missed(self, what: object, seconds: float) -> bool:
        """Whether something has been missing for so long."""
        now = self._parts.monotonic()
        if len(self._since) > MISSED_MAX:
            self._since.clear()
        return now - self._since.setdefault(what, now) >= seconds

    # --- demands, and this node's own checkpoints --------------------------------------------------------------------

    async def _demands(self, view: LogView, log: CheckpointLog) -> None:
        """Answer what is demanded and is here; then end what nobody has answered in time.

        One end is enough for a checkpoint or commit. Where that is settled already, it would only give a bond back:
        anybody could have any number of demands run out, and keep this node from answering others. What this account
        would lose by is left to others to end.
        """
        blocking, late = self._parts.runtime.blocking, dict[tuple[Target, int], int]()
        mine = None if self.hand is None else self.hand.address
        for urgency, number in sorted((_urgency(one, view, log, mine), at) for at, one in log.demands.items()):
            demand = log.demands[number]
            if view.head is not None and view.head.time > demand.deadline:
                if urgency:
                    late.setdefault((demand.kind, demand.target), number)
                continue
            name, page = f"demand-{number}", CID_PREFIX + demand.digest
            if self._acts <= 0 or not self._retries.is_due(name):
                continue
            raw = await blocking(LANE, lambda page=page: self._source.here(page))  # type: ignore[misc]
            if raw is not None:
                facts = {"demand": number, "page": cid_text(page)}
                await self._act_if_room(name, facts, lambda hand, note, n=number, raw=raw: hand.answer(n, raw, note))  # type: ignore[misc]
        self._acts = ACTS_MAX
        for (kind, target), number in late.items():
            if target in log.opened if kind is Target.CHECKPOINT else target not in log.marked:
                facts, name = {"demand": number}, f"demand-{number}"
                await self._act_if_room(name, facts, lambda hand, note, n=number: hand.expire(n, note))  # type: ignore[misc]

    async def _own(self, view: LogView, seen: CheckpointView) -> None:
        """Finalise this node's own checkpoints, and propose the next one when it is time.

        Others' too that were found right, where no place is left: whoever proposed them may never come back.
        """
        hand, head = self.hand, view.head
        if hand is None or head is None:
            return
        mine = [one for one in seen.log.pending if one.proposer == hand.address]
        right = {number for number, verdict in self._verdicts.items() if verdict.state == "right"}
        is_full = len(seen.log.opened) == OPEN_MAX
        for one in [one for one in seen.log.pending if one in mine or (is_full and one.id in right)]:
            if one.ends <= head.time and not one.open_demands:
                facts = {"checkpoint": one.id}
                await self._act(f"checkpoint-{one.id}", facts, lambda hand, note, n=one.id: hand.finalise(n, note))  # type: ignore[misc]
        every = self._parts.settings.propose_s
        proposed = [one.proposed for one in seen.log.checkpoints.values() if one.proposer == hand.address]
        if every and not mine and is_proved(view) and head.time - max(proposed, default=0) >= every:
            await self._propose(view, seen)

    async def _propose(self, view: LogView, seen: CheckpointView) -> None:
        """Propose what is final, if it is another union than the latest final checkpoint's, and all of it is here."""
        position, marks, final = view.final_position, seen.settled_marks, seen.log.final
        made = await self.union_at(view, seen.log, position, marks)
        if made.union is None or not position:
            return
        root = made.union.root
        if final is not None and (position < final.position or marks < final.marks or root == CID_PREFIX + final.root):
            return
        if any((one.position, one.marks, CID_PREFIX + one.root) == (position, marks, root) for one in seen.log.pending):
            return
        tip, digest = view.log.entries[position - 1].entry(), root.removeprefix(CID_PREFIX)
        facts = {"position": position, "marks": marks, "root": cid_text(root)}
        await self._act(
            f"proposal-{position}-{marks}",
            facts,
            lambda hand, note: hand.propose(position, marks, digest, tip, note),
            due="proposal",
        )

    # --- doing -------------------------------------------------------------------------------------------------------

    async def _act_if_room(self, name: str, facts: dict[str, Any], act: Act, due: str = "") -> None:
        """The same as `_act`, but no more than so many in one look."""
        if self._acts > 0 and self._retries.is_due(due or name):
            self._acts -= 1
            await self._act(name, facts, act, due)

    async def _act(self, name: str, facts: dict[str, Any], act: Act, due: str = "") -> None:
        """Write a case down, and do what it calls for, if there is a key for it. What fails is tried again later.

        `due`: what else is not to be done twice in a while. A disk that takes no case saves no wrong checkpoint: what
        is sent is what the home keeps.
        """
        hand, cases, due = self.hand, self.cases, due or name
        lost: list[StoreError] = []

        def work() -> None:
            _tried(lambda: cases.put(name, **facts, outcome="found" if hand is None else "under way"), lost)
            if hand is not None:
                act(hand, lambda step: _tried(lambda: cases.step(name, step), lost))
                _tried(lambda: cases.put(name, outcome="done"), lost)

        if not self._retries.is_due(due) or self.unsure(self._chain.view):  # a look takes as long as many blocks do
            return
        blocking = self._parts.runtime.blocking
        if self._open_cases is not None:
            self._open_cases.add(name)
        try:
            await blocking(HAND_LANE, work)
        except DkgError as error:
            await self._noted(name, outcome=f"{'refused' if isinstance(error, RejectedError) else 'waits'}: {error}")
            self._parts.log("checkpoint_waits", case=name, why=str(error))
            self._retries.failed(due)
        else:
            if hand is not None:
                self._parts.log("checkpoint_done", case=name)
            self._retries.sent(due)
        if lost:
            self._parts.log("checkpoint_case_lost", case=name, why=str(lost[0]))

    async def _noted(self, name: str, **facts: str) -> bool:
        """Add to a case, if the disk takes it: what else is to be done must not wait for that."""
        try:
            await self._parts.runtime.blocking(HAND_LANE, lambda: self.cases.put(name, **facts))
        except StoreError as error:
            self._parts.log("checkpoint_case_lost", case=name, why=str(error))
            return False
        return True

    def _tidy(self, view: LogView, log: CheckpointLog, made: Made) -> None:
        """Forget what cannot matter any more. In the lane."""
        settled = 0 if view.checkpoints is None else view.checkpoints.settled  # asked by whoever wants what is final
        self._keeper.keep_only([*log.opened, log.state.final, settled])
        ends, entries, odd = [*(one.position for one in log.pending), view.length], view.log.entries, self._keeper.odd

        def counts(position: int) -> bool:
            """Whether a commit may count at a pending position, or now."""
            return position < len(entries) and any(_is_recent(view, entries[position], end) for end in ends)

        self._keeper.drop_covers(counts)
        if odd.roots:
            here = [one for one in entries if dataset_root(one) in odd.roots]
            odd.drop_all_but(dataset_root(one) for one in here if counts(one.position))
        if made.union is not None and made.union.root != self._coverage[0]:
            self._coverage = made.union.root, self._covered(made, made.union.root)

    def _covered(self, made: Made, root: bytes) -> dict[str, Any]:
        """By publisher, how many quads of what counts are in the union, and how many are not."""
        found, pages = dict[str, Any](), self._keeper.pages()
        for who, one in list(made.commits.items())[:SHOWN_MAX]:
            publisher = self._shelf.keeper.publisher(who)
            found[checksum(who)] = coverage(pages, root, publisher, one.commit.count)._asdict()
        return found

    def status(self) -> dict[str, Any]:
        """How it is, as JSON. In any thread."""
        judging = [int(due.split("-")[1]) for due in list(self._under_way) if due.startswith("judge-")]
        looked_at = {one: {"state": "waits", "why": "it is being looked at"} for one in judging}
        known = {one: {"state": it.state, "why": it.why or None} for one, it in list(self._verdicts.items())}
        return {
            "watching": self._parts.settings.watch,
            "proposing_s": self._parts.settings.propose_s or None,
            "account": checksum(self.hand.address) if self.hand is not None else None,
            "waits": self.waits or None,
            "pending": looked_at | known,
            "bad_commits": sorted(list(self._bad)[:SHOWN_MAX]),
            "coverage": self._coverage[1],
        }


def _tried(write: Callable[[], None], lost: list[StoreError]) -> None:
    """Write something, or note why it is lost."""
    try:
        write()
    except StoreError as error:
        lost.append(error)


def is_proved(view: LogView) -> bool:
    """Whether no endpoint is taken at its word: a union of commits that it made up would cost the bond."""
    return view.proved and view.checkpoints is not None and view.checkpoints.proved


def _judging(one: Checkpoint) -> str:
    """What a look at a checkpoint is called: after a reorganisation its number is another one's."""
    return f"judge-{one.id}-{one.root.hex()}"


def _is_recent(view: LogView, one: Committed, end: int) -> bool:
    """Whether a commit is among its publisher's last ones before a position, of which any may count."""
    latest = view.log.head_at(one.publisher, min(end, view.length)) if one.position < end else None
    return latest is not None and latest.commit.seq - one.commit.seq < COMMITS_MAX


def _named(found: Demand, root: bytes) -> bytes:
    """The CID of the page that a demand is for."""
    return found.named or root


def _demands_of(log: CheckpointLog, kind: Target, target: int) -> list[Demanded]:
    """The open demands of a checkpoint, or of a commit. Those of what has the same page do nothing to it."""
    return [one for one in log.demands.values() if (one.kind, one.target) == (kind, target)]


def _urgency(demand: Demanded, view: LogView, log: CheckpointLog, mine: bytes | None) -> int:
    """What comes first, the least: what is this account's, then checkpoints. Anybody makes any number of the others."""
    if demand.kind is Target.CHECKPOINT:
        return 0 if log.checkpoints[demand.target].proposer == mine else 1
    entries = view.log.entries
    return 0 if demand.target < len(entries) and entries[demand.target].publisher == mine else 2
