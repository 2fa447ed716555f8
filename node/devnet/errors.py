"""The errors of JSON-RPC, with the codes that Ethereum's clients use."""

from __future__ import annotations

from typing import Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
SERVER_ERROR: Final = -32000
TRANSACTION_REJECTED: Final = -32003
REVERTED: Final = 3


class RpcError(Exception):
    """An answer that is an error object; `data` goes with it if it is not None."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_json(self) -> dict[str, object]:
        """The error object."""
        plain: dict[str, object] = {"code": self.code, "message": str(self)}
        return plain if self.data is None else plain | {"data": self.data}


def invalid(message: str) -> RpcError:
    """Parameters that make no sense."""
    return RpcError(INVALID_PARAMS, message)


def rejected(message: str) -> RpcError:
    """A transaction that the pool does not take."""
    return RpcError(TRANSACTION_REJECTED, message)
