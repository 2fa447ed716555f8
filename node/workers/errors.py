"""Why a job was not done. Faults of its input are told by the errors of `dkg.errors`, as if it had run here.

    DkgError
    ├── StoreError
    │   └── ViewFailedError        the view is damaged: another is made, and pages answer       503
    └── WorkerError                no answer, through no fault that evaluation found        status
        ├── OverloadedError        too much waits already: try again after `retry_after_s`     503
        │   └── ClientQuotaError   this client has used what it may use for now                429
        ├── JobTimeoutError        it took longer than its limit; the worker was ended         408
        ├── JobMemoryError         it needed more memory than its limit                        413
        ├── ResultTooLargeError    its result has more bytes than its limit                    413
        ├── WorkerCrashedError     the worker died of it, or answered nonsense                 500
        └── SandboxError           workers cannot be shut in as the settings want it           500

`status` is what it means in HTTP.
"""

from __future__ import annotations

from typing import ClassVar

from dkg.errors import DkgError, InputError, StoreError


class WorkerError(DkgError):
    """A job was not done."""

    status: ClassVar[int] = 500
    """The status code of HTTP that means this."""


class OverloadedError(WorkerError):
    """Too much waits already; `retry_after_s`: whole seconds until trying again makes sense."""

    status = 503

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ClientQuotaError(OverloadedError):
    """The client has used what it may use of the workers for now."""

    status = 429


class JobTimeoutError(WorkerError):
    """The job took longer than its limit."""

    status = 408


class JobMemoryError(WorkerError):
    """The job needed more memory than its limit."""

    status = 413


class ResultTooLargeError(WorkerError):
    """The result has more bytes than its limit."""

    status = 413


class WorkerCrashedError(WorkerError):
    """The worker died of the job, or answered what is no answer; `detail`: what it said last, for the log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ViewFailedError(StoreError):
    """The view of a root cannot be read, and its pages can."""


class SandboxError(WorkerError):
    """Workers cannot be started, or not shut in as the settings want it."""


class UnacceptableError(InputError):
    """The form of the query has no results in any format that was asked for; HTTP's 406."""
