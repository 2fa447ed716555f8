"""Documents that carry a W3C Data Integrity proof of their author, cryptosuite eddsa-rdfc-2022.

    1. The document is one JSON object, read without doubt and within limits (`node.assets.jsonld`).
    2. It has one proof, of this cryptosuite, whose purpose is to assert, with no member that is not understood here.
    3. The key is an Ed25519 key that its own did:key names, and, where one is expected, of the expected signer.
    4. The proof was not made in the future, and has not expired.
    5. Document and proof options are canonical RDF (RDFC-1.0, bounded work); these options say in RDF, which is
       signed, what they say in JSON, which was read in steps 2 to 4.
    6. The key signed SHA-256 of the options followed by SHA-256 of the document.

What that shows: whoever holds the key signed these statements. It does not show that the key belongs to the `issuer`
that a credential names, nor that the statements hold, are still valid or were never revoked.

Sources: Verifiable Credential Data Integrity 1.0, section 4; Data Integrity EdDSA Cryptosuites 1.0, section 3.2.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pyoxigraph as ox

from dkg.canon import canonical_nquads
from dkg.errors import CanonicalizationError
from node.assets import vocabulary as v
from node.assets.ed25519 import check_signature, from_multibase, key_of_did
from node.assets.errors import IntegrityError
from node.assets.jsonld import bundled_contexts, quads_of
from node.assets.provenance import Signed, normal_time, time_text
from node.assets.strict_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg.canon import RawQuad

CRYPTOSUITE: Final = "eddsa-rdfc-2022"
PURPOSE: Final = "assertionMethod"
"""What a proof is for by which an author stands behind statements."""

CLOCK_SECONDS_MAX: Final = 300
"""How far ahead of ours the author's clock may be, in seconds."""

_NEEDED: Final = ("type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue")
_MEMBERS: Final = frozenset({*_NEEDED, "id", "created", "expires", "@context"})
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_METHOD: Final = re.compile(r"(did:key:(z[1-9A-HJ-NP-Za-km-z]{1,100}))#(z[1-9A-HJ-NP-Za-km-z]{1,100})")


@dataclass(frozen=True, slots=True)
class IntegrityChecked:
    """A document of which `signer` is known to have signed the statements. Made by `verify` alone."""

    signer: str
    """The did:key of who signed."""
    method: str
    """The verification method: the did:key, '#', and the key again."""
    purpose: str
    cryptosuite: str
    created: str | None
    """When it was signed, as the signer says."""
    expires: str | None
    proof_value: str
    canonical: bytes
    """What was signed, without the proof: canonical N-Quads."""
    document_hash: bytes
    """SHA-256 of `canonical`."""
    source_hash: bytes
    """SHA-256 of the document as it was given."""

    def recorded(self, now: int) -> Signed:
        """The check as provenance tells it. `now`: when it was made, in Unix seconds."""
        name = urlsafe_b64encode(self.source_hash).decode().rstrip("=")
        return Signed(
            self.signer,
            self.method,
            self.cryptosuite,
            self.purpose,
            self.proof_value,
            f"ni:///sha-256;{name}",
            time_text(now),
            self.created and normal_time(self.created),
            self.expires and normal_time(self.expires),
        )


def verify(
    document: bytes,
    now: int,
    *,
    signer: str | None = None,
    contexts: Mapping[str, bytes] | None = None,
) -> IntegrityChecked:
    """Check the proof that a JSON-LD document carries; the module says in which steps.

    `now`: Unix seconds. `signer`: the did:key that must have signed it, if that is known. `contexts`: the contexts
    that the document may name, by URL; by default those that come with this package. Raises `IntegrityError`.
    """
    contexts = bundled_contexts() if contexts is None else contexts
    unsigned = read_json(document)  # 1
    context, options = unsigned.get("@context"), _proof(unsigned.pop("proof", None))  # 2
    if not context:
        raise IntegrityError("the document has no @context, so its names mean nothing")
    if options.pop("@context", context) != context:
        raise IntegrityError("the proof has a @context that is not the document's")
    value = options.pop("proofValue")
    method = options["verificationMethod"]
    found = _METHOD.fullmatch(method)  # 3
    if found is None or found[2] != found[3]:
        raise IntegrityError(
            f"the key {method[:200]!r} is not named by a did:key, so it cannot be known without a network"
        )
    if signer is not None and signer != found[1]:
        raise IntegrityError(f"the document is signed by {found[1]}, not by {signer}")
    key = key_of_did(found[1])
    _check_times(options, now)  # 4
    canonical = _canonical(quads_of(unsigned, contexts), "document")  # 5
    if not canonical:
        raise IntegrityError("the document says nothing: it has no statements besides its proof")
    proof_quads = quads_of({**options, "@context": context}, contexts)
    _check_options(options, proof_quads)
    document_hash = sha256(canonical).digest()
    message = sha256(_canonical(proof_quads, "proof options")).digest() + document_hash
    check_signature(key, from_multibase(value, "proof value"), message)  # 6
    return IntegrityChecked(
        signer=found[1],
        method=method,
        purpose=PURPOSE,
        cryptosuite=CRYPTOSUITE,
        created=options.get("created"),
        expires=options.get("expires"),
        proof_value=value,
        canonical=canonical,
        document_hash=document_hash,
        source_hash=sha256(document).digest(),
    )


