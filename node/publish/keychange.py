"""Changes of keys, and deployments of the two contracts: single transactions, which are not in the journal of commits.

Each looks first, and sends nothing if the chain is already as it should be: a change of keys that was interrupted may
be done again. So may a deployment, if its transactions are kept (`node.publish.deployment`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from contracts import checkpoints, registry
from dkg.chain.commit import Retire, Revoke, Rotate
from dkg.chain.registry import LOG_STATE_SLOT, NONCES_SLOT, RETIRED, LogState
from dkg.chain.rlp import encode, number
from dkg.chain.secp import ADDRESS_BYTES, checksum, keccak256
from dkg.chain.trie import EMPTY_CODE
from dkg.client.chainread import UnprovableError
from dkg.errors import InputError
from node.publish import calls
from node.publish.errors import RejectedError, SignerError
from node.publish.lock import home_lock
from node.publish.sender import Sender, View
from node.publish.waits import silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.anchor import AnchoredHead
    from dkg.chain.checkpoints import Terms
    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.chain.registry import Head
    from dkg.client.anchored import Client
    from dkg.client.chainread import ChainReader
    from node.publish.answers import Receipt
    from node.publish.calls import Call
    from node.publish.deployment import KeptAttempts
    from node.publish.jobs import Attempt
    from node.publish.publisher import Publisher
    from node.publish.sender import Tools
    from node.publish.waits import Progress
    from node.publish.wallet import Wallet
    from node.publish.writer import ChainWriter


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Who signs for a publisher as of a block (`signer` None: nobody), proved.

    `changed`: whether this call did it; if not, there is no transaction. `transaction`, `gas_used`: as endpoints tell.
    """

    signer: bytes | None
    retired: bool
    block: int
    changed: bool
    transaction: bytes | None
    gas_used: int | None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A contract on a chain, its code checked. `block`: of a registry that of its deployment, as its storage says.

    `transaction`, `gas_used`: as endpoints tell.
    """

    chain_id: int
    address: bytes
    block: int
    transaction: bytes | None
    gas_used: int | None


class Keys:
    """Changes who signs for a publisher. The key is the signer's of the publisher's wallets; another may pay.

    A commit that waits to be mined does not hold it up: its transaction is outbid, and sent again when the next publish
    finds it missing.

    All raise `SignerError` if the key may not do it, and what sending raises (see `Publisher.publish`).
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._domain, self._who = publisher.settings.domain, publisher.wallets.publisher
        self._key = publisher.wallets.signer
        self._direct = publisher.wallets.payer.address == self._key.address

    def rotate(self, signer: bytes, progress: Progress = silent) -> KeyChange:
        """Name the address that signs from now on (20 bytes). Only the publisher's own key may."""
        if len(signer) != ADDRESS_BYTES or int.from_bytes(signer) <= RETIRED:
            raise InputError("the new signer is no address that has a key")
        self._require_own("name a signer")

        def call(nonce: int) -> Call:
            if self._direct:
                return calls.rotate(self._domain, self._who, signer)
            signature = self._key.sign(self._domain, Rotate(self._who, signer, nonce))
            return calls.rotate_signed(self._domain, self._who, signer, nonce, signature)

        return self._change(lambda head: head.signer == signer, call, progress)

    def revoke(self, progress: Progress = silent) -> KeyChange:
        """Let nobody sign until the publisher names a signer. The publisher's own key may, and its signer's."""

        def call(nonce: int) -> Call:
            if self._direct:
                return calls.revoke(self._domain, self._who)
            signature = self._key.sign(self._domain, Revoke(self._who, nonce))
            return calls.revoke_signed(self._domain, self._who, nonce, signature)

        return self._change(lambda head: head.signer is None, call, progress)

    def retire(self, progress: Progress = silent) -> KeyChange:
        """End publishing for ever. Only the publisher's own key may."""
        self._require_own("retire it")

        def call(nonce: int) -> Call:
            if self._direct:
                return calls.retire(self._domain, self._who)
            signature = self._key.sign(self._domain, Retire(self._who, nonce))
            return calls.retire_signed(self._domain, self._who, nonce, signature)

        return self._change(lambda head: head.retired, call, progress)

    def _require_own(self, what: str) -> None:
        if self._key.address != self._who:
            raise SignerError(f"only the own key of {checksum(self._who)} can {what}; this is another one")

    def _change(self, wanted: Callable[[Head], bool], call: Callable[[int], Call], progress: Progress) -> KeyChange:
        publisher, tools = self._publisher, self._publisher.tools
        with home_lock(publisher.home.path, tools.waits, tools.waiting, progress):
            goal = _KeyGoal(publisher.client(), publisher.reader, self._key.address, wanted, call)
            goal.before = publisher.waiting_transactions()
            found = Sender(publisher.wallets.payer, self._domain.chain_id, tools).drive(goal, progress)
            done = _receipt(goal.made, tools.writer)
        return KeyChange(
            signer=found.head.signer,
            retired=found.head.retired,
            block=found.block.number,
            changed=bool(goal.made),
            transaction=done[0] if done else None,
            gas_used=done[1].gas if done else None,
        )


def deploy(
    wallet: Wallet, reader: ChainReader, tools: Tools, progress: Progress = silent, kept: KeptAttempts | None = None
) -> Deployed:
    """Put a registry on the reader's chain; `wallet` pays. Raises what sending raises (see `Publisher.publish`).

    `kept`: where its transactions survive. If it is interrupted and done again, it goes on with them, and there is one
    registry; without, there are two, of which one is nothing but gas spent.
    """
    runtime = bytes.fromhex(registry().runtime[2:])
    done, block = _deployed(wallet, reader, tools, calls.deployment(), runtime, progress=progress, kept=kept)
    word = _slot(reader, done.address, LOG_STATE_SLOT.to_bytes(32), block)
    return replace(done, block=LogState.unpack(word).first_block)


