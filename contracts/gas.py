"""What the registry costs: gas of real transactions, intrinsic gas included, on py-evm (eth-tester).

`python -m contracts.gas [--write]` prints the figures, or writes `contracts/gas.json`. Needs the extra `publish`.
The figures are the same on every machine: keys, roots and block times are fixed. Addresses and roots have no zero
byte: a byte of calldata costs 16 gas and a zero byte 4, so that other commits cost a little less.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_tester import EthereumTester, PyEVMBackend  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from contracts import registry
from contracts.statements import TYPES, parts, typed_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eth_account.signers.local import LocalAccount

SNAPSHOT: Final = Path(__file__).resolve().parent / "gas.json"
TARGET: Final = 75_000
"""What a commit may cost (DESIGN.md section 6)."""
ASSETS: Final = (1, 100, 10_000)
QUADS_PER_ASSET: Final = 20

_CREATED: Final = 0x6A_11_22_33
_ZERO: Final = bytes(32)
_GAS_LIMIT: Final = 8_000_000
_START: Final = 4_000_000_000
"""Time of the first block, in Unix seconds: later than any clock says, because a chain's time never goes back."""


def account(start: int) -> LocalAccount:
    """The first account, its private key counted up from `start`, whose address has no zero byte."""
    made: Iterator[LocalAccount] = (Account.from_key(key.to_bytes(32)) for key in range(start, start + 100))
    return next(found for found in made if 0 not in bytes.fromhex(found.address[2:]))


def root(seed: int) -> bytes:
    """A root, 32 bytes, without a zero byte."""
    made = (keccak(seed.to_bytes(16) + number.to_bytes(16)) for number in range(100))
    return next(found for found in made if 0 not in found)


class Chain:
    """A registry on a development chain of its own. `relayer`: an account with coins; `backend`: other rules."""

    def __init__(self, backend: PyEVMBackend | None = None) -> None:
        self._backend = backend or PyEVMBackend()
        self._tester = EthereumTester(self._backend)
        self.chain_id: int = self._backend.chain.chain_id
        self._time = _START
        self.relayer: str = self._tester.get_accounts()[0]
        receipt = self.send(self.relayer, {"data": registry().bytecode})
        self.registry: str = receipt["contract_address"]
        self.deployment: int = receipt["gas_used"]
        self.log_length = 0

    def fund(self, who: LocalAccount) -> str:
        """Let an account send transactions; its address."""
        self._tester.add_account("0x" + bytes(who.key).hex())
        self.send(self.relayer, {"to": who.address, "value": 10**18})
        return str(who.address)

    def gas(self, sender: str, name: str, *values: Any) -> int:  # noqa: ANN401 - values of an ABI
        """Send a transaction that calls a function of the registry: the gas it used. `RuntimeError` if it reverts."""
        abi = next(part for part in registry().abi if part.get("name") == name)
        types = [given["type"] for given in abi["inputs"]]
        data = keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)
        return int(self.send(sender, {"to": self.registry, "data": "0x" + data.hex()})["gas_used"])

    def sign(self, key: LocalAccount, kind: str, **values: Any) -> bytes:  # noqa: ANN401 - values of a statement
        """A statement's signature."""
        statement = typed_data(self.chain_id, self.registry, kind, values)
        return bytes(key.sign_message(encode_typed_data(full_message=statement)).signature)

    def block(self) -> tuple[int, int]:
        """Number and time of the latest block."""
        latest = self._tester.get_block_by_number("latest")
        return latest["number"], latest["timestamp"]

    def wait(self, seconds: int) -> None:
        """The next block is so much later."""
        self._time += seconds
        self._tester.time_travel(self._time)

    def send(self, sender: str, transaction: dict[str, Any]) -> dict[str, Any]:
        """Send a transaction, in a block of its own 12 seconds later: its receipt. `RuntimeError` if it reverts."""
        self.wait(12)
        sent = self._tester.send_transaction({"from": sender, "gas": _GAS_LIMIT, **transaction})
        receipt: dict[str, Any] = self._tester.get_transaction_receipt(sent)
        if receipt["status"] != 1:
            raise RuntimeError(f"a transaction of {sender} was reverted: {transaction}")
        return receipt


