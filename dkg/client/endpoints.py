"""From URLs to a reader of the chain: one endpoint, or several that must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.client.chainread import RpcReader
from dkg.client.quorum import Quorum
from dkg.client.rpc import HttpRpc
from dkg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.client.chainread import ChainReader


def reader_of(urls: Sequence[str], need: int) -> ChainReader:
    """A reader over the endpoints with these URLs, of which `need` must agree. Close it after use.

    Raises `InputError`: for a URL that is none, for one endpoint (host and port) given twice, and where `need` cannot
    be met.
    """
    if not urls:
        raise InputError("name an endpoint of the chain: --rpc URL")
    readers = [RpcReader(HttpRpc(url)) for url in urls]
    if len(readers) == need == 1:
        return readers[0]
    return Quorum([(reader.name, reader) for reader in readers], need)
