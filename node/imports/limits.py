"""Named limits of imports, each with its unit. What an asset may have in all is in `node.assets.edits`."""

from __future__ import annotations

from typing import Final

TABLE_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Longest CSV or TSV file, in bytes. It is read row by row."""

LINE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest line of a CSV file, in bytes."""

COLUMNS_MAX: Final = 1_000
"""Most columns of a CSV file."""

CELL_CHARACTERS_MAX: Final = 100_000
"""Longest cell of a CSV file, and longest text of an entry of a bibliography or an item of a feed, in characters."""

DOCUMENT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Longest file of JSON, in bytes. It is read as a whole."""

PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest web page, in bytes."""

BIBLIOGRAPHY_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest BibTeX file, in bytes."""

FEED_BYTES_MAX: Final = 8 * 1024 * 1024
"""Longest feed, in bytes."""

HTML_CHARACTERS_MAX: Final = 1_000_000
"""Longest text of an item of a feed with its markup, in characters."""

ELEMENTS_DEPTH_MAX: Final = 500
"""Most elements of HTML inside each other: over more, libxml2 takes time that grows with the square."""

MAPPING_BYTES_MAX: Final = 256 * 1024
"""Longest mapping file, in bytes."""

ITEMS_MAX: Final = 200_000
"""Most items (rows, objects, blocks, entries) of one file."""

BLOCKS_MAX: Final = 1_000
"""Most blocks of JSON-LD in a web page."""

ENTRIES_MAX: Final = 50_000
"""Most entries of a BibTeX file."""

FEED_ITEMS_MAX: Final = 10_000
"""Most items of a feed."""

FIELDS_MAX: Final = 200
"""Most fields of an entry of a bibliography."""

PERSONS_MAX: Final = 10_000
"""Most persons in one field of an entry."""

PARTS_MAX: Final = 1_000
"""Most parts of one cell that is a list."""
