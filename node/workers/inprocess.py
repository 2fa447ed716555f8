"""Jobs in this process: for simulations, and for devices whose one user asks for nothing that would harm them.

Nothing here is isolated. A query that the engine cannot stand ends the whole process; none can be stopped for taking
too long. What is checked before evaluation, and the limits of results, are the same.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from node.workers.child import too_much_memory
from node.workers.execute import Executor
from node.workers.jobs import check_size
from node.workers.settings import Settings

if TYPE_CHECKING:
    from dkg.pages import PageStore
    from node.workers.jobs import Job, Result


class InProcess:
    """A `Runner` that is not isolated. `store`: pages; it stays the caller's. `run` never waits, on any event loop."""

    isolated = False

    def __init__(self, store: PageStore, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._executor = Executor(lambda: nullcontext(store), self._settings)

    async def run(self, job: Job, *, client: str) -> Result:
        """See `Runner`."""
        return self.run_sync(job, client=client)

    def run_sync(self, job: Job, *, client: str) -> Result:
        """See `Runner`."""
        del client  # there is nobody to be fair between
        check_size(job, self._settings)
        try:
            return self._executor.run(job)
        except MemoryError as error:
            raise too_much_memory(self._settings) from error

    def close(self) -> None:
        """Let go of views."""
        self._executor.close()
