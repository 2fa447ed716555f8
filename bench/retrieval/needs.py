"""What every match of each of the scanner's rules has in it, so that most rules need not be tried on most texts.

    python -m bench.retrieval.needs

writes `retrieval/safety/needs.tsv`, a line for each rule: strings, one of which is in every text that the rule matches.
They are read off the parsed regular expression; a test compares the file with what this gives.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bench.data import ROOT
from retrieval.safety.rules import lines, pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE: Final = ROOT / "retrieval" / "safety" / "needs.tsv"

_parser: Final[Any] = import_module("re._parser")  # the only reader of Python's patterns
_REPEATS: Final = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


def needs(pattern: str) -> frozenset[str]:
    """Strings of which every match has at least one: of two characters or more, or a sign."""
    found = _best(_parser.parse(pattern))
    if found is None or any(len(one) == 1 and one.isalnum() for one in found):
        raise ValueError(f"nothing that most texts lack is in every match of {pattern!r}, but {found}")
    return found


def _best(items: Iterable[Any]) -> frozenset[str] | None:
    """The strings that promise most: the shortest of them is as long as can be, and they are few."""
    choices = [one for one in _choices(items) if one]
    return max(choices, key=lambda one: (min(5, *map(len, one)), -len(one)), default=None)


def _choices(items: Iterable[Any]) -> Iterator[frozenset[str] | None]:
    run = ""
    for operation, argument in items:
        name = str(operation)
        if name == "LITERAL":
            run += chr(argument)
            continue
        if name != "AT":
            yield frozenset({run}) if run else None
            run = ""
        if name == "BRANCH":
            each = [_best(branch) for branch in argument[1]]
            yield None if None in each else frozenset(text for one in each if one for text in one)
        elif name == "SUBPATTERN":
            yield _best(argument[3])
        elif name in _REPEATS and argument[0] > 0:
            yield _best(argument[2])
    yield frozenset({run}) if run else None


def main() -> int:
    """Write the file."""
    FILE.write_text(table(), encoding="utf-8")
    return 0


def table() -> str:
    """The file's text."""
    return "".join("\t".join(sorted(needs(pattern_of(pattern, thing)))) + "\n" for _, pattern, thing in lines())


if __name__ == "__main__":
    sys.exit(main())
