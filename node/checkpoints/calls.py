"""Calls of the checkpoint contract at an address, encoded (`contracts/checkpoints.vy`; the ABI is in its artefact)."""

from __future__ import annotations

from dataclasses import astuple
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from contracts import checkpoints
from dkg.checkpoints.judge import Extra, Fault, Index, Invalid, Missing
from node.publish.calls import Call, Function, encoded, functions_of

if TYPE_CHECKING:
    from dkg.checkpoints.judge import Evidence
    from dkg.checkpoints.records import Record

_OF_EVIDENCE: Final[dict[type[Evidence], str]] = {
    Missing: "challenge_missing",
    Extra: "challenge_extra",
    Index: "challenge_index",
    Fault: "challenge_page",
    Invalid: "mark_invalid",
}


def propose(contract: bytes, position: int, marks: int, root: bytes, tip: bytes, bond: int) -> Call:
    """Propose a checkpoint. `tip`: the log's entry before `position`, zeros at 0. `bond`: in wei, what it asks for."""
    return _call(contract, "propose", position, marks, root, tip, value=bond)


def finalise(contract: bytes, checkpoint: int) -> Call:
    """Make a checkpoint final whose window has passed."""
    return _call(contract, "finalise", checkpoint)


def evidence(contract: bytes, found: Evidence) -> Call:
    """Refute a checkpoint, or mark a commit."""
    return _call(contract, _OF_EVIDENCE[type(found)], *astuple(found))


def show(contract: bytes, raw: bytes) -> Call:
    """Show a page."""
    return _call(contract, "show", raw)


def show_long(contract: bytes, state: bytes, last: bytes) -> Call:
    """Show that a page is long, by the last block of its SHA-256 (64 bytes) and the state before it."""
    return _call(contract, "show_long", state, last)


def demand_checkpoint(contract: bytes, checkpoint: int, path: bytes, bond: int) -> Call:
    """Demand the page of a checkpoint that a path names."""
    return _call(contract, "demand_checkpoint", checkpoint, path, value=bond)


def demand_commit(contract: bytes, publisher: bytes, record: Record, path: bytes, bond: int) -> Call:
    """Demand the page of a commit's spog that a path names."""
    return _call(contract, "demand_commit", publisher, astuple(record), path, value=bond)


def answer(contract: bytes, demand: int, raw: bytes) -> Call:
    """Answer a demand; `raw` is empty if the page was shown before."""
    return _call(contract, "answer", demand, raw)


def expire(contract: bytes, demand: int) -> Call:
    """End a demand that nobody has answered in time."""
    return _call(contract, "expire", demand)


def withdraw(contract: bytes) -> Call:
    """Have what one is owed paid out."""
    return _call(contract, "withdraw")


def _call(contract: bytes, function: str, *values: Any, value: int = 0) -> Call:  # noqa: ANN401 - as the ABI has them
    return Call(contract, encoded(_functions()[function], values), value)


@cache
def _functions() -> dict[str, Function]:
    return functions_of(checkpoints())
