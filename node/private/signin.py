"""Messages to sign in with: EIP-4361 ("Sign-In with Ethereum"), in the one form that this node writes.

    kg.example.org wants you to sign in with your Ethereum account:
    0x70997970C51812dc3A010C7d01b50e0d17dc79C8

    Read private assets at this node.

    URI: https://kg.example.org/v1/session
    Version: 1
    Chain ID: 31337
    Nonce: 6f1c...
    Issued At: 2027-01-15T08:00:00Z
    Expiration Time: 2027-01-15T08:05:00Z

What is signed is the personal message of EIP-191, whose hash begins with 0x19 "Ethereum Signed Message:". A transaction
begins with 0x02 or a list, and a commit is 0x19 0x01 (EIP-712): no signature of one is a signature of another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from dkg.chain.secp import address_from_text, checksum, personal_digest, recover
from dkg.errors import InputError

STATEMENT: Final = "Read private assets at this node."

MESSAGE_BYTES_MAX: Final = 4_096
"""Longest message, in bytes."""

_TIME: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_MESSAGE: Final = re.compile(
    r"([!-~]{1,300}) wants you to sign in with your Ethereum account:\n"
    r"(0x[0-9a-fA-F]{40})\n\n"
    + re.escape(STATEMENT)
    + r"\n\nURI: ([!-~]{1,400})\nVersion: 1\nChain ID: ([1-9][0-9]{0,15})\n"
    rf"Nonce: ([A-Za-z0-9]{{8,128}})\nIssued At: ({_TIME})\nExpiration Time: ({_TIME})"
)


class SignInError(InputError):
    """A message or a signature that opens no session. Its sentence says nothing of any asset."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a message says. Times are Unix seconds."""

    domain: str
    address: bytes
    uri: str
    chain_id: int
    nonce: str
    issued: int
    expires: int

    def text(self) -> str:
        """The message."""
        return (
            f"{self.domain} wants you to sign in with your Ethereum account:\n{checksum(self.address)}\n\n"
            f"{STATEMENT}\n\n"
            f"URI: {self.uri}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {_time_text(self.issued)}\nExpiration Time: {_time_text(self.expires)}"
        )

    @classmethod
    def parse(cls, message: str) -> SignIn:
        """From a message in exactly that form. Raises `SignInError`."""
        match = _MESSAGE.fullmatch(message) if len(message) <= MESSAGE_BYTES_MAX else None
        if match is None:
            raise SignInError("this is not the message that was given to be signed (EIP-4361), line for line")
        domain, address, uri, chain_id, nonce, issued, expires = match.groups()
        try:
            found = cls(domain, address_from_text(address), uri, int(chain_id), nonce, _time(issued), _time(expires))
        except (InputError, ValueError) as error:
            raise SignInError(f"the message to sign in with has a wrong address or time: {error}") from error
        if found.text() != message:
            raise SignInError("the message to sign in with is written in another way than it was given")
        return found


def signed_by(message: str, signature: bytes) -> bytes:
    """The address that signed a message (EIP-191). Raises `SignatureError` for what is no canonical signature."""
    return recover(personal_digest(message), signature)


def _time_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
