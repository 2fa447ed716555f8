"""What is retracted, revoked or forbidden is gone with the next question: chain, store, index, policy and all between.

The chain is a real one, the publisher's pages are in a store, and one `Knowledge` runs through it all, as a device has
it. What must not come back is looked for in everything that a question gives, and in the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.ual import Publisher, Ual
from dkg.dataset import build_dataset, update_dataset
from dkg.pages import MemoryPageStore, StoredPages
from node.devnet.chain import devnet
from retrieval.model import Reason
from retrieval.policy import Policy
from retrieval.service import Knowledge
from retrieval.sources import Source, current
from tests.chain.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.terms import Quad
    from retrieval.results import Result

QUESTION = "Where was Ada Lovelace born?"
TOWN = b"<http://e/Marylebone>"


class Device:
    """A device that answers questions from what one publisher says on a chain."""

    def __init__(self, chain: World, directory: Path | None) -> None:
        self.chain = chain
        self.store = MemoryPageStore()
        self.policy = Policy()
        domain = chain.registry.domain
        self.publisher = Publisher(domain.chain_id, domain.registry, chain.publisher)
        self.graph = Ual(self.publisher, "people").graph
        self.root = build_dataset([self.quads()], self.store)
        chain.registry.commit(chain.publisher, self.root[4:])
        client = chain.client()
        self.knowledge = Knowledge(
            lambda: current([Source(client, self.store)]), policy=lambda: self.policy, directory=directory
        )

    def quads(self) -> list[Quad]:
        """What the publisher says at first."""
        label = b"<http://www.w3.org/2000/01/rdf-schema#label>"
        ada, born = b"<http://e/Ada_Lovelace>", b"<http://e/birthPlace>"
        said = [
            (ada, label, b'"Ada Lovelace"'),
            (TOWN, label, b'"Marylebone"'),
            (born, label, b'"born in"'),
            (ada, born, TOWN),
            (ada, b"<http://e/field>", b'"mathematics"'),
        ]
        return [(*triple, self.graph) for triple in said]

    def change(self, *, gone: bytes) -> None:
        """Retract everything that mentions a term."""
        going = [quad for quad in self.quads() if gone in quad]
        self.root = update_dataset(StoredPages(self.store), self.root, [], going, self.store)
        self.chain.registry.commit(self.chain.publisher, self.root[4:])

    def ask(self) -> Result:
        """What the device finds now."""
        return self.knowledge.retrieve(QUESTION)

    def indexed(self, term: bytes) -> bool:
        """Whether the index has a term or a name of it."""
        index = self.knowledge._following.index
        assert index is not None
        return index.node(term) is not None or bool(index.with_words(["marylebone"], 5))


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        yield made


@pytest.fixture(params=["in memory", "on disk"])
def device(built: World, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    with built.undone():
        made = Device(built, tmp_path / "index" if request.param == "on disk" else None)
        with made.knowledge:
            yield made


def tells(result: Result) -> bool:
    """Whether a result has the town: as a fact, as a label, in a sentence, among rows."""
    context = result.context
    return (
        any(TOWN in fact.statement for fact in context.facts)
        or TOWN in context.labels
        or any("Marylebone" in text for text in result.texts)
        or any("Marylebone" in cell for row in context.rows for cell in row)
    )


def test_what_is_published_is_found(device: Device) -> None:
    found = device.ask()
    assert tells(found)
    assert device.indexed(TOWN)
    (origin,) = {origin for fact in found.context.facts for origin in fact.origins}
    assert (origin.publisher, origin.root, origin.graph) == (device.publisher.did, device.root, device.graph)


def test_what_is_retracted_is_gone_with_the_next_question(device: Device) -> None:
    assert tells(device.ask())
    device.change(gone=TOWN)
    after = device.ask()
    assert not tells(after)
    assert not any(TOWN in one.statement for one in after.context.dropped)
    assert not device.indexed(TOWN)


@pytest.mark.parametrize("how", ["revoke", "retire"])
def test_who_has_no_key_any_more_is_not_heard_with_the_next_question(device: Device, how: str) -> None:
    assert tells(device.ask())
    device.chain.registry.call(how, device.chain.publisher, sender=device.chain.publisher)
    after = device.ask()
    assert not after.context.facts
    assert not tells(after)
    assert any(device.publisher.did in note for note in after.context.notes)
    assert not device.indexed(TOWN)


def test_who_is_denied_is_not_heard_with_the_next_question_and_heard_again_when_allowed(device: Device) -> None:
    assert tells(device.ask())
    device.policy = Policy.from_yaml(f"version: 1\npublishers:\n  deny:\n    - {device.publisher.did}\n")
    after = device.ask()
    assert not tells(after)
    assert not after.context.facts
    assert any("the policy lets 0 of 1" in note for note in after.context.notes)
    assert not device.indexed(TOWN)
    device.policy = Policy()
    assert tells(device.ask())


def test_an_unwanted_thing_is_gone_with_the_next_question(device: Device) -> None:
    assert tells(device.ask())
    device.policy = Policy.from_yaml(f"unwanted:\n  iris: [{TOWN[1:-1].decode()}]\n")
    after = device.ask()
    assert not tells(after)
    assert {one.reason for one in after.context.dropped} >= {Reason.UNWANTED}
