"""Any calls, right or wrong, direct or relayed late, on branches of the chain: the registry beside its model.

Statements are signed at one moment and relayed at another, so that commits race rotations, revocations and each other;
a reorganisation takes calls back, and what was signed for one branch is relayed on the next.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Event as LibraryEvent
from dkg.chain.registry import Head, decode_event
from tests.contracts.model import RETIRED, REVOKED, Model, outcome
from tests.contracts.onchain import KEYS, NOBODY, ZERO, Event, OnChain, RevertedError, Step

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PUBLISHERS: Final = KEYS[:3]
RELAYER: Final = KEYS[6].address
CHECKS: Final = frozenset(
    {"outcomes", "storage", "append-only", "blocked", "histories", "authority", "signatures", "followers"}
)
BRANCHES_MAX: Final = 3

publishers = st.sampled_from(PUBLISHERS)
anyone = st.sampled_from(KEYS[:4])
signers = st.sampled_from([key.address for key in KEYS[:4]] + [f"0x{number:040x}" for number in range(4)])
nonce_offsets = st.sampled_from([0, 0, 0, 0, -1, 1])
faults = st.sampled_from(["none"] * 5 + ["zero root", "skipped seq", "old seq", "previous", "prior", "fork"])


@dataclass(frozen=True)
class Signed:
    """A statement that waits for a relayer. `values`: the fields of its EIP-712 type."""

    kind: str
    by: str
    values: tuple[Any, ...]
    signature: bytes
    step: Step | None = None


@dataclass(frozen=True)
class Taken:
    """A call that the registry took. `by`: who stands behind it, sender or signer; `read`: by the library."""

    by: str
    event: Event
    read: LibraryEvent
    block: tuple[int, int]


@dataclass
class Branch:
    """What is known of a branch of the chain. `blocked`: seq of publishers that nobody may sign for."""

    model: Model = field(default_factory=Model)
    taken: list[Taken] = field(default_factory=list)
    used: set[bytes] = field(default_factory=set)
    entries: list[bytes] = field(default_factory=list)
    blocked: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Branch:
        """A branch that can go another way."""
        return Branch(self.model.copy(), self.taken.copy(), self.used.copy(), self.entries.copy(), self.blocked.copy())


class RegistryMachine(RuleBasedStateMachine):
    """The contract beside the model. `checks`: which of `CHECKS` are made. `bytecode`: a registry other than ours."""

    checks: ClassVar[frozenset[str]] = CHECKS
    bytecode: ClassVar[str | None] = None
    deployed: ClassVar[OnChain | None] = None
    reached: ClassVar[Counter[str]] = Counter()

    waiting = Bundle("waiting")

    @initialize()
    def deploy(self) -> None:
        # One deployment serves all examples, each between a snapshot and its rollback.
        cls = type(self)
        self.chain = cls.deployed = cls.deployed or OnChain(bytecode=self.bytecode)
        self.anchors = [self.chain.env.anchor()]
        self.anchors[0].__enter__()
        self.branch = Branch()
        self.branches: list[Branch] = []

    def teardown(self) -> None:
        for anchor in reversed(getattr(self, "anchors", [])):
            anchor.__exit__(None, None, None)

    @property
    def model(self) -> Model:
        """What the contract should be on this branch."""
        return self.branch.model

    def _reach(self, what: str) -> None:
        self.reached[what] += 1

    # --- what is tried -----------------------------------------------------------------------------------------

    def _next(self, publisher: str, fault: str) -> Step:
        """The publisher's next commit, with one fault or none."""
        commits = self.model.of(publisher).commits
        step = Step(publisher, len(commits) + 1, (len(self.model.log) + 1).to_bytes(32), count=len(commits))
        if commits:
            step = replace(step, previous=commits[-1].step.root, prior=commits[-1].meta)
        older = commits[-2] if len(commits) > 1 else None
        return {
            "none": step,
            "zero root": replace(step, root=ZERO),
            "skipped seq": replace(step, seq=step.seq + 1),
            "old seq": replace(step, seq=step.seq - 1),
            "previous": replace(step, previous=b"\x07" * 32),
            "prior": replace(step, prior=b"\x07" * 32),
            "fork": replace(step, previous=older.step.root, prior=older.meta)
            if older
            else replace(step, prior=step.root),
        }[fault]

    def _call(
        self,
        expected: list[Event] | str,
        by: str,
        name: str,
        *values: Any,  # noqa: ANN401 - values of an ABI
        sender: str | None = None,
    ) -> bool:
        """Call the contract; whether it took the call. `by`: who stands behind it; `sender`: who sends it."""
        try:
            found: list[Event] | str = self.chain.call(sender or by, name, *values)
        except RevertedError as error:
            found = error.reason
        if "outcomes" in self.checks:
            assert found == expected, (name, values)
        self._reach(f"{name}: {found if isinstance(found, str) else 'taken'}")
        if isinstance(found, str):
            return False
        ((topics, data),) = self.chain.logs
        self.branch.taken.append(Taken(by, found[0], decode_event(topics, data, *self.chain.block), self.chain.block))
        return True

    @rule(publisher=publishers, by=anyone, fault=faults)
    def commit(self, publisher: LocalAccount, by: LocalAccount, fault: str) -> None:
        step = self._next(publisher.address, fault)
        expected = outcome(lambda: self.model.commit(by.address, step, self.chain.block))
        self._call(expected, by.address, "commit", *step.arguments)

    @rule(publisher=publishers, fault=faults)
    def commit_by_the_signer(self, publisher: LocalAccount, fault: str) -> None:
        # By the publisher itself if nobody may.
        signer = self.model.of(publisher.address).signer
        step = self._next(publisher.address, fault)
        sender = publisher.address if signer in {REVOKED, RETIRED} else signer
        expected = outcome(lambda: self.model.commit(sender, step, self.chain.block))
        if self._call(expected, sender, "commit", *step.arguments) and sender != publisher.address:
            self._reach("commit by a signer that was named")

    @rule(publisher=publishers, by=anyone, signer=signers)
    def rotate(self, publisher: LocalAccount, by: LocalAccount, signer: str) -> None:
        expected = outcome(lambda: self.model.rotate(by.address, publisher.address, signer))
        self._call(expected, by.address, "rotate", publisher.address, signer)

    @rule(publisher=publishers, signer=signers)
    def rotate_by_the_publisher(self, publisher: LocalAccount, signer: str) -> None:
        self.rotate(publisher, publisher, signer)

    @rule(publisher=publishers, by=anyone)
    def revoke(self, publisher: LocalAccount, by: LocalAccount) -> None:
        expected = outcome(lambda: self.model.revoke(by.address, publisher.address))
        self._call(expected, by.address, "revoke", publisher.address)

    @rule(publisher=publishers, by=anyone, really=st.integers(0, 4))
    def retire(self, publisher: LocalAccount, by: LocalAccount, really: int) -> None:
        if really and self.model.of(publisher.address).signer != RETIRED:
            return  # it ends a publisher's story: seldom
        expected = outcome(lambda: self.model.retire(by.address, publisher.address))
        self._call(expected, by.address, "retire", publisher.address)

    @rule()
    def next_block(self) -> None:
        self.chain.next_block()

    # --- signed now, relayed later, or twice, or never ---------------------------------------------------------

    @rule(target=waiting, publisher=publishers, by=anyone, fault=faults)
    def sign_commits(self, publisher: LocalAccount, by: LocalAccount, fault: str) -> Any:  # noqa: ANN401
        # By somebody, and by who may: one of them is relayed first.
        signer = self.model.of(publisher.address).signer
        step = self._next(publisher.address, fault)
        keys = [by, *(key for key in KEYS[:4] if key.address == signer)]
        return multiple(
            *(
                Signed("Commit", key.address, step.signed_part, self.chain.sign(key, "Commit", *step.signed_part), step)
                for key in keys
            )
        )

    @rule(
        target=waiting,
        kind=st.sampled_from(["Rotate", "Rotate", "Revoke", "Revoke", "Retire"]),
        publisher=publishers,
        by=anyone,
        signer=signers,
        offset=nonce_offsets,
    )
    def sign_change(self, kind: str, publisher: LocalAccount, by: LocalAccount, signer: str, offset: int) -> Signed:
        nonce = max(0, self.model.of(publisher.address).nonce + offset)
        values = (publisher.address, *([signer] if kind == "Rotate" else []), nonce)
        return Signed(kind, by.address, values, self.chain.sign(by, kind, *values))

    def _relay(self, signed: Signed, *, prior_of_now: bool = True) -> None:
        if signed.step:
            # `prior` is not signed: an honest relayer shows the present one.
            commits = self.model.of(signed.step.publisher).commits
            now = commits[-1].meta if commits else ZERO
            step = replace(signed.step, prior=now) if prior_of_now else signed.step
            expected = outcome(lambda: self.model.commit_signed(signed.by, step, self.chain.block))
            values = step.relayed
        else:
            call = getattr(self.model, signed.kind.lower())
            expected = outcome(lambda: call(signed.by, *signed.values))
            values = signed.values
        name = f"{signed.kind.lower()}_signed"
        if self._call(expected, signed.by, name, *values, signed.signature, sender=RELAYER):
            if "signatures" in self.checks:
                assert signed.signature not in self.branch.used, f"{signed.kind} taken twice"
            self.branch.used.add(signed.signature)

    @rule(
        target=waiting,
        kind=st.sampled_from(["Commit"] * 4 + ["Rotate"] * 3 + ["Revoke"] * 2 + ["Retire"] * 2),
        publisher=publishers,
        signer=signers,
        fault=faults,
    )
    def sign_by_who_may_and_relay(self, kind: str, publisher: LocalAccount, signer: str, fault: str) -> Any:  # noqa: ANN401
        if kind == "Commit":
            # The last that is signed: the signer's, if there is one.
            made = self.sign_commits(publisher, publisher, fault).values[-1]
        else:
            made = self.sign_change(kind, publisher, publisher, signer, 0)
        self._relay(made, prior_of_now=False)
        return made

    @rule(signed=waiting)
    def relay(self, signed: Signed) -> None:
        self._relay(signed)

    @rule(signed=consumes(waiting))
    def relay_for_the_last_time(self, signed: Signed) -> None:
        self._relay(signed)

    # --- reorganisations -----------------------------------------------------------------------------------------

    @rule()
    def remember_this_block(self) -> None:
        if len(self.branches) < BRANCHES_MAX:
            self.branches.append(self.branch.copy())
            self.anchors.append(self.chain.env.anchor())
            self.anchors[-1].__enter__()

    @rule()
    def go_back_to_the_block_remembered(self) -> None:
        if self.branches:
            self.anchors.pop().__exit__(None, None, None)
            gone, self.branch = self.branch, self.branches.pop()
            for taken in gone.taken[len(self.branch.taken) :]:
                self._reach(f"{taken.event[0]} taken back")

    # --- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def storage_is_what_the_model_says(self) -> None:
        if "storage" not in self.checks:
            return
        assert self.chain.storage(0) & (2**48 - 1) == len(self.model.log)
        for key in PUBLISHERS:
            state = self.model.of(key.address)
            assert self.chain.mapped(1, int(key.address, 16)) == state.head
            assert self.chain.mapped(3, int(key.address, 16)) == state.nonce
            signer = NOBODY if state.signer in {REVOKED, RETIRED} else state.signer.lower()
            assert self.chain.view("signer_of", key.address) == signer

    @invariant()
    def the_log_is_only_appended_to(self) -> None:
        # What was committed stays, whatever is revoked or retired later; beyond the end there is nothing.
        if "append-only" not in self.checks:
            return
        length = self.chain.storage(0) & (2**48 - 1)
        *entries, beyond = [self.chain.mapped(2, position).to_bytes(32) for position in range(length + 1)]
        assert entries[: len(self.branch.entries)] == self.branch.entries
        assert ZERO not in entries
        assert beyond == ZERO
        assert length == sum(taken.event[0] == "Committed" for taken in self.branch.taken)
        self.branch.entries = entries

    @invariant()
    def nothing_is_committed_while_nobody_may_sign(self) -> None:
        if "blocked" not in self.checks:
            return
        for key in PUBLISHERS:
            head = self.chain.mapped(1, int(key.address, 16))
            if head >> 96 in {1, 2}:
                seq = head >> 48 & (2**48 - 1)
                assert seq == self.branch.blocked.setdefault(key.address, seq)
            else:
                self.branch.blocked.pop(key.address, None)

    @invariant()
    def each_publishers_history_is_one_chain(self) -> None:
        if "histories" not in self.checks:
            return
        commits = [values for name, values in (taken.event for taken in self.branch.taken) if name == "Committed"]
        assert [values["position"] for values in commits] == list(range(len(commits)))
        for key in PUBLISHERS:
            own = [values for values in commits if values["publisher"] == key.address.lower()]
            assert [values["seq"] for values in own] == list(range(1, len(own) + 1))
            assert [values["previous"] for values in own] == [ZERO, *(values["root"] for values in own)][: len(own)]
            before = [0, *(values["position"] for values in own)]
            assert [values["prior_position"] for values in own] == before[: len(own)]

    @invariant()
    def who_did_it_was_the_one_that_might(self) -> None:
        # From the events alone: each commit by the signer named last, each change by the publisher, but that a signer
        # may revoke itself.
        if "authority" not in self.checks:
            return
        named: dict[str, str | None] = {key.address.lower(): key.address.lower() for key in PUBLISHERS}
        for taken in self.branch.taken:
            (name, values), by = taken.event, taken.by.lower()
            publisher = values["publisher"]
            if name == "Committed":
                assert by == named[publisher]
            else:
                assert by == publisher or (name == "Revoked" and by == named[publisher])
                named[publisher] = values["signer"] if name == "Rotated" else None

    @rule()
    def a_fresh_follower_rebuilds_it_from_events(self) -> None:
        if "followers" not in self.checks:
            return
        log = RegistryLog()
        blocks = dict.fromkeys(taken.block for taken in self.branch.taken)
        for number, time in sorted(blocks):
            events = [taken.read for taken in self.branch.taken if taken.block == (number, time)]
            log.apply(Block(number, number.to_bytes(32), (number - 1).to_bytes(32), time), events)
        assert len(log.entries) == self.chain.view("log_length")
        for entry in log.entries:
            assert entry.entry() == self.chain.mapped(2, entry.position).to_bytes(32)
        for publisher, state in log.publishers.items():
            word = int.from_bytes(publisher)
            assert state.head == Head.unpack(publisher, self.chain.mapped(1, word))
            assert state.nonce == self.chain.mapped(3, word)
