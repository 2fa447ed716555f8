"""Keccak-256 and recoverable secp256k1 signatures, with one encoding of each signature: low S, v of 27 or 28.

A signature's bytes never serve as an identifier: for each signature (r, s) there is (r, n - s), which other libraries
accept too (CVE class "malleability"; EIP-2). Here only the lower S is one.
"""

from __future__ import annotations

from typing import Final

from coincurve import PrivateKey, PublicKey
from Crypto.Hash import keccak

from dkg.errors import InputError, ProofError

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of the group secp256k1 (SEC 2, section 2.4.1)."""

ADDRESS_BYTES: Final = 20
SIGNATURE_BYTES: Final = 65
"""r and s of 32 bytes each, then v."""


class SignatureError(ProofError):
    """Bytes that are no signature by the one who should have signed."""


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (before the padding of SHA-3): 32 bytes."""
    return keccak.new(digest_bits=256, data=data).digest()


def recover(digest: bytes, signature: bytes) -> bytes:
    """The address that signed a digest of 32 bytes; raises `SignatureError` for whatever is not canonical."""
    if len(digest) != 32:  # noqa: PLR2004
        raise ValueError("a digest has 32 bytes")
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"a signature has {SIGNATURE_BYTES} bytes; this has {len(signature)}")
    r, s, v = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]
    if v not in {27, 28}:
        raise SignatureError(f"the signature ends with v = {v}; it must be 27 or 28")
    if not 0 < r < ORDER:
        raise SignatureError("the signature's r is zero or not below the order of the group")
    if not 0 < s <= ORDER // 2:
        raise SignatureError("the signature's s is zero or in the upper half: only low S is accepted")
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([v - 27]), digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception: no point of the curve has this r
        raise SignatureError("no key can have made this signature") from error
    return _address(key)


def sign(digest: bytes, key: bytes) -> bytes:
    """The signature of a digest of 32 bytes: 65 bytes, low S, deterministic (RFC 6979)."""
    made = _private(key).sign_recoverable(digest, hasher=None)
    return made[:64] + bytes([made[64] + 27])


def personal_digest(message: str) -> bytes:
    """The digest of a personal message, as wallets sign it (EIP-191, version 0x45)."""
    data = message.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def address_of(key: bytes) -> bytes:
    """The address of a private key of 32 bytes."""
    return _address(_private(key).public_key)


def checksum(address: bytes) -> str:
    """An address as people see it: 0x and 40 hexadecimal digits, their case a checksum (EIP-55)."""
    if len(address) != ADDRESS_BYTES:
        raise ValueError(f"an address has {ADDRESS_BYTES} bytes")
    plain = address.hex()
    mask = keccak256(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(m, 16) >= 8 else c for c, m in zip(plain, mask, strict=False))  # noqa: PLR2004


def address_from_text(text: str) -> bytes:
    """The 20 bytes of an address. Mixed case must be its EIP-55 checksum; raises `InputError` otherwise."""
    digits = text.removeprefix("0x")
    if not text.startswith("0x") or len(digits) != 2 * ADDRESS_BYTES or not all(c in _HEX for c in digits):
        raise InputError(f"{text!r} is no address: an address is 0x and 40 hexadecimal digits")
    address = bytes.fromhex(digits)
    if digits not in {digits.lower(), digits.upper()} and checksum(address) != text:
        raise InputError(f"{text!r} has a wrong checksum: a letter is mistyped (EIP-55 gives {checksum(address)})")
    return address


_HEX: Final = frozenset("0123456789abcdefABCDEF")


def _private(key: bytes) -> PrivateKey:
    if len(key) != 32 or not 0 < int.from_bytes(key) < ORDER:  # noqa: PLR2004
        raise InputError("a private key has 32 bytes, and is neither zero nor beyond the order of the group")
    return PrivateKey(key)


def _address(key: PublicKey) -> bytes:
    return keccak256(key.format(compressed=False)[1:])[-ADDRESS_BYTES:]
