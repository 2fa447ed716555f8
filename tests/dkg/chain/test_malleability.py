"""Malleated signatures: of all ways to write one, a single one is taken (row E1).

The kinds are those of atproto's `signature-fixtures.json` (low S taken, high S and DER refused, twice each) and of the
Wycheproof vectors for ECDSA, as far as they apply to 65 bytes r || s || v over a digest.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from dkg.chain.commit import SignedCommit, verify_commit
from dkg.chain.evidence import encode_evidence
from dkg.chain.secp import ORDER, SignatureError
from dkg.errors import ProofError
from tests.dkg.chain.contexts import COMMIT, DOMAIN, KEY, PUBLISHER

FIELD = 2**256 - 2**32 - 977
"""The prime of secp256k1's field: coordinates are below it, and it is above the order."""

COMMITS = (COMMIT, replace(COMMIT, seq=3))
SIGNED = [SignedCommit.make(DOMAIN, commit, KEY) for commit in COMMITS]


def _parts(signed: SignedCommit) -> tuple[int, int, int]:
    signature = signed.signature
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64]


def _joined(r: int, s: int, v: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32) + bytes([v])


def _der(r: int, s: int) -> bytes:
    return encode_dss_signature(r, s)


def _malleated(signed: SignedCommit) -> dict[str, bytes]:
    """Other ways to write a signature, and numbers at the edges of what one may hold."""
    r, s, v = _parts(signed)
    good, der = signed.signature, _der(r, s)
    made = {
        "high S": _joined(r, ORDER - s, v),
        "high S, v flipped": _joined(r, ORDER - s, 55 - v),
        "v flipped": _joined(r, s, 55 - v),
        "DER": der,
        "DER with v": der + bytes([v]),
        "DER of high S": _der(r, ORDER - s),
        "DER, cut to 65 bytes": (der + bytes(65))[:65],
        "DER with junk after": der + b"\0\0",
        "DER with a long length": der[:1] + b"\x81" + der[1:],
        "64 bytes": good[:64],
        "64 bytes of EIP-2098": r.to_bytes(32) + (s | (v - 27) << 255).to_bytes(32),
        "v first": good[64:] + good[:64],
        "s first": good[32:64] + good[:32] + good[64:],
        "little-endian": good[:32][::-1] + good[32:64][::-1] + good[64:],
        "zero before": b"\0" + good,
        "zero after": good + b"\0",
        "twice": good + good,
        "in hexadecimal": good.hex().encode(),
        "empty": b"",
        "all zero": bytes(65),
        "all ones": b"\xff" * 65,
    }
    made |= {f"v = {other}": _joined(r, s, other) for other in (0, 1, 2, 3, 26, 29, 30, 31, 32, 35, 36, 128, 255)}
    edges = {"0": 0, "1": 1, "n - 1": ORDER - 1, "n": ORDER, "n + 1": ORDER + 1, "p": FIELD, "2^256 - 1": 2**256 - 1}
    edges |= {"n / 2": ORDER // 2, "n / 2 + 1": ORDER // 2 + 1, "p - n": FIELD - ORDER}
    for name, edge in edges.items():
        made |= {f"r = {name}": _joined(edge, s, v), f"s = {name}": _joined(r, edge, v)}
    made |= {"both 0": _joined(0, 0, v), "both n": _joined(ORDER, ORDER, v), "r and s of the other": _other(signed)}
    made |= {f"{size} bytes": good[:size] for size in (1, 31, 32, 33, 63)}
    return made


def _other(signed: SignedCommit) -> bytes:
    return SIGNED[0 if signed is SIGNED[1] else 1].signature


@pytest.mark.parametrize("signed", SIGNED, ids=["one", "two"])
def test_the_signature_with_low_s_is_taken(signed: SignedCommit) -> None:
    assert _parts(signed)[1] <= ORDER // 2
    assert verify_commit(signed, DOMAIN, PUBLISHER).signer == PUBLISHER


CASES = [(which, name) for which in range(2) for name in _malleated(SIGNED[which])]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize(("which", "name"), CASES)
def test_no_other_way_to_write_it_is_taken(which: int, name: str) -> None:
    signed = SIGNED[which]
    forged = replace(signed, signature=_malleated(signed)[name])
    assert forged != signed
    with pytest.raises(SignatureError):
        verify_commit(forged, DOMAIN, PUBLISHER)
    with pytest.raises(ProofError):  # nor is it a second signature, which would accuse its signer
        encode_evidence(signed, forged)


@pytest.mark.parametrize("name", [name for name, made in _malleated(SIGNED[0]).items() if len(made) != 65])
def test_no_other_length_is_read_from_a_file(name: str) -> None:
    forged = replace(SIGNED[0], signature=_malleated(SIGNED[0])[name])
    with pytest.raises(ProofError, match="65 bytes"):
        SignedCommit.decode(forged.encode())
