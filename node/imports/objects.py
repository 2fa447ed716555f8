"""JSON: an object is an item, its members are what the mapping says. The list of objects is found by a JSON pointer.

Objects may hold objects. Members whose names begin with `@` are refused: a document that says itself what it means is
JSON-LD, and is published as that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import LimitError
from node.assets.errors import IntegrityError
from node.assets.strict_json import check_values, loads
from node.imports.documents import item_of, read_document
from node.imports.errors import SourceError
from node.imports.limits import DOCUMENT_BYTES_MAX, ITEMS_MAX
from node.imports.mapping import Number
from node.imports.tables import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.imports.item import Bounded, Item
    from node.imports.mapping import Mapping as ObjectMapping


_INDEX: Final = re.compile("0|[1-9][0-9]{0,8}")


class ObjectImport:
    """The import of one JSON document. `minted`: what the IRIs of objects without a name begin with."""

    def __init__(self, mapping: ObjectMapping, contexts: Mapping[str, bytes], base: str | None, minted: str) -> None:
        self._mapping = mapping
        self._contexts = contexts
        self._base = base
        self._minted = minted
        self.warnings: list[str] = []

    def items(self, source: Bounded) -> Iterator[Item]:
        """See `node.imports.item.Import`."""
        try:
            found = loads(source.whole(DOCUMENT_BYTES_MAX, "DOCUMENT_BYTES_MAX").removeprefix(b"\xef\xbb\xbf"), Number)
        except IntegrityError as error:
            raise SourceError(str(error)) from error
        found = _at(found, self._mapping.items)
        given = found if isinstance(found, list) else [found]
        if len(given) > ITEMS_MAX:
            raise LimitError(f"there are {len(given)} items; {ITEMS_MAX} is the most (ITEMS_MAX)")
        empty = 0
        for number, one in enumerate(given):
            place = f"{self._mapping.items}/{number}" if isinstance(found, list) else self._mapping.items
            try:
                item = self._item(one, place)
            except (SourceError, LimitError) as error:
                raise SourceError(f"{place or 'the document'}: {error}") from error
            if item is None:
                empty += 1
            else:
                yield item
        if empty:
            self.warnings.append(f"{empty} objects have no value, and are left out")

    def _item(self, one: object, place: str) -> Item | None:
        if not isinstance(one, dict):
            raise SourceError("an item is an object, and this is none; say where the items are with 'items'")
        try:
            check_values(one)
        except IntegrityError as error:
            raise SourceError(str(error)) from error
        said = self._mapping.document(self._readied(one))
        if not said:
            return None
        nodes = read_document({"@context": self._mapping.context, **said}, self._contexts, self._base)
        return item_of(nodes, place, None, self._minted + digest_of(said))

    def _readied(self, one: dict[str, Any]) -> dict[str, Any]:
        """An object with its numbers as what they are: texts where the context gives a datatype."""
        return {name: self._ready(name, value) for name, value in one.items()}

    def _ready(self, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
        if name.startswith("@"):
            raise SourceError(f"an object has the member {name!r}: publish it as JSON-LD, without --mapping")
        if isinstance(value, Number):
            return str(value) if name in self._mapping.typed or name in self._mapping.iris else value.native()
        if isinstance(value, list):
            return [self._ready(name, part) for part in value]
        return self._readied(value) if isinstance(value, dict) else value


def _at(found: Any, pointer: str) -> Any:  # noqa: ANN401 - JSON
    """What a JSON pointer (RFC 6901) leads to."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and _INDEX.fullmatch(name) and int(name) < len(found):
            found = found[int(name)]
        else:
            raise SourceError(f"there is no {pointer}, where the mapping says that the items are: {name!r} is missing")
    return found
