"""Bearer tokens (RFC 6750): who may write, and who reads as which address.

The node keeps what a token hashes to, never the token.

A token is 32 random bytes, so that one SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import ADDRESS_BYTES, address_from_text, checksum
from dkg.client.database import put_file
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECRET_BYTES: Final = 32
TOKENS_MAX: Final = 1_000
"""Most tokens: each request that shows one is compared with all of them."""

TOKEN_FILE_BYTES_MAX: Final = 1024 * 1024

_PREFIX: Final = "dkg_"  # so that scanners for leaked secrets can know one
_LONGEST: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a token is good for."""

    PUBLISH = "publish"
    """Publish and retract, hand in commits, see operations."""
    ADMIN = "admin"
    """See the network addresses of peers."""
    METRICS = "metrics"
    """Read `/metrics`."""
    GRANT = "grant"
    """Say who may read private parts of assets. It is no right to read them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the node knows it. `digest`: SHA-256 of the token, in hexadecimal.

    `reads`: the address that whoever shows it reads as; None: it reads nothing that is private.
    """

    name: str
    digest: str
    scopes: frozenset[Scope]
    reads: bytes | None = None

    def __post_init__(self) -> None:
        if self.reads is not None and len(self.reads) != ADDRESS_BYTES:
            raise ValueError(f"an address has {ADDRESS_BYTES} bytes")
        if not _NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} is no name for a token: use 1 to 64 letters, digits, '.', '_' and '-'")
        if not _DIGEST.fullmatch(self.digest):
            raise InputError(f"the digest of token {self.name} is not a SHA-256 in 64 hexadecimal digits")


def new_token(name: str, scopes: Iterable[Scope], secret: bytes, reads: bytes | None = None) -> tuple[str, Token]:
    """A new token: its text, to be told once to whoever gets it, and what the node keeps. `secret`: 32 random bytes."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes")
    text = _PREFIX + urlsafe_b64encode(secret).decode().rstrip("=")
    return text, Token(name, _digest(text.encode()), frozenset(scopes), reads)


def check_tokens(tokens: tuple[Token, ...]) -> None:
    """Raise `InputError` for too many tokens, or two of one name."""
    if len(tokens) > TOKENS_MAX:
        raise InputError(f"there are {len(tokens)} tokens; {TOKENS_MAX} are the most")
    names = Counter(token.name for token in tokens)
    for name, count in names.items():
        if count > 1:
            raise InputError(f"{count} tokens have the name {name!r}")


def find_token(tokens: tuple[Token, ...], text: str) -> Token | None:
    """The token that somebody shows; None if it is none. It takes as long for any of the right length."""
    if len(text) > _LONGEST:
        return None
    digest, found = _digest(text.encode(errors="replace")), None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()


# --- files -------------------------------------------------------------------------------------------------------


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file; none if there is no file. Raises `InputError` for what is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(TOKEN_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > TOKEN_FILE_BYTES_MAX:
        raise InputError(f"{path} is longer than {TOKEN_FILE_BYTES_MAX} bytes: this is no file of tokens")
    try:
        tokens = tuple(_token(row) for row in json.loads(data)["tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no file of tokens: {error}") from error
    check_tokens(tokens)
    return tokens


def _token(row: dict[str, Any]) -> Token:
    reads = row.get("reads")
    who = None if reads is None else address_from_text(reads)
    return Token(row["name"], row["sha256"], frozenset(map(Scope, row["scopes"])), who)


def write_tokens(path: Path, tokens: tuple[Token, ...]) -> None:
    """Write a file of tokens, readable by its owner alone; the old one stays if that fails. Raises `StoreError`."""
    check_tokens(tokens)
    rows = [
        {"name": token.name, "sha256": token.digest, "scopes": sorted(token.scopes)}
        | ({} if token.reads is None else {"reads": checksum(token.reads)})
        for token in tokens
    ]
    text = json.dumps({"v": 1, "tokens": rows}, indent=1)
    try:
        path.with_name(path.name + ".new").unlink(missing_ok=True)  # whose mode may be another
        put_file(path, text.encode("ascii"), 0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
