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
"""Longest file that is read as a whole (JSON, HTML, BibTeX, feeds), in bytes."""

MAPPING_BYTES_MAX: Final = 256 * 1024
"""Longest mapping file, in bytes."""

ITEMS_MAX: Final = 200_000
"""Most items (rows, objects, blocks, entries) of one file."""

BLOCKS_MAX: Final = 1_000
"""Most blocks of JSON-LD in a web page."""

FEED_ITEMS_MAX: Final = 10_000
"""Most items of a feed."""

FIELDS_MAX: Final = 200
"""Most fields of an entry of a bibliography."""

PERSONS_MAX: Final = 1_000
"""Most persons in one field of an entry: some papers have over 3,000 authors and are refused."""

PARTS_MAX: Final = 1_000
"""Most parts of one cell that is a list."""
