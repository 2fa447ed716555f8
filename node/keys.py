"""Key files: the standard Ethereum keystore (Web3 Secret Storage, version 3), encrypted with a password.

A private key exists in memory only. It is never written unencrypted, never in a log, and never in an error: errors
name the file and the address.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from eth_account import Account

from dkg.chain.secp import address_from_text, address_of
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE_BYTES_MAX: Final = 16 * 1024
"""Largest key file that is read, in bytes; real ones have about 500."""

PASSWORD_CHARACTERS_MIN: Final = 8
"""Shortest password for a new key file, in characters: scrypt slows guessing, and does no wonders."""

PASSWORD_BYTES_MAX: Final = 1024
"""Longest password, in bytes."""


class KeyFileError(InputError):
    """A key file that cannot be opened: missing, damaged, or another password."""


def create(path: Path, password: str, key: bytes, *, work: int | None = None) -> bytes:
    """Write a new key file, readable by its owner alone; gives the address.

    `key`: 32 random bytes. `work`: scrypt's N (default: the library's, about a second). Raises `InputError` if the
    file is there already or the password is too short, `StoreError` if the file cannot be written.
    """
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise InputError(f"the password is too short: use at least {PASSWORD_CHARACTERS_MIN} characters")
    if len(password.encode()) > PASSWORD_BYTES_MAX:
        raise InputError(f"the password is too long: {PASSWORD_BYTES_MAX} bytes are the most")
    address = address_of(key)
    text = json.dumps(Account.encrypt(key, password, kdf="scrypt", iterations=work), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"the folder {path.parent} cannot be made: {error.strerror or error}") from error
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise InputError(f"there is a key in {path} already; it was left alone") from error
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be written: {error.strerror or error}") from error
    return address


def address_in(path: Path) -> bytes:
    """The address of a key file, without its password."""
    return address_from_text("0x" + str(_read(path).get("address", "")).removeprefix("0x"))


def unlock(path: Path, password: str) -> bytes:
    """The private key of a key file, 32 bytes. Raises `KeyFileError`."""
    found = _read(path)
    try:
        key = bytes(Account.decrypt(found, password))
    except (ValueError, TypeError, KeyError, ArithmeticError):
        raise KeyFileError(f"{path} does not open with this password, or is damaged") from None  # may quote the key
    if address_of(key) != address_in(path):
        raise KeyFileError(f"{path} holds another key than that of the address it names")
    return key


def _read(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise KeyFileError(f"there is no key file {path}; `dkg key new` makes one") from error
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror or error}") from error
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if len(data) > KEY_FILE_BYTES_MAX or not isinstance(found, dict):
        raise KeyFileError(f"{path} is no Ethereum key file")
    return found
