"""Private parts from the command line: published with an asset, granted, listed, revoked; tokens that read."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dkg.chain.secp import address_from_text
from dkg.chain.ual import Ual
from dkg.client.store import SqliteStore
from dkg.errors import InputError
from dkg.pages import StoredPages
from node.cli.sign_in import require_ours
from node.http.tokens import read_tokens
from node.private.assets import committed_at
from node.private.signin import SignIn
from node.private.vault import Vault
from tests.node.cli.test_nodes import started

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk

SECRET = '<urn:a> <urn:secret> "canary-51ab" .\n'
READER = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"


@pytest.fixture
def ready(desk: Desk) -> tuple[str, str]:
    """A home, and the configuration of a node beside it."""
    home = desk.deployed()
    config = str(desk.path / "node" / "node.toml")
    desk.ok("init", "--config", config, "--home", home, "--port", "0")
    return home, config


def vault(config: str) -> Vault:
    return Vault(Path(config).parent, time.time)


def committed(home: str, ual: str) -> bytes | None:
    with SqliteStore(Path(home) / "store", read_only=True) as store:
        root = store.head()
        assert root is not None
        return committed_at(StoredPages(store), root, Ual.parse(ual))


def test_an_asset_is_published_with_a_private_part(desk: Desk, ready: tuple[str, str]) -> None:
    home, config = ready
    files = desk.file("a.ttl", "<urn:a> <urn:p> 1 ."), "--private", desk.file("s.ttl", SECRET)
    publish = "publish", *files, "--asset", "a", "--config", config
    ual = desk.signed(home, *publish)["ual"]
    first = committed(home, ual)
    with closing(vault(config)) as kept:
        (version,) = kept.versions()
        assert (version.commitment, version.ual, version.count) == (first, ual, 1)
    assert not desk.signed(home, *publish)["changed"]
    assert committed(home, ual) == first
    other = desk.file("t.ttl", SECRET + "<urn:a> <urn:secret> 2 .")
    for name in (other, desk.file("s.ttl", SECRET)):  # and back: with another salt
        assert desk.signed(home, "publish", "--private", name, "--asset", "a", "--config", config)["changed"]
    assert committed(home, ual) != first
    with closing(vault(config)) as kept:
        assert len({one.salt for one in kept.versions()}) == 3
        assert len({one.root for one in kept.versions()}) == 2
    assert desk.signed(home, "retract", "a")["changed"]
    assert committed(home, ual) is None
    for path in Path(home).rglob("*"):
        assert not path.is_file() or b"canary-51ab" not in path.read_bytes()


def test_who_may_read_is_said_and_listed_and_unsaid(desk: Desk, ready: tuple[str, str]) -> None:
    home, config = ready
    private = desk.file("s.ttl", SECRET)
    ual = desk.signed(home, "publish", "--private", private, "--asset", "a", "--config", config)["ual"]
    at = "--config", config
    assert desk.ok("private", "grant", ual, READER, *at)["granted"]
    assert desk.ok("private", "grant", desk.address(), READER, *at)["whose"].endswith("/")
    said = desk.ok("private", "list", *at)
    assert [one["reader"] for one in said["grants"]] == [READER] * 2
    assert said["parts"] == [ual]
    with closing(vault(config)) as kept:
        assert kept.may_read(address_from_text(READER), Ual.parse(ual))
    assert desk.ok("private", "revoke", desk.address(), READER, *at)["revoked"]
    assert desk.ok("private", "revoke", ual, READER, *at)["revoked"]
    assert not desk.ok("private", "revoke", ual, READER, *at)["revoked"]
    assert desk.run("private", "list", *at).out == ""
    for wrong in (("grant", "a", READER), ("grant", ual, "0x1"), ("grant", ual.replace("31337", "1"), READER)):
        ran = desk.run("private", *wrong, *at)
        assert (ran.code, "Traceback" in ran.err) == (1, False)


def test_what_is_wrong_with_a_private_file_is_told_without_a_word_of_it(desk: Desk, ready: tuple[str, str]) -> None:
    home, config = ready
    wrong = desk.file("s.ttl", "<urn:a> canary-51ab")
    ran = desk.refused(home, "publish", "--private", wrong, "--asset", "a", "--config", config)
    assert "canary-51ab" not in ran.err + ran.out
    assert "s.ttl" in ran.err
    with closing(vault(config)) as kept:
        assert kept.versions() == []


def test_a_token_that_is_bound_to_an_address_reads_as_it(desk: Desk, ready: tuple[str, str]) -> None:
    _, config = ready
    assert desk.ok("token", "new", "reader", "--reads", READER, "--config", config)["scopes"] == []
    assert desk.ok("token", "new", "desk", "--scope", "grant", "--config", config)["scopes"] == ["grant"]
    first, second = read_tokens(Path(config).parent / "tokens.json")
    assert (first.reads, second.reads) == (address_from_text(READER), None)
    assert desk.run("token", "new", "nothing", "--config", config).code == 1
    assert desk.run("token", "new", "wrong", "--reads", "0x1", "--config", config).code == 1


def test_private_parts_are_checked(desk: Desk, ready: tuple[str, str]) -> None:
    home, config = ready
    desk.signed(home, "publish", "--private", desk.file("s.ttl", SECRET), "--asset", "a", "--config", config)
    assert desk.ok("private", "check", "--config", config) == {"clean": True, "parts": 1, "problems": []}
    (path,) = (Path(config).parent / "private").glob("*.part")
    path.write_bytes(path.read_bytes()[:-4] + b"evil")
    ran = desk.run("private", "check", "--config", config)
    assert (ran.code, "damaged" in ran.err) == (3, True)
    assert "canary-51ab" not in ran.err + ran.out


def test_a_private_store_that_is_lost_is_not_called_clean(desk: Desk, ready: tuple[str, str]) -> None:
    _, config = ready
    at = ("--config", config)
    for command in (("check",), ("list",), ("revoke", READER, READER)):
        ran = desk.run("private", *command, *at)
        assert (ran.code, "there is no private store" in ran.err) == (3, True)
    assert not (Path(config).parent / "private").exists()
    desk.ok("private", "grant", READER, READER, *at)
    assert len(desk.ok("private", "list", *at)["grants"]) == 1


def signed_in(desk: Desk, home: str, url: str) -> Any:  # noqa: ANN401 - JSON
    return desk.signed(home, "private", "sign-in", url)


@pytest.mark.slow
def test_whoever_has_a_key_signs_in_and_reads(desk: Desk, ready: tuple[str, str]) -> None:
    """Also after a grant that was given while the node runs."""
    home, config = ready
    private = desk.file("s.ttl", SECRET)
    ual = desk.signed(home, "publish", "--private", private, "--asset", "a", "--config", config)["ual"]
    reader = desk.home("reader", account=3)
    (Path(reader) / "chain.json").write_bytes((Path(home) / "chain.json").read_bytes())
    token_file = desk.path / "token"
    token_file.write_text(desk.ok("token", "new", "me", "--scope", "publish", "--config", config)["token"])
    with started(config) as url:
        desk.ok("push", url, "--home", home, "--token-file", str(token_file))
        ran = desk.refused(reader, "private", "sign-in", url)
        assert "may read nothing" in ran.err
        desk.ok("private", "grant", ual, desk.address(3), "--config", config)
        token = signed_in(desk, reader, url)["token"]
        request = Request(f"{url}/v1/assets/{ual}/private", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request) as answer:
            assert b"canary-51ab" in answer.read()
        desk.ok("private", "revoke", ual, desk.address(3), "--config", config)
        with pytest.raises(HTTPError) as refused:
            urlopen(request)
        with refused.value as told:
            assert told.code == 404
    log = Path(config).with_name("node.log").read_text()
    assert token not in log
    assert "canary-51ab" not in log


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"domain": "evil.example"}, "another domain"),
        ({"uri": "http://evil.example/v1/session"}, "another uri"),
        ({"chain_id": 1}, "another chain id"),
        ({"address": b"\x01" * 20}, "another address"),
        ({"expires": 1_800_003_601}, "too long"),
    ],
)
def test_a_message_for_another_node_is_not_signed(changes: dict[str, Any], says: str) -> None:
    node, address = "http://127.0.0.1:8900", b"\x07" * 20
    fair = SignIn("127.0.0.1:8900", address, f"{node}/v1/session", 31337, "a" * 64, 1_800_000_000, 1_800_000_300)
    message = replace(fair, **changes).text()
    if not changes:
        require_ours(message, node, address, 31337, 1_800_000_000)
        with pytest.raises(InputError, match="something else"):
            require_ours(message + "\n", node, address, 31337, 1_800_000_000)
        return
    with pytest.raises(InputError, match=says):
        require_ours(message, node, address, 31337, 1_800_000_000)
