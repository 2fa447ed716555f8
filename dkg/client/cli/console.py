"""Where a command writes: results to standard output, words about them to standard error."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def plain(text: str) -> str:
    """Text that is safe on a terminal: what does not print (escapes, newlines, bidi overrides) is written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at `stream`."""
    return bool(stream.isatty())


def paint(text: str, style: str, stream: TextIO) -> str:
    """Text in a style, if `stream` is a terminal that wants it (https://no-color.org)."""
    wanted = is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if wanted else text


@dataclass(frozen=True, slots=True)
class Console:
    """The two outputs of a command.

    `json`: standard output is one JSON object. `quiet`: no summary. `progress`: lines of it without a terminal.
    """

    json: bool = False
    quiet: bool = False
    progress: bool = False

    def result(self, data: bytes) -> None:
        """Bytes of a result; ends the line if they do not."""
        sys.stdout.buffer.write(data if not data or data.endswith(b"\n") else data + b"\n")

    def line(self, text: str) -> None:
        """Text of a result, in UTF-8 whatever the locale."""
        self.result(text.encode())

    def object(self, value: Mapping[str, Any]) -> None:
        """The JSON object of `--json`."""
        self.line(json.dumps(value, ensure_ascii=False))

    def say(self, text: str, style: str = "") -> None:
        """A sentence for whoever watches; not part of the result."""
        if not self.quiet:
            sys.stdout.flush()
            text = plain(text)
            sys.stderr.write((paint(text, style, sys.stderr) if style else text) + "\n")

    def fail(self, text: str, kind: str, code: int) -> None:
        """Why the command failed: one sentence, and with `--json` an object too."""
        if self.json:
            self.object({"error": {"kind": kind, "message": text, "exit": int(code)}})
        sys.stderr.write(f"{paint('dkg: error:', 'red', sys.stderr)} {plain(text)}\n")
