"""BibTeX in terms of schema.org, BIBO and PRISM."""

from __future__ import annotations

import logging

import pytest

from dkg.errors import LimitError
from node.imports.errors import SourceError
from tests.node.imports.desk import Imported, imported

KNUTH = r"""
@string{jacm = "Journal of the {ACM}"}
@comment{nothing}
@Article{knuth,
  author = {Donald E. Knuth and M{\"u}ller, J{\"o}rg and {World Health Organization} and others},
  title = {The {\TeX}book \& $x^2$},
  journal = jacm, year = 1984, month = jan, volume = 3, number = {4}, pages = {12--34}, issn = {0004-5411},
  DOI = {https://doi.org/10.1000/ABC<1>}, keywords = {type setting, TeX; fonts}, url = {https://example.org/k},
  foo = {bar}
}
"""
DOI = "https://doi.org/10.1000/abc%3C1%3E"


def bib(text: str) -> Imported:
    return imported("bibtex", text)


def listed(found: Imported, first: str) -> list[str]:
    """The things of an RDF list."""
    things = []
    while first != "rdf:nil":
        said = dict(found.about(first))
        things.append(said["rdf:first"])
        first = said["rdf:rest"]
    return things


def test_an_entry_in_all_its_terms() -> None:
    found = bib(KNUTH)
    said = found.about(DOI)
    assert said >= {
        ("rdf:type", "bibo:AcademicArticle"),
        ("rdf:type", "schema:ScholarlyArticle"),
        ("schema:name", '"The TeXbook & $x^2$"'),
        ("dcterms:title", '"The TeXbook & $x^2$"'),
        ("prism:publicationName", '"Journal of the ACM"'),
        ("prism:issn", '"0004-5411"'),
        ("prism:volume", '"3"'),
        ("prism:number", '"4"'),
        ("prism:pageRange", '"12-34"'),
        ("prism:startingPage", '"12"'),
        ("prism:endingPage", '"34"'),
        ("prism:doi", '"10.1000/abc<1>"'),
        ("bibo:doi", '"10.1000/abc<1>"'),
        ("schema:datePublished", '"1984-01"^^xsd:gYearMonth'),
        ("schema:keywords", '"type setting"'),
        ("schema:keywords", '"TeX"'),
        ("schema:keywords", '"fonts"'),
        ("schema:url", ":k"),
    }  # fmt: skip
    assert found.warnings == ["file: these fields have no term and are left out: 'foo' (1)"]
    assert {(p, o) for s, p, o in found.record if s.endswith("#knuth")} >= {("dcterms:identifier", '"knuth"')}


def test_authors_are_persons_in_their_order() -> None:
    found = bib(KNUTH)
    (first,) = {o for p, o in found.about(DOI) if p == "bibo:authorList"}
    persons = listed(found, first)
    assert [dict(found.about(person))["schema:name"] for person in persons] == [
        '"Donald E. Knuth"',
        '"Jörg Müller"',
        '"World Health Organization"',
    ]
    assert found.about(persons[1]) == {
        ("rdf:type", "schema:Person"),
        ("schema:name", '"Jörg Müller"'),
        ("schema:givenName", '"Jörg"'),
        ("schema:familyName", '"Müller"'),
    }
    assert ("rdf:type", "schema:Organization") in found.about(persons[2])
    assert {o for p, o in found.about(DOI) if p == "schema:author"} == set(persons)


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("book", {"bibo:Book", "schema:Book"}),
        ("inproceedings", {"bibo:AcademicArticle", "schema:ScholarlyArticle"}),
        ("phdthesis", {"bibo:Thesis", "schema:Thesis"}),
        ("techreport", {"bibo:Report", "schema:Report"}),
        ("whatever", {"bibo:Document", "schema:CreativeWork"}),
    ],
)
def test_types_of_entries(kind: str, classes: set[str]) -> None:
    found = bib(f"@{kind}{{a b, title = {{T}}}}")
    assert {o for p, o in found.about("items:a%20b") if p == "rdf:type"} == classes


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\'{e} \'e {\'{\i}} \ss {\AA} \c{c} \v{s} {\o}", "é é í ßÅ ç š ø"),
        ("a~b -- c ``q'' --- \\emph{E} 100\\%", "a b \u2013 c “q” — E 100%"),
        ("plain \u202e text", "plain \u202e text"),
        (r"$\alpha_{1}$ is", r"$\\alpha_{1}$ is"),
    ],
)
def test_latex_becomes_text(latex: str, text: str) -> None:
    assert ("schema:name", f'"{text}"') in bib(f"@misc{{a, title = {{{latex}}}}}").about("items:a")


