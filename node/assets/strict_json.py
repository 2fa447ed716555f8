"""JSON of strangers, read without doubt: one meaning, whatever the reader, and within limits.

Two members of one name, NaN, half a character, a number that no double holds: readers differ in what they make of
these, so that a signature over one reading would be shown with another. All of them are errors here.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import InputError
from dkg.rdf_safety import check_nesting
from node.assets.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENT_BYTES_MAX: Final = 1024 * 1024
"""Longest signed document, in bytes."""

VALUES_MAX: Final = 5_000
"""Most JSON values of a signed document: PyLD takes time that grows with their square, 5 s for so many."""

DEPTH_MAX: Final = 64
"""Most JSON values inside each other."""

CONTEXTS_MAX: Final = 100
"""Most contexts that a document names, counting each time."""

INLINE_CONTEXT_BYTES_MAX: Final = 32 * 1024
"""Most bytes of all contexts that a document brings itself: an IRI made with them is never longer."""

NUMBER_CHARACTERS_MAX: Final = 300
"""Most digits of an integer."""


def read_json(document: bytes) -> dict[str, Any]:
    """A JSON object, without doubt about what it says and within the limits. Raises `IntegrityError`."""
    if len(document) > DOCUMENT_BYTES_MAX:
        raise IntegrityError(f"the document has {len(document)} bytes; {DOCUMENT_BYTES_MAX} is the most")
    found = loads(document)
    if not isinstance(found, dict):
        raise IntegrityError("the document is JSON, but no object")
    check_values(found)
    return found


def loads(document: bytes, number: Callable[[str], object] | None = None) -> Any:  # noqa: ANN401 - JSON
    """JSON of any length, without doubt about what it says. `number`: what to make of the text of a number.

    Raises `IntegrityError`.
    """
    try:
        check_nesting(document, "jsonld")
        return json.loads(
            document.decode(),
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=number or _float,
            parse_int=number or _integer,
        )
    except InputError as error:
        raise IntegrityError(str(error)) from error
    except ValueError as error:
        raise IntegrityError(f"the document is not JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise IntegrityError(f"the name {twice!r} is twice in one object: readers differ in which one they take")
    return found


def _no_number(text: str) -> None:
    raise IntegrityError(f"{text} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise IntegrityError(f"the number {text[:40]} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise IntegrityError(f"the number {text[:40]}... has over {NUMBER_CHARACTERS_MAX} digits")
    return int(text)


def check_values(document: dict[str, Any]) -> None:
    """Hold a JSON object to the limits on values, contexts and texts. Raises `IntegrityError`."""
    contexts, inline = 0, 0
    for at, (value, depth) in enumerate(_walk(document)):
        if at >= VALUES_MAX:
            raise IntegrityError(f"the document has over {VALUES_MAX} JSON values (VALUES_MAX)")
        if depth > DEPTH_MAX:
            raise IntegrityError(f"the document's values are nested over {DEPTH_MAX} deep (DEPTH_MAX)")
        if isinstance(value, dict) and "@context" in value:
            given = value["@context"]
            contexts += len(given) if isinstance(given, list) else 1
            inline += _inline_bytes(given)
    if contexts > CONTEXTS_MAX:
        raise IntegrityError(f"the document names {contexts} contexts; {CONTEXTS_MAX} is the most")
    if inline > INLINE_CONTEXT_BYTES_MAX:
        raise IntegrityError(
            f"the contexts in the document have {inline} bytes; {INLINE_CONTEXT_BYTES_MAX} is the most"
        )


def _walk(document: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """All values with their depth, without recursion; all texts are looked at."""
    pending: list[tuple[Any, int]] = [(document, 1)]
    while pending:
        value, depth = pending.pop()
        yield value, depth
        if isinstance(value, dict):
            for name in value:
                _check_text(name)
            pending += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list):
            pending += [(part, depth + 1) for part in value]
        elif isinstance(value, str):
            _check_text(value)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise IntegrityError(f"the text {text[:40]!r} holds half a character (a lone surrogate)") from error


def _inline_bytes(context: object) -> int:
    parts = context if isinstance(context, list) else [context]
    return sum(len(json.dumps(part)) for part in parts if not isinstance(part, str))
