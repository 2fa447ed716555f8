"""Any sequence of calls, right or wrong, direct or relayed late: the contract does what the model says.

Statements are signed at one moment and relayed at another, so that commits race rotations, revocations and each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.contracts.model import RETIRED, REVOKED, Model, outcome
from tests.contracts.onchain import KEYS, NOBODY, ZERO, Event, OnChain, RevertedError, Step

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PUBLISHERS: Final = KEYS[:2]
RELAYER: Final = KEYS[6].address
_CHAIN: Final[list[OnChain]] = []

publishers = st.sampled_from(PUBLISHERS)
anyone = st.sampled_from(KEYS[:4])
signers = st.sampled_from([key.address for key in KEYS[:4]] + [f"0x{number:040x}" for number in range(4)])
nonce_offsets = st.sampled_from([0, 0, 0, 0, -1, 1])


@dataclass(frozen=True)
class Signed:
    """A statement that waits for a relayer. `values`: the fields of its EIP-712 type."""

    kind: str
    by: str
    values: tuple[Any, ...]
    signature: bytes
    step: Step | None = None


class RegistryMachine(RuleBasedStateMachine):
    """The contract beside the model."""

    waiting = Bundle("waiting")

    @initialize()
    def deploy(self) -> None:
        # One deployment serves all examples, each between a snapshot and its rollback.
        if not _CHAIN:
            _CHAIN.append(OnChain())
        self.chain = _CHAIN[0]
        self.anchor = self.chain.env.anchor()
        self.anchor.__enter__()
        self.model = Model()
        self.seen: list[bytes] = []
        self.blocked: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "anchor"):
            self.anchor.__exit__(None, None, None)

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

    faults = st.sampled_from(["none"] * 6 + ["zero root", "skipped seq", "old seq", "previous", "prior", "fork"])

    def _compare(self, expected: list[Event] | str, sender: str, name: str, *values: Any) -> None:  # noqa: ANN401
        try:
            found: list[Event] | str = self.chain.call(sender, name, *values)
        except RevertedError as error:
            found = error.reason
        assert found == expected, (name, values)

    @rule(publisher=publishers, by=anyone, fault=faults)
    def commit(self, publisher: LocalAccount, by: LocalAccount, fault: str) -> None:
        step = self._next(publisher.address, fault)
        expected = outcome(lambda: self.model.commit(by.address, step, self.chain.block))
        self._compare(expected, by.address, "commit", *step.arguments)

    @rule(publisher=publishers, fault=faults)
    def commit_by_the_signer(self, publisher: LocalAccount, fault: str) -> None:
        signer = self.model.of(publisher.address).signer
        step = self._next(publisher.address, fault)
        sender = RELAYER if signer in {REVOKED, RETIRED} else signer
        expected = outcome(lambda: self.model.commit(sender, step, self.chain.block))
        self._compare(expected, sender, "commit", *step.arguments)

    @rule(publisher=publishers, by=anyone, signer=signers)
    def rotate(self, publisher: LocalAccount, by: LocalAccount, signer: str) -> None:
        expected = outcome(lambda: self.model.rotate(by.address, publisher.address, signer))
        self._compare(expected, by.address, "rotate", publisher.address, signer)

    @rule(publisher=publishers, by=anyone)
    def revoke(self, publisher: LocalAccount, by: LocalAccount) -> None:
        expected = outcome(lambda: self.model.revoke(by.address, publisher.address))
        self._compare(expected, by.address, "revoke", publisher.address)

    @rule(publisher=publishers, by=anyone, really=st.integers(0, 9))
    def retire(self, publisher: LocalAccount, by: LocalAccount, really: int) -> None:
        if really:  # it ends a publisher's story: seldom
            return
        expected = outcome(lambda: self.model.retire(by.address, publisher.address))
        self._compare(expected, by.address, "retire", publisher.address)

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

    def _relay(self, signed: Signed) -> None:
        if signed.step:
            # `prior` is not signed: an honest relayer shows the present one.
            commits = self.model.of(signed.step.publisher).commits
            step = replace(signed.step, prior=commits[-1].meta if commits else ZERO)
            expected = outcome(lambda: self.model.commit_signed(signed.by, step, self.chain.block))
            self._compare(expected, RELAYER, "commit_signed", *step.relayed, signed.signature)
        else:
            name = signed.kind.lower()
            call = getattr(self.model, name)
            expected = outcome(lambda: call(signed.by, *signed.values))
            self._compare(expected, RELAYER, f"{name}_signed", *signed.values, signed.signature)

    @rule(signed=waiting)
    def relay(self, signed: Signed) -> None:
        self._relay(signed)

    @rule(signed=consumes(waiting))
    def relay_for_the_last_time(self, signed: Signed) -> None:
        self._relay(signed)

    # --- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def storage_is_what_the_model_says(self) -> None:
        assert self.chain.view("log_length") == len(self.model.log)
        for key in PUBLISHERS:
            state = self.model.of(key.address)
            assert self.chain.mapped(1, int(key.address, 16)) == state.head
            assert self.chain.mapped(3, int(key.address, 16)) == state.nonce
            signer = NOBODY if state.signer in {REVOKED, RETIRED} else state.signer.lower()
            assert self.chain.view("signer_of", key.address) == signer

    @invariant()
    def the_log_is_only_appended_to(self) -> None:
        # What was committed stays, whatever is revoked or retired later; beyond the end there is nothing.
        entries = [self.chain.mapped(2, position).to_bytes(32) for position in range(len(self.model.log) + 1)]
        assert entries[: len(self.seen)] == self.seen
        assert entries == [*(self.model.entry(position) for position in range(len(self.model.log))), ZERO]
        self.seen = entries[:-1]

    @invariant()
    def nothing_is_committed_while_nobody_may_sign(self) -> None:
        for key in PUBLISHERS:
            state = self.model.of(key.address)
            if state.signer not in {REVOKED, RETIRED}:
                self.blocked.pop(key.address, None)
                continue
            seq = self.chain.mapped(1, int(key.address, 16)) >> 48 & (2**48 - 1)
            assert seq == self.blocked.setdefault(key.address, seq)

    @invariant()
    def each_publishers_history_is_one_chain(self) -> None:
        for key in PUBLISHERS:
            commits = self.model.of(key.address).commits
            assert [entry.step.seq for entry in commits] == list(range(1, len(commits) + 1))
            roots = [ZERO, *(entry.step.root for entry in commits)]
            assert [entry.step.previous for entry in commits] == roots[:-1]


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(stateful_step_count=40)
