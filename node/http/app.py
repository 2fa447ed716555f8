"""`make_app`: the FastAPI application over a node's `Service`."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations
from starlette.responses import JSONResponse, Response

from node.http.asset_routes import AssetRoutes
from node.http.checkpoint_routes import CheckpointRoutes
from node.http.clients import Admission
from node.http.context import Context, Log, silent
from node.http.gate import Entrance, Gate
from node.http.gateway import Gateway
from node.http.metrics import Metrics
from node.http.node_routes import NodeRoutes
from node.http.openapi import openapi
from node.http.operation_routes import OperationRoutes
from node.http.private_answers import PrivateAnswers
from node.http.private_routes import PrivateRoutes
from node.http.problems import Code, Problem
from node.http.readers import PrivateSide
from node.http.remembered import Remembered
from node.http.retrieval_routes import mount
from node.http.room import Room
from node.http.session_routes import SessionRoutes
from node.http.sparql import Sparql
from node.http.wellknown import WellKnown
from node.private.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.http.settings import HttpSettings
    from node.private.assets import PrivateAssets
    from node.serving import Service
    from node.workers.jobs import Runner


def make_app(
    service: Service,
    runner: Runner,
    settings: HttpSettings,
    clock: Callable[[], float] = time.time,
    *,
    private: PrivateAssets | None = None,
    ticks: Callable[[], float] = time.monotonic,
    chance: Callable[[int], bytes] = os.urandom,
    log: Log = silent,
) -> FastAPI:
    """The application. It starts and stops nothing: the service and the runner are the caller's.

    `private`: what is private here; None: nothing may be. `clock`: Unix seconds; `ticks`: seconds that never go back;
    `chance`: random bytes; `log`: takes what happens.
    """
    context = Context(
        service=service,
        runner=runner,
        settings=settings,
        clock=clock,
        ticks=ticks,
        chance=chance,
        log=log,
        admission=Admission(settings, ticks),
        uploads=Room(settings.uploads_bytes),
        answers=Room(settings.answers_bytes),
        remembered=Remembered(settings.remembered_bytes),
        metrics=Metrics(service, runner, clock),
        private=None if private is None else PrivateSide(private, Sessions(clock, chance)),
    )
    app = FastAPI(
        title="dkg",
        version=version("dkg"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _routing_problem, RequestValidationError: _parameter_problem},
    )
    app.state.dkg = context
    app.state.document = None
    sparql = Sparql(context)
    sparql.private = PrivateAnswers(context, sparql).answer
    for routes in (
        sparql,
        AssetRoutes(context, sparql),
        NodeRoutes(context),
        CheckpointRoutes(context),
        OperationRoutes(context),
        PrivateRoutes(context, sparql),
        SessionRoutes(context),
        Gateway(context),
        WellKnown(context),
    ):
        app.include_router(routes.router())
    mount(app, context)
    app.add_api_route("/openapi.json", _openapi, methods=["GET"], operation_id="openapi", tags=["about"])
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]  # as FastAPI's documentation has it
    app.add_middleware(Gate, context=context, direct=sparql.direct())
    context.entrance = Entrance(app, context, sparql.direct())
    return app


def context_of(app: FastAPI) -> Context:
    """What the routes of an application share."""
    found: Context = app.state.dkg
    return found


async def _openapi(request: Request) -> Response:
    """This document."""
    state = request.app.state
    if state.document is None:  # written once: it is long, and whoever asks for it again and again holds up nobody
        state.document = JSONResponse(request.app.openapi()).body
    return Response(state.document, media_type="application/json")


def _routing_problem(request: Request, error: Exception) -> NoReturn:
    """What routing refuses, as a problem."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is what this is registered for
    if error.status_code == Code.METHOD_NOT_ALLOWED.status:
        allowed = ", ".join(_methods(request))
        raise Problem(Code.METHOD_NOT_ALLOWED, f"this takes {allowed}", headers={"Allow": allowed})
    if error.status_code == Code.NOT_FOUND.status:
        raise Problem(Code.NOT_FOUND, "there is nothing at this path: see /openapi.json")
    raise Problem(Code.INPUT_INVALID, str(error.detail))


def _methods(request: Request) -> list[str]:
    """The methods of a path that is there: of all its routes, where routing names those of one."""
    path = getattr(request.scope.get("route"), "path", request.url.path)
    return sorted(method.upper() for method in request.app.openapi()["paths"].get(path, {}))


def _parameter_problem(_request: Request, error: Exception) -> NoReturn:
    """What a parameter is refused for, as a problem; what was given is not shown again."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is what this is registered for
    found = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
    raise Problem(Code.PARAMETER_INVALID, "; ".join(found[:10]))
