"""HTML of strangers, read by libxml2 in time that is in proportion to its length.

Python's own `html.parser` is not: 24 kB of `<a ` take it 42 s (3.11.7). libxml2 becomes slow over deep nesting alone,
which is bounded here. No tree is built, nothing is fetched, nothing is run.
"""

from __future__ import annotations

from typing import Final, Protocol

from lxml import etree  # type: ignore[import-untyped]

from dkg.errors import LimitError
from node.imports.limits import ELEMENTS_DEPTH_MAX

_CHUNK: Final = 64 * 1024
_INLINE: Final = frozenset({"a", "abbr", "b", "code", "em", "i", "mark", "q", "s", "small", "span", "strong", "u"})
_HIDDEN: Final = frozenset({"script", "style"})


class Reader(Protocol):
    """What is told of the elements of a page, in their order."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """There is text in it."""


class _Target:
    """Passes on what libxml2 finds, and stops it where it is too deep."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """See `Reader`."""
        self._depth += 1
        if self._depth > ELEMENTS_DEPTH_MAX:
            raise LimitError(f"the HTML has over {ELEMENTS_DEPTH_MAX} elements inside each other (ELEMENTS_DEPTH_MAX)")
        self._reader.start(tag, attributes)

    def end(self, tag: str) -> None:
        """See `Reader`."""
        self._depth -= 1
        self._reader.end(tag)

    def data(self, text: str) -> None:
        """See `Reader`."""
        self._reader.data(text)

    def close(self) -> None:
        """The page ends."""


def read_html(text: str, reader: Reader) -> None:
    """Tell a reader what is in a page. Raises `LimitError` for one that is nested too deeply."""
    data = text.encode()
    if not data.strip():
        return
    parser = etree.HTMLParser(target=_Target(reader), recover=True, no_network=True, encoding="utf-8", huge_tree=True)
    for start in range(0, len(data), _CHUNK):
        parser.feed(data[start : start + _CHUNK])
    parser.close()


def plain_text(html: str) -> str:
    """The text of HTML, as one line: no markup, no scripts, no styles. Raises `LimitError`."""
    reader = _Text()
    read_html(html, reader)
    return " ".join("".join(reader.parts).split())


class _Text:
    """Collects what is text; what begins a new line is a space."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._hidden = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - see `Reader`
        """See `Reader`."""
        self._hidden += tag in _HIDDEN
        self._space(tag)

    def end(self, tag: str) -> None:
        """See `Reader`."""
        self._hidden -= tag in _HIDDEN
        self._space(tag)

    def data(self, text: str) -> None:
        """See `Reader`."""
        if not self._hidden:
            self.parts.append(text)

    def _space(self, tag: str) -> None:
        if tag not in _INLINE:
            self.parts.append(" ")