def _proof(proof: object) -> dict[str, Any]:
    """Step 2: the one proof, with members that are understood."""
    proofs = proof if isinstance(proof, list) else [proof] if proof is not None else []
    if len(proofs) != 1 or not isinstance(proofs[0], dict):
        raise IntegrityError(f"the document has {len(proofs)} proofs, not one that is an object")
    found = dict(proofs[0])
    if found.get("type") != "DataIntegrityProof" or found.get("cryptosuite") != CRYPTOSUITE:
        kind = f"{str(found.get('type'))[:80]!r} with the cryptosuite {str(found.get('cryptosuite'))[:80]!r}"
        raise IntegrityError(f"the proof is a {kind}; only a 'DataIntegrityProof' with {CRYPTOSUITE!r} can be checked")
    odd = sorted(found.keys() - _MEMBERS)
    if odd:
        raise IntegrityError(f"the proof has the member {odd[0][:80]!r}, which is not understood here")
    for name in found.keys() - {"@context"}:
        if not isinstance(found[name], str):
            raise IntegrityError(f"{name} of the proof is no text")
    for name in _NEEDED:
        if name not in found:
            raise IntegrityError(f"the proof has no {name}")
    if found["proofPurpose"] != PURPOSE:
        raise IntegrityError(f"the proof is for {found['proofPurpose'][:80]!r}, not for {PURPOSE!r}")
    return found


def _check_times(options: dict[str, Any], now: int) -> None:
    created, expires = (_seconds(options, name) for name in ("created", "expires"))
    if created is not None and created > now + CLOCK_SECONDS_MAX:
        raise IntegrityError(f"the proof was made at {options['created']}, which is in the future")
    if expires is not None and expires <= now:
        raise IntegrityError(f"the proof expired at {options['expires']}")


def _seconds(options: dict[str, Any], name: str) -> float | None:
    if name not in options:
        return None
    try:
        if _TIME.fullmatch(options[name]):
            return datetime.fromisoformat(options[name]).timestamp()
    except (ValueError, OverflowError) as error:
        raise IntegrityError(f"{name} of the proof is no time: {options[name][:80]!r}") from error
    raise IntegrityError(f"{name} of the proof is no time with a time zone: {options[name][:80]!r}")


def _canonical(quads: list[RawQuad], what: str) -> bytes:
    try:
        return canonical_nquads(quads)
    except CanonicalizationError as error:
        raise IntegrityError(f"the {what} cannot be brought to canonical form: {error}") from error


def _check_options(options: dict[str, Any], quads: list[RawQuad]) -> None:
    """Step 5: a context may not make the proof options mean, or leave out, anything else than their names say."""
    subjects = {quad[0] for quad in quads}
    subject = f"<{options['id']}>".encode() if "id" in options else next(iter(subjects), b"")
    said = {
        (v.TYPE, v.DATA_INTEGRITY_PROOF),
        (v.VERIFICATION_METHOD, f"<{options['verificationMethod']}>".encode()),
        (v.PROOF_PURPOSE, f"<{v.SECURITY}{PURPOSE}>".encode()),
        *((term, _literal(options[name], v.DATE_TIME)) for name, term in _TIMES.items() if name in options),
    }
    suites = {(v.CRYPTOSUITE, _literal(CRYPTOSUITE, datatype)) for datatype in (_SUITE, b"")}
    found = {quad[1:3] for quad in quads}
    if subjects != {subject} or any(quad[3] for quad in quads) or found - suites != said or len(found - said) != 1:
        raise IntegrityError("the @context makes the proof's members mean something else than the standard says")


_TIMES: Final = {"created": v.CREATED, "expires": v.EXPIRATION}
_SUITE: Final = f"<{v.SECURITY}cryptosuiteString>".encode()


def _literal(text: str, datatype: bytes) -> bytes:
    quoted = str(ox.Literal(text)).encode()
    return quoted + b"^^" + datatype if datatype else quoted
