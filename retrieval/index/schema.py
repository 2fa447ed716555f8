"""What an index keeps in its database, and which predicates give names to things."""

from __future__ import annotations

from typing import Final

VERSION: Final = 2
"""Of the tables and of the rules that fill them. An index of another version is built anew."""

FILE: Final = "index.sqlite"

LABELS: Final = (
    b"<http://www.w3.org/2004/02/skos/core#prefLabel>",
    b"<http://www.w3.org/2000/01/rdf-schema#label>",
    b"<http://schema.org/name>",
    b"<https://schema.org/name>",
    b"<http://xmlns.com/foaf/0.1/name>",
    b"<http://purl.org/dc/terms/title>",
    b"<http://purl.org/dc/elements/1.1/title>",
)
"""Predicates whose values are what a thing is called, the first being the best."""

NAMING: Final = frozenset({"label", "preflabel", "name", "title", "fullname"})
"""What the predicates for names of other vocabularies end with, without case and signs. They come after `LABELS`."""

ALIASES: Final = (
    b"<http://www.w3.org/2004/02/skos/core#altLabel>",
    b"<http://www.w3.org/2004/02/skos/core#hiddenLabel>",
    b"<http://schema.org/alternateName>",
    b"<https://schema.org/alternateName>",
    b"<http://xmlns.com/foaf/0.1/nick>",
    b"<http://www.w3.org/2008/05/skos-xl#literalForm>",
)
"""Predicates whose values are what it is called too."""

LABEL, ALIAS, LOCAL, TEXT = range(4)
"""Kinds of names: a label, an alias, the last part of an IRI, and the text of a literal that is nobody's name."""

TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE terms (id INTEGER PRIMARY KEY, term BLOB NOT NULL UNIQUE)",
    "CREATE TABLE relations (id INTEGER PRIMARY KEY, term BLOB NOT NULL UNIQUE)",
    "CREATE TABLE arrays (name TEXT PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE names (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, kind INTEGER NOT NULL, norm TEXT NOT NULL,
    squeezed TEXT NOT NULL)""",
    "CREATE INDEX names_squeezed ON names (squeezed, kind, node)",
    "CREATE INDEX names_node ON names (node)",
    "CREATE VIRTUAL TABLE names_fts USING fts5(norm, content='names', content_rowid='id', tokenize='unicode61')",
    "CREATE VIRTUAL TABLE names_words USING fts5vocab('names_fts', 'row')",
    "CREATE TABLE texts (node INTEGER PRIMARY KEY, row BLOB NOT NULL)",
    """CREATE TABLE vectors (embedder TEXT NOT NULL, text TEXT NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (embedder, text)) WITHOUT ROWID""",
)
"""`arrays` holds the edges: they change in one transaction with the names, so that neither is without the other."""
