"""BibTeX: an entry is an item, in terms of schema.org, BIBO and PRISM (`node.imports.bibliography_terms`).

Read by bibtexparser. An entry with a DOI is named by it, `https://doi.org/10.…`; others by their key. What the file
cannot mean (two entries of one key, a field twice, a brace that is not closed) is an error that names the line; fields
that have no term are left out, and named in a warning.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares import LatexDecodingMiddleware, RemoveEnclosingMiddleware
from bibtexparser.middlewares import ResolveStringReferencesMiddleware as ResolveStrings
from bibtexparser.middlewares.names import InvalidNameError, parse_single_name_into_parts, split_multiple_persons_names
from bibtexparser.model import Entry, Field, MiddlewareErrorBlock

from dkg.errors import LimitError
from node.imports.bibliography_terms import PERSON_FIELDS, Name, Record, described, doi_of
from node.imports.errors import SourceError
from node.imports.item import Item, required_iri
from node.imports.latex import decoder
from node.imports.limits import BIBLIOGRAPHY_BYTES_MAX, CELL_CHARACTERS_MAX, ENTRIES_MAX, FIELDS_MAX, PERSONS_MAX
from node.imports.webpages import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bibtexparser.library import Library

    from node.imports.item import Bounded

for _name in ("bibtexparser", "pylatexenc"):  # what they log quotes the file; we raise instead
    logging.getLogger(_name).addHandler(logging.NullHandler())

_SHOWN: Final = 10  # errors, or fields, that one sentence names
_BEGINS: Final = re.compile(r"@\s{0,10}\w{0,40}\s{0,10}[{(]")
_LATEX: Final = re.compile(r"[\\{}$~%&#^_`]|--|''")
"""What only LaTeX has: a text without it need not be decoded, which takes 10 s for a megabyte."""

_ADDRESSES: Final = frozenset({"url", "doi", "eprint"})
_SPECIAL: Final = re.compile(r"\\([%_&#$~^{}])")
_LINK: Final = re.compile(r"\\href\s{0,10}\{([^{}]*)\}\s{0,10}\{([^{}]*)\}")
_PERCENT: Final = re.compile(r"(?<!\\)((?:\\\\)*)%")
_ESCAPED: Final = re.compile(r"\\[{}]")
_MONTHS: Final = frozenset({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"})

_NESTED_MAX: Final = 100
"""Most braces open at once in a field: what decodes LaTeX is recursive."""


class BibliographyImport:
    """The import of one BibTeX file. `names`: what the IRIs of entries without a DOI begin with; `parts`: of parts."""

    def __init__(self, names: str, parts: str) -> None:
        self._names = names
        self._parts = parts
        self._left_out: Counter[str] = Counter()
        self._commands: Counter[str] = Counter()
        self._decoder = LatexDecodingMiddleware(allow_inplace_modification=True, decoder=decoder(self._commands))
        self.warnings: list[str] = []

    def items(self, source: Bounded) -> Iterator[Item]:
        """See `node.imports.item.Import`."""
        text = text_of(source.whole(BIBLIOGRAPHY_BYTES_MAX, "BIBLIOGRAPHY_BYTES_MAX"))
        if sum(1 for _ in _BEGINS.finditer(text)) > ENTRIES_MAX:
            raise LimitError(f"the file has over {ENTRIES_MAX} entries (ENTRIES_MAX): split it")
        library = parse_string(text, parse_stack=[ResolveStrings(allow_inplace_modification=True)])
        _check(library)
        for entry in library.entries:
            _check_values(entry)
        library = RemoveEnclosingMiddleware(allow_inplace_modification=True).transform(library)
        _check(library)
        if not library.entries:
            raise SourceError("the file has no entry, such as @article{key, title = {...}}")
        for entry in library.entries:
            try:
                yield self._item(entry, library)
            except (SourceError, LimitError) as error:
                raise type(error)(f"entry {entry.key[:80]!r} in line {_line(entry)}: {error}") from error
        for what, counted in (("fields have no term", self._left_out), ("LaTeX commands have no text", self._commands)):
            if counted:
                told = ", ".join(f"{name[:40]!r} ({count})" for name, count in counted.most_common(_SHOWN))
                more = "" if len(counted) <= _SHOWN else " and more"
                self.warnings.append(f"these {what} and are left out: {told}{more}")

    def _item(self, entry: Entry, library: Library) -> Item:
        if not entry.key:
            raise SourceError("it has no key")
        fields = self._fields(entry, library)
        doi = doi_of(fields.get("doi", ""))
        iri = f"https://doi.org/{quote(doi, safe='/:;()._-')}" if doi else self._names + quote(entry.key, safe="")
        subject = required_iri(iri)
        persons = {name: self._persons(entry, name, library) for name in PERSON_FIELDS if name in entry.fields_dict}
        record = Record(
            subject, self._parts + quote(entry.key, safe=""), entry.entry_type.lower(), fields, persons, doi
        )
        triples, used = described(record)
        self._left_out.update(fields.keys() - used)
        return Item((subject,), quote(entry.key, safe=""), entry.key, tuple(triples))

    def _fields(self, entry: Entry, library: Library) -> dict[str, str]:
        """The fields that are texts, by their names in lower case, without LaTeX."""
        if len(entry.fields) > FIELDS_MAX:
            raise LimitError(f"it has {len(entry.fields)} fields; {FIELDS_MAX} is the most (FIELDS_MAX)")
        names = [field.key.lower() for field in entry.fields]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise SourceError(f"the field {twice[0]!r} is there twice")
        given = {field.key.lower(): field for field in entry.fields if field.key.lower() not in PERSON_FIELDS}
        for field in entry.fields:
            _check_field(field)
        readied = [Field(name, _readied(name, str(field.value))) for name, field in given.items()]
        found = self._decoded(readied, entry, library)
        return {field.key: " ".join(str(field.value).split()) for field in found if str(field.value).strip()}

    def _persons(self, entry: Entry, field: str, library: Library) -> list[Name]:
        text = _readied(field, str(entry.fields_dict[field].value))
        try:
            parts = [parse_single_name_into_parts(name) for name in split_multiple_persons_names(text)]
        except InvalidNameError as error:
            raise SourceError(f"a name in {field!r} cannot be read: {error.reason}") from error
        if len(parts) > PERSONS_MAX:
            raise LimitError(f"{field!r} has {len(parts)} persons; {PERSONS_MAX} is the most (PERSONS_MAX)")
        groups = [len(part.last) == 1 and part.last[0][:1] == "{" and part.last[0][-1] == "}" for part in parts]
        decoded = self._decoded([Field(field, part) for part in parts], entry, library)
        return [Name.of(value.value, group=group) for value, group in zip(decoded, groups, strict=True)]

    def _decoded(self, fields: list[Field], entry: Entry, library: Library) -> list[Field]:
        latex = [field for field in fields if _LATEX.search(str(field.value)) and not _is_plain_address(field)]
        before = [str(field.value).count("%s") for field in latex]
        block = self._decoder.transform_entry(Entry(entry.entry_type, entry.key, latex), library)
        if isinstance(block, MiddlewareErrorBlock):
            raise SourceError(f"its LaTeX cannot be read: {str(block.error)[:200]!r}")
        for field, count in zip(latex, before, strict=True):
            if str(field.value).count("%s") > count:  # what the decoder leaves where there is no argument
                raise SourceError(
                    f"its LaTeX cannot be read: a command in {field.key[:40]!r} lacks what it is applied to"
                )
        return fields  # the decoder has changed those with LaTeX in place


def _readied(name: str, value: str) -> str:
    """A field as it is for LaTeX: BibTeX knows no comments, so `%` is a character, and addresses are no LaTeX."""
    if name.lower() in _ADDRESSES:
        plain = _SPECIAL.sub(r"\1", value.replace(r"\url", "").replace("{", "").replace("}", ""))
        if "\\" not in plain:
            return plain
    return _PERCENT.sub(r"\1\%", _LINK.sub(r"\2 (\1)", value))


def _is_plain_address(field: Field) -> bool:
    return field.key in _ADDRESSES and "\\" not in str(field.value)


def _check(library: Library) -> None:
    """Raise `SourceError` that names what bibtexparser could not read."""
    wrong = []
    for block in library.failed_blocks:
        said: Any = getattr(block, "abort_reason", None) or getattr(block.error, "abort_reason", None) or block.error
        wrong.append(f"line {_line(block)}: {str(said)[:200]!r}"[:300])
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise SourceError("; ".join(wrong[:_SHOWN]) + more)


def _check_values(entry: Entry) -> None:
    """Raise `SourceError` for a value that BibTeX would make something else of, or nothing."""
    for field in entry.fields:
        value = str(field.value).strip()
        month = value.lower() if field.key.lower() == "month" else ""
        if not (value.isascii() and value.isdigit()) and month[:3] not in _MONTHS and not _is_enclosed(value):
            raise SourceError(
                f"entry {entry.key[:80]!r} in line {_line(entry)}: the field {field.key[:40]!r} is {value[:60]!r}, "
                "which is not in braces or quotes, and no @string has that name (`#` does not join texts here)"
            )


def _is_enclosed(value: str) -> bool:
    """Whether all of a value is in one pair of braces or quotes."""
    if len(value) < 2 or (value[0], value[-1]) not in {("{", "}"), ('"', '"')}:  # noqa: PLR2004 - the two of a pair
        return False
    depth = 0
    for character in _ESCAPED.sub("", value[1:-1]):
        depth += (character == "{") - (character == "}")
        if depth < 0 or (character == value[0] == '"' and not depth):
            return False
    return True


def _check_field(field: Field) -> None:
    value = str(field.value)
    if len(value) > CELL_CHARACTERS_MAX:
        raise LimitError(
            f"the field {field.key!r} has {len(value)} characters; {CELL_CHARACTERS_MAX} is the most "
            "(CELL_CHARACTERS_MAX)"
        )
    depth = 0
    for character in value:
        depth += (character == "{") - (character == "}")
        if depth > _NESTED_MAX:
            raise LimitError(f"the field {field.key!r} has over {_NESTED_MAX} braces inside each other")


def _line(block: Any) -> int:  # noqa: ANN401 - any block of bibtexparser
    return int(block.start_line or 0) + 1
