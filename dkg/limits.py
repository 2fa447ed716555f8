"""Named limits of the format and of evaluation, each with its unit, in one place.

The sizes of terms follow from each other: raise one and the others must follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

IRI_BYTES_MAX: Final = 16 * 1024
"""Longest IRI, in bytes of its term (with the angle brackets)."""

LITERAL_BYTES_MAX: Final = 1024 * 1024
"""Longest literal, in bytes of its term (with quotes, escapes, and language tag or datatype)."""

KEY_BYTES_MAX: Final = LITERAL_BYTES_MAX + 3 * IRI_BYTES_MAX + 14
"""Longest key, in bytes: an object, three IRIs, four terminators, and a tag with nine order bytes."""


DURATION_DAYS_MAX: Final = 3_652_500
"""Days, hours, minutes and seconds of a duration literal are less than this many days: 10,000 years of them."""

LEAF_KEYS_MAX: Final = 40
"""Most keys of a leaf: docs/formats.md, section 4."""

CHILDREN_MAX: Final = 8
"""Most children of an inner page: docs/formats.md, section 4."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one query may use; over any of these it is a `BudgetError`, never a shorter answer."""

    pages: int = 50_000
    """Pages read."""
    proof_bytes: int = 64 * 1024 * 1024
    """Bytes of the pages of a proof, uncompressed."""
    quads: int = 2_000_000
    """Quads gathered for the engine."""
    rows: int = 1_000_000
    """Rows of the result, and of each intermediate result of coverage. (The engine's own are not bounded.)"""


DEFAULT_BUDGET: Final = Budget()

QUERY_BYTES_MAX: Final = 64 * 1024
"""Longest query, in bytes of UTF-8."""

QUERY_DEPTH_MAX: Final = 64
"""Most brackets of all kinds open at once in a query. The engine's stack holds about 2,250 groups."""

QUERY_ELEMENTS_MAX: Final = 300
"""Most keywords FILTER, UNION, OPTIONAL and the like in a query. The engine's stack holds more than 1,600."""

QUERY_CHAIN_MAX: Final = 400
"""Most operators and semicolons in a query. The engine's stack holds more than 2,000."""

QUERY_PATTERNS_MAX: Final = 100
"""Most triple patterns, steps of paths, groups and VALUES that are joined in one group. The engine's optimizer takes
0.5 s for 100."""

QUERY_CLOSURES_MAX: Final = 2
"""Most of `*` and `+` around each other in a path. Each multiplies the engine's time by the number of nodes: over a
circle of 60 nodes, `?s ((p+)+)+ ?o` takes 16 s, with one `+` less 0.25 s, and `p+`, which means the same, 4 ms."""

QUERY_CUBES_MAX: Final = 2 * QUERY_PATTERNS_MAX**3
"""Most of the sum, over all groups of a query, of the cube of what each joins: its optimizer's time is as that."""

QUERY_TERMS_MAX: Final = 120
"""Most terms, variables and opening brackets in a query that only the engine understands: its optimizer takes time
that grows with the cube of the triple patterns, about a second for 120."""

QUERY_HEADS_MAX: Final = 200
"""Most parenthesised expressions and calls in SELECT, GROUP BY, HAVING and ORDER BY, and most conditions of ORDER BY,
of which each becomes four. The engine's stack holds more than 2,000 of them."""

QUERY_DESCRIBED_MAX: Final = 200
"""Most terms and variables after DESCRIBE. The engine's stack holds more than 2,000."""

RDF_DEPTH_MAX: Final = 256
"""Most brackets or elements open at once in an RDF document. The engine's stack holds about 3,250 levels of JSON-LD."""

LINE_BYTES_MAX: Final = 2 * LITERAL_BYTES_MAX
"""Longest line of N-Triples and N-Quads, in bytes: a literal may be written with escapes."""

DOCUMENT_BYTES_MAX: Final = 1024 * 1024 * 1024
"""Longest document in a syntax that is read as a whole, in bytes."""

JSON_LEVEL_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of a JSON-LD document times its levels of nesting. The engine takes about 20 bytes of memory for each."""

XML_ENTITY_BYTES_MAX: Final = 64 * 1024 * 1024
"""What the entities of an XML document may expand to in all, in bytes."""

BLANK_QUADS_MAX: Final = 2_000_000
"""Most quads of one document that mention blank nodes; they are kept in memory until the document ends."""

CANON_WORK_BASE: Final = 50_000
"""Steps of RDFC-1.0 for any document, each about one quad or label that is looked at: about a tenth of a second."""

CANON_WORK_PER_NODE: Final = 2_000
"""Steps besides for each blank node: enough for a list of 400 equal numbers."""

CANON_WORK_MAX: Final = 800_000
"""Most steps, about a second, but for documents with so many blank nodes that it is less than
`CANON_WORK_MIN_PER_NODE` for each."""

CANON_WORK_MIN_PER_NODE: Final = 20
"""Steps for each blank node that no document is denied."""

CANON_LEVELS_PER_STEP: Final = 500
"""Each blank node that is looked at from another, and that from another, counts as a step more for so many of them:
all of them stay in memory."""

FINALITY_DEPTH: Final = 12
"""Blocks above a commit's block until it counts as final, where nobody says another number."""

FINALITY_DEPTH_MAX: Final = 10_000
"""Largest finality depth, in blocks."""

KEY_MAX: Final = 768
"""Longest key that checkpoints cover, in bytes: docs/formats.md, section 11."""

STEM_BYTES: Final = KEY_MAX + 1
"""Bytes of a key that a contract compares."""

SHOW_MAX: Final = 30_976
"""Largest page that a contract reads, in bytes: a leaf of 40 keys of `KEY_MAX` fits."""

SEGMENTS_MAX: Final = 34
"""Most segments of a path: a dataset root, the 32 levels of a tree, and the page that is one too deep."""

PATH_BYTES_MAX: Final = 36_864
"""Longest path in a transaction, in bytes: whoever sends more of them has spent the 1,500,000 gas of a challenge."""

COMMITS_MAX: Final = 8
"""How many of a publisher's commits before a position are looked at for the one that counts."""
