"""The vector files are what the code makes, byte for byte, so that a change of the format is seen."""

from __future__ import annotations

import pytest

from tests.vectors import FOLDER, makers, rendered, strays


@pytest.mark.parametrize("path", sorted(makers()))
def test_vector_file_regenerates_byte_for_byte(path: str) -> None:
    assert (FOLDER / path).read_bytes() == rendered(makers()[path]())


def test_no_vector_file_is_left_over() -> None:
    assert strays() == []
