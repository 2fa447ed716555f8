"""Documents with a Data Integrity proof: the published vectors step by step, and every way of getting past a check."""

from __future__ import annotations

import json
import re
import socket
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.canon import canonical_nquads
from node.assets import integrity, jsonld, strict_json
from node.assets.ed25519 import ORDER, check_signature, from_multibase, key_of_did
from node.assets.errors import IntegrityError
from node.assets.integrity import IntegrityChecked, verify
from node.assets.jsonld import BUNDLED, bundled_contexts, quads_of
from node.assets.provenance import Signed
from tests.data import w3c_suite
from tests.node.assets.signing import (
    CONTEXT,
    DID,
    DOCUMENT,
    did_of_key,
    encoded,
    method_of,
    multibase,
    proof_options,
    public_key,
    signed,
)
from tests.node.assets.world import NOW, TIME

VECTORS = w3c_suite() / "eddsa" / "TestVectors"
RDFC = VECTORS / "eddsa-rdfc-2022"
GOOD = signed()


def check(document: object, **options: Any) -> IntegrityChecked:  # noqa: ANN401
    return verify(document if isinstance(document, bytes) else encoded(document), NOW, **options)


def refused(document: object, reason: str | None, **options: Any) -> None:  # noqa: ANN401
    with pytest.raises(IntegrityError, match=reason):
        check(document, **options)


def text_of(path: Path) -> str:
    return path.read_text().strip()


# --- the published vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [RDFC, RDFC / "employ"], ids=["alumni", "employ"])
def test_a_published_vector_step_by_step(folder: Path) -> None:
    document = (folder / "signedDataInt.json").read_bytes()
    found = check(document)
    assert found.canonical == (folder / "canonDocDataInt.txt").read_bytes()
    assert found.document_hash.hex() == text_of(folder / "docHashDataInt.txt")
    options = json.loads((folder / "proofConfigDataInt.json").read_bytes())
    canonical = canonical_nquads(quads_of(options, bundled_contexts()))
    assert canonical == (folder / "proofCanonDataInt.txt").read_bytes()
    assert sha256(canonical).hexdigest() == text_of(folder / "proofHashDataInt.txt")
    combined = sha256(canonical).digest() + found.document_hash
    assert combined.hex() == text_of(folder / "combinedHashDataInt.txt")
    assert found.proof_value == text_of(folder / "sigBTC58DataInt.txt")
    signature = from_multibase(found.proof_value, "proof value")
    assert signature.hex() == text_of(folder / "sigHexDataInt.txt")
    key = json.loads((VECTORS / "keyPair.json").read_bytes())["publicKeyMultibase"]
    assert found.signer == f"did:key:{key}"
    check_signature(key_of_did(found.signer), signature, combined)
    assert (found.method, found.created) == (f"did:key:{key}#{key}", "2023-02-24T23:36:38Z")
    assert found.source_hash == sha256(document).digest()


def test_each_proof_of_the_published_proof_sets_holds_on_its_own() -> None:
    keys = json.loads((VECTORS / "proof-set-chain" / "multiKeyPairs.json").read_bytes())
    document = json.loads((VECTORS / "proof-set-chain" / "signedProofSet2.json").read_bytes())
    first, second = ({**document, "proof": proof} for proof in document["proof"])
    for one, name in ((first, "keyPair1"), (second, "keyPair2")):
        assert check(one).signer == f"did:key:{keys[name]['publicKeyMultibase']}"
        assert check({**one, "proof": [one["proof"]]}).canonical == check(one).canonical
    refused({**first, "proof": {**first["proof"], "id": second["proof"]["id"]}}, "signature is not of this key")
    refused({**first, "proof": {**first["proof"], "id": "not an iri"}}, "no absolute IRI")


def test_proof_sets_and_proof_chains_are_refused() -> None:
    for path in sorted((VECTORS / "proof-set-chain").glob("signedProof*[!1].json")):
        refused(path.read_bytes(), r"has [2-4] proofs, not one")
    chain = json.loads((VECTORS / "proof-set-chain" / "signedProofChain2.json").read_bytes())
    refused({**chain, "proof": chain["proof"][-1]}, "'previousProof', which is not understood")


