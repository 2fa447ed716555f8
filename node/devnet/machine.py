"""Blocks and calls by py-evm: a state root and transactions in, a block or an answer out. Keeps no chain.

py-evm never deletes a trie node, so the state of every block stays readable, and a reorganisation is only another
child of the same parent. eth-tester is left out: it keeps one chain, looks transactions and logs up by walking through
all of it (../shared/STACK.md, section 2.1), and has no proofs.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import rlp  # type: ignore[import-untyped]
from eth.consensus.context import ConsensusContext
from eth.constants import BLANK_ROOT_HASH, CREATE_CONTRACT_ADDRESS, ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.exceptions import Revert
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction
from eth_typing import Address, Hash32
from eth_utils.exceptions import ValidationError
from trie.hexary import HexaryTrie

from dkg.chain.secp import keccak256

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eth.abc import (
        BlockAPI,
        BlockHeaderAPI,
        ComputationAPI,
        ReceiptAPI,
        SignedTransactionAPI,
        StateAPI,
        UnsignedTransactionAPI,
    )

    from node.devnet.accounts import DevAccount
    from node.devnet.transactions import Sent

GAS_LIMIT: Final = 30_000_000
"""Gas that a block may use, and a call too."""

_NODE_BYTES_MIN: Final = 32  # a shorter node of a trie stands inside its parent
_EMPTY_CODE: Final = keccak256(b"")
_ERROR_STRING: Final = keccak256(b"Error(string)")[:4]
_TEXT_AT: Final = 4 + 32 + 32  # selector, offset, length


class CallError(Exception):
    """A call that failed; `data`: what the contract reverted with, None if it failed otherwise."""

    def __init__(self, message: str, data: bytes | None = None) -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True, slots=True)
class Call:
    """What `eth_call` and `eth_estimateGas` run. `to` is None for a deployment."""

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block as the chain keeps it: header, transactions, and the receipt of each."""

    header: BlockHeaderAPI
    size: int
    transactions: tuple[Sent, ...]
    receipts: tuple[ReceiptAPI, ...]

    @property
    def number(self) -> int:
        """Its height; 0 is the genesis block."""
        return int(self.header.block_number)

    @property
    def hash(self) -> bytes:
        """keccak256 of the header's RLP."""
        return bytes(self.header.hash)


@dataclass(frozen=True, slots=True)
class TrieProof:
    """An account with what proves it: the nodes from the state root, and for each slot (value, nodes)."""

    balance: int
    nonce: int
    code_hash: bytes
    storage_root: bytes
    nodes: list[bytes]
    slots: list[tuple[int, list[bytes]]]


