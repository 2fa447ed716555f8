"""The mapping file: what the columns of a table, or the members of JSON objects, mean.

It is a JSON-LD context (https://www.w3.org/TR/json-ld11/#the-context) with what tables need besides:

| member       | what it says                                                                     |
|--------------|----------------------------------------------------------------------------------|
| `@context`   | names to IRIs, datatypes and languages, as in JSON-LD                            |
| `@id`        | template of an item's IRI                                                        |
| `@type`      | class of an item, or several                                                     |
| `iris`       | names whose value is put into a template, and is that IRI                        |
| `split`      | names whose text is a list, and what is between its parts                        |
| `missing`    | texts that stand for no value; by default the empty one                          |
| `ignore`     | names that are left out                                                          |
| `trim`       | whether spaces around texts are taken away; by default not                       |
| `delimiter`  | what is between the cells of a table; by default `,`, in `.tsv` files a tab      |
| `items`      | JSON: where the list of items is, as a JSON pointer; by default the document     |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

from dkg.errors import LimitError
from node.assets.errors import IntegrityError
from node.assets.strict_json import loads
from node.imports.errors import MappingError, SourceError
from node.imports.limits import MAPPING_BYTES_MAX, PARTS_MAX
from node.imports.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping as Dict

_MEMBERS: Final = frozenset(
    {"@context", "@id", "@type", "iris", "split", "missing", "ignore", "trim", "delimiter", "items"}
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file. See above."""

    context: Any
    id: Template | None
    types: Any
    iris: Dict[str, Template]
    split: Dict[str, str]
    missing: frozenset[str]
    ignore: frozenset[str]
    trim: bool
    delimiter: str | None
    items: str
    typed: frozenset[str]
    """Names whose values the context gives a datatype: JSON numbers under them are taken by their text."""
    digest: bytes
    """SHA-256 of the file."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a mapping file. Raises `MappingError` and `LimitError`."""
        if len(data) > MAPPING_BYTES_MAX:
            raise LimitError(f"a mapping has {MAPPING_BYTES_MAX} bytes at most (MAPPING_BYTES_MAX), not {len(data)}")
        try:
            found = loads(data)
        except IntegrityError as error:
            raise MappingError(str(error).replace("the document", "the mapping")) from error
        if not isinstance(found, dict):
            raise MappingError("a mapping is a JSON object, with a member @context")
        if unknown := sorted(found.keys() - _MEMBERS):
            raise MappingError(f"{unknown[0]!r} is no member of a mapping; these are: {', '.join(sorted(_MEMBERS))}")
        if "@context" not in found:
            raise MappingError("the mapping has no @context, which says what the names mean")
        return cls(
            found["@context"],
            Template.parse(found["@id"], "@id") if "@id" in found else None,
            found.get("@type"),
            {name: Template.parse(text, f"the IRI of {name!r}") for name, text in _texts(found, "iris").items()},
            {name: _one(text, f"what splits {name!r}") for name, text in _texts(found, "split").items()},
            frozenset(_list(found, "missing", [""])),
            frozenset(_list(found, "ignore", [])),
            _boolean(found, "trim"),
            _one(found["delimiter"], "the delimiter") if "delimiter" in found else None,
            _pointer(found.get("items", "")),
            frozenset(_typed(found["@context"])),
            sha256(data).digest(),
        )

    def document(self, fields: Dict[str, Any]) -> dict[str, Any]:
        """What an item's fields say, as a JSON-LD object without context. Empty if none of them has a value.

        Raises `SourceError` for an item without what its `@id` needs, and `LimitError`.
        """
        said = {name: value for name, given in fields.items() if (value := self._value(name, given, fields)) != []}
        if not said:
            return {}
        if self.types is not None:
            said["@type"] = self.types
        if self.id is not None:
            iri = self.id.expand(lambda name: self._text(fields, name))
            if iri is None:
                lacks = next(name for name in self.id.names if not self._text(fields, name))
                raise SourceError(f"there is no {lacks!r}, which the IRI of the item needs (@id)")
            said["@id"] = iri
        return said

    def _value(self, name: str, given: object, fields: Dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """The value of a field in JSON-LD; an empty list if there is none."""
        if name in self.ignore or given is None:
            return []
        parts = given if isinstance(given, list) else self._parts(name, given)
        kept = [part for part in map(self._trimmed, parts) if not (isinstance(part, str) and part in self.missing)]
        if len(kept) > PARTS_MAX and name in self.split:
            raise LimitError(f"{name!r} has over {PARTS_MAX} parts (PARTS_MAX)")
        if name in self.iris:
            kept = [self._iri(name, part, fields) for part in kept]
        return kept if isinstance(given, list) or len(kept) != 1 else kept[0]

    def _parts(self, name: str, given: object) -> list[Any]:
        return given.split(self.split[name]) if name in self.split and isinstance(given, str) else [given]

    def _trimmed(self, part: Any) -> Any:  # noqa: ANN401 - JSON
        return part.strip() if self.trim and isinstance(part, str) else part

    def _iri(self, name: str, part: object, fields: Dict[str, Any]) -> dict[str, str]:
        def text(other: str) -> str | None:
            return _scalar(part) if other == name else self._text(fields, other)

        iri = self.iris[name].expand(text)
        if iri is None:
            raise SourceError(f"a value is missing that the IRI of {name!r} needs")
        return {"@id": iri}

    def _text(self, fields: Dict[str, Any], name: str) -> str | None:
        text = _scalar(self._trimmed(fields.get(name)))
        return None if text is None or text in self.missing else text


class Number(str):
    """A number of JSON, as it is written."""

    __slots__ = ()

    def native(self) -> int | float:
        """The number itself. Raises `SourceError` for one that is out of bounds."""
        try:
            value = loads(self.encode())
        except IntegrityError as error:
            raise SourceError(str(error)) from error
        return value  # type: ignore[no-any-return]  # the text was read as a number before


def _scalar(value: object) -> str | None:
    """The text of a value for a template; None if it is no text, number or truth value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _typed(context: object) -> list[str]:
    """The names that a context, or one of a list of contexts, gives a datatype."""
    parts = context if isinstance(context, list) else [context]
    return [
        name
        for part in parts
        if isinstance(part, dict)
        for name, said in part.items()
        if isinstance(said, dict) and not str(said.get("@type", "@")).startswith("@")
    ]


def _texts(found: dict[str, Any], member: str) -> dict[str, Any]:
    value = found.get(member, {})
    if not isinstance(value, dict):
        raise MappingError(f"{member!r} of a mapping is an object, of names and texts")
    return value


def _list(found: dict[str, Any], member: str, default: list[str]) -> list[str]:
    value = found.get(member, default)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise MappingError(f"{member!r} of a mapping is a list of texts")
    return value


def _boolean(found: dict[str, Any], member: str) -> bool:
    value = found.get(member, False)
    if not isinstance(value, bool):
        raise MappingError(f"{member!r} of a mapping is true or false")
    return value


def _one(text: object, what: str) -> str:
    if not isinstance(text, str) or len(text) != 1 or text in '"\r\n\0':
        raise MappingError(f"{what} is one character, such as ';', not {json.dumps(text)}")
    return text


def _pointer(text: object) -> str:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise MappingError(f"'items' of a mapping is a JSON pointer such as /records, not {json.dumps(text)}")
    return text
