"""Rows B1 and B3: reorganisations, as a client and a follower see them, on the development chain and on anvil.

             A ── B1 ── B2 ── … ── Bd          the commit is in B1
              \\
               └─ C1 ── C2 ── … ── Cd          the transaction is in Ct, or in a block after Cd, or nowhere
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from dkg.chain.secp import keccak256
from dkg.client.anchored import Client, RollbackError, State
from dkg.client.chainread import FinalityError
from dkg.client.trusted import TrustedHeads
from node.devnet.chain import devnet
from tests.chain.anvil import anvil
from tests.chain.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.chain.registry import Committed
    from dkg.client.follower import Follower

DEEP = 10
"""Finality depth: deeper than the reorganisations of B1."""

LATER, NEVER = 6, 7
"""Of the eight places of the transaction: new block 0 to 5, after the reorganisation, nowhere."""


@pytest.fixture(scope="module")
def on_devnet() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        made.registry.commit(made.publisher)
        made.mine(DEEP)
        yield made


@pytest.fixture(scope="module")
def on_anvil() -> Iterator[World]:
    with anvil() as chain, world(chain.url) as made:
        made.registry.commit(made.publisher)
        made.mine(DEEP)
        yield made


@dataclass
class Watchers:
    """A client and a follower that have seen all from the start."""

    here: World
    client: Client
    follower: Follower

    @classmethod
    def of(cls, here: World) -> Watchers:
        made = cls(here, here.client(TrustedHeads(None), depth=DEEP), here.follower(depth=DEEP))
        made.client.head()
        made.follower.step()
        return made

    def see(self, expected: list[Committed], state: State, *, went_back: bool) -> None:
        """What both must see now; the follower as one does that starts from nothing."""
        head = self.client.head()
        assert (head.committed, head.state, head.went_back) == (expected[-1], state, went_back)
        assert self.follower.step().proved
        assert self.follower.log.entries == expected
        assert (self.follower.final_position == len(expected)) == (state is State.FINAL)
        fresh = self.here.follower(depth=DEEP)
        fresh.step()
        assert (fresh.log.entries, fresh.log.publishers) == (expected, self.follower.log.publishers)


def reorganised(here: World, depth: int, place: int) -> None:
    """One case of B1."""
    before, first = Watchers.of(here), here.registry.latest[here.publisher]
    raw = here.registry.signed(here.publisher)
    here.rpc("eth_sendRawTransaction", raw)
    second = mined(here, raw)
    here.mine(depth - 1)
    before.see([first, second], State.PENDING, went_back=False)
    is_back = place < min(depth, LATER)
    here.rpc("anvil_reorg", depth, [[raw, place]] if is_back else [])
    here.mine(1)
    if is_back:
        again = mined(here, raw)
        before.see([first, again], State.PENDING, went_back=again != second)
    else:
        before.see([first], State.FINAL, went_back=True)
        before.see([first], State.FINAL, went_back=False)
        if place == NEVER:
            return
        here.rpc("eth_sendRawTransaction", raw)
        again = mined(here, raw)
        before.see([first, again], State.PENDING, went_back=False)
    here.mine(DEEP)
    before.see([first, again], State.FINAL, went_back=False)


def mined(here: World, raw: str) -> Committed:
    """The commit that a transaction logged."""
    digest = "0x" + keccak256(bytes.fromhex(raw[2:])).hex()
    while (receipt := here.rpc("eth_getTransactionReceipt", digest)) is None:  # anvil mines a moment later
        pass
    return here.registry.logged(receipt)


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("place", range(8))
def test_a_commit_that_a_reorganisation_moves_is_pending_again_and_final_later(
    on_devnet: World, depth: int, place: int
) -> None:
    with on_devnet.undone() as here:
        reorganised(here, depth, place)


@pytest.mark.parametrize(("depth", "place"), [(1, 0), (1, LATER), (3, 1), (3, NEVER), (8, 0), (8, 5), (8, LATER)])
def test_a_commit_that_anvil_moves_is_pending_again_and_final_later(on_anvil: World, depth: int, place: int) -> None:
    with on_anvil.undone() as here:
        reorganised(here, depth, place)


@pytest.mark.parametrize("deeper", range(1, 9))
def test_a_client_refuses_a_chain_that_was_reorganised_deeper_than_finality(on_devnet: World, deeper: int) -> None:
    with on_devnet.undone() as here:
        before = Watchers.of(here)
        second = here.registry.commit(here.publisher)
        here.mine(DEEP + deeper - 1)
        first = before.follower.log.entries[0]
        before.see([first, second], State.FINAL, went_back=False)
        here.rpc("anvil_reorg", DEEP + deeper, [])
        for _ in range(2):
            with pytest.raises(RollbackError, match="commit 2 was final before"):
                before.client.head()
            here.mine(3)
        final = before.client.last_final()
        assert final is not None
        assert final.committed == second  # what was final before stays so
        here.registry.latest[here.publisher] = first
        here.registry.commit(here.publisher, b"\7" * 32)
        with pytest.raises(FinalityError, match="was final and is not in the log any more"):
            before.client.head()
