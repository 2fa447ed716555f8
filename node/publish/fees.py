"""What a transaction pays (EIP-1559): a tip, a maximum fee, a cap on it, and bounded replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dkg.chain.secp import checksum
from node.publish.errors import EmptyWalletError, GasCapError

GWEI: Final = 10**9

MAX_FEE_CAP: Final = 200 * GWEI
"""Most that one unit of gas may cost, in wei, unless a policy says otherwise."""

BUMP: Final = (9, 8)
"""A replacement pays an eighth more, in both fees: nodes ask for a tenth (geth, anvil) or an eighth (nethermind)."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for one unit of gas: at most, and of it for the block's builder."""

    max_fee: int
    tip: int

    def bumped(self) -> Fees:
        """The least that may take this one's place in a pool."""
        more, of = BUMP
        return Fees(-(-self.max_fee * more // of), -(-self.tip * more // of))

    def at_least(self, other: Fees) -> Fees:
        """The higher of each."""
        return Fees(max(self.max_fee, other.max_fee), max(self.tip, other.tip))


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """What may be paid, and when a transaction is replaced."""

    max_fee_cap: int = MAX_FEE_CAP
    """Most for one unit of gas, in wei."""
    base_multiple: int = 2
    """The maximum fee is so many times the base fee, plus the tip: base fees rise by an eighth a block at most."""
    tip: int | None = None
    """Wei for one unit of gas; None: what the endpoint suggests, up to `tip_max`."""
    tip_max: int = 50 * GWEI
    replacements_max: int = 5
    """How often one transaction is replaced."""
    stuck_blocks: int = 3
    """Blocks without a transaction after which it is replaced, if `stuck_s` have passed too."""
    stuck_s: float = 30.0
    """In seconds."""

    def quote(self, base_fee: int, suggested_tip: int) -> Fees:
        """What a new transaction pays. Raises `GasCapError` if even the base fee and the tip are above the cap."""
        tip = min(suggested_tip, self.tip_max) if self.tip is None else self.tip
        if base_fee + tip > self.max_fee_cap:
            raise GasCapError(
                f"gas is above your cap: the base fee is {gwei(base_fee)} and the tip {gwei(tip)}, the cap is "
                f"{gwei(self.max_fee_cap)}. Nothing more was sent; publish again when gas is cheaper, or raise the cap"
            )
        return Fees(min(self.base_multiple * base_fee + tip, self.max_fee_cap), tip)

    def replacement(self, base_fee: int, suggested_tip: int, replaced: Fees) -> Fees:
        """What a transaction pays that takes another's place. Raises `GasCapError`."""
        least = replaced.bumped()
        if least.max_fee > self.max_fee_cap:
            raise GasCapError(
                f"gas is above your cap: a transaction waits that pays {gwei(replaced.max_fee)}, one in its place "
                f"would pay {gwei(least.max_fee)}, the cap is {gwei(self.max_fee_cap)}. It may still be mined; "
                "publish again to look, or raise the cap"
            )
        return self.quote(base_fee, suggested_tip).at_least(least)


def affordable(wanted: Fees, least: Fees, gas: int, balance: int, payer: bytes, value: int = 0) -> Fees:
    """What a balance allows, between two fees. Raises `EmptyWalletError` if it does not allow the lower one.

    `gas`: units that the transaction may use. `payer`: whose balance, in wei, it is. `value`: wei that it sends along.
    """
    if gas * least.max_fee + value > balance:
        cost = gas * wanted.max_fee + value
        what = f"gas and the {ether(value)} that go along" if value else "gas"
        raise EmptyWalletError(
            f"{checksum(payer)} cannot pay for {what}: it has {ether(balance)}, the transaction may cost up to "
            f"{ether(cost)}. Send it {ether(cost - balance)} or more, then publish again",
            cost - balance,
        )
    max_fee = max(least.max_fee, min(wanted.max_fee, (balance - value) // gas))
    return Fees(max_fee, min(wanted.tip, max_fee))


def gwei(wei: int) -> str:
    """A price of gas as people read it."""
    return f"{_decimal(wei, 9)} gwei"


def ether(wei: int) -> str:
    """An amount as people read it."""
    return f"{_decimal(wei, 18)} ether"


def _decimal(number: int, digits: int) -> str:
    whole, rest = divmod(number, 10**digits)
    return f"{whole:,}.{rest:0{digits}d}".rstrip("0").rstrip(".")
