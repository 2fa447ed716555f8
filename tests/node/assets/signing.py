"""Signs documents as an author would, rightly and wrongly."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import base58
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dkg.canon import canonical_nquads
from node.assets.jsonld import bundled_contexts, quads_of

SEED = b"\x07" * 32
CONTEXT: list[Any] = ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"]
DOCUMENT: dict[str, Any] = {
    "@context": CONTEXT,
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples", "knows": [{"name": "B"}]},
}


def multibase(data: bytes) -> str:
    return "z" + str(base58.b58encode(data).decode())


def did_of_key(key: bytes) -> str:
    return "did:key:" + multibase(b"\xed\x01" + key)


def public_key(seed: bytes = SEED) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def method_of(did: str) -> str:
    return f"{did}#{did.removeprefix('did:key:')}"


DID = did_of_key(public_key())


def proof_options(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The options of a good proof, with changes; None leaves a member out."""
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-rdfc-2022",
        "created": "2026-11-01T12:00:00Z",
        "verificationMethod": method_of(DID),
        "proofPurpose": "assertionMethod",
        **changes,
    }
    return {name: value for name, value in options.items() if value is not None}


def message(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    """What is signed."""
    hashes = [
        sha256(canonical_nquads(quads_of(part, bundled_contexts()))).digest()
        for part in ({**options, "@context": document["@context"]}, document)
    ]
    return b"".join(hashes)


def signed(
    document: dict[str, Any] = DOCUMENT, options: dict[str, Any] | None = None, seed: bytes = SEED
) -> dict[str, Any]:
    """A document with its proof."""
    options = options or proof_options()
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(message(document, options))
    return {**document, "proof": {**options, "proofValue": multibase(signature)}}


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()
