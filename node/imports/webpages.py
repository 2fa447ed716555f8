"""JSON-LD in web pages: each `<script type="application/ld+json">` is an item, or several if it has several nodes.

Nothing of the page is run or fetched. Contexts are not fetched either: `https://schema.org` is ours
(`node.imports.schema_org`). A page with a block that cannot be read is
refused, and all such blocks are named: what is left out without a word is missed later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dkg.errors import InputError, LimitError
from node.assets.errors import IntegrityError
from node.assets.strict_json import check_values, loads
from node.imports.documents import item_of, read_document
from node.imports.errors import SourceError
from node.imports.limits import BLOCKS_MAX, PAGE_BYTES_MAX
from node.imports.markup import read_html
from node.imports.tables import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.imports.item import Bounded, Item

_TYPE: Final = "application/ld+json"
_SHOWN: Final = 20  # blocks that one error names


class WebPageImport:
    """The import of one web page. `minted`: what the IRIs of nodes without a name begin with."""

    def __init__(self, contexts: Mapping[str, bytes], base: str | None, minted: str) -> None:
        self._contexts = contexts
        self._base = base
        self._minted = minted
        self.warnings: list[str] = []

    def items(self, source: Bounded) -> Iterator[Item]:
        """See `node.imports.item.Import`."""
        blocks = blocks_of(text_of(source.whole(PAGE_BYTES_MAX, "PAGE_BYTES_MAX")))
        if not blocks:
            raise SourceError(f'the page has no <script type="{_TYPE}">: there is nothing to import')
        items, wrong = [], []
        for number, block in enumerate(blocks, 1):
            try:
                items.append(self._item(block, f"script={number}"))
            except InputError as error:
                wrong.append(f"block {number}: {error}")
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more blocks" if len(wrong) > _SHOWN else ""
            raise SourceError("; ".join(wrong[:_SHOWN]) + more)
        yield from items

    def _item(self, text: str, place: str) -> Item:
        try:
            found = loads(text.encode())
            document: dict[str, Any] = {"@graph": found} if isinstance(found, list) else found
            if not isinstance(document, dict):
                raise SourceError("the JSON is neither an object nor a list of them")
            check_values(document)
        except IntegrityError as error:
            raise SourceError(str(error)) from error
        nodes = read_document(document, self._contexts, self._base)
        names = [node["@id"] for node in nodes if not str(node.get("@id", "_:")).startswith("_:")]
        return item_of(nodes, place, names[0] if names else None, self._minted + digest_of(document))


def text_of(data: bytes) -> str:
    """The text of a page in UTF-8. Raises `SourceError`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"it is not UTF-8: {error.reason} at byte {error.start}; convert the file") from error
    if "\0" in text:
        raise SourceError("it has a null character: this is no text in UTF-8")
    return text


def blocks_of(text: str) -> list[str]:
    """The blocks of JSON-LD of a page. Raises `LimitError`."""
    reader = _Blocks()
    read_html(text, reader)
    return reader.blocks


class _Blocks:
    """Collects the scripts with JSON-LD; in a script nothing is markup but its end."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._parts: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """See `node.imports.markup.Reader`."""
        kind = (attributes.get("type") or "").partition(";")[0].strip().lower()
        if tag == "script" and kind == _TYPE:
            if len(self.blocks) >= BLOCKS_MAX:
                raise LimitError(f"the page has over {BLOCKS_MAX} blocks of JSON-LD (BLOCKS_MAX)")
            self._parts = []

    def data(self, text: str) -> None:
        """See `node.imports.markup.Reader`."""
        if self._parts is not None:
            self._parts.append(text)

    def end(self, tag: str) -> None:
        """See `node.imports.markup.Reader`."""
        if tag == "script" and self._parts is not None:
            self.blocks.append("".join(self._parts))
            self._parts = None
