"""Which import a file is for, and how it is done: what a command line needs to know, without what does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final = ("csv", "json", "html", "bibtex", "rss")
"""The names of imports."""

ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".bib": "bibtex",
    ".bibtex": "bibtex",
    ".rss": "rss",
    ".atom": "rss",
}
"""Imports by the ending of a file's name; `.gz` may follow it. (`.json` is JSON-LD where there is no mapping.)"""


def import_of(name: str, kind: str | None, *, mapping: bool) -> str | None:
    """The import that a file is for; None if it is RDF. `kind`: which was asked for, if one was."""
    if kind is not None:
        return kind
    path = Path(name)
    path = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if mapping and path.suffix.lower() == ".json":
        return "json"
    return ENDINGS.get(path.suffix.lower())


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How files are imported."""

    kind: str | None = None
    """A name of `KINDS`, for all files; by default what their names tell."""
    mapping: bytes | None = None
    """The mapping file, for CSV and JSON."""
    base: str | None = None
    """What relative IRIs are relative to."""
    source: str | None = None
    """Where the file was got, as an IRI."""
    progress: Callable[[int], None] | None = None
    """Is told how many items more there are."""
