"""IRI templates: RFC 6570, level 1. `https://example.org/city/{code}` with the code `São 1` is `…/S%C3%A3o%201`.

Whatever a value holds, it cannot leave its place: all but letters, digits and `-._~` are percent-encoded, as UTF-8, and
what would be a part of a path that is `.` or `..` is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from node.imports.errors import MappingError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

_PART: Final = re.compile(r"\{([^{}]*)\}")
_NO_NAME: Final = frozenset("+#./;?&=,!@|:*")
_DOTS: Final = re.compile(r"/\.\.?(?:[/?#]|$)")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """An IRI with names in braces. `names`: what it needs a value of."""

    text: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: object, what: str) -> Self:
        """Read one. `what`: where it stands, for errors. Raises `MappingError`."""
        if not isinstance(text, str):
            raise MappingError(f"{what} is no text, and should be an IRI such as https://example.org/city/{{code}}")
        names = tuple(_PART.findall(text))
        if re.search("[{}]", _PART.sub("", text)):
            raise MappingError(f"{what} has a brace without its other one: {text!r}")
        for name in names:
            if not name or name[0] in _NO_NAME:
                raise MappingError(f"{what} has {{{name}}}; of RFC 6570 only names in braces are known here")
        if _ABSOLUTE.match(text) is None:
            raise MappingError(f"{what} is {text!r}, which is no absolute IRI before its first name in braces")
        return cls(text, names)

    def expand(self, value_of: Callable[[str], str | None]) -> str | None:
        """The IRI; None if a value is missing. `value_of`: the text for a name.

        Raises `SourceError` if values make a part of the path `.` or `..`, which leads to another place, and has no
        other way to be written.
        """
        values = {name: value_of(name) for name in self.names}
        if any(not value for value in values.values()):
            return None
        iri = _PART.sub(lambda found: quote(values[found[1]] or "", safe=""), self.text)
        if _DOTS.search(iri) and not _DOTS.search(self.text):
            raise SourceError(f"the IRI would be {iri[:200]!r}, which leads to another place: leave the row out")
        return iri
