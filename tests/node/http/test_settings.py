"""Settings: what makes no sense is refused before anything listens."""

from __future__ import annotations

from typing import Any

import pytest

from dkg.errors import InputError
from node.http import HttpSettings
from node.http.settings import LOOPBACK_NAMES, host_name, is_loopback


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65_536},
        {"url_bytes": 0},
        {"requests_per_s": -1.0},
        {"stop_seconds": 0},
        {"origins": ("https://a.example/path",)},
        {"origins": ("a.example",)},
        {"public_url": "https://a.example/"},
        {"public_url": "ftp://a.example"},
        {"trusted_proxies": ("10.0.0.1/8",)},
        {"trusted_proxies": ("proxy",)},
    ],
)
def test_what_makes_no_sense(wrong: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError):
        HttpSettings(**wrong)


def test_by_default_nobody_else_can_ask() -> None:
    assert is_loopback(HttpSettings().host)
    assert HttpSettings().host_names() == LOOPBACK_NAMES
    assert (HttpSettings().origins, HttpSettings().tokens, HttpSettings().open_metrics) == ((), (), False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": "0.0.0.0"}, None),
        ({"host": "0.0.0.0", "hosts": ("kg.example",)}, {"kg.example"}),
        ({"host": "::", "hosts": (), "public_url": "https://KG.example:8443"}, {"kg.example"}),
        ({"hosts": ("kg.example",)}, {"kg.example", "localhost", "127.0.0.1", "::1"}),
        ({"public_url": "https://kg.example"}, {"kg.example", "localhost", "127.0.0.1", "::1"}),
    ],
)
def test_the_names_that_are_answered(given: Any, expected: set[str] | None) -> None:  # noqa: ANN401
    assert HttpSettings(**given).host_names() == expected


@pytest.mark.parametrize(
    ("header", "name"),
    [("KG.example:80", "kg.example"), ("127.0.0.1", "127.0.0.1"), ("[::1]:8900", "::1"), ("", "")],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback(host: str, expected: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is expected
