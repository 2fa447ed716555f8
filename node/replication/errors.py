"""What can go wrong between peers.

ProofError
└── PeerError               the peer's fault: it broke the protocol, or sent what was not asked for
StoreError
└── PeerUnavailableError    nobody's lie: an answer that did not come
    ├── UnreachableError    the peer is gone or too slow
    ├── BusyError           the peer asks to come back later
    ├── NotHeldError        the peer does not have it, or does not do it
    ├── NobodyError         no peer that can be reached has it
    └── SupersededError     it is wanted no more
"""

from __future__ import annotations

from dkg.errors import ProofError, StoreError


class PeerError(ProofError):
    """A peer broke the protocol, or sent what was not asked for."""


class PeerUnavailableError(StoreError):
    """An answer that did not come, without a lie."""


class UnreachableError(PeerUnavailableError):
    """The peer is gone, or did not answer in time."""


class BusyError(PeerUnavailableError):
    """The peer asks to come back later."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotHeldError(PeerUnavailableError):
    """The peer does not have what was asked for, or does not do it."""


class NobodyError(PeerUnavailableError):
    """No peer that can be reached has what is needed. What was fetched is kept; trying again goes on from there."""


class SupersededError(PeerUnavailableError):
    """The chain wants another dataset by now, and this one takes long. What was fetched is kept."""
