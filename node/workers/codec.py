"""Jobs and replies as frames (`node.workers.frames`).

A job comes from the node and is believed. A reply comes from a process that ran untrusted input and is not: each value
is checked for its type, errors are only those of a fixed list, and their sentences are cut and cleaned.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, Final, NamedTuple

from dkg import errors
from dkg.answer import GRAPH_FORMATS, TABLE_FORMATS
from dkg.chain.commit import Domain
from dkg.checkpoints.answer import Parts
from dkg.errors import DkgError
from dkg.evaluate import Dataset
from dkg.limits import Budget
from dkg.rdf import FORMATS
from dkg.sparql.algebra import Form
from node.workers.errors import (
    JobMemoryError,
    ResultTooLargeError,
    UnacceptableError,
    ViewFailedError,
    WorkerCrashedError,
)
from node.workers.frames import Frame, FrameError, encode
from node.workers.jobs import EVERY_GRAPH, Check, Facts, Graphs, Job, Parse, Plain, Prove, Query, Result, payload_of

MESSAGE_CHARS_MAX: Final = 2_000
"""Longest sentence of an error that comes from a worker, in characters."""

_JOBS: Final[dict[str, type[Job]]] = {"query": Query, "plain": Plain, "prove": Prove, "check": Check, "parse": Parse}
_NAMES: Final = {kind: name for name, kind in _JOBS.items()}
_PAYLOADS: Final[dict[type[Job], str]] = {Check: "car", Parse: "data", Plain: "overlay", Prove: "overlay"}
_FIELDS: Final = {
    kind: [(field.name, field.default) for field in fields(kind) if field.name != _PAYLOADS.get(kind)]
    for kind in _NAMES
}

_FORMS: Final = {form.value for form in Form} | FORMATS.keys()
_FORMATS: Final = TABLE_FORMATS.keys() | GRAPH_FORMATS.keys() | {"car", "car.zst", "nq"}
_FACTS: Final = {field.name for field in fields(Facts)}

_OWN_ERRORS: Final = (JobMemoryError, ResultTooLargeError, UnacceptableError, ViewFailedError, WorkerCrashedError)
_ERRORS: Final[dict[str, type[DkgError]]] = {
    kind.__name__: kind
    for kind in (*_OWN_ERRORS, *vars(errors).values())
    if isinstance(kind, type) and issubclass(kind, DkgError)
}


# --- jobs ------------------------------------------------------------------------------------------------------


def encode_job(job: Job) -> bytes:
    """The frame of a job."""
    header: dict[str, Any] = {"job": _NAMES[type(job)]}
    for name, default in _FIELDS[type(job)]:
        value = getattr(job, name)
        if value is not default:
            header[name] = _plain(value)
    return encode(header, payload_of(job))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of a job
    match value:
        case bytes():
            return value.decode("latin-1")
        case Dataset():
            return [_plain_graphs(value.default_graphs), _plain_graphs(value.named_graphs)]
        case Budget():
            return [value.pages, value.proof_bytes, value.quads, value.rows]
        case Parts():
            beside = [[who.hex(), root and root.hex()] for who, root in value.beside.items()]
            return [value.domain.chain_id, value.domain.registry.hex(), value.union.hex(), beside]
        case frozenset():
            return _plain_graphs(tuple(sorted(value)))
        case _ if value is EVERY_GRAPH:
            return None
    return value


def _plain_graphs(graphs: tuple[bytes, ...] | None) -> list[str] | None:
    return None if graphs is None else [graph.decode("latin-1") for graph in graphs]


def decode_job(frame: Frame) -> Job:
    """The job of a frame that `encode_job` made."""
    values = dict(frame.header)
    kind = _JOBS[values.pop("job")]
    if kind in _PAYLOADS:
        values[_PAYLOADS[kind]] = frame.payload
    if "root" in values:
        values["root"] = values["root"].encode("latin-1")
    if "dataset" in values:
        values["dataset"] = Dataset(*map(_graphs, values["dataset"]))
    if "budget" in values:
        values["budget"] = Budget(*values["budget"])
    if "parts" in values:
        values["parts"] = _parts(*values["parts"])
    if "allowed" in values:
        values["allowed"] = _allowed(_graphs(values["allowed"]))
    return kind(**values)


def _parts(chain_id: int, registry: str, union: str, beside: list[list[str | None]]) -> Parts:
    datasets = {bytes.fromhex(who or ""): None if root is None else bytes.fromhex(root) for who, root in beside}
    return Parts(Domain(chain_id, bytes.fromhex(registry)), bytes.fromhex(union), datasets)


def _graphs(graphs: list[str] | None) -> tuple[bytes, ...] | None:
    return None if graphs is None else tuple(graph.encode("latin-1") for graph in graphs)


def _allowed(graphs: tuple[bytes, ...] | None) -> Graphs:
    return EVERY_GRAPH if graphs is None else frozenset(graphs)


# --- replies ---------------------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """What a worker says after a job."""

    outcome: Result | DkgError
    spent: bool
    """Whether the worker should be replaced: it has grown, or used much of its processor time."""


def encode_reply(reply: Reply) -> bytes:
    """The frame of a reply."""
    outcome = reply.outcome
    if isinstance(outcome, Result):
        return encode({"facts": _told(outcome.facts), "spent": reply.spent}, outcome.body)
    kind = next(kind.__name__ for kind in type(outcome).__mro__ if kind.__name__ in _ERRORS)
    header = {"error": kind, "message": str(outcome)[:MESSAGE_CHARS_MAX], "spent": reply.spent}
    return encode(header | {"detail": str(getattr(outcome, "detail", ""))[:MESSAGE_CHARS_MAX]})


def _told(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in _FACTS}


def decode_reply(frame: Frame) -> Reply:
    """The reply of a frame that may say anything. Raises `FrameError`."""
    header = frame.header
    spent = header.get("spent") is not False
    if "error" not in header:
        return Reply(Result(frame.payload, _facts(header.get("facts"))), spent)
    kind = _ERRORS.get(_text(header, "error"))
    if kind is None or frame.payload:
        raise FrameError("an error that workers have not")
    error = kind(cleaned(_text(header, "message")))
    if isinstance(error, WorkerCrashedError):
        error.detail = cleaned(_text(header, "detail"))
    return Reply(error, spent)


def cleaned(text: str) -> str:
    """What a worker said, cut and without characters that are not printed."""
    return "".join(c if c.isprintable() else " " for c in text[:MESSAGE_CHARS_MAX]).strip()


def _facts(facts: object) -> Facts:
    if type(facts) is not dict or facts.keys() != _FACTS:
        raise FrameError("a result without its facts")
    seconds = facts["seconds"]
    if type(seconds) is not float or not math.isfinite(seconds) or seconds < 0:
        raise FrameError("a result without its time")
    counts = [None if facts[name] is None else _count(facts, name) for name in ("rows", "pages")]
    form, format_ = _text(facts, "form"), _text(facts, "format")
    if form not in _FORMS or format_ not in _FORMATS:
        raise FrameError("a result of a kind that there is not")
    return Facts(form, format_, counts[0], counts[1], seconds)


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if type(value) is not str:
        raise FrameError(f"a reply whose {name} is no text")
    return value


def _count(values: dict[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is not int or not 0 <= value < 2**63:
        raise FrameError(f"a reply whose {name} is no count")
    return value