@pytest.mark.parametrize("path", ["eddsa-jcs-2022/signedJCS.json", "Ed25519Signature2020/signedEdSig.json"])
def test_other_cryptosuites_of_the_published_vectors_are_refused(path: str) -> None:
    refused((VECTORS / path).read_bytes(), "only a 'DataIntegrityProof' with 'eddsa-rdfc-2022' can be checked")


def test_the_vectors_are_all_there() -> None:
    found = {path.relative_to(VECTORS).parts[0] for path in VECTORS.rglob("signed*.json")}
    assert found == {"eddsa-rdfc-2022", "eddsa-jcs-2022", "Ed25519Signature2020", "proof-set-chain"}
    assert len(list(RDFC.rglob("signed*.json"))) == 2


# --- step 1: the JSON ------------------------------------------------------------------------------------------


def test_a_good_document_and_what_is_recorded_of_it() -> None:
    found = check(GOOD)
    assert (found.signer, found.purpose, found.expires) == (DID, "assertionMethod", None)
    name = urlsafe_b64encode(sha256(encoded(GOOD)).digest()).decode().rstrip("=")
    assert found.recorded(NOW) == Signed(
        DID,
        method_of(DID),
        "eddsa-rdfc-2022",
        "assertionMethod",
        GOOD["proof"]["proofValue"],
        f"ni:///sha-256;{name}",
        TIME,
        "2026-11-01T12:00:00Z",
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "does not parse"),
        (b"{", "does not parse"),
        (encoded(GOOD) + b" x", "does not parse"),
        (encoded(GOOD) + encoded(GOOD), "does not parse"),
        (b"\xef\xbb\xbf" + encoded(GOOD), "not JSON"),
        (encoded(GOOD).decode().encode("utf-16"), "not UTF-8"),
        (b"\xff", "not UTF-8"),
        (b"[]", "no object"),
        (b'"x"', "no object"),
        (b'{"a": 1, "a": 1}', "'a' is twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "'b' is twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": ' + b"9" * 301 + b"}", "has over 300 digits"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"\\udfff": 1}', "half a character"),
        (b"{" + b'"a":[' * 300 + b"]" * 300 + b"}", "RDF_DEPTH_MAX"),
    ],
)
def test_json_that_readers_differ_in_is_refused(document: bytes, reason: str) -> None:
    refused(document, reason)


def test_the_limits_of_a_document_hold_and_one_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = {**GOOD, "@context": [*CONTEXT, {"x": "urn:x"}]}
    data = encoded(filled)
    for name, most, reason in (
        ("DOCUMENT_BYTES_MAX", len(data), "has [0-9]+ bytes"),
        ("VALUES_MAX", 1 + values(filled), "VALUES_MAX"),
        ("DEPTH_MAX", 5, "DEPTH_MAX"),
        ("CONTEXTS_MAX", 3, "names 3 contexts; 2 is the most"),
        ("INLINE_CONTEXT_BYTES_MAX", len(json.dumps({"x": "urn:x"})), "the contexts in the document have 14 bytes"),
    ):
        monkeypatch.setattr(strict_json, name, most)
        assert check(data).signer == DID
        monkeypatch.setattr(strict_json, name, most - 1)
        refused(data, reason)
        monkeypatch.undo()
    size = sum(len(term) for quad in quads_of(DOCUMENT, bundled_contexts()) for term in quad)
    monkeypatch.setattr(jsonld, "QUADS_BYTES_MAX", size)
    assert check(data).signer == DID
    monkeypatch.setattr(jsonld, "QUADS_BYTES_MAX", size - 1)
    refused(data, "QUADS_BYTES_MAX")


def values(value: object) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(1 + values(part) for part in parts)


