"""Brings one goal to the chain: transactions are built, kept, sent, waited for and replaced until it is reached.

Whether it is reached, the goal proves by what the chain shows; receipts are only hints of when to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from dkg.chain.secp import checksum
from node.publish.answers import Taken
from node.publish.decide import Chain, Fill, Fresh, Heard, Replace, Send, Step, Wait, decide
from node.publish.errors import EmptyWalletError, RejectedError, StuckError
from node.publish.fees import Fees, affordable, ether
from node.publish.jobs import Attempt
from node.publish.waits import Pace, Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.chain.header import Header
    from dkg.client.rpc import Waiting
    from node.publish.calls import Call
    from node.publish.fees import FeePolicy
    from node.publish.waits import Progress, Waits
    from node.publish.wallet import Wallet
    from node.publish.writer import Account, ChainWriter

GAS_MAX: Final = 10_000_000
"""Most units of gas that a transaction may use: a commit takes about 60,000, the registry's deployment 1,500,000."""

NONCES_AHEAD_MAX: Final = 16
"""How far the next nonce with all that waits may be ahead of the chain's; more is not believed."""

REFUSALS_MAX: Final = 6
"""How often transactions for one goal may be refused in a row."""

T = TypeVar("T")

At = Callable[[str], None]
"""Told the name of each step when it is done. Tests crash there."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What sending needs. `now`: Unix seconds; `waiting`: the clock that only goes forward, sleep and chance."""

    writer: ChainWriter
    waiting: Waiting
    now: Callable[[], float]
    policy: FeePolicy
    waits: Waits
    at: At = lambda _step: None


@dataclass(frozen=True, slots=True)
class View(Generic[T]):
    """What the chain shows as of a block: the goal reached (`done`), or what has to be called for it (`call`)."""

    block: Header
    done: T | None = None
    call: Call | None = None


class Goal(Protocol[T]):
    """What transactions are for, and where they are kept."""

    def look(self) -> View[T]:
        """What the chain shows now. Raises if the goal can never be reached."""

    def attempts(self) -> Sequence[Attempt]:
        """The transactions so far, the oldest first."""

    def keep(self, attempt: Attempt) -> None:
        """Keep a transaction; it is sent after this."""

    def refuse(self, attempt: Attempt) -> None:
        """No endpoint took a transaction."""

    def sent(self, attempt: Attempt) -> None:
        """An endpoint took a transaction."""

    def dropped(self, reason: str) -> None:
        """No endpoint knows the transaction any more; it is sent again."""


@dataclass(slots=True)
class _Run(Generic[T]):
    """One goal on its way."""

    goal: Goal[T]
    progress: Progress
    pace: Pace
    quiet_since: float
    """When there was a new block last."""
    heard: dict[bytes, Heard] = field(default_factory=dict)
    block: bytes = b""
    refusals: int = 0
    prompt: bool = True
    """Whether the next hint is followed at once: one hint that is not borne out costs a pause each time."""


