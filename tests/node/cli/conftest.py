"""A development chain with a registry, homes with keys that open fast, and `dkg` in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.secp import checksum
from dkg.client.cli import main
from node.devnet.chain import Devnet, devnet
from node.home import Home
from node.keys import create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse battery"


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


@dataclass
class Desk:
    """A directory with homes, and a chain."""

    path: Path
    chain: Devnet
    capsys: pytest.CaptureFixture[str]

    def run(self, *argv: str) -> Ran:
        """`dkg` with these arguments."""
        self.capsys.readouterr()
        code = main(list(argv))
        said = self.capsys.readouterr()
        return Ran(code, said.out, said.err)

    def ok(self, *argv: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a command that must work."""
        ran = self.run(*argv, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    def home(self, name: str = "home", account: int = 0) -> str:
        """A home whose key is that of a funded account of the chain."""
        home = Home(self.path / name)
        create(home.key_file, PASSWORD, self.chain.accounts[account].key, work=2)
        (self.path / "password").write_text(PASSWORD + "\n")
        return str(home.path)

    def signed(self, home: str, *argv: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON of a command that signs, which must work."""
        return self.ok(*argv, "--home", home, "--password-file", str(self.path / "password"))

    def refused(self, home: str, *argv: str) -> Ran:
        """What a command that signs says when it fails."""
        ran = self.run(*argv, "--home", home, "--password-file", str(self.path / "password"))
        assert ran.code != 0
        return ran

    def deployed(self, name: str = "home") -> str:
        """A home with a registry."""
        home = self.home(name)
        self.signed(home, "chain", "deploy", "--rpc", self.chain.url, "--finality-depth", "2")
        return home

    def address(self, account: int = 0) -> str:
        """Of an account of the chain."""
        return checksum(self.chain.accounts[account].address)

    def file(self, name: str, text: str) -> str:
        """A file with this text."""
        path = self.path / name
        path.write_text(text)
        return str(path)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with devnet() as chain:
        yield Desk(tmp_path, chain, capsys)
