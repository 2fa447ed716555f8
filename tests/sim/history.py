"""One history of a simulated network from a seed: publishers publish, and everything goes wrong that can; then nothing.

Weather, partitions, one-way links, crashes where a node waits and where it writes, restarts, slow disks, disks that
refuse, endpoints that are down, lag or lie, clocks that are wrong, reorganisations, and peers that lie. The invariants
are checked on every node every second, at every start, and at the end (`tests.sim.checks`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.errors import DkgError, ProofError
from dkg.page import CID_PREFIX
from node.core.shelf import Staged
from node.serving import Ticket
from tests.node.replication import datasets
from tests.sim.actors import Actor, key_of
from tests.sim.checks import BrokenError, Checks
from tests.sim.cores import DEPTH, EPOCH, CoreNet, NodeDiedError
from tests.sim.ledger import RevertError, RotateTo
from tests.sim.ledger import signed as sign
from tests.sim.liars import shifty
from tests.sim.loop import SimRuntime
from tests.sim.transport import Weather

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from dkg.client.chainread import Log
    from tests.sim.cores import CoreNode

WITHHELD, MALFORMED, COUNTS = "withheld", "malformed", "counts"
EVIL = ("", WITHHELD, "", MALFORMED, "", COUNTS)
"""What villains do, a kind a seed."""

FAULTS_S = 60.0
"""How long faults last, in seconds."""

CONVERGED_S = 240.0
"""How long nodes may take to come to what the chain says when faults have stopped, in seconds."""


class CoreHistory:
    """One run."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        nodes: int = 3,
        liars: int = 1,
        publishers: int = 2,
        commits: int = 3,
        faults: bool = True,
    ) -> None:
        self.seed = seed
        self.core_net = CoreNet(seed, folder)
        self.rng = self.core_net.rng
        self.faults = faults
        self.commits = commits
        self.nodes = [self.core_net.node(f"n{number}") for number in range(nodes)]
        self.liars = [self.core_net.node(f"liar{number}", pays=False) for number in range(liars)]
        self.actors = [Actor(number + 1) for number in range(publishers)]
        self.evil = EVIL[seed % len(EVIL)] if faults else ""
        """What a publisher does that means no good."""
        self.villain = Actor(900)
        self.lair = self.core_net.node("lair", pays=False) if self.evil else None
        if self.evil == COUNTS:
            self.actors.append(self.villain)
            self.villain.malformed.add(1)
        self.checks = Checks(self.core_net, self.actors)
        self.core_net.on_start = self._started
        self.told = self.core_net.net.faults
        """What went wrong."""
        self.published = 0
        self.converged_s = -1.0

    def run(self) -> CoreHistory:
        """Run it. An error names the seed, and how to run it again."""
        try:
            self.core_net.run(self._main)
        except BaseException as error:
            error.add_note(
                f"seed {self.seed}: rerun with `python -m tests.sim.core {self.seed}`, which prints what happened"
            )
            raise
        return self

    def _started(self, node: CoreNode) -> None:
        if node is self.lair:
            self._furnish(node)
        elif node in self.liars:
            runtime = SimRuntime(self.core_net.loop, node.name)
            self.core_net.net.liars[node.name] = shifty(runtime, self.told, self.seed)
        else:
            self.checks.started(node)

    def _furnish(self, node: CoreNode) -> None:
        """Give a villain's pages to the node that serves them to everybody."""
        store = node.core.parts.store
        store.pages.put_many(self.villain.store.pages.items())
        for root in self.villain.quads:
            node.core.shelf.stage(Staged(self.villain.address, 0, root), at=int(EPOCH + self.core_net.loop.time))

    async def _do_evil(self) -> None:
        """Anchor what nobody has, or no dataset, or one with a wrong number of quads and then with the right one."""
        net, villain, rng = self.core_net, self.villain, self.rng
        if self.evil == MALFORMED:
            made, head = rng.choice(datasets.MALFORMED)()
            villain.store.put_many(made.pages.items())
            root, count = head.root, head.count
        else:
            quads = frozenset(villain.some_quads(rng, 30))
            root, count = villain.dataset(None, quads, frozenset(), quads), len(quads)
            if self.evil == WITHHELD:
                self.told.add("C2 withheld")
                root = root[:4] + rng.randbytes(32)
        if self.lair is not None and self.lair.is_up:
            self._furnish(self.lair)
        await net.runtime.sleep(rng.uniform(0, 40))
        for number in range(2 if self.evil == COUNTS else 1):
            told = count + 1 - number if self.evil == COUNTS else count
            digest = root.removeprefix(CID_PREFIX)
            commit = Commit(villain.address, number + 1, digest, told, digest if number else ZERO_HASH, EPOCH)
            while all(one.commit != commit for one in net.ledger.commits()):
                if self._follows(sign(key_of(villain.number), commit)):
                    self._send(sign(key_of(villain.number), commit))
                await net.runtime.sleep(5.0)
        while self.lair is not None:  # it throws away what does not count, and the villain brings it again
            if self.lair.is_up:
                self._furnish(self.lair)
            await net.runtime.sleep(5.0)

    async def _main(self) -> None:
        net, runtime = self.core_net, self.core_net.runtime
        for node in net.nodes:
            node.start()
        net.nursery.start_soon(net.blocks)
        net.nursery.start_soon(self._look)
        for actor in self.actors:
            if actor is not self.villain:
                net.nursery.start_soon(self._publish, actor)
        if self.evil:
            net.nursery.start_soon(self._do_evil)
        if self.faults:
            async with runtime.nursery() as troubles:
                for trouble in (
                    self._weather, self._crashes, self._reorganisations, self._endpoints, self._disks, self._replays
                ):  # fmt: skip
                    troubles.start_soon(trouble)
                await runtime.sleep(FAULTS_S)
                troubles.cancel()
        await self._settle()
        self.checks.end(self.nodes)

    async def _look(self) -> None:
        """Check what every node says, every second."""
        while True:
            await self.core_net.runtime.sleep(1.0)
            for node in self.nodes:
                if node.is_up:
                    self.checks.node(node)
                    for event, facts in node.events:
                        self.checks.log(node.name, event, facts)
                    node.events.clear()

    async def _settle(self) -> None:
        """No more faults: everybody comes to what the chain says."""
        net, runtime = self.core_net, self.core_net.runtime
        net.net.weather = Weather()
        net.net.heal()
        for node in net.nodes:
            node.reader.down, node.reader.lag, node.reader.lie = False, 0, None
            node.disk.fails, node.disk.crash_after, node.disk_s = False, -1, 0.0
        since = runtime.now()
        while True:
            await runtime.sleep(1.0)
            for node in net.nodes:
                if not node.is_up:
                    node.start()
            await runtime.sleep(0.1)
            late = self.checks.behind(self.nodes)
            if (
                not late
                and self.published == sum(actor is not self.villain for actor in self.actors)
                and not self._unsettled()
            ):
                break
            if runtime.now() - since > CONVERGED_S:
                raise BrokenError(f"I9: {'; '.join(late) or self._unsettled()}")
        self.converged_s = runtime.now() - since

    def _unsettled(self) -> list[str]:
        """Operations on the chain that are not told to be."""
        there = {one.commit for one in self.core_net.ledger.commits()}
        found = []
        for node, name, signed in self.checks.acknowledged:
            operation = node.core.desk.get(name) if node.is_up else None
            if signed.commit in there and operation is not None and operation.state not in {"final", "mined"}:
                found.append(f"{node.name} {name} {operation.state}")
        return found

    # --- publishing ------------------------------------------------------------------------------------------------

    async def _publish(self, actor: Actor) -> None:
        net, runtime = self.core_net, self.core_net.runtime
        for number in range(self.commits):
            await runtime.sleep(self.rng.uniform(0, FAULTS_S / self.commits if self.faults else 5.0))
            await self._one(actor, f"{actor.number}-{number}")
        net.trace("actor", "done", {"number": actor.number})
        self.published += 1

    async def _one(self, actor: Actor, name: str) -> None:
        """Bring one commit to the chain, whatever happens; one that a reorganisation overtook is made anew."""
        net, runtime, ledger = self.core_net, self.core_net.runtime, self.core_net.ledger
        attempt = 0
        while True:
            state = ledger.head.state
            latest, key = state.latest.get(actor.address), actor.keys()[state.signer(actor.address) or b""]
            self._rotate(actor)
            signed, car = actor.next(self.rng, latest, int(EPOCH + net.loop.time), key)
            attempt += 1
            if await self._uploaded(signed, car, f"{name}-{attempt}") and await self._is_there(signed):
                return
            await runtime.sleep(2.0)

    def _rotate(self, actor: Actor) -> None:
        """Now and then another key signs from now on; which one does is what the chain says."""
        ledger = self.core_net.ledger
        if self.rng.random() < 0.1:
            actor.rotations += 1
            ledger.send(RotateTo(actor.address, [*actor.keys()][-1]))

    async def _uploaded(self, signed: SignedCommit, car: bytes, name: str) -> bool:
        """Have a node acknowledge it; False: the chain has gone on meanwhile."""
        net, runtime = self.core_net, self.core_net.runtime
        relay = self.rng.random() < 0.7
        while self._follows(signed):
            up = [node for node in self.nodes if node.is_up]
            if up:
                node = self.rng.choice(up)
                ticket = Ticket(f"{name}-{node.name}", sha256(signed.encode()).hexdigest())
                try:
                    await node.call(partial(node.core.publish_signed, ticket, signed, car, relay=relay))
                except DkgError as error:
                    net.trace(node.name, "no upload", {"why": str(error)})
                except NodeDiedError:
                    net.trace(node.name, "died", {})
                else:
                    if self.rng.random() < 0.2:
                        await self._equivocate(node, signed)
                    self.checks.acknowledged.append((node, ticket.id, signed))
                    net.trace(node.name, "acknowledged", {"id": ticket.id, "relay": relay})
                    if not relay:
                        self._send(signed)
                    return True
            await runtime.sleep(self.rng.uniform(0.5, 4.0))
        return False

    async def _equivocate(self, node: CoreNode, signed: SignedCommit) -> None:
        """Show a node a second commit with the same number."""
        other = replace(signed.commit, created=signed.commit.created + 1)
        actor = next(one for one in self.actors if one.address == signed.commit.publisher)
        key = actor.keys()[signed.commit.signed_by(signed.domain, signed.signature)]
        second = SignedCommit.make(signed.domain, other, key)
        ticket = Ticket(f"second-{node.name}-{other.created}", sha256(second.encode()).hexdigest())
        try:
            await node.call(lambda: node.core.publish_signed(ticket, second, b"", relay=False))
        except ProofError as error:
            self.core_net.trace(node.name, "accused", {"why": str(error)})
            if "evidence" in str(error):
                self.checks.accused.append((node, second))
                self.told.add("C7 equivocations")
        except (DkgError, NodeDiedError) as error:
            self.core_net.trace(node.name, "not shown", {"why": str(error)})

    def _follows(self, signed: SignedCommit) -> bool:
        """Whether the chain has a commit as its publisher's latest, or would take it as the next."""
        state, commit = self.core_net.ledger.head.state, signed.commit
        latest = state.latest.get(commit.publisher)
        if latest is not None and latest.commit == commit:
            return True
        if commit.signed_by(signed.domain, signed.signature) != state.signer(commit.publisher):
            return False
        return (commit.seq, commit.previous) == (
            (latest.commit.seq + 1, latest.commit.root) if latest else (1, ZERO_HASH)
        )

    def _send(self, signed: SignedCommit) -> None:
        try:
            self.core_net.ledger.send(signed)
        except RevertError as error:
            self.core_net.trace("pool", "refused", {"why": str(error)})

    async def _is_there(self, signed: SignedCommit) -> bool:
        """Wait until a commit is buried; False when the chain has another in its place."""
        ledger = self.core_net.ledger
        while True:
            await self.core_net.runtime.sleep(1.0)
            found = [one for one in ledger.commits() if one.commit == signed.commit]
            if found and found[0].block + DEPTH <= ledger.head.header.number:
                return True
            if not found and not self._follows(signed):
                return False
            if not found and self.rng.random() < 0.1:
                self._send(signed)  # whoever signed it may send it too

    # --- trouble ---------------------------------------------------------------------------------------------------

    async def _weather(self) -> None:
        net, rng = self.core_net.net, self.rng
        names = [node.name for node in self.core_net.nodes]
        while True:
            net.weather = Weather(0.001, rng.choice([0.05, 3.0]), rng.choice([0, 0.1, 0.4]), 0.1)
            net.heal()
            rng.shuffle(names)
            kind = rng.randrange(3)
            if kind == 1:
                half = rng.randrange(len(names))
                net.partition(names[:half], names[half:])
            elif kind == 2:
                self.told.add("G3 cut one way")
                net.cut = {(a, b) for a in names for b in names if rng.random() < 0.3}
            await self.core_net.runtime.sleep(rng.uniform(1, 15))

    async def _crashes(self) -> None:
        """Nodes stop where they wait, where they write, or in order; and start again."""
        rng, runtime = self.rng, self.core_net.runtime
        while True:
            await runtime.sleep(rng.uniform(2, 15))
            node = rng.choice(self.nodes)
            if not node.is_up:
                node.disk_s = rng.choice([0.0, 0.0, 0.05, 0.5])
                node.skew_s = rng.choice([0.0, 0.0, -3600.0, 86_400.0])
                self.told.add("G1 skewed clocks", node.skew_s != 0.0)
                node.start()
            else:
                how = rng.randrange(4)
                if how == 0:
                    node.stop()
                elif how == 1:
                    node.crash()
                else:
                    node.disk.crash_after = rng.randrange(12)
            for other in self.nodes:
                if not other.is_up and other is not node and rng.random() < 0.5:
                    other.start()

    async def _reorganisations(self) -> None:
        rng, ledger = self.rng, self.core_net.ledger
        while True:
            await self.core_net.runtime.sleep(rng.uniform(4, 25))
            depth = rng.randrange(1, DEPTH)
            if depth >= len(ledger.blocks):
                continue
            now = int(EPOCH + self.core_net.loop.time)
            kept = rng.choice([0.0, 0.5, 1.0])
            times = [now] * (depth + rng.randrange(2))
            gone = ledger.reorganise(depth, times, lambda _sent, share=kept: rng.random() < share)  # type: ignore[misc]
            self.told.add("B1 reorganisations")
            self.told.add("B2 commits dropped", len(gone))
            self.core_net.trace("chain", "reorganised", {"depth": depth, "gone": len(gone)})

    async def _endpoints(self) -> None:
        rng = self.rng
        while True:
            await self.core_net.runtime.sleep(rng.uniform(2, 10))
            for node in self.nodes:
                reader = node.reader
                reader.down = rng.random() < 0.2
                reader.lag = rng.choice([0, 0, 0, 1, 2])
                reader.lie = rng.choice([None, None, None, _Lies(rng)])

    async def _replays(self) -> None:
        """Liars repeat what was announced long ago, now and then in floods."""
        rng, net = self.rng, self.core_net.net
        while True:
            await self.core_net.runtime.sleep(rng.uniform(3, 12))
            for node in self.liars:
                if node.transport is not None and node.transport.up and net.announced:
                    old = rng.choice(net.announced)
                    times = rng.choice([1, 1, 100])
                    self.told.add("C3 stale heads")
                    self.told.add("C9 floods", times > 1)
                    for _ in range(times):
                        node.transport.announce(old)

    async def _disks(self) -> None:
        rng, runtime = self.rng, self.core_net.runtime
        while True:
            await runtime.sleep(rng.uniform(5, 25))
            node = rng.choice(self.nodes)
            node.disk.fails = True
            await runtime.sleep(rng.uniform(0.5, 5))
            node.disk.fails = False


class _Lies:
    """An endpoint that leaves events out, forges them, or alters blocks. What hashes and proofs show stays as it is."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._kind = rng.randrange(4)

    def __call__(self, method: str, answer: Any) -> Any:  # noqa: ANN401 - whatever was asked
        if method == "logs" and answer:
            last: Log = answer[-1]
            if self._kind == 0:
                return answer[:-1]
            if self._kind == 1:
                data = bytes([last.data[0] ^ 1]) + last.data[1:]
                return [*answer[:-1], replace(last, data=data)]
            if self._kind == 2:
                return [*answer, replace(last, log_index=last.log_index + 1)]
        if method == "header" and self._kind == 3 and self._rng.random() < 0.5:
            raise ProofError("the header does not hash to the hash that it names")  # as `RpcReader` finds
        return answer