# --- step 2: the proof -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (None, "has 0 proofs"),
        ([], "has 0 proofs"),
        ([GOOD["proof"], GOOD["proof"]], "has 2 proofs"),
        ("z123", "not one that is an object"),
        ({}, "the proof is a 'None' with the cryptosuite 'None'"),
        ({**GOOD["proof"], "type": "Ed25519Signature2020"}, "is a 'Ed25519Signature2020'"),
        ({**GOOD["proof"], "type": ["DataIntegrityProof"]}, "only a 'DataIntegrityProof'"),
        ({**GOOD["proof"], "cryptosuite": "eddsa-jcs-2022"}, "cryptosuite 'eddsa-jcs-2022'"),
        ({**GOOD["proof"], "challenge": "x"}, "'challenge', which is not understood"),
        ({**GOOD["proof"], "domain": "example.org"}, "'domain'"),
        ({**GOOD["proof"], "previousProof": "urn:x"}, "'previousProof'"),
        ({**GOOD["proof"], "jws": "x"}, "'jws'"),
        ({**GOOD["proof"], "created": 5}, "created of the proof is no text"),
        ({**GOOD["proof"], "proofPurpose": "authentication"}, "is for 'authentication', not for 'assertionMethod'"),
        ({**GOOD["proof"], "@context": CONTEXT[:1]}, "a @context that is not the document's"),
        *[
            ({n: value for n, value in GOOD["proof"].items() if n != name}, f"has no {name}")
            for name in ("verificationMethod", "proofPurpose", "proofValue")
        ],
    ],
)
def test_another_proof_than_the_one_understood_is_refused(proof: object, reason: str) -> None:
    document = {**DOCUMENT, "proof": proof} if proof is not None else DOCUMENT
    refused(document, reason)


def test_a_proof_that_names_the_document_s_own_context_says_nothing_new() -> None:
    assert check({**GOOD, "proof": {**GOOD["proof"], "@context": CONTEXT}}).signer == DID


# --- step 3: the key -------------------------------------------------------------------------------------------


def test_a_document_of_another_signer_than_expected_is_refused() -> None:
    assert check(GOOD, signer=DID).signer == DID
    other = did_of_key(public_key(b"\x08" * 32))
    refused(GOOD, f"signed by {DID}, not by {other}", signer=other)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (DID, "not named by a did:key"),
        (f"{DID}#key-1", "not named by a did:key"),
        (method_of(DID)[:-1], "not named by a did:key"),
        (f"{DID}#{did_of_key(public_key(bytes(32)))[8:]}", "not named by a did:key"),
        ("did:web:example.org#key-1", "cannot be known without a network"),
        ("https://example.org/key", "cannot be known without a network"),
        (method_of("did:key:" + multibase(b"\x80\x24" + b"\x02" * 33)), "no did:key of an Ed25519 key"),
        (method_of("did:key:" + multibase(b"\xed\x01" + b"\x02" * 31)), "no did:key of an Ed25519 key"),
        (method_of("did:key:" + multibase(b"\xed\x01" + b"\x02" * 33)), "no did:key of an Ed25519 key"),
        (method_of("did:key:z0OIl"), "not named by a did:key"),
        (method_of("did:key:z" + "2" * 101), "not named by a did:key"),
    ],
)
def test_a_key_that_cannot_be_known_is_refused(method: str, reason: str) -> None:
    refused({**GOOD, "proof": {**GOOD["proof"], "verificationMethod": method}}, reason)


def test_the_wrong_key_is_refused() -> None:
    refused(signed(seed=b"\x08" * 32), "signature is not of this key")


