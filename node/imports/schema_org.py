"""The context `https://schema.org`, as far as it is needed: nothing is fetched, and the real one has 3,000 lines.

Every name is a term of schema.org. Values of properties that always name something by its address are IRIs; all other
texts stay texts: the real context gives dates types of its own (`schema:Date`), which no query engine can order.
The namespace is `https://schema.org/`, as in all that is imported here. (The real context says `http:`.)
"""

from __future__ import annotations

import json
from functools import cache
from typing import Final

NAMESPACE: Final = "https://schema.org/"

CONTEXT_NAMES: Final = tuple(
    f"{scheme}://{host}schema.org{path}"
    for scheme in ("http", "https")
    for host in ("", "www.")
    for path in ("", "/", "/docs/jsonldcontext.jsonld", "/docs/jsonldcontext.json")
)
"""What documents call it."""

_ADDRESSES: Final = """
    additionalType archivedAt codeRepository contentUrl discussionUrl downloadUrl embedUrl hasMap image installUrl
    isBasedOnUrl license logo mainEntityOfPage map paymentUrl photo publishingPrinciples relatedLink sameAs screenshot
    significantLink thumbnailUrl trackingUrl url usageInfo
"""
"""Properties whose value, if it is a text, is the address of something."""


@cache
def context_document() -> bytes:
    """The context, as a JSON-LD document."""
    context: dict[str, object] = {
        "@vocab": NAMESPACE,
        "schema": NAMESPACE,
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "id": "@id",
        "type": "@type",
        **{name: {"@id": NAMESPACE + name, "@type": "@id"} for name in _ADDRESSES.split()},
    }
    return json.dumps({"@context": context}).encode()
