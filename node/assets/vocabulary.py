"""Terms of the vocabularies that provenance is written in."""

from __future__ import annotations

from typing import Final

from dkg import private

_DCTERMS: Final = "http://purl.org/dc/terms/"
_PROV: Final = "http://www.w3.org/ns/prov#"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
SECURITY: Final = "https://w3id.org/security#"
"""The namespace of W3C Data Integrity."""


def _term(namespace: str, name: str) -> bytes:
    return f"<{namespace}{name}>".encode()


TYPE: Final = _term(_RDF, "type")
COMMENT: Final = _term(_RDFS, "comment")
DATE_TIME: Final = _term(_XSD, "dateTime")

CREATED: Final = _term(_DCTERMS, "created")
CREATOR: Final = _term(_DCTERMS, "creator")
IS_REPLACED_BY: Final = _term(_DCTERMS, "isReplacedBy")
LICENCE: Final = _term(_DCTERMS, "license")
MODIFIED: Final = _term(_DCTERMS, "modified")
PUBLISHER: Final = _term(_DCTERMS, "publisher")
REPLACES: Final = _term(_DCTERMS, "replaces")
SOURCE: Final = _term(_DCTERMS, "source")
TITLE: Final = _term(_DCTERMS, "title")

ACTIVITY: Final = _term(_PROV, "Activity")
ENDED_AT: Final = _term(_PROV, "endedAtTime")
ENTITY: Final = _term(_PROV, "Entity")
GENERATED_AT: Final = _term(_PROV, "generatedAtTime")
INVALIDATED_AT: Final = _term(_PROV, "invalidatedAtTime")
USED: Final = _term(_PROV, "used")
WAS_ASSOCIATED_WITH: Final = _term(_PROV, "wasAssociatedWith")
WAS_ATTRIBUTED_TO: Final = _term(_PROV, "wasAttributedTo")
WAS_DERIVED_FROM: Final = _term(_PROV, "wasDerivedFrom")
WAS_INVALIDATED_BY: Final = _term(_PROV, "wasInvalidatedBy")
WAS_REVISION_OF: Final = _term(_PROV, "wasRevisionOf")

CRYPTOSUITE: Final = _term(SECURITY, "cryptosuite")
DATA_INTEGRITY_PROOF: Final = _term(SECURITY, "DataIntegrityProof")
EXPIRATION: Final = _term(SECURITY, "expiration")
PROOF_PURPOSE: Final = _term(SECURITY, "proofPurpose")
PROOF_VALUE: Final = _term(SECURITY, "proofValue")
PRIVATE_COMMITMENT: Final = private.COMMITMENT
"""Not of a standard vocabulary: there is none for this (`dkg.private`)."""

VERIFICATION_METHOD: Final = _term(SECURITY, "verificationMethod")
