"""The configuration of a node: one TOML file and environment variables, checked, as the settings of each part.

    config = read_config(Path("node.toml"), os.environ)

What can be set, with defaults and meanings, is one table (`node.config_table`). Defaults are safe: only this machine
can reach the node, nobody can write, and nothing is sent into the local network. No secret stands in the file: keys are
in key files, passwords in password files, and endpoints, whose URLs hold keys, are never shown.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import address_from_text, checksum
from dkg.client.settings import ChainSettings, check_settings, majority, read_settings
from dkg.errors import InputError, StoreError
from node.config_table import DAY_S, PREFIX, SETTINGS, Setting
from node.core.settings import CoreSettings
from node.http.settings import HttpSettings
from node.http.tokens import read_tokens
from node.peers.slots import SlotLimits
from node.publish.fees import GWEI, FeePolicy
from node.replication.replicator import DEFAULT_SETTINGS
from node.storage import Retention, Rule
from node.workers.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_FILE: Final = "node.toml"
CONFIG_BYTES_MAX: Final = 1024 * 1024
"""Longest configuration file that is read, in bytes."""

TOKENS_FILE: Final = "tokens.json"

_BY_NAME: Final = {one.name: one for one in SETTINGS}
_BY_VARIABLE: Final = {one.variable: one for one in SETTINGS}


class ConfigError(InputError):
    """A configuration that cannot be used: says where it stands, which setting, its value, and what it may be."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a setting, and where it comes from, for people."""

    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. `values`: by name, all settings, those that were not given too."""

    values: Mapping[str, Value]
    source: str
    """The file, for people."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - of the setting's kind
        return self.values[name].value

    @property
    def directory(self) -> Path:
        """Where the node keeps everything."""
        return Path(self["node.directory"]).expanduser()

    @property
    def log_file(self) -> Path | None:
        """Where the log goes; None: standard error."""
        return Path(self["node.log_file"]).expanduser() if self["node.log_file"] else None

    @property
    def views(self) -> bool:
        """Whether views are made for plain queries."""
        return bool(self["storage.views"])

    # --- the parts -----------------------------------------------------------------------------------------------

    def chain(self) -> ChainSettings:
        """Which chain: as this says, and for what it does not say, as the home does. Raises `ConfigError`."""
        home = self["chain.home"] or self["publish.home"]
        found = read_settings(Path(home).expanduser()) if home else None
        base = found or ChainSettings(0, "", finality_depth=self["chain.finality_depth"])
        depth = base.finality_depth if self._is_default("chain.finality_depth") else self["chain.finality_depth"]
        made = replace(
            base,
            chain_id=self["chain.id"] or base.chain_id,
            registry=self["chain.registry"] or base.registry,
            endpoints=list(self["chain.endpoints"]) or base.endpoints,
            need=self["chain.need"]
            or (majority(len(self["chain.endpoints"])) if self["chain.endpoints"] else base.need),
            first_block=self["chain.first_block"] or base.first_block,
            finality_depth=depth,
            checkpoints=self["chain.checkpoints"] or base.checkpoints,
        )
        if made.registry.lower() != base.registry.lower() and not self["chain.checkpoints"]:
            made = replace(made, checkpoints=None)  # the home's is of its own registry
        for name, value in (("id", made.chain_id), ("registry", made.registry), ("endpoints", made.endpoints)):
            if not value:
                raise ConfigError(
                    f"chain.{name} is not set in {self.source}: set it, or name a home that knows a chain as "
                    "chain.home (`dkg chain use` makes one)"
                )
        try:
            check_settings(made, self.source)
        except InputError as error:
            raise ConfigError(f"[chain] of {self.source}: {error}") from error
        return made

    def _is_default(self, name: str) -> bool:
        return self.values[name].where == "default"

    def core(self, chain: ChainSettings) -> CoreSettings:
        """The settings of `node.core`."""
        rule = Rule(
            count=self["storage.keep_count"],
            seconds=self["storage.keep_days"] * DAY_S,
            most=max(self["storage.keep_most"], self["storage.keep_count"]),
        )
        return CoreSettings(
            first_block=chain.first_block,
            finality_depth=chain.finality_depth,
            checkpoints=address_from_text(chain.checkpoints) if chain.checkpoints else None,
            watch=self["checkpoints.watch"],
            propose_s=self["checkpoints.propose_every"],
            poll_s=self["chain.poll_s"],
            poll_max_s=max(self["chain.poll_max_s"], self["chain.poll_s"]),
            follow=None if self["follow.all"] else self["follow.publishers"],
            publishers_max=self["follow.publishers_max"],
            patience_s=self["follow.patience_s"],
            retention=Retention(rule, dict.fromkeys(("subset:", "staged:", "checkpoint:"), Rule(count=1))),
            collect_s=self["storage.collect_s"],
            view_quads_min=self["storage.view_quads_min"],
            views=self["storage.views"],
            upload_quads_max=self["publish.upload_quads_max"],
            uploads_max=self["publish.uploads_max"],
            upload_days=self["publish.upload_days"],
            operation_days=self["storage.operation_days"],
            replicating=replace(DEFAULT_SETTINGS, at_once=self["follow.at_once"], quads_max=self["follow.quads_max"]),
        )

    def http(self) -> HttpSettings:
        """The settings of `node.http`, with the tokens of the tokens' file. Raises `ConfigError`."""
        given = {field.name: self[f"http.{field.name}"] for field in fields(HttpSettings) if field.name != "tokens"}
        given |= {"public_url": given["public_url"] or None, "hosts": given["hosts"] or None}
        file = Path(self["http.tokens_file"]).expanduser() if self["http.tokens_file"] else self.directory / TOKENS_FILE
        try:
            return HttpSettings(**given, tokens=read_tokens(file))
        except InputError as error:
            raise ConfigError(f"[http] of {self.source}: {error}") from error

    def workers(self) -> WorkerSettings:
        """The settings of `node.workers`. Raises `ConfigError`."""
        given = {field.name: self[f"workers.{field.name}"] for field in fields(WorkerSettings)}
        if not given["workers"]:
            del given["workers"]
        given |= {name: given[name] or None for name in ("running_per_client", "client_seconds")}
        try:
            return WorkerSettings(**given)
        except InputError as error:
            raise ConfigError(f"[workers] of {self.source}: {error}") from error

    def slots(self) -> SlotLimits:
        """The limits of connections to peers."""
        return SlotLimits(**{field.name: self[f"peers.{field.name}"] for field in fields(SlotLimits)})

    def fees(self) -> FeePolicy:
        """What may be paid."""
        return FeePolicy(max_fee_cap=int(self["publish.max_fee_gwei"] * GWEI))

    def quota_bytes(self) -> int | None:
        """Most that the directory may take of the disk; None: no limit."""
        return self["storage.quota_bytes"] or None


