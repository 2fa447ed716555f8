"""A look at a document before the engine's parser sees it: nesting, chains of JSON-LD terms, and entities of XML.

The engine's parsers recurse over nesting and can overflow their stack (JSON-LD at about 3,250 levels, triple terms at
about 18,800), recurse along JSON-LD terms that are defined by each other, and expand XML entities without limit (1 kB
to 10^9 characters; RELIABILITY section 1). An overflow kills the process, so no `except` comes after it.

The scanners read the document as the engine does, or stop where the engine does: what hides a bracket from them must be
a syntax error. They take memory in proportion to the nesting only, whatever the length of strings.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from dkg.errors import LimitError, RdfError
from dkg.limits import JSON_LEVEL_BYTES_MAX, RDF_DEPTH_MAX, XML_ENTITY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Each pattern takes what is no bracket, then one bracket or one quotation mark, if there is one. Its repeats are
# bounded, since the matcher remembers each: an unbounded one took 2.4 GB for a literal of 20 MB.
_JSON: Final = re.compile(rb'[^"\[\]{}]*+(["\[\]{}])?')
_TURTLE: Final = re.compile(
    rb"(?:[^\"'<>#\\\[\](){}]++|<[^<>\"{}|^`\x00-\x20]*+>|\"(?!\"\")[^\"\\\n\r]*+\"|\\.|#[^\n\r]*+){0,500}"
    rb"(\"\"\"|'''|<<|>>|.)?",
    re.DOTALL,
)
_CONTENT: Final = {
    b'"""': re.compile(rb'(?:[^"\\]++|\\.|"(?!"")){0,500}', re.DOTALL),
    b"'''": re.compile(rb"(?:[^'\\]++|\\.|'(?!'')){0,500}", re.DOTALL),
    b'"': re.compile(rb'(?:[^"\\\n\r]++|\\.){0,500}', re.DOTALL),
    b"'": re.compile(rb"(?:[^'\\\n\r]++|\\.){0,500}", re.DOTALL),
}
_OPENING: Final = frozenset({b"[", b"{", b"(", b"<<"})
_CLOSING: Final = frozenset({b"]", b"}", b")", b">>"})

_MARK: Final = "\ufeff"  # a byte order mark, which JSON-LD and XML may begin with

_DECLARATION: Final = re.compile(rb"<!DOCTYPE", re.IGNORECASE)
_FLAT_ENTITY: Final = rb"<!ENTITY\s+([^\s%&;<>\"']+)\s+(?:\"([^\"&%<]*)\"|'([^'&%<]*)')\s*>"
_FLAT_DECLARATION: Final = re.compile(
    rb"<!DOCTYPE\s+[^\s\[\]<>\"']+\s*(?:\[(?:\s++|<!--(?:[^<>-]++|-(?!-))*-->|" + _FLAT_ENTITY + rb")*\])?\s*>"
)
_ENTITY: Final = re.compile(_FLAT_ENTITY)
_REFERENCE: Final = re.compile(rb"&([^\s&;<>\"'#]+);")


def check_nesting(data: bytes, name: str) -> None:
    """Refuse a document in format `name` that is nested too deeply, or whose entities expand too far.

    Raises `LimitError`, and `RdfError` for what the format `name` cannot be.
    """
    if name == "xml":
        _check_entities(data)
        _check_elements(data)
    elif name == "jsonld":
        depth = _check_brackets(data, _JSON)
        if depth * len(data) > JSON_LEVEL_BYTES_MAX:
            raise LimitError(
                f"the JSON-LD has {len(data)} bytes, and with its {depth} levels of nesting only "
                f"{JSON_LEVEL_BYTES_MAX // depth} are allowed (JSON_LEVEL_BYTES_MAX): split it, or write it as N-Quads"
            )
        _check_contexts(data)
    elif name not in {"nt", "nq"} or b"<<" in data:
        _check_brackets(data, _TURTLE)


def _check_brackets(data: bytes, pattern: re.Pattern[bytes]) -> int:
    """The depth of the nesting, if it is allowed."""
    at, depth, deepest, end = 0, 0, 0, len(data)
    while at < end:
        found = pattern.match(data, at)
        if found is None or found.end() == at:  # pragma: no cover - each pattern takes something
            break
        at, token = found.end(), found[1]
        if token in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
            if depth > RDF_DEPTH_MAX:
                raise LimitError(
                    f"the document is nested over {RDF_DEPTH_MAX} levels deep at byte {at - 1} (RDF_DEPTH_MAX); "
                    "flatten it, for example by writing it as N-Quads"
                )
        elif token in _CLOSING:
            depth = max(0, depth - 1)
        elif token in _CONTENT:
            at = _after_string(data, at, token)
    return deepest


def _after_string(data: bytes, at: int, mark: bytes) -> int:
    """The place after a string whose content starts at `at`."""
    content = _CONTENT[mark]
    while (found := content.match(data, at)) is not None and found.end() > at:
        at = found.end()
    return at + len(mark) if data.startswith(mark, at) else at


# --- JSON-LD ---------------------------------------------------------------------------------------------------


