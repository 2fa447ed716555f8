"""Ed25519 keys as did:key names them, and signatures: one encoding of each, and no key that signs everything.

Libraries verify more than they should: `cryptography` takes the identity point as a key, for which a signature over
one message is one over all (RELIABILITY 1.9). A key of small order is refused here, and so is one whose encoding is
not canonical, and a signature with S of the group's order or more.
"""

from __future__ import annotations

import re
from typing import Final

import base58
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.assets.errors import IntegrityError

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

FIELD: Final = 2**255 - 19
"""The prime of the field (RFC 8032, section 5.1)."""

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Order of the group's generator (RFC 8032, section 5.1)."""

_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER: Final = frozenset({0, 1, FIELD - 1, _ORDER_8, FIELD - _ORDER_8})
"""The y coordinates of the eight points of small order."""

_MULTICODEC: Final = b"\xed\x01"  # ed25519-pub
_BASE58: Final = re.compile("z([1-9A-HJ-NP-Za-km-z]{1,100})")


def key_of_did(did: str) -> bytes:
    """The public key of a did:key identifier, 32 bytes. Raises `IntegrityError`."""
    data = from_multibase(did.removeprefix("did:key:"), "key")
    if not did.startswith("did:key:") or data[:2] != _MULTICODEC or len(data) != len(_MULTICODEC) + KEY_BYTES:
        raise IntegrityError(
            f"{did!r} is no did:key of an Ed25519 key; only such keys can be checked without a network"
        )
    key = data[2:]
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= FIELD:
        raise IntegrityError(f"the key of {did} is not in its canonical encoding")
    if y in SMALL_ORDER:
        raise IntegrityError(f"the key of {did} is of small order: everybody can sign for it")
    return key


def from_multibase(text: str, what: str) -> bytes:
    """The bytes of a multibase text in base58btc. Raises `IntegrityError`; `what`: what the message calls it."""
    match = _BASE58.fullmatch(text)
    data: bytes = base58.b58decode(match[1]) if match else b""
    if not match or base58.b58encode(data).decode() != match[1]:
        raise IntegrityError(f"the {what} {text[:100]!r} is not in multibase base58btc: z, then digits of base 58")
    return data


def check_signature(key: bytes, signature: bytes, message: bytes) -> None:
    """Raise `IntegrityError` unless this key made the signature over the message."""
    if len(signature) != SIGNATURE_BYTES:
        raise IntegrityError(f"the signature has {len(signature)} bytes; an Ed25519 signature has {SIGNATURE_BYTES}")
    if int.from_bytes(signature[32:], "little") >= ORDER:
        raise IntegrityError("the signature's S is not below the order of the group: it is another's, altered")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        raise IntegrityError("the signature is not of this key over this document and these proof options") from None