def read_config(file: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a file (None: there is none) and the environment. Raises `ConfigError`, and `StoreError` for the disk."""
    source = str(file) if file is not None else "the environment"
    values = {one.name: Value(one.default, "default") for one in SETTINGS}
    if file is not None:
        for name, found in _read(file).items():
            values[name] = Value(_checked(_BY_NAME[name], found, str(file), text=False), str(file))
    for variable, text in sorted(environment.items()):
        if variable.startswith(PREFIX):
            one = _BY_VARIABLE.get(variable)
            if one is None:
                raise ConfigError(f"the environment variable {variable} is no setting{_hint(variable, _BY_VARIABLE)}")
            where = f"the environment variable {variable}"
            values[one.name] = Value(_checked(one, text, where, text=True), where)
    return Config(values, source)


def _read(file: Path) -> dict[str, Any]:
    """What stands in a file, by the names of settings."""
    try:
        with file.open("rb") as opened:
            data = opened.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"there is no configuration {file}; `dkg init` makes one") from error
    except OSError as error:
        raise StoreError(f"the configuration {file} cannot be read: {error.strerror or error}") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{file} has more than {CONFIG_BYTES_MAX} bytes: this is no configuration")
    try:
        found = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    flat: dict[str, Any] = {}
    for section, keys in found.items():
        if not isinstance(keys, dict):
            raise ConfigError(f"{section} of {file} is in no section; settings stand in sections such as [http]")
        flat |= {f"{section}.{key}": value for key, value in keys.items()}
    for name in flat:
        if name not in _BY_NAME:
            raise ConfigError(f"{name} of {file} is no setting{_hint(name, _BY_NAME)}")
    return flat


def _hint(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; do you mean {near[0]}?" if near else "; docs/operations.md lists them all"


def _checked(one: Setting, found: Any, where: str, *, text: bool) -> Any:  # noqa: ANN401 - of its kind
    try:
        return one.check(one.kind.of_text(found) if text else one.kind.of_toml(found))
    except ValueError as error:
        shown = "" if one.secret else f", which is {found!r}"
        raise ConfigError(f"{one.name} of {where}{shown}, cannot be used: {error}") from error


def example(settings: Mapping[str, Any]) -> str:
    """A configuration file with these settings, by name, in sections, and what each is for."""
    lines: list[str] = []
    section = ""
    for one in SETTINGS:
        if one.name not in settings:
            continue
        head, _, key = one.name.partition(".")
        if head != section:
            lines += ([""] if lines else []) + [f"[{head}]"]
            section = head
        lines += [f"# {one.meaning}{f' ({one.unit})' if one.unit else ''}", f"{key} = {_toml(settings[one.name])}"]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case bytes():
            return f'"{checksum(value)}"'
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
