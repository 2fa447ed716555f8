"""JSON-RPC against endpoints that are dead, slow, busy, broken or hostile (row B4; the client's side of C5)."""

from __future__ import annotations

import json
import threading
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.client.rpc import (
    ANSWER_BYTES_MAX,
    ATTEMPTS,
    BACKOFF_S,
    JSON_VALUES_MAX,
    RETRY_AFTER_MAX_S,
    ChainError,
    HttpRpc,
    RpcAnswerError,
    RpcRefusedError,
    RpcTooLongError,
    RpcUnavailableError,
    Waiting,
)
from dkg.errors import InputError
from node.devnet.chain import devnet
from tests.chain.lies import FAULTS, busy, dead, first, half_a_response, honest, refused
from tests.chain.proxy import Proxy, proxy, unreachable
from tests.chain.raw import Caller, RawServer, answering, http, raw_server, replying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.chain.proxy import Rule

NO_WAIT = Waiting(sleep=lambda _seconds: None)
ONE = b'{"jsonrpc":"2.0","id":1,"result":"one"}'
TWO = b'{"jsonrpc":"2.0","id":2,"result":"two"}'


@pytest.fixture(scope="module")
def chain() -> Iterator[str]:
    with devnet() as running:
        yield running.url


@pytest.fixture(scope="module")
def between(chain: str) -> Iterator[Proxy]:
    with proxy(chain, honest) as running:
        yield running


@pytest.fixture
def endpoint(between: Proxy) -> Iterator[Proxy]:
    between.calls.clear()
    yield between
    between.rule = honest


class Slept:
    """A sleep that takes no time, and a random that is what it is told."""

    def __init__(self, random: float = 0.0) -> None:
        self.seconds: list[float] = []
        self.waiting = Waiting(sleep=self.seconds.append, random=lambda: random)


