"""JSON-RPC 2.0: bytes of a request in, bytes of the answer out, one call at a time."""

from __future__ import annotations

import inspect
import json
import threading
from typing import TYPE_CHECKING, Any, Final

from node.devnet.errors import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_MAX: Final = 1000
"""Calls in one batch."""


class Dispatcher:
    """The methods of a chain behind one lock."""

    def __init__(self, methods: dict[str, Callable[..., Any]]) -> None:
        self._methods = methods
        self.lock = threading.Lock()

    def answer(self, body: bytes) -> bytes:
        """The answer to the body of a request; empty if all of it was notifications."""
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _encoded(_error(None, RpcError(PARSE_ERROR, "the request is no JSON")))
        if not isinstance(request, list):
            return _encoded(self._one(request))
        if not 0 < len(request) <= BATCH_MAX:
            return _encoded(_error(None, RpcError(INVALID_REQUEST, f"a batch has 1 to {BATCH_MAX} calls")))
        answers = [answer for call in request if (answer := self._one(call)) is not None]
        return _encoded(answers or None)

    def _one(self, call: object) -> dict[str, Any] | None:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _error(None, RpcError(INVALID_REQUEST, "a call is an object with a method and params"))
        number = call.get("id")
        try:
            result = self._result(call["method"], call.get("params", []))
        except RpcError as error:
            answer = _error(number, error)
        else:
            answer = {"jsonrpc": "2.0", "id": number, "result": result}
        return answer if "id" in call else None

    def _result(self, name: str, params: object) -> Any:  # noqa: ANN401 - JSON
        method = self._methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {name} does not exist on this development chain")
        if not isinstance(params, list):
            raise invalid("params must be an array")
        try:
            inspect.signature(method).bind(*params)
        except TypeError as error:
            raise invalid(f"{name}: {error}") from error
        with self.lock:
            return method(*params)


def _error(number: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": error.to_json()}


def _encoded(answer: object) -> bytes:
    return b"" if answer is None else json.dumps(answer, separators=(",", ":")).encode()
