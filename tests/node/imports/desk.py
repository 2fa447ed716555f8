"""Files to triples, as `dkg publish` imports them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from node.imports.options import ImportOptions
from node.imports.run import Imports
from tests.node.assets.world import ual

if TYPE_CHECKING:
    from dkg.terms import Quad

NAME = ual("a")
ITEMS = f"{NAME}/items/"

PREFIXES = {
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "bibo": "http://purl.org/ontology/bibo/",
    "dcterms": "http://purl.org/dc/terms/",
    "prism": "http://prismstandard.org/namespaces/basic/3.0/",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "items": ITEMS,
    "ual": f"{NAME}#",
    "": "https://example.org/",
}


def short(term: bytes) -> str:
    """A term with prefixes, for tests to read."""
    text, mark, iri = term.decode().rpartition("<")
    for prefix, long in PREFIXES.items():
        if mark and iri.startswith(long):
            return f"{text}{prefix}:{iri.removeprefix(long)[:-1]}"
    return text + iri[:-1] if term.endswith(b">") else term.decode()


class Imported:
    """What an import made."""

    def __init__(self, quads: list[Quad], imports: Imports) -> None:
        assert {quad[3] for quad in quads} <= {NAME.graph}
        self.triples = {(short(s), short(p), short(o)) for s, p, o, _ in quads}
        self.warnings = imports.warnings
        record = imports.record()
        self.record = {(short(s), short(p), short(o)) for s, p, o, _ in record.quads} if record else set()

    def about(self, subject: str) -> set[tuple[str, str]]:
        """What is said of a subject."""
        return {(p, o) for s, p, o in self.triples if s == subject}


def imported(
    kind: str,
    data: bytes | str,
    mapping: bytes | None = None,
    *,
    name: str = "file",
    base: str | None = None,
    source: str | None = None,
    contexts: dict[str, bytes] | None = None,
) -> Imported:
    """A file, imported into the asset `a`."""
    imports = Imports(NAME, ImportOptions(None, mapping, base, source), contexts or {})
    stream = BytesIO(data.encode() if isinstance(data, str) else data)
    return Imported([quad for batch in imports.quads(kind, name, stream) for quad in batch], imports)