# Edwards curve arithmetic, to find the points of small order without trusting the constants that are tested.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    t = D * a[0] * b[0] * a[1] * b[1]
    return (
        (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P) % P,
        (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P,
    )


def root_of(square: int) -> int:
    x = pow(square, (P + 3) // 8, P)
    return x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P


def point_at(y: int) -> Point | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = root_of(square)
    return (x, y) if x * x % P == square else None


def times(point: Point, number: int) -> Point:
    total: Point = (0, 1)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def small_order_points() -> set[Point]:
    """All eight: what multiplying by the group's order leaves of a point, and its multiples."""
    for y in range(2, 1000):
        point = point_at(y)
        torsion = times(point, ORDER) if point else (0, 1)
        if times(torsion, 4) != (0, 1):
            return {times(torsion, i) for i in range(8)}
    raise AssertionError("no point of order 8 was found")


def test_keys_of_small_order_are_refused_in_every_encoding() -> None:
    """`cryptography` takes the identity point, and verifies R = identity, S = 0 over any message with it."""
    points = small_order_points()
    assert len(points) == 8
    encodings = {(y | sign << 255).to_bytes(32, "little") for _, y in points for sign in (0, 1)}
    assert len(encodings) == 10
    for key in encodings:
        document = {**GOOD, "proof": {**GOOD["proof"], "verificationMethod": method_of(did_of_key(key))}}
        refused(document, "is of small order: everybody can sign for it")
    for y in (P, P + 1, 2**255 - 1):
        for sign in (0, 1):
            with pytest.raises(IntegrityError, match="not in its canonical encoding"):
                key_of_did(did_of_key((y | sign << 255).to_bytes(32, "little")))
    identity = (1).to_bytes(32, "little")
    check_signature(identity, identity + bytes(32), b"any message")  # the library's trap: hence `key_of_did`


# --- step 4: the times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"created": "2027-01-15T08:05:01Z"}, "made at 2027-01-15T08:05:01Z, which is in the future"),
        ({"created": "2027-01-15T10:05:01+02:00"}, "in the future"),
        ({"expires": "2027-01-15T08:00:00Z"}, "expired at 2027-01-15T08:00:00Z"),
        ({"expires": "2026-12-31T23:59:59.999Z"}, "expired"),
        ({"created": "2026-11-01T12:00:00"}, "created of the proof is no time with a time zone"),
        ({"created": "2026-11-01"}, "no time with a time zone"),
        ({"created": "2026-02-30T00:00:00Z"}, "created of the proof is no time: "),
        ({"expires": "never"}, "expires of the proof is no time"),
    ],
)
def test_a_proof_of_another_time_is_refused(changes: dict[str, str], reason: str) -> None:
    refused(signed(options=proof_options(**changes)), reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"created": "2027-01-15T08:05:00Z"},
        {"expires": "2027-01-15T08:00:01Z"},
        {"created": None},
        {"id": "urn:uuid:1"},
        {"created": "2026-11-01T12:00:00.5+02:00"},
    ],
)
def test_its_twin_at_the_right_time_is_taken(changes: dict[str, str | None]) -> None:
    found = check(signed(options=proof_options(**changes)))
    assert found.created == changes.get("created", "2026-11-01T12:00:00Z")
    assert found.recorded(NOW).expires == changes.get("expires")


# --- step 5: the meaning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "Another"}, "signature is not of this key"),
        ({"issuer": "https://vc.example/issuers/1"}, "signature is not of this key"),
        ({"type": ["VerifiableCredential"]}, "signature is not of this key"),
        ({"credentialSubject": {"id": "did:example:abcdefgh"}}, "signature is not of this key"),
        ({"@context": CONTEXT[:1]}, "no context says what 'alumniOf' means"),
        ({"@context": [*CONTEXT, "https://example.org/mine"]}, "'https://example.org/mine' is not among the 7 that"),
        ({"@context": [*CONTEXT, "file:///etc/passwd"]}, "is never fetched"),
        ({"@context": [*CONTEXT, "http://127.0.0.1/c"]}, "is never fetched"),
        ({"@context": [*CONTEXT, "c.jsonld"]}, "is never fetched"),
        ({"@context": [*CONTEXT, {"@import": "https://example.org/c"}]}, "is never fetched"),
        ({"@context": [*CONTEXT, {"x": {"@id": "urn:x", "@context": "https://e.org/"}}], "x": {}}, "is never fetched"),
        ({"@context": None}, "has no @context"),
        ({"@context": []}, "has no @context"),
        ({"@context": [*CONTEXT, {"name": "urn:other"}]}, "JSON-LD cannot be read"),
        ({"@context": [*CONTEXT, {"@vocab": None}], "secret": "x"}, "no context says what"),
        ({"id": "relative"}, "the IRI 'relative' is relative"),
        ({"id": "urn:a b"}, "'urn:a b' is no absolute IRI"),
        ({"name": {"@value": "x", "@direction": "rtl"}}, "@direction"),
        ({"name": {"@value": "x", "@language": "no tag"}}, "no language tag"),
        ({"_:p": "x"}, "no absolute IRI"),
        ({"name": {"@value": "x", "@type": "urn:a b"}}, "must have an absolute IRI"),
        ({"@nonsense": 1}, "cannot be read|no context says"),
        ({"credentialSubject": {"@list": [{"@value": None}]}}, "cannot be read|signature is not"),
    ],
)
def test_an_altered_document_is_refused(change: dict[str, Any], reason: str) -> None:
    refused({**GOOD, **change}, reason)


