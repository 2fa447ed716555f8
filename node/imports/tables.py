"""CSV and TSV: a row is an item, its columns are what the mapping says.

RFC 4180, UTF-8, the first row has the names. Read row by row, by Python's `csv`, which splits and does nothing else:
a cell that looks like a formula is a text. What is not as expected is an error that names line and column.
"""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import LimitError
from node.imports.documents import ValueRefusedError, item_of, read_document
from node.imports.errors import MappingError, SourceError
from node.imports.limits import CELL_CHARACTERS_MAX, COLUMNS_MAX, ITEMS_MAX, LINE_BYTES_MAX, TABLE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from node.imports.item import Bounded, Item
    from node.imports.mapping import Mapping as TableMapping

_MARK: Final = b"\xef\xbb\xbf"


class TableImport:
    """The import of one table. `minted`: what the IRIs of rows without a name begin with."""

    def __init__(
        self,
        mapping: TableMapping,
        contexts: Mapping[str, bytes],
        base: str | None,
        minted: str,
        delimiter: str = ",",
    ) -> None:
        self._mapping = mapping
        self._contexts = contexts
        self._base = base
        self._minted = minted
        self._delimiter = mapping.delimiter or delimiter
        self.warnings: list[str] = []

    def items(self, source: Bounded) -> Iterator[Item]:
        """See `node.imports.item.Import`."""
        names: list[str] | None = None
        empty = 0
        for number, line, row in _rows(source, self._delimiter):
            if names is None:
                names = self._header(row)
                continue
            if number > ITEMS_MAX + 1:
                raise LimitError(f"the table has over {ITEMS_MAX} rows (ITEMS_MAX): split it")
            if not row:
                continue  # an empty line
            try:
                item = self._item(names, row, number)
            except ValueRefusedError as error:
                column = self._column(names, row, error)
                raise SourceError(f"line {line}, column {column!r}: {error}") from error
            except (SourceError, LimitError) as error:
                raise type(error)(f"line {line}: {error}") from error
            if item is None:
                empty += 1
            else:
                yield item
        if names is None:
            raise SourceError("the table is empty: its first row should have the names of the columns")
        if empty:
            self.warnings.append(f"{empty} rows have no value, and are left out")

    def _header(self, row: list[str]) -> list[str]:
        if len(row) > COLUMNS_MAX:
            raise LimitError(f"the table has {len(row)} columns; {COLUMNS_MAX} is the most (COLUMNS_MAX)")
        for column, name in enumerate(row, 1):
            if not name:
                raise SourceError(f"line 1: column {column} has no name")
            if name.startswith("@"):
                raise SourceError(f"line 1: column {column} has the name {name!r}, which JSON-LD uses: change it")
            if row.index(name) < column - 1:
                raise SourceError(f"line 1: two columns have the name {name!r}")
        needed = {*self._mapping.iris, *self._mapping.split, *self._mapping.ignore}
        needed.update(self._mapping.id.names if self._mapping.id else ())
        needed.update(name for template in self._mapping.iris.values() for name in template.names)
        if lacking := sorted(needed - {*row}):
            raise MappingError(f"the mapping speaks of the column {lacking[0]!r}, which the table does not have")
        return row

    def _item(self, names: list[str], row: list[str], number: int) -> Item | None:
        if len(row) != len(names):
            raise SourceError(f"there are {len(row)} cells, and {len(names)} columns have names")
        for name, cell in zip(names, row, strict=True):
            if len(cell) > CELL_CHARACTERS_MAX:
                raise LimitError(
                    f"the cell of {name!r} has {len(cell)} characters; {CELL_CHARACTERS_MAX} is the most "
                    "(CELL_CHARACTERS_MAX)"
                )
        said = self._mapping.document(dict(zip(names, row, strict=True)))
        if not said:
            return None
        nodes = read_document({"@context": self._mapping.context, **said}, self._contexts, self._base)
        return item_of(nodes, f"row={number}", None, self._minted + digest_of(said))

    def _column(self, names: list[str], row: list[str], error: ValueRefusedError) -> str:
        """The column that a refused value is from: the one that is refused alone as well."""
        for name, cell in zip(names, row, strict=True):
            try:
                said = self._mapping.document({**dict.fromkeys(names), **self._key(names, row), name: cell})
                read_document({"@context": self._mapping.context, **said}, self._contexts, self._base)
            except ValueRefusedError as own:
                if str(own) == str(error) and own.predicate == error.predicate:
                    return name
        raise error

    def _key(self, names: list[str], row: list[str]) -> dict[str, str]:
        """The cells that the IRI of the row needs."""
        needed = self._mapping.id.names if self._mapping.id else ()
        return {name: cell for name, cell in zip(names, row, strict=True) if name in needed}


def digest_of(said: Any) -> str:  # noqa: ANN401 - JSON
    """What names an item that has no name: 16 digits of a hash of what is said of it."""
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _rows(source: Bounded, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Rows from 1 on, with the line that each begins in."""
    reader = csv.reader(_decoded(source), delimiter=delimiter, strict=True)
    number, line = 0, 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise SourceError(f"line {line}: this is no CSV: {_told(str(error))}") from error
        if row is None:
            return
        number += 1
        yield number, line, row
        line = reader.line_num + 1


def _told(said: str) -> str:
    """What `csv` says, for those who write no Python."""
    if "new-line character" in said:
        return "a line ends with a carriage return alone: convert the ends of lines"
    if "field larger" in said:
        return "a cell is too long, or a quote is not closed"
    return said


def _decoded(source: Bounded) -> Iterator[str]:
    for number, line in enumerate(
        source.lines(LINE_BYTES_MAX, TABLE_BYTES_MAX, ("LINE_BYTES_MAX", "TABLE_BYTES_MAX")), 1
    ):
        if b"\0" in line:
            raise SourceError(f"line {number} has a null character: this is no text in UTF-8")
        try:
            yield (line.removeprefix(_MARK) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise SourceError(
                f"line {number} is not UTF-8: {error.reason} at byte {error.start}; convert the file"
            ) from error
