"""What keeps the tree tidy, measured: sizes, imports, I/O, words, docstrings, and tests that test.

`tests/test_tidy.py` runs it; `python -m tests.tidy` prints what it finds. Rules that ruff has are left to ruff.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent

FOLDERS: Final = ("bench", "contracts", "dkg", "node", "retrieval", "scripts", "tests")
"""Where the project's programs are; some of these folders are still to come."""

MODULE_LINES_MAX: Final = 800
FUNCTION_LINES_MAX: Final = 70

PURE_MODULES: Final = frozenset({
    "__future__", "base64", "binascii", "bisect", "collections", "compression.zstd", "dataclasses", "enum",
    "functools", "hashlib", "io", "itertools", "json", "math", "operator", "re", "struct", "typing", "unicodedata",
    "urllib.parse", "warnings", "xml.parsers", "zlib",
})  # fmt: skip
"""Of the standard library, what `dkg` outside `dkg/client/` may import: nothing that reads disk, clock or chance."""

BASE_MODULES: Final = frozenset(
    {"pyoxigraph", "libipld", "tree_sitter", "tree_sitter_sparql", "backports", "coincurve", "Crypto"}
)
"""The packages of the base install (pyproject.toml, `dependencies`)."""

STANDARD: Final = sys.stdlib_module_names | {"compression"}
"""Python's own modules; `compression` is there from 3.14 on, and `dkg` imports it only then."""

PLUGINS: Final = {"dkg/client/rdflib_store.py": frozenset({"rdflib"})}
"""Modules that stand behind an extra, and what it installs."""

IO_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})

UNFINISHED: Final = re.compile(r"NotImplemented[E]rror|\bTO[D]O\b|\bFIX[M]E\b|\bX[X]X\b|\bst[u]b\b")
"""Words of unfinished work, written so that this file has none of them."""

CHECKS: Final = re.compile(r"assert|check|expect|raises|refused|require|verify|warns")
"""Names of calls and context managers that can fail a test."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[str]:
    """Every Python file of the project, as paths from its root: `*.py`, and scripts that say so in their first line."""
    paths = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(name for path in paths if is_python(name := path.relative_to(ROOT).as_posix()))


def is_python(name: str) -> bool:
    """Whether a file is a Python program."""
    if name.endswith(".py"):
        return True
    if not name.startswith("scripts/"):
        return False
    with (ROOT / name).open("rb") as file:
        return b"python" in file.readline()


def findings(name: str, text: str) -> Iterator[str]:
    """What is untidy in one file, each as `path:line: what`."""
    tree = ast.parse(text)
    for line, what in _in_module(name, text, tree):
        yield f"{name}:{line}: {what}"


def _in_module(name: str, text: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    lines = text.count("\n")
    if lines > MODULE_LINES_MAX:
        yield 1, f"{lines} lines; a module has {MODULE_LINES_MAX} at most"
    yield from _unfinished(text)
    yield from _functions(tree)
    if name.startswith("tests/"):
        yield from _tests_without_checks(tree)
    else:
        yield from _undocumented(tree)
    if name.startswith("dkg/"):
        yield from _foreign_imports(name, tree)
        if not name.startswith("dkg/client/"):
            yield from _io(tree)


def _unfinished(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := UNFINISHED.search(line):
            yield number, f"{found.group()!r}: finish it, or write an issue"


def _functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines; a function has {FUNCTION_LINES_MAX} at most"


# --- tests ------------------------------------------------------------------------------------------------------


def _tests_without_checks(tree: ast.Module) -> Iterator[tuple[int, str]]:
    own = {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}
    for name, node in own.items():
        if name.startswith("test_") and not _can_fail(node, own, set()):
            yield node.lineno, f"{name} asserts nothing"


def _can_fail(node: ast.AST, own: dict[str, Function], seen: set[str]) -> bool:
    """Whether a test has an assertion, itself or in a function or method of its module that it calls."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert | ast.Raise):
            return True
        if isinstance(part, ast.Call):
            called = ast.unparse(part.func)
            if CHECKS.search(called):
                return True
            name = called.rpartition(".")[2]
            if name in own and name not in seen and _can_fail(own[name], own, seen | {name}):
                return True
    return False


# --- docstrings -------------------------------------------------------------------------------------------------


def _undocumented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    if not ast.get_docstring(tree):
        yield 1, "a module without a docstring"
    for name, node in _public(tree):
        if not ast.get_docstring(node):
            yield node.lineno, f"{name} is public and has no docstring"


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Classes, functions and methods that others may use; overloads say nothing of their own."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            if not any(ast.unparse(mark) == "overload" for mark in node.decorator_list):
                yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


# --- what dkg may use -------------------------------------------------------------------------------------------


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every module that is imported for use, at the top or inside a function, with its line."""
    typing_only = {part for node in ast.walk(tree) if _is_typing_block(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _within(module: str, allowed: frozenset[str]) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:size]) in allowed for size in range(1, len(parts) + 1))


def _foreign_imports(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`dkg` runs on what the base install has: none of node, contracts, retrieval, web3, numpy and their kin."""
    allowed = BASE_MODULES | {"dkg"} | PLUGINS.get(name, frozenset())
    for line, module in imports(tree):
        if not _within(module, allowed) and module.split(".")[0] not in STANDARD:
            yield line, f"imports {module}, which the base install does not have"


def _io(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`dkg` outside `dkg/client/` gets clocks, randomness, disks and sockets as values or small protocols."""
    for line, module in imports(tree):
        if _within(module, frozenset({"dkg.client"})):
            yield line, f"imports {module}: dkg.client imports dkg, never the other way"
        elif not _within(module, PURE_MODULES | BASE_MODULES | {"dkg"}):
            yield line, f"imports {module}, which is not among the modules that do no I/O (PURE_MODULES)"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_CALLS:
            yield node.lineno, f"calls {node.func.id}: dkg does no I/O outside dkg/client/"


def all_findings() -> list[str]:
    """What is untidy in the whole project."""
    return [found for name in sources() for found in findings(name, (ROOT / name).read_text(encoding="utf-8"))]


if __name__ == "__main__":
    print(*all_findings(), sep="\n")  # noqa: T201 - this is what it is run for
