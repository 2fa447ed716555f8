"""What commands share that sign and send: the key unlocked, a publisher over the chain, and a bar for the waits."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from dkg.chain.secp import address_from_text
from dkg.client.cli.console import is_terminal
from node.cli.password import password
from node.home import Home
from node.keys import address_in, unlock
from node.publish.fees import GWEI, FeePolicy
from node.publish.publisher import open_publisher
from node.publish.wallet import Wallet, Wallets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.client.cli.console import Console
    from node.publish.publisher import Publisher

LINES_S: Final = 5.0
"""Seconds between two lines of progress where there is no terminal."""


def wallet_of(args: argparse.Namespace, home: Home) -> Wallet:
    """The home's key, unlocked. Raises `InputError` if there is none or the password is another."""
    address_in(home.key_file)  # no question without a key
    return Wallet(unlock(home.key_file, password(args.password_file, str(home.key_file))))


def policy_of(args: argparse.Namespace) -> FeePolicy:
    """What may be paid."""
    return FeePolicy() if args.max_fee is None else FeePolicy(max_fee_cap=int(args.max_fee * GWEI))


@contextmanager
def publisher_at(args: argparse.Namespace) -> Iterator[Publisher]:
    """The publisher of the home that the arguments name, with its key."""
    home = Home.find(args.home)
    settings = home.chain()
    wallet = wallet_of(args, home)
    who = wallet.address if settings.publisher is None else address_from_text(settings.publisher)
    with open_publisher(home, Wallets(who, wallet, wallet), settings=settings, policy=policy_of(args)) as publisher:
        yield publisher


class Waiter:
    """Tells what is waited for: on a terminal in one line that changes, elsewhere in lines if they were asked for."""

    def __init__(self, console: Console) -> None:
        self._terminal = is_terminal(sys.stderr) and not console.quiet
        self._lines = console.progress
        self._told = ""
        self._at = -LINES_S

    def __call__(self, text: str, done: int, wanted: int) -> None:
        """See `node.publish.waits.Progress`."""
        line = f"{text}, {done} of {wanted} blocks" if wanted else text
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif self._lines and line != self._told and time.monotonic() - self._at >= LINES_S:
            self._at = time.monotonic()
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        self._told = line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