def test_a_document_that_says_nothing_is_refused() -> None:
    nothing = {"@context": CONTEXT, "id": "urn:x"}
    refused(signed(nothing), "says nothing")


def options_of(document: dict[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in document["proof"].items() if name != "proofValue"}
    return {**options, "@context": document["@context"]}


def test_a_context_that_gives_the_proof_another_meaning_is_refused() -> None:
    """Names swapped in a context of the document's own leave the signed RDF as it was: only step 5 sees it."""
    inline = {
        "@protected": True,
        "id": "@id",
        "type": "@type",
        "name": "https://schema.org/name",
        "DataIntegrityProof": "https://w3id.org/security#DataIntegrityProof",
        "cryptosuite": {
            "@id": "https://w3id.org/security#cryptosuite",
            "@type": "https://w3id.org/security#cryptosuiteString",
        },
        "verificationMethod": {"@id": "https://w3id.org/security#verificationMethod", "@type": "@id"},
        "proofPurpose": {"@id": "https://w3id.org/security#proofPurpose", "@type": "@vocab"},
        "assertionMethod": "https://w3id.org/security#assertionMethod",
    }
    time = "http://www.w3.org/2001/XMLSchema#dateTime"
    made = {"@id": "http://purl.org/dc/terms/created", "@type": time}
    ends = {"@id": "https://w3id.org/security#expiration", "@type": time}
    times = {"created": "2027-12-01T00:00:00Z", "expires": "2026-06-01T00:00:00Z"}
    document = {"@context": {**inline, "created": made, "expires": ends}, "id": "urn:x", "name": "x"}
    good = signed(document, proof_options(**times))
    refused(good, "in the future")
    swapped = {
        **good,
        "@context": {**inline, "created": ends, "expires": made},
        "proof": {**good["proof"], "created": times["expires"], "expires": times["created"]},
    }
    assert canonical_nquads(quads_of(options_of(swapped), {})) == canonical_nquads(quads_of(options_of(good), {}))
    refused(swapped, "mean something else")
    assert check(signed(document, proof_options())).signer == DID
    for name, meaning in (
        ("created", "urn:x"),
        ("proofPurpose", {"@id": "urn:x", "@type": "@vocab"}),
        ("type", "urn:t"),
    ):
        other = {**inline, "created": made, name: meaning}
        document = signed({"@context": other, "id": "urn:x", "name": "x"}, proof_options())
        refused(document, "mean something else")


def test_a_context_that_the_caller_knows_is_taken() -> None:
    url = "https://example.org/c"
    known = {**bundled_contexts(), url: b'{"@context": {"shoe": "urn:shoe"}}'}
    inline = signed({**DOCUMENT, "@context": [*CONTEXT, {"shoe": "urn:shoe"}], "shoe": "left"})
    document = {**inline, "@context": [*CONTEXT, url]}
    assert check(document, contexts=known).canonical == check(inline).canonical
    assert b"<urn:shoe>" in check(inline).canonical
    refused(document, "'https://example.org/c' is not among")


def test_poison_is_refused_within_the_bound_of_canonicalization() -> None:
    nodes = [{"@id": f"_:n{i}", "urn:p": [{"@id": f"_:n{j}"} for j in range(10)]} for i in range(10)]
    document = {"@context": CONTEXT, "id": "urn:x", "credentialSubject": nodes, "proof": GOOD["proof"]}
    refused(document, "cannot be brought to canonical form: 10 blank nodes")


def test_literals_and_numbers_are_signed_as_json_ld_defines_them() -> None:
    """As the JSON-LD 1.1 API says (8.2.2) and RDFC-1.0 writes; the language tag as other processors write it."""
    document = {
        "@context": {"@vocab": "urn:"},
        "@id": "urn:a",
        "n": [5, 5.0, -0.0, 5.5, 1e21, 0.1, 1e-7, 12345678901234567890123, True],
        "t": [
            '"\\\n\t\u0001\u007f é',
            {"@value": "x", "@language": "EN-us"},
            {"@value": "2023-01-01", "@type": "urn:d"},
        ],
        "j": {"@type": "@json", "@value": {"b": 1.0, "a": [1e30, "é"]}},
    }
    xsd = "^^<http://www.w3.org/2001/XMLSchema#"
    objects = {quad[2].decode() for quad in quads_of(document, {})}
    assert objects == {
        *(f'"{text}"{xsd}integer>' for text in ("5", "0")),
        *(f'"{text}"{xsd}double>' for text in ("5.5E0", "1.0E21", "1.0E-1", "1.0E-7", "1.234567890123457E22")),
        f'"true"{xsd}boolean>',
        '"\\"\\\\\\n\\t\\u0001\\u007F é"',
        '"x"@en-us',
        '"2023-01-01"^^<urn:d>',
        '"{\\"a\\":[1e+30,\\"é\\"],\\"b\\":1}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>',
    }


def test_every_type_of_a_node_has_its_context() -> None:
    """The engine's reader loses `q` here."""
    contexts = {"T": {"@id": "urn:T", "@context": {"p": "urn:p"}}, "U": {"@id": "urn:U", "@context": {"q": "urn:q"}}}
    quads = quads_of({"@context": contexts, "@id": "urn:a", "@type": ["T", "U"], "p": "1", "q": "2"}, {})
    assert {quad[1] for quad in quads} >= {b"<urn:p>", b"<urn:q>"}


@pytest.mark.parametrize(
    ("thing", "reason"),
    [(None, "a list holds a value"), ({"type": "literal", "value": 5, "datatype": "urn:d"}, "5 is no text")],
)
def test_what_pyld_makes_of_odd_values_is_refused(thing: object, reason: str) -> None:
    node = {"type": "IRI", "value": "urn:s"}
    with pytest.raises(IntegrityError, match=reason):
        list(jsonld._raw_quads({"@default": [{"subject": node, "predicate": node, "object": thing}]}))


# --- step 6: the signature -------------------------------------------------------------------------------------


def altered_signature(change: Any) -> dict[str, Any]:  # noqa: ANN401
    raw = from_multibase(GOOD["proof"]["proofValue"], "proof value")
    return {**GOOD, "proof": {**GOOD["proof"], "proofValue": multibase(change(raw))}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little"), "S is not below"),
        (lambda raw: raw[:32] + ORDER.to_bytes(32, "little"), "S is not below"),
        (lambda raw: raw[:-1], "has 63 bytes"),
        (lambda raw: raw + b"\0", "has 65 bytes"),
        (lambda raw: bytes(31) + raw[31:], "signature is not of this key"),
        (lambda _: bytes(64), "signature is not of this key"),
    ],
)
def test_an_altered_signature_is_refused(change: Any, reason: str) -> None:  # noqa: ANN401
    refused(altered_signature(change), reason)


