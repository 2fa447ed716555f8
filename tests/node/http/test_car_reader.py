"""The IPFS project's own CAR library reads what we send: every block is what its CID says, in canonical DAG-CBOR."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from dkg.page import cid_text
from tests.node.http.real import NAMES, Real, real_node

if TYPE_CHECKING:
    from collections.abc import Iterator

NPM = Path(__file__).resolve().parents[3] / ".cache" / "npm"
PROGRAM = Path(__file__).with_name("read_car.mjs")
PACKAGES = ("@ipld/car", "@ipld/dag-cbor", "multiformats")


def missing() -> str:
    """Why these tests cannot run here, or nothing."""
    if shutil.which("node") is None:
        return "node.js is not here"
    if not all((NPM / "node_modules" / name).is_dir() for name in PACKAGES):
        return f"`npm install --prefix .cache/npm {' '.join(PACKAGES)}` was not run"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real_node(tmp_path_factory.mktemp("car")) as made:
        yield made


def read(file: Path) -> dict[str, Any]:
    """What the library finds in a file."""
    command = ["node", "--input-type=module", "-", str(file)]
    done = subprocess.run(command, input=PROGRAM.read_bytes(), cwd=NPM, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_dataset_of_the_gateway(real: Real, tmp_path: Path) -> None:
    answer = real.process.ask("GET", f"/ipfs/{cid_text(real.root)}?format=car")
    assert answer.status == 200
    file = tmp_path / "dataset.car"
    file.write_bytes(answer.body)
    found = read(file)
    assert found["version"] == 1
    assert found["roots"] == [cid_text(real.root)]
    assert found["bad"] == []
    assert len(found["blocks"]) == len({*found["blocks"]}) > 1
    assert {*found["links"]} | {cid_text(real.root)} == {*found["blocks"]}  # all of it, and nothing else


def test_a_page_of_the_gateway(real: Real, tmp_path: Path) -> None:
    answer = real.process.ask("GET", f"/ipfs/{cid_text(real.root)}?format=car&dag-scope=block")
    file = tmp_path / "page.car"
    file.write_bytes(answer.body)
    found = read(file)
    assert found["roots"] == found["blocks"] == [cid_text(real.root)]
    assert found["bad"] == []


def test_a_proof(real: Real, tmp_path: Path) -> None:
    headers = {"Accept": "application/vnd.ipld.car"}
    answer = real.process.ask("GET", f"/sparql?query={quote(NAMES)}", headers=headers)
    assert answer.status == 200
    file = tmp_path / "proof.car"
    file.write_bytes(answer.body)
    found = read(file)
    assert found["roots"] == [cid_text(real.root)]
    assert found["bad"] == []
    assert {*found["blocks"]} <= {*found["links"]} | {cid_text(real.root)}  # nothing that hangs on nothing


def test_the_library_sees_a_byte_that_was_changed(real: Real, tmp_path: Path) -> None:
    answer = real.process.ask("GET", f"/ipfs/{cid_text(real.root)}?format=car&dag-scope=block")
    file = tmp_path / "changed.car"
    file.write_bytes(answer.body[:-1] + bytes([answer.body[-1] ^ 1]))
    with suppress(subprocess.CalledProcessError):  # what the byte made of it is no DAG-CBOR
        assert read(file)["bad"] == [cid_text(real.root)]
