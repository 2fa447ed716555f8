"""Errors: one shape over every route, stable codes, all in docs/http.md, and nothing private in them."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dkg
import node.serving
from dkg.client.database import FullError
from dkg.errors import DkgError
from node.assets.errors import AssetError, IntegrityError, ShapesError
from node.http import Code, HttpSettings, Problem
from node.http.problems import problem_of
from node.http.shapes import ProblemShape
from node.storage import QuotaError
from node.workers import errors as workers

if TYPE_CHECKING:
    from tests.node.http.conftest import Site

DOCUMENT = Path(__file__).parents[3] / "docs" / "http.md"


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page."""
    _, _, rest = DOCUMENT.read_text().partition(f"\n## {heading}\n")
    section = rest.partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_page_has_every_code_with_its_status() -> None:
    assert [(name.strip("`"), int(status)) for name, status, _ in rows("Problems")] == [
        (code.text, code.status) for code in Code
    ]


def test_the_page_has_every_setting_with_its_default() -> None:
    shown = {name.strip("`"): default.strip("`") for name, default, _ in rows("Limits and settings")}
    assert list(shown) == [field.name for field in fields(HttpSettings)]
    settings = HttpSettings()
    for name, default in shown.items():
        value = getattr(settings, name)
        if value not in ((), None):
            assert default == str(value), name


def test_codes_are_told_apart() -> None:
    assert len({code.text for code in Code}) == len(Code)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code.text) for code in Code)


# --- what errors mean --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (dkg.QueryError("x"), Code.QUERY_INVALID),
        (dkg.BudgetError("x"), Code.QUERY_OVER_BUDGET),
        (dkg.LimitError("x"), Code.LIMIT_EXCEEDED),
        (dkg.RdfError("x"), Code.RDF_INVALID),
        (dkg.CanonicalizationError("x"), Code.RDF_INVALID),
        (dkg.NormalFormError("x"), Code.RDF_INVALID),
        (dkg.InputError("x"), Code.INPUT_INVALID),
        (AssetError("x"), Code.ASSET_REFUSED),
        (ShapesError("x"), Code.INPUT_INVALID),
        (node.serving.UnknownPublisherError("x"), Code.PUBLISHER_UNKNOWN),
        (node.serving.UnknownMomentError("x"), Code.MOMENT_UNKNOWN),
        (node.serving.NoKeyError("x"), Code.NO_KEY),
        (node.serving.OperationConflictError("x"), Code.OPERATION_CONFLICT),
        (workers.UnacceptableError("x"), Code.NOT_ACCEPTABLE),
        (workers.JobTimeoutError("x"), Code.QUERY_TIMEOUT),
        (workers.JobMemoryError("x"), Code.QUERY_MEMORY),
        (workers.ResultTooLargeError("x"), Code.RESULT_TOO_LARGE),
        (workers.OverloadedError("x", 3), Code.OVERLOADED),
        (workers.ClientQuotaError("x", 3), Code.CLIENT_QUOTA),
    ],
)
def test_what_is_about_the_request_is_told(error: DkgError, code: Code) -> None:
    problem = problem_of(error)
    assert (problem.code, problem.detail) == (code, "x")
    if isinstance(error, workers.OverloadedError):
        assert problem.retry_after_s == 3


@pytest.mark.parametrize(
    ("error", "code", "retry"),
    [
        (dkg.StoreError("/home/ada/canary"), Code.STORE_UNAVAILABLE, 5),
        (FullError("/home/ada/canary"), Code.STORAGE_FULL, 60),
        (QuotaError("/home/ada/canary"), Code.STORAGE_FULL, 60),
        (dkg.ProofError("canary"), Code.DATA_DAMAGED, None),
        (dkg.MissingPageError("canary"), Code.DATA_DAMAGED, None),
        (IntegrityError("canary"), Code.DATA_DAMAGED, None),
        (workers.WorkerCrashedError("canary", "canary"), Code.WORKER_CRASHED, None),
        (workers.SandboxError("canary"), Code.INTERNAL, None),
        (DkgError("canary"), Code.INTERNAL, None),
        (RuntimeError("canary"), Code.INTERNAL, None),
        (OSError(2, "canary", "/home/ada"), Code.INTERNAL, None),
    ],
)
def test_what_is_about_the_node_is_not_told(error: Exception, code: Code, retry: int | None) -> None:
    problem = problem_of(error)
    assert (problem.code, problem.retry_after_s) == (code, retry)
    assert b"canary" not in problem.body("x")


def test_statuses_of_workers_are_those_that_they_name() -> None:
    for error in (
        workers.JobTimeoutError("x"),
        workers.JobMemoryError("x"),
        workers.ResultTooLargeError("x"),
        workers.OverloadedError("x", 1),
        workers.ClientQuotaError("x", 1),
        workers.WorkerCrashedError("x"),
        workers.SandboxError("x"),
    ):
        assert problem_of(error).code.status == error.status


def test_a_problem_with_half_a_character_is_told_all_the_same() -> None:
    assert json.loads(Problem(Code.INTERNAL, "a\ud800b").body("x"))["detail"] == "a?b"


# --- over every route --------------------------------------------------------------------------------------------


def operations(site: Site) -> list[tuple[str, str]]:
    """Method and path of all routes, with a value for each part of a path."""
    found = []
    for path, methods in site.app.openapi()["paths"].items():
        made = re.sub(r"\{(\w+)\}", lambda match: {"position": "x"}.get(match[1], "nothing"), path)
        found += [(method.upper(), made) for method in methods]
    return found


def check_shape(response: Any) -> None:  # noqa: ANN401
    """That this is a problem, of the one shape."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    assert response.headers["cache-control"] == "no-store"
    shape = ProblemShape.model_validate_json(response.content)
    assert list(response.json()) == list(ProblemShape.model_fields)
    assert shape.status == response.status_code
    assert shape.request == response.headers["x-request-id"]
    code = next(code for code in Code if code.text == shape.code)
    assert (shape.title, shape.status) == (code.title, code.status)
    assert shape.type == f"urn:dkg:problem:{code.text}"
    assert response.headers.get("retry-after") == (None if shape.retry_after is None else str(shape.retry_after))


def test_every_route_fails_in_one_shape(site: Site) -> None:
    seen = set()
    tight = site.made(requests_burst=1, requests_per_s=1e-9)
    tight.get("/")
    for method, path in operations(site):
        answers = [
            site.ask(method, path, params={"limit": "x", "at": "x"}),
            site.ask(method, path, params={"query": "SELEC"}),
            site.ask(method, path, headers={"Host": "evil.example"}),
            site.ask(method, path, headers={"Accept": "image/png", "Authorization": "Bearer x"}),
            site.ask("PATCH", path),
            site.ask(method, path + "/nothing/nothing/nothing/nothing"),
            tight.ask(method, path),
        ]
        for response in answers:
            if response.status_code >= 400 and method != "HEAD":
                check_shape(response)
                seen.add(response.json()["code"])
            if response.status_code >= 400:
                assert response.headers["content-type"] == "application/problem+json"
    assert seen >= {
        "parameter-invalid",
        "query-invalid",
        "host-refused",
        "unauthorized",
        "method-not-allowed",
        "not-acceptable",
        "not-found",
        "rate-limited",
    }


def test_every_route_is_documented(site: Site) -> None:
    def paths(routes: Any) -> set[str]:  # noqa: ANN401
        found: set[str] = set()
        for route in routes:
            inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
            found |= paths(inner) if inner else {getattr(route, "path", "")}
        return found - {""}

    assert paths(site.app.router.routes) == set(site.app.openapi()["paths"])
