"""A look at a document before the engine's parser sees it: nesting, and entities of XML.

The engine's parsers recurse over nesting and can overflow their stack (JSON-LD at about 3,250 levels, triple terms at
about 18,800), and expand XML entities without limit (1 kB to 10^9 characters; RELIABILITY section 1).
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from dkg.errors import LimitError, RdfError
from dkg.limits import RDF_DEPTH_MAX, XML_ENTITY_BYTES_MAX

_JSON: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_TURTLE: Final = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*(?:""")?|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*(?:\'\'\')?'
    rb'|"(?:[^"\\\n\r]|\\.)*"?|\'(?:[^\'\\\n\r]|\\.)*\'?|<[^<>"{}|^`\\\x00-\x20]*>|#[^\n\r]*|<<|>>|[\[({]|[\])}]',
    re.DOTALL,
)
_ENTITY: Final = re.compile(rb"<!ENTITY\s+(%?)\s*([^\s%]+)\s+(?:\"([^\"]*)\"|'([^']*)'|(\S+))", re.DOTALL)


def check_nesting(data: bytes, name: str) -> None:
    """Refuse a document in format `name` that is nested too deeply, or whose entities expand too far."""
    if name == "xml":
        _check_xml(data)
        return
    pattern = _JSON if name == "jsonld" else _TURTLE
    if name in {"nt", "nq"} and b"<<" not in data:
        return
    depth = 0
    for match in pattern.finditer(data):
        token = match[0]
        if token in {b"[", b"{", b"(", b"<<"}:
            depth += 1
            if depth > RDF_DEPTH_MAX:
                raise LimitError(f"the document is nested over {RDF_DEPTH_MAX} levels deep at byte {match.start()}")
        elif token in {b"]", b"}", b")", b">>"}:
            depth = max(0, depth - 1)


def _check_xml(data: bytes) -> None:
    end = len(data) if b"<!DOCTYPE" in data else 0
    sizes: dict[bytes, int] = {}
    for percent, entity, double, single, external in _ENTITY.findall(data[:end]):
        value = double or single
        if percent or external:
            raise RdfError("the XML declares an entity by parameter or from elsewhere; write it out")
        if b"&" in re.sub(rb"&#x?[0-9A-Fa-f]+;|&(?:amp|lt|gt|quot|apos);", b"", value):
            raise RdfError(f"the XML entity &{entity.decode(errors='replace')}; refers to entities; write it out")
        sizes[entity] = len(value)
    if sizes:
        expanded = sum(size * data.count(b"&" + entity + b";") for entity, size in sizes.items())
        if expanded > XML_ENTITY_BYTES_MAX:
            raise LimitError(f"the entities of the XML expand to over {XML_ENTITY_BYTES_MAX} bytes")
    _check_elements(data)


def _check_elements(data: bytes) -> None:
    depth = 0

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > RDF_DEPTH_MAX:
            raise LimitError(f"the XML is nested over {RDF_DEPTH_MAX} elements deep")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)  # noqa: FBT003 - it takes no keyword
    except expat.ExpatError as error:
        raise RdfError(f"the XML does not parse: {error}") from error
