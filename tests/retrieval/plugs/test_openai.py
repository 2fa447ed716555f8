"""What the proxy does to requests and answers of the OpenAI protocol, piece by piece."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import InputError, LimitError
from retrieval.plugs import openai
from retrieval.plugs.openai import Stream, annotated, annotation, last_words, question_of, request_of, with_facts
from retrieval.prompt.packing import QUESTION_CHARS_MAX

MORE = {"dkg": {"proof": "p"}}


def cite(text: str) -> list[dict[str, Any]]:
    """One citation of the whole text."""
    return [annotation(0, len(text), "did:dkg:x", text)]


def piece(text: str | None = None, index: int = 0, **more: Any) -> bytes:  # noqa: ANN401
    delta = {} if text is None else {"content": text}
    body: dict[str, Any] = {"id": "c1", "model": "m", "created": 7, "object": "chat.completion.chunk"}
    body["choices"] = [{"index": index, "delta": delta, "finish_reason": None, **more}]
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def pieces(data: bytes) -> list[Any]:
    """The data of a stream's events, in order."""
    lines = [line[5:].strip() for line in data.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data:")]
    return ["[DONE]" if line == b"[DONE]" else json.loads(line) for line in lines]


# --- requests ----------------------------------------------------------------------------------------------------


def test_the_question_is_the_last_message_of_the_user() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Second"}, {"type": "image_url"}, {"type": "text", "text": "?"}],
        },
        {"role": "tool", "content": "42"},
    ]
    assert question_of({"messages": messages}) == "Second\n?"
    assert question_of({"messages": messages[:1]}) is None
    assert question_of({"messages": [{"role": "user", "content": None}, 5, None]}) is None


@pytest.mark.parametrize("content", ["Who?", [{"type": "text", "text": "Who?"}]])
def test_facts_go_to_the_user_and_never_to_the_system(content: Any) -> None:  # noqa: ANN401
    request: dict[str, Any] = {
        "model": "m",
        "temperature": 0,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": content, "name": "ada"}],
    }
    before = json.dumps(request)
    changed = with_facts(request, "FACTS")
    assert json.dumps(request) == before
    assert changed["messages"][0] == request["messages"][0]
    assert changed["messages"][1]["name"] == "ada"
    assert "FACTS" in json.dumps(changed["messages"][1]["content"])
    assert question_of(changed).endswith("Who?")  # type: ignore[union-attr]
    assert {name: changed[name] for name in ("model", "temperature")} == {"model": "m", "temperature": 0}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"messages": 1}', b"\xff", b"[" * 100_000, b"nul"])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        request_of(data)


def test_nesting_at_the_limit_and_one_past_it() -> None:
    def nested(depth: int) -> bytes:
        return b'{"messages": ' + b"[" * depth + b"]" * depth + b"}"

    assert request_of(nested(openai.DEPTH_MAX - 1))
    with pytest.raises(LimitError):
        request_of(nested(openai.DEPTH_MAX))


def test_of_a_long_message_its_end_is_looked_up() -> None:
    text = "word " * 1_000 + "Who discovered penicillin?"
    assert last_words("Who?") == "Who?"
    assert len(last_words("x" * 5_000)) == QUESTION_CHARS_MAX
    cut = last_words(text)
    assert len(cut) <= QUESTION_CHARS_MAX
    assert cut.endswith("Who discovered penicillin?")
    assert cut.startswith("word")


# --- whole answers -------------------------------------------------------------------------------------------------


def test_citations_are_url_citations_beside_those_that_are_there() -> None:
    answer = {
        "id": "x",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Fleming", "annotations": [{"type": "old"}]}},
            {"index": 1, "message": {"role": "assistant", "content": None, "tool_calls": []}},
        ],
    }
    found = annotated(answer, cite, MORE)
    one, other = found["choices"]
    assert one["message"]["annotations"] == [
        {"type": "old"},
        {
            "type": "url_citation",
            "url_citation": {"start_index": 0, "end_index": 7, "url": "did:dkg:x", "title": "Fleming"},
        },
    ]
    assert other == answer["choices"][1]
    assert found["dkg"] == {"proof": "p"}
    assert annotated({"error": {}}, cite, MORE) == {"error": {}}
    for odd in ([None], [5], [{"message": 1}], [{"message": {"content": ["a"]}}]):
        assert annotated({"choices": odd}, cite, {})["choices"] == odd


# --- streams -------------------------------------------------------------------------------------------------------

ENDED = [piece("Flem"), piece("ing"), piece(finish_reason="stop"), b"data: [DONE]\n\n"]