def _check_contexts(data: bytes) -> None:
    """Refuse contexts that the engine cannot read, or reads wrongly.

    - Terms that are defined by each other in long chains: `{"a": "b:x", "b": "c:x", ...}`. To define one the engine
      defines the next, and so on, on its stack.
    - Several types of one node that bring a context each: the engine applies one of them (pyoxigraph 0.5.13), and drops
      what only the others define.
    """
    scoped: set[str] = set()
    aliases = {"@type"}

    def checked(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
        """An object as its pairs, so that none of two with one name is lost."""
        for context in _contexts(pairs):
            _check_chains(context)
            scoped.update(n for n, v in context if isinstance(v, tuple) and any(part == "@context" for part, _ in v))
            aliases.update(n for n, v in context if v == "@type" or (isinstance(v, tuple) and ("@id", "@type") in v))
        return tuple(pairs)

    _read_json(data, checked)
    if scoped:
        _read_json(data, lambda pairs: _check_types(pairs, scoped, aliases))


def _read_json(data: bytes, hook: Callable[[list[tuple[str, Any]]], object]) -> None:
    try:
        json.loads(data.decode().removeprefix(_MARK), object_pairs_hook=hook, parse_int=str, parse_float=str)
    except UnicodeDecodeError as error:
        raise RdfError(f"the document is not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise RdfError(f"the document does not parse at line {error.lineno}: {error.msg}") from error


def _contexts(pairs: list[tuple[str, Any]]) -> Iterator[tuple[tuple[str, Any], ...]]:
    for name, value in pairs:
        if name == "@context":
            yield from (
                context for context in (value if isinstance(value, list) else [value]) if type(context) is tuple
            )


def _check_types(pairs: list[tuple[str, Any]], scoped: set[str], aliases: set[str]) -> tuple[tuple[str, Any], ...]:
    types = [t for n, v in pairs if n in aliases for t in (v if isinstance(v, list) else [v]) if isinstance(t, str)]
    several = sorted(scoped & set(types))
    if len(several) > 1:
        raise RdfError(
            f"a node of the JSON-LD has the types {', '.join(several)}, each with a context of its own: the engine "
            "reads one of them only. Write its statements without these contexts, or as Turtle"
        )
    return tuple(pairs)


def _check_chains(context: tuple[tuple[str, Any], ...]) -> None:
    needs: dict[str, set[str]] = {name: set() for name, _ in context}
    for name, value in context:
        parts = [part for _, part in value] if isinstance(value, tuple) else [value]
        for text in (name, *(part for part in parts if isinstance(part, str))):
            needs[name] |= {need for need in (text, text.partition(":")[0]) if need in needs and need != name}
    users: dict[str, list[str]] = {}
    for name, wants in needs.items():
        for want in wants:
            users.setdefault(want, []).append(name)
    ready, steps = [name for name, wants in needs.items() if not wants], 0
    while ready and steps < RDF_DEPTH_MAX:  # layer by layer: terms whose needs are all met
        steps += 1
        following = []
        for met in ready:
            del needs[met]
            for user in users.get(met, []):
                needs[user].discard(met)
                if not needs[user]:
                    following.append(user)
        ready = following
    if len(needs) > RDF_DEPTH_MAX or (ready and needs):  # a chain that goes on, or goes in circles
        raise LimitError(
            f"the terms of a JSON-LD context are defined by each other over {RDF_DEPTH_MAX} steps (RDF_DEPTH_MAX); "
            "write their IRIs out"
        )


# --- RDF/XML ---------------------------------------------------------------------------------------------------


def _check_entities(data: bytes) -> None:
    """Allow flat entities only, as OWL files declare them: a name and a text without references."""
    declared = _DECLARATION.search(data)
    if declared is None:
        return
    flat = _FLAT_DECLARATION.match(data, declared.start())
    if flat is None:
        raise RdfError(
            f"the XML document type at byte {declared.start()} declares more than entities with plain texts; "
            "write out entities that refer to entities, and leave out all other declarations"
        )
    sizes = {entity: len(double or single) for entity, double, single in _ENTITY.findall(flat[0])}
    if _DECLARATION.search(data, flat.end()) is not None:
        raise RdfError("the XML has two document types; leave one out")
    expanded = 0
    for reference in _REFERENCE.finditer(data, flat.end()):
        expanded += sizes.get(reference[1], 0)
        if expanded > XML_ENTITY_BYTES_MAX:
            raise LimitError(
                f"the entities of the XML expand to over {XML_ENTITY_BYTES_MAX} bytes (XML_ENTITY_BYTES_MAX); "
                "write them out, or use another syntax"
            )


def _check_elements(data: bytes) -> None:
    depth = 0

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > RDF_DEPTH_MAX:
            raise LimitError(f"the XML is nested over {RDF_DEPTH_MAX} elements deep (RDF_DEPTH_MAX)")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")  # whatever the document says: the engine reads UTF-8
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)  # noqa: FBT003 - it takes no keyword
    except expat.ExpatError as error:
        raise RdfError(f"the XML does not parse: {error}") from error
