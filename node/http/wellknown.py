"""What programs look for at fixed places: health, metrics, VoID, and a page that tells agents how to ask and verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations
from starlette.responses import JSONResponse, Response

from dkg.errors import DkgError
from node.http.accept import GRAPHS, negotiate_graph
from node.http.conditional import REVALIDATE, not_modified
from node.http.describe import void
from node.http.documented import CACHE_HEADERS, GRAPH_ANSWER, STATE_HEADERS, TEXT
from node.http.metrics import CONTENT_TYPE
from node.http.moments import age_s, state_headers
from node.http.node_routes import quads_of
from node.http.problems import Code, Problem
from node.http.shapes import Health
from node.http.skill import skill
from node.http.sparql import not_acceptable
from node.http.tokens import Scope

if TYPE_CHECKING:
    from node.http.context import Context

_RETRY_SECONDS: Final = 5

Answers = dict[int | str, dict[str, Any]]


class WellKnown:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["about"])
        add = router.add_api_route
        add("/", self.index, methods=["GET"], operation_id="index")
        add("/health", self.health, methods=["GET"], operation_id="health", response_model=Health)
        add("/health/live", self.live, methods=["GET"], operation_id="live", response_model=Health)
        add("/health/ready", self.ready, methods=["GET"], operation_id="ready", response_model=Health)
        secured = {"security": [{"token": [Scope.METRICS.value]}]}
        for path, route, name, content, extra in (
            ("/metrics", self.metrics, "metrics", {"text/plain": TEXT}, secured),
            ("/.well-known/void", self.void, "void", GRAPH_ANSWER["content"], {}),
            ("/.well-known/skill.md", self.skill, "skill", {"text/markdown": TEXT}, {}),
        ):
            answer: dict[str, Any] = {"description": "What the name says.", "content": content}
            if name == "void":
                answer["headers"] = {**STATE_HEADERS, **CACHE_HEADERS}
            answers: Answers = {200: answer}
            if name == "void":
                answers[304] = {"description": "The client has it already."}
            add(
                path,
                route,
                methods=["GET"],
                operation_id=name,
                response_class=Response,
                responses=answers,
                openapi_extra=extra,
            )
        return router

    async def index(self) -> dict[str, str]:
        """Where things are."""
        return {
            "sparql": "/sparql",
            "api": "/openapi.json",
            "dataset": "/v1/dataset",
            "agents": "/.well-known/skill.md",
            "void": "/.well-known/void",
            "health": "/health",
        }

    # --- health ------------------------------------------------------------------------------------------------

    async def health(self) -> Response:
        """Whether the node lives and is ready: 503 if it is not ready."""
        return await self.ready()

    async def live(self) -> Health:
        """Whether the node lives: if this answers, it does."""
        return Health(live=True, ready=self._trouble() is None, why=self._trouble())

    async def ready(self) -> Response:
        """Whether the node is ready to answer queries."""
        trouble = self._trouble()
        if trouble is not None:
            raise Problem(Code.NOT_READY, trouble, retry_after_s=_RETRY_SECONDS)
        shape = Health(live=True, ready=True, why=None)
        return JSONResponse(shape.model_dump(), headers={"Cache-Control": "no-store"})

    def _trouble(self) -> str | None:
        """Why the node is not ready."""
        context = self._context
        if context.stopping:
            return "the node is stopping"
        try:
            standing = context.service.standing(None)
        except DkgError:
            return "there is no dataset to answer from yet"
        age = age_s(standing, context.clock())
        if age > context.settings.ready_age_seconds:
            return f"the newest block that was read is {age} s old"
        return None

    async def metrics(self, request: Request) -> Response:
        """Metrics, in the text format of Prometheus."""
        context = self._context
        if not context.settings.open_metrics:
            context.authorize(request, Scope.METRICS)
        context.metrics.answering.set(context.admission.answering)
        return Response(context.metrics.text(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    # --- descriptions ------------------------------------------------------------------------------------------

    async def void(self, request: Request) -> Response:
        """What the dataset is, in VoID."""
        context = self._context
        form = negotiate_graph(request.headers.get("accept", ""))
        if form is None:
            raise not_acceptable("this description", GRAPHS)
        standing = context.service.standing(None)
        body = void(context.base_url(request), standing, quads_of(context, standing), form)
        headers = {
            **state_headers(standing, context.clock()),
            "Content-Type": form.media_type,
            "Cache-Control": REVALIDATE,
            "Vary": "Accept",
            "ETag": f'W/"void.{form.name}.{standing.block}.{state_headers(standing, 0)["DKG-Root"]}"',
        }
        if not_modified(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)

    async def skill(self, request: Request) -> Response:
        """For agents: what this is, how to ask, how to verify, and what the limits are."""
        text = skill(self._context.base_url(request), self._context.service.domain, self._context.settings)
        return Response(text, media_type="text/markdown", headers={"Cache-Control": "public, max-age=3600"})
