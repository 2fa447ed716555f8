"""The invariants of DESIGN, section 9, checked from outside on simulated nodes: while faults last, and at the end.

A check knows the whole chain, all blocks that there ever were, and what each publisher put into each dataset. So it
says of every answer whether it was right at the time, whatever the node knew.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dkg.chain.evidence import check_evidence
from dkg.errors import DkgError, ProofError
from dkg.page import CID_PREFIX, cid_text
from dkg.proof import verify
from node.core.desk import INBOX
from node.core.uploads import EVIDENCE
from node.serving import At, Claim, Stage, State, UnknownMomentError, UnknownPublisherError, body_of
from node.storage import check_node
from node.union_keeper import UNION
from node.workers.errors import OverloadedError
from node.workers.jobs import Prove
from tests.sim.actors import key_of, union_root
from tests.sim.cores import DEPTH

if TYPE_CHECKING:
    from dkg.chain.commit import Commit, SignedCommit
    from dkg.chain.registry import Committed
    from node.serving import Standing
    from tests.sim.actors import Actor
    from tests.sim.cores import CoreNet, CoreNode

QUERY = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } ORDER BY ?s ?p ?o"

ALL_QUERY = "SELECT ?s ?p ?o ?g WHERE { GRAPH ?g { ?s ?p ?o } }"

KEPT_MAX = 40
"""Roots that a node keeps under all names, with the retention of the simulation."""

UNDER_WAY_MAX = 64
"""Requests of one node under way at a time."""


class BrokenError(AssertionError):
    """An invariant does not hold; its number is the first word."""


class Checks:
    """See the module."""

    def __init__(self, net: CoreNet, actors: list[Actor]) -> None:
        self.net = net
        self.actors = actors
        self.acknowledged: list[tuple[CoreNode, str, SignedCommit]] = []
        self.accused: list[tuple[CoreNode, SignedCommit]] = []
        """Second commits with a number that was taken, and who was shown them after the first."""
        self.checked = 0
        self._final: dict[tuple[str, bytes], tuple[int, bytes]] = {}
        self._unions: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}
        self._secrets = [key_of(actor.number).hex() for actor in actors]

    # --- while it runs -----------------------------------------------------------------------------------------------

    def node(self, node: CoreNode) -> None:
        """Everything that a node would say now."""
        for actor in self.actors:
            try:
                self._publisher(node, actor, node.core.standing((actor.address,)))
            except (UnknownPublisherError, UnknownMomentError):
                self._nothing(node, actor)
        with suppress(UnknownMomentError):
            self._union(node, node.core.standing(None))
        self._earlier(node)
        self._some(node)
        self._bounded(node)
        self.checked += 1

    def started(self, node: CoreNode) -> None:
        """A node has started: what it acknowledged before is there, and what is left of it to do can be done (I1)."""
        desk = node.core.desk
        for other, name, signed in self.acknowledged:
            if other is not node:
                continue
            found = desk.get(name)
            if found is None:
                raise BrokenError(f"I1: {node.name} has forgotten the operation {name}")
            if not Stage(found.state).finished and (
                not desk.has_content(name) or desk.content(name) != signed.encode()
            ):
                raise BrokenError(f"I1: {node.name} has lost the commit that it acknowledged as {name}")

    def _block(self, node: CoreNode, standing: Standing) -> dict[bytes, Committed]:
        """The publishers' latest commits as of the block that an answer names; the block is one of the chain (I3)."""
        block = self.net.ledger.ever.get(standing.block_hash)
        if block is None or (block.header.number, block.header.timestamp) != (standing.block, standing.block_time):
            raise BrokenError(f"I3: {node.name} answers as of a block that never was: {standing}")
        return block.state.latest

    def _earlier(self, node: CoreNode) -> None:
        """What a node says of an earlier moment: as the chain that it has read was then (I3)."""
        head = node.core.chain.view.head
        block = self.net.ledger.ever.get(head.hash) if head is not None else None
        if block is None:
            return
        number = self.net.rng.randrange(block.header.number + 1)
        while block.header.number > number:
            block = self.net.ledger.ever[block.header.parent]
        latest = block.state.latest
        for actor in self.actors:
            with suppress(UnknownPublisherError, UnknownMomentError):
                standing = node.core.standing((actor.address,), At(block=number))
                then = latest.get(actor.address)
                if then is None or standing.root != CID_PREFIX + then.commit.root:
                    raise BrokenError(f"I3: {node.name} has another root for {actor.number} as of block {number}")
        with suppress(UnknownMomentError):
            standing = node.core.standing(None, At(time=block.header.timestamp))
            same_time = [one for one in self.net.ledger.ever.values() if one.header.timestamp == block.header.timestamp]
            if standing.behind == 0 and all(standing.root != self.oracle(one.state.latest) for one in same_time):
                raise BrokenError(f"I3: {node.name} has another union as of {block.header.timestamp}: {standing}")

    def _some(self, node: CoreNode) -> None:
        """The union of two publishers."""
        both = tuple(sorted(actor.address for actor in self.actors[:2]))
        with suppress(UnknownPublisherError, UnknownMomentError, OverloadedError):
            standing = node.core.standing(both)
            latest = {who: one for who, one in self._block(node, standing).items() if who in both}
            if standing.behind == 0 and standing.root != self.oracle(latest):
                raise BrokenError(f"I3: {node.name} has another union of two publishers: {standing}")

    def _publisher(self, node: CoreNode, actor: Actor, standing: Standing) -> None:
        latest = self._block(node, standing).get(actor.address)
        seq = standing.seq or 0
        if standing.claim is not Claim.PUBLISHER or latest is None or seq > latest.commit.seq:
            raise BrokenError(f"I3: {node.name} has commit {seq} where the chain has {latest}: {standing}")
        if standing.behind != latest.commit.seq - seq - self._refused(actor, seq, latest.commit.seq):
            raise BrokenError(f"I3: {node.name} says that it is {standing.behind} behind: {seq}, {latest.commit.seq}")
        if standing.behind == 0 and standing.root != CID_PREFIX + latest.commit.root:
            raise BrokenError(f"I3: {node.name} has another root than the chain for commit {seq} of {actor.number}")
        if standing.root not in actor.quads:
            raise BrokenError(f"I3: {node.name} answers from a root that publisher {actor.number} never made")
        self._not_back(node, actor, standing)

    def _refused(self, actor: Actor, after: int, up_to: int) -> int:
        """How many of a publisher's commits between two numbers count for nothing."""
        return sum(after < seq <= up_to for seq in actor.malformed)

    def _not_back(self, node: CoreNode, actor: Actor, standing: Standing) -> None:
        """I5 and I6."""
        key, seq = (node.name, actor.address), standing.seq or 0
        before = self._final.get(key)
        if before is not None and (seq < before[0] or (seq == before[0] and standing.root != before[1])):
            raise BrokenError(f"I5: {node.name} went from final commit {before[0]} of {actor.number} to {seq}")
        if standing.state is not State.FINAL:
            return
        shown = node.reader.newest_shown
        there = [one for one in self.net.ledger.commits() if one.publisher == actor.address and one.commit.seq == seq]
        if not there or CID_PREFIX + there[0].commit.root != standing.root or there[0].block + DEPTH > shown:
            raise BrokenError(
                f"I6: {node.name} shows commit {seq} of {actor.number} as final at block {shown}: {there}"
            )
        self._final[key] = seq, standing.root

    def _nothing(self, node: CoreNode, actor: Actor) -> None:
        if (node.name, actor.address) in self._final:
            raise BrokenError(f"I5: {node.name} had a final commit of {actor.number}, and has none any more")

    def _union(self, node: CoreNode, standing: Standing) -> None:
        latest = self._block(node, standing)
        newest = max((one.block for one in latest.values() if one.position < standing.position), default=-DEPTH)
        buried = newest + DEPTH <= node.reader.newest_shown
        if standing.claim is not Claim.PUBLISHER or (standing.state is State.FINAL and not buried):
            raise BrokenError(f"I3: {node.name} claims too much for its union: {standing}")
        if standing.behind == 0 and standing.root != self.oracle(latest):
            raise BrokenError(f"I2: {node.name} has another union than what the publishers' datasets make: {standing}")

    def oracle(self, latest: dict[bytes, Committed]) -> bytes:
        """The union's root for these commits."""
        latest = self._counting(latest)
        key = tuple(sorted((who, one.commit.root) for who, one in latest.items()))
        if key not in self._unions:
            self._unions[key] = union_root(self.actors, latest)
        return self._unions[key]

    def _counting(self, latest: dict[bytes, Committed]) -> dict[bytes, Committed]:
        """Of the latest commits those that count."""
        malformed = {actor.address: actor.malformed for actor in self.actors}
        return {who: one for who, one in latest.items() if who in malformed and one.commit.seq not in malformed[who]}

    def _bounded(self, node: CoreNode) -> None:
        """I8."""
        core = node.core
        kept = sum(map(len, core.shelf.kept.values()))
        inbox = list((core.parts.store.directory / INBOX).glob("*"))
        unfinished = len(core.desk.unfinished())
        under_way = node.transport.counted.under_way if node.transport else 0
        if len(inbox) > 3 * unfinished + 2 or kept > KEPT_MAX or under_way > UNDER_WAY_MAX:
            raise BrokenError(
                f"I8: {node.name} has {len(inbox)} files for {unfinished} operations, {kept} roots, {under_way} asked"
            )

    def log(self, name: str, event: str, facts: dict[str, Any]) -> None:
        """What a node wrote into its log has no secret in it (I7)."""
        text = f"{event} {facts}"
        for secret in self._secrets:
            if secret in text:
                raise BrokenError(f"I7: {name} has a private key in its log")

    # --- at the end --------------------------------------------------------------------------------------------------

    def behind(self, nodes: list[CoreNode]) -> list[str]:
        """Which nodes have not come to what the chain says, and in what; empty when all have (I9)."""
        ledger = self.net.ledger
        latest = ledger.head.state.latest
        late: list[str] = []
        for node in nodes:
            if not node.is_up:
                late.append(f"{node.name} is down")
                continue
            view, shelf = node.core.chain.view, node.core.shelf
            if view.log.entries != ledger.commits():
                late.append(f"{node.name} has read {view.length} commits: {node.core.watch.trouble}")
                continue
            for who, one in self._counting(latest).items():
                if shelf.held(who, view) != one:
                    late.append(
                        f"{node.name}: commit {one.commit.seq} of 0x{who.hex()}: {node.core.replicator.trouble}"
                    )
            rows = shelf.rows(UNION)
            if not rows or rows[0].root != self.oracle(latest):
                late.append(f"{node.name} has another union: {rows[:1]}, {node.core.unions.missing}")
        return late

    def end(self, nodes: list[CoreNode]) -> None:
        """All that must hold when everything has settled."""
        for node in nodes:
            found = check_node(node.core.parts.store, derive="newest")
            if found.problems:
                raise BrokenError(f"I2: {node.name}: {found.problems}")
            self._answers(node)
        self._kept_promises()
        self._evidence()

    def _answers(self, node: CoreNode) -> None:
        """An honest answer to an allowed query verifies (I4)."""
        standing = node.core.standing(None)
        if not standing.publishers:
            return
        runner = node.core.parts.runner
        for actor in self.actors:
            with suppress(UnknownPublisherError, UnknownMomentError):
                self._proved(node, node.core.standing((actor.address,)).root, actor)
        made = runner.run_sync(Prove(root=standing.root, text=QUERY), client="check")
        try:
            answer = verify(made.body, QUERY, standing.root)
        except ProofError as error:
            raise BrokenError(f"I4: {node.name}: its proof does not hold: {error}") from error
        latest = self._counting(self.net.ledger.head.state.latest)
        expected: set[tuple[bytes, ...]] = set()
        for actor in self.actors:
            if actor.address in latest:
                low = b"<" + actor.publisher.prefix.encode()
                quads = actor.quads[CID_PREFIX + latest[actor.address].commit.root]
                expected |= {quad[:3] for quad in quads if quad[3].startswith(low)}
        if len(answer) != len(expected):
            raise BrokenError(f"I4: {node.name} answers {len(answer)} rows of {len(expected)}")

    def _proved(self, node: CoreNode, root: bytes, actor: Actor) -> None:
        """One publisher's answer verifies, and has what the publisher put there (I4)."""
        made = node.core.parts.runner.run_sync(Prove(root=root, text=ALL_QUERY), client="check")
        try:
            rows = len(verify(made.body, ALL_QUERY, root))
        except ProofError as error:
            raise BrokenError(f"I4: {node.name}: its proof for {actor.number} does not hold: {error}") from error
        if rows != len(actor.quads[root]):
            raise BrokenError(f"I4: {node.name} answers {rows} rows for {actor.number}, of {len(actor.quads[root])}")

    def _kept_promises(self) -> None:
        """What was acknowledged is final, or was reported as failed (I1)."""
        there = {(one.publisher, one.commit.seq): one.commit for one in self.net.ledger.commits()}
        for node, name, signed in self.acknowledged:
            found = node.core.desk.get(name)
            if found is None:
                raise BrokenError(f"I1: {node.name} has forgotten the operation {name}")
            commit = there.get((signed.commit.publisher, signed.commit.seq))
            if commit == signed.commit and found.state not in {Stage.FINAL, Stage.MINED}:
                raise BrokenError(
                    f"I1: {node.name} says {found.state} of {name}, which is on the chain: {body_of(found)}"
                )
            if commit == signed.commit:
                self._readable(node, signed)
            elif commit is not None and found.state not in {Stage.FAILED, Stage.ACCEPTED, Stage.RUNNING}:
                raise BrokenError(f"I1: {node.name} says {found.state} of {name}, which is not on the chain")

    def _evidence(self) -> None:
        """Two conflicting signed heads end as evidence that a third party can check (I10)."""
        for node, signed in self.accused:
            commit = signed.commit
            found: set[Commit] = set()
            for path in (node.directory / EVIDENCE).glob(f"{commit.publisher.hex()}-{commit.seq}-*.cbor"):
                evidence = check_evidence(path.read_bytes())
                found |= {evidence.first, evidence.second}
            if commit not in found:
                raise BrokenError(f"I10: {node.name} has no evidence of two commits {commit.seq}")

    def _readable(self, node: CoreNode, signed: SignedCommit) -> None:
        """The dataset of a publisher's latest commit can be read where it was acknowledged."""
        root = CID_PREFIX + signed.commit.root
        latest = self.net.ledger.head.state.latest[signed.commit.publisher]
        if latest.commit != signed.commit:
            return
        try:
            runner = node.core.parts.runner
            runner.run_sync(Prove(root=root, text=QUERY), client="check")
        except DkgError as error:
            raise BrokenError(f"I1: {node.name} cannot read {cid_text(root)}, which it acknowledged") from error
