"""Both contracts on an EVM of its own (titanoboa's py-evm), called by raw calldata; what a transaction would cost."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from contracts import checkpoints
from dkg.chain.checkpoints import (
    CHECKPOINTS_SLOT,
    MARKED_SLOT,
    ROOTS_SLOT,
    SHOWN_SLOT,
    TIMES_SLOT,
    Checkpoint,
    ContractState,
    Mark,
)
from dkg.chain.commit import Domain
from dkg.checkpoints.judge import Evidence, Extra, Fault, Index, Invalid, Missing
from dkg.checkpoints.records import Record
from tests.contracts.onchain import CHAIN_ID, OnChain, RevertedError

if TYPE_CHECKING:
    from collections.abc import Mapping

BOND: Final = 10**18
DEMAND_BOND: Final = 10**16
WINDOW: Final = 3600
DEMAND_WINDOW: Final = 600
RICH: Final = 10**24

FUNCTION_OF: Final[Mapping[type, str]] = {
    Missing: "challenge_missing",
    Extra: "challenge_extra",
    Index: "challenge_index",
    Fault: "challenge_page",
    Invalid: "mark_invalid",
}
"""Which function takes which evidence."""

_ABI: Final = {part["name"]: part for part in checkpoints().abi if part["type"] in {"function", "event"}}
_CONSTRUCTOR: Final = next(part for part in checkpoints().abi if part["type"] == "constructor")
_ERROR: Final = keccak(text="Error(string)")[:4]
_TRANSACTION_GAS: Final = 21_000


def _type(given: Mapping[str, Any]) -> str:
    if not given["type"].startswith("tuple"):
        return str(given["type"])
    return f"({','.join(map(_type, given['components']))}){given['type'][len('tuple') :]}"


def types_of(name: str) -> list[str]:
    """The types of a function's arguments, as the ABI has them."""
    return [_type(given) for given in _ABI[name]["inputs"]]


def calldata(name: str, *values: Any) -> bytes:  # noqa: ANN401 - values of an ABI
    """The data of a transaction that calls a function."""
    types = types_of(name)
    return keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)


def arguments(evidence: Evidence) -> list[Any]:
    """Evidence as values of the ABI, in order."""
    return [_value(getattr(evidence, name)) for name in evidence.__dataclass_fields__]


def _value(value: Any) -> Any:  # noqa: ANN401 - a field of evidence
    if isinstance(value, Record):
        return astuple(value)
    if isinstance(value, tuple):
        return [astuple(record) for record in value]
    return value


def calldata_of(evidence: Evidence) -> bytes:
    """The data of the transaction that gives evidence to the contract."""
    values = arguments(evidence)
    at = list(evidence.__dataclass_fields__).index("publisher") if hasattr(evidence, "publisher") else None
    if at is not None:
        values[at] = "0x" + values[at].hex()
    return calldata(FUNCTION_OF[type(evidence)], *values)


@dataclass(frozen=True)
class Sent:
    """A transaction that the contract took. `used`: gas of the execution alone, less refunds."""

    data: bytes
    output: bytes
    used: int
    logs: list[tuple[list[bytes], bytes]]

    @property
    def standard(self) -> int:
        """Gas as it was before EIP-7623: 4 for a zero byte of data, 16 for another."""
        zeros = self.data.count(0)
        return _TRANSACTION_GAS + 4 * zeros + 16 * (len(self.data) - zeros) + self.used

    @property
    def floor(self) -> int:
        """What EIP-7623 lets a transaction with this data pay at least."""
        zeros = self.data.count(0)
        return _TRANSACTION_GAS + 10 * zeros + 40 * (len(self.data) - zeros)

    @property
    def gas(self) -> int:
        """What is paid since EIP-7623."""
        return max(self.standard, self.floor)


class Contracts:
    """A fresh registry and a fresh checkpoint contract. Calls raise `RevertedError`.

    `metered`: `Sent` has the gas of transactions, and the chain cannot be brought back to what it was.
    """

    def __init__(self, bytecode: str | None = None, *, metered: bool = False) -> None:
        self.metered = metered
        self.registry = OnChain()
        self.env = self.registry.env
        values = [self.registry.address, BOND, WINDOW, DEMAND_BOND, DEMAND_WINDOW]
        constructor = encode([given["type"] for given in _CONSTRUCTOR["inputs"]], values)
        code = bytes.fromhex((bytecode or checkpoints().bytecode)[2:]) + constructor
        address, _ = self.env.deploy_code(bytecode=code)
        self.address = str(address)
        self.domain = Domain(CHAIN_ID, bytes.fromhex(self.registry.address[2:]))

    def send(self, sender: str, data: bytes, value: int = 0) -> Sent:
        """Send calldata."""
        if self.metered:  # as between transactions: storage is cold, and has its values from before
            self.env.evm.vm.state.lock_changes()
        made = self.env.execute_code(to_address=self.address, sender=sender, data=data, value=value)
        if made.is_error:
            output = bytes(made.output)
            raise RevertedError(decode(["string"], output[4:])[0] if output[:4] == _ERROR else "")
        used = made.get_gas_used()
        logs = [([topic.to_bytes(32) for topic in topics], body) for _, _, topics, body in made.get_raw_log_entries()]
        return Sent(data, bytes(made.output), used - min(made.get_gas_refund(), used // 5), logs)

    def call(self, sender: str, name: str, *values: Any, value: int = 0) -> Sent:  # noqa: ANN401
        """Call a function."""
        return self.send(sender, calldata(name, *values), value)

    def view(self, name: str, *values: Any) -> Any:  # noqa: ANN401 - values of an ABI
        """What a view returns: the value, or a tuple of them."""
        output = self.send("0x" + "00" * 20, calldata(name, *values)).output
        found = decode([_type(given) for given in _ABI[name]["outputs"]], output)
        return found[0] if len(found) == 1 else found

    # --- storage, by the layout of docs/formats.md, section 13 ---------------------------------------------------

    def storage(self, slot: int) -> int:
        """A word of the checkpoint contract's storage."""
        return int(self.env.get_storage(self.address, slot))

    def mapped(self, slot: int, key: int) -> int:
        """A value of the mapping at a slot."""
        return self.storage(int.from_bytes(keccak(slot.to_bytes(32) + key.to_bytes(32))))

    @property
    def state(self) -> ContractState:
        """The counters."""
        return ContractState.unpack(self.storage(0))

    def checkpoint(self, number: int) -> Checkpoint:
        """A checkpoint that was proposed."""
        return Checkpoint.unpack(
            number, *(self.mapped(slot, number) for slot in (ROOTS_SLOT, CHECKPOINTS_SLOT, TIMES_SLOT))
        )

    def mark(self, position: int) -> Mark | None:
        """The mark of the commit at a position."""
        return Mark.unpack(position, self.mapped(MARKED_SLOT, position))

    def shown(self, digest: bytes) -> bytes:
        """What is kept of a page; zeros if it was not shown."""
        return self.mapped(SHOWN_SLOT, int.from_bytes(digest)).to_bytes(32)

    def balance(self, address: str | None = None) -> int:
        """Wei of an address; of the checkpoint contract if none is given."""
        return int(self.env.get_balance(address or self.address))

    def fund(self, *addresses: str) -> None:
        """Let addresses pay."""
        for address in addresses:
            self.env.set_balance(address, RICH)

    def wait(self, seconds: int) -> None:
        """The next call is in a later block."""
        self.env.time_travel(seconds=seconds)
