"""What is asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dkg.client.anchored import State
from dkg.page import CID_PREFIX

if TYPE_CHECKING:
    from dkg.chain.commit import Commit
    from node.change import Edit
    from node.publish.jobs import Outcome

Wanted = Literal["mined", "final"]
"""What to wait for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A change to publish. `id`: the same request is published once; `label`: for people. See `node.change.Edit`."""

    id: str
    label: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class Published:
    """A commit on the chain, proved from a block hash. `root`: CID of its dataset; `count`: quads of it."""

    label: str
    seq: int
    root: bytes
    count: int
    transaction: bytes | None
    """Hash, as an endpoint tells; None if none does."""
    block: int
    block_hash: bytes
    gas_used: int | None
    """As an endpoint tells."""
    state: State
    changed: bool
    """Whether this call brought it to the chain. False: it was there, or the request changes nothing."""

    @classmethod
    def of(cls, label: str, commit: Commit, outcome: Outcome, *, final: bool, changed: bool) -> Published:
        """From a commit and where it is."""
        return cls(
            label=label,
            seq=commit.seq,
            root=CID_PREFIX + commit.root,
            count=commit.count,
            transaction=outcome.transaction,
            block=outcome.block,
            block_hash=outcome.block_hash,
            gas_used=outcome.gas,
            state=State.FINAL if final else State.PENDING,
            changed=changed,
        )
