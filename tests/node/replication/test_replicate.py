"""Bringing a dataset over from peers that lie, stall, lack it, are busy or go away (rows C1, C2, C5, C9, G3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import pytest

from dkg.errors import StoreError
from dkg.pages import MemoryPageStore
from node.replication import limits
from node.replication.acquaintance import Acquaintances
from node.replication.ask import Asker
from node.replication.change import pack_change
from node.replication.complete import Builder, MalformedError
from node.replication.errors import NobodyError, PeerError, SupersededError
from node.replication.fetch import SUPERSEDED_IDLE_S, SUPERSEDED_S
from node.replication.messages import (
    Anchored,
    Change,
    Code,
    GetChange,
    GetPages,
    Hello,
    PageAnswer,
    Refusal,
    decode,
)
from node.replication.replicate import CHANGE_WAIT_S, Replication, Report
from node.replication.serve import Quotas, Server
from node.replication.squeeze import squeezed, unsqueezed
from tests.node.replication.datasets import MALFORMED, changed, dataset
from tests.node.replication.test_walk import is_whole, spog_pages
from tests.sim.loop import Loop, SimRuntime
from tests.sim.node import HELLO, SimChain, SimHeads
from tests.sim.transport import SimNet, SimTransport, Weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.replication.fetch import Fetched
    from tests.sim.transport import Liar

Result = TypeVar("Result")


class World:
    """Peers that have a dataset, and one that wants it."""

    def __init__(self, source: MemoryPageStore, peers: int = 2, seed: int = 1, quotas: Quotas | None = None) -> None:
        self.loop = Loop(seed)
        self.net = SimNet(self.loop)
        self.runtime = SimRuntime(self.loop, "reader")
        self.store = MemoryPageStore()
        self.transport = SimTransport(self.net, "reader", self.runtime)
        self.acquaintances = Acquaintances(self.runtime.random)
        self.progress: list[Fetched] = []
        self.wanted_until = float("inf")
        self.servers: dict[str, MemoryPageStore] = {}
        for number in range(peers):
            self.add(f"p{number}", source, quotas)
        self.replication = Replication(
            self.runtime, self.transport, Asker(self.transport, HELLO), self.acquaintances, self.store,
            builder=Builder(), progress=lambda _head, fetched: self.progress.append(fetched),
            wanted=lambda _head: self.loop.time < self.wanted_until,
        )  # fmt: skip

    def add(self, name: str, source: MemoryPageStore, quotas: Quotas | None = None) -> None:
        runtime = SimRuntime(self.loop, name)
        server = Server(runtime, HELLO, source, SimHeads(SimChain([]), source), quotas=quotas or Quotas())
        SimTransport(self.net, name, runtime).on_request(server.handle)
        self.servers[name] = source

    def bring(self, head: Anchored, old: bytes | None = None) -> Report:
        return self.loop.run(self.replication.run, head, old)

    @property
    def penalties(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for peer, points, _ in self.transport.counted.penalties:
            found[peer] = found.get(peer, 0) + points
        return found


def test_a_dataset_comes_from_several_peers_side_by_side_and_is_whole() -> None:
    source, head = dataset(500)
    world = World(source, peers=3)
    report = world.bring(head)
    assert world.store.pages == source.pages
    assert report.pages == len(spog_pages(source, head.root))
    assert not report.by_change
    assert world.transport.counted.under_way_most >= 4
    assert not world.penalties
    assert world.progress[-1].quads == head.count


def test_a_change_comes_as_quads_and_no_page_with_them() -> None:
    source, new = changed(500, 20)
    before, old = dataset(500)
    world = World(source)
    world.store.pages.update(before.pages)
    report = world.bring(new, old.root)
    assert (report.by_change, report.pages) == (True, 0)
    assert world.store.pages == source.pages
    assert world.transport.counted.answer_bytes < 6_000


def test_whoever_hears_of_a_block_first_waits_a_little_for_somebody_who_has_the_change() -> None:
    source, new = changed(500, 20)
    before, old = dataset(500)
    world = World(MemoryPageStore(), peers=3)
    for name in ("p0", "p1", "p2"):
        world.servers[name].pages.update(before.pages)
    world.store.pages.update(before.pages)

    def brought() -> None:
        world.servers["p1"].pages.update(source.pages)
        world.acquaintances.has("p1", new.root)  # as it announces

    world.loop.call_later(1.0, brought)
    report = world.bring(new, old.root)
    assert (report.by_change, report.pages) == (True, 0)
    assert 1.0 < world.loop.time < 1.5
    assert world.transport.counted.requests < 12


def test_where_nobody_comes_to_have_the_change_the_pages_are_looked_for() -> None:
    _, new = changed(500, 20)
    before, old = dataset(500)
    world = World(before, peers=3)
    world.store.pages.update(before.pages)
    with pytest.raises(NobodyError):
        world.bring(new, old.root)
    assert world.loop.time > CHANGE_WAIT_S


def test_a_change_that_nobody_can_tell_comes_as_the_pages_that_differ() -> None:
    source, new = changed(500, 20)
    before, old = dataset(500)
    forgetful = MemoryPageStore()
    forgetful.pages = {cid: raw for cid, raw in source.pages.items() if cid != old.root}
    world = World(forgetful)
    world.store.pages.update(before.pages)
    report = world.bring(new, old.root)
    assert not report.by_change
    assert report.pages == len(spog_pages(source, new.root) - set(before.pages))
    assert world.store.pages == source.pages


def test_a_dataset_that_is_there_already_costs_nothing() -> None:
    source, head = dataset(200)
    world = World(source)
    world.store.pages.update(source.pages)
    assert world.bring(head, head.root).pages == 0
    assert world.transport.counted.requests == 0


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda made: made.__name__)
def test_a_malformed_commit_is_refused_and_the_honest_peers_that_have_it_are_not_blamed(
    malformed: Callable[[], tuple[MemoryPageStore, Anchored]],
) -> None:
    source, head = malformed()
    world = World(source)
    with pytest.raises(MalformedError):
        world.bring(head)
    assert not world.penalties


def test_a_commit_that_is_malformed_is_refused_when_it_comes_as_a_change_too() -> None:
    source, head = MALFORMED[0]()
    before, old = dataset(30)
    source.pages.update(before.pages)
    world = World(source)
    world.store.pages.update(before.pages)
    with pytest.raises(MalformedError):
        world.bring(head, old.root)
    assert not world.penalties


# --- peers that lie ---------------------------------------------------------------------------------------------------


def bend_pages(rng: random.Random, request: GetPages, answer: PageAnswer, other: list[bytes]) -> bytes:
    """An answer that is not the honest one, one lie of many kinds."""
    data = unsqueezed(answer.body, sum(size for size in answer.sizes if size > 0)) if answer.body else b""
    pages, at = [], 0
    for size in answer.sizes:
        pages.append(data[at : at + max(size, 0)])
        at += max(size, 0)
    rng.choice(LIES_ABOUT_PAGES)(rng, pages, rng.randrange(len(pages)), other)
    assert len(pages) <= len(request.cids)
    return PageAnswer(tuple(map(len, pages)), squeezed(b"".join(pages))).encode()


Pages = list[bytes]


def flip(rng: random.Random, pages: Pages, at: int, _other: Pages) -> None:
    page = pages[at] or b"x"
    where = rng.randrange(len(page))
    pages[at] = page[:where] + bytes([page[where] ^ 1 << rng.randrange(8)]) + page[where + 1 :]


def swap(rng: random.Random, pages: Pages, at: int, other: Pages) -> None:
    beside = rng.randrange(len(pages))
    pages[at], pages[beside] = pages[beside], pages[at]
    if at == beside:
        pages[at] = rng.choice(other)


def replace_page(rng: random.Random, pages: Pages, at: int, other: Pages) -> None:
    pages[at] = rng.choice(other)


def cut(_rng: random.Random, pages: Pages, at: int, _other: Pages) -> None:
    pages[at] = pages[at][:-1] or b"x"


def lengthen(_rng: random.Random, pages: Pages, at: int, _other: Pages) -> None:
    pages[at] += b"\0"


def omit(_rng: random.Random, pages: Pages, at: int, _other: Pages) -> None:
    del pages[at]
    pages.append(b"y")


def repeat(_rng: random.Random, pages: Pages, at: int, _other: Pages) -> None:
    pages.insert(at, pages[at])
    del pages[-1]
    pages[-1] += b"!"


LIES_ABOUT_PAGES = [flip, swap, replace_page, cut, lengthen, omit, repeat]


@pytest.mark.parametrize("seed", range(20))
def test_two_thousand_bent_answers_and_none_is_accepted(seed: int) -> None:
    """C1 and C2 at their CI count: 20 times 100 lies that are told until the liar is shut out, then told again."""
    source, head = dataset(150)
    other = [page for cid, page in changed(150, 20)[0].pages.items() if cid not in source.pages]
    rng = random.Random(seed)
    lies = 0
    while lies < 100:
        world = World(source, peers=1, seed=seed * 1000 + lies)
        for number in range(5):
            world.add(f"liar{number}", source)

        def bend(message: bytes, honest: bytes) -> bytes:
            nonlocal lies
            request, answer = decode(message, GetPages), decode(honest, PageAnswer)
            lie = bend_pages(rng, request, answer, other)
            if lie == honest:
                return honest
            lies += 1
            return lie

        for number in range(5):
            world.net.liars[f"liar{number}"] = liar_of_pages(bend)
        world.bring(head)
        assert world.store.pages == source.pages
        assert set(world.penalties) <= {f"liar{number}" for number in range(5)}
        told = {peer for peer, _, _ in world.transport.counted.penalties}
        assert told  # every lie that was told was found
    assert lies >= 100


def liar_of_pages(bend: Callable[[bytes, bytes], bytes]) -> Liar:
    async def liar(_peer: str, message: bytes, honest: bytes) -> bytes:
        return bend(message, honest) if b"get-pages" in message else honest

    return liar


def test_a_liar_among_honest_peers_is_penalised_and_its_pages_come_from_the_others() -> None:
    source, head = dataset(500)
    world = World(source, peers=2)
    world.add("liar", source)

    async def liar(_peer: str, message: bytes, honest: bytes) -> bytes:
        if b"get-pages" not in message:
            return honest
        sizes = decode(honest, PageAnswer).sizes
        return PageAnswer(sizes, squeezed(bytes(sum(size for size in sizes if size > 0)))).encode()

    world.net.liars["liar"] = liar
    world.bring(head)
    assert world.store.pages == source.pages
    assert set(world.penalties) == {"liar"}


def test_with_liars_alone_nothing_is_accepted_and_the_reader_gives_up() -> None:
    source, head = dataset(200)
    world = World(source, peers=0)
    for number in range(3):
        world.add(f"liar{number}", source)
        world.net.liars[f"liar{number}"] = liar_of_pages(
            lambda _message, honest: PageAnswer(decode(honest, PageAnswer).sizes, squeezed(b"")).encode()
        )
    with pytest.raises(NobodyError, match="nobody has the missing pages"):
        world.bring(head)
    assert not is_whole(world.store, head)
    assert set(world.penalties) == {"liar0", "liar1", "liar2"}


LIES: dict[str, bytes] = {
    "nothing": b"",
    "junk": b"\xff" * 100,
    "another message": Refusal(Code.BUSY, "", 0).encode().replace(b"refusal", b"refusaL"),
    "a longer answer than was asked for": bytes(limits.PAGES_BYTES_MAX * 2),
    "no pages": PageAnswer((), b"").encode(),
    "a bomb": PageAnswer((1000,), squeezed(bytes(50_000_000))).encode(),
    "an unknown version": PageAnswer((1,), squeezed(b"x")).encode().replace(b"av\x01", b"av\x02"),
    "nested a hundred thousand levels": b"\x81" * 100_000,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_answers_that_break_the_protocol_are_penalised_and_cost_nothing_but_a_request(lie: bytes) -> None:
    source, head = dataset(200)
    world = World(source, peers=1)
    world.add("liar", source)
    world.net.liars["liar"] = liar_of_pages(lambda _message, _honest: lie)
    world.bring(head)
    assert world.store.pages == source.pages
    assert set(world.penalties) == {"liar"}


def test_a_lie_about_a_change_is_penalised_and_another_peer_tells_the_right_one() -> None:
    source, new = changed(500, 20)
    before, old = dataset(500)
    wrong = pack_change(changed(500, 21, seed=2)[0], old.root, changed(500, 21, seed=2)[1].root)
    for seed in range(10):
        world = World(source, peers=2, seed=seed)
        world.store.pages.update(before.pages)

        async def liar(_peer: str, message: bytes, honest: bytes) -> bytes:
            return wrong.encode() if b"get-change" in message else honest

        world.net.liars["p0"] = liar
        report = world.bring(new, old.root)
        assert report.by_change
        assert world.store.pages == source.pages
        assert set(world.penalties) <= {"p0"}


def test_where_all_lie_about_a_change_its_pages_are_fetched_from_one_who_says_nothing_of_it() -> None:
    source, new = changed(500, 20)
    before, old = dataset(500)
    world = World(source, peers=3)
    world.store.pages.update(before.pages)

    def lie(message: bytes, honest: bytes) -> bytes:
        return Change(1, 0, 9, squeezed(b"\5\0\0\0abcde")).encode() if decodes(message) else honest

    def decodes(message: bytes) -> bool:
        try:
            decode(message, GetChange)
        except PeerError:
            return False
        return True

    async def liar(_peer: str, message: bytes, honest: bytes) -> bytes:
        return lie(message, honest)

    async def silent(_peer: str, message: bytes, honest: bytes) -> bytes:
        return Refusal(Code.NOT_HELD, "no").encode() if decodes(message) else honest

    world.net.liars = {"p0": liar, "p1": liar, "p2": silent}
    report = world.bring(new, old.root)
    assert not report.by_change
    assert world.store.pages == source.pages


# --- peers that do not answer ----------------------------------------------------------------------------------------


def test_a_peer_that_stalls_holds_nothing_up() -> None:
    source, head = dataset(500)
    world = World(source, peers=2)
    world.add("slow", source)

    async def stall(_peer: str, message: bytes, honest: bytes) -> bytes:
        if b"get-pages" in message:
            await world.runtime.sleep(1000)
        return honest

    world.net.liars["slow"] = stall
    world.bring(head)
    assert world.store.pages == source.pages
    assert world.loop.time < 10  # its pages were asked of the others after a second


def test_a_peer_that_stalls_and_is_the_only_one_is_given_up_after_its_time() -> None:
    source, head = dataset(200)
    world = World(source, peers=1)

    async def stall(_peer: str, _message: bytes, honest: bytes) -> bytes:
        await world.runtime.sleep(10_000)
        return honest

    world.net.liars["p0"] = stall
    with pytest.raises(NobodyError):
        world.bring(head)
    assert 15 < world.loop.time < 200


def test_what_is_wanted_no_more_and_stalls_ends_soon() -> None:
    source, head = dataset(200)
    world = World(source, peers=2)

    async def stall(_peer: str, message: bytes, honest: bytes) -> bytes:
        if isinstance(decode(message, GetPages, Hello), GetPages):
            await world.runtime.sleep(10_000)
        return honest

    world.net.liars |= {"p0": stall, "p1": stall}
    world.wanted_until = 8.0
    with pytest.raises(SupersededError, match="is wanted no more"):
        world.bring(head)
    assert 8 < world.loop.time < 8 + SUPERSEDED_IDLE_S + 1
    assert not world.transport.counted.under_way


def test_what_is_wanted_no_more_and_drips_ends_too_and_what_came_is_kept() -> None:
    source, head = dataset(4_000)
    world = World(source, peers=1)

    async def drip(_peer: str, message: bytes, honest: bytes) -> bytes:
        if isinstance(decode(message, GetPages, Hello), GetPages):
            await world.runtime.sleep(2.0)
            answer = decode(honest, PageAnswer)
            first = next((size for size in answer.sizes if size > 0), 0)
            data = unsqueezed(answer.body, sum(size for size in answer.sizes if size > 0))
            return PageAnswer(answer.sizes[:1], squeezed(data[:first])).encode()
        return honest

    world.net.liars["p0"] = drip
    world.wanted_until = 5.0
    with pytest.raises(SupersededError):
        world.bring(head)
    assert 4 + SUPERSEDED_S < world.loop.time < 8 + SUPERSEDED_S
    assert len(world.store.pages) > 5


def test_what_is_wanted_no_more_and_goes_on_coming_comes_whole() -> None:
    source, head = dataset(500)
    world = World(source)
    world.wanted_until = 0.0
    world.bring(head)
    assert world.store.pages == source.pages


def test_a_peer_without_the_dataset_is_remembered_and_the_others_are_asked() -> None:
    source, head = dataset(500)
    world = World(source, peers=1)
    for number in range(3):
        world.add(f"empty{number}", MemoryPageStore())
    world.bring(head)
    assert world.store.pages == source.pages
    assert not world.penalties
    assert world.acquaintances.order(head.root, ["empty0"], world.loop.time) == []


def test_half_a_dataset_each_is_enough() -> None:
    source, head = dataset(500)
    world = World(source, peers=0)
    for number in range(4):
        part = MemoryPageStore()
        part.pages = {cid: raw for cid, raw in source.pages.items() if cid[-1] % 4 != number}
        world.add(f"part{number}", part)
    report = None
    for _ in range(40):  # each try ends when all have lacked something, and goes on from what is there
        try:
            report = world.bring(head)
            break
        except NobodyError:
            world.loop.run(world.runtime.sleep, 30.0)
    assert report is not None
    assert world.store.pages == source.pages


def test_nobody_at_all_is_said_so_after_a_while() -> None:
    _, head = dataset(200)
    world = World(MemoryPageStore(), peers=0)
    with pytest.raises(NobodyError, match="nobody has"):
        world.bring(head)
    assert 5 < world.loop.time < 30


def test_a_busy_peer_is_asked_again_when_it_says_so() -> None:
    source, head = dataset(500)
    world = World(source, peers=1, quotas=Quotas(bytes_per_s=50_000, bytes_burst=50_000))
    world.bring(head)
    assert world.store.pages == source.pages
    assert 1 < world.loop.time < 60
    assert not world.penalties


def test_a_peer_of_another_network_is_asked_for_no_page() -> None:
    source, head = dataset(200)
    world = World(source, peers=1)
    other = MemoryPageStore()
    runtime = SimRuntime(world.loop, "other")
    hello = type(HELLO)(HELLO.chain + 1, HELLO.registry, "other", ())
    server = Server(runtime, hello, other, SimHeads(SimChain([]), other))
    asked: list[bytes] = []

    async def handle(peer: str, message: bytes) -> bytes:
        asked.append(message)
        return await server.handle(peer, message)

    SimTransport(world.net, "other", runtime).on_request(handle)
    world.bring(head)
    assert not any(b"get-pages" in message for message in asked)


@pytest.mark.parametrize("seed", range(10))
def test_through_loss_delay_and_doubles_it_comes_whole(seed: int) -> None:
    source, head = dataset(500)
    world = World(source, peers=3, seed=seed)
    world.net.weather = Weather(0.001, 2.0, loss=0.15, twice=0.2)
    done = None
    for _ in range(20):
        try:
            done = world.bring(head)
            break
        except NobodyError:
            continue
    assert done is not None
    assert world.store.pages == source.pages


# --- breaking off ----------------------------------------------------------------------------------------------------


def test_broken_off_in_the_middle_it_goes_on_and_fetches_no_page_twice() -> None:
    source, head = dataset(2000)
    world = World(source, peers=2)

    async def some() -> None:
        async with world.runtime.nursery() as nursery:
            nursery.start_soon(world.replication.run, head, None)
            while sum(fetched.pages for fetched in world.progress[-1:]) < 300:
                await world.runtime.sleep(0.01)
            world.net.partition(["reader"], ["p0", "p1"])
            await world.runtime.sleep(300)

    with pytest.raises(BaseExceptionGroup) as caught:
        world.loop.run(some)
    assert caught.group_contains(NobodyError)
    there = set(world.store.pages)
    assert len(there) >= 300
    world.net.heal()
    report = world.bring(head)
    assert world.store.pages == source.pages
    assert report.pages == len(spog_pages(source, head.root) - there)


class FullStore(MemoryPageStore):
    """A disk that is full after some pages."""

    def __init__(self, pages_max: int) -> None:
        super().__init__()
        self.pages_max = pages_max

    def put_many(self, pages: object) -> None:
        if len(self.pages) > self.pages_max:
            raise StoreError("the disk is full")
        super().put_many(pages)  # type: ignore[arg-type]  # pairs


def test_a_full_disk_ends_it_with_the_disk_s_error_and_with_room_it_goes_on() -> None:
    source, head = dataset(500)
    world = World(source)
    store = FullStore(-1)
    world.replication._store = store
    with pytest.raises(StoreError, match="disk is full"):
        world.bring(head)
    store.pages_max = 10**9
    world.bring(head)
    assert store.pages == source.pages


def test_what_is_under_way_and_what_waits_is_bounded() -> None:
    source, head = dataset(3000)
    world = World(source, peers=12)
    world.bring(head)
    assert world.transport.counted.under_way_most <= 6 * 2
    assert max(fetched.waiting for fetched in world.progress) < 6 * 2 * 256 * 8
