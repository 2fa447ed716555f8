"""Signed transactions, and the pool of those that wait for a block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import UnrecognizedTransactionType
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from node.devnet.errors import SERVER_ERROR, RpcError, invalid, rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from eth.abc import SignedTransactionAPI

    from node.devnet.machine import Machine

POOL_MAX: Final = 4096
"""Transactions that wait at once."""

BUMP_PERCENT: Final = 10
"""How much more than the one it replaces a transaction must pay, in both its fees."""

BLOB_TYPE: Final = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed transaction as it was sent."""

    hash: bytes
    sender: bytes
    raw: bytes
    evm: SignedTransactionAPI

    @property
    def nonce(self) -> int:
        """Its number among its sender's, from 0."""
        return int(self.evm.nonce)

    @property
    def to(self) -> bytes | None:
        """Whom it calls; None: it deploys."""
        return None if self.evm.to == CREATE_CONTRACT_ADDRESS else bytes(self.evm.to)

    @property
    def type(self) -> int:
        """0 (legacy), 1 (access list), 2 (dynamic fee) or 4 (set code)."""
        return int(self.evm.type_id or 0)

    def tip(self, base_fee: int) -> int:
        """Wei per gas that the block's builder gets."""
        return min(int(self.evm.max_priority_fee_per_gas), int(self.evm.max_fee_per_gas) - base_fee)

    def price(self, base_fee: int) -> int:
        """Wei per gas that the sender pays."""
        return base_fee + self.tip(base_fee)


def decode(machine: Machine, raw: bytes, gas_max: int) -> Sent:
    """A signed transaction that is well-formed; raises `RpcError`."""
    if raw[:1] == bytes([BLOB_TYPE]):
        raise rejected("transactions with blobs are not offered by the development chain")
    try:
        evm = machine.decode(raw)
        evm.validate()
        evm.check_signature_validity()
        sent = Sent(bytes(evm.hash), bytes(evm.sender), raw, evm)
        intrinsic = int(evm.intrinsic_gas)
        chain_id = evm.chain_id
    except (RLPException, ValidationError, UnrecognizedTransactionType, IndexError, TypeError, ValueError) as error:
        raise invalid(f"the bytes are no signed transaction: {error}") from error
    if chain_id not in (None, machine.chain_id):
        raise rejected(f"invalid chain id: the transaction is for chain {chain_id}, this is chain {machine.chain_id}")
    if evm.gas < intrinsic:
        raise RpcError(SERVER_ERROR, f"intrinsic gas too low: have {evm.gas}, want {intrinsic}")
    if evm.gas > gas_max:
        raise RpcError(SERVER_ERROR, f"exceeds block gas limit: the transaction asks for {evm.gas} of {gas_max}")
    return sent


@dataclass(slots=True)
class Pool:
    """Transactions that wait, in the order of their arrival."""

    waiting: dict[bytes, Sent] = field(default_factory=dict)

    def copy(self) -> Pool:
        """The same transactions in a pool of their own."""
        return Pool(dict(self.waiting))

    def add(self, sent: Sent, nonce: int, balance: int) -> None:
        """Take a transaction, perhaps in the place of one with its number; raises `RpcError`.

        `nonce`, `balance`: those of the sender after the latest block.
        """
        if sent.hash in self.waiting:
            raise rejected("already known: the transaction is in the pool")
        if sent.nonce < nonce:
            raise rejected(f"nonce too low: next nonce {nonce}, tx nonce {sent.nonce}")
        cost = int(sent.evm.gas) * int(sent.evm.max_fee_per_gas) + int(sent.evm.value)
        if cost > balance:
            raise rejected(f"insufficient funds for gas * price + value: have {balance} wei, want {cost}")
        rival = self.find(sent.sender, sent.nonce)
        if rival is not None:
            _outbids(sent, rival)
            del self.waiting[rival.hash]
        elif len(self.waiting) >= POOL_MAX:
            raise rejected(f"txpool is full: {POOL_MAX} transactions wait")
        self.waiting[sent.hash] = sent

    def find(self, sender: bytes, nonce: int) -> Sent | None:
        """The transaction that waits under a sender's number."""
        return next((one for one in self.waiting.values() if (one.sender, one.nonce) == (sender, nonce)), None)

    def next_nonce(self, sender: bytes, nonce: int) -> int:
        """The first number from `nonce` on that no waiting transaction of the sender has."""
        taken = {one.nonce for one in self.waiting.values() if one.sender == sender}
        while nonce in taken:
            nonce += 1
        return nonce

    def ready(self, nonce_of: Callable[[bytes], int], base_fee: int) -> list[Sent]:
        """What a block may take now: each sender's in order without a gap, the best-paying senders first."""
        queues: dict[bytes, list[Sent]] = {}
        for sent in self.waiting.values():
            queues.setdefault(sent.sender, []).append(sent)
        for sender, queue in queues.items():
            queue.sort(key=lambda sent: sent.nonce)
            first = nonce_of(sender)
            fit = (sent.nonce == first + at and sent.evm.max_fee_per_gas >= base_fee for at, sent in enumerate(queue))
            queues[sender] = queue[: next((at for at, fits in enumerate(fit) if not fits), len(queue))]
        chosen: list[Sent] = []
        while heads := [queue[0] for queue in queues.values() if queue]:
            best = max(heads, key=lambda sent: sent.tip(base_fee))
            chosen.append(queues[best.sender].pop(0))
        return chosen

    def drop_stale(self, nonce_of: Callable[[bytes], int]) -> None:
        """Forget what can never be mined any more."""
        lows = {sender: nonce_of(sender) for sender in {sent.sender for sent in self.waiting.values()}}
        self.waiting = {hash_: sent for hash_, sent in self.waiting.items() if sent.nonce >= lows[sent.sender]}


def _outbids(sent: Sent, rival: Sent) -> None:
    for name in ("max_fee_per_gas", "max_priority_fee_per_gas"):
        if getattr(sent.evm, name) * 100 < getattr(rival.evm, name) * (100 + BUMP_PERCENT):
            raise rejected(
                f"replacement transaction underpriced: nonce {sent.nonce} is taken by a transaction in the pool, and "
                f"another in its place must pay {BUMP_PERCENT}% more in both fees"
            )
