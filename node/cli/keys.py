"""`dkg key`: make a key, show it, and change who signs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from dkg.chain.secp import address_from_text, checksum
from dkg.chain.ual import pkh
from dkg.client.settings import read_settings
from dkg.errors import InputError
from node.cli.password import password
from node.home import Home
from node.keys import address_in, create

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from dkg.client.cli.console import Console
    from node.publish.keychange import KeyChange, Keys
    from node.publish.waits import Progress


def new(args: argparse.Namespace, console: Console) -> int:
    """Make a key."""
    home = Home.find(args.home)
    if home.key_file.exists():
        raise InputError(f"there is a key in {home.key_file} already; it was left alone")
    words = password(args.password_file, "the new key", twice=True)
    address = create(home.key_file, words, secrets.token_bytes(32))
    if console.json:
        console.object({"address": checksum(address), "file": str(home.key_file)})
    else:
        console.line(checksum(address))
    console.say(f"the key is in {home.key_file}, encrypted; without its password nobody can use it, you included")
    return 0


def show(args: argparse.Namespace, console: Console) -> int:
    """Print the address of the key, as names of accounts."""
    home = Home.find(args.home)
    address, settings = address_in(home.key_file), read_settings(home.path)
    publisher = checksum(address_from_text(settings.publisher)) if settings and settings.publisher else None
    facts = {"address": checksum(address), "publisher": publisher or checksum(address), "file": str(home.key_file)}
    if settings is not None:
        facts["did"] = pkh(settings.chain_id, address)
    if console.json:
        console.object(facts)
    else:
        console.line(checksum(address))
        for name, value in facts.items():
            if name != "address":
                console.say(f"{name}: {value}")
    return 0


def rotate(args: argparse.Namespace, console: Console) -> int:
    """Name a new signer."""
    signer = address_from_text(args.signer)
    return _changed(args, console, lambda keys, tell: keys.rotate(signer, tell))


def revoke(args: argparse.Namespace, console: Console) -> int:
    """Let nobody sign."""
    return _changed(args, console, lambda keys, tell: keys.revoke(tell))


def retire(args: argparse.Namespace, console: Console) -> int:
    """End publishing."""
    return _changed(args, console, lambda keys, tell: keys.retire(tell))


def _changed(args: argparse.Namespace, console: Console, change: Callable[[Keys, Progress], KeyChange]) -> int:
    from node.cli.signing import Waiter, publisher_at  # noqa: PLC0415 - `key new` needs no chain
    from node.publish.keychange import Keys  # noqa: PLC0415

    with publisher_at(args) as publisher, Waiter(console) as tell:
        done = change(Keys(publisher), tell)
        who = checksum(publisher.wallets.publisher)
    facts = {
        "publisher": who,
        "signer": checksum(done.signer) if done.signer else None,
        "retired": done.retired,
        "changed": done.changed,
        "transaction": "0x" + done.transaction.hex() if done.transaction else None,
        "block": done.block,
        "gas": done.gas_used,
    }
    if console.json:
        console.object(facts)
    else:
        console.line(checksum(done.signer) if done.signer else "nobody")
    signs = f"{facts['signer']} signs for {who}" if done.signer else f"nobody signs for {who}"
    ever = ", for ever" if done.retired else ""
    console.say(f"{signs}{ever}, as of block {done.block}" + ("" if done.changed else "; it was so already"))
    return 0