@pytest.mark.parametrize("value", ["", "z", "u" + "A" * 86, GOOD["proof"]["proofValue"] + " ", "z1" * 60, "zI"])
def test_a_signature_in_another_encoding_is_refused(value: str) -> None:
    refused({**GOOD, "proof": {**GOOD["proof"], "proofValue": value}}, "not in multibase base58btc|has [0-9]+ bytes")


def test_a_leading_one_of_base58_is_a_byte_more() -> None:
    value = "z1" + GOOD["proof"]["proofValue"][1:]
    refused({**GOOD, "proof": {**GOOD["proof"], "proofValue": value}}, "has 65 bytes")


@pytest.mark.parametrize("name", sorted(GOOD["proof"]))
def test_every_member_of_the_proof_is_signed(name: str) -> None:
    other = {
        "type": "OtherProof",
        "cryptosuite": "eddsa-rdfc-2023",
        "created": "2026-11-01T12:00:01Z",
        "verificationMethod": method_of(did_of_key(public_key(b"\x08" * 32))),
        "proofPurpose": "authentication",
        "proofValue": multibase(bytes(range(64))),
    }[name]
    refused({**GOOD, "proof": {**GOOD["proof"], name: other}}, None)


def test_members_that_were_not_signed_cannot_be_added() -> None:
    for member in ({"expires": "2028-01-01T00:00:00Z"}, {"id": "urn:x"}):
        refused({**GOOD, "proof": {**GOOD["proof"], **member}}, "signature is not of this key")