class Sender:
    """Sends from one account on one chain."""

    def __init__(self, wallet: Wallet, chain_id: int, tools: Tools) -> None:
        self._wallet = wallet
        self._chain_id = chain_id
        self._tools = tools
        self._writer = tools.writer

    def drive(self, goal: Goal[T], progress: Progress) -> T:
        """Bring a goal to the chain; gives what it found there.

        Raises `PublishError` (above the cap, no funds, stuck, rejected), what the goal raises, and `ChainError` or
        `ProofError` if the endpoints fail for too long.
        """
        pace = Pace(self._tools.waits, self._tools.waiting)
        run = _Run(goal, progress, pace, pace.now())
        patience = Patience(pace, progress)
        while True:
            view = patience(lambda: self._round(run))
            if view.done is not None:
                return view.done

    def _round(self, run: _Run[T]) -> View[T]:
        """Look; if there is something to do, do it, and wait until there may be news."""
        view = run.goal.look()
        if view.done is None:
            if view.block.hash != run.block:
                run.block, run.quiet_since, run.prompt = view.block.hash, run.pace.now(), True
                run.pace.reset()
            self._act(run, view)
            self._await_news(run, view)
        return view

    # --- acting --------------------------------------------------------------------------------------------

    def _act(self, run: _Run[T], view: View[T]) -> None:
        if view.call is None:
            raise RuntimeError("a goal that is not reached says what is to be called")
        account = self._writer.account(self._wallet.address, view.block)
        step = self._step(run, view.block, view.call, account)
        match step:
            case Fresh():
                self._tell_used(run, account)
                self._build(run, view, view.call, account, self._next_nonce(account))
            case Fill(nonce):
                self._build(run, view, view.call, account, nonce)
            case Replace(attempt, highest, outdated):
                gone = outdated and not self._writer.knows(attempt.hash)
                self._build(run, view, view.call, account, attempt.nonce, None if gone else highest)
            case Send(attempt, again):
                if again and self._writer.knows(attempt.hash):
                    run.heard[attempt.hash] = replace(run.heard[attempt.hash], last_block=view.block.hash)
                    return
                if again:
                    run.goal.dropped(f"no endpoint knows the transaction 0x{attempt.hash.hex()}")
                self._send(run, view.block, attempt)
            case Wait():
                pass

    def _tell_used(self, run: _Run[T], account: Account) -> None:
        """If a transaction lost its nonce, to another one or by being reverted, that is told."""
        used = [attempt.nonce for attempt in self._attempts(run) if attempt.nonce < account.nonce]
        if used:
            run.goal.dropped(f"nonce {used[-1]} was used up: by another transaction, or the registry reverted this one")

    def _step(self, run: _Run[T], block: Header, call: Call, account: Account) -> Step:
        attempts = self._attempts(run)
        waits = any(attempt.nonce > account.nonce and not attempt.refused for attempt in attempts)
        pending = self._writer.pending_nonce(self._wallet.address) if waits else account.nonce
        chain = Chain(block.number, block.hash, account.nonce, pending, run.pace.now())
        return decide(attempts, call.data, chain, run.heard, self._tools.policy)

    def _attempts(self, run: _Run[T]) -> list[Attempt]:
        """The goal's transactions that this account sent: another account that paid before has nonces of its own."""
        return [attempt for attempt in run.goal.attempts() if attempt.sender == self._wallet.address]

    def _next_nonce(self, account: Account) -> int:
        """After what waits from this account, whoever sent it, as far as that is believable."""
        pending = self._writer.pending_nonce(self._wallet.address)
        return pending if account.nonce < pending <= account.nonce + NONCES_AHEAD_MAX else account.nonce

    def _build(
        self, run: _Run[T], view: View[T], call: Call, account: Account, nonce: int, highest: Fees | None = None
    ) -> None:
        """Sign a transaction, keep it, send it. `highest`: the fees to outbid."""
        policy = self._tools.policy
        base_fee, tip = self._writer.fees()
        if highest is None:
            wanted = policy.quote(base_fee, tip)
            least = Fees(base_fee + wanted.tip, wanted.tip)
        else:
            wanted, least = policy.replacement(base_fee, tip, highest), highest.bumped()
        gas = self._gas(call)
        fees = affordable(wanted, least, gas, account.balance, self._wallet.address, call.value)
        raw, digest = self._wallet.sign_transaction(self._chain_id, nonce, gas, fees, call)
        attempt = Attempt(digest, self._wallet.address, nonce, fees, gas, call.data, raw)
        run.goal.keep(attempt)
        self._tools.at("built")
        self._send(run, view.block, attempt)

    def _gas(self, call: Call) -> int:
        """A quarter more than the estimate: what a call needs depends on the block."""
        estimate = self._writer.estimate_gas(self._wallet.address, call)
        if estimate > GAS_MAX:
            raise RejectedError(f"the transaction would take {estimate} gas; {GAS_MAX} is the most that is sent")
        return estimate + estimate // 4

    def _send(self, run: _Run[T], block: Header, attempt: Attempt) -> None:
        before = run.heard.get(attempt.hash)
        answer = self._writer.send(attempt.raw, attempt.hash)
        self._tools.at("broadcast")
        now = run.pace.now()
        first = (before.block, before.time) if before else (block.number, now)
        run.heard[attempt.hash] = Heard(*first, block.hash)
        if answer.taken is Taken.YES:
            run.refusals, run.prompt = 0, True
            run.goal.sent(attempt)
            self._tools.at("sent")
        elif before is None and answer.taken is not Taken.STALE:
            self._refused(run, attempt, answer.taken, answer.said)

    def _refused(self, run: _Run[T], attempt: Attempt, taken: Taken, said: str) -> None:
        """No endpoint took a transaction that is new to them. If it pays too little, the next round signs another."""
        run.goal.refuse(attempt)
        run.refusals += 1
        del run.heard[attempt.hash]  # the same transaction may be signed again
        if taken is Taken.FUNDS:
            raise EmptyWalletError(
                f"{checksum(self._wallet.address)} cannot pay for gas: the transaction may cost up to "
                f"{ether(attempt.gas * attempt.fees.max_fee)}. Send it that, then publish again ({said})",
                attempt.gas * attempt.fees.max_fee,
            )
        if taken is Taken.NO or run.refusals >= REFUSALS_MAX:
            raise RejectedError(f"the endpoints do not take the transaction: {said}")

    # --- waiting -------------------------------------------------------------------------------------------

    def _await_news(self, run: _Run[T], view: View[T]) -> None:
        """Wait for a receipt, for a block, or for `look_s`; raises `StuckError` if there was no block for too long."""
        start = run.pace.now()
        newest = next((attempt for attempt in reversed(self._attempts(run)) if not attempt.refused), None)
        if newest is None:
            run.pace.pause()
        while newest is not None and run.pace.now() - start < self._tools.waits.look_s:
            self._require_blocks(run, view.block)
            run.progress(f"waiting for the transaction 0x{newest.hash.hex()} to be mined", 0, 1)
            mined = self._writer.receipt(newest.hash) is not None
            if mined:
                self._tools.at("receipt")
            hint = mined or self._writer.block_number() != view.block.number
            if not (hint and run.prompt):
                run.pace.pause()
            if hint:
                run.prompt = False
                return

    def _require_blocks(self, run: _Run[T], block: Header) -> None:
        patience = self._tools.waits.patience_s
        if run.pace.now() - run.quiet_since >= patience:
            raise StuckError(
                f"no block came in {patience:g} s, the latest is {block.number}: does the chain stand still? "
                "What was sent is kept; publish again to go on"
            )
