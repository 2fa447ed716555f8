"""Writes the contracts' artefacts, or says whether they are current: `python -m contracts.compile [--check]`.

Needs the extra `contracts`. The same source and compiler give the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
NAMES: Final = ("registry", "checkpoints")

_OUTPUTS: Final = ("abi", "bytecode", "bytecode_runtime", "layout", "userdoc", "devdoc")


def compiled(name: str) -> str:
    """The artefact of one of `NAMES` as it is written: JSON text. Raises what the compiler raises."""
    # Here, because it takes half a second and needs an extra.
    from vyper import compiler  # type: ignore[import-untyped]  # noqa: PLC0415
    from vyper.compiler.input_bundle import FilesystemInputBundle  # type: ignore[import-untyped]  # noqa: PLC0415

    source = FOLDER / f"{name}.vy"
    bundle = FilesystemInputBundle([FOLDER])
    made = compiler.compile_from_file_input(bundle.load_file(source), input_bundle=bundle, output_formats=_OUTPUTS)
    artefact = {
        "abi": made["abi"],
        "bytecode": made["bytecode"],
        "runtime": made["bytecode_runtime"],
        "layout": made["layout"]["storage_layout"],
        "userdoc": made["userdoc"],
        "devdoc": made["devdoc"],
        "compiler": f"vyper {version('vyper')}",
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    return json.dumps(artefact, indent=1, sort_keys=True) + "\n"


def path_of(name: str) -> Path:
    """Where the artefact of one of `NAMES` is."""
    return FOLDER / "artefacts" / f"{name}.json"


def stale() -> list[str]:
    """Those of `NAMES` whose artefact is missing, or not what their source gives."""
    return [name for name in NAMES if not path_of(name).is_file() or path_of(name).read_text() != compiled(name)]


def main(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 if `--check` finds an artefact that is not current."""
    parser = argparse.ArgumentParser(prog="python -m contracts.compile", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(arguments).check:
        found = stale()
        for name in found:
            sys.stderr.write(f"{path_of(name)} is not what {name}.vy gives: run `python -m contracts.compile`.\n")
        return 1 if found else 0
    for name in NAMES:
        path_of(name).parent.mkdir(exist_ok=True)
        path_of(name).write_text(compiled(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