def test_the_order_of_members_does_not_matter() -> None:
    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {name: turned(part) for name, part in reversed(value.items())}
        return value

    assert check(turned(GOOD)).canonical == check(GOOD).canonical


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    refused(data, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "@id",
                    "@type",
                    "@value",
                    "@list",
                    "@graph",
                    "@reverse",
                    "@context",
                    "id",
                    "proof",
                    "name",
                    "@set",
                    "@language",
                    "@included",
                    "@nest",
                    "@index",
                    "created",
                )
            ),
            parts,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from([*DOCUMENT, "@graph", "@reverse", "@included", "@type", "urn:p"]), JSON, max_size=4)
)
def test_arbitrary_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    """No other error comes out, and whatever alters the statements is seen."""
    document = {**GOOD, **changes}
    try:
        found = check(document)
    except IntegrityError:
        return
    assert found.canonical == check(GOOD).canonical


@given(st.sampled_from(("DOCUMENT", "proof")), st.integers(0, 2**16), st.integers(1, 255))
def test_a_flipped_byte_is_seen_or_changes_nothing_that_is_signed(part: str, at: int, flip: int) -> None:
    data = bytearray(encoded(GOOD if part == "DOCUMENT" else {"proof": GOOD["proof"], **DOCUMENT}))
    data[at % len(data)] ^= flip
    try:
        found = check(bytes(data))
    except IntegrityError:
        return
    assert found.canonical == check(GOOD).canonical


def refuse_network(*_: Any) -> NoReturn:  # noqa: ANN401
    raise AssertionError("a socket was opened")


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", refuse_network)
    for url in ("https://example.org/c", "http://127.0.0.1:1/c", "file:///etc/passwd", "//127.0.0.1/c", "c", ""):
        for context in (url, {"@import": url}, {"x": {"@id": "urn:x", "@context": url}}):
            refused({**GOOD, "@context": [*CONTEXT, context], "x": {"name": "n"}}, "fetched|cannot be read")
    assert check(GOOD).signer == DID


def test_a_document_cannot_write_to_the_terminal() -> None:
    for change in ({"@context": [*CONTEXT, "\x1b[31m"]}, {"id": "\x1b[31m"}, {"\x1b[31m": 1}, {"@id": ["\x1b[31m"]}):
        with pytest.raises(IntegrityError) as caught:
            check({**GOOD, **change})
        assert "\x1b" not in str(caught.value)


# --- contexts --------------------------------------------------------------------------------------------------


def test_every_context_is_the_file_that_the_readme_names() -> None:
    folder = Path(integrity.__file__).parent / "contexts"
    rows = re.findall(
        r"^\| `(\S+)` \| `(\S+)` \| .* \| `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert {url: name for name, url, _ in rows} == BUNDLED
    assert {path.name for path in folder.glob("*.jsonld")} == {name for name, _, _ in rows}
    for name, url, digest in rows:
        assert sha256((folder / name).read_bytes()).hexdigest() == digest
        assert bundled_contexts()[url] == (folder / name).read_bytes()
