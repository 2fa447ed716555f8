"""Any calls of the checkpoint contract, right or wrong, on branches of the chain: the contract beside its model.

Publishers commit while checkpoints are pending; proposals are right, or right for another position or number of marks,
or wrong; challenges are what a watcher finds, or what was once found of another checkpoint or on another branch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dkg.build import build_tree
from dkg.chain.checkpoints import Reason, pack_open
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed, decode_event
from dkg.checkpoints.judge import Invalid, judge
from dkg.checkpoints.owners import permute, prefix_of
from dkg.checkpoints.records import Record
from dkg.checkpoints.shown import Kind, classify, last_block
from dkg.checkpoints.view import LogView
from dkg.errors import ProofError
from dkg.limits import SHOW_MAX
from dkg.page import CID_PREFIX, EMPTY_LEAF, ORDERS, DatasetRoot, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from node.checkpoints.find import Right, Subject, Wrong, find, find_invalid
from node.checkpoints.walk import driven
from tests.contracts.checkpoints.fuzz_chain import (
    BOND,
    DEMAND_BOND,
    DEMAND_WINDOW,
    WINDOW,
    Contracts,
    calldata,
    calldata_of,
)
from tests.contracts.checkpoints.stateful_model import DEMAND_WINDOWS, Bonds
from tests.contracts.onchain import KEYS, RevertedError, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.checkpoints.judge import Evidence

PUBLISHERS: Final = KEYS[:3]
PEOPLE: Final = [key.address for key in KEYS[3:6]]
BRANCHES_MAX: Final = 3
TO_THE_END: Final = WINDOW + (DEMAND_WINDOWS + 3) * DEMAND_WINDOW

LONG_PAGE: Final = bytes(SHOW_MAX + 1)
LONG_BLOCK: Final = last_block(LONG_PAGE)

HOW: Final = ["right", "before", "after", "fewer marks", "less", "more", "count", "index"]
"""What is proposed."""

people = st.sampled_from(PEOPLE)
often = st.sampled_from([True] * 7 + [False])


class CheckpointMachine(RuleBasedStateMachine):
    """The contract beside the model."""

    deployed: ClassVar[Contracts | None] = None
    bytecode: ClassVar[str | None] = None
    reached: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        # One deployment serves all examples, each between a snapshot and its rollback.
        cls = type(self)
        self.chain = cls.deployed = cls.deployed or Contracts(self.bytecode)
        self.anchors = [self.chain.env.anchor()]
        self.anchors[0].__enter__()
        self.chain.fund(*PEOPLE)
        self.funds = sum(map(self.chain.balance, [*PEOPLE, None]))
        self.model = Bonds()
        self.branches: list[Bonds] = []
        self.store = MemoryPageStore()
        self.contents: dict[bytes, tuple[frozenset[bytes], bool]] = {}
        self.evidence: list[Evidence] = []
        self.tips: list[tuple[int, bytes]] = []
        self._commit_keys(0, 7, "")
        self._commit_keys(1, 3, "")

    def teardown(self) -> None:
        for anchor in reversed(getattr(self, "anchors", [])):
            anchor.__exit__(None, None, None)

    @property
    def now(self) -> int:
        """Time of the next call's block."""
        return int(self.chain.registry.block[1])

    def _send(self, who: str, data: bytes, refusals: set[str], what: str, value: int = 0) -> bool:
        """Send data; whether it was taken, which must be so if nothing is known why not."""
        said = self._said(who, data, value)
        self.reached[f"{what}: {said}"] += 1
        assert said in (refusals or {"taken"}), (what, said, refusals)
        return said == "taken"

    def _said(self, who: str, data: bytes, value: int = 0) -> str:
        """What the contract says to data."""
        try:
            self.chain.send(who, data, value)
        except RevertedError as error:
            return error.reason or "reverted"
        return "taken"

    # --- commits ---------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 2), some=st.integers(0, 7), how=st.sampled_from(["", "", "", "leaf", "root", "long"]))
    def commit(self, number: int, some: int, how: str) -> None:
        self._commit_keys(number, some, how)

    def _commit_keys(self, number: int, some: int, how: str) -> None:
        publisher, model = PUBLISHERS[number], self.model
        prefix = prefix_of(self.chain.domain, bytes.fromhex(publisher.address[2:]))
        keys = sorted(b"s\0p\0%d\0" % at + prefix + b"a>\0" for at in range(3) if some >> at & 1)
        leaf = Leaf([b"b", b"a"]).encode() if how == "leaf" else Leaf(keys).encode()
        root = DatasetRoot([self._keep(leaf), *[self._keep(EMPTY_LEAF)] * 3], len(keys)).encode()
        if how in {"root", "long"}:
            root = b"no page %d" % number if how == "root" else LONG_PAGE
        self._commit(publisher.address, self._keep(root)[len(CID_PREFIX) :])
        position = len(model.entries)
        model.entries.append(self.chain.registry.mapped(2, position).to_bytes(32))
        if how in {"leaf", "root", "long"}:
            model.malformed.add(position)
        model.keys[position] = frozenset(keys)
        self.tips.append((position + 1, model.entries[-1]))
        self.chain.wait(12)

    def _keep(self, raw: bytes) -> bytes:
        self.store.pages[cid_of(raw)] = raw
        return cid_of(raw)

    def _commit(self, publisher: str, root: bytes) -> None:
        own = [one for one in self.model.commits if one.publisher == bytes.fromhex(publisher[2:])]
        sequence = Sequence(self.chain.registry, publisher)
        previous, prior = (own[-1].commit.root, own[-1].meta()) if own else (bytes(32), bytes(32))
        step = replace(sequence.next(root), previous=previous, prior=prior)
        self.chain.registry.call(publisher, "commit", *step.arguments)
        ((topics, data),) = self.chain.registry.logs
        committed = decode_event(topics, data, *self.chain.registry.block)
        assert isinstance(committed, Committed)
        self.model.commits.append(committed)

    def _log(self) -> RegistryLog:
        log = RegistryLog()
        for one in self.model.commits:
            log.apply(Block(one.block, one.block.to_bytes(32), (one.block - 1).to_bytes(32), one.time), [one])
        return log

    def _view(self) -> LogView:
        checkpoints = {number: self.chain.checkpoint(number) for number in self.model.checkpoints}
        shown = {digest: self.chain.shown(digest) for digest in self.model.no_pages}
        return LogView(self.chain.domain, self._log(), self.model.marked(), checkpoints, shown)

    # --- proposals -------------------------------------------------------------------------------------------------

    @rule(data=st.data(), who=people, how=st.sampled_from(HOW))
    def propose(self, data: st.DataObject, who: str, how: str) -> None:
        model = self.model
        position = max(0, len(model.entries) - data.draw(st.sampled_from([0, 0, 0, 1, 1, 2, -1])))
        marks = max(0, len(model.marks) - data.draw(st.sampled_from([0, 0, 0, 0, 1, -1])))
        root = self._content(how, position, marks)
        tip = model.entries[position - 1] if 0 < position <= len(model.entries) else bytes(32)
        if self.tips and data.draw(st.integers(0, 4)) == 1:  # what is there on this branch, or was on another
            position, tip = data.draw(st.sampled_from(self.tips))
        elif data.draw(st.integers(0, 4)) == 1:
            tip = data.draw(st.sampled_from([bytes(32), *model.entries]))
        value = BOND if data.draw(often) else data.draw(st.sampled_from([0, BOND - 1, BOND + 1]))
        self._propose(who, position, marks, root, tip, value)

    @rule(who=people, how=st.sampled_from(HOW[1:]), back=st.sampled_from([0, 0, 1]), at_once=st.booleans())
    def propose_what_is_wrong(self, who: str, how: str, back: int, *, at_once: bool) -> None:
        model = self.model
        position = max(0, len(model.entries) - back)
        tip = model.entries[position - 1] if position else bytes(32)
        root = self._content(how, position, len(model.marks))
        self._propose(who, position, len(model.marks), root, tip, BOND)
        if model.pending:
            self._challenge(model.pending[-1], PEOPLE[0], at_once=at_once)

    def _propose(self, who: str, position: int, marks: int, root: bytes, tip: bytes, value: int) -> None:
        model = self.model
        refusals = model.why_not_propose(position, marks, root, tip, value)
        call = calldata("propose", position, marks, root, tip)
        if self._send(who, call, refusals, "propose", value):
            model.propose(who, position, marks, root, self.now)

    def _content(self, how: str, position: int, marks: int) -> bytes:
        """A root: right, or right elsewhere, or wrong."""
        at = {"before": (position - 1, marks), "after": (position + 1, marks), "fewer marks": (position, marks - 1)}
        keys = self.model.union(*(max(0, number) for number in at.get(how, (position, marks))))
        keys = keys or frozenset()
        if how == "less" and keys:
            keys -= {min(keys)}
        if how == "more":
            keys |= {b"s\0p\0more\0<urn:g>\0"}
        return self._union(keys, how if how in {"count", "index"} else "")

    def _union(self, keys: Iterable[bytes], fault: str = "") -> bytes:
        """The digest of a union of keys, with a fault: another count, or an index with another key."""
        own, sink = frozenset(keys), PageSink(self.store)
        trees = [build_tree([sorted(permute(key, "spog", order) for key in own)], sink)[0] for order in ORDERS]
        if fault == "index":
            other = [*sorted(permute(key, "spog", "gspo") for key in own)[1:], b"g\0s\0p\0o\0"]
            trees[3] = build_tree([sorted(other)], sink)[0]
        root = sink.add(DatasetRoot(trees, len(own) + (fault == "count")))
        sink.flush()
        self.contents[root[len(CID_PREFIX) :]] = own, bool(fault)
        return root[len(CID_PREFIX) :]

    def _is_right(self, number: int) -> bool | None:
        """Whether a checkpoint is right; None while that is open."""
        one = self.model.checkpoints[number]
        keys, faulty = self.contents[one.root]
        union = self.model.union(one.position, one.marks)
        if faulty:
            return False
        return None if union is None else keys == union

    # --- challenges ------------------------------------------------------------------------------------------------

    @rule(data=st.data(), who=people, at_once=st.booleans())
    def challenge(self, data: st.DataObject, who: str, *, at_once: bool) -> None:
        if self.model.pending:
            self._challenge(data.draw(st.sampled_from(self.model.pending)), who, at_once=at_once)

    def _challenge(self, number: int, who: str, *, at_once: bool) -> None:
        model = self.model
        one, view = model.checkpoints[number], self._view()
        keys = model.union(one.position, one.marks)
        if keys is None:
            return
        subject = Subject(view.domain, view.log, view.marked, view.checkpoints[number])
        ours = CID_PREFIX + self._union(keys)
        found = driven(find(subject, StoredPages(self.store), ours), self.store.pages.get)
        assert isinstance(found, Right if self._is_right(number) else Wrong)
        if isinstance(found, Wrong):
            self.evidence.append(found.evidence)
        if isinstance(found, Wrong) and at_once:
            self._send(who, calldata_of(found.evidence), set(), f"challenge {type(found.evidence).__name__}")
            model.refute(number, who)

    @rule(data=st.data(), who=people)
    def challenge_with_what_was_once_true(self, data: st.DataObject, who: str) -> None:
        model, view = self.model, self._view()
        if not self.evidence:
            return
        evidence = data.draw(st.sampled_from(self.evidence))
        if not isinstance(evidence, Invalid) and model.checkpoints and data.draw(st.booleans()):
            evidence = replace(evidence, id=data.draw(st.sampled_from(sorted(model.checkpoints))))
        try:
            judge(view, evidence)
            accepted = True
        except ProofError:
            accepted = False
        right = None if isinstance(evidence, Invalid) else accepted and self._is_right(evidence.id)
        assert not (accepted and right), evidence
        said = self._said(who, calldata_of(evidence))
        self.reached[f"old evidence: {said}"] += 1
        assert (said == "taken") == accepted, (said, evidence)
        if not accepted:
            return
        if isinstance(evidence, Invalid):
            model.mark(evidence.record.position, Reason.MALFORMED)
        else:
            model.refute(evidence.id, who)

    @rule(data=st.data(), who=people)
    def mark(self, data: st.DataObject, who: str) -> None:
        model = self.model
        if not model.commits:
            return
        committed = data.draw(st.sampled_from(model.commits))
        found = driven(find_invalid(committed, {}), self.store.pages.get)
        assert isinstance(found, Wrong if committed.position in model.malformed else Right)
        if not isinstance(found, Wrong):
            return
        self.evidence.append(found.evidence)
        for raw in found.first:
            self._show(who, raw)
        refusals = {"marked"} if committed.position in model.marked() else set()
        if self._send(who, calldata_of(found.evidence), refusals, "mark_invalid"):
            model.mark(committed.position, Reason.MALFORMED)

    @rule(data=st.data(), who=people)
    def show(self, data: st.DataObject, who: str) -> None:
        if self.store.pages:
            self._show(who, data.draw(st.sampled_from(sorted(self.store.pages.values()))))

    def _is_no_page(self, digest: bytes) -> bool:
        return classify(self.store.pages[CID_PREFIX + digest]).kind is not Kind.WELL_FORMED

    def _show(self, who: str, raw: bytes) -> None:
        found = classify(raw)
        call = calldata("show_long", *LONG_BLOCK) if found.kind is Kind.LONG else calldata("show", raw)
        self._send(who, call, set(), "show")
        if found.kind is not Kind.WELL_FORMED:
            self.model.no_pages.add(cid_of(raw)[len(CID_PREFIX) :])

    # --- demands ---------------------------------------------------------------------------------------------------

    @rule(data=st.data(), who=people, right_bond=often, unshown=often)
    def demand(self, data: st.DataObject, who: str, *, right_bond: bool, unshown: bool) -> None:
        model, value = self.model, DEMAND_BOND if right_bond else DEMAND_BOND - 1
        targets = [(False, number) for number in [*model.checkpoints, *3 * model.pending]]
        targets += [(True, one.position) for one in model.commits]
        targets += [(True, mark.position) for mark in model.marks]
        if not targets:
            return
        bare = [at for at in model.malformed - model.marked().keys() if self._is_no_page(model.commits[at].commit.root)]
        if not unshown and bare:
            targets = [(True, at) for at in bare]
        of_commit, target = data.draw(st.sampled_from(targets))
        if of_commit:
            one = model.commits[target]
            record = Record.of(one)
            words = (record.root, record.numbers, record.block_number, record.timestamp)
            digest, call = record.root, calldata("demand_commit", one.publisher, words, b"")
        else:
            digest, call = model.checkpoints[target].root, calldata("demand_checkpoint", target, b"")
        if not unshown:
            self._show(who, self.store.pages[CID_PREFIX + digest])
        refusals = model.why_no_demand(target, digest, value, self.now, of_commit=of_commit)
        if self._send(who, call, refusals, "demand", value):
            model.demand(who, target, digest, self.now, of_commit=of_commit)

    @rule(data=st.data(), who=people, how=st.sampled_from(["right", "right", "nothing", "other"]))
    def answer(self, data: st.DataObject, who: str, how: str) -> None:
        model = self.model
        if not model.demanded:
            return
        number = data.draw(st.sampled_from([*model.demands, *model.demands, *range(1, model.demanded + 1)]))
        made = model.demands.get(number)
        raw = self.store.pages[CID_PREFIX + made.digest] if made and how == "right" else b""
        if how == "other" or len(raw) > SHOW_MAX:
            raw = EMPTY_LEAF
        refusals = model.why_no_answer(number, cid_of(raw)[len(CID_PREFIX) :] if raw else None, self.now)
        if self._send(who, calldata("answer", number, raw), refusals, "answer"):
            if raw and classify(raw).kind is Kind.MALFORMED:
                model.no_pages.add(cid_of(raw)[len(CID_PREFIX) :])
            model.answer(number, who)

    @rule(data=st.data(), who=people)
    def expire(self, data: st.DataObject, who: str) -> None:
        if self.model.demanded:
            self._expire(data.draw(st.sampled_from([*self.model.demands, *range(1, self.model.demanded + 1)])), who)

    def _expire(self, number: int, who: str) -> None:
        refusals = self.model.why_not_expire(number, self.now)
        if self._send(who, calldata("expire", number), refusals, "expire"):
            self.model.expire(number)

    # --- time and coins --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([12, DEMAND_WINDOW - 12, DEMAND_WINDOW, DEMAND_WINDOW + 12, TO_THE_END]))
    def wait(self, seconds: int) -> None:
        self.chain.wait(seconds)

    @rule(data=st.data(), who=people, patient=st.booleans())
    def finalise(self, data: st.DataObject, who: str, *, patient: bool) -> None:
        if patient:
            self.chain.wait(WINDOW)
        pending = self.model.pending
        disputed = [number for number in pending if self.model.checkpoints[number].open]
        known = disputed + pending if pending and patient else range(len(self.model.checkpoints) + 2)
        self._finalise(data.draw(st.sampled_from(known)), who)

    def _finalise(self, number: int, who: str) -> None:
        refusals = self.model.why_not_finalise(number, self.now)
        if self._send(who, calldata("finalise", number), refusals, "finalise"):
            self.model.finalise(number)

    @rule(who=people)
    def withdraw(self, who: str) -> None:
        owed, before = self.model.credit[who], self.chain.balance(who)
        if self._send(who, calldata("withdraw"), set() if owed else {"nothing owed"}, "withdraw"):
            assert self.chain.balance(who) == before + owed
            self.model.credit[who] = 0

    @rule()
    def settle_all_and_go_back(self) -> None:
        # Whatever happened: every bond can be had, but for what is burnt.
        before = self.model.copy()
        with self.chain.env.anchor():
            self.chain.wait(TO_THE_END)
            for number in list(self.model.demands):
                self._expire(number, PEOPLE[0])
            for number in list(self.model.pending):
                self._finalise(number, PEOPLE[1])
            for who in PEOPLE:
                self.withdraw(who)
            assert self.chain.balance() == self.model.burnt
            assert not self.model.pending
        self.model = before

    # --- reorganisations -------------------------------------------------------------------------------------------

    @rule()
    def remember_this_block(self) -> None:
        if len(self.branches) < BRANCHES_MAX:
            self.branches.append(self.model.copy())
            self.anchors.append(self.chain.env.anchor())
            self.anchors[-1].__enter__()

    @rule()
    def go_back_to_the_block_remembered(self) -> None:
        if self.branches:
            self.anchors.pop().__exit__(None, None, None)
            self.model = self.branches.pop()
            self.reached["went back"] += 1

    # --- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def no_funds_are_made_or_lost(self) -> None:
        assert self.chain.balance() == self.model.balance
        assert sum(map(self.chain.balance, [*PEOPLE, None])) == self.funds
        assert self.chain.view("burnt") == self.model.burnt
        for who in PEOPLE:
            assert self.chain.view("credit", who) == self.model.credit[who]

    @invariant()
    def storage_is_what_the_model_says(self) -> None:
        model, state = self.model, self.chain.state
        found = (state.final, state.last, state.marks, state.demands)
        assert found == (model.final, len(model.checkpoints), len(model.marks), model.demanded)
        assert self.chain.storage(1) == pack_open(tuple(model.pending))
        for number, one in model.checkpoints.items():
            kept = self.chain.checkpoint(number)
            assert kept.proposer.hex() == one.proposer[2:].lower()
            assert (kept.position, kept.marks, kept.root, kept.status) == (
                one.position, one.marks, one.root, one.status,
            )  # fmt: skip
            assert (kept.proposed, kept.ends, kept.open_demands, kept.demands) == (
                one.proposed, one.ends, one.open, one.demands,
            )  # fmt: skip
        for mark in model.marks:
            assert self.chain.mark(mark.position) == mark
            assert self.chain.mapped(6, mark.number) == mark.position

    @invariant()
    def the_status_is_what_storage_says(self) -> None:
        latest, pending, marks, demands = self.chain.view("status")
        assert latest[0] == self.model.final
        assert [one[0] for one in pending] == self.model.pending
        assert [one[8] > 0 for one in pending] == [self.model.checkpoints[n].open > 0 for n in self.model.pending]
        assert (marks, demands) == (len(self.model.marks), self.model.demanded)
