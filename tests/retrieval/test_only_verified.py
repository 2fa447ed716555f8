"""Facts are made where they are verified and nowhere else, which the whole package is held to."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import pytest

from tests.tidy import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE_IN_READING: Final = frozenset({"Fact", "Absent", "Origin"})
MAY_CHANGE: Final = frozenset({"score", "why", "path", "note"})
"""Fields of a fact that may be others without making it another fact."""


WAYS_ROUND: Final = frozenset({"__setattr__", "__new__", "__setstate__", "_make", "_replace"})


def is_reading(path: Path) -> bool:
    return path.parent == ROOT / "retrieval" and path.name.startswith("reading")


def faults(tree: ast.AST) -> Iterator[str]:
    """Where a module makes something verified, or changes what was verified of it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        if name in MADE_IN_READING:
            yield f"line {node.lineno}: makes {name}"
        if name == "replace" and isinstance(node.func, ast.Name) and _first_is_fact(node):
            changed = {keyword.arg for keyword in node.keywords}
            if not changed <= MAY_CHANGE:
                yield f"line {node.lineno}: changes {sorted(map(str, changed - MAY_CHANGE))} of a fact"
        if name in WAYS_ROUND and any(_name(argument) in MADE_IN_READING for argument in node.args):
            yield f"line {node.lineno}: goes round the making of a fact"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _first_is_fact(node: ast.Call) -> bool:
    """Whether a call of `replace` may be of something verified: all are that change a field which only that has."""
    named = {keyword.arg for keyword in node.keywords}
    subject = ast.unparse(node.args[0]) if node.args else ""
    return (
        None in named
        or bool(named & {"statement", "origins"})
        or any(w in subject for w in ("fact", "absent", "origin"))
    )


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "retrieval").rglob("*.py")) if not is_reading(path)],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_only_reading_makes_facts(path: Path) -> None:
    assert not list(faults(ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "text",
    [
        "Fact(statement, ())",
        "model.Fact(statement, origins=())",
        "Absent(kind, None, None)",
        "Origin('p', b'g', b'r', claim, None, None, None, None, None)",
        "replace(fact, statement=other)",
        "replace(fact, origins=())",
        "replace(one, origins=())",
        "replace(fact, **fields)",
        "replace(absent, block=7)",
        "replace(facts[0].origins[0], publisher='p')",
        "object.__new__(Fact)",
    ],
)
def test_what_the_rule_forbids_is_seen(text: str) -> None:
    assert list(faults(ast.parse(text)))


@pytest.mark.parametrize("text", ["replace(fact, score=1.0, why=())", "replace(candidate, score=1.0)", "Facts()"])
def test_what_the_rule_allows_is_not(text: str) -> None:
    assert not list(faults(ast.parse(text)))
