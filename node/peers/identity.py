"""The key that this node has among peers: an Ed25519 key in a file that its owner alone can read.

It is no key of a publisher and signs nothing that counts on a chain: whoever steals it can pretend to be this peer.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from libp2p.crypto.ed25519 import Ed25519PrivateKey
from libp2p.crypto.keys import KeyPair

from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES: Final = 32

_OTHERS: Final = 0o077


def host_key(path: Path) -> KeyPair:
    """The key in a file, which is made if it is missing.

    Raises `InputError` for a file that is no key or that others may read, `StoreError` if it cannot be read or made.
    """
    try:
        seed = _read(path)
    except FileNotFoundError:
        seed = _make(path)
    except OSError as error:
        raise StoreError(f"the host key {path} cannot be read: {error.strerror or error}") from error
    return key_pair(seed)


def key_pair(seed: bytes) -> KeyPair:
    """The key pair of 32 secret bytes."""
    private = Ed25519PrivateKey.from_bytes(seed)
    return KeyPair(private, private.get_public_key())


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        data = file.read(2 * KEY_BYTES + 2)
    if mode & _OTHERS:
        raise InputError(f"others than its owner may read the host key {path}: `chmod 600` it, or delete it")
    try:
        seed = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != KEY_BYTES:
        raise InputError(f"{path} is no host key; delete it to get a new one, under which no peer knows this node")
    return seed


def _make(path: Path) -> bytes:
    seed = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(seed.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return _read(path)  # another process was faster
    except OSError as error:
        raise StoreError(f"the host key {path} cannot be made: {error.strerror or error}") from error
    return seed
