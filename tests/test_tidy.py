"""The project is tidy, and the rules see what they are there for."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.tidy import BASE_MODULES, ROOT, all_findings, findings, sources

HEADER = '"""Module."""\n'
LONG = "def f() -> None:\n" + '    """F."""\n' + "    g()\n" * 69
# (path, text, part of what is found)
UNTIDY = [
    ("dkg/a.py", HEADER + "x = 1\n" * 800, "801 lines"),
    ("dkg/a.py", HEADER + LONG, "f has 71 lines"),
    ("dkg/a.py", HEADER + "# TO" + "DO: later\n", "finish it"),
    ("dkg/a.py", "x = 1\n", "module without a docstring"),
    ("dkg/a.py", HEADER + "def f() -> None: ...\n", "f is public and has no docstring"),
    ("dkg/a.py", HEADER + 'class C:\n    """C."""\n    def m(self) -> None: ...\n', "m is public and has no docstring"),
    ("dkg/a.py", HEADER + "import numpy\n", "imports numpy, which the base install does not have"),
    ("dkg/a.py", HEADER + "def _f() -> None:\n    from web3 import Web3\n", "imports web3.Web3"),
    ("dkg/a.py", HEADER + "from node import storage\n", "imports node.storage"),
    ("dkg/a.py", HEADER + "import rdflib\n", "imports rdflib, which the base install does not have"),
    ("dkg/client/cli.py", HEADER + "import fastapi\n", "imports fastapi"),
    ("dkg/a.py", HEADER + "import os\n", "imports os, which is not among the modules that do no I/O"),
    ("dkg/a.py", HEADER + "from urllib import request\n", "imports urllib.request, which is not among"),
    ("dkg/a.py", HEADER + "from random import random\n", "imports random.random, which is not among"),
    ("dkg/a.py", HEADER + "from dkg.client import store\n", "dkg.client imports dkg, never the other way"),
    ("dkg/a.py", HEADER + "x = open('a')\n", "calls open"),
    ("tests/a.py", "def test_a() -> None:\n    print(1)\n", "test_a asserts nothing"),
    ("tests/a.py", "def g() -> None:\n    print(1)\ndef test_a() -> None:\n    g()\n", "test_a asserts nothing"),
]
TIDY = [
    ("dkg/a.py", HEADER + "x = 1\n" * 799),
    ("dkg/a.py", HEADER + LONG.removesuffix("    g()\n")),
    ("dkg/a.py", HEADER + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pathlib import Path\n"),
    ("dkg/a.py", HEADER + "from urllib.parse import quote\nimport xml.parsers.expat\nfrom dkg import page\n"),
    ("dkg/client/a.py", HEADER + "import os\nx = open('a')\nfrom dkg.client import store\n"),
    ("dkg/client/rdflib_store.py", HEADER + "import rdflib.store\n"),
    ("tests/a.py", "def g() -> None:\n    assert 1\ndef test_a() -> None:\n    g()\n"),
    ("tests/a.py", "def test_a() -> None:\n    with pytest.raises(ValueError):\n        int('a')\n"),
]


def test_the_project_is_tidy() -> None:
    found = all_findings()
    assert not found, "\n" + "\n".join(found)


def test_all_of_the_project_is_looked_at() -> None:
    names = sources()
    assert {"dkg/page.py", "dkg/client/store.py", "scripts/vectors", "tests/tidy.py", "bench/__main__.py"} <= {*names}
    assert "scripts/test" not in names  # a shell script


@pytest.mark.parametrize(("name", "text", "expected"), UNTIDY, ids=[expected for *_, expected in UNTIDY])
def test_an_untidy_file_is_found(name: str, text: str, expected: str) -> None:
    assert expected in "\n".join(findings(name, text))


@pytest.mark.parametrize(("name", "text"), TIDY)
def test_its_tidy_twin_is_left_alone(name: str, text: str) -> None:
    assert list(findings(name, text)) == []


def test_the_base_install_has_the_packages_that_dkg_may_import_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=~; ]", line)[0].replace("-", "_").split(".")[0] for line in project["dependencies"]}
    assert names - {"pycryptodome"} | {"Crypto"} == BASE_MODULES  # the one package that is imported by another name


def test_every_pinned_version_is_one_that_the_project_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    installed = ("dev", "contracts", "node", "publish", "rdflib", "demo")  # by scripts/test
    wanted = [*project["dependencies"], *(line for extra in installed for line in extras[extra])]
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    for requirement in wanted:
        name = re.split(r"[<>=~; \[]", requirement)[0].lower().replace("_", "-")
        if name == "dkg":  # an extra of our own within another
            continue
        assert re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE), f"{name} has no version in constraints.txt"


def test_every_decision_is_in_the_index_under_its_own_title() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "0000-index.md").read_text()
    listed = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+?) \|$", index, re.MULTILINE)
    pages = sorted(path for path in folder.glob("*.md") if path.name != "0000-index.md")
    assert [name for _, name, _ in listed] == [path.name for path in pages]
    for (number, _, title), path in zip(listed, pages, strict=True):
        assert path.name.startswith(f"{int(number):04}-")
        assert path.read_text().splitlines()[0] == f"# {number}. {title}"