class Publisher:
    """A publisher that signs its own commits until it names another signer."""

    def __init__(self, chain: Chain, start: int) -> None:
        self._chain = chain
        self.owner = self.signer = account(start)
        self.address = chain.fund(self.owner)
        self._seq = 0
        self._root = self._prior = _ZERO
        self._position = 0
        self._nonce = 0

    def commit(self, *, relayed: bool, count: int = QUADS_PER_ASSET, created: int = _CREATED) -> int:
        """The publisher's next commit: its gas."""
        chain, seq, made = self._chain, self._seq + 1, root(self._seq)
        fields = (made, count, self._root, created)
        if relayed:
            signed = dict(zip(TYPES["Commit"], (self.address, seq, *fields), strict=True))
            signature = parts(chain.sign(self.signer, "Commit", **signed))
            gas = chain.gas(chain.relayer, "commit_signed", self.address, seq, *fields, self._prior, *signature)
        else:
            gas = chain.gas(self.signer.address, "commit", self.address, *fields, self._prior)
        position = chain.log_length
        numbers = seq << 192 | position << 144 | self._position << 96 | count << 48 | created
        self._prior = keccak(encode(["address"] + ["uint256"] * 3, (self.address, numbers, *chain.block())))
        self._seq, self._root, self._position, chain.log_length = seq, made, position, position + 1
        return gas

    def change(self, kind: str, *, relayed: bool, signer: LocalAccount | None = None) -> int:
        """Rotate (to `signer`), Revoke or Retire, by the owner: its gas."""
        chain, name = self._chain, kind.lower()
        who = {"signer": signer.address} if signer else {}
        if relayed:
            signature = chain.sign(self.owner, kind, publisher=self.address, **who, nonce=self._nonce)
            gas = chain.gas(
                chain.relayer, f"{name}_signed", self.address, *who.values(), self._nonce, *parts(signature)
            )
        else:
            gas = chain.gas(self.address, name, self.address, *who.values())
        self.signer = signer or self.signer
        self._nonce += 1
        return gas


def measure() -> dict[str, int]:
    """The gas of each operation, by name."""
    chain = Chain()
    figures = {"deployment": chain.deployment}
    figures["commit, first of the registry, direct"] = Publisher(chain, 500).commit(relayed=False)
    for relayed, how in ((False, "direct"), (True, "relayed")):
        for number, assets in enumerate(ASSETS):
            publisher = Publisher(chain, 1000 * (number + 1) + 500 * relayed)
            count = assets * QUADS_PER_ASSET
            figures[f"commit, first, {how}, {assets} assets"] = publisher.commit(relayed=relayed, count=count)
            figures[f"commit, later, {how}, {assets} assets"] = publisher.commit(relayed=relayed, count=count)
        figures |= _key_changes(chain, Publisher(chain, 10_000 + 1000 * relayed), how, relayed=relayed)
    return figures


def _key_changes(chain: Chain, publisher: Publisher, how: str, *, relayed: bool) -> dict[str, int]:
    publisher.commit(relayed=relayed)
    first, second = account(20_000), account(30_000)
    if not relayed:
        chain.fund(first)
    figures = {
        f"rotate, first, {how}": publisher.change("Rotate", relayed=relayed, signer=second),
        f"rotate, later, {how}": publisher.change("Rotate", relayed=relayed, signer=first),
        f"commit, later, by a rotated signer, {how}": publisher.commit(relayed=relayed),
        f"revoke, {how}": publisher.change("Revoke", relayed=relayed),
        f"retire, {how}": publisher.change("Retire", relayed=relayed),
    }
    fresh = Publisher(chain, 40_000 + 1000 * relayed)
    fresh.change("Rotate", relayed=relayed, signer=first)
    return figures | {f"commit, first, by a rotated signer, {how}": fresh.commit(relayed=relayed)}


def report(
    arguments: list[str], name: str, about: str | None, snapshot: Path, measured: Callable[[], Mapping[str, object]]
) -> int:
    """Run a command that prints figures of gas, or writes them to its snapshot."""
    parser = argparse.ArgumentParser(prog=name, description=about)
    parser.add_argument("--write", action="store_true", help=f"write {snapshot.name} instead of printing")
    write = parser.parse_args(arguments).write
    text = json.dumps(measured(), indent=1) + "\n"
    if write:
        snapshot.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


def main(arguments: list[str]) -> int:
    """Run the command."""
    return report(arguments, "python -m contracts.gas", __doc__, SNAPSHOT, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
