"""A peer node over HTTP, as a device asks it for proofs and pages. Nothing that it sends is believed: it is checked.

What a node may take, in time and in bytes, is bounded.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlencode, urlsplit

from dkg.chain.secp import address_from_text
from dkg.client.files import decompress, proof_file_bytes_max
from dkg.client.wire import TooLongError, Wire
from dkg.errors import InputError, StoreError
from dkg.evaluate import ALL_GRAPHS
from dkg.limits import DEFAULT_BUDGET
from dkg.page import PAGE_BYTES_MAX, cid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg.checkpoints.answer import Parts
    from dkg.client.wire import Reply
    from dkg.evaluate import Dataset
    from dkg.limits import Budget

TIMEOUT_S: Final = 60.0
"""Time for one exchange with a node, in seconds, connecting included: a proof may take a while."""

LISTED: Final = 1_000
"""Publishers that are asked for at a time."""

LIST_BYTES_MAX: Final = 4 * 1024 * 1024
"""Longest part of a list that is read, in bytes."""

DETAIL_CHARS: Final = 500
"""Most that is shown of why a node refuses something, in characters."""

_OK: Final = 200
_LACKS: Final = frozenset({404, 410, 412})
_BUSY: Final = 429
_FAULTS: Final = 500
_ZSTD: Final = "application/vnd.ipld.car+zstd"
_RAW: Final = "application/vnd.ipld.raw"
_FORM: Final = "application/x-www-form-urlencoded"


class NodeLacksError(StoreError):
    """The node does not have what was asked for, or not yet."""


class Node:
    """One node. Keeps a connection; for one thread at a time. Close it after use."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic) -> None:
        """`url`: like http://127.0.0.1:8900. Raises `InputError` if it is none."""
        self.name, self._path, host, port = parts_of(url)
        self._timeout, self._clock = timeout_s, clock
        self._wire = Wire(host, port, secure=self.name.startswith("https:"), clock=clock, ended=threading.Event())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def prove(
        self,
        query: str,
        parts: Parts,
        *,
        origins: bool = False,
        dataset: Dataset = ALL_GRAPHS,
        budget: Budget = DEFAULT_BUDGET,
        base_iri: str | None = None,
        now: str | None = None,
    ) -> bytes:
        """A proof (a CAR file) over a checkpoint and the datasets beside it, as the node gives it.

        Arguments as for `dkg.checkpoints.answer.prove_joint`.
        Raises `NodeLacksError`, `InputError` for a query that it refuses, `ProofError` for what is no proof by its
        length or form, and `StoreError`.
        """
        fields = [("query", query), ("min_claim", "L2"), ("at", f"root:{cid_text(parts.union)}")]
        if origins:
            fields.append(("origins", "true"))
        for publisher, root in sorted(parts.beside.items()):
            fields.append(("beside", f"0x{publisher.hex()}:{'' if root is None else cid_text(root)}"))
        for name, graphs in (
            ("default-graph-uri", dataset.default_graphs),
            ("named-graph-uri", dataset.named_graphs),
        ):
            fields += [(name, graph[1:-1].decode()) for graph in graphs or ()]
        fields += [(name, value) for name, value in (("base", base_iri), ("now", now)) if value is not None]
        most = proof_file_bytes_max(budget)
        headers = {"Accept": _ZSTD, "Content-Type": _FORM}
        form = urlencode(fields, errors="surrogatepass")  # what is no UTF-8 is for the node to refuse
        reply = self._asked("/sparql", headers, most, form.encode())
        return decompress(reply.body, most)

    def page(self, cid: bytes) -> bytes | None:
        """A page, not checked; None if the node does not have it. Raises `StoreError`."""
        try:
            return self._asked(f"/ipfs/{cid_text(cid)}?format=raw", {"Accept": _RAW}, PAGE_BYTES_MAX).body
        except NodeLacksError:
            return None

    def publishers(self, most: int) -> list[bytes]:
        """Addresses of publishers that the node knows, up to so many. Raises `StoreError`."""
        found: list[bytes] = []
        while len(found) < most:
            after = f"&after=0x{found[-1].hex()}" if found else ""
            path = f"/v1/publishers?limit={min(LISTED, most - len(found))}{after}"
            reply = self._asked(path, {"Accept": "application/json"}, LIST_BYTES_MAX)
            try:
                told = json.loads(reply.body)
                some = [address_from_text(str(one["address"])) for one in told["items"]]
                is_last = not told["next"]
            except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
                raise StoreError(f"{self.name} does not list publishers as a node does") from error
            if found and some and some[0] <= found[-1]:
                raise StoreError(f"{self.name} lists publishers that it has listed before")
            found += some
            if is_last or not some:
                break
        return found[:most]

    def _asked(self, path: str, headers: Mapping[str, str], most: int, body: bytes | None = None) -> Reply:
        target, deadline = self._path + path, self._clock() + self._timeout
        fields = {"Accept-Encoding": "identity", "User-Agent": "dkg", **headers}

        def exchange() -> Reply:
            if body is None:
                return self._wire.get(target, fields, bytes_max=most, deadline=deadline)
            return self._wire.post(target, body, fields, bytes_max=most, deadline=deadline)

        was_open = self._wire.is_open
        try:
            try:
                reply = exchange()
            except (ConnectionError, http.client.HTTPException):
                if not was_open:
                    raise
                reply = exchange()  # the node had closed it meanwhile
        except TooLongError:
            raise StoreError(f"{self.name} sends more than {most} bytes, which is all that is accepted") from None
        except (OSError, http.client.HTTPException) as error:
            reason = "it takes too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise StoreError(f"{self.name} does not answer: {reason}") from error
        if reply.status != _OK:
            raise self._refusal(reply)
        return reply

    def _refusal(self, reply: Reply) -> StoreError | InputError:
        try:
            detail = str(json.loads(reply.body)["detail"])[:DETAIL_CHARS]
        except (ValueError, KeyError, TypeError, RecursionError):
            detail = ""
        said = f"{self.name} refuses it (HTTP {reply.status})" + (f": {detail}" if detail else "")
        if reply.status in _LACKS:
            return NodeLacksError(said)
        return StoreError(said) if reply.status == _BUSY or reply.status >= _FAULTS else InputError(said)


def parts_of(url: str) -> tuple[str, str, str, int | None]:
    """A node's URL as name, path, host and port. Raises `InputError` if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("the node's URL is none: its host or its port cannot be read") from None
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        raise InputError("the URL of a node is like http://127.0.0.1:9000, without user, query and fragment")
    name = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{port}" if port else "")
    return name, parts.path.rstrip("/"), host, port