class Machine:
    """The EVM of the Prague fork over a database in memory."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self._chaindb = ChainDB(AtomicDB())
        self._context = ChainContext(chain_id)
        self._consensus = ConsensusContext(self._chaindb.db)

    # --- blocks --------------------------------------------------------------------------------------------

    def genesis(self, accounts: Sequence[DevAccount], funds: int, timestamp: int) -> Block:
        """The first block: the accounts with their funds, and nothing else."""
        empty = PragueVM.create_genesis_header(gas_limit=GAS_LIMIT, timestamp=timestamp, state_root=BLANK_ROOT_HASH)
        state = self._vm(empty).state
        for account in accounts:
            state.set_balance(Address(account.address), funds)
        state.persist()
        header = empty.copy(state_root=state.state_root)
        return self._kept(PragueVM.get_block_class()(header, transactions=[], uncles=[], withdrawals=[]), (), ())

    def build(self, parent: BlockHeaderAPI, timestamp: int, salt: int, transactions: Sequence[Sent]) -> Block:
        """A child of `parent` with those transactions that may stand in it; `salt` tells twins apart."""
        number = int(parent.block_number) + 1
        header = PragueVM.create_header_from_parent(
            parent,
            timestamp=timestamp,
            gas_limit=parent.gas_limit,
            coinbase=ZERO_ADDRESS,
            mix_hash=keccak256(bytes(parent.hash) + number.to_bytes(8, "big") + salt.to_bytes(8, "big")),
        )
        vm = self._vm(header)
        vm.block_preprocessing(vm.get_block())
        included: list[Sent] = []
        receipts: list[ReceiptAPI] = []
        for sent in transactions:
            if header.gas_used + sent.evm.gas > header.gas_limit:
                continue
            try:
                receipt, _ = vm.apply_transaction(header, sent.evm)
            except ValidationError:
                continue  # what it pays or holds changed with the transactions before it
            header = vm.increment_blob_gas_used(vm.add_receipt_to_header(header, receipt), sent.evm)
            included.append(sent)
            receipts.append(receipt)
        filled = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), header, [sent.evm for sent in included], receipts
        )
        # Not `mine_block`, which would refuse a timestamp equal to the parent's (see `Ledger`).
        block = vm.finalize_block(vm.block_postprocessing(filled)).block
        return self._kept(block, tuple(included), tuple(receipts))

    def next_base_fee(self, parent: BlockHeaderAPI) -> int:
        """Wei per gas that a child of `parent` burns."""
        return int(PragueVM.create_header_from_parent(parent, gas_limit=parent.gas_limit).base_fee_per_gas)

    def decode(self, raw: bytes) -> SignedTransactionAPI:
        """A signed transaction; raises what py-evm and rlp raise."""
        return PragueVM.get_transaction_builder().decode(raw)

    def _kept(self, block: BlockAPI, transactions: tuple[Sent, ...], receipts: tuple[ReceiptAPI, ...]) -> Block:
        # BLOCKHASH and the checks of a child look headers up by their hash; no canonical chain is kept here.
        self._chaindb.db[block.header.hash] = rlp.encode(block.header)
        return Block(block.header, len(rlp.encode(block)), transactions, receipts)

    def _vm(self, header: BlockHeaderAPI) -> PragueVM:
        return PragueVM(header, self._chaindb, self._context, self._consensus)

    # --- calls ---------------------------------------------------------------------------------------------

    def state(self, header: BlockHeaderAPI) -> StateAPI:
        """The state after a block."""
        return self._vm(header).state

    def call(self, header: BlockHeaderAPI, call: Call) -> bytes:
        """What a call returns after a block; nothing is kept. Raises `CallError`."""
        with self._free(header) as state:
            return bytes(_checked(_run(state, call)).output)

    def estimate(self, header: BlockHeaderAPI, call: Call) -> int:
        """Gas that a call needs to succeed, to 1.5% when calls within it keep gas back. Raises `CallError`."""
        with self._free(header) as state:
            low = _unsigned(state, call).intrinsic_gas + int(_checked(_run(state, call)).get_gas_used())
            if _succeeds(state, replace(call, gas=low)):
                return low
            enough = call.gas
            while (enough - low) * 64 > enough:
                middle = (low + enough) // 2
                if _succeeds(state, replace(call, gas=middle)):
                    enough = middle
                else:
                    low = middle
            return enough

    @contextmanager
    def _free(self, header: BlockHeaderAPI) -> Iterator[StateAPI]:
        state = self._vm(header.copy(base_fee_per_gas=0)).state
        snapshot = state.snapshot()
        yield state
        state.revert(snapshot)

    # --- proofs --------------------------------------------------------------------------------------------

    def proof(self, header: BlockHeaderAPI, address: bytes, slots: Sequence[int]) -> TrieProof:
        """An account and slots of its storage with their proofs, against the state root of a block."""
        code_hash, root = _EMPTY_CODE, BLANK_ROOT_HASH
        nonce = balance = 0
        trie, nodes = self._walk(bytes(header.state_root), keccak256(address))
        if found := trie.get(keccak256(address)):
            fields = [bytes(field) for field in rlp.decode(found)]
            nonce, balance = (int.from_bytes(field, "big") for field in fields[:2])
            root, code_hash = Hash32(fields[2]), fields[3]
        return TrieProof(balance, nonce, code_hash, root, nodes, [self._slot(root, slot) for slot in slots])

    def _slot(self, root: bytes, slot: int) -> tuple[int, list[bytes]]:
        key = keccak256(slot.to_bytes(32, "big"))
        trie, nodes = self._walk(root, key)
        found = trie.get(key)
        return int.from_bytes(rlp.decode(found), "big") if found else 0, nodes

    def _walk(self, root: bytes, key: bytes) -> tuple[HexaryTrie, list[bytes]]:
        trie = HexaryTrie(cast("dict[bytes, bytes]", self._chaindb.db), Hash32(root))
        nodes = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
        return trie, [node for at, node in enumerate(nodes) if at == 0 or len(node) >= _NODE_BYTES_MIN]


def _unsigned(state: StateAPI, call: Call) -> UnsignedTransactionAPI:
    return PragueVM.create_unsigned_transaction(
        nonce=state.get_nonce(Address(call.sender)),
        gas_price=0,
        gas=call.gas,
        to=CREATE_CONTRACT_ADDRESS if call.to is None else Address(call.to),
        value=call.value,
        data=call.data,
    )


def _run(state: StateAPI, call: Call) -> ComputationAPI:
    """Run a call and forget what it changed."""
    snapshot = state.snapshot()
    transaction = SpoofTransaction(_unsigned(state, call), from_=Address(call.sender))
    try:
        return state.apply_transaction(cast("SignedTransactionAPI", transaction))
    except ValidationError as error:
        raise CallError(f"this call cannot be run: {error}") from error
    finally:
        state.revert(snapshot)


def _succeeds(state: StateAPI, call: Call) -> bool:
    try:
        return not _run(state, call).is_error
    except CallError:
        return False


def _checked(computation: ComputationAPI) -> ComputationAPI:
    """The computation of a call that succeeded; raises `CallError` with what it reverted with."""
    if not computation.is_error:
        return computation
    error = computation.error
    if not isinstance(error, Revert):
        raise CallError(f"the call failed: {error}")
    data = bytes(computation.output)
    raise CallError(f"execution reverted{_reason(data)}", data)


def _reason(data: bytes) -> str:
    """The text of a Solidity or Vyper `Error(string)`, if it is one."""
    if data[:4] != _ERROR_STRING or len(data) < _TEXT_AT:
        return f": custom error 0x{data[:4].hex()}" if data else ""
    length = int.from_bytes(data[_TEXT_AT - 32 : _TEXT_AT], "big")
    return f": {data[_TEXT_AT : _TEXT_AT + length].decode(errors='replace')}"
