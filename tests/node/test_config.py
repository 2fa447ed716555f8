"""The configuration: one table, a file, the environment; every wrong value is told with where it stands."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.secp import checksum
from dkg.client.settings import ChainSettings
from dkg.errors import InputError, StoreError
from node.config import CONFIG_BYTES_MAX, Config, ConfigError, example, read_config
from node.config_table import ADDRESSES, INTEGER, NUMBER, PREFIX, SETTINGS, TEXTS, TRUTH, Setting, table
from node.core.settings import CoreSettings
from node.home import Home
from node.http.settings import HttpSettings
from node.http.tokens import Scope, new_token, write_tokens
from node.peers.settings import LOOPBACK
from node.peers.slots import SlotLimits
from node.workers.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = checksum(bytes(range(20)))
NUMBERS = [one for one in SETTINGS if one.kind in {INTEGER, NUMBER}]


def read(tmp_path: Path, text: str, **environment: str) -> Config:
    file = tmp_path / "node.toml"
    file.write_text(text, encoding="utf-8")
    return read_config(file, environment)


def line(one: Setting, value: object) -> str:
    section, _, key = one.name.partition(".")
    return f"[{section}]\n{key} = {value}\n"


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_setting_is_there_once_and_says_what_it_is() -> None:
    names = [one.name for one in SETTINGS]
    assert len(names) == len({*names}) == len({one.variable for one in SETTINGS})
    for one in SETTINGS:
        assert one.meaning
        assert one.check(one.default) == one.default
        assert one.variable.startswith(PREFIX)
        if one.kind in {INTEGER, NUMBER}:
            assert one.least is not None


@pytest.mark.parametrize(
    ("section", "settings"), [("http", HttpSettings), ("workers", WorkerSettings), ("peers", SlotLimits)]
)
def test_no_setting_of_a_part_is_left_out_or_has_another_default(section: str, settings: type) -> None:
    known = {one.name: one for one in SETTINGS}
    for field in fields(settings):
        if field.name == "tokens":
            continue
        one = known[f"{section}.{field.name}"]
        default = getattr(settings(), field.name)
        if field.name not in {"workers", "running_per_client", "client_seconds"}:  # 0 stands for what is found out
            assert one.default == default or (one.default in {"", ()} and default is None), one.name


def test_the_defaults_are_those_of_the_parts_and_are_safe(tmp_path: Path) -> None:
    config = read_config(None, {"DKG_NODE_NODE_DIRECTORY": str(tmp_path)})
    core, plain = config.core(ChainSettings(1, ADDRESS)), CoreSettings()
    for name in ("poll_s", "poll_max_s", "patience_s", "collect_s", "publishers_max", "uploads_max", "follow", "views"):
        assert getattr(core, name) == getattr(plain, name), name
    assert config.http() == HttpSettings()
    assert config.workers() == WorkerSettings()
    assert config.slots() == SlotLimits()
    assert config["http.host"] == "127.0.0.1"
    assert config["peers.listen"] == LOOPBACK
    assert not config["peers.mdns"]
    assert not config["publish.relay"]
    assert config.quota_bytes() is None
    assert config.log_file is None


def test_the_table_for_people_has_every_setting() -> None:
    shown = table()
    assert shown.count("\n") == len(SETTINGS) + 2
    for one in SETTINGS:
        assert f"| `{one.name}` |" in shown


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    text = "[http]\nport = 1\nhost = 'a'\n"
    config = read(tmp_path, text, DKG_NODE_HTTP_PORT="2", HOME="/x", DKG_OTHER="y")
    assert (config["http.port"], config["http.host"], config["http.keep_alive_seconds"]) == (2, "a", 15)
    assert config.values["http.port"].where == "the environment variable DKG_NODE_HTTP_PORT"
    assert config.values["http.host"].where == str(tmp_path / "node.toml")
    assert config.values["http.keep_alive_seconds"].where == "default"


def test_values_of_every_kind_are_the_same_from_file_and_environment(tmp_path: Path) -> None:
    given: dict[str, tuple[str, str, Any]] = {
        "http.port": ("81", "81", 81),
        "chain.poll_s": ("1.5", "1.5", 1.5),
        "peers.mdns": ("true", "TRUE", True),
        "http.host": ('"::1"', "::1", "::1"),
        "http.origins": (
            '["https://a.org", "https://b.org"]',
            "https://a.org, https://b.org",
            ("https://a.org", "https://b.org"),
        ),
        "follow.publishers": (f'["{ADDRESS}"]', ADDRESS, (bytes(range(20)),)),
    }
    for name, (toml, text, value) in given.items():
        one = next(setting for setting in SETTINGS if setting.name == name)
        assert read(tmp_path, line(one, toml))[name] == value
        assert read_config(None, {one.variable: text})[name] == value
    assert {next(s for s in SETTINGS if s.name == name).kind for name in given} >= {
        INTEGER,
        NUMBER,
        TRUTH,
        TEXTS,
        ADDRESSES,
    }
    assert read_config(None, {"DKG_NODE_HTTP_ORIGINS": ""})["http.origins"] == ()


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: one.name)
def test_a_number_is_taken_at_its_limits_and_refused_one_past(one: Setting, tmp_path: Path) -> None:
    step = 1 if one.kind is INTEGER else 0.001
    for limit, past in ((one.least, -step), (one.most, step)):
        if limit is None:
            continue
        at = int(limit) if one.kind is INTEGER else float(limit)
        assert read(tmp_path, line(one, at))[one.name] == at
        with pytest.raises(ConfigError, match=rf"{one.name} of .*node\.toml, which is .*, cannot be used: it is a"):
            read(tmp_path, line(one, at + past))
    for wrong in ("true", '"7"', "[]"):
        with pytest.raises(ConfigError, match="cannot be used"):
            read(tmp_path, line(one, wrong))
    with pytest.raises(ConfigError, match=f"{one.name} of the environment variable {one.variable}, which is 'x'"):
        read_config(None, {one.variable: "x"})
    if one.kind is NUMBER:
        with pytest.raises(ConfigError):
            read(tmp_path, line(one, "nan"))
        with pytest.raises(ConfigError):
            read_config(None, {one.variable: "inf"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 1", "port of .* is in no section"),
        ("[http]\nprot = 1", r"http.prot of .* is no setting; do you mean http.port\?"),
        ("[nonsense]\nx = 1", "nonsense.x of .* is no setting; docs/operations.md"),
        ("[http]\nport = 1\nport = 2", "is not TOML"),
        ("[http", "is not TOML"),
        ("[http]\nhost = 7", "it is a text"),
        ("[http]\norigins = 'x'", "it is a list of texts"),
        ("[http]\norigins = ['']", "it is a list of texts"),
        ("[peers]\nmdns = 1", "it is true or false"),
        ("[follow]\npublishers = ['0x1']", "is no address"),
        ("[node]\nlog_level = 'loud'", "one of debug, info, warning, error"),
        ("[workers]\nisolation = 'none'", "one of full, limits"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, text)


def test_what_is_wrong_with_the_environment_is_told() -> None:
    with pytest.raises(ConfigError, match=r"DKG_NODE_HTTP_PROT is no setting; do you mean DKG_NODE_HTTP_PORT\?"):
        read_config(None, {"DKG_NODE_HTTP_PROT": "1"})
    with pytest.raises(ConfigError, match="true or false"):
        read_config(None, {"DKG_NODE_PEERS_MDNS": "yes"})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration"):
        read_config(tmp_path / "none.toml", {})
    with pytest.raises(StoreError, match="cannot be read"):
        read_config(tmp_path, {})
    file = tmp_path / "node.toml"
    file.write_bytes(b"# " + b"x" * (CONFIG_BYTES_MAX - 2))
    assert read_config(file, {})["http.port"] == 8900
    file.write_bytes(b"# " + b"x" * (CONFIG_BYTES_MAX - 1))
    with pytest.raises(ConfigError, match="more than"):
        read_config(file, {})
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not TOML"):
        read_config(file, {})


def test_a_secret_is_never_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "[chain]\nendpoints = 'https://host/v2/SECRET'")
    assert "SECRET" not in str(caught.value)
    with pytest.raises(InputError) as other:
        read(
            tmp_path, f"[chain]\nid = 1\nregistry = '{ADDRESS}'\nneed = 3\nendpoints = ['https://host/v2/SECRET']"
        ).chain()
    assert "SECRET" not in str(other.value)


# --- the chain -------------------------------------------------------------------------------------------------------


def test_the_chain_is_that_of_the_file_or_of_a_home(tmp_path: Path) -> None:
    text = f"[chain]\nid = 5\nregistry = '{ADDRESS}'\nendpoints = ['http://a']\n"
    found = read(tmp_path, text).chain()
    assert (found.chain_id, found.endpoints, found.need, found.finality_depth) == (5, ["http://a"], 1, 12)
    Home(tmp_path / "home").keep_chain(
        ChainSettings(7, ADDRESS, ["http://b", "http://c"], need=2, first_block=9, finality_depth=3)
    )
    home = f"[chain]\nhome = '{tmp_path / 'home'}'\n"
    found = read(tmp_path, home).chain()
    assert (found.chain_id, found.endpoints, found.need) == (7, ["http://b", "http://c"], 2)
    assert (found.first_block, found.finality_depth) == (9, 3)
    found = read(tmp_path, home + "endpoints = ['http://d']\nfinality_depth = 30\n").chain()
    assert (found.chain_id, found.endpoints, found.need, found.finality_depth) == (7, ["http://d"], 1, 30)
    found = read(tmp_path, home + "endpoints = ['http://d', 'http://e', 'http://f']\n").chain()
    assert found.need == 2  # more than half, as on the command line


def test_the_checkpoint_contract_is_that_of_the_file_or_of_a_home_with_this_registry(tmp_path: Path) -> None:
    ours, other = "0x" + "cc" * 20, "0x" + "dd" * 20
    Home(tmp_path / "home").keep_chain(ChainSettings(7, ADDRESS, ["http://b"], checkpoints=ours))
    home = f"[chain]\nhome = '{tmp_path / 'home'}'\n"
    for more, found in (
        ("", ours),
        (f"registry = '{ADDRESS}'", ours),
        (f"registry = '{other}'", None),
        (f"registry = '{other}'\ncheckpoints = '{other}'", other),
        (f"checkpoints = '{other}'", other),
    ):
        config = read(tmp_path, home + more)
        assert config.chain().checkpoints == found
        wanted = bytes.fromhex(found[2:]) if found else None
        assert config.core(config.chain()).checkpoints == wanted
    with pytest.raises(ConfigError, match="address"):
        read(tmp_path, home + "checkpoints = '0x00'").chain()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "chain.id is not set"),
        ("[chain]\nid = 1", "chain.registry is not set"),
        (f"[chain]\nid = 1\nregistry = '{ADDRESS}'", "chain.endpoints is not set"),
        ("[chain]\nid = 1\nregistry = '0x1'\nendpoints = ['http://a']", "is no address"),
        (f"[chain]\nid = 1\nregistry = '{ADDRESS}'\nendpoints = ['http://a']\nneed = 2", "need"),
    ],
)
def test_a_chain_that_is_not_known_is_told(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        read(tmp_path, text).chain()


# --- the parts -------------------------------------------------------------------------------------------------------


def test_settings_reach_the_parts(tmp_path: Path) -> None:
    text = (
        f"[node]\ndirectory = '{tmp_path}'\nlog_file = '{tmp_path}/log'\n"
        f"[follow]\nall = false\npublishers = ['{ADDRESS}']\nat_once = 7\n"
        "[storage]\nkeep_count = 3\nkeep_days = 2\nkeep_most = 1\nquota_bytes = 5\nviews = 0\n"
        "[http]\npublic_url = 'https://kg.example.org'\nhosts = ['a']\n"
        "[workers]\nworkers = 2\nclient_seconds = 1.5\n"
        "[peers]\ninbound_max = 9\n"
        "[publish]\nmax_fee_gwei = 1.5\n"
    )
    config = read(tmp_path, text)
    core = config.core(ChainSettings(1, ADDRESS, finality_depth=9))
    assert core.follow == (bytes(range(20)),)
    assert (core.replicating.at_once, core.finality_depth) == (7, 9)
    rule = core.retention.of("union")
    assert (rule.count, rule.seconds, rule.most) == (3, 172_800, 3)
    assert core.retention.of("subset:x").count == 1
    assert (config.quota_bytes(), config.views, config.log_file) == (5, False, tmp_path / "log")
    assert (config.http().public_url, config.http().hosts) == ("https://kg.example.org", ("a",))
    assert (config.workers().workers, config.workers().client_seconds) == (2, 1.5)
    assert config.slots().inbound_max == 9
    assert config.fees().max_fee_cap == 1_500_000_000


def test_tokens_are_read_from_their_file(tmp_path: Path) -> None:
    _, token = new_token("me", [Scope.PUBLISH], bytes(32))
    write_tokens(tmp_path / "tokens.json", (token,))
    assert read(tmp_path, f"[node]\ndirectory = '{tmp_path}'").http().tokens == (token,)
    (tmp_path / "bad.json").write_text(json.dumps({}))
    with pytest.raises(ConfigError, match=r"\[http\] of .*bad.json"):
        read(tmp_path, f"[http]\ntokens_file = '{tmp_path}/bad.json'").http()


def test_values_that_only_a_part_can_judge_are_told_with_their_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[http\] of .*no origin"):
        read(tmp_path, "[http]\norigins = ['nonsense']").http()


def test_an_example_is_read_back_as_what_it_was_made_of(tmp_path: Path) -> None:
    given: dict[str, Any] = {one.name: one.default for one in SETTINGS}
    given |= {"follow.publishers": (bytes(range(20)),), "http.host": 'a"b\\c', "chain.endpoints": ("http://a",)}
    text = example(given)
    config = read(tmp_path, text)
    assert {name: config[name] for name in given} == given
    names = "node chain follow storage http workers peers publish checkpoints retrieval"
    assert [*tomllib.loads(text)] == names.split()
