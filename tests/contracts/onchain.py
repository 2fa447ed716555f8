"""The shipped registry on an EVM of its own (titanoboa's py-evm), called by raw calldata; and keys that sign for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boa  # type: ignore[import-untyped]
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import settings

from contracts import registry
from contracts.statements import TYPES, parts, typed_data

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

Event = tuple[str, dict[str, Any]]

ZERO: Final = bytes(32)
NOBODY: Final = "0x" + "00" * 20
CHAIN_ID: Final = 31337
KEYS: Final[tuple[LocalAccount, ...]] = tuple(Account.from_key(number.to_bytes(32)) for number in range(1, 8))
"""Accounts that stand for publishers, their signers, and strangers."""

_ERROR: Final = keccak(text="Error(string)")[:4]
_FUNCTIONS: Final = {part["name"]: part for part in registry().abi if part["type"] == "function"}


class RevertedError(Exception):
    """The contract refused; its reason, empty for what the ABI decoder refuses."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def signature_of(part: dict[str, Any]) -> str:
    """Such as `rotate(address,address)`."""
    return f"{part['name']}({','.join(given['type'] for given in part['inputs'])})"


def selector(name: str) -> bytes:
    return keccak(text=signature_of(dict(_FUNCTIONS[name])))[:4]


_EVENTS: Final = {keccak(text=signature_of(dict(part))): part for part in registry().abi if part["type"] == "event"}


class OnChain:
    """A fresh registry. Calls raise `RevertedError`.

    `bytecode`: what to deploy instead, with the same interface. `logs`: topics and data of the latest call's events.
    """

    def __init__(self, env: Any = None, bytecode: str | None = None) -> None:  # noqa: ANN401 - titanoboa has no types
        self.env = env or boa.Env()
        self.env.evm.patch.chain_id = CHAIN_ID
        address, _ = self.env.deploy_code(bytecode=bytes.fromhex((bytecode or registry().bytecode)[2:]))
        self.address = str(address)
        self.logs: list[tuple[list[bytes], bytes]] = []

    @property
    def block(self) -> tuple[int, int]:
        """Number and time of the block that the next call is in."""
        return self.env.evm.patch.block_number, self.env.evm.patch.timestamp

    def raw(self, sender: str, data: bytes, value: int = 0) -> Any:  # noqa: ANN401 - titanoboa has no types
        """Send calldata."""
        made = self.env.execute_code(to_address=self.address, sender=sender, data=data, value=value)
        if made.is_error:
            output = bytes(made.output)
            raise RevertedError(decode(["string"], output[4:])[0] if output[:4] == _ERROR else "")
        return made

    @staticmethod
    def calldata(name: str, *values: Any) -> bytes:  # noqa: ANN401 - values of an ABI
        return selector(name) + encode([given["type"] for given in _FUNCTIONS[name]["inputs"]], values)

    def call(self, sender: str, name: str, *values: Any) -> list[Event]:  # noqa: ANN401 - values of an ABI
        """Call a function: the events that it emits. The last value of a relayed one is a signature of 65 bytes."""
        if name.endswith("_signed"):
            values = (*values[:-1], *parts(values[-1]))
        self.logs = []
        made = self.raw(sender, self.calldata(name, *values))
        self.logs = [
            ([topic.to_bytes(32) for topic in topics], data) for _, _, topics, data in made.get_raw_log_entries()
        ]
        return [_event(topics, data) for topics, data in self.logs]

    def view(self, name: str, *values: Any) -> Any:  # noqa: ANN401 - values of an ABI
        """What a view returns."""
        output = bytes(self.raw(NOBODY, self.calldata(name, *values)).output)
        return decode([_FUNCTIONS[name]["outputs"][0]["type"]], output)[0]

    def storage(self, slot: int) -> int:
        """A word of the contract's storage."""
        return int(self.env.get_storage(self.address, slot))

    def mapped(self, slot: int, key: int) -> int:
        """A value of the mapping at a slot."""
        return self.storage(int.from_bytes(keccak(slot.to_bytes(32) + key.to_bytes(32))))

    def next_block(self) -> None:
        """The next calls are in another block, 12 seconds later."""
        self.env.time_travel(blocks=1)

    def sign(self, key: LocalAccount, kind: str, *values: Any) -> bytes:  # noqa: ANN401 - values of a statement
        """A statement's signature by eth-account, for this registry on `CHAIN_ID`."""
        return sign(key, CHAIN_ID, self.address, kind, *values)