def ticking(step: float = 1.0) -> Waiting:
    """A clock that goes on whenever it is looked at: whoever reads on and on runs out of time."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    return Waiting(clock=clock, sleep=lambda _seconds: None)


def asked(url: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
    """The answer to one call."""
    with HttpRpc(url, waiting=options.pop("waiting", NO_WAIT), **options) as rpc:
        return rpc.call("eth_chainId")


# --- what works ----------------------------------------------------------------------------------------------------


def test_calls_are_answered_over_one_connection() -> None:
    with raw_server(answering(http(ONE), http(TWO))) as server, HttpRpc(server.url) as rpc:
        assert [rpc.call("a", ["x"]), rpc.call("b")] == ["one", "two"]
        assert (server.connections, rpc.requests) == (1, 2)
        sent = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        assert sent == {"jsonrpc": "2.0", "id": 1, "method": "a", "params": ["x"]}
        assert rpc.bytes_read == len(http(ONE) + http(TWO))


def test_a_closed_client_opens_again_when_it_is_asked(chain: str) -> None:
    with HttpRpc(chain) as rpc:
        assert rpc.call("eth_chainId") == "0x7a69"
        rpc.close()
        assert rpc.call("eth_chainId") == "0x7a69"


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with raw_server(replying(1)) as server, HttpRpc(server.url, attempts=1) as rpc:
        assert [rpc.call("a"), rpc.call("b"), rpc.call("c")] == ["a", "b", "c"]
        assert server.connections == 3


def test_what_may_be_sent_once_only_is_not_sent_again_on_a_new_connection() -> None:
    def serve(caller: Caller) -> None:
        while caller.request():
            if b'"send"' in caller.owner.requests[-1]:
                return  # taken, and no answer
            caller.send(http(ONE))

    with raw_server(serve) as server, HttpRpc(server.url, waiting=NO_WAIT) as rpc:
        rpc.call("a")
        with pytest.raises(RpcUnavailableError):
            rpc.call("send", retry=False)
        assert sum(b'"send"' in request for request in server.requests) == 1


# --- dead, busy, flaky ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("random", "share"), [(0.0, 1.0), (1.0, 0.5), (0.5, 0.75)])
def test_a_dead_endpoint_is_tried_with_growing_waits_and_jitter(random: float, share: float) -> None:
    slept = Slept(random)
    with pytest.raises(RpcUnavailableError, match="does not answer eth_chainId: Connection refused"):
        asked(unreachable(), waiting=slept.waiting)
    assert slept.seconds == [BACKOFF_S * 2**n * share for n in range(ATTEMPTS - 1)]


@pytest.mark.parametrize("bad", range(1, ATTEMPTS))
@pytest.mark.parametrize("fault", [dead, half_a_response, busy])
def test_an_endpoint_that_comes_back_in_time_is_answered(endpoint: Proxy, fault: Callable[[], Rule], bad: int) -> None:
    endpoint.rule = first(bad, fault())
    assert asked(endpoint.url) == "0x7a69"


@pytest.mark.parametrize("fault", [dead, half_a_response, busy])
def test_a_reconnect_storm_is_bounded(endpoint: Proxy, fault: Callable[[], Rule]) -> None:
    endpoint.rule = fault()
    slept = Slept()
    with pytest.raises(RpcUnavailableError):
        asked(endpoint.url, waiting=slept.waiting)
    assert (len(endpoint.calls), len(slept.seconds)) == (ATTEMPTS, ATTEMPTS - 1)


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        ("7", 7.0),
        ("10", RETRY_AFTER_MAX_S),
        ("11", RETRY_AFTER_MAX_S),
        ("inf", RETRY_AFTER_MAX_S),
        ("0", BACKOFF_S),
        ("-5", BACKOFF_S),
        ("nan", BACKOFF_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", BACKOFF_S),
        ("", BACKOFF_S),
    ],
)
def test_a_busy_endpoint_is_given_the_time_that_it_asks_for_within_bounds(
    endpoint: Proxy, said: str, waited: float
) -> None:
    endpoint.rule = first(1, busy(said))
    slept = Slept()
    assert asked(endpoint.url, waiting=slept.waiting) == "0x7a69"
    assert slept.seconds == [waited]


# --- slow: nothing outlasts the deadline ---------------------------------------------------------------------------


def test_a_silent_endpoint_is_left_at_the_deadline(endpoint: Proxy) -> None:
    endpoint.rule = FAULTS["slow"]()
    with pytest.raises(RpcUnavailableError, match="it takes too long"):
        asked(endpoint.url, timeout_s=0.05, attempts=1)


def test_a_slow_answer_is_not_asked_for_again_on_the_spot(endpoint: Proxy) -> None:
    with HttpRpc(endpoint.url, timeout_s=0.05, attempts=1) as rpc:
        rpc.call("eth_chainId")
        endpoint.rule = FAULTS["slow"]()
        with pytest.raises(RpcUnavailableError, match="it takes too long"):
            rpc.call("eth_chainId")
        assert rpc.requests == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRICKLES = {
    "status line": (b"", b"H"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "size of a chunk": (CHUNKED, b"0"),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: x\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b" "),
    "body without end": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.parametrize("where", TRICKLES)
def test_a_trickle_ends_at_the_deadline_wherever_it_is(where: str) -> None:
    start, again = TRICKLES[where]

    def serve(caller: Caller) -> None:
        caller.request()
        caller.send(start)
        caller.for_ever(again)

    # The clock ticks a second at each read: 20 reads of a few bytes, and it is over.
    with raw_server(serve) as server, pytest.raises(RpcUnavailableError):
        asked(server.url, waiting=ticking(), attempts=1, bytes_max=10**9)


def test_a_host_with_many_addresses_gets_no_more_time_than_one_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(unreachable().rpartition(":")[2])
    tried: list[int] = []

    def many(_host: str, _port: int, **_options: object) -> Iterator[tuple[int, int, int, str, tuple[str, int]]]:
        for number in range(1000):
            tried.append(number)
            yield 2, 1, 6, "", ("127.0.0.1", port)

    monkeypatch.setattr("dkg.client.wire.socket.getaddrinfo", many)
    with pytest.raises(RpcUnavailableError, match="it takes too long"):
        asked("http://many.example", waiting=ticking(5.0), attempts=1, timeout_s=20.0)
    monkeypatch.undo()
    assert len(tried) == 1000  # looking costs nothing; connecting was tried until the time was over


def asked_in_a_thread(rpc: HttpRpc) -> tuple[threading.Thread, list[ChainError]]:
    """A call that another thread makes, and what becomes of it."""
    caught: list[ChainError] = []

    def ask() -> None:
        try:
            rpc.call("eth_chainId")
        except ChainError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, caught


def test_closing_wakes_whoever_waits_for_an_answer() -> None:
    asked = threading.Event()

    def serve(caller: Caller) -> None:
        caller.request()
        asked.set()
        caller.wait()

    with raw_server(serve) as server, HttpRpc(server.url) as rpc:
        thread, caught = asked_in_a_thread(rpc)
        asked.wait()
        rpc.close()
        thread.join()
        assert (type(caught[0]), rpc.requests) == (RpcUnavailableError, 1)


def test_closing_ends_the_wait_for_another_attempt() -> None:
    asleep = threading.Event()

    def random() -> float:
        asleep.set()
        return -1e9  # an hour, and more with each attempt

    with HttpRpc(unreachable(), waiting=Waiting(random=random)) as rpc:
        thread, caught = asked_in_a_thread(rpc)
        asleep.wait()
        rpc.close()
        thread.join()
    assert isinstance(caught[0], RpcUnavailableError)


# --- too much ------------------------------------------------------------------------------------------------------


def test_an_answer_is_read_up_to_the_limit_and_not_one_byte_more() -> None:
    most = 1000
    with raw_server(answering(http(ONE.ljust(most)))) as server:
        assert asked(server.url, bytes_max=most) == "one"
    with raw_server(answering(http(ONE.ljust(most + 1)))) as server, pytest.raises(RpcTooLongError, match="1000 bytes"):
        asked(server.url, bytes_max=most)


def test_a_call_can_have_a_limit_of_its_own(chain: str) -> None:
    with HttpRpc(chain) as rpc, pytest.raises(RpcTooLongError, match="longer than 10 bytes"):
        rpc.call("eth_chainId", bytes_max=10)


def test_an_endless_answer_is_cut_and_not_asked_for_again(endpoint: Proxy) -> None:
    endpoint.rule = FAULTS["endless body"]()
    with HttpRpc(endpoint.url, bytes_max=100_000) as rpc:
        with pytest.raises(RpcTooLongError):
            rpc.call("eth_chainId")
        assert rpc.bytes_read < 400_000
    assert len(endpoint.calls) == 1


def test_a_length_that_lies_is_not_believed() -> None:
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**15
    with raw_server(answering(huge + ONE)) as server, pytest.raises(RpcUnavailableError):
        asked(server.url, attempts=1)


def test_an_answer_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    def body(values: int) -> bytes:
        start = b'{"jsonrpc":"2.0","id":1,"result":['  # two brackets, two commas
        return start + b",".join([b"0"] * (values - 3)) + b"]}"

    assert len(body(JSON_VALUES_MAX)) < ANSWER_BYTES_MAX
    with raw_server(answering(http(body(JSON_VALUES_MAX)))) as server:
        assert len(asked(server.url)) == JSON_VALUES_MAX - 3
    with (
        raw_server(answering(http(body(JSON_VALUES_MAX + 1)))) as server,
        pytest.raises(RpcTooLongError, match="values"),
    ):
        asked(server.url)


# --- no answers ----------------------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "half of it": ONE[:-1],
    "two": ONE + ONE,
    "a list": b"[" + ONE + b"]",
    "a string": b'"one"',
    "no UTF-8": ONE.replace(b"one", b"\xff"),
    "another id": TWO,
    "id as text": b'{"jsonrpc":"2.0","id":"1","result":"one"}',
    "id as float": b'{"jsonrpc":"2.0","id":1.0,"result":"one"}',
    "id as bool": b'{"jsonrpc":"2.0","id":true,"result":"one"}',
    "no id": b'{"jsonrpc":"2.0","result":"one"}',
    "null id": b'{"jsonrpc":"2.0","id":null,"result":"one"}',
    "error of another call": b'{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"x"}}',
    "name twice": b'{"jsonrpc":"2.0","id":1,"result":"one","result":"two"}',
    "name twice inside": b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}',
    "NaN": b'{"jsonrpc":"2.0","id":1,"result":NaN}',
    "Infinity": b'{"jsonrpc":"2.0","id":1,"result":-Infinity}',
    "number of 5000 digits": b'{"jsonrpc":"2.0","id":1,"result":%s}' % (b"9" * 5000),
    "no result": b'{"jsonrpc":"2.0","id":1}',
    "error that is no object": b'{"jsonrpc":"2.0","id":1,"error":"x","result":"one"}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_answer_is_refused_and_not_asked_for_again(name: str) -> None:
    with raw_server(answering(http(BODIES[name]))) as server:
        with pytest.raises(RpcAnswerError):
            asked(server.url)
        assert len(server.requests) == 1


def test_an_answer_too_many_is_not_the_answer_to_the_next_question() -> None:
    with raw_server(answering(http(b"[]") + http(TWO), http(TWO))) as server, HttpRpc(server.url) as rpc:
        with pytest.raises(RpcAnswerError):
            rpc.call("a")
        with pytest.raises(RpcAnswerError):
            rpc.call("b")  # on a new connection, whose first answer is no object again
        assert server.connections == 2


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"slow", "trickle", "refused", "endless body"}))
def test_every_fault_of_an_endpoint_is_a_chain_error(endpoint: Proxy, fault: str) -> None:
    endpoint.rule = FAULTS[fault]()
    with pytest.raises(ChainError):
        asked(endpoint.url)


@given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", CHUNKED, http(b"")[:-2]]))
def test_arbitrary_bytes_are_a_chain_error(data: bytes, start: bytes) -> None:
    with raw_server(answering(start + data)) as server, pytest.raises(ChainError):
        asked(server.url, attempts=1, timeout_s=5.0)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = st.fixed_dictionaries(
    {}, optional={"id": st.just(1) | JSON_VALUES, "error": JSON_VALUES, "result": JSON_VALUES, "jsonrpc": JSON_VALUES}
)


@given(JSON_VALUES | ANSWERS)
@settings(max_examples=settings().max_examples * 2)
def test_arbitrary_json_is_a_result_or_a_chain_error(answer: object) -> None:
    with raw_server(answering(http(json.dumps(answer).encode()))) as server:
        try:
            found = asked(server.url, attempts=1)
        except ChainError:
            return
    assert isinstance(answer, dict)
    assert found == answer["result"]


# --- statuses ------------------------------------------------------------------------------------------------------


def test_an_error_object_is_a_refusal_whatever_the_status(endpoint: Proxy) -> None:
    error = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"slow down"}}'
    for status in ("200 OK", "400 Bad Request", "500 Internal Server Error"):
        with (
            raw_server(answering(http(error, status))) as server,
            pytest.raises(RpcRefusedError, match=r"slow down \(code -32005\)") as caught,
        ):
            asked(server.url)
        assert (caught.value.code, caught.value.is_unknown_method) == (-32005, False)
    endpoint.rule = refused()
    with pytest.raises(RpcRefusedError) as caught:
        asked(endpoint.url)
    assert caught.value.is_unknown_method


@pytest.mark.parametrize("code", ['"-32601"', "true", "1.5", "null", "{}", str(10**30)])
def test_codes_that_are_no_codes_are_none(code: str) -> None:
    body = b'{"id":1,"error":{"code":%s,"message":{"a":1}}}' % code.encode()
    with raw_server(answering(http(body))) as server, pytest.raises(RpcRefusedError) as caught:
        asked(server.url)
    assert not caught.value.is_unknown_method


@pytest.mark.parametrize("status", ["201 Created", "302 Found", "307 Temporary Redirect", "404 Not Found", "500 No"])
def test_a_result_with_another_status_is_refused(status: str) -> None:
    with raw_server(answering(http(ONE, status, b"Location: /\r\n"))) as server, pytest.raises(RpcAnswerError):
        asked(server.url)


def test_redirects_are_not_followed(endpoint: Proxy) -> None:
    with raw_server(answering(http(ONE))) as elsewhere:
        moved = http(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}/\r\n".encode())
        with raw_server(answering(moved)) as server, pytest.raises(RpcAnswerError, match="HTTP 307"):
            asked(server.url)
        assert elsewhere.connections == 0
    assert endpoint.calls == []


def test_a_compressed_answer_is_refused() -> None:
    answer = http(ONE, headers=b"Content-Encoding: gzip\r\n")
    with raw_server(answering(answer)) as server, pytest.raises(RpcAnswerError, match="compressed"):
        asked(server.url)


# --- secrets -------------------------------------------------------------------------------------------------------

KEY, PASSWORD, TOKEN = "0123456789abcdefKEY", "pass%2Fw0rd", "tok en-9876543210".replace(" ", "%20")


def secret_url(url: str) -> str:
    return url.replace("http://", f"http://user:{PASSWORD}@") + f"/v3/{KEY}/?token={TOKEN}&v=2"


def shown(error: BaseException, rpc: object) -> str:
    """All that a log could have of it."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(rpc)


