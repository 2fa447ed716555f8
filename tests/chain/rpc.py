"""A JSON-RPC handle for tests: it asks, and fails loudly. The project's own client is `dkg.client.rpc`."""

from __future__ import annotations

import http.client
import itertools
import json
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit


class RpcFailure(Exception):  # noqa: N818 - an answer, not a fault of the test
    """An error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: str | None = error.get("data")


class Rpc:
    """Calls to one endpoint, each over a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count(1)

    def __call__(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """The result of a call; raises `RpcFailure`."""
        status, body = self.post(self.request(method, *params))
        assert status == 200, f"{method}: HTTP {status}"
        answer = json.loads(body)
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def request(self, method: str, *params: object) -> bytes:
        """The body of a call."""
        call = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(params)}
        return json.dumps(call).encode()

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of an answer."""
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc)) as connection:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
