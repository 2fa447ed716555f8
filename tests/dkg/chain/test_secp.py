"""Signatures: one encoding each, and the addresses of another implementation (row E1 of the fault matrix)."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.secp import ORDER, SignatureError, address_from_text, address_of, checksum, keccak256, recover, sign
from dkg.errors import InputError

KEYS = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32))
DIGESTS = st.binary(min_size=32, max_size=32)
KEY, DIGEST = b"\x11" * 32, b"\x22" * 32


def _parts(signature: bytes) -> tuple[int, int, int]:
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]


def _joined(r: int, s: int, v: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32) + bytes([v])


def test_keccak_is_the_one_before_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@given(KEYS, DIGESTS)
def test_what_is_signed_recovers_to_the_signer(key: bytes, digest: bytes) -> None:
    assert recover(digest, sign(digest, key)) == address_of(key)


@given(KEYS)
def test_addresses_are_those_of_eth_account(key: bytes) -> None:
    assert checksum(address_of(key)) == Account.from_key(key).address


@given(st.binary(min_size=20, max_size=20))
def test_checksums_are_those_of_eth_utils(address: bytes) -> None:
    assert checksum(address) == to_checksum_address(address)
    assert address_from_text(checksum(address)) == address_from_text("0x" + address.hex()) == address


def test_malleated_signature_with_high_s_is_refused() -> None:
    r, s, v = _parts(sign(DIGEST, KEY))
    with pytest.raises(SignatureError, match="upper half"):
        recover(DIGEST, _joined(r, ORDER - s, 55 - v))


def test_flipped_v_gives_another_address() -> None:
    r, s, v = _parts(sign(DIGEST, KEY))
    assert recover(DIGEST, _joined(r, s, 55 - v)) != address_of(KEY)


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 35, 255])
def test_other_v_is_refused(v: int) -> None:
    r, s, _ = _parts(sign(DIGEST, KEY))
    with pytest.raises(SignatureError, match="27 or 28"):
        recover(DIGEST, _joined(r, s, v))


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 1), (1, 2**256 - 1)])
def test_r_or_s_out_of_range_is_refused(r: int, s: int) -> None:
    with pytest.raises(SignatureError):
        recover(DIGEST, _joined(r, s, 27))


def test_r_that_is_on_no_point_is_refused() -> None:
    with pytest.raises(SignatureError, match="no key"):
        recover(DIGEST, _joined(5, 1, 27))


@pytest.mark.parametrize("length", [0, 1, 64, 66, 130])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(SignatureError, match="65 bytes"):
        recover(DIGEST, b"\1" * length)


def test_der_encoding_is_refused() -> None:
    r, s, _ = _parts(sign(DIGEST, KEY))
    body = b"\x02\x21\0" + r.to_bytes(32) + b"\x02\x20" + s.to_bytes(32)
    with pytest.raises(SignatureError):
        recover(DIGEST, b"\x30" + bytes([len(body)]) + body)


@given(DIGESTS, st.binary(min_size=65, max_size=65))
def test_arbitrary_bytes_recover_to_an_address_or_are_refused(digest: bytes, signature: bytes) -> None:
    try:
        found = recover(digest, signature)
    except SignatureError:
        return
    assert len(found) == 20


def test_a_message_signed_by_a_wallet_is_no_statement() -> None:
    signed = Account.sign_message(encode_defunct(DIGEST), KEY)
    assert recover(DIGEST, bytes(signed.signature)) != address_of(KEY)


@pytest.mark.parametrize("key", [b"", b"\0" * 32, ORDER.to_bytes(32), b"\1" * 31])
def test_bytes_that_are_no_key_are_refused_and_not_shown(key: bytes) -> None:
    with pytest.raises(InputError, match="private key") as caught:
        sign(DIGEST, key)
    assert not key.strip(b"\0") or key.hex() not in str(caught.value)


@pytest.mark.parametrize("text", ["", "0x", "0x12", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x" + "g" * 40])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no address"):
        address_from_text(text)


def test_mistyped_address_is_refused() -> None:
    with pytest.raises(InputError, match="checksum"):
        address_from_text("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD")
