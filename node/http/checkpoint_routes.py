"""`/v1/checkpoints`: what the contract says, and what the node's owner has done about it."""

# ruff: noqa: TC002 - FastAPI reads the annotations of routes

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request

from dkg.chain.checkpoints import ID_MAX
from node.http.problems import Code, Problem
from node.http.shapes import ChallengeResultShape, CheckpointsShape, ProposalShape
from node.http.tokens import Scope
from node.serving import NoCheckpointError

if TYPE_CHECKING:
    from node.http.context import Context

_SECURITY: Final[dict[str, Any]] = {"security": [{"token": [Scope.PUBLISH.value]}]}


class CheckpointRoutes:
    """The routes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v1/checkpoints", tags=["checkpoints"])
        add = router.add_api_route
        add("", self.status, methods=["GET"], operation_id="checkpoints")
        add("", self.propose, methods=["POST"], operation_id="propose_checkpoint", openapi_extra=_SECURITY)
        add(
            "/{id}/challenge",
            self.challenge,
            methods=["POST"],
            operation_id="challenge_checkpoint",
            openapi_extra=_SECURITY,
        )
        return router

    async def status(self) -> CheckpointsShape:
        """The checkpoints of all publishers' data: the latest final one, those that are pending, open demands."""
        try:
            return CheckpointsShape.of(self._context.service.checkpoints())
        except NoCheckpointError as error:
            raise Problem(Code.NOT_FOUND, str(error)) from error

    async def propose(
        self,
        request: Request,
        position: Annotated[
            int | None, Query(ge=0, lt=2**48, description="Commits that it is about; by default all that are final.")
        ] = None,
    ) -> ProposalShape:
        """Propose a checkpoint, and pay its bond."""
        self._context.authorize(request, Scope.PUBLISH)
        return ProposalShape(**await self._context.service.propose(position))

    async def challenge(
        self,
        request: Request,
        id: Annotated[int, Path(ge=1, le=ID_MAX, description="The checkpoint's id.")],  # noqa: A002 - in the URL
        dry_run: Annotated[bool, Query(description="Only look, and estimate.")] = False,  # noqa: FBT002 - in the URL
    ) -> ChallengeResultShape:
        """Judge a pending checkpoint now, and refute it if it is wrong."""
        self._context.authorize(request, Scope.PUBLISH)
        return ChallengeResultShape(**await self._context.service.challenge(id, dry_run=dry_run))
