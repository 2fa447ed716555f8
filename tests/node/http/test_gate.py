"""The gate: names, lengths, rates, ids, header fields, browsers, the log; and what nobody sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from node.http import HttpSettings, Scope
from node.http.app import context_of
from node.http.context import ASKING, PIECE_BYTES, READS_AT_ONCE, exchange_of
from tests.node.http.conftest import bearer, site_of
from tests.node.http.world import ual

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tests.node.http.conftest import Site

ASK = "/sparql?query=ASK{}"


def code(response: Any) -> tuple[int, str]:  # noqa: ANN401
    return response.status_code, response.json()["code"]


# --- lengths ---------------------------------------------------------------------------------------------------------


def test_a_url_at_its_limit_and_over_it(site: Site) -> None:
    length = len("/sparql") + len("query=ASK{}") + 10
    tight = site.made(url_bytes=length)
    assert tight.get("/sparql?query=ASK%7B%7D" + "x" * 6).status_code != 414
    at = tight.get("/v1/status?x=" + "y" * (length - len("/v1/statusx=")))
    assert at.status_code == 200
    over = tight.get("/v1/status?x=" + "y" * (length - len("/v1/statusx=") + 1))
    assert code(over) == (414, "url-too-long")


def test_a_header_at_its_limit_and_over_it(site: Site) -> None:
    base = sum(len(k) + len(v) for k, v in site.get("/v1/status").request.headers.raw)
    fields = len(site.get("/v1/status").request.headers.raw)
    room = {"X-Fill": "y" * 94}
    assert site.made(header_bytes=base + 100).get("/v1/status", headers=room).status_code == 200
    assert code(site.made(header_bytes=base + 99).get("/v1/status", headers=room)) == (431, "headers-too-large")
    assert site.made(header_fields=fields + 1).get("/v1/status", headers=room).status_code == 200
    assert code(site.made(header_fields=fields).get("/v1/status", headers=room)) == (431, "headers-too-large")


def test_a_query_body_at_its_limit_and_over_it(site: Site) -> None:
    tight, headers = site.made(query_bytes=20), {"Content-Type": "application/sparql-query"}
    assert tight.post("/sparql", content="ASK {}".ljust(20), headers=headers).status_code == 200
    assert code(tight.post("/sparql", content="ASK {}".ljust(21), headers=headers)) == (413, "body-too-large")


async def _slowly(*parts: bytes) -> Any:  # noqa: ANN401
    for part in parts:
        yield part


def test_a_body_without_a_length_is_cut_where_it_is_too_long(site: Site) -> None:
    headers = {"Content-Type": "application/sparql-query"}
    tight = site.made(query_bytes=20)
    fine = tight.post("/sparql", content=_slowly(b"ASK", b" {", b"}"), headers=headers)
    assert fine.status_code == 200
    over = tight.post("/sparql", content=_slowly(*[b"ASK {}    "] * 10_000), headers=headers)
    assert code(over) == (413, "body-too-large")
    assert over.headers["connection"] == "close"


def test_bodies_of_all_at_a_time(site: Site) -> None:
    headers = {"Content-Type": "application/sparql-query"}
    tight = site.made(uploads_bytes=40)
    assert tight.post("/sparql", content="ASK {}".ljust(20), headers=headers).status_code == 200
    over = tight.post("/sparql", content="ASK {}".ljust(21), headers=headers)
    assert code(over) == (503, "overloaded")
    assert tight.post("/sparql", content="ASK {}".ljust(20), headers=headers).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(site: Site) -> None:
    async def never() -> Any:  # noqa: ANN401
        yield b"ASK"
        await asyncio.Event().wait()

    hasty = site.made(body_seconds=0.05)
    response = hasty.post("/sparql", content=never(), headers={"Content-Type": "application/sparql-query"})
    assert code(response) == (408, "request-timeout")
    assert response.headers["connection"] == "close"


# --- rates -----------------------------------------------------------------------------------------------------------


def test_a_client_that_asks_too_often(site: Site) -> None:
    strict = site.made(requests_burst=3, requests_per_s=0.001)
    assert [strict.get(ASK).status_code for _ in range(3)] == [200] * 3
    refused = strict.get(ASK)
    assert code(refused) == (429, "rate-limited")
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after"] >= 1
    assert strict.get("/health").status_code == 200
    strict.peer = ("192.0.2.2", 1)
    assert strict.get(ASK).status_code == 200


def test_behind_a_proxy_clients_are_told_apart(site: Site) -> None:
    strict = site.made(requests_burst=1, requests_per_s=0.001, trusted_proxies=("192.0.2.0/24",))
    first, second = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (1, 2))
    assert strict.get(ASK, headers=first).status_code == 200
    assert strict.get(ASK, headers=first).status_code == 429
    assert strict.get(ASK, headers=second).status_code == 200
    assert strict.events("http.request")[-1]["client"] == "203.0.113.2"


def test_a_client_does_not_speak_for_a_proxy_that_adds_a_field_of_its_own(site: Site) -> None:
    """As HAProxy does: the client's own field comes first, and the proxy's behind it."""
    strict = site.made(requests_burst=1, requests_per_s=0.001, trusted_proxies=("192.0.2.0/24",))
    for number, status in ((1, 200), (2, 429)):
        forged = [("X-Forwarded-For", f"198.51.100.{number}"), ("X-Forwarded-For", "203.0.113.1")]
        assert strict.get(ASK, headers=forged).status_code == status
        assert strict.events("http.request")[-1]["client"] == "203.0.113.1"


def test_without_a_proxy_nobody_says_who_asks(site: Site) -> None:
    strict = site.made(requests_burst=1, requests_per_s=0.001)
    assert strict.get(ASK, headers={"X-Forwarded-For": "203.0.113.1"}).status_code == 200
    assert strict.get(ASK, headers={"X-Forwarded-For": "203.0.113.2"}).status_code == 429


def test_a_client_that_has_much_read_keeps_nobody_else_waiting(site: Site) -> None:
    """Histories and differences of large assets take seconds, and are read one after the other."""
    known, done = context_of(site.app), []

    async def asked(client: str) -> None:
        ASKING.set(client)
        await known.read(lambda _: done.append(client))

    async def scenario() -> None:
        greedy = [asyncio.create_task(asked("198.51.100.1")) for _ in range(60)]
        await asyncio.sleep(0)
        await asyncio.create_task(asked("203.0.113.1"))
        await asyncio.gather(*greedy)

    asyncio.run(scenario())
    assert done.index("203.0.113.1") <= READS_AT_ONCE
    assert len(done) == 61


def test_the_client_of_a_request_is_whose_turn_it_is(site: Site) -> None:
    own, seen = site.made(), []

    @own.app.get("/whose")
    async def whose() -> dict[str, str]:
        seen.append(ASKING.get())
        return {}

    assert own.get("/whose").status_code == 200
    assert seen == [own.events("http.request")[-1]["client"]]


def test_requests_at_a_time(site: Site) -> None:
    narrow = site.made(client_requests_at_once=2)
    going, release = asyncio.Event(), asyncio.Event()

    async def scenario() -> list[int]:
        @narrow.app.get("/wait")
        async def wait() -> dict[str, str]:
            going.set()
            await release.wait()
            return {}

        first = [asyncio.create_task(narrow.ask_soon("GET", "/wait")) for _ in range(2)]
        await going.wait()
        await asyncio.sleep(0)
        refused = await narrow.ask_soon("GET", ASK)
        release.set()
        done = await asyncio.gather(*first)
        after = await narrow.ask_soon("GET", ASK)
        return [refused.status_code, *(one.status_code for one in done), after.status_code]

    assert asyncio.run(scenario()) == [429, 200, 200, 200]


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8900", "127.0.0.1:8900", "[::1]:8900"])
def test_the_names_of_this_machine_are_answered(site: Site, host: str) -> None:
    assert site.get(ASK, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"])
def test_a_page_of_the_web_cannot_ask_under_its_own_name(site: Site, host: str) -> None:
    assert code(site.get(ASK, headers={"Host": host})) == (421, "host-refused")


@pytest.mark.parametrize("host", ["", "a b", "<x>", "a/b", "a@b", "a:b", "[x]", "é", "x" * 256])
def test_what_is_no_name_of_a_host(site: Site, host: str) -> None:
    assert code(site.get(ASK, headers={"Host": host.encode("latin-1")})) == (400, "request-malformed")


def test_a_public_node_answers_by_the_names_that_it_has(shared_node: Any, shared_runner: Any) -> None:  # noqa: ANN401
    named = site_of(shared_node, shared_runner, HttpSettings(host="0.0.0.0", hosts=("kg.example",)))
    assert code(named.get(ASK)) == (421, "host-refused")
    named.base = "http://kg.example"
    assert named.get(ASK).status_code == 200
    any_name = site_of(shared_node, shared_runner, HttpSettings(host="0.0.0.0"))
    any_name.base = "http://whatever.example:99"
    assert "<http://whatever.example:99/sparql>" in any_name.get("/sparql").text


def test_a_node_that_knows_its_name_says_that_one(site: Site) -> None:
    public = site.made(public_url="https://kg.example")
    assert "<https://kg.example/sparql>" in public.get("/sparql").text
    assert "https://kg.example/sparql" in public.get("/.well-known/skill.md").text


# --- ids and header fields -------------------------------------------------------------------------------------------


def test_a_request_has_an_id_of_its_own_or_the_one_that_it_came_with(site: Site) -> None:
    one, two = (site.get(ASK).headers["x-request-id"] for _ in range(2))
    assert one != two
    given = site.get("/nothing", headers={"X-Request-Id": "trace-1.2_3"})
    assert given.headers["x-request-id"] == given.json()["request"] == "trace-1.2_3"
    for odd in ("a b", "x" * 65, "<x>", ""):
        assert site.get(ASK, headers={"X-Request-Id": odd}).headers["x-request-id"] != odd


@pytest.mark.parametrize("path", [ASK, "/nothing", "/v1/dataset", "/", "/openapi.json", "/health"])
def test_every_answer_has_the_header_fields_of_safety(site: Site, path: str) -> None:
    headers = site.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


# --- browsers --------------------------------------------------------------------------------------------------------

ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


def test_by_default_no_page_of_the_web_may_ask(site: Site) -> None:
    response = site.get(ASK, headers={"Origin": ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert code(site.ask("OPTIONS", "/sparql", headers=PREFLIGHT)) == (405, "method-not-allowed")


def test_pages_that_are_named_may(site: Site) -> None:
    open_ = site.made(origins=(ORIGIN,))
    response = open_.get(ASK, headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "DKG-Root" in response.headers["access-control-expose-headers"]
    assert "Origin" in response.headers.get_list("vary", split_commas=True)
    assert "access-control-allow-credentials" not in response.headers
    preflight = open_.ask("OPTIONS", "/sparql", headers=PREFLIGHT)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    other = open_.get(ASK, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    assert "Origin" in other.headers.get_list("vary", split_commas=True)


def test_problems_can_be_read_by_pages_too(site: Site) -> None:
    response = site.made(origins=(ORIGIN,)).get("/nothing", headers={"Origin": ORIGIN})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (404, ORIGIN)


def test_all_pages_may_ask_but_send_no_token(site: Site) -> None:
    anyone = site.made(origins=("*",))
    assert anyone.get(ASK, headers={"Origin": ORIGIN}).headers["access-control-allow-origin"] == "*"
    preflight = anyone.ask("OPTIONS", "/sparql", headers=PREFLIGHT)
    assert preflight.status_code == 204
    assert "Authorization" not in preflight.headers["access-control-allow-headers"]


def test_options_that_ask_nothing(site: Site) -> None:
    assert code(site.made(origins=("*",)).ask("OPTIONS", "/sparql")) == (405, "method-not-allowed")


# --- what goes wrong inside ------------------------------------------------------------------------------------------


def with_route(site: Site, route: Callable[..., Awaitable[Any]]) -> Site:
    made = site.made(request_seconds=0.05)
    made.app.add_api_route("/test", route, methods=["GET"])
    return made


def test_a_fault_of_the_program_is_logged_and_not_shown(site: Site) -> None:
    async def broken() -> None:
        secret = "canary 17"
        raise RuntimeError(secret)

    made = with_route(site, broken)
    response = made.get("/test")
    assert code(response) == (500, "internal")
    assert "canary" not in response.text + str(response.headers)
    (fault,) = made.events("http.fault")
    assert "canary 17" in str(fault["text"])
    assert "RuntimeError" in str(fault["trace"])
    assert fault["request"] == response.json()["request"]
    assert made.get(ASK).status_code == 200


def test_what_takes_too_long_is_ended(site: Site) -> None:
    ended = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    assert code(with_route(site, endless).get("/test")) == (504, "timeout")
    assert ended


def test_an_answer_that_has_begun_takes_as_long_as_it_takes(site: Site) -> None:
    from starlette.responses import StreamingResponse  # noqa: PLC0415

    async def slowly() -> Any:  # noqa: ANN401
        for _ in range(4):
            await asyncio.sleep(0.03)
            yield b"x"

    async def streamed() -> StreamingResponse:
        return StreamingResponse(slowly())

    assert with_route(site, streamed).get("/test").content == b"xxxx"


def test_long_bodies_go_out_in_pieces(site: Site) -> None:
    from starlette.responses import Response  # noqa: PLC0415

    body = bytes(PIECE_BYTES) + bytes(PIECE_BYTES) + b"x"

    async def long() -> Response:
        return Response(body)

    made, sent = with_route(site, long), []

    async def scenario() -> None:
        scope = {
            "type": "http", "method": "GET", "path": "/test", "raw_path": b"/test", "query_string": b"",
            "headers": [(b"host", b"localhost")], "client": ("192.0.2.1", 1), "scheme": "http",
        }  # fmt: skip

        async def receive() -> Any:  # noqa: ANN401
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)

        await made.app(scope, receive, send)

    asyncio.run(scenario())
    pieces = [message["body"] for message in sent[1:]]
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, PIECE_BYTES, 1]
    assert [message["more_body"] for message in sent[1:]] == [True, True, False]
    assert b"".join(pieces) == body


def test_a_websocket_is_closed(site: Site) -> None:
    sent = []

    async def scenario() -> None:
        async def receive() -> Any:  # noqa: ANN401
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)

        await site.app({"type": "websocket", "path": "/", "headers": []}, receive, send)

    asyncio.run(scenario())
    assert sent == [{"type": "websocket.close", "code": 1008}]


# --- the log ---------------------------------------------------------------------------------------------------------


def test_every_request_is_logged_without_what_it_asked(site: Site) -> None:
    site.get("/sparql?query=ASK{<x:canary>?p?o}", headers={"User-Agent": "me/1"})
    site.ask("HEAD", "/nothing")
    first, second = site.events("http.request")
    assert "canary" not in str(site.log)
    assert {name: first[name] for name in ("method", "path", "status", "code", "client", "agent", "token")} == {
        "method": "GET",
        "path": "/sparql",
        "status": 200,
        "code": None,
        "client": "192.0.2.1",
        "agent": "me/1",
        "token": None,
    }
    assert isinstance(first["bytes"], int)
    assert first["bytes"] > 0
    assert (second["method"], second["status"], second["code"], second["bytes"]) == ("HEAD", 404, "not-found", 0)


def test_what_is_counted(site: Site) -> None:
    counted = site.made()
    counted.get(ASK)
    counted.get("/sparql?query=SELEC")
    counted.ask("BREW", "/sparql")
    counted.get(f"/ipfs/{'x' * 50}")
    text = counted.get("/metrics", headers=bearer(Scope.METRICS)).text
    assert 'dkg_http_requests_total{method="GET",route="/sparql",status="200"} 1.0' in text
    assert 'dkg_http_requests_total{method="GET",route="/sparql",status="400"} 1.0' in text
    assert 'dkg_http_requests_total{method="other",route="/sparql",status="405"} 1.0' in text
    assert 'route="/ipfs/{cid}"' in text
    assert 'dkg_http_problems_total{code="query-invalid"} 1.0' in text
    assert "dkg_log_position 4.0" in text
    assert 'dkg_status{name="storage.pages"}' in text
    assert "dkg_http_answering 1.0" in text


def test_what_is_known_of_a_request(site: Site) -> None:
    async def known(request: Request) -> dict[str, str]:
        return {"client": exchange_of(request).client}

    from starlette.requests import Request  # noqa: PLC0415

    known.__annotations__["request"] = Request
    assert with_route(site, known).get("/test").json() == {"client": "192.0.2.1"}


def test_long_answers_at_a_time(site: Site) -> None:
    long = f"SELECT ?x {{ VALUES ?x {{ '{'x' * 60_000}' }} ?a ?b ?c . ?d ?e ?f }} LIMIT 10"
    assert len(site.query(long).content) > 2 * PIECE_BYTES
    size = len(site.query(long).content)
    enough = site.made(answers_bytes=2 * size)
    assert enough.query(long).status_code == 200
    assert enough.query(long).status_code == 200  # the first has given its room back
    scarce = site.made(answers_bytes=2 * size - 1)
    assert code(scarce.query(long)) == (503, "overloaded")
    assert scarce.get(ASK).status_code == 200


def test_what_is_read_for_a_list_has_an_end(site: Site) -> None:
    def found(pages: int, path: str) -> int:
        status: int = site.made(read_pages=pages).get(path).status_code
        return status

    for path in ("/v1/graphs", "/v1/assets", f"/v1/assets/{ual(0, 'air')}/history"):
        least = next(pages for pages in range(1, 100) if found(pages, path) == 200)
        assert least > 2
        assert code(site.made(read_pages=least - 1).get(path)) == (413, "limit-exceeded")
    assert found(least, "/v1/graphs?limit=1") == 200


def test_health_is_told_by_any_name(site: Site) -> None:
    assert site.get("/health", headers={"Host": "10.1.2.3:8900"}).status_code == 200
