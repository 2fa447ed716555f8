"""The key of a node's home, unlocked: what publishes for its own publisher, and what pays for others' commits."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.secp import address_from_text
from dkg.errors import InputError
from node.checkpoints.hand import Hand
from node.checkpoints.sending import CheckpointSender
from node.cli.password import password
from node.core.paying import ChainPayer, HomePublisher
from node.keys import unlock
from node.publish.publisher import Publisher, connected
from node.publish.sender import Tools
from node.publish.waits import Waits
from node.publish.wallet import Wallet, Wallets

if TYPE_CHECKING:
    from dkg.client.rpc import Waiting
    from dkg.client.settings import ChainSettings
    from node.config import Config
    from node.home import Home


@dataclass(frozen=True, slots=True)
class Publishing:
    """What a key is used for; `closing` closes its connections."""

    own: HomePublisher | None
    payer: ChainPayer | None
    hand: Hand | None
    closing: ExitStack


def open_publishing(home: Home, chain: ChainSettings, config: Config, waiting: Waiting) -> Publishing:
    """Unlock a home's key. Raises `InputError` if there is none, or the password is another."""
    if not config["publish.password_file"]:
        raise InputError(f"publish.home is set in {config.source}, and publish.password_file is not")
    wallet = Wallet(unlock(home.key_file, password(config["publish.password_file"], str(home.key_file))))
    who = wallet.address if chain.publisher is None else address_from_text(chain.publisher)
    with ExitStack() as stack:
        own = payer = hand = None
        if config["publish.own"]:
            reader, writer = stack.enter_context(connected(chain.endpoints, chain.need, waiting))
            tools = Tools(writer, waiting, time.time, config.fees(), Waits())
            publisher = stack.enter_context(
                closing(Publisher(home, chain, Wallets(who, wallet, wallet), reader, tools))
            )
            own = HomePublisher(publisher)
        if config["publish.relay"]:
            reader, writer = stack.enter_context(connected(chain.endpoints, chain.need, waiting))
            tools = Tools(writer, waiting, time.time, config.fees(), Waits())
            payer = ChainPayer(wallet, reader, chain.domain, tools, chain.finality_depth)
        if chain.checkpoints and config["checkpoints.watch"]:
            reader, writer = stack.enter_context(connected(chain.endpoints, chain.need, waiting))
            tools = Tools(writer, waiting, time.time, config.fees(), Waits())
            sender = CheckpointSender(home, wallet, chain.domain, reader, tools)
            hand = Hand(sender, reader, writer, address_from_text(chain.checkpoints), chain.domain)
        return Publishing(own, payer, hand, stack.pop_all())
