"""Exit codes of `dkg`: one meaning each, so that scripts can use them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    INPUT = 1
    """The input or the query is bad, or it was refused. Nothing was changed."""
    UNPROVED = 2
    """The proof does not prove an answer to this query for this root."""
    STORE = 3
    """The environment failed: no store, a full disk, a damaged page, an unknown root."""
    USAGE = 64
    """The command line makes no sense (sysexits.h: EX_USAGE)."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT)."""
    PIPE_CLOSED = 141
    """Whoever read the output stopped reading (128 + SIGPIPE)."""


HELP = """\
exit codes:
  0    done
  1    bad input or query, or refused; nothing was changed
  2    the proof was refused: nothing is verified
  3    the store or the environment failed: no store, disk full, damaged, unknown root
  64   wrong usage
  130  interrupted
  141  the reader of the output went away
"""
