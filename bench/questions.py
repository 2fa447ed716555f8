"""The questions: `bench/queries/<data set>/<name>.rq`. The first line of each is a comment, `# kind: what it asks`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).resolve().parent / "queries"


class Question(NamedTuple):
    """One query of a data set."""

    name: str
    kind: str
    asks: str
    text: str


def read(path: Path) -> Question:
    """One file. Raises `ValueError` when its first line does not say what it is."""
    text = path.read_text(encoding="utf-8")
    kind, colon, asks = text.partition("\n")[0].removeprefix("#").partition(":")
    if not text.startswith("#") or not colon:
        raise ValueError(f"{path} must begin with a line such as `# star: who takes one course`")
    return Question(path.stem, kind.strip(), asks.strip(), text)


def of(data_set: str) -> list[Question]:
    """All questions of a data set, by name."""
    return [read(path) for path in sorted((FOLDER / data_set).glob("*.rq"))]
