"""The registry as its rules say it, in Python: what the contract is compared with, call by call.

It keeps whole histories where the contract keeps hashes, so that it cannot be wrong in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak

from tests.contracts.onchain import ZERO, Event, Step, meta_of

if TYPE_CHECKING:
    from collections.abc import Callable

REVOKED, RETIRED = "revoked", "retired"


class RefusedError(Exception):
    """The registry refuses; its reason."""


@dataclass(frozen=True)
class Entry:
    """A commit in the log."""

    step: Step
    position: int
    meta: bytes
    signer: str


@dataclass
class Publisher:
    """One publisher's state. `signer`: an address, `REVOKED` or `RETIRED`."""

    signer: str
    explicit: bool = False
    nonce: int = 0
    commits: list[Entry] = field(default_factory=list)

    @property
    def head(self) -> int:
        """The packed word."""
        marks = {REVOKED: 1, RETIRED: 2}
        code = marks[self.signer] if self.signer in marks else int(self.signer, 16) * self.explicit
        last = self.commits[-1].position if self.commits else 0
        return code << 96 | len(self.commits) << 48 | last


@dataclass
class Model:
    """All publishers, and the log."""

    publishers: dict[str, Publisher] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)

    def copy(self) -> Model:
        """A model that can go another way."""
        publishers = {name: replace(state, commits=state.commits.copy()) for name, state in self.publishers.items()}
        return Model(publishers, self.log.copy())

    def of(self, publisher: str) -> Publisher:
        return self.publishers.setdefault(publisher, Publisher(publisher))

    def commit(self, who: str, step: Step, block: tuple[int, int]) -> Event:
        """A direct commit: the registry gives it its number."""
        return self._append(who, replace(step, seq=len(self.of(step.publisher).commits) + 1), block)

    def commit_signed(self, who: str, step: Step, block: tuple[int, int]) -> Event:
        """A relayed commit."""
        _require(step.seq == len(self.of(step.publisher).commits) + 1, "wrong seq")
        return self._append(who, step, block)

    def _append(self, who: str, step: Step, block: tuple[int, int]) -> Event:
        state = self.of(step.publisher)
        prior = state.commits[-1] if state.commits else None
        if state.signer in {REVOKED, RETIRED}:
            raise RefusedError(state.signer)
        _require(who == state.signer, "not the signer")
        if prior is None:
            _require(step.previous == ZERO, "wrong previous")
            _require(step.prior == ZERO, "wrong prior")
        else:
            _require((step.previous, step.prior) == (prior.step.root, prior.meta), "wrong previous or prior")
        _require(step.root != ZERO, "zero root")
        position, prior_position = len(self.log), prior.position if prior else 0
        entry = Entry(step, position, meta_of(step, position, prior_position, *block), who)
        state.commits.append(entry)
        self.log.append(entry)
        values = dict(zip(("seq", "root", "count", "previous", "created"), step.signed_part[1:], strict=True))
        return "Committed", {
            "publisher": step.publisher.lower(),
            "position": position,
            **values,
            "prior_position": prior_position,
        }

    def rotate(self, who: str, publisher: str, signer: str, nonce: int | None = None) -> Event:
        state = self._owned(who, publisher, nonce)
        _require(int(signer, 16) > 2, "no signer")
        return self._change(publisher, "Rotated", signer, {"signer": signer.lower()}, state)

    def revoke(self, who: str, publisher: str, nonce: int | None = None) -> Event:
        state = self.of(publisher)
        _require(nonce in {None, state.nonce}, "wrong nonce")
        _require(state.signer != REVOKED, "revoked")
        _require(who in {publisher, state.signer}, "not the signer")
        return self._change(publisher, "Revoked", REVOKED, {"signer": state.signer.lower()}, state)

    def retire(self, who: str, publisher: str, nonce: int | None = None) -> Event:
        return self._change(publisher, "Retired", RETIRED, {}, self._owned(who, publisher, nonce))

    def _owned(self, who: str, publisher: str, nonce: int | None) -> Publisher:
        state = self.of(publisher)
        _require(nonce in {None, state.nonce}, "wrong nonce")
        _require(who == publisher, "not the publisher")
        return state

    def _change(self, publisher: str, name: str, signer: str, values: dict[str, Any], state: Publisher) -> Event:
        _require(state.signer != RETIRED, "retired")
        event = name, {"publisher": publisher.lower(), **values, "nonce": state.nonce, "position": len(self.log)}
        state.signer, state.explicit, state.nonce = signer, True, state.nonce + 1
        return event

    def entry(self, position: int) -> bytes:
        """What the contract has at a position of the log."""
        entry = self.log[position]
        return keccak(entry.step.root + entry.meta)


def _require(condition: bool, reason: str) -> None:  # noqa: FBT001 - reads as the contract's assert does
    if not condition:
        raise RefusedError(reason)


def outcome(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - events, or a reason
    """What a call of the model gives: its events, or the reason why it refuses."""
    try:
        return [call()]
    except RefusedError as error:
        return str(error)
