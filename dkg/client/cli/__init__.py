"""The `dkg` command. Results go to standard output in the W3C formats; everything else goes to standard error.

| module     | what it has                                                        |
|------------|--------------------------------------------------------------------|
| `parser`   | the command line                                                   |
| `exits`    | exit codes                                                         |
| `console`  | the two outputs                                                    |
| `ask`      | `query`, `verify`                                                  |
| `chain`    | heads of publishers for `verify`; `evidence check`                 |
| `everybody`   | `query` of all publishers, by a checkpoint                      |
| `checkpoints` | `checkpoint status`                                             |
| `datasets` | `load`, `root`, `diff`, `fsck`, `export`                           |
| `measure`  | `bench`                                                            |
| `table`    | SELECT results as people read them                                 |

Commands are imported when they run, so that `dkg verify` starts fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from dkg.client.cli.console import Console
from dkg.client.cli.exits import Exit
from dkg.client.cli.parser import dkg_version, parse
from dkg.errors import DkgError, MissingPageError, ProofError, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dkg` with these arguments (default: those of the process); gives the exit code."""
    if sys.stderr is None:  # closed by whoever started us, like the next
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - open as long as the process lives
    if sys.stdout is None:
        sys.stderr.write("dkg: error: cannot write the result: standard output is closed\n")
        return Exit.STORE
    console = Console()
    try:
        args = _arguments(argv)
        if isinstance(args, int):
            code = args
        elif args.run is None:
            console.line(f"dkg {dkg_version()}")
            code = Exit.OK
        else:
            console = Console(json=args.json, quiet=args.quiet, progress=getattr(args, "progress", False))
            code = _run(args, console)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return Exit.PIPE_CLOSED
    except KeyboardInterrupt:
        sys.stderr.write("\ndkg: interrupted\n")
        return Exit.INTERRUPTED
    except MemoryError:
        console.fail("there is not enough memory for this", "MemoryError", Exit.STORE)
        return Exit.STORE
    except OSError as error:  # of standard output: files and stores have their own errors
        _drop_output()
        console.fail(f"cannot write the result: {error.strerror or error}", "OSError", Exit.STORE)
        return Exit.STORE
    return code


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace | int:
    """The arguments, or the exit code of what argparse has told: help, or a usage error."""
    try:
        return parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.USAGE


def _run(args: argparse.Namespace, console: Console) -> int:
    module, function = args.run.split(":")
    if "." not in module:
        module = f"dkg.client.cli.{module}"
    try:
        code: int = getattr(import_module(module), function)(args, console)
    except ModuleNotFoundError as error:
        if module.startswith("dkg.") or (error.name or "").startswith("dkg"):
            raise
        console.fail(f"this needs the package {error.name}: pip install 'dkg[publish]'", "ImportError", Exit.STORE)
        return Exit.STORE
    except DkgError as error:
        text, code = _explained(error)
        console.fail(text, type(error).__name__, code)
    return code


def _explained(error: DkgError) -> tuple[str, Exit]:
    if isinstance(error, MissingPageError):
        return f"not verified, the answer is unknown (which is not the same as empty): {error}", Exit.UNPROVED
    if isinstance(error, ProofError):
        return f"not verified: {error}", Exit.UNPROVED
    if isinstance(error, StoreError):
        return str(error), Exit.STORE
    return str(error), Exit.INPUT


def _drop_output() -> None:
    """Nobody takes our output any more: keep the interpreter from trying again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    finally:
        os.close(null)
