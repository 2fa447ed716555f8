"""What goes wrong over HTTP: one shape (RFC 9457, `application/problem+json`) with stable codes.

    {"type": "urn:dkg:problem:query-invalid", "title": "The query is refused", "status": 400, "detail": "...",
     "code": "query-invalid", "request": "3f8a90c1", "retry_after": null}

A code keeps its meaning and its status for ever; `detail` is for people. docs/http.md lists all codes.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Final

from starlette.responses import Response

from dkg.client.database import FullError
from dkg.errors import BudgetError, InputError, LimitError, ProofError, QueryError, RdfError, StoreError
from node.assets.errors import AssetError
from node.serving import NoKeyError, OperationConflictError, UnknownMomentError, UnknownPublisherError
from node.workers.errors import (
    ClientQuotaError,
    JobMemoryError,
    JobTimeoutError,
    OverloadedError,
    ResultTooLargeError,
    UnacceptableError,
    WorkerCrashedError,
)

MEDIA_TYPE: Final = "application/problem+json"

_STORE_RETRY_SECONDS: Final = 5
_FULL_RETRY_SECONDS: Final = 60


class Code(Enum):
    """Every code, with its status and its title."""

    PARAMETER_INVALID = "parameter-invalid", 400, "A parameter is wrong"
    QUERY_INVALID = "query-invalid", 400, "The query is refused"
    RDF_INVALID = "rdf-invalid", 400, "The RDF is refused"
    REQUEST_MALFORMED = "request-malformed", 400, "This is no HTTP request"
    INPUT_INVALID = "input-invalid", 400, "The request is refused"
    UNAUTHORIZED = "unauthorized", 401, "A token is needed"
    FORBIDDEN = "forbidden", 403, "The token is not good for this"
    UPDATE_REFUSED = "update-refused", 403, "SPARQL Update is not served"
    NOT_FOUND = "not-found", 404, "There is nothing here"
    PUBLISHER_UNKNOWN = "publisher-unknown", 404, "The publisher is not known here"
    MOMENT_UNKNOWN = "moment-unknown", 404, "No root is kept of that moment"
    COMMIT_UNKNOWN = "commit-unknown", 404, "There is no such commit"
    ASSET_UNKNOWN = "asset-unknown", 404, "There is no such asset"
    OPERATION_UNKNOWN = "operation-unknown", 404, "There is no such operation"
    PAGE_UNKNOWN = "page-unknown", 404, "The page is not here"
    PROOF_UNKNOWN = "proof-unknown", 404, "No such proof is remembered"
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "The method is not for this"
    NOT_ACCEPTABLE = "not-acceptable", 406, "None of the formats that were asked for is given"
    REQUEST_TIMEOUT = "request-timeout", 408, "The request took too long to arrive"
    QUERY_TIMEOUT = "query-timeout", 408, "The query took too long"
    OPERATION_CONFLICT = "operation-conflict", 409, "The idempotency key was used for something else"
    NO_KEY = "no-key", 409, "The node does not hold the key"
    NO_MODEL = "no-model", 409, "The node has no language model"
    ASSET_RETRACTED = "asset-retracted", 410, "The asset was retracted"
    CLAIM_NOT_MET = "claim-not-met", 412, "The answer would claim less than was asked for"
    TOO_OLD = "too-old", 412, "The answer would be older than was asked for"
    NOT_CACHED = "not-cached", 412, "The page is not here"
    BODY_TOO_LARGE = "body-too-large", 413, "The body is too long"
    LIMIT_EXCEEDED = "limit-exceeded", 413, "Something is over its limit"
    QUERY_OVER_BUDGET = "query-over-budget", 413, "The query needs too much"
    QUERY_MEMORY = "query-memory", 413, "The query needs too much memory"
    RESULT_TOO_LARGE = "result-too-large", 413, "The result is too long"
    URL_TOO_LONG = "url-too-long", 414, "The URL is too long"
    MEDIA_TYPE_UNSUPPORTED = "media-type-unsupported", 415, "The body is of a type that is not read"
    HOST_REFUSED = "host-refused", 421, "The Host header names another machine"
    ASSET_REFUSED = "asset-refused", 422, "The asset cannot be published so"
    COMMIT_INVALID = "commit-invalid", 422, "The commit does not hold"
    RATE_LIMITED = "rate-limited", 429, "Too many requests"
    CLIENT_QUOTA = "client-quota", 429, "The client has used what it may use for now"
    HEADERS_TOO_LARGE = "headers-too-large", 431, "The header is too long"
    INTERNAL = "internal", 500, "Something went wrong in the node"
    DATA_DAMAGED = "data-damaged", 500, "The node's data is damaged"
    WORKER_CRASHED = "worker-crashed", 500, "The worker died of the query"
    OVERLOADED = "overloaded", 503, "Too much is going on"
    STORE_UNAVAILABLE = "store-unavailable", 503, "The node's store does not answer"
    NOT_READY = "not-ready", 503, "The node is not ready"
    MODEL_UNAVAILABLE = "model-unavailable", 503, "The language model does not answer"
    TIMEOUT = "timeout", 504, "The node took too long"
    STORAGE_FULL = "storage-full", 507, "The node has no room"

    def __init__(self, text: str, status: int, title: str) -> None:
        self.text = text
        self.status = status
        self.title = title


class Problem(Exception):  # noqa: N818 - what RFC 9457 calls it
    """A request that is not answered. `detail`: a sentence for whoever asked."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})

    def body(self, request: str) -> bytes:
        """The body. `request`: the id of the request."""
        return json.dumps(
            {
                "type": f"urn:dkg:problem:{self.code.text}",
                "title": self.code.title,
                "status": self.code.status,
                "detail": self.detail,
                "code": self.code.text,
                "request": request,
                "retry_after": self.retry_after_s,
            },
            ensure_ascii=False,
        ).encode(errors="replace")

    def response(self, request: str) -> Response:
        """The whole answer."""
        headers = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **self.headers}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        return Response(self.body(request), self.code.status, headers)


