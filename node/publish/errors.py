"""Why a publish stops. What was done is kept: the next publish from the same home goes on from there."""

from __future__ import annotations

from dkg.errors import InputError, StoreError


class PublishError(StoreError):
    """A publish cannot go on now."""


class JournalError(StoreError):
    """The journal of jobs cannot be used."""


class HomeBusyError(PublishError):
    """Another process publishes from this home."""


class GasCapError(PublishError):
    """Gas costs more than the cap allows."""


class EmptyWalletError(PublishError):
    """The account that pays has too little; `missing`: how many wei."""

    def __init__(self, message: str, missing: int) -> None:
        super().__init__(message)
        self.missing = missing


class StuckError(PublishError):
    """Transactions are not mined, and there is nothing left to do about it."""


class RejectedError(PublishError):
    """The endpoints, or the registry, refuse the transaction."""


class RevertedError(RejectedError):
    """The registry would refuse the transaction as the chain is now, or as an endpoint that lags has it."""


class ForeignCommitError(PublishError):
    """The chain has commits of this publisher that this home did not make."""


class SignerError(InputError):
    """The key may not sign for the publisher."""
