"""Row B5: every lie, told at five moments, to clients and followers, by one endpoint or by one of three.

With one endpoint, proofs alone stand against it: what it says is refused or the truth, if perhaps of an older block.
With three of which two must agree, the lie makes no difference at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.client.anchored import Anchor, State
from dkg.client.rpc import ChainError
from dkg.client.trusted import TrustedHeads
from dkg.errors import ProofError
from node.devnet.chain import devnet
from tests.chain.lies import INVENTIONS, LIES, after, first
from tests.chain.world import DEPTH, World, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.chain.registry import Committed
    from tests.chain.proxy import Rule

NOT_ASKED = {
    *("forged receipt", "receipt of another block", "receipt of another transaction", "null receipt"),
    *("forged call", "forged nonce", "swallowed transaction"),
}
TOLD = sorted(LIES.keys() - NOT_ASKED)
"""Lies about what clients and followers ask."""

FREEZING = {"old head", "old block"}
"""Lies that are true of an older block."""

MOMENTS: dict[str, Callable[[Rule], Rule]] = {
    "always": lambda rule: rule,
    "from the second call on": lambda rule: after(1, rule),
    "from the third call on": lambda rule: after(2, rule),
    "from the fourth call on": lambda rule: after(3, rule),
    "in the first four calls": lambda rule: first(4, rule),
}

CASES = [(name, moment) for name in TOLD for moment in MOMENTS]


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    """Two publishers, four commits of which the last two are not final, a rotation; nothing is changed afterwards."""
    with devnet() as chain, world(chain.url, proxies=3) as made:
        one, two = made.registry.accounts[:2]
        made.registry.commit(one)
        made.registry.commit(two)
        made.registry.call("rotate", two, one, sender=two)
        made.mine(DEPTH)
        made.registry.commit(two, sender=one)
        made.registry.commit(one)
        yield made


@pytest.fixture
def here(built: World) -> Iterator[World]:
    yield built
    for reader in built.opened:
        reader.close()
    built.opened.clear()
    for proxy in built.proxies:
        proxy.rule = lambda _request, response: response
        proxy.calls.clear()


@pytest.fixture(scope="module")
def own(built: World) -> list[Committed]:
    """The publisher's commits."""
    follower = built.follower()
    follower.step()
    return [entry for entry in follower.log.entries if entry.publisher == built.publisher]


def remembering(world: World, own: list[Committed]) -> TrustedHeads:
    """What a client that has seen the first commit final, and the second, remembers."""
    trusted = TrustedHeads(None)
    trusted.put(world.registry.domain, own[0], final=True)
    trusted.put(world.registry.domain, own[1], final=False)
    return trusted


def test_there_are_enough_of_them() -> None:
    assert len(TOLD) >= 12
    assert len(MOMENTS) == 5


@pytest.mark.parametrize(("name", "moment"), CASES)
def test_one_lying_endpoint_is_refused_or_tells_the_truth(
    here: World, own: list[Committed], name: str, moment: str
) -> None:
    for trusted in (None, remembering(here, own)):
        here.proxy.calls.clear()
        here.proxy.rule = MOMENTS[moment](LIES[name]())
        try:
            head = here.client(trusted).head()
        except (ProofError, ChainError):
            continue
        assert head.anchor is Anchor.PROVED
        expected = own[-1:] if name not in FREEZING else own if trusted else [None, *own]
        assert head.committed in expected
        assert head.state is State.PENDING or head.committed == own[0]


@pytest.mark.parametrize(("name", "moment"), CASES)
def test_one_lying_endpoint_makes_no_follower_believe_it(
    here: World, own: list[Committed], name: str, moment: str
) -> None:
    follower = here.follower()
    here.proxy.calls.clear()
    here.proxy.rule = MOMENTS[moment](LIES[name]())
    try:
        follower.step()
    except (ProofError, ChainError):
        assert follower.final_position == 0
    here.proxy.rule = lambda _request, response: response
    assert follower.step().proved
    assert [entry for entry in follower.log.entries if entry.publisher == here.publisher] == own
    assert (len(follower.log.entries), follower.final_position) == (4, 2)


@pytest.mark.parametrize("name", [*TOLD, *INVENTIONS])
def test_one_liar_of_three_makes_no_difference(here: World, own: list[Committed], name: str) -> None:
    reader = here.quorum(2)
    tip = here.rpc("eth_getBlockByNumber", "latest", False)["hash"]  # noqa: FBT003 - JSON-RPC
    for at, moment in enumerate(MOMENTS.values()):
        liar = here.proxies[at % 3]
        liar.calls.clear()
        liar.rule = moment((LIES | INVENTIONS)[name]())
        head = here.client(remembering(here, own) if at % 2 else None, reader=reader).head()
        assert (head.committed, head.anchor, head.state) == (own[1], Anchor.PROVED, State.PENDING)
        assert (head.anchored.block.hash.hex(), head.endpoints) == (tip[2:], 2)
        follower = here.follower(reader=reader)
        assert follower.step().proved
        assert [entry for entry in follower.log.entries if entry.publisher == here.publisher] == own
        assert (len(follower.log.entries), follower.final_position) == (4, 2)
        liar.rule = lambda _request, response: response
    final = here.client(reader=reader).head(final=True)
    assert (final.committed, final.state) == (own[0], State.FINAL)
