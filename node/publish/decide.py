"""What to do next about the transactions of one goal: a pure function of what is known.

In order:

1. None of them can be mined any more: a fresh one, with the account's next nonce.
2. The chain changed, and with it what must be sent (a commit shows the block of the one before): replace the newest.
3. The newest has not been sent by this process: send it. A pool that has it says so, and that is all.
4. It waits for a nonce that no transaction has: fill the gap.
5. A block came without it: see whether it is lost, as pools and reorganisations lose transactions; then send it again.
6. It waits for too long: if somebody else's transaction is before it, that is an error; otherwise replace it, a
   bounded number of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.publish.errors import StuckError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.publish.fees import FeePolicy, Fees
    from node.publish.jobs import Attempt

NONCES_MAX: Final = 8
"""Nonces that transactions of one goal may use up in one run, by reverting or to another wallet that uses the key."""

ATTEMPTS_MAX: Final = 64
"""Transactions that are sent for one goal in one run."""


@dataclass(frozen=True, slots=True)
class Heard:
    """When a transaction was first sent, and after which block last. `time`: seconds of a clock."""

    block: int
    time: float
    last_block: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """Sign a transaction with the account's next nonce."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Sign a transaction with this nonce, on which those behind it wait."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Replace:
    """Sign a transaction in the place of another, with higher fees than any at its nonce."""

    attempt: Attempt
    highest: Fees
    outdated: bool
    """Whether it is replaced for what it says; if no pool has it any more, it need not be outbid."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a transaction, perhaps again."""

    attempt: Attempt
    again: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do but wait."""


Step = Fresh | Fill | Replace | Send | Wait


@dataclass(frozen=True, slots=True)
class Chain:
    """What is known of the chain: the latest block's number and hash, and the paying account's next nonce after it.

    `pending`: the next nonce with all that waits, a hint. `now`: seconds of a clock.
    """

    block: int
    hash: bytes
    nonce: int
    pending: int
    now: float


def decide(
    attempts: Sequence[Attempt], data: bytes, chain: Chain, heard: Mapping[bytes, Heard], policy: FeePolicy
) -> Step:
    """The next step. Raises `StuckError`.

    `attempts`: oldest first. `data`: what must be sent now. `heard`: of the transactions that this run sent, by hash.
    """
    live = [attempt for attempt in attempts if attempt.nonce >= chain.nonce and not attempt.refused]
    if not live:
        return _fresh(attempts, chain, heard)
    newest = live[-1]
    if newest.data != data:
        return _replace(newest, attempts, heard, outdated=True)
    known = heard.get(newest.hash)
    if known is None:
        return Send(newest, again=False)
    is_old = chain.now - known.time >= policy.stuck_s
    if is_old and chain.pending <= chain.nonce < newest.nonce:
        return Fill(chain.nonce)
    if not is_old or chain.block - known.block < policy.stuck_blocks:
        return Wait() if known.last_block == chain.hash else Send(newest, again=True)
    if newest.nonce > chain.nonce:
        raise _behind(newest, chain)
    same = [attempt for attempt in live if attempt.nonce == newest.nonce and attempt.data == data]
    if len(same) > policy.replacements_max:
        raise StuckError(
            f"the transaction 0x{newest.hash.hex()} is not mined, though it was replaced {len(same) - 1} times. "
            "It may still be; publish again to look, or raise the cap on fees"
        )
    return _replace(newest, attempts, heard, outdated=False)


def _fresh(attempts: Sequence[Attempt], chain: Chain, heard: Mapping[bytes, Heard]) -> Step:
    used = {attempt.nonce for attempt in attempts if attempt.nonce < chain.nonce and attempt.hash in heard}
    if len(used) >= NONCES_MAX:
        raise StuckError(
            f"{len(used)} nonces were used up and nothing is on the chain: the registry reverts the transaction, or "
            "another wallet uses the key that pays. Find out which before you publish again"
        )
    _bounded(heard)
    return Fresh()


def _replace(newest: Attempt, attempts: Sequence[Attempt], heard: Mapping[bytes, Heard], *, outdated: bool) -> Step:
    _bounded(heard)
    highest = newest.fees
    for attempt in attempts:
        if attempt.nonce == newest.nonce:
            highest = highest.at_least(attempt.fees)
    return Replace(newest, highest, outdated)


def _behind(newest: Attempt, chain: Chain) -> StuckError:
    """Something that this goal did not send comes before its transaction."""
    return StuckError(
        f"the transaction 0x{newest.hash.hex()} has nonce {newest.nonce} and waits for another one with nonce "
        f"{chain.nonce}, which was not sent from here: speed that one up or cancel it in the wallet that sent it, "
        "then publish again"
    )


def _bounded(heard: Mapping[bytes, Heard]) -> None:
    if len(heard) >= ATTEMPTS_MAX:
        raise StuckError(
            f"{len(heard)} transactions were sent for this and none is on the chain: publish again when the chain is "
            "calm, or the other wallet that uses the key is"
        )
