"""What the entries and fields of BibTeX are in schema.org, BIBO, PRISM and Dublin Core."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from node.imports.item import iri_term
from node.imports.lexical import XSD, is_lexical
from node.imports.vocabulary import BIBO, DCTERMS, PRISM, RDFS, SCHEMA, Builder, text_literal, typed_literal

if TYPE_CHECKING:
    from node.imports.item import Triple

_CLASSES: Final = {
    "article": (f"{BIBO}AcademicArticle", f"{SCHEMA}ScholarlyArticle"),
    "book": (f"{BIBO}Book", f"{SCHEMA}Book"),
    "mvbook": (f"{BIBO}MultiVolumeBook", f"{SCHEMA}Book"),
    "booklet": (f"{BIBO}Document", f"{SCHEMA}CreativeWork"),
    "collection": (f"{BIBO}EditedBook", f"{SCHEMA}Book"),
    "conference": (f"{BIBO}AcademicArticle", f"{SCHEMA}ScholarlyArticle"),
    "dataset": (f"{BIBO}Document", f"{SCHEMA}Dataset"),
    "inbook": (f"{BIBO}Chapter", f"{SCHEMA}Chapter"),
    "incollection": (f"{BIBO}Chapter", f"{SCHEMA}Chapter"),
    "inproceedings": (f"{BIBO}AcademicArticle", f"{SCHEMA}ScholarlyArticle"),
    "manual": (f"{BIBO}Manual", f"{SCHEMA}TechArticle"),
    "mastersthesis": (f"{BIBO}Thesis", f"{SCHEMA}Thesis"),
    "online": (f"{BIBO}Webpage", f"{SCHEMA}WebPage"),
    "phdthesis": (f"{BIBO}Thesis", f"{SCHEMA}Thesis"),
    "proceedings": (f"{BIBO}Proceedings", f"{SCHEMA}Book"),
    "report": (f"{BIBO}Report", f"{SCHEMA}Report"),
    "software": (f"{BIBO}Document", f"{SCHEMA}SoftwareSourceCode"),
    "techreport": (f"{BIBO}Report", f"{SCHEMA}Report"),
    "thesis": (f"{BIBO}Thesis", f"{SCHEMA}Thesis"),
    "unpublished": (f"{BIBO}Manuscript", f"{SCHEMA}CreativeWork"),
}
_OTHER: Final = (f"{BIBO}Document", f"{SCHEMA}CreativeWork")

PERSON_FIELDS: Final[tuple[str, ...]] = ("author", "editor", "translator")
"""The fields that are names of persons."""

_PERSONS: Final = {
    "author": (f"{SCHEMA}author", f"{BIBO}authorList"),
    "editor": (f"{SCHEMA}editor", f"{BIBO}editorList"),
    "translator": (f"{SCHEMA}translator", f"{BIBO}translator"),
}

_TEXTS: Final = {
    "title": (f"{SCHEMA}name", f"{DCTERMS}title"),
    "subtitle": (f"{SCHEMA}alternativeHeadline",),
    "abstract": (f"{SCHEMA}abstract", f"{DCTERMS}abstract"),
    "volume": (f"{PRISM}volume", f"{BIBO}volume"),
    "number": (f"{PRISM}number", f"{BIBO}issue"),
    "issue": (f"{PRISM}number", f"{BIBO}issue"),
    "edition": (f"{SCHEMA}bookEdition", f"{BIBO}edition"),
    "chapter": (f"{BIBO}chapter",),
    "language": (f"{SCHEMA}inLanguage",),
    "langid": (f"{SCHEMA}inLanguage",),
    "note": (f"{RDFS}comment",),
    "annote": (f"{RDFS}comment",),
    "isbn": (f"{SCHEMA}isbn", f"{PRISM}isbn"),
    "version": (f"{SCHEMA}version",),
    "copyright": (f"{DCTERMS}rights",),
}
"""Fields that are said as texts, each by these properties."""

_NAMED: Final = {
    "publisher": (f"{SCHEMA}publisher", f"{SCHEMA}Organization"),
    "institution": (f"{SCHEMA}sourceOrganization", f"{SCHEMA}Organization"),
    "school": (f"{SCHEMA}sourceOrganization", f"{SCHEMA}Organization"),
    "organization": (f"{SCHEMA}sourceOrganization", f"{SCHEMA}Organization"),
    "series": (f"{SCHEMA}isPartOf", f"{SCHEMA}CreativeWorkSeries"),
    "booktitle": (f"{SCHEMA}isPartOf", f"{SCHEMA}Book"),
}
"""Fields that name something: what leads to it, and what it is."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DOI: Final = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+)", re.IGNORECASE)
_PAGES: Final = re.compile(r"([^-\u2013\u2014,\s]+)\s*[-\u2013\u2014]+\s*([^-\u2013\u2014,\s]+)")
_ARXIV: Final = re.compile(r"(?:arxiv:)?((?:[0-9]{4}\.[0-9]{4,5}|[a-z.-]+/[0-9]{7})(?:v[0-9]+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a person."""

    given: str
    family: str
    full: str
    group: bool = False
    """It is that of an organisation: BibTeX writes those in braces."""

    @classmethod
    def of(cls, parts: Any, *, group: bool) -> Self:  # noqa: ANN401 - bibtexparser's NameParts
        """From what bibtexparser makes of a name."""

        def joined(*lists: list[str]) -> str:
            return " ".join(" ".join(word for words in lists for word in words).split())

        family = joined(parts.von, parts.last)
        return cls(joined(parts.first), family, joined(parts.first, parts.von, parts.last, parts.jr), group)


class Record(NamedTuple):
    """An entry."""

    subject: bytes
    parts: str
    """What the IRIs of its parts begin with."""
    kind: str
    """Its type, in lower case."""
    fields: dict[str, str]
    """Its texts by the names of their fields, in lower case."""
    persons: dict[str, list[Name]]
    doi: str | None


def doi_of(text: str) -> str | None:
    """The DOI in a field, in lower case (DOIs do not tell cases apart); None if there is none."""
    found = _DOI.fullmatch(text.strip())
    return found[1].lower() if found else None


def described(record: Record) -> tuple[list[Triple], set[str]]:
    """The triples of an entry, and the fields that are in them."""
    made, fields, subject = Builder(record.parts), record.fields, record.subject
    made.types(subject, *_CLASSES.get(record.kind, _OTHER))
    used = {name for name in (*_TEXTS, *_NAMED) if name in fields}
    for name in used & _TEXTS.keys():
        for predicate in _TEXTS[name]:
            made.add(subject, predicate, text_literal(fields[name]))
    for name in sorted(used & _NAMED.keys()):
        predicate, kind = _NAMED[name]
        made.add(subject, predicate, _named(made, name, kind, fields[name]))
    for name, persons in record.persons.items():
        _say_persons(made, subject, name, persons)
    if record.doi is not None:
        made.add(subject, f"{BIBO}doi", text_literal(record.doi))
        made.add(subject, f"{PRISM}doi", text_literal(record.doi))
        used.add("doi")
    for say in (_say_journal, _say_date, _say_pages, _say_addresses, _say_keywords):
        used |= say(made, subject, fields)
    return made.triples, used


def _named(made: Builder, what: str, kind: str, name: str) -> bytes:
    node = made.part(what)
    made.types(node, kind)
    made.add(node, f"{SCHEMA}name", text_literal(name))
    return node


def _say_persons(made: Builder, subject: bytes, field: str, persons: list[Name]) -> None:
    """Each person, and their order: the first author is the first of the list."""
    nodes = []
    for person in persons:
        if person.full.lower() == "others":
            continue
        node = _named(made, field, f"{SCHEMA}Organization" if person.group else f"{SCHEMA}Person", person.full)
        if person.given and person.family:
            made.add(node, f"{SCHEMA}givenName", text_literal(person.given))
            made.add(node, f"{SCHEMA}familyName", text_literal(person.family))
        nodes.append(node)
    each, ordered = _PERSONS[field]
    made.add(subject, each, *nodes)
    if nodes:
        made.add(subject, ordered, made.listed(f"{field}List", nodes))


def _say_journal(made: Builder, subject: bytes, fields: dict[str, str]) -> set[str]:
    name = fields.get("journal") or fields.get("journaltitle")
    issn = fields.get("issn")
    if name is not None:
        node = _named(made, "journal", f"{SCHEMA}Periodical", name)
        made.add(subject, f"{SCHEMA}isPartOf", node)
        made.add(subject, f"{PRISM}publicationName", text_literal(name))
        if issn is not None:
            made.add(node, f"{SCHEMA}issn", text_literal(issn))
    if issn is not None:
        made.add(subject, f"{PRISM}issn", text_literal(issn))
    return {"journal", "journaltitle", "issn"} & fields.keys()


def _say_date(made: Builder, subject: bytes, fields: dict[str, str]) -> set[str]:
    """When it was published, as exactly as the entry says."""
    date, used = fields.get("date", ""), {"date"}
    if not date and re.fullmatch("[0-9]{4}", fields.get("year", "")):
        date, used = fields["year"], {"year"}
        month = fields.get("month", "").lower()
        digits = re.fullmatch("0?([1-9][0-9]?)", month)
        number = _MONTHS.index(month[:3]) + 1 if month[:3] in _MONTHS else int(digits[1]) if digits else 0
        if 1 <= number <= len(_MONTHS):
            date, used = f"{date}-{number:02}", {"year", "month"}
    for datatype in ("gYear", "gYearMonth", "date"):
        if is_lexical(XSD + datatype, date):
            made.add(subject, f"{SCHEMA}datePublished", typed_literal(date, datatype))
            made.add(subject, f"{DCTERMS}issued", typed_literal(date, datatype))
            return used & fields.keys()
    return set()


def _say_pages(made: Builder, subject: bytes, fields: dict[str, str]) -> set[str]:
    pages = fields.get("pages")
    if pages is None:
        return set()
    shown = re.sub(r"\s*(?:-+|\u2013|\u2014)\s*", "-", pages)
    made.add(subject, f"{PRISM}pageRange", text_literal(shown))
    made.add(subject, f"{SCHEMA}pagination", text_literal(shown))
    if found := _PAGES.fullmatch(pages):
        made.add(subject, f"{PRISM}startingPage", text_literal(found[1]))
        made.add(subject, f"{PRISM}endingPage", text_literal(found[2]))
    return {"pages"}


def _say_addresses(made: Builder, subject: bytes, fields: dict[str, str]) -> set[str]:
    used = set()
    if (url := iri_term(fields.get("url", ""))) is not None:
        made.add(subject, f"{SCHEMA}url", url)
        used.add("url")
    kind = fields.get("archiveprefix", fields.get("eprinttype", "arxiv")).lower()
    found = _ARXIV.fullmatch(fields.get("eprint", ""))
    if found is not None and kind == "arxiv":
        made.add(subject, f"{SCHEMA}sameAs", f"<https://arxiv.org/abs/{found[1].lower()}>".encode())
        used |= {"eprint", "archiveprefix", "eprinttype"} & fields.keys()
    return used


def _say_keywords(made: Builder, subject: bytes, fields: dict[str, str]) -> set[str]:
    words = [word.strip() for word in re.split("[,;]", fields.get("keywords", ""))]
    made.add(subject, f"{SCHEMA}keywords", *(text_literal(word) for word in words if word))
    return {"keywords"} & fields.keys()
