"""A chain with a registry, homes that publish to it, and what must hold whatever happened (I1, I2 of DESIGN)."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eth_account import Account

from dkg.chain.registry import COMMITTED, Committed, decode_event
from dkg.chain.secp import checksum
from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader
from dkg.client.fsck import check_store
from dkg.client.rpc import HttpRpc, Waiting
from dkg.client.settings import ChainSettings
from dkg.client.store import SqliteStore
from dkg.dataset import quads
from dkg.page import CID_PREFIX
from dkg.pages import StoredPages
from node.change import Change
from node.devnet.accounts import dev_accounts
from node.devnet.chain import Options, devnet
from node.home import Home
from node.publish.fees import GWEI, FeePolicy
from node.publish.journal import Journal
from node.publish.published import Request
from node.publish.publisher import Publisher, connected
from node.publish.sender import At, Tools
from node.publish.waits import Waits
from node.publish.wallet import Wallets
from node.publish.writer import RpcWriter
from tests.chain.anvil import anvil
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dkg.chain.commit import Domain
    from dkg.pages import Pages
    from dkg.terms import Quad
    from node.change import Edit
    from node.publish.jobs import Attempt, Entry, Job

KEYS = [account.key for account in dev_accounts(6)]
KEY, OTHER_KEY, PAYER_KEY = KEYS[:3]

QUICK = Waits(poll_min_s=0.001, poll_max_s=0.02, look_s=0.1, patience_s=20.0, outage_s=20.0, lock_s=5.0)
"""Waits for a chain that answers in a millisecond."""

PATIENT = Waits(poll_min_s=0.02, poll_max_s=1.0, look_s=2.0, patience_s=20.0, outage_s=20.0)
"""For a clock that only sleeping moves: a lie that lasts is given up after some thirty looks."""

PROMPT = FeePolicy(stuck_blocks=1, stuck_s=0.0)
"""Replaces a transaction that one block did not take."""

DEPTH = 2


def quad(number: int, what: str = "x") -> Quad:
    return b"<https://e/s%d>" % number, b"<https://e/p>", b'"%s"' % what.encode(), b"<https://e/g>"


def adds(*quads: Quad) -> Edit:
    """The edit that puts quads in, if they are not there."""

    def edit(_pages: Pages, _base: bytes | None) -> Change:
        return Change(frozenset(quads))

    return edit


def request(name: str, *quads: Quad) -> Request:
    """A request that adds quads; one of its own if none are named."""
    return Request(name, f"label of {name}", adds(*(quads or (quad(0, name),))))


@dataclass
class FakeTime:
    """A clock that only sleeping moves."""

    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def waiting(self) -> Waiting:
        return Waiting(clock=lambda: self.now, sleep=self.sleep, random=lambda: 0.5)


def hasty() -> Waiting:
    """No long sleeps: retries are as quick as the chain."""
    return Waiting(sleep=lambda seconds: time.sleep(min(seconds, 0.002)))


@dataclass
class World:
    """A chain with a registry. `rpc`: the honest endpoint."""

    url: str
    rpc: Rpc
    registry: Registry
    homes: Path
    key: bytes = KEY
    wallets: Wallets = field(default_factory=lambda: Wallets.of(KEY))

    @property
    def domain(self) -> Domain:
        return self.registry.domain

    def home(self, name: str = "home") -> Home:
        return Home(self.homes / name)

    def settings(self, *urls: str, need: int = 1, depth: int = DEPTH) -> ChainSettings:
        return ChainSettings(
            self.domain.chain_id,
            checksum(self.domain.registry),
            list(urls) or [self.url],
            need=need,
            first_block=self.registry.first_block,
            finality_depth=depth,
        )

    @contextmanager
    def publisher(  # noqa: PLR0913 - all that tests change
        self,
        *urls: str,
        home: str = "home",
        wallets: Wallets | None = None,
        policy: FeePolicy | None = None,
        waits: Waits = QUICK,
        waiting: Waiting | None = None,
        at: At | None = None,
        depth: int = DEPTH,
        send_to: Sequence[str] = (),
        timeout_s: float = 20.0,
    ) -> Iterator[Publisher]:
        """A publisher. `urls`: its endpoints (default: the honest one); `send_to`: others for its transactions."""
        settings = self.settings(*urls, depth=depth)
        waiting = waiting or Waiting()
        with (
            connected(settings.endpoints, settings.need, waiting, timeout_s=timeout_s) as (reader, same),
            closing(RpcWriter(send_to, waiting) if send_to else same) as writer,
        ):
            tools = Tools(writer, waiting, time.time, policy or FeePolicy(), waits, at or (lambda _step: None))
            publisher = Publisher(self.home(home), settings, wallets or self.wallets, reader, tools)
            try:
                yield publisher
            finally:
                publisher.close()

    def fund(self, address: bytes, wei: int = 10**18) -> None:
        """Send coins from the last account."""
        payment = {"from": "0x" + self.registry.accounts[-1].hex(), "to": "0x" + address.hex(), "value": hex(wei)}
        digest = self.rpc("eth_sendTransaction", payment)
        while self.rpc("eth_getTransactionReceipt", digest) is None:
            pass

    # --- looking -------------------------------------------------------------------------------------------

    def events(self, publisher: bytes | None = None) -> list[Committed]:
        """What the registry has logged of a publisher."""
        who = publisher or self.wallets.publisher
        topics = ["0x" + COMMITTED.hex(), "0x" + who.rjust(32, b"\0").hex()]
        address = "0x" + self.domain.registry.hex()
        found = self.rpc("eth_getLogs", {"address": address, "fromBlock": "0x0", "topics": topics})
        events = []
        for log in found:
            block = self.rpc("eth_getBlockByHash", log["blockHash"], False)  # noqa: FBT003 - JSON-RPC
            number, stamp = int(block["number"], 16), int(block["timestamp"], 16)
            kinds = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            event = decode_event(kinds, bytes.fromhex(log["data"][2:]), number, stamp)
            assert isinstance(event, Committed)
            events.append(event)
        return events

    def client(self, publisher: bytes | None = None) -> Client:
        """One that has seen nothing yet."""
        reader = RpcReader(HttpRpc(self.url))
        return Client(reader, self.domain, publisher or self.wallets.publisher, clock=time.time, finality_depth=DEPTH)

    def journal(self, name: str = "home") -> tuple[list[Job], dict[str, list[Entry]]]:
        """The jobs of a home, and their history by request."""
        journal = Journal(self.home(name).journal, self.domain, self.wallets.publisher, time.time)
        try:
            jobs = journal.jobs()
            return jobs, {job.request: journal.history(job) for job in jobs}
        finally:
            journal.close()

    def attempts(self, name: str) -> list[Attempt]:
        """The transactions that were signed for a request."""
        journal = Journal(self.home().journal, self.domain, self.wallets.publisher, time.time)
        try:
            job = journal.job(name)
            assert job is not None
            return journal.attempts(job)
        finally:
            journal.close()

    def payment(self, nonce: int, wei: int = 50 * GWEI) -> str:
        """A transaction of the publisher's own account that is not ours, in hex. `wei`: for one unit of gas."""
        fields = {"type": 2, "chainId": self.domain.chain_id, "nonce": nonce, "gas": 21_000, "value": 1}
        fields |= {"maxFeePerGas": wei, "maxPriorityFeePerGas": wei // 2}
        signed = Account.sign_transaction(fields | {"to": checksum(b"\x99" * 20)}, self.key)
        return "0x" + bytes(signed.raw_transaction).hex()

    def set_automine(self, wanted: bool) -> None:  # noqa: FBT001 - as the method itself
        """Whether each transaction is mined as it comes."""
        self.rpc("evm_setAutomine", wanted)

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def nonce(self) -> int:
        """The next nonce of the account that pays."""
        return int(self.rpc("eth_getTransactionCount", "0x" + self.wallets.payer.address.hex(), "latest"), 16)

    def states(self, name: str) -> list[str]:
        """The states that the job of a request went through."""
        return [str(entry.state) for entry in self.journal()[1][name]]

    def content(self, name: str = "home") -> set[Quad]:
        """The quads of the store's head, which is whole."""
        with SqliteStore(self.home(name).store, read_only=True) as store:
            assert check_store(store).problems == []
            head = store.head()
            assert head is not None
            return {found for batch in quads(StoredPages(store), head) for found in batch}

    def check(self, *requests: str, home: str = "home") -> list[Committed]:
        """What must hold when all is done: one commit for each request, in order; journal, store and chain agree.

        Gives the commits as the registry logged them.
        """
        events = self.events()
        assert [event.commit.seq for event in events] == list(range(1, len(requests) + 1))
        jobs = {job.request: job for job in self.journal(home)[0] if job.state != "failed"}
        assert [job.commit for job in (jobs[name] for name in requests)] == [event.commit for event in events]
        assert set(jobs) == set(requests)
        assert {str(job.state) for job in jobs.values()} <= {"mined", "final"}
        for event in events:
            kept = self.home(home).commit(event.commit.seq)
            assert kept is not None
            assert kept.commit == event.commit
        client = self.client()
        try:
            head = client.head()
        finally:
            client._reader.close()
        assert head.committed == events[-1]
        with SqliteStore(self.home(home).store, read_only=True) as store:
            assert store.head() == CID_PREFIX + events[-1].commit.root
        latest = jobs[requests[-1]].outcome
        assert latest is not None
        block = self.rpc("eth_getBlockByNumber", hex(events[-1].block), False)  # noqa: FBT003 - JSON-RPC
        assert (latest.block, "0x" + latest.block_hash.hex()) == (events[-1].block, block["hash"])
        return events


@contextmanager
def world(homes: Path, options: Options | None = None) -> Iterator[World]:
    """A development chain with a registry."""
    with devnet(options) as chain:
        rpc = Rpc(chain.url)
        yield World(chain.url, rpc, Registry(rpc), homes)


@contextmanager
def anvil_world(homes: Path) -> Iterator[World]:
    """Anvil with a registry; the test is skipped where there is no anvil."""
    with anvil() as chain:
        yield World(chain.url, chain.rpc, Registry(chain.rpc), homes)
