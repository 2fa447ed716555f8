"""Models behind URLs that answer, lie, stall and break off; and what is never sent to them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from dkg.errors import InputError
from retrieval.llm import HttpModel, Message, ModelError, ModelTimeoutError, Prompt, open_model
from retrieval.llm.remote import ANSWER_BYTES_MAX
from tests.chain.raw import Caller, answering, http, raw_server

KEY = "sk-secret-key"
PROMPT = Prompt((Message("system", "Be short."), Message("user", "Who?")), answer_tokens=9, stop=("\n",))


def completion(text: Any, **more: Any) -> bytes:  # noqa: ANN401 - also what no server should send
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | more
    return http(json.dumps({"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}).encode())


def event(found: object) -> bytes:
    return b"data: " + (found if isinstance(found, bytes) else json.dumps(found).encode()) + b"\n\n"


def piece(text: str | None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


def test_a_prompt_is_sent_as_a_conversation_and_the_answer_comes_back() -> None:
    with raw_server(answering(completion(" William\n"))) as server:
        with HttpModel(f"{server.url}/v1#tiny", key=KEY) as model:
            reply = model.answer(PROMPT)
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert (reply.text, reply.prompt_tokens, reply.answer_tokens, reply.whole) == ("William", 12, 3, True)
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert json.loads(body) == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Who?"}],
        "max_tokens": 9,
        "temperature": 0,
        "stop": ["\n"],
        "stream": False,
    }


def test_an_answer_that_was_cut_says_so_and_usage_may_be_missing() -> None:
    body = json.dumps({"choices": [{"message": {"content": "Wil"}, "finish_reason": "length"}], "usage": None})
    with raw_server(answering(http(body.encode()))) as server, HttpModel(f"{server.url}/v1") as model:
        reply = model.answer(PROMPT)
    assert (reply.text, reply.whole, reply.prompt_tokens) == ("Wil", False, None)


def test_a_stream_comes_in_pieces_however_they_are_cut() -> None:
    sent = (
        piece(None)
        + piece("Wil")
        + b": ping\n\n"
        + piece("liam")
        + event({"choices": [], "usage": {}})
        + event(b"[DONE]")
    )

    def serve(caller: Caller) -> None:
        caller.request()
        caller.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for at in range(0, len(sent), 7):
            caller.send(sent[at : at + 7])

    with raw_server(serve) as server, HttpModel(f"{server.url}/v1/chat/completions") as model:
        assert list(model.stream(PROMPT)) == ["Wil", "liam"]
        assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2])["stream"] is True


@pytest.mark.parametrize(
    "answer",
    [
        http(b"not json"),
        http(b"[1]"),
        http(b"[" * 100_000),
        http(b"\xff\xfe"),
        http(b"{}"),
        http(b'{"choices": []}'),
        http(b'{"choices": {}}'),
        http(b'{"choices": [7]}'),
        http(b'{"choices": [{"message": "text"}]}'),
        completion(["a list"]),
        http(json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()),
        http(b"no", "500 Internal Server Error"),
        http(b"", "302 Found", b"Location: http://127.0.0.1:1/v1\r\n"),
        http(b"", "401 Unauthorized"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_answer_is_an_error_of_the_model_and_names_no_key(answer: bytes) -> None:
    with (
        raw_server(answering(answer)) as server,
        HttpModel(f"{server.url}/v1", key=KEY) as model,
        pytest.raises(ModelError) as caught,
    ):
        model.answer(PROMPT)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        http(event(b"not json")),
        http(event({"error": {"message": f"bad key {KEY}"}})),
        http(event({"choices": [{"delta": 7}]})),
        http(b"no", "500 Internal Server Error"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + piece("Wil"),
        b"",
    ],
)
def test_a_stream_that_breaks_is_an_error_of_the_model_and_names_no_key(answer: bytes) -> None:
    with (
        raw_server(answering(answer)) as server,
        HttpModel(f"{server.url}/v1", key=KEY) as model,
        pytest.raises(ModelError) as caught,
    ):
        list(model.stream(PROMPT))
    assert KEY not in str(caught.value)


def test_a_model_that_says_nothing_is_given_up_at_the_deadline() -> None:
    def serve(caller: Caller) -> None:
        caller.request()
        caller.wait()

    with raw_server(serve) as server, HttpModel(f"{server.url}/v1") as model:
        start = time.monotonic()
        with pytest.raises(ModelTimeoutError):
            model.answer(PROMPT, deadline_s=0.2)
        with pytest.raises(ModelTimeoutError):
            list(model.stream(PROMPT, deadline_s=0.2))
        assert time.monotonic() - start < 5


def test_a_model_that_sends_a_byte_now_and_then_is_given_up_at_the_deadline() -> None:
    def serve(caller: Caller) -> None:
        caller.request()
        caller.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not caller.owner.ended.wait(0.02):
            caller.send(b" ")

    with raw_server(serve) as server, HttpModel(f"{server.url}/v1") as model, pytest.raises(ModelTimeoutError):
        model.answer(PROMPT, deadline_s=0.3)


def test_an_endless_answer_is_cut_off() -> None:
    def serve(caller: Caller) -> None:
        caller.request()
        caller.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        caller.for_ever(b"data: " + b" " * 65_536)

    with raw_server(serve) as server, HttpModel(f"{server.url}/v1") as model:
        with pytest.raises(ModelError, match=f"more than {ANSWER_BYTES_MAX} bytes"):
            model.answer(PROMPT)
        with pytest.raises(ModelError, match="an event of more than"):
            list(model.stream(PROMPT))


def test_a_stream_that_is_closed_frees_the_model_for_the_next() -> None:
    def serve(caller: Caller) -> None:
        asked = caller.request()
        if b'"stream": true' in asked:
            caller.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + piece("one"))
            caller.wait()
        else:
            caller.send(completion("two"))

    with raw_server(serve) as server, HttpModel(f"{server.url}/v1") as model:
        stream = model.stream(PROMPT)
        assert next(stream) == "one"
        with pytest.raises(ModelTimeoutError, match="busy"):
            model.answer(PROMPT, deadline_s=0.05)
        stream.close()  # type: ignore[attr-defined]  # it is a generator
        assert model.answer(PROMPT).text == "two"


# --- what is refused before anything is sent ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://127.0.0.1/v1", "http://HOST:PORT/v1"),
        ("http:///v1", "http://HOST:PORT/v1"),
        ("http://127.0.0.1:0/v1", "http://HOST:PORT/v1"),
        ("http://127.0.0.1:99999/v1", "cannot be read"),
        ("http://[::1/v1", "cannot be read"),
        ("http://user:secret@127.0.0.1/v1", "no user, password"),
        ("http://127.0.0.1/v1?key=secret", "no user, password or query"),
        ("http://example.org/v1", "on another machine"),
        ("http://127.0.0.1.example.org/v1", "on another machine"),
        ("http://192.168.0.1/v1", "on another machine"),
    ],
)
def test_urls_that_are_not_to_be_used_are_refused_without_repeating_secrets(url: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        HttpModel(url)
    assert "secret" not in str(caught.value)


def test_another_machine_has_to_be_allowed_and_gets_a_key_by_https_alone() -> None:
    model = open_model("https://example.org/v1#big", key=KEY, remote=True)
    assert model.name == "big"
    model.close()
    with pytest.raises(InputError, match="in the clear"):
        HttpModel("http://example.org/v1", key=KEY, remote=True)
    with pytest.raises(InputError, match="no header may have"):
        HttpModel("http://127.0.0.1/v1", key="a\r\nX: y")


def test_a_model_that_is_not_there_is_said_and_choices_are_refused() -> None:
    with raw_server(answering()) as server:
        port = server.port
    with HttpModel(f"http://127.0.0.1:{port}/v1") as model:
        with pytest.raises(ModelError, match="cannot be reached"):
            model.answer(PROMPT)
        with pytest.raises(InputError, match="not extractive"):
            model.answer(Prompt(PROMPT.messages, choices=("a",)))
        assert model.count("four words are here") >= 4