def test_citations_come_before_the_end_of_a_streamed_answer() -> None:
    stream = Stream(cite, MORE)
    found = pieces(stream.feed(b"".join(ENDED)) + stream.end())
    assert [one if one == "[DONE]" else one["choices"][0]["finish_reason"] for one in found] == [
        *(None, None, None, "stop", "[DONE]")
    ]
    told = found[2]
    assert told["choices"][0]["delta"]["annotations"][0]["url_citation"]["title"] == "Fleming"
    assert told["dkg"] == {"proof": "p"}
    assert (told["id"], told["model"], told["created"]) == ("c1", "m", 7)


@given(st.lists(st.integers(0, 400), max_size=12))
def test_it_is_the_same_however_the_bytes_arrive(cuts: list[int]) -> None:
    data = b"".join(ENDED)
    stream, whole = Stream(cite, MORE), Stream(cite, MORE)
    places = sorted({min(one, len(data)) for one in cuts} | {0, len(data)})
    out = b"".join(stream.feed(data[low:high]) for low, high in pairwise(places)) + stream.end()
    assert out == whole.feed(data) + whole.end()


@pytest.mark.parametrize("mark", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_what_came_goes_out_byte_by_byte_as_it_was(mark: bytes) -> None:
    data = (b": ping" + mark) + b"".join(ENDED).replace(b"\n\n", mark) + b"data: odd, no JSON" + mark + b"event: x"
    stream = Stream(lambda _: [], {})
    out = stream.feed(data) + stream.end()
    for event in data.split(mark):
        assert event in out
    assert out.endswith(b"event: x")


def test_several_answers_get_their_own_citations() -> None:
    data = piece("a") + piece("b", 1) + piece(None, 1, finish_reason="stop") + b"data: [DONE]\n\n"
    stream = Stream(cite, MORE)
    found = [one for one in pieces(stream.feed(data) + stream.end()) if one != "[DONE]"]
    told = [one["choices"][0] for one in found if "annotations" in one["choices"][0]["delta"]]
    assert [(one["index"], one["delta"]["annotations"][0]["url_citation"]["title"]) for one in told] == [
        (1, "b"),
        (0, "a"),
    ]
    assert sum("dkg" in one for one in found) == 1


def test_an_answer_without_words_still_tells_what_was_found() -> None:
    stream = Stream(cite, MORE)
    found = pieces(stream.feed(b"data: [DONE]\n\n"))
    assert found[0]["dkg"] == {"proof": "p"}
    assert found[-1] == "[DONE]"


def test_a_character_that_is_cut_in_two_moves_no_citation() -> None:
    stream = Stream(cite, MORE)
    out = stream.feed(piece("\ud83d") + piece("\ude00 Fleming") + piece(finish_reason="stop")) + stream.end()
    told = next(one for one in pieces(out) if one["choices"][0]["delta"].get("annotations"))
    cited = told["choices"][0]["delta"]["annotations"][0]["url_citation"]
    assert (cited["end_index"], cited["title"]) == (len("\U0001f600 Fleming"), "\U0001f600 Fleming")


@pytest.mark.parametrize("last", [b"", b": a comment", piece("er.").rstrip(b"\n")])
def test_an_endpoint_that_stops_without_saying_so_still_gets_its_citations(last: bytes) -> None:
    stream = Stream(cite, MORE)
    found = pieces(stream.feed(piece("It was h") + last) + stream.end())
    assert found[-1]["choices"][0]["delta"]["annotations"]
    assert found[-1]["dkg"] == MORE["dkg"]


def test_an_event_in_many_small_parts_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = openai._split

    def split(data: bytes) -> list[bytes]:
        looked.append(len(data))
        return real(data)

    monkeypatch.setattr(openai, "_split", split)
    stream, event = Stream(cite, MORE), piece("a" * 5_000)
    out = b"".join(stream.feed(event[at : at + 1]) for at in range(len(event)))
    assert (out, looked) == (event, [len(event)])


def test_an_event_without_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "EVENT_BYTES_MAX", 100)
    assert Stream(cite, {}).feed(b"x" * 100) == b""
    with pytest.raises(LimitError):
        Stream(cite, {}).feed(b"x" * 101)


def test_words_beyond_what_is_remembered_have_no_citation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "ANSWER_CHARS_MAX", 4)
    stream = Stream(cite, MORE)
    found = pieces(stream.feed(piece("abcd") + piece("e") + piece(finish_reason="stop")))
    assert found[2]["choices"][0]["delta"]["annotations"][0]["url_citation"]["title"] == "abcd"
    answer = {"choices": [{"message": {"content": "abcde"}}]}
    assert annotated(answer, cite, {})["choices"] == answer["choices"]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_stream(data: bytes) -> None:
    stream = Stream(cite, {})
    assert data in stream.feed(data) + stream.end() or b"data:" in data
