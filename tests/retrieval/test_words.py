from __future__ import annotations

import pytest

from retrieval.words import literal_text, local_name, split_name, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's father", ["ada", "father"]),
        ("ada 's mother", ["ada", "mother"]),
        ("Gdańsk, Łódź & Malmö", ["gdansk", "lodz", "malmo"]),
        ("saxe-coburg_gotha", ["saxe", "coburg", "gotha"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("東京都 2020", ["東", "京", "都", "2020"]),
        ("x² ﬁne", ["x2", "fine"]),
        ("  ?!  ", []),
    ],
)
def test_words_are_folded(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("iri", "expected"),
    [
        (b"<https://example.org/placeOfBirth>", "place Of Birth"),
        (b"<https://example.org/onto#place_of-birth>", "place of birth"),
        (b"<urn:isbn:123>", "123"),
        (b"<https://example.org/M%C3%BCnchen/>", "München"),
        (b"<https://example.org/HTTPServer>", "HTTP Server"),
    ],
)
def test_the_last_part_of_an_iri_is_a_name(iri: bytes, expected: str) -> None:
    assert split_name(local_name(iri)) == expected


def test_literals_are_read() -> None:
    assert literal_text(b'"a \\"b\\" \\\\ \\n"@en-GB') == ('a "b" \\ \n', "en-GB", None)
    assert (
        literal_text(b'"1"^^<http://www.w3.org/2001/XMLSchema#integer>')[2]
        == "http://www.w3.org/2001/XMLSchema#integer"
    )
    assert literal_text(b'"\\u00e9\\U0001F600"') == ("é😀", None, None)


def test_stems_bring_forms_together() -> None:
    assert stem("directed") == stem("directs") == stem("director")
    assert stem("cities") == stem("city")
    assert stem("class") == "class"
