"""From URLs to a reader of the chain."""

from __future__ import annotations

from contextlib import closing

import pytest

from dkg.client.chainread import RpcReader
from dkg.client.endpoints import reader_of
from dkg.client.quorum import ENDPOINTS_MAX, Quorum
from dkg.errors import InputError
from node.devnet.chain import devnet
from tests.chain.lies import dead, honest, wrong_chain_id
from tests.chain.proxy import proxy


def test_one_endpoint_is_asked_alone() -> None:
    with devnet() as chain, closing(reader_of([chain.url], 1)) as reader:
        assert isinstance(reader, RpcReader)
        assert (reader.chain_id(), reader.need) == (31337, 1)


def test_several_must_agree() -> None:
    with (
        devnet() as chain,
        proxy(chain.url, honest) as one,
        proxy(chain.url, dead()) as two,
        proxy(chain.url, wrong_chain_id()) as three,
        closing(reader_of([chain.url, one.url, two.url, three.url], 2)) as reader,
    ):
        assert isinstance(reader, Quorum)
        assert (reader.chain_id(), reader.need) == (31337, 2)
        assert [endpoint.name for endpoint in reader.endpoints] == [chain.url, one.url, two.url, three.url]


@pytest.mark.parametrize(
    "urls",
    [
        ["http://host:1/key-one", "http://host:1/key-two"],
        ["http://host", "http://HOST:80/"],
        ["https://host:443", "https://host./v3/0123456789"],
        ["http://one:secret@host", "http://two:secret@host"],
    ],
)
def test_one_endpoint_under_two_urls_is_one_witness(urls: list[str]) -> None:
    with pytest.raises(InputError, match="is named twice") as caught:
        reader_of(urls, 2)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("urls", "need", "reason"),
    [
        ([], 1, "--rpc URL"),
        (["http://host"], 2, "2 of 1 endpoints cannot agree"),
        (["http://a", "http://b"], 3, "3 of 2 endpoints cannot agree"),
        (["http://a", "http://b"], 0, "0 of 2 endpoints cannot agree"),
        ([f"http://host{n}" for n in range(ENDPOINTS_MAX + 1)], 1, f"between 1 and {ENDPOINTS_MAX}"),
        (["http://a", "nonsense"], 1, "is a URL like"),
    ],
)
def test_endpoints_that_cannot_be_are_refused(urls: list[str], need: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        reader_of(urls, need)
