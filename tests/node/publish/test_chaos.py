"""All of it at once, at random: crashes, reorganisations, lost transactions, other wallets, outages; I1 and I2 hold.

`CHAOS_SEEDS=1000 pytest tests/node/publish/test_chaos.py` for a long run; a seed that fails is a test of its own.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dkg.errors import DkgError
from node.publish.fees import GWEI, FeePolicy
from node.publish.journal import Journal
from tests.chain.lies import FAULTS, honest
from tests.chain.proxy import proxy
from tests.chain.rpc import RpcFailure
from tests.node.publish.test_publish import STEPS
from tests.node.publish.world import World, hasty, request

if TYPE_CHECKING:
    from tests.chain.proxy import Proxy, Request, Response, Rule

SEEDS = int(os.environ.get("CHAOS_SEEDS", "4"))
ROUNDS = 20
DEEP = 64
"""More blocks than a run mines: nothing becomes final, so nothing may be lost for good."""

POLICY = FeePolicy(stuck_blocks=1, stuck_s=0.0, max_fee_cap=10**6 * GWEI, replacements_max=50)
QUICK_FAULTS = sorted(FAULTS.keys() - {"slow", "trickle", "endless body", "nested JSON", "refused"})


@dataclass
class Chaos:
    """What happens to a chain and to a publisher, by a seed."""

    world: World
    chance: random.Random
    acknowledged: list[str] = field(default_factory=list)

    @property
    def current(self) -> str:
        """The request that is published until it is acknowledged."""
        return f"r{len(self.acknowledged)}"

    def strike(self) -> None:
        """One misfortune, or none."""
        what = self.chance.random()
        if what < 0.3:
            self._reorganise()
        elif what < 0.4:
            self.world.mine(self.chance.randrange(1, 3))
        elif what < 0.5:
            with suppress(RpcFailure):  # the nonce is taken by one that pays as much
                self.world.rpc("eth_sendRawTransaction", self.world.payment(self.world.nonce()))
        elif what < 0.6:
            self._lose()
        elif what < 0.7:
            self.world.set_automine(self.chance.random() < 0.5)

    def _reorganise(self) -> None:
        depth = self.chance.randrange(1, 4)
        if int(self.world.rpc("eth_blockNumber"), 16) - depth < self.world.registry.first_block:
            return
        signed = self._signed()
        self.chance.shuffle(signed)
        pairs: list[list[Any]] = [
            ["0x" + raw.hex(), self.chance.randrange(depth)] for raw in signed[: self.chance.randrange(4)]
        ]
        if self.chance.random() < 0.3:
            pairs.append([self.world.payment(max(0, self.world.nonce() - self.chance.randrange(3))), 0])
        self.world.rpc("anvil_reorg", depth, pairs)

    def _signed(self) -> list[bytes]:
        """All transactions that were ever signed, as far as the journal has them."""
        home, domain, who = self.world.home(), self.world.domain, self.world.wallets.publisher
        if not home.journal.exists():
            return []
        journal = Journal(home.journal, domain, who, time.time)
        try:
            return [attempt.raw for job in journal.jobs() for attempt in journal.attempts(job)]
        finally:
            journal.close()

    def _lose(self) -> None:
        """The pool forgets the publisher's transactions."""
        waiting = self.world.rpc("txpool_content")["pending"].get("0x" + self.world.wallets.publisher.hex(), {})
        for transaction in waiting.values():
            self.world.rpc("anvil_dropTransaction", transaction["hash"])

    def rule(self, calls: int) -> Rule:
        """How the endpoint behaves for a while, after so many calls."""
        if self.chance.random() < 0.7:
            return honest
        fault, start = FAULTS[self.chance.choice(QUICK_FAULTS)](), calls + self.chance.randrange(1, 25)

        def rule(request: Request, response: Response) -> Response:
            return fault(request, response) if start <= request.number < start + 8 else response

        return rule

    def round(self, between: Proxy) -> None:
        """Publish, with whatever comes in between."""
        crash = self.chance.choice([*STEPS, "mined", "stored"]) if self.chance.random() < 0.5 else None

        def at(step: str) -> None:
            if self.chance.random() < 0.08:
                self.strike()
            if step == crash and self.chance.random() < 0.7:
                raise KeyboardInterrupt

        def waits(text: str, _done: int, _wanted: int) -> None:
            if "trying again" in text:
                return
            if self.chance.random() < 0.3:
                self.strike()
            if self.chance.random() < 0.5:
                self.world.mine()

        between.rule = self.rule(len(between.calls))
        with (
            suppress(KeyboardInterrupt, DkgError),
            self.world.publisher(between.url, policy=POLICY, at=at, depth=DEEP, waiting=hasty()) as publisher,
        ):
            if self.chance.random() < 0.2:
                publisher.resume(waits)
            else:
                publisher.publish(request(self.current), waits)
                self.acknowledged.append(self.current)
        self.strike()

    def calm(self) -> None:
        """The faults stop: what is left is published."""
        self.world.set_automine(True)
        self.world.mine()
        with self.world.publisher(policy=POLICY, depth=DEEP) as publisher:
            publisher.resume()
            for _ in range(2):
                publisher.publish(request(self.current))
                self.acknowledged.append(self.current)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_each_request_is_one_commit(here: World, seed: int) -> None:
    chaos = Chaos(here, random.Random(seed))
    with proxy(here.url, honest) as between:
        for _ in range(ROUNDS):
            chaos.round(between)
    chaos.calm()
    assert len(chaos.acknowledged) > ROUNDS // 4
    here.check(*chaos.acknowledged)