_OF_INPUT: Final[dict[type[Exception], Code]] = {
    UnknownPublisherError: Code.PUBLISHER_UNKNOWN,
    UnknownMomentError: Code.MOMENT_UNKNOWN,
    NoKeyError: Code.NO_KEY,
    OperationConflictError: Code.OPERATION_CONFLICT,
    UnacceptableError: Code.NOT_ACCEPTABLE,
    BudgetError: Code.QUERY_OVER_BUDGET,
    QueryError: Code.QUERY_INVALID,
    AssetError: Code.ASSET_REFUSED,
    LimitError: Code.LIMIT_EXCEEDED,
    RdfError: Code.RDF_INVALID,
    InputError: Code.INPUT_INVALID,
    JobTimeoutError: Code.QUERY_TIMEOUT,
    JobMemoryError: Code.QUERY_MEMORY,
    ResultTooLargeError: Code.RESULT_TOO_LARGE,
}
"""Errors whose sentence is about what the caller gave, so that the caller sees it."""

_OF_NODE: Final[dict[type[Exception], tuple[Code, int | None]]] = {
    WorkerCrashedError: (Code.WORKER_CRASHED, None),
    FullError: (Code.STORAGE_FULL, _FULL_RETRY_SECONDS),
    StoreError: (Code.STORE_UNAVAILABLE, _STORE_RETRY_SECONDS),
    ProofError: (Code.DATA_DAMAGED, None),
}
"""Errors whose sentence may name files and machines: the caller is told the code, and the log has the sentence."""


def problem_of(error: Exception) -> Problem:
    """What an error means to whoever asked."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OverloadedError):
        code = Code.CLIENT_QUOTA if isinstance(error, ClientQuotaError) else Code.OVERLOADED
        return Problem(code, str(error), retry_after_s=error.retry_after_s)
    for kind in type(error).__mro__:
        if kind in _OF_INPUT:
            return Problem(_OF_INPUT[kind], str(error))
        if kind in _OF_NODE:
            code, retry_after_s = _OF_NODE[kind]
            return Problem(code, f"{code.title}; its log has more", retry_after_s=retry_after_s)
    return Problem(Code.INTERNAL, f"{Code.INTERNAL.title}; its log has more")
