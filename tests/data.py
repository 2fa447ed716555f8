"""Where the data for tests is: beside the project, in `../shared/data`, or where `DKG_TEST_DATA` says.

A test that needs data that is not there is skipped with the reason, and fails where `CI=true`.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def data_file(name: str) -> Path:
    """Return a file of the data, such as `codex/codex-m.nt.gz`; skip or fail if it is not there."""
    path = Path(os.environ.get("DKG_TEST_DATA", _BESIDE)) / name
    if not path.exists():
        reason = f"{path} is not there: put the data in ../shared/data or name its directory in DKG_TEST_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason, allow_module_level=True)
    return path


@cache
def w3c_suite() -> Path:
    """Return the unpacked W3C suites: `sparql/`, `rdf11/`, `canon/tests/`, `eddsa/`, `shacl/`.

    They are unpacked once, to a directory for temporary files that is named after the archive's content.
    """
    archive = data_file("w3c/w3c-suites.tar.xz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    suites = Path(tempfile.gettempdir()) / f"dkg-w3c-suites-{os.getuid()}-{digest}"
    if not suites.exists():
        with tempfile.TemporaryDirectory(dir=suites.parent) as scratch:
            unpacked = Path(scratch) / "suites"
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
            try:
                unpacked.rename(suites)
            except OSError:  # another process was faster
                if not suites.exists():
                    raise
    return suites