def assert_no_secret(text: str) -> None:
    for secret in (KEY, PASSWORD, "pass/w0rd", TOKEN, "tok en-9876543210", "dXNlcjpwYXNzL3cwcmQ="):
        assert secret not in text


def test_credentials_are_sent() -> None:
    with raw_server(answering(http(ONE))) as server:
        asked(secret_url(server.url))
        head = server.requests[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(f"POST /v3/{KEY}/?token={TOKEN}&v=2 HTTP/1.1\r\n".encode())
    assert b"Authorization: Basic dXNlcjpwYXNzL3cwcmQ=" in head  # of user:pass/w0rd


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"slow", "trickle", "endless body"}))
def test_no_fault_shows_the_credentials(endpoint: Proxy, fault: str) -> None:
    endpoint.rule = FAULTS[fault]()
    with HttpRpc(secret_url(endpoint.url), waiting=NO_WAIT) as rpc:
        assert rpc.name == endpoint.url
        with pytest.raises(ChainError) as caught:
            rpc.call("eth_chainId")
        assert_no_secret(shown(caught.value, rpc))


def test_credentials_that_the_endpoint_repeats_are_not_shown(endpoint: Proxy) -> None:
    said = f"no project {KEY}, user Basic dXNlcjpwYXNzL3cwcmQ= pass/w0rd {PASSWORD} tok en-9876543210 {TOKEN}"
    endpoint.rule = refused(-32000, said)
    with HttpRpc(secret_url(endpoint.url)) as rpc, pytest.raises(RpcRefusedError, match="no project …") as caught:
        rpc.call("eth_chainId")
    assert_no_secret(shown(caught.value, rpc))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8545",
        f"ftp://user:{KEY}@host",
        "http://",
        f"http://:{KEY}@",
        f"http://host:{KEY}",
        "http://host:0",
        "http://host:65536",
        f"http://[{KEY}",
        f"http://user:{KEY}@ho\u2100st",
        f"http://host/{KEY}\u00e9",
        f"http://host/{KEY} x",
        f"http://host/{KEY}\r\nX: y",
        f"http://host/{KEY}\x00",
        f"http://{'a' * 64}.example/{KEY}",
        f"http://a..b/{KEY}",
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="endpoint") as caught:
        HttpRpc(url)
    assert KEY not in shown(caught.value, None)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://host", "http://host"),
        ("http://HOST:80/a", "http://host"),
        ("https://host.:443", "https://host"),
        ("https://host:80", "https://host:80"),
        ("http://[::1]:8545/a", "http://[::1]:8545"),
        ("http://user:password@127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_an_endpoint_has_one_name_however_its_url_is_written(url: str, name: str) -> None:
    assert HttpRpc(url).name == name


def test_what_an_endpoint_says_cannot_act_on_a_terminal(endpoint: Proxy) -> None:
    endpoint.rule = refused(-32000, "\x1b]0;owned\x07\x1b[2Jno\u202e\ud800\n" + "x" * 1000)
    with pytest.raises(RpcRefusedError) as caught:
        asked(endpoint.url)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    import ipaddress  # noqa: PLC0415 - for these tests only

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def secured(certificate: Path) -> Iterator[RawServer]:
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with raw_server(answering(http(ONE), http(TWO)), context) as server:
        yield server


def test_an_endpoint_whose_certificate_is_vouched_for_is_asked(
    secured: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HttpRpc(secured.url) as rpc:
        assert [rpc.call("a"), rpc.call("b")] == ["one", "two"]


def test_an_endpoint_whose_certificate_nobody_vouches_for_is_refused(secured: RawServer) -> None:
    with pytest.raises(RpcUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        asked(secured.url, attempts=1)
    assert secured.requests == []


def test_a_handshake_that_is_never_answered_ends_at_the_deadline() -> None:
    with raw_server(lambda caller: caller.wait()) as server, pytest.raises(RpcUnavailableError, match="too long"):
        asked(server.url.replace("http:", "https:"), timeout_s=0.05, attempts=1)
