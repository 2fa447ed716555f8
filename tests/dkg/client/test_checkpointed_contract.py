"""The client of all publishers and the real contract: proposed, pending, disputed, final, refuted, marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.checkpoints import Reason
from dkg.checkpoints.answer import prove_joint
from dkg.checkpoints.owners import prefix_of
from dkg.checkpoints.records import Record
from dkg.client.anchored import State
from dkg.client.checkpointed import CheckpointClient, NoCheckpointError
from dkg.page import CID_PREFIX
from dkg.pages import MemoryPageStore, StoredPages
from node.checkpoints import calls
from node.devnet.chain import devnet
from tests.chain.checkpoints import Checkpoints
from tests.chain.world import DEPTH, World, world
from tests.evaluators import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.client.unionhead import UnionHead
    from tests.oracle import Quad

NAMES = "SELECT ?name { ?s <http://e/name> ?name }"


class Scene:
    """A registry and a checkpoint contract, and what publishers said."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.store = MemoryPageStore()
        self.said: dict[int, set[Quad]] = {}
        self.contract = Checkpoints(here.registry)

    def kept(self, quads: set[Quad]) -> bytes:
        pages, root = build(quads)
        self.store.pages.update(pages.pages)
        return root.removeprefix(CID_PREFIX)

    def say(self, who: int, name: str) -> None:
        """Commit a name."""
        graph = prefix_of(self.here.registry.domain, self.here.registry.accounts[who]) + b"x>"
        self.said[who] = {(b"<http://e/s>", b"<http://e/name>", f'"{name}"'.encode(), graph)}
        self.here.registry.commit(self.here.registry.accounts[who], self.kept(self.said[who]))

    def propose(self, position: int) -> None:
        """Propose the union of what was said."""
        self.contract.propose(position, root=self.kept(set().union(*self.said.values())))

    def client(self) -> CheckpointClient:
        here = self.here
        return CheckpointClient(
            here.reader(), here.registry.domain, self.contract.address, clock=here.clock, finality_depth=DEPTH
        )

    def names(self, client: CheckpointClient, head: UnionHead) -> list[str]:
        answer = client.verify(prove_joint(StoredPages(self.store), head.parts, NAMES).car, NAMES, head)
        return sorted(row[0].value for row in answer.answer.rows)  # type: ignore[union-attr]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with devnet() as chain, world(chain.url) as here, here.undone():  # which closes readers
        yield Scene(here)


def test_from_a_proposal_to_an_answer_that_is_final(scene: Scene) -> None:
    for who in range(3):
        scene.say(who, f"first {who}")
    scene.propose(3)
    client = scene.client()
    with pytest.raises(NoCheckpointError):
        client.head()
    head = client.head(pending=True)
    assert (head.checkpoint.id, head.checkpoint.position, head.state) == (1, 3, State.PENDING)
    scene.contract.finalise(1)
    scene.say(1, "second 1")
    head = client.head()
    assert (head.checkpoint.id, head.state) == (1, State.PENDING)
    assert scene.names(client, head) == ["first 0", "first 2", "second 1"]
    scene.here.mine(DEPTH)
    head = client.head()
    assert head.state is State.FINAL
    assert head.parts == client.head(final=True).parts
    assert scene.names(client, head) == ["first 0", "first 2", "second 1"]


def test_data_that_is_withheld_leaves_the_scope_visibly(scene: Scene) -> None:
    for who in range(3):
        scene.say(who, f"first {who}")
    scene.propose(3)
    scene.contract.finalise(1)
    registry = scene.here.registry
    withheld, contract = registry.commit(registry.accounts[1], b"\x55" * 32), scene.contract
    bond = contract.terms.demand_bond
    contract.send(calls.demand_commit(contract.address, withheld.publisher, Record.of(withheld), b"", bond))
    client = scene.client()
    assert client.head().beside[withheld.publisher].committed == withheld
    contract.wait(contract.terms.demand_window + 1)
    contract.send(calls.expire(contract.address, 1))
    head = client.head()
    counted = head.beside[withheld.publisher]
    assert counted.committed is not None
    assert (counted.committed.commit.seq, [mark.reason for mark in counted.skipped]) == (1, [Reason.UNAVAILABLE])
    assert scene.names(client, head) == ["first 0", "first 1", "first 2"]
    assert "malformed or unavailable" in head.sentence()


def test_a_checkpoint_whose_page_is_withheld_is_disputed_and_then_gone(scene: Scene) -> None:
    scene.say(0, "first 0")
    scene.propose(1)
    contract = scene.contract
    contract.send(calls.demand_checkpoint(contract.address, 1, b"", contract.terms.demand_bond))
    client = scene.client()
    head = client.head(pending=True)
    assert (head.state, head.checkpoint.open_demands) == (State.DISPUTED, 1)
    assert "(checkpoint 1, disputed)" in head.sentence()
    contract.wait(contract.terms.demand_window + 1)
    contract.send(calls.expire(contract.address, 1))
    with pytest.raises(NoCheckpointError, match="none is pending either"):
        client.head(pending=True)