def examples(ci: int, deep: int) -> int:
    """How many examples to try, by the profile (`tests/conftest.py`)."""
    return ci if settings().max_examples <= 100 else deep


def sign(key: LocalAccount, chain_id: int, registry_address: str, kind: str, *values: Any) -> bytes:  # noqa: ANN401
    """A statement's signature by eth-account, its fields in order."""
    statement = typed_data(chain_id, registry_address, kind, dict(zip(TYPES[kind], values, strict=True)))
    return bytes(key.sign_message(encode_typed_data(full_message=statement)).signature)


def _event(topics: list[bytes], data: bytes) -> Event:
    abi = _EVENTS[topics[0]]
    indexed = [given for given in abi["inputs"] if given["indexed"]]
    plain = [given for given in abi["inputs"] if not given["indexed"]]
    found = {given["name"]: decode([given["type"]], topic)[0] for given, topic in zip(indexed, topics[1:], strict=True)}
    found |= dict(
        zip([given["name"] for given in plain], decode([given["type"] for given in plain], data), strict=True)
    )
    if "numbers" in found:
        found |= unpacked(found.pop("numbers"))
    return abi["name"], found


def unpacked(numbers: int) -> dict[str, int]:
    """The five numbers of a commit, from their word."""
    names = ("seq", "position", "prior_position", "count", "created")
    assert numbers < 2**240
    return {name: numbers >> 48 * (4 - place) & (2**48 - 1) for place, name in enumerate(names)}


@dataclass(frozen=True)
class Step:
    """A commit as the contract takes it."""

    publisher: str
    seq: int = 1
    root: bytes = b"\x01" * 32
    count: int = 3
    previous: bytes = ZERO
    created: int = 1_800_000_000
    prior: bytes = ZERO

    @property
    def signed_part(self) -> tuple[Any, ...]:
        """The fields of the EIP-712 type, in order."""
        return (self.publisher, self.seq, self.root, self.count, self.previous, self.created)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of `commit`, in order."""
        return (self.publisher, self.root, self.count, self.previous, self.created, self.prior)

    @property
    def relayed(self) -> tuple[Any, ...]:
        """The arguments of `commit_signed` but the signature, in order."""
        return (*self.signed_part, self.prior)


@dataclass
class Sequence:
    """Makes a publisher's commits, each after the one before."""

    chain: OnChain
    publisher: str
    latest: Step | None = None
    position: int = 0
    prior_position: int = 0
    meta: bytes = field(default=ZERO)

    def next(self, root: bytes | None = None) -> Step:
        """The next commit, not sent yet."""
        if self.latest is None:
            return Step(self.publisher, root=root or b"\x01" * 32)
        seq = self.latest.seq + 1
        made = root or keccak(seq.to_bytes(32))
        return Step(self.publisher, seq, made, previous=self.latest.root, prior=self.meta)

    def send(self, sender: str | None = None, root: bytes | None = None) -> Event:
        """Commit: the event. The sender is the publisher if none is given."""
        step = self.next(root)
        (event,) = self.chain.call(sender or self.publisher, "commit", *step.arguments)
        self.note(step, event)
        return event

    def note(self, step: Step, event: Event) -> None:
        """Go on from a commit that the contract took."""
        self.prior_position, self.position = self.position, event[1]["position"]
        self.meta = meta_of(step, self.position, self.prior_position, *self.chain.block)
        self.latest = step


def meta_of(step: Step, position: int, prior_position: int, block: int, time: int) -> bytes:
    """The hash of all of an entry but its root, as the contract makes it."""
    numbers = step.seq << 192 | position << 144 | prior_position << 96 | step.count << 48 | step.created
    return keccak(encode(["address"] + ["uint256"] * 3, (step.publisher, numbers, block, time)))
