"""What is asked of endpoints to bring a transaction to the chain: `ChainWriter`, and the one over JSON-RPC.

An account is read with `eth_getProof` against a block's state root, so a lie about a nonce or a balance is found out.
All other answers (fees, receipts, what waits in a pool) are hints. A transaction goes to every endpoint: one that
swallows it cannot keep it from the others.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from dkg.chain.secp import keccak256
from dkg.chain.trie import EMPTY_CODE, EMPTY_ROOT, verify_account
from dkg.client.quorum import ENDPOINTS_MAX
from dkg.client.rpc import ChainError, HttpRpc, RpcAnswerError, RpcRefusedError, RpcUnavailableError
from dkg.errors import InputError, ProofError
from node.publish.answers import Receipt, Taken, account_nodes, members, number, octets, receipt, refusal
from node.publish.errors import RevertedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dkg.chain.header import Header
    from dkg.client.rpc import Waiting
    from node.publish.calls import Call

TIMEOUT_S: Final = 10.0
"""Time for one call, in seconds."""

ATTEMPTS: Final = 2
"""How often a call is tried at one endpoint before the next is asked."""

_REVERTED: Final = "revert"
_WEI_MAX: Final = 2**256 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """An account after a block: its next nonce, its wei, and the hash of its code."""

    nonce: int
    balance: int
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending a transaction; `said`: the words of the endpoint that refused it."""

    taken: Taken
    said: str = ""


class ChainWriter(Protocol):
    """Brings transactions to a chain. Addresses have 20 bytes, hashes 32. All raise `ChainError`."""

    def account(self, address: bytes, block: Header) -> Account:
        """An account after a block, proved where the endpoints offer that. Raises `ProofError`."""

    def pending_nonce(self, address: bytes) -> int:
        """An account's next nonce after all transactions that wait."""

    def fees(self) -> tuple[int, int]:
        """The base fee of the next block and a tip that is customary, in wei for one unit of gas."""

    def try_call(self, sender: bytes, call: Call, block: Header) -> None:
        """Run a call on top of a block, and send nothing. Raises `RevertedError` if the contract reverts it."""

    def estimate_gas(self, sender: bytes, call: Call) -> int:
        """Units of gas that a call needs. Raises `RevertedError` if the contract reverts it."""

    def send(self, raw: bytes, digest: bytes) -> Answer:
        """Send a signed transaction with this hash."""

    def knows(self, digest: bytes) -> bool:
        """Whether an endpoint knows a transaction, mined or waiting."""

    def receipt(self, digest: bytes) -> Receipt | None:
        """The receipt of a transaction; None if no endpoint has one."""

    def block_number(self) -> int:
        """The number of the latest block."""

    def code(self, address: bytes) -> bytes:
        """The code of a contract after the latest block."""


