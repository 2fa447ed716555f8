"""A policy document as text, read into plain values: size, depth and shape are checked before anything else.

YAML can refer back to itself and so be small on paper and huge in memory; anchors and aliases are therefore refused, as
are keys given twice, of which YAML readers silently keep one.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import address_from_text
from dkg.chain.ual import pkh
from dkg.errors import InputError, LimitError
from dkg.normal import is_normal
from retrieval.model import LOCAL
from retrieval.policy.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

POLICY_BYTES_MAX: Final = 256 * 1024
"""Longest policy document, in bytes of UTF-8."""

DEPTH_MAX: Final = 8
"""Deepest nesting of a policy document, in levels."""

ENTRIES_MAX: Final = 5_000
"""Most entries of one list or mapping of a policy document."""


def values_of(text: str) -> dict[str, Any]:
    """The document as plain values. Raises `PolicyError` where it is no mapping, and `LimitError` over a limit."""
    import yaml  # noqa: PLC0415 - only policies need it

    size = len(text.encode(errors="replace"))
    if size > POLICY_BYTES_MAX:
        raise LimitError(f"the policy has {size} bytes; {POLICY_BYTES_MAX} is the limit")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where PyYAML was built with it
    try:
        _check_events(yaml.parse(text, Loader=loader))
        found = yaml.load(text, Loader=loader)  # noqa: S506 - one of the two safe loaders
    except yaml.YAMLError as error:
        raise PolicyError(f"the policy is not YAML that can be used: {_where(error)}") from None
    except (
        ValueError,
        TypeError,
    ) as error:  # what PyYAML lets through: dates that are none, integers beyond Python's limit
        raise PolicyError("the policy has a number or a date that cannot be read; put it in quotes") from error
    if not isinstance(found, dict):
        raise PolicyError("a policy is a mapping, such as `publishers: {deny: []}`")
    return found


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it does not parse"
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _check_events(events: Iterable[Any]) -> None:
    """No references, not too deep, and no key of a mapping twice."""
    import yaml  # noqa: PLC0415

    levels: list[set[str] | None] = []
    expects_key: list[bool] = []
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise PolicyError(f"the policy has an anchor or an alias, line {event.start_mark.line + 1}; write it out")
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            levels.pop()
            expects_key.pop()
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if levels:
                _note_key(event, levels[-1], is_key=expects_key[-1])
                expects_key[-1] = levels[-1] is not None and not expects_key[-1]
            if isinstance(event, yaml.CollectionStartEvent):
                levels.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
                expects_key.append(isinstance(event, yaml.MappingStartEvent))
                if len(levels) > DEPTH_MAX:
                    raise LimitError(f"the policy is nested more than {DEPTH_MAX} levels deep")


def _note_key(event: Any, keys: set[str] | None, *, is_key: bool) -> None:  # noqa: ANN401 - PyYAML has no types for it
    if keys is None or not is_key:
        return
    line = event.start_mark.line + 1
    value = getattr(event, "value", None)
    if value is None:
        raise PolicyError(f"the policy has a key that is no text, line {line}")
    if value in keys:
        raise PolicyError(f"the policy has a key twice, line {line}")
    keys.add(value)


_PKH: Final = re.compile(r"did:pkh:eip155:([1-9][0-9]{0,15}):(0x[0-9A-Fa-f]{40})")


class Section:
    """A mapping of the document, read key by key; `done` refuses what nobody asked for."""

    def __init__(self, value: object, path: str) -> None:
        self.path = path
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise PolicyError(f"{path or 'the policy'}: {kind(value)} where a mapping is expected")
        if len(value) > ENTRIES_MAX:
            raise LimitError(f"{path or 'the policy'} has {len(value)} entries; {ENTRIES_MAX} is the limit")
        for key in value:
            if not isinstance(key, str):
                raise PolicyError(f"{path or 'the policy'}: the key {key!r} is {kind(key)}; put it in quotes")
        self.left: dict[str, Any] = dict(value)
        self._known: list[str] = []

    def at(self, key: str) -> str:
        """The path of a key, for errors."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> Any:  # noqa: ANN401 - checked by whoever takes it
        """A value, or None where there is none."""
        self._known.append(key)
        return self.left.pop(key, None)

    def section(self, key: str) -> Section:
        """A mapping inside, empty where there is none."""
        return Section(self.take(key), self.at(key))

    def texts(self, key: str, check: Callable[[str, str], str]) -> tuple[str, ...]:
        """A list of texts, each checked with its path; empty where there is none."""
        return texts_of(self.take(key), self.at(key), check)

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self.take(key)
        if value is None:
            return default
        if value not in allowed:
            raise PolicyError(f"{self.at(key)}: allowed are {', '.join(allowed)}")
        return str(value)

    def integer(self, key: str, low: int, high: int, default: int | None) -> int | None:
        """A whole number within bounds."""
        value = self.take(key)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise PolicyError(f"{self.at(key)}: a whole number from {low} to {high} is expected")
        return value

    def done(self) -> None:
        """Nothing is left."""
        for key in self.left:
            raise PolicyError(f"{self.at(key)}: there is no such key; allowed are {', '.join(self._known)}")


def texts_of(value: object, path: str, check: Callable[[str, str], str]) -> tuple[str, ...]:
    """A list of texts, each checked with its path."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise PolicyError(f"{path}: {kind(value)} where a list is expected")
    if len(value) > ENTRIES_MAX:
        raise LimitError(f"{path} has {len(value)} entries; {ENTRIES_MAX} is the limit")
    return tuple(check(text_of(one, f"{path}[{at}]"), f"{path}[{at}]") for at, one in enumerate(value))


def text_of(value: object, path: str) -> str:
    """A text that is one."""
    if not isinstance(value, str) or not value:
        raise PolicyError(f"{path}: {kind(value)} where text is expected; put it in quotes")
    return value


def kind(value: object) -> str:
    """What a value is, in words of YAML."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), "something else")


def iri(text: str, path: str) -> str:
    """An IRI, without angle brackets."""
    if not is_normal(f"<{text}>".encode(errors="replace")):
        raise PolicyError(f"{path}: an absolute IRI is expected, without angle brackets")
    return text


def iri_or_all(text: str, path: str) -> str:
    """An IRI, or `*`."""
    return text if text == "*" else iri(text, path)


def publisher(text: str, path: str) -> str:
    """A publisher: `local`, or did:pkh as snapshots have it, the address in mixed case (EIP-55) or in one case."""
    if text == LOCAL:
        return text
    found = _PKH.fullmatch(text)
    if found is None:
        raise PolicyError(f"{path}: a publisher is expected: did:pkh:eip155:CHAIN:ADDRESS, or local")
    try:
        return pkh(int(found[1]), address_from_text(found[2]))
    except InputError as error:
        raise PolicyError(f"{path}: {error}") from None


def publisher_or_all(text: str, path: str) -> str:
    """A publisher, or `*` for all that are not named."""
    return text if text == "*" else publisher(text, path)


def weight(value: object, path: str) -> Fraction:
    """A weight, exactly as written, so that equal sums are equal."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000_000:  # noqa: PLR2004
        raise PolicyError(f"{path}: a number from 0 to 1000000 is expected")
    return Fraction(str(value))
