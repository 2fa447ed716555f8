"""The model in this process: exact counts, bounded answers, one at a time, nothing open to strangers."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from retrieval.llm import LocalModel, Message, ModelError, ModelTimeoutError, Prompt, open_model
from retrieval.llm.local import COUNTED_BYTES_MAX, THREADS_MAX, grammar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELLO = Prompt((Message("user", "Say hello."),), answer_tokens=8)
TEXT = Prompt(
    (),
    text="Facts:\n1. Ada's spouse is William.\nQuestion: Who is Ada's husband?\nAnswer:",
    answer_tokens=8,
    stop=("\n",),
)
LONG = Prompt((Message("user", "Tell a story. " * 450),), answer_tokens=120)
LONG_S = 5.0
"""Less than reading `LONG` takes, which has 1,800 tokens, in seconds of a processor."""


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with LocalModel() as running:
        yield running


def test_it_goes_on_with_a_text_and_counts_tokens_as_it_reads_them(model: LocalModel) -> None:
    reply = model.answer(TEXT)
    assert TEXT.text is not None
    assert reply.text == "William"
    assert reply.whole
    assert reply.prompt_tokens == model.count(TEXT.text)


def test_a_conversation_is_answered_and_cut_at_the_limit_of_tokens(model: LocalModel) -> None:
    reply = model.answer(HELLO)
    assert reply.answer_tokens == HELLO.answer_tokens
    assert not reply.whole
    assert model.answer(HELLO) == reply  # temperature 0


def test_a_stream_is_the_same_answer_in_pieces(model: LocalModel) -> None:
    pieces = list(model.stream(HELLO))
    assert len(pieces) > 1
    assert "".join(pieces).strip() == model.answer(HELLO).text


def test_an_answer_can_be_held_to_choices(model: LocalModel) -> None:
    choices = ('Rome "the great"', "Carthage\\", "Лондон")
    held = Prompt(TEXT.messages, TEXT.text, 24, TEXT.stop, choices)
    assert model.answer(held).text in choices
    assert grammar(choices, after_space=True) == 'root ::= " " ("Rome \\"the great\\"" | "Carthage\\\\" | "Лондон")'


def test_counting_goes_on_after_the_engine_closed_the_connection(model: LocalModel) -> None:
    assert model.count("one two") == 2
    kept = model._tokenizer._wire._socket
    assert kept is not None
    kept.shutdown(socket.SHUT_RDWR)
    assert model.count("one two three") == 3
    for n in range(150):  # more than one connection may ask
        assert model.count("a" * n) >= bool(n)


def test_counting_takes_any_text_up_to_its_limit(model: LocalModel) -> None:
    assert model.count("") == 0
    assert model.count("\ud800 \x00") > 0
    with pytest.raises(ModelError, match="is not counted"):
        model.count("a" * COUNTED_BYTES_MAX)


def test_a_prompt_larger_than_the_window_is_refused_and_the_next_is_answered(model: LocalModel) -> None:
    with pytest.raises(ModelError, match="exceeds the available context size"):
        model.answer(Prompt((), text="a b c " * 2000))
    assert model.answer(TEXT).text == "William"


def test_a_model_that_does_not_answer_in_time_is_given_up(model: LocalModel) -> None:
    with pytest.raises(ModelTimeoutError, match="did not answer in time"):
        model.answer(LONG, deadline_s=0.02)
    start = time.process_time()
    assert model.answer(TEXT).text == "William"
    assert time.process_time() - start < LONG_S  # it did not read the long prompt to its end


def test_a_stream_that_is_closed_stops_the_model(model: LocalModel) -> None:
    story = Prompt((Message("user", "Tell a long story."),), answer_tokens=1500)
    stream = model.stream(story)
    assert next(stream)
    with pytest.raises(ModelTimeoutError, match="busy with other prompts"):
        model.answer(TEXT, deadline_s=0.01)
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    start = time.process_time()
    assert model.answer(TEXT).text == "William"
    assert time.process_time() - start < LONG_S  # 1,500 tokens take longer


def test_threads_get_their_own_answers(model: LocalModel) -> None:
    names = ["William", "George", "Byron"]
    found: dict[str, str] = {}

    def ask(name: str) -> None:
        text = f"Facts:\n1. Ada's spouse is {name}.\nQuestion: Who is Ada's husband?\nAnswer:"
        found[name] = model.answer(Prompt((), text=text, answer_tokens=8, stop=("\n",))).text

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: name for name in names}


def test_its_port_is_on_loopback_and_wants_a_key(model: LocalModel) -> None:
    address = urlsplit(model._server.listening_address)
    assert address.hostname == "127.0.0.1"
    for path in ("/v1/chat/completions", "/tokenize", "/completion"):
        connection = http.client.HTTPConnection("127.0.0.1", address.port or 0)
        connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
        assert connection.getresponse().status == http.client.UNAUTHORIZED
        connection.close()


def test_files_and_settings_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_model(str(broken))
    for wrong in ({"threads": 0}, {"threads": THREADS_MAX + 1}, {"window": 0}):
        with pytest.raises(ValueError, match="threads are 1 to 64"):
            LocalModel(**wrong)  # type: ignore[arg-type]  # numbers


def test_a_closed_model_answers_nothing_and_ends_who_waits() -> None:
    model = LocalModel()
    stream = model.stream(Prompt((Message("user", "Tell a long story."),), answer_tokens=1500))
    assert next(stream)
    model.close()
    assert len(list(stream)) < 1500
    with pytest.raises(ModelError, match="is closed"):
        model.answer(HELLO)
    with pytest.raises(ModelError, match="does not answer"):
        model.count("a")
    model.close()
