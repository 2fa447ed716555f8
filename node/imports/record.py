"""Where imported items are from: the graph `<UAL#items>` (docs/assets.md), which `dkg publish` alone writes.

It is a graph of its own, since it grows with the items: `<UAL#provenance>` stays as small as nodes need it, who read
it of every asset of every publisher.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from node.assets.items import ItemsRecord
from node.imports.item import required_iri
from node.imports.vocabulary import DCTERMS, RDF, RDFS, text_literal

if TYPE_CHECKING:
    from dkg.chain.ual import Ual
    from node.imports.item import Item, Triple

PROV: Final = "http://www.w3.org/ns/prov#"

VERSION: Final = 1
"""Of what imports make of files: it changes when the same file would become other triples."""

_PLACE: Final = "!$&'()*+,;=:@/?-._~%"
"""What a fragment of an IRI may hold besides letters and digits (RFC 3986); `%`, since keys are encoded already."""


def hash_name(digest: bytes) -> str:
    """A SHA-256 as RFC 6920 writes it."""
    return "ni:///sha-256;" + urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass
class Record:
    """What is known of where an asset's items are from. `read` is told of every file, as it is read."""

    ual: Ual
    triples: set[Triple] = field(default_factory=set)

    def read(self, kind: str, name: str, digest: bytes, given: str | None, mapping: bytes | None) -> None:
        """A file was imported. `given`: where it was got, as an IRI. `mapping`: SHA-256 of the mapping file."""
        activity, source = required_iri(f"{self.ual}#import"), required_iri(hash_name(digest))
        agent = required_iri(f"urn:dkg:import:{kind}:{VERSION}")
        said = [
            (activity, f"{RDF}type", required_iri(f"{PROV}Activity")),
            (activity, f"{PROV}used", source),
            (activity, f"{PROV}wasAssociatedWith", required_iri(self.ual.publisher.did)),
            (activity, f"{PROV}wasAssociatedWith", agent),
            (agent, f"{RDF}type", required_iri(f"{PROV}SoftwareAgent")),
            (source, f"{RDF}type", required_iri(f"{PROV}Entity")),
            (source, f"{DCTERMS}format", text_literal(kind)),
        ]
        if name != "-":
            said.append((source, f"{RDFS}label", text_literal(PurePath(name).name)))
        if given is not None:
            said.append((source, f"{DCTERMS}source", required_iri(given)))
        if mapping is not None:
            said.append((activity, f"{PROV}hadPlan", required_iri(hash_name(mapping))))
        self._say(said)

    def items(self, digest: bytes, items: list[tuple[tuple[bytes, ...], str, str | None]]) -> None:
        """What a file had: the nodes of each item, its place and its key."""
        name = hash_name(digest)
        source = required_iri(name)
        for nodes, place, key in items:
            at = required_iri(f"{name}#{quote(place, safe=_PLACE)}")
            said = [(node, f"{PROV}wasDerivedFrom", at) for node in nodes]
            said.append((at, f"{DCTERMS}isPartOf", source))
            if key is not None:
                said.append((at, f"{DCTERMS}identifier", text_literal(key)))
            self._say(said)

    def made(self) -> ItemsRecord:
        """The statements, without the time."""
        return ItemsRecord.of(self.ual, self.triples)

    def _say(self, said: list[tuple[bytes, str, bytes]]) -> None:
        self.triples.update((s, f"<{p}>".encode(), o) for s, p, o in said)


def trace(item: Item) -> tuple[tuple[bytes, ...], str, str | None]:
    """What `Record.items` needs of an item, so that its triples need not be kept."""
    return item.nodes, item.place, item.key
