"""What a node's owner asks its watcher for: to propose a checkpoint now, or to judge one now and refute it.

Both give facts, as JSON, of what was found and done; the case that the watcher keeps of it says more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dkg.chain.checkpoints import OPEN_MAX
from dkg.checkpoints.judge import Extra, Fault, Index, Missing
from dkg.errors import InputError
from dkg.page import CID_PREFIX, cid_text
from node.checkpoints.cases import told
from node.checkpoints.find import Wrong
from node.checkpoints.watcher import HAND_LANE, is_proved
from node.publish.errors import PublishError
from node.serving import NoKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.checkpoints import Checkpoint
    from dkg.client.checkpointread import CheckpointState
    from node.checkpoints.hand import Hand, Step
    from node.checkpoints.watcher import Verdict, Watcher
    from node.core.checkpointwatch import CheckpointView
    from node.core.heads import CoreChain
    from node.core.parts import Parts
    from node.core.view import LogView

KINDS = {Missing: "missing", Extra: "extra", Index: "index", Fault: "page"}
"""Challenges by the names that docs/formats.md has for them."""


class Requests:
    """See the module. From where the runtime runs."""

    def __init__(self, parts: Parts, chain: CoreChain, watcher: Watcher) -> None:
        self._parts = parts
        self._chain = chain
        self._watcher = watcher

    async def propose(self, position: int | None) -> dict[str, Any]:
        """Propose the union at a position of the log; None: all commits that are final.

        Raises `InputError` with the reason why not, `NoKeyError`, and what sending raises.
        """
        return await self._watcher.ask(lambda: self._propose(position))

    async def challenge(self, checkpoint: int, *, dry_run: bool) -> dict[str, Any]:
        """Judge a pending checkpoint now, and refute it if it is wrong. `dry_run`: send nothing.

        Raises `InputError` for one that is not pending, `NoKeyError`, and what looking and sending raise.
        """
        return await self._watcher.ask(lambda: self._challenge(checkpoint, dry_run=dry_run))

    # --- proposing -------------------------------------------------------------------------------------------------

    async def _propose(self, position: int | None) -> dict[str, Any]:
        view, seen = self._seen()
        hand = self._hand()
        if not is_proved(view):
            raise InputError("nothing is proposed: what the endpoints tell of the chain is not proved (`eth_getProof`)")
        at, marks = view.final_position if position is None else position, seen.settled_marks
        if not 0 < at <= view.final_position:
            raise InputError(
                f"position {at} cannot be proposed: {view.final_position} commits are final, and one that a "
                "reorganisation takes away would cost the bond"
            )
        made = await self._watcher.union_at(view, seen.log, at, marks)
        if made.union is None:
            raise InputError(f"nothing is proposed: {self._watcher.lacks(made)}")
        root = made.union.root
        _require_new(await self._parts.runtime.blocking(HAND_LANE, hand.newest), at, marks, root)
        tip, digest = view.log.entries[at - 1].entry(), root.removeprefix(CID_PREFIX)
        facts = {"position": at, "marks": marks, "root": cid_text(root)}
        steps = await self._done(
            f"proposal-{at}-{marks}", facts, lambda note: hand.propose(at, marks, digest, tip, note)
        )
        terms = await self._parts.runtime.blocking(HAND_LANE, lambda: hand.terms)
        return facts | {"bond_wei": terms.bond, "window_seconds": terms.window, "steps": steps}

    # --- challenging -----------------------------------------------------------------------------------------------

    async def _challenge(self, number: int, *, dry_run: bool) -> dict[str, Any]:
        view, seen = self._seen()
        checkpoint = next((one for one in seen.log.pending if one.id == number), None)
        if checkpoint is None:
            raise InputError(f"checkpoint {number} is not pending: nothing can be challenged of it")
        if checkpoint.position > view.length:
            raise InputError(
                f"checkpoint {number} is about {checkpoint.position} commits; {view.length} were read so far"
            )
        found = await self._watcher.judged(view, seen.log, checkpoint, ("asked for",))
        facts = {"checkpoint": number, "root": cid_text(CID_PREFIX + checkpoint.root), **_said(found)}
        if not isinstance(found.found, Wrong):
            return facts | {"steps": []}
        wrong, hand = found.found, self._hand()
        terms = await self._parts.runtime.blocking(HAND_LANE, lambda: hand.terms)
        facts["reward_wei"] = terms.bond // 2
        if dry_run:
            try:
                shows, gas = await self._parts.runtime.blocking(HAND_LANE, lambda: hand.estimated(wrong))
            except PublishError as error:
                raise InputError(str(error)) from error
            return facts | {"steps": [], "shows": shows, "estimated_gas": gas}
        kept = {**facts, "evidence": told(wrong.evidence)}
        return facts | {"steps": await self._done(f"checkpoint-{number}", kept, lambda note: hand.refute(wrong, note))}

    # --- both ------------------------------------------------------------------------------------------------------

    def _seen(self) -> tuple[LogView, CheckpointView]:
        view = self._chain.view
        why = self._watcher.unsure(view)
        if why or view.checkpoints is None:
            raise InputError(f"nothing can be said of checkpoints now: {why}")
        return view, view.checkpoints

    def _hand(self) -> Hand:
        if self._watcher.hand is None:
            raise NoKeyError("this node holds no key that pays: set publish.home and publish.password_file")
        return self._watcher.hand

    async def _done(
        self, name: str, facts: dict[str, Any], act: Callable[[Callable[[Step], None]], None]
    ) -> list[dict[str, Any]]:
        """Do it, with a case; gives the transactions."""
        self._seen()  # what was found before may have taken as long as peers like
        cases = self._watcher.cases
        steps: list[Step] = []

        def work() -> None:
            cases.put(name, **facts, outcome="under way")

            def note(step: Step) -> None:
                steps.append(step)
                cases.step(name, step)

            act(note)
            cases.put(name, outcome="done")

        try:
            await self._parts.runtime.blocking(HAND_LANE, work)
        except PublishError as error:  # whoever asks owns the node, and is told
            raise InputError(str(error)) from error
        self._parts.log("checkpoint_done", case=name)
        return [
            {
                "what": step.what,
                "transaction": f"0x{step.sent.transaction.hex()}",
                "block": step.sent.block,
                "gas": step.sent.gas_used,
                "bytes": len(step.call.data),
            }
            for step in steps
            if step.sent.transaction is not None
        ]


def _require_new(newest: CheckpointState, position: int, marks: int, root: bytes) -> None:
    """Raise `InputError` if a checkpoint would say nothing new, or has no place."""
    final = newest.final
    if final is not None and (position < final.position or marks < final.marks or root == CID_PREFIX + final.root):
        raise InputError(f"checkpoint {final.id} is final, and says as much: nothing is proposed")
    for one in newest.pending:
        if (one.position, one.marks, CID_PREFIX + one.root) == (position, marks, root):
            raise InputError(
                f"checkpoint {one.id} is pending, and says the same: nothing is proposed. Its window ends {_time(one)}"
            )
    if len(newest.pending) == OPEN_MAX:
        first = min(newest.pending, key=lambda one: one.ends)
        raise InputError(
            f"{OPEN_MAX} checkpoints are pending, the most that there can be: nothing is proposed. The first window "
            f"ends {_time(first)}, that of checkpoint {first.id}"
        )


def _time(one: Checkpoint) -> str:
    """When a checkpoint's window ends."""
    return datetime.fromtimestamp(one.ends, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _said(found: Verdict) -> dict[str, Any]:
    """What was found: right, wrong, withheld or waits, and why."""
    kind = KINDS.get(type(found.found.evidence)) if isinstance(found.found, Wrong) else None
    return {"found": found.state, "why": found.why or None, "kind": kind}