def deploy_checkpoints(
    wallet: Wallet,
    reader: ChainReader,
    tools: Tools,
    domain: Domain,
    terms: Terms,
    *,
    progress: Progress = silent,
    kept: KeptAttempts | None = None,
) -> Deployed:
    """Put a checkpoint contract on the chain, for the registry of a domain. See `deploy`."""
    code = bytes.fromhex(checkpoints().runtime[2:]) + terms.immutables(domain)
    call = calls.checkpoints_deployment(terms.arguments(domain.registry))
    return _deployed(wallet, reader, tools, call, code, progress=progress, kept=kept)[0]


def _deployed(
    wallet: Wallet,
    reader: ChainReader,
    tools: Tools,
    call: Call,
    code: bytes,
    *,
    progress: Progress,
    kept: KeptAttempts | None,
) -> tuple[Deployed, Header]:
    """A contract, and a block in which it is there. `code`: what it has on the chain."""
    chain_id = reader.chain_id()
    goal = _DeployGoal(reader, tools.writer, wallet.address, call, code, kept)
    goal.made = kept.load(chain_id, wallet.address) if kept else []
    address, block = Sender(wallet, chain_id, tools).drive(goal, progress)
    done = _receipt(goal.made, tools.writer)
    number = done[1].block if done else block.number
    return Deployed(chain_id, address, number, done[0] if done else None, done[1].gas if done else None), block


# --- goals -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Unjournalled:
    """The transactions of a goal, in memory only. `before`: others, whose place it takes."""

    made: list[Attempt] = field(default_factory=list, init=False)
    before: list[Attempt] = field(default_factory=list, init=False)

    def attempts(self) -> list[Attempt]:
        """See `Goal`."""
        return [*self.before, *self.made]

    def keep(self, attempt: Attempt) -> None:
        """See `Goal`."""
        self.made.append(attempt)

    def refuse(self, attempt: Attempt) -> None:
        """See `Goal`."""
        if attempt in self.made:
            self.made.remove(attempt)

    def sent(self, attempt: Attempt) -> None:
        """See `Goal`."""

    def dropped(self, reason: str) -> None:
        """See `Goal`."""


@dataclass(slots=True)
class _KeyGoal(_Unjournalled):
    """Reached when the publisher's proved head is as wanted; gives that head."""

    client: Client
    reader: ChainReader
    key: bytes
    wanted: Callable[[Head], bool]
    call: Callable[[int], Call]

    def look(self) -> View[AnchoredHead]:
        """See `Goal`. Raises `SignerError` if the key may not do it."""
        found = self.client.head().anchored
        if self.wanted(found.head):
            return View(found.block, done=found)
        who = checksum(found.head.publisher)
        if found.head.retired:
            raise SignerError(f"{who} is retired: its keys never change again")
        if self.key not in {found.head.publisher, found.head.signer}:
            raise SignerError(f"{checksum(self.key)} is neither the own key of {who} nor that of its signer")
        return View(found.block, call=self.call(self._nonce(found)))

    def _nonce(self, found: AnchoredHead) -> int:
        slot = keccak256(NONCES_SLOT.to_bytes(32) + found.head.publisher.rjust(32, b"\0"))
        return _slot(self.reader, found.domain.registry, slot, found.block)


@dataclass(slots=True)
class _DeployGoal(_Unjournalled):
    """Reached when a contract is where the transaction puts it; gives its address, and a block in which it is."""

    reader: ChainReader
    writer: ChainWriter
    payer: bytes
    call: Call
    code: bytes
    """What the contract has on the chain, byte for byte."""
    kept: KeptAttempts | None

    def keep(self, attempt: Attempt) -> None:
        """See `Goal`."""
        _Unjournalled.keep(self, attempt)
        self._save()

    def refuse(self, attempt: Attempt) -> None:
        """See `Goal`."""
        _Unjournalled.refuse(self, attempt)
        self._save()

    def _save(self) -> None:
        if self.kept is not None:
            self.kept.save(self.made)

    def look(self) -> View[tuple[bytes, Header]]:
        """See `Goal`. Raises `RejectedError` if another contract is there."""
        block = self.reader.header("latest")
        for nonce in {attempt.nonce for attempt in self.made}:
            address = keccak256(encode([self.payer, number(nonce)]))[-ADDRESS_BYTES:]
            if self._is_there(address, block):
                return View(block, done=(address, block))
        return View(block, call=self.call)

    def _is_there(self, address: bytes, block: Header) -> bool:
        code_hash = self.writer.account(address, block).code_hash
        if code_hash == EMPTY_CODE:
            return False
        if code_hash != keccak256(self.code):
            raise RejectedError(
                f"the contract at {checksum(address)} does not have the code that was to be there: was the deployment "
                "begun by another release, or with other terms? Go on with those"
            )
        return True


def _receipt(made: list[Attempt], writer: ChainWriter) -> tuple[bytes, Receipt] | None:
    """The newest of some transactions that an endpoint says was mined and succeeded."""
    for attempt in reversed(made):
        receipt = writer.receipt(attempt.hash)
        if receipt is not None and receipt.success:
            return attempt.hash, receipt
    return None


def _slot(reader: ChainReader, registry_address: bytes, slot: bytes, block: Header) -> int:
    """What a slot holds after a block: proved where the endpoints offer that."""
    try:
        return reader.slots(registry_address, [slot], block)[0]
    except UnprovableError:
        return reader.storage(registry_address, slot, block)
