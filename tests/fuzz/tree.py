"""A generated query as a tree: rendered to text, counted for coverage, shrunk when it fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Node:
    """A piece of a query.

    `sort` says what may take its place: a `group` by a group inside it, an `expression` by one inside it, a
    `path` likewise; an `element`, a `clause` or a `slice` may be left out. `op` is its name in the coverage table.
    `variables` are those that it puts in scope. `rows` is a guess at its number of solutions and `work` at
    the number of solutions made on the way, so that no query explodes.
    `triple` is set on plain triple patterns: each of the three a variable name (`?x`) or a term.
    """

    sort: str
    op: str
    parts: tuple[str | Node, ...]
    variables: frozenset[str] = frozenset()
    rows: float = 1.0
    work: float = 0.0
    triple: tuple[str, str, str] | None = None

    @property
    def children(self) -> list[Node]:
        """The parts that are nodes."""
        return [part for part in self.parts if isinstance(part, Node)]


NESTING = frozenset(
    (
        *("optional", "union", "minus", "minus disjoint", "group", "subselect", "EXISTS", "NOT EXISTS"),
        *("graph constant", "graph variable", "graph variable shared"),
    )
)
"""The operators whose nesting in each other is counted."""

_REMOVABLE = {"element", "clause", "slice"}


def render(node: Node, gap: str = " ") -> str:
    """Return the text; `gap` separates the elements of a group (white space, perhaps with a comment)."""
    texts = [part if isinstance(part, str) else render(part, gap) for part in node.parts]
    if node.sort == "group":
        return "{" + gap + gap.join(text for text in texts if text) + gap + "}"
    return "".join(texts)


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def depth(node: Node) -> int:
    """Return how many groups nest in each other."""
    return (node.sort == "group") + max((depth(child) for child in node.children), default=0)


def operators(node: Node) -> set[str]:
    """Return the names of all operators in the tree."""
    return {n.op for n in walk(node) if n.op}


def nestings(node: Node, outer: str | None, kinds: frozenset[str]) -> set[tuple[str, str]]:
    """Return the pairs (operator, operator somewhere directly inside it), among `kinds` only."""
    here = node.op if node.op in kinds else None
    found = {(outer, here)} if outer and here else set()
    for child in node.children:
        found |= nestings(child, here or outer, kinds)
    return found


def without(node: Node, sort: str) -> Node:
    """Return the tree with every node of a sort left out."""
    if node.sort == sort:
        return _emptied(node)
    return replace(node, parts=tuple(p if isinstance(p, str) else without(p, sort) for p in node.parts))


def smaller(node: Node) -> Iterator[Node]:
    """Yield trees with one thing less, larger cuts first; some of them may not be legal SPARQL."""
    if node.sort in _REMOVABLE and node.parts:
        yield _emptied(node)
    if node.sort in ("group", "expression", "path"):
        yield from _nearest(node, node.sort)
    for i, part in enumerate(node.parts):
        if isinstance(part, Node):
            for less in smaller(part):
                yield replace(node, parts=(*node.parts[:i], less, *node.parts[i + 1 :]))


def _emptied(node: Node) -> Node:
    return Node(node.sort, "", ())


def _nearest(node: Node, sort: str) -> Iterator[Node]:
    for child in node.children:
        if child.sort == sort:
            yield child
        else:
            yield from _nearest(child, sort)
