"""This node's own publisher, and what it pays for, on the development chain with the real registry (rows A1, B2)."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from dkg.car import write_car
from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.secp import address_of
from dkg.client.chainread import RpcReader
from dkg.client.rpc import HttpRpc
from dkg.dataset import build_dataset, quads
from dkg.errors import InputError
from dkg.page import CID_PREFIX
from dkg.pages import MemoryPageStore, StoredPages
from node.core.paying import ChainPayer, HomePublisher
from node.publish.errors import PublishError
from node.publish.fees import FeePolicy
from node.publish.wallet import Wallet
from node.serving import OperationConflictError, Said, Stage, Ticket, body_of
from node.workers.errors import OverloadedError
from tests.node.core.quiet import Quiet
from tests.node.publish.conftest import development, here
from tests.node.publish.world import OTHER_KEY, PAYER_KEY, QUICK, World, hasty, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.pages import Pages
    from dkg.terms import Quad
    from node.core.parts import Parts
    from node.publish.publisher import Publisher
    from node.publish.sender import At, Tools
    from node.storage import Operation

__all__ = ["development", "here"]

TURTLE = b"@prefix : <https://e.org/> . :paris :in :france ; :people %d ."


def ticket(name: str, what: bytes = b"") -> Ticket:
    return Ticket(name, sha256(name.encode() + what).hexdigest())


class Publishing(Quiet):
    """A node with a home, on a real chain."""

    def __init__(self, folder: Path, world: World, publisher: Publisher | None, *, pays: bool = False) -> None:
        super().__init__(folder)
        self.world = world
        self.own = HomePublisher(publisher) if publisher else None
        self.pays = pays
        self.readers: list[RpcReader] = []
        self.node.change = self._change

    def _change(self, parts: Parts) -> Parts:
        reader, payer = RpcReader(HttpRpc(self.world.url)), None
        self.readers.append(reader)
        if self.pays and self.payer_tools is not None:
            payer = ChainPayer(Wallet(PAYER_KEY), reader, self.world.domain, self.payer_tools, 2)
        settings = replace(parts.settings, first_block=self.world.registry.first_block, finality_depth=2)
        return replace(
            parts,
            reader=reader,
            domain=self.world.domain,
            own=self.own,
            payer=payer,
            settings=settings,
            clock=time.time,
        )

    payer_tools: Tools | None = None

    async def publish_rdf(self, name: str, people: int, asset: str = "cities", said: Said | None = None) -> Operation:
        data = TURTLE % people
        core = self.node.core
        return await self.node.call(lambda: core.publish_rdf(ticket(name, data), asset, data, "ttl", said or Said()))

    def found(self, name: str) -> Operation:
        found = self.node.core.operation(name)
        assert found is not None
        return found

    def content(self) -> set[Quad]:
        """What the node answers from for its own publisher."""
        root = self.node.core.standing((self.world.wallets.publisher,)).root
        pages: Pages = StoredPages(self.node.core.parts.store.pages)
        return {quad for batch in quads(pages, root) for quad in batch if b"#provenance" not in quad[3]}

    def close(self) -> None:
        for reader in self.readers:
            reader.close()


@contextmanager
def publishing(
    folder: Path, world: World, at: At | None = None, policy: FeePolicy | None = None
) -> Iterator[Publishing]:
    with world.publisher(at=at, waiting=hasty(), policy=policy) as publisher:
        made = Publishing(folder, world, publisher)
        try:
            yield made
        finally:
            made.close()


def test_a_document_becomes_a_commit_that_is_answered_from(folder: Path, here: World) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            operation = await it.publish_rdf("first", 2)
            assert (operation.kind, operation.state) == ("publish", Stage.ACCEPTED)
            await it.wait(5)
            found = it.found("first")
            assert found.state == Stage.MINED
            body = body_of(found)
            assert body["asset"].endswith("/cities")
            assert body["seq"] == 1
            assert body["transaction"].startswith("0x")
            assert {quad[2] for quad in it.content()} == {
                b"<https://e.org/france>",
                b'"2"^^<http://www.w3.org/2001/XMLSchema#integer>',
            }
            here.mine(3)
            await it.wait(5)
            assert it.found("first").state == Stage.FINAL
            await it.publish_rdf("second", 3, said=Said(title="Cities"))
            await it.node.call(lambda: it.node.core.retract(ticket("third"), "cities", "wrong"))
            await it.wait(5)
            assert [it.found(name).state for name in ("second", "third")] == [Stage.MINED] * 2
            assert it.content() == set()
            assert len(here.events()) == 3

        it.run(main)


def test_the_same_request_is_one_commit_and_another_with_its_name_is_refused(folder: Path, here: World) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            first = await it.publish_rdf("it", 2)
            again = await it.publish_rdf("it", 2)
            assert again.id == first.id
            with pytest.raises(OperationConflictError):
                await it.publish_rdf("it", 3)
            await it.wait(5)
            await it.publish_rdf("it", 2)
            await it.publish_rdf("with-another-name", 2)  # it changes nothing
            await it.wait(5)
            assert len(here.events()) == 1
            assert it.found("with-another-name").state == Stage.MINED
            assert body_of(it.found("with-another-name"))["seq"] == 1

        it.run(main)


@pytest.mark.parametrize(
    ("data", "form", "asset", "says"),
    [
        (b"this is no turtle", "ttl", "cities", "."),
        (b"<https://e/s> <https://e/p> <https://e/o> <https://e/other-graph> .", "nq", "cities", "belong in"),
        (b"", "ttl", "cities", "no triples"),
        (TURTLE % 1, "ttl", "no/name", "no name for an asset"),
        (TURTLE % 1, "ttl", "did:dkg:eip155:31337:0x00/0x00/x", "."),
    ],
)
def test_what_is_wrong_with_a_document_is_told_at_once(
    folder: Path, here: World, data: bytes, form: str, asset: str, says: str
) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            core = it.node.core
            with pytest.raises(InputError, match=says):
                await it.node.call(lambda: core.publish_rdf(ticket("it"), asset, data, form, Said()))
            with pytest.raises(InputError):
                await it.publish_rdf("it", 1, said=Said(licence="no iri"))
            assert core.operation("it") is None

        it.run(main)


def test_what_only_shows_when_it_is_published_fails_the_operation(folder: Path, here: World) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            await it.node.call(lambda: it.node.core.retract(ticket("it"), "never-published", None))
            await it.wait(5)
            found = it.found("it")
            assert (found.state, "no asset" in body_of(found)["error"]) == (Stage.FAILED, True)

        it.run(main)


def test_what_cannot_be_paid_waits_and_says_why(folder: Path, here: World) -> None:
    with publishing(folder, here, policy=FeePolicy(max_fee_cap=1)) as it:

        async def main() -> None:
            await it.publish_rdf("it", 2)
            await it.wait(5)
            found = it.found("it")
            assert found.state == Stage.RUNNING
            assert "above your cap" in body_of(found)["waiting"]
            assert it.own is not None
            publisher = it.own._publisher
            publisher.tools = replace(publisher.tools, policy=FeePolicy())
            await it.wait(60)
            found = it.found("it")
            assert found.state == Stage.MINED
            assert "waiting" not in body_of(found)

        it.run(main)


def test_too_many_at_once_are_told_to_wait(folder: Path, here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.core.own.WAITING_MAX", 1)
    with publishing(folder, here, policy=FeePolicy(max_fee_cap=1)) as it:

        async def main() -> None:
            await it.publish_rdf("it", 2)
            with pytest.raises(OverloadedError, match="1 operations wait"):
                await it.publish_rdf("other", 3, "other")

        it.run(main)


class StopError(PublishError):
    """The process ends here."""


STEPS = ["head", "pages", "planned", "kept", "signed", "built", "broadcast", "sent", "proved"]


@pytest.mark.parametrize("step", STEPS)
def test_a_node_that_stops_at_any_step_goes_on_there_and_publishes_once(folder: Path, here: World, step: str) -> None:
    stops = [step]

    def at(name: str) -> None:
        if name in stops:
            stops.remove(name)
            raise StopError(f"stopped at {name}")

    with publishing(folder, here, at) as it:

        async def main() -> None:
            await it.publish_rdf("it", 2)
            await it.wait(1)
            it.node.crash()
            await it.wait(1)
            it.node.start()
            await it.wait(60)
            assert it.found("it").state == Stage.MINED
            assert not stops
            assert len(here.events()) == 1
            assert len(it.content()) == 2

        it.run(main)


def test_a_reorganisation_that_drops_the_commit_is_repaired(folder: Path, here: World) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            await it.publish_rdf("it", 2)
            await it.wait(5)
            assert it.found("it").state == Stage.MINED
            here.rpc("anvil_reorg", 1, [])
            await it.wait(3)
            assert it.found("it").state in {Stage.RUNNING, Stage.ACCEPTED, Stage.MINED}
            await it.wait(90)
            here.mine(3)
            await it.wait(5)
            assert it.found("it").state == Stage.FINAL
            assert len(here.events()) == 1

        it.run(main)


def test_what_another_program_published_from_the_home_is_here_too(folder: Path, here: World) -> None:
    with publishing(folder, here) as it:

        async def main() -> None:
            await it.publish_rdf("it", 2)
            await it.wait(5)
            it.node.stop()
            await it.wait(1)
            assert it.own is not None
            it.own._publisher.publish(request("from the command line"))
            it.node.start()
            await it.wait(5)
            standing = it.node.core.standing((here.wallets.publisher,))
            assert (standing.seq, standing.behind) == (2, 0)

        it.run(main)


# --- paying for others -------------------------------------------------------------------------------------------


def commit_of(world: World, key: bytes, number: int, previous: bytes = ZERO_HASH) -> tuple[SignedCommit, bytes]:
    """A commit of somebody else, and its CAR."""
    store = MemoryPageStore()
    root = build_dataset([[(b"<https://e/s>", b"<https://e/p>", b'"%d"' % number, b"<https://e/g>")]], store)
    commit = Commit(address_of(key), number, root.removeprefix(CID_PREFIX), 1, previous, 7)
    return SignedCommit.make(world.domain, commit, key), write_car(root, store.pages.items())


@pytest.fixture
def paying(folder: Path, here: World) -> Iterator[Publishing]:
    with here.publisher(waiting=hasty()) as publisher:
        it = Publishing(folder, here, None, pays=True)
        it.payer_tools = replace(publisher.tools, waits=QUICK)
        try:
            yield it
        finally:
            it.close()


def test_a_commit_of_somebody_else_is_paid_for(paying: Publishing, here: World) -> None:
    async def main() -> None:
        first, car = commit_of(here, OTHER_KEY, 1)
        await paying.upload(first, car, name="first")
        await paying.wait(5)
        assert paying.found("first").state == Stage.MINED
        transaction = body_of(paying.found("first"))["transaction"]
        receipt = here.rpc("eth_getTransactionReceipt", transaction)
        assert receipt["from"] == "0x" + address_of(PAYER_KEY).hex()
        second, car = commit_of(here, OTHER_KEY, 2, first.commit.root)
        await paying.upload(second, car, name="second")
        await paying.wait(5)
        here.mine(3)
        await paying.wait(5)
        assert [paying.found(name).state for name in ("first", "second")] == [Stage.FINAL] * 2
        assert [one.commit for one in here.events(address_of(OTHER_KEY))] == [first.commit, second.commit]

    paying.run(main)


def test_a_transaction_that_was_sent_before_a_crash_is_not_paid_for_twice(paying: Publishing, here: World) -> None:
    stops = ["broadcast"]

    def at(name: str) -> None:
        if name in stops:
            stops.remove(name)
            raise StopError(f"stopped at {name}")

    assert paying.payer_tools is not None
    paying.payer_tools = replace(paying.payer_tools, at=at)
    here.set_automine(False)

    async def main() -> None:
        nonce = int(here.rpc("eth_getTransactionCount", "0x" + address_of(PAYER_KEY).hex(), "latest"), 16)
        commit, car = commit_of(here, OTHER_KEY, 1)
        await paying.upload(commit, car, name="it")
        await paying.wait(1)
        paying.node.crash()
        await paying.wait(1)
        here.mine()
        here.set_automine(True)
        paying.node.start()
        await paying.wait(60)
        assert paying.found("it").state in {Stage.MINED, Stage.FINAL}
        after = int(here.rpc("eth_getTransactionCount", "0x" + address_of(PAYER_KEY).hex(), "latest"), 16)
        assert after - nonce == 1
        assert not stops

    paying.run(main)


def test_a_commit_that_the_registry_would_refuse_is_not_sent(paying: Publishing, here: World) -> None:
    async def main() -> None:
        commit, car = commit_of(here, OTHER_KEY, 1)
        here.registry.commit(address_of(OTHER_KEY))  # somebody was faster, and the node has not seen it
        await paying.upload(commit, car, name="it")
        await paying.wait(5)
        here.mine(4)
        await paying.wait(60)
        found = paying.found("it")
        assert found.state == Stage.FAILED
        assert "another commit" in body_of(found)["error"]

    paying.run(main)
