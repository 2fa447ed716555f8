"""The contracts on an Ethereum-compatible chain: their sources, and what the compiler made of them.

Using them needs no compiler: `registry()` and `checkpoints()` read the artefacts that `python -m contracts.compile`
wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Artefact:
    """A compiled contract. Treat what is in it as constant."""

    abi: Sequence[Mapping[str, Any]]
    """Functions and events, as JSON ABI."""
    bytecode: str
    """The creation code, 0x and hexadecimal digits; the ABI-encoded arguments of the constructor, if any, follow it."""
    runtime: str
    """The code on the chain, byte for byte, 0x and hexadecimal digits; behind it there are the immutables, if any."""
    layout: Mapping[str, Any]
    """Where each variable is stored: name -> {slot, n_slots, type}; those of a module under its name."""
    userdoc: Mapping[str, Any]
    """What the functions do, for those who call them (NatSpec)."""
    devdoc: Mapping[str, Any]
    """Their parameters, and how they work, for those who read the code (NatSpec)."""
    compiler: str
    """The name and version of what compiled it."""
    source_sha256: str
    """Of the contract's own source file without its modules, in hexadecimal."""


def _artefact(name: str) -> Artefact:
    text = resources.files(__name__).joinpath("artefacts", f"{name}.json").read_text(encoding="utf-8")
    return Artefact(**json.loads(text))


def registry() -> Artefact:
    """The registry of commits, `contracts/registry.vy`. Deploy `bytecode`; call by `abi`."""
    return _artefact("registry")


def checkpoints() -> Artefact:
    """Checkpoints and their refutation, `contracts/checkpoints.vy`.

    Deploy `bytecode` and the ABI-encoded arguments of the constructor: the registry's address, the bond of a checkpoint
    (wei), its window (seconds), the bond of a demand (wei) and its window (seconds).
    """
    return _artefact("checkpoints")