class RpcWriter:
    """A `ChainWriter` over one or several endpoints. One object serves one thread at a time.

    Questions go to one endpoint, the next if that fails; who failed is asked last from then on.
    """

    def __init__(self, urls: Sequence[str], waiting: Waiting | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises `InputError` for no URL, too many, or one that is none. Nothing is sent yet."""
        if not 1 <= len(urls) <= ENDPOINTS_MAX:
            raise InputError(f"{len(urls)} endpoints were given; name 1 to {ENDPOINTS_MAX}")

        def connected(attempts: int) -> list[HttpRpc]:
            return [HttpRpc(url, timeout_s=timeout_s, attempts=attempts, waiting=waiting) for url in urls]

        self._order = connected(ATTEMPTS if len(urls) == 1 else 1)
        self._senders = [_Sending(rpc) for rpc in connected(1)]

    def close(self) -> None:
        """Close all connections."""
        for rpc in self._order:
            rpc.close()
        for sender in self._senders:
            sender.close()

    # --- ChainWriter ---------------------------------------------------------------------------------------

    def account(self, address: bytes, block: Header) -> Account:
        """See `ChainWriter`."""
        return self._first(lambda rpc: _account(rpc, address, block))

    def pending_nonce(self, address: bytes) -> int:
        """See `ChainWriter`."""
        return self._number("eth_getTransactionCount", _hex(address), "pending")

    def fees(self) -> tuple[int, int]:
        """See `ChainWriter`."""
        return self._first(_fees)

    def try_call(self, sender: bytes, call: Call, block: Header) -> None:
        """See `ChainWriter`."""
        where = {"blockHash": _hex(block.hash)}
        with _reverting():
            self._first(lambda rpc: octets(rpc.call("eth_call", [_question(sender, call), where]), "eth_call"))

    def estimate_gas(self, sender: bytes, call: Call) -> int:
        """See `ChainWriter`."""
        with _reverting():
            return self._number("eth_estimateGas", _question(sender, call))

    def send(self, raw: bytes, digest: bytes) -> Answer:
        """See `ChainWriter`. Gives the answer of the first that takes it, else the kindest refusal."""
        if len(self._senders) == 1:
            return self._senders[0].send(raw, digest)
        asked = {sender.submit(raw, digest) for sender in self._senders if not sender.busy}
        refusals: list[Answer] = []
        failures: list[ChainError] = []
        while asked:
            done, asked = wait(asked, return_when=FIRST_COMPLETED)
            for one in done:
                try:
                    answer = one.result()
                except ChainError as error:
                    failures.append(error)
                    continue
                if answer.taken is Taken.YES:
                    return answer
                refusals.append(answer)
        if refusals:
            return min(refusals, key=lambda answer: list(Taken).index(answer.taken))
        if not failures:
            raise RpcUnavailableError("every endpoint is still busy with the transaction before")
        raise failures[0]

    def knows(self, digest: bytes) -> bool:
        """See `ChainWriter`."""
        return self._any("eth_getTransactionByHash", digest, lambda found: members(found, "a transaction")) is not None

    def receipt(self, digest: bytes) -> Receipt | None:
        """See `ChainWriter`."""
        return self._any("eth_getTransactionReceipt", digest, lambda found: receipt(found, digest))

    def block_number(self) -> int:
        """See `ChainWriter`."""
        return self._number("eth_blockNumber")

    def code(self, address: bytes) -> bytes:
        """See `ChainWriter`."""
        return self._first(lambda rpc: octets(rpc.call("eth_getCode", [_hex(address), "latest"]), "eth_getCode"))

    # --- asking --------------------------------------------------------------------------------------------

    def _number(self, method: str, *params: object) -> int:
        return self._first(lambda rpc: number(rpc.call(method, params), f"{method} of {rpc.name}"))

    def _first(self, question: Callable[[HttpRpc], T]) -> T:
        """The first answer that is one; raises what the last one failed with."""
        failed: ChainError | ProofError | None = None
        for rpc in list(self._order):
            try:
                return question(rpc)
            except RpcRefusedError as error:  # an answer, if not the one that was wanted
                failed = error
            except (ChainError, ProofError) as error:
                failed = error
                self._order.remove(rpc)
                self._order.append(rpc)
        raise failed or AssertionError("at least one endpoint")

    def _any(self, method: str, digest: bytes, read: Callable[[object], T | None]) -> T | None:
        """The first answer that is not null; null if one endpoint says so and none says otherwise."""
        failed: ChainError | None = None
        nothing = False
        for rpc in list(self._order):
            try:
                answer = rpc.call(method, [_hex(digest)])
                found = None if answer is None else read(answer)
            except ChainError as error:
                failed = error
                continue
            if found is not None:
                return found
            nothing = True
        if failed is not None and not nothing:
            raise failed
        return None


class _Sending:
    """One endpoint as transactions are sent to it: in a thread of its own where there are several endpoints."""

    def __init__(self, rpc: HttpRpc) -> None:
        self._rpc = rpc
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[Answer] | None = None

    @property
    def busy(self) -> bool:
        """Whether the transaction before is still on its way: a slow endpoint gets no queue."""
        return self._last is not None and not self._last.done()

    def submit(self, raw: bytes, digest: bytes) -> Future[Answer]:
        """Send it in the background."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="dkg-send")
        self._last = self._pool.submit(self.send, raw, digest)
        return self._last

    def send(self, raw: bytes, digest: bytes) -> Answer:
        """Send it, and check that the endpoint speaks of the same transaction."""
        try:
            found = self._rpc.call("eth_sendRawTransaction", [_hex(raw)])
        except RpcRefusedError as error:
            return Answer(refusal(str(error)), str(error))
        if octets(found, f"the answer of {self._rpc.name} to eth_sendRawTransaction") != digest:
            raise RpcAnswerError(f"{self._rpc.name} took the transaction {_hex(digest)} for another one")
        return Answer(Taken.YES)

    def close(self) -> None:
        """End the thread and the connection."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._rpc.close()  # ends a call that is under way
            self._pool.shutdown(wait=True)
        self._rpc.close()


@contextmanager
def _reverting() -> Iterator[None]:
    try:
        yield
    except RpcRefusedError as error:
        if _REVERTED not in str(error).lower():
            raise
        raise RevertedError(f"the contract would refuse this: {error}") from error


def _question(sender: bytes, call: Call) -> dict[str, str]:
    """A call as JSON-RPC has it."""
    named = {"from": _hex(sender), "data": _hex(call.data)} | ({"to": _hex(call.to)} if call.to else {})
    return named | ({"value": hex(call.value)} if call.value else {})


def _account(rpc: HttpRpc, address: bytes, block: Header) -> Account:
    where = {"blockHash": _hex(block.hash)}
    if block.state_root == EMPTY_ROOT:  # anvil's genesis block: it has accounts, and its header denies it
        return _unproved(rpc, address, where)
    try:
        answer = rpc.call("eth_getProof", [_hex(address), [], where])
    except RpcRefusedError as error:
        if not error.is_unknown_method:
            raise
        return _unproved(rpc, address, where)
    found = verify_account(block.state_root, address, account_nodes(answer))
    return Account(0, 0, EMPTY_CODE) if found is None else Account(found.nonce, found.balance, found.code_hash)


def _unproved(rpc: HttpRpc, address: bytes, where: dict[str, str]) -> Account:
    def ask(method: str) -> Any:  # noqa: ANN401 - JSON
        return rpc.call(method, [_hex(address), where])

    nonce = number(ask("eth_getTransactionCount"), "eth_getTransactionCount")
    balance = number(ask("eth_getBalance"), "eth_getBalance", _WEI_MAX)
    return Account(nonce, balance, keccak256(octets(ask("eth_getCode"), "eth_getCode")))


def _fees(rpc: HttpRpc) -> tuple[int, int]:
    history = members(rpc.call("eth_feeHistory", ["0x1", "latest", []]), "the answer of eth_feeHistory")
    base_fees = history.get("baseFeePerGas")
    if not isinstance(base_fees, list) or not base_fees:
        raise RpcAnswerError(f"eth_feeHistory of {rpc.name} tells no base fee: a chain without EIP-1559?")
    tip = number(rpc.call("eth_maxPriorityFeePerGas"), "eth_maxPriorityFeePerGas")
    return number(base_fees[-1], "a base fee"), tip


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