def test_unknown_commands_and_files_to_read_are_told_of_and_have_no_text() -> None:
    found = bib(r"@misc{a, title = {T \input{/etc/hostname}\foo{x}}, note = {\foo}}")
    assert ("schema:name", '"T x"') in found.about("items:a")
    assert found.warnings == ["file: these LaTeX commands have no text and are left out: 'foo' (2), 'input' (1)"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("year = 2020", '"2020"^^xsd:gYear'),
        ("year = 2020, month = {December}", '"2020-12"^^xsd:gYearMonth'),
        ("year = 2020, month = 3", '"2020-03"^^xsd:gYearMonth'),
        ("date = {2020-02-29}", '"2020-02-29"^^xsd:date'),
        ("date = {2021-02-29}", None),
        ("year = {in press}", None),
    ],
)
def test_dates_are_as_exact_as_the_entry(fields: str, said: str | None) -> None:
    found = bib(f"@misc{{a, title = {{T}}, {fields}}}")
    assert {o for p, o in found.about("items:a") if p == "schema:datePublished"} == ({said} if said else set())
    assert bool(found.warnings) is (said is None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no entry"),
        ("@comment{x}", "has no entry"),
        ("@article{a, title={x}", "line 1: "),
        ("\n@article{a, title={x}}\n@article{a, title={y}}", "line 3: .*a"),
        ("@article{a, title={x}, title={y}}", "line 1: "),
        ("@article{a, title={x}, Title={y}}", "'a' in line 1: the field 'title' is there twice"),
        ("@article{, title={x}}", "it has no key"),
        ("@article{a, author={X, Y, Z, W}}", "a name in 'author' cannot be read"),
        (b"@article{a, title={\xff}}", "is not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        imported("bibtex", text)


@pytest.mark.parametrize(
    "text",
    [
        "@misc{k, title = zzz}",
        '@string{a = "x"}@misc{k, title = a # "b"}',
        '@misc{k, title = "a" # "b"}',
        "@misc{k, title = {a} # {b}}",
        "@string{a = b}@string{b = a}@misc{k, title = a}",
        "@misc{k, title = mar}",
    ],
)
def test_a_value_that_bibtex_would_read_otherwise_is_not_signed_as_it_stands(text: str) -> None:
    with pytest.raises(SourceError, match=r"entry 'k' in line 1: the field 'title' is .* not in braces or quotes"):
        bib(text)


@pytest.mark.parametrize("value", ['"a {"}b{"} c"', '{a {b} "c"}', r'"M{\"u}ller"', "7", r"{a \{ b}"])
def test_values_in_braces_or_quotes_and_numbers_are_values(value: str) -> None:
    assert bib(f"@misc{{k, title = {value}}}").about("items:k")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("https://e.org/a%20b_c~d#x", "https://e.org/a%20b_c~d#x"),
        (r"https://e.org/a\%20b\_c\&d", "https://e.org/a%20b_c&d"),
        (r"\url{https://e.org/a%20b}", "https://e.org/a%20b"),
        (r"https://e.org/\textasciitilde{}a%20b", "https://e.org/~a%20b"),
    ],
)
def test_no_part_of_an_address_is_lost_as_a_comment(given: str, said: str) -> None:
    assert ("schema:url", said) in bib(f"@misc{{k, title={{a}}, url={{{given}}}}}").about("items:k")
    doi = bib(r"@misc{k, title={a}, doi={10.1000/a_b%3Cc}}")
    assert ("prism:doi", '"10.1000/a_b%3cc"') in {(p, o) for _, p, o in doi.triples}


@pytest.mark.parametrize("given", ["50% of people", r"50\% of people", r"50\\% of people"])
def test_a_percent_sign_ends_no_text(given: str) -> None:
    said = dict(bib(f"@misc{{k, title={{a}}, abstract={{{given}}}}}").about("items:k"))["schema:abstract"]
    assert said.endswith('of people"')
    assert "%" in said


def test_commands_without_their_arguments_are_no_text(capfd: pytest.CaptureFixture[str]) -> None:
    for title in (r"a \frac b", r"a \frac"):
        with pytest.raises(SourceError, match="lacks what it is applied to"):
            bib(f"@misc{{k, title={{{title}}}}}")
    assert capfd.readouterr().err == ""
    found = bib(r"@misc{k, title={a \href{http://x}{b} and 7%s}}")
    assert ("schema:name", '"a b (http://x) and 7%s"') in found.about("items:k")


@pytest.mark.parametrize("month", ["9" * 5000, "0", "13", "000001", "\u0663"])
def test_a_month_that_is_none_is_told_and_breaks_nothing(month: str) -> None:
    found = bib(f"@misc{{k, title={{a}}, year=2000, month={{{month}}}}}")
    assert ("schema:datePublished", '"2000"^^xsd:gYear') in found.about("items:k")
    assert "'month' (1)" in found.warnings[0]


def test_what_the_library_logs_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers, kept = [], logging.getLogger().handlers
    try:
        with pytest.raises(SourceError):
            bib("@article{secret, title={x}")
    finally:
        logging.getLogger().handlers = kept
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "most", "within", "over"),
    [
        ("CELL_CHARACTERS_MAX", 5, "title={12345}", "title={123456}"),
        ("FIELDS_MAX", 2, "title={x}, note={y}", "title={x}, note={y}, isbn={z}"),
        ("PERSONS_MAX", 2, "author={A B and C D}", "author={A B and C D and E F}"),
        ("ENTRIES_MAX", 1, "title={x}", "title={x}}\n@misc{b, title={y}"),
        ("BIBLIOGRAPHY_BYTES_MAX", 19, "title={x}", "title={xy}"),
        ("_NESTED_MAX", 2, "title={{{x}}}", "title={{{{x}}}}"),
    ],
)
def test_limits(name: str, most: int, within: str, over: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"node.imports.bibliographies.{name}", most)
    assert bib(f"@misc{{a, {within}}}").triples
    with pytest.raises(LimitError):
        bib(f"@misc{{a, {over}}}")


def test_a_thousand_authors_are_no_trouble() -> None:
    found = bib("@misc{a, title={T}, author={" + " and ".join(f"A{n} B" for n in range(1000)) + "}}")
    (first,) = {o for p, o in found.about("items:a") if p == "bibo:authorList"}
    assert len(listed(found, first)) == 1000
