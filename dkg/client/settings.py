"""Which chain: settings that a publisher and a client share, in one small file, `chain.json` in a home directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dkg.chain.commit import Domain
from dkg.chain.secp import address_from_text
from dkg.chain.ual import CHAIN_ID_MAX
from dkg.errors import InputError, StoreError
from dkg.limits import FINALITY_DEPTH, FINALITY_DEPTH_MAX

SETTINGS_FILE: Final = "chain.json"
HEADS_FILE: Final = "heads.json"

HOME_VARIABLE: Final = "DKG_HOME"
DEFAULT_HOME: Final = "~/.dkg"

SETTINGS_BYTES_MAX: Final = 64 * 1024
"""Longest file of settings that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Which chain: its id, its endpoints (`need` of them must agree), its contracts, and when a block is final."""

    chain_id: int
    registry: str
    endpoints: list[str] = field(default_factory=list)
    need: int = 1
    first_block: int = 0
    """The block of the registry's deployment."""
    finality_depth: int = FINALITY_DEPTH
    checkpoints: str | None = None
    """Address of the contract of checkpoints of this registry; None: none is used."""
    publisher: str | None = None
    """Whose datasets a home publishes, if not those of its own key."""

    @property
    def domain(self) -> Domain:
        """What signatures are bound to."""
        return Domain(self.chain_id, address_from_text(self.registry))


def majority(endpoints: int) -> int:
    """How many of so many endpoints must agree where nobody says it: more than half."""
    return endpoints // 2 + 1


def home_path(option: str | None) -> Path:
    """The home that an option, the environment or the default names."""
    return Path(option or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser()


def read_settings(home: Path) -> ChainSettings | None:
    """The settings of the chain in a home; None if there are none. Raises `InputError` if they make no sense."""
    path = home / SETTINGS_FILE
    try:
        with path.open("rb") as file:
            data = file.read(SETTINGS_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        settings = ChainSettings(**json.loads(data))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: `dkg chain use` writes it anew") from error
    check_settings(settings, str(path))
    return settings


def check_settings(settings: ChainSettings, where: str) -> None:
    """Raise `InputError` if settings make no sense; `where`: what the message blames."""
    numbers: dict[str, tuple[Any, int, int]] = {
        "chain_id": (settings.chain_id, 1, CHAIN_ID_MAX),
        "need": (settings.need, 1, max(1, len(settings.endpoints))),
        "first_block": (settings.first_block, 0, 2**63),
        "finality_depth": (settings.finality_depth, 0, FINALITY_DEPTH_MAX),
    }
    for name, (value, least, most) in numbers.items():
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"{name} of {where} is {value!r}; it is a number between {least} and {most}")
    urls: object = settings.endpoints  # from a file: of any type
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise InputError(f"endpoints of {where} is no list of URLs")
    address_from_text(str(settings.registry))
    for other in (settings.checkpoints, settings.publisher):
        if other is not None:
            address_from_text(str(other))
