"""The serving side: what may be asked, what it costs, and that nothing a peer sends gets through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import StoreError
from dkg.page import Leaf, cid_of
from dkg.pages import MemoryPageStore, StoredPages
from dkg.proof import prove, verify
from node.replication import limits
from node.replication.ask import Asker
from node.replication.errors import BusyError, NotHeldError, PeerError
from node.replication.messages import (
    Code,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    PageAnswer,
    Refusal,
    decode,
)
from node.replication.serve import Quotas, Server
from tests.node.replication.datasets import changed, dataset
from tests.node.replication.examples import cid, head
from tests.sim.loop import Loop, SimRuntime
from tests.sim.node import HELLO, SimChain, SimHeads
from tests.sim.transport import SimNet, SimTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from node.replication.messages import Message

Result = TypeVar("Result")

QUERY = "SELECT ?n WHERE { <https://example.org/student7> <https://example.org/name> ?n }"


class Guest:
    """Two nodes: one asks, the other serves."""

    def __init__(self, store: MemoryPageStore, quotas: Quotas | None = None, prover: object = None) -> None:
        self.loop = Loop(1)
        self.net = SimNet(self.loop)
        self.runtime = SimRuntime(self.loop)
        heads = SimHeads(SimChain([]), store)
        heads.heads = {head(number).publisher: head(number) for number in range(1, 601)}
        self.server = Server(self.runtime, HELLO, store, heads, prover=prover, quotas=quotas or Quotas())  # type: ignore[arg-type]
        self.transport = SimTransport(self.net, "guest", self.runtime)
        SimTransport(self.net, "server", self.runtime).on_request(self.server.handle)
        self.asker = Asker(self.transport, HELLO)

    def run(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        async def main() -> Result:
            return await ask()

        return self.loop.run(main)

    def answer(self, message: Message | bytes) -> Message:
        raw = message if isinstance(message, bytes) else message.encode()
        found = self.run(lambda: self.server.handle("guest", raw))
        return decode(found, Hello, Heads, PageAnswer, Refusal)


@pytest.fixture
def guest() -> Guest:
    return Guest(dataset(200)[0])


def test_a_greeting_is_answered_with_a_greeting(guest: Guest) -> None:
    assert guest.run(lambda: guest.asker.hello("server")) == HELLO


def test_a_node_of_another_network_is_told_so(guest: Guest) -> None:
    other = Asker(guest.transport, Hello(HELLO.chain + 1, HELLO.registry, "x", ()))
    with pytest.raises(NotHeldError, match="other-network"):
        guest.run(lambda: other.hello("server"))
    other = Asker(guest.transport, Hello(HELLO.chain, bytes(20), "x", ()))
    with pytest.raises(NotHeldError, match="other-network"):
        guest.run(lambda: other.hello("server"))


def test_heads_come_in_order_over_several_messages(guest: Guest) -> None:
    assert guest.run(lambda: guest.asker.heads("server")) == [head(number) for number in range(1, 601)]
    first = guest.answer(GetHeads(b""))
    assert isinstance(first, Heads)
    assert (len(first.heads), first.more) == (limits.HEADS_MAX, True)


def test_pages_come_in_order_with_those_that_are_not_held_left_out(guest: Guest) -> None:
    pages = list(dataset(200)[0].pages.items())[:50]
    cids = [c for c, _ in pages]
    cids.insert(3, cid(1))
    found = guest.run(lambda: guest.asker.pages("server", cids))
    assert found[3] == (cid(1), None)
    assert [pair for pair in found if pair[1] is not None] == pages


def test_an_answer_ends_where_it_is_full_and_says_how_large_the_next_page_is(guest: Guest) -> None:
    pages = list(dataset(200)[0].pages.items())[:3]
    answer = guest.answer(GetPages(tuple(c for c, _ in pages), len(pages[0][1]) + 1))
    assert isinstance(answer, PageAnswer)
    assert answer.sizes == (len(pages[0][1]), -len(pages[1][1]))


@pytest.mark.parametrize("size", [limits.PAGES_BYTES_MAX - 20_000, limits.PAGES_BYTES_MAX + 1, 30_000_000])
def test_a_page_larger_than_an_answer_is_sent_on_its_own(size: int) -> None:
    large = Leaf([bytes([number]) * (size // 30) for number in range(0x20, 0x3E)]).encode()
    small = Leaf([b"a"]).encode()
    store = MemoryPageStore()
    store.put_many([(cid_of(raw), raw) for raw in (large, small)])
    guest = Guest(store)
    found = guest.run(lambda: guest.asker.pages("server", [cid_of(large), cid_of(small)]))
    assert found[0] == (cid_of(large), large)
    assert guest.run(lambda: guest.asker.pages("server", [cid_of(small), cid_of(large)]))[0] == (cid_of(small), small)


def test_more_bytes_than_an_answer_has_are_sent_of_a_single_page_only(guest: Guest) -> None:
    answer = guest.answer(GetPages((cid(1), cid(2)), limits.PAGES_BYTES_MAX + 1))
    assert isinstance(answer, Refusal)
    assert answer.code is Code.BAD_REQUEST
    assert isinstance(guest.answer(GetPages((cid(1), cid(2)), limits.PAGES_BYTES_MAX)), PageAnswer)


def test_a_change_between_two_datasets_is_told_and_one_with_a_dataset_that_is_not_there_is_not_held() -> None:
    source, new = changed(200, 20)
    _, old = dataset(200)
    guest = Guest(source)
    change = guest.run(lambda: guest.asker.change("server", old.root, new.root))
    assert (change.gone, change.come) == (20, 20)
    with pytest.raises(NotHeldError, match="not-held"):
        guest.run(lambda: guest.asker.change("server", cid(1), new.root))


def test_a_change_that_is_not_small_is_too_large() -> None:
    source, new = changed(2000, 2001)
    _, old = dataset(2000)
    guest = Guest(source)
    with pytest.raises(NotHeldError, match="too-large"):
        guest.run(lambda: guest.asker.change("server", old.root, new.root))


# --- proofs -------------------------------------------------------------------------------------------------------


def prover_of(store: MemoryPageStore) -> Callable[[str, GetProof], Awaitable[bytes]]:
    async def made(peer: str, request: GetProof) -> bytes:
        assert peer == "guest"
        return prove(StoredPages(store), request.root, request.query).car

    return made


def test_a_proof_is_made_and_can_be_verified() -> None:
    store, commit = dataset(200)
    guest = Guest(store, prover=prover_of(store))
    car = guest.run(lambda: guest.asker.proof("server", GetProof(commit.root, QUERY)))
    assert str(verify(car, QUERY, commit.root).rows[0][0]) == '"Student 7"'


def test_a_query_that_cannot_be_proved_is_refused_with_the_reason() -> None:
    store, commit = dataset(200)
    guest = Guest(store, prover=prover_of(store))
    query = "SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }"
    with pytest.raises(NotHeldError, match=r"refused.*SERVICE"):
        guest.run(lambda: guest.asker.proof("server", GetProof(commit.root, query)))


def test_a_node_without_a_prover_makes_no_proofs(guest: Guest) -> None:
    with pytest.raises(NotHeldError, match="makes no proofs"):
        guest.run(lambda: guest.asker.proof("server", GetProof(cid(1), QUERY)))


def test_a_proof_over_the_limit_is_refused() -> None:
    async def long(_peer: str, _request: GetProof) -> bytes:
        return bytes(limits.PROOF_BYTES_MAX + 1)

    async def longest(_peer: str, _request: GetProof) -> bytes:
        return bytes(limits.PROOF_BYTES_MAX)

    guest = Guest(MemoryPageStore(), prover=long)
    with pytest.raises(NotHeldError, match="longer than"):
        guest.run(lambda: guest.asker.proof("server", GetProof(cid(1), QUERY)))
    guest = Guest(MemoryPageStore(), prover=longest)
    assert len(guest.run(lambda: guest.asker.proof("server", GetProof(cid(1), QUERY)))) == limits.PROOF_BYTES_MAX


def test_one_peer_gets_two_proofs_at_a_time_and_all_together_four() -> None:
    loop = Loop(1)
    runtime = SimRuntime(loop)
    making = most = 0

    async def slow(_peer: str, _request: GetProof) -> bytes:
        nonlocal making, most
        making += 1
        most = max(most, making)
        await runtime.sleep(10)
        making -= 1
        return b"car"

    store = MemoryPageStore()
    server = Server(runtime, HELLO, store, SimHeads(SimChain([]), store), prover=slow)
    answers: list[bytes] = []

    async def ask(peer: str) -> None:
        answers.append(await server.handle(peer, GetProof(cid(1), QUERY).encode()))

    async def main() -> None:
        async with runtime.nursery() as nursery:
            for peer in ("a", "a", "a", "b", "b", "b", "c"):
                nursery.start_soon(ask, peer)

    loop.run(main)
    assert most == 4
    assert sum(b"busy" in answer for answer in answers) == 3


# --- quotas -------------------------------------------------------------------------------------------------------


def test_requests_over_the_quota_are_told_when_to_come_back() -> None:
    guest = Guest(dataset(200)[0], Quotas(requests_per_s=2, requests_burst=3))
    assert [type(guest.answer(GetHeads(b""))) for _ in range(4)] == [Heads, Heads, Heads, Refusal]
    with pytest.raises(BusyError) as caught:
        guest.run(lambda: guest.asker.heads("server"))
    assert 0 < caught.value.retry_after_s <= 1
    guest.run(lambda: guest.runtime.sleep(caught.value.retry_after_s + 0.01))
    assert isinstance(guest.answer(GetHeads(b"")), Heads)


def test_bytes_over_the_quota_are_told_when_to_come_back() -> None:
    store = dataset(200)[0]
    cids = tuple(store.pages)[:20]
    size = sum(len(store.pages[c]) for c in cids)
    guest = Guest(store, Quotas(bytes_per_s=size, bytes_burst=size))
    assert isinstance(guest.answer(GetPages(cids, limits.PAGES_BYTES_MAX)), PageAnswer)
    refused = guest.answer(GetPages(cids, limits.PAGES_BYTES_MAX))
    assert isinstance(refused, Refusal)
    assert refused.code is Code.BUSY
    guest.run(lambda: guest.runtime.sleep(refused.retry_after_ms / 1000 + 0.05))
    assert isinstance(guest.answer(GetPages(cids, limits.PAGES_BYTES_MAX)), PageAnswer)


def test_one_peer_s_greed_takes_nothing_from_another() -> None:
    guest = Guest(dataset(200)[0], Quotas(requests_per_s=1, requests_burst=5))
    for _ in range(50):
        guest.answer(GetHeads(b""))
    found = guest.run(lambda: guest.server.handle("other", GetHeads(b"").encode()))
    assert isinstance(decode(found, Heads, Refusal), Heads)


def test_no_more_than_eight_requests_of_a_peer_are_answered_at_once() -> None:
    loop = Loop(1)
    runtime = SimRuntime(loop, disk_s=0.1)
    store = dataset(200)[0]
    server = Server(runtime, HELLO, store, SimHeads(SimChain([]), store))
    answers: list[bytes] = []

    async def ask() -> None:
        answers.append(await server.handle("a", GetPages((next(iter(store.pages)),), 10_000).encode()))

    async def main() -> None:
        async with runtime.nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)

    loop.run(main)
    assert sum(b"busy" in answer for answer in answers) == 20 - limits.REQUESTS_AT_ONCE_MAX


def test_the_budgets_of_more_peers_than_are_remembered_take_no_more_memory() -> None:
    guest = Guest(MemoryPageStore(), Quotas(peers_max=10))
    for number in range(100):
        guest.run(lambda number=number: guest.server.handle(f"p{number}", b""))  # type: ignore[misc]
    assert len(guest.server._guests) == 10


# --- faults -------------------------------------------------------------------------------------------------------


class BrokenStore(MemoryPageStore):
    def get(self, cid: bytes) -> bytes | None:
        raise StoreError(f"the disk is gone: /secret/path {cid.hex()}")


def test_a_fault_of_this_node_s_disk_is_told_without_its_details() -> None:
    guest = Guest(BrokenStore())
    answer = guest.answer(GetPages((cid(1),), 100))
    assert isinstance(answer, Refusal)
    assert answer.code is Code.FAILED
    assert "secret" not in answer.reason
    with pytest.raises(BusyError, match="failed"):
        guest.run(lambda: guest.asker.pages("server", [cid(1)]))


def test_an_unknown_version_and_an_unknown_type_are_told_apart(guest: Guest) -> None:
    raw = GetHeads(b"").encode()
    version = guest.answer(raw.replace(b"av\x01", b"av\x02"))
    assert isinstance(version, Refusal)
    assert version.code is Code.UNKNOWN_VERSION
    kind = guest.answer(Heads((), more=False).encode())
    assert isinstance(kind, Refusal)
    assert kind.code is Code.BAD_REQUEST


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_with_a_refusal(raw: bytes) -> None:
    guest = Guest(MemoryPageStore())
    answer = guest.answer(raw)
    assert isinstance(answer, Refusal)
    assert answer.code in {Code.BAD_REQUEST, Code.UNKNOWN_VERSION}


# --- what an asker makes of bad answers ---------------------------------------------------------------------------


def lying(guest: Guest, answer: bytes) -> None:
    async def liar(_peer: str, _message: bytes, _honest: bytes) -> bytes:
        return answer

    guest.net.liars["server"] = liar


def test_heads_out_of_order_or_again_are_the_peer_s_fault(guest: Guest) -> None:
    for heads in ((head(2), head(1)), (head(1), head(1))):
        lying(guest, Heads(heads, more=False).encode())
        with pytest.raises(PeerError, match="not in order"):
            guest.run(lambda: guest.asker.heads("server"))
    lying(guest, Heads((head(1),), more=True).encode())  # for ever
    with pytest.raises(PeerError, match="not in order"):
        guest.run(lambda: guest.asker.heads("server"))


@pytest.mark.parametrize(
    "answer",
    [
        PageAnswer((), b""),
        PageAnswer((-1,), b""),
        PageAnswer((1, 1, 1), b""),
        PageAnswer((limits.PAGES_BYTES_MAX, 1), b""),
        PageAnswer((3,), b"no frame"),
        PageAnswer((-limits.PAGES_BYTES_MAX - 1,), b""),
    ],
    ids=["nothing", "does not fit though it would", "too many", "too many bytes", "no frame", "does not fit twice"],
)
def test_pages_that_were_not_asked_for_are_the_peer_s_fault(guest: Guest, answer: PageAnswer) -> None:
    lying(guest, answer.encode())
    with pytest.raises(PeerError):
        guest.run(lambda: guest.asker.pages("server", [cid(1), cid(2)]))


def test_an_answer_longer_than_what_was_asked_for_is_the_peer_s_fault(guest: Guest) -> None:
    lying(guest, bytes(limits.SMALL_BYTES_MAX + 1))
    with pytest.raises(PeerError, match="more than"):
        guest.run(lambda: guest.asker.hello("server"))


def test_a_silent_peer_is_unreachable_after_the_time_that_was_given(guest: Guest) -> None:
    guest.net.partition(["guest"], ["server"])
    with pytest.raises(StoreError, match="did not answer"):
        guest.run(lambda: guest.asker.heads("server"))
    assert 15 < guest.loop.time < 17
