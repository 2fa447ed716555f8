"""The OpenAPI document: what FastAPI makes of the routes, completed with what all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from node.http.problems import MEDIA_TYPE, Code
from node.http.shapes import ProblemShape

if TYPE_CHECKING:
    from fastapi import FastAPI

TITLE: Final = "A node of a decentralized knowledge graph"
DESCRIPTION: Final = """\
SPARQL over the datasets of publishers who sign what they say, with answers that can be verified against a chain.
Errors are `application/problem+json` (RFC 9457) with a stable `code`."""

_PROBLEM_REF: Final = "#/components/schemas/ProblemShape"
_METHODS: Final = ("get", "post", "put", "delete")

Json = dict[str, Any]


def openapi(app: FastAPI) -> Json:
    """The document; made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=TITLE,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            license_info={"name": "Apache-2.0"},
        )
        _complete(found)
        app.openapi_schema = found
    return app.openapi_schema


def _complete(document: Json) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which are problems here
        schemas.pop(name, None)
    schemas["ProblemShape"] = ProblemShape.model_json_schema()
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of this node, with scopes."}
    }
    components["responses"] = _problem_responses()
    for operations in document["paths"].values():
        for method in _METHODS:
            if method in operations:
                _complete_operation(operations[method])
        if "get" in operations:
            operations["head"] = _head(operations["get"])


def _complete_operation(operation: Json) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    secured = "security" in operation
    statuses = {code.status for code in Code} - (set() if secured else {401, 403})
    if operation["operationId"] in {"query", "query_by_post"}:
        statuses.add(403)
    if operation["operationId"] in {"peers", "sign_in", "query", "query_by_post"}:
        statuses.add(401)
    for status in sorted(statuses):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    responses["200" if "200" in responses else "202"].setdefault("headers", {})["X-Request-Id"] = {
        "schema": {"type": "string"},
        "description": "The request's id: as it was given, or a new one.",
    }


def _problem_responses() -> Json:
    """For each status, the problems that have it."""
    found: Json = {}
    for status in sorted({code.status for code in Code}):
        codes = [code for code in Code if code.status == status]
        example = codes[0]
        found[str(status)] = {
            "description": "; ".join(f"`{code.text}`: {code.title}" for code in codes),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": _PROBLEM_REF},
                    "example": {
                        "type": f"urn:dkg:problem:{example.text}",
                        "title": example.title,
                        "status": status,
                        "detail": "A sentence that says what was wrong, and what to do.",
                        "code": example.text,
                        "request": "3f8a90c1d2e4b576",
                        "retry_after": None,
                    },
                }
            },
        }
    return found


def _head(get: Json) -> Json:
    """HEAD is GET without a body."""
    found = {**get, "operationId": f"{get['operationId']}_head"}
    found["responses"] = {
        status: {key: value for key, value in response.items() if key != "content"}
        if "$ref" not in response
        else {"description": "As GET, without a body."}
        for status, response in get["responses"].items()
    }
    return found
