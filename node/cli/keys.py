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

    from dkg.client.cli.console import Console


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
        console.say("\n".join(f"{name}: {value}" for name, value in facts.items() if name != "address"))
    return 0
