"""A peer node from the command line: configured, started, given a commit, asked, copied, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.node.cli.conftest import Desk

ONE = "<urn:a> <urn:p> 1 .\n"
VALUES = "SELECT ?o { <urn:a> <urn:p> ?o } ORDER BY ?o"


def configured(desk: Desk) -> tuple[str, str]:
    """A home with something published, and the configuration of a node."""
    home = desk.deployed()
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "a")
    config = str(desk.path / "node" / "node.toml")
    assert desk.ok("init", "--config", config, "--home", home, "--port", "0")["config"] == config
    return home, config


@contextmanager
def started(config: str, **environment: str) -> Iterator[str]:
    """A node that runs; gives its URL. It must end well when it is told to."""
    log = Path(config).with_name("err")  # not a pipe: a node waits for whoever reads its log
    with log.open("w", encoding="utf-8") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "dkg.client.cli", "start", "--config", config, "--json"],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env={**os.environ, "DKG_NODE_HTTP_READY_AGE_SECONDS": "3600", **environment},
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line, log.read_text()
        yield str(json.loads(line)["http"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text() + Path(config).with_name("node.log").read_text()


@pytest.mark.slow
def test_a_node_is_given_a_commit_and_answers_with_proofs(desk: Desk) -> None:
    home, config = configured(desk)
    token = desk.path / "token"
    token.write_text(desk.ok("token", "new", "me", "--scope", "publish", "--config", config)["token"])
    assert desk.run("status", "--config", config).code == 3
    with started(config) as url:
        push = ("push", url, "--home", home, "--token-file", str(token))
        first = desk.ok(*push)
        desk.signed(home, "publish", desk.file("b.ttl", ONE + "<urn:a> <urn:p> 2 ."), "--asset", "a")
        second = desk.ok(*push)
        assert [first["seq"], second["seq"]] == [1, 2]
        query = urlencode({"query": VALUES, "publisher": desk.address()})
        with urlopen(Request(f"{url}/sparql?{query}", headers={"Accept": "application/vnd.ipld.car"})) as answer:
            proof = desk.path / "proof.car"
            proof.write_bytes(answer.read())
        found = desk.ok("verify", str(proof), "--publisher", desk.address(), "--home", home, VALUES)
        assert [row["o"]["value"] for row in found["answer"]["results"]["bindings"]] == ["1", "2"]
        assert (found["claim"], found["seq"]) == ("L1", 2)
        said = desk.ok("status", "--config", config)
        assert (said["state"], said["node"]["chain"]["commits"]) == ("running", 2)
        copied = desk.ok("backup", str(desk.path / "copy"), "--config", config)
        assert copied["roots"] >= 2
        wrong = desk.file("wrong", "dkg_nothing")
        ran = desk.run("push", url, "--home", home, "--token-file", wrong)
        assert (ran.code, "Traceback" in ran.err) == (1, False)
    restored = desk.ok("restore", str(desk.path / "copy"), str(desk.path / "again"))
    assert restored["roots"] == copied["roots"]


@pytest.mark.slow
def test_a_push_that_takes_longer_than_a_request_may_is_waited_for(desk: Desk) -> None:
    home, config = configured(desk)
    many = "".join(f"<urn:a{number}> <urn:p> {number} .\n" for number in range(12_000))
    desk.signed(home, "publish", desk.file("many.ttl", many), "--asset", "many")
    token = desk.path / "token"
    token.write_text(desk.ok("token", "new", "me", "--scope", "publish", "--config", config)["token"])
    push = ("push", "--home", home, "--token-file", str(token), "--progress")
    with started(config, DKG_NODE_HTTP_REQUEST_SECONDS="0.1") as url:
        ran = desk.run(*push, url, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["operation"]["state"] in {"mined", "final"}
        assert desk.ok(*push, url)["bytes"] < ran.json["bytes"] / 100  # the node has it all
    said = [json.loads(line) for line in Path(config).with_name("node.log").read_text().splitlines()]
    posts = [one["status"] for one in said if one["event"] == "http.request" and one["path"] == "/v1/commits"]
    assert 504 in posts
    assert 200 in posts or 202 in posts


def test_a_configuration_is_written_once_and_needs_a_chain(desk: Desk) -> None:
    config = str(desk.path / "node.toml")
    ran = desk.run("init", "--config", config, "--home", str(desk.path / "empty"))
    assert (ran.code, "dkg chain use" in ran.err) == (1, True)
    _, config = configured(desk)
    before = Path(config).read_bytes()
    ran = desk.run("init", "--config", config, "--home", str(desk.path / "home"))
    assert (ran.code, "left alone" in ran.err) == (1, True)
    assert Path(config).read_bytes() == before


def test_what_cannot_be_pushed_is_a_sentence(desk: Desk) -> None:
    home = desk.deployed()
    token = desk.file("token", "dkg_x")
    argv = ("push", "http://127.0.0.1:1", "--home", home, "--token-file")
    assert "nothing was published" in desk.run(*argv, token).err
    desk.signed(home, "publish", desk.file("a.ttl", ONE), "--asset", "a")
    assert "cannot be reached" in desk.run(*argv, token).err
    assert "cannot be read" in desk.run(*argv, "/nowhere").err
    assert "one token" in desk.run(*argv, desk.file("two", "a b")).err


def test_a_token_is_made_once_for_each_name_and_kept_as_a_hash(desk: Desk) -> None:
    _, config = configured(desk)
    argv = ("token", "new", "me", "--scope", "publish", "--scope", "metrics", "--config", config)
    made = desk.ok(*argv)
    kept = (Path(config).parent / "tokens.json").read_text()
    assert made["token"] not in kept
    assert made["scopes"] == ["metrics", "publish"]
    ran = desk.run(*argv)
    assert (ran.code, "left alone" in ran.err) == (1, True)
    ran = desk.run("token", "new", "you", "--config", config)
    assert (ran.code, "say what the token is for" in ran.err) == (1, True)


def test_tokens_are_listed_and_taken_back_all_that_are_named_or_none(desk: Desk) -> None:
    _, config = configured(desk)
    for name in ("me", "you", "they"):
        desk.ok("token", "new", name, "--scope", "publish", "--config", config)
    path = Path(config).parent / "tokens.json"
    assert desk.ok("token", "list", "--config", config) == {
        "file": str(path),
        "tokens": [{"name": name, "scopes": ["publish"], "reads": None} for name in ("me", "you", "they")],
    }
    before = path.read_bytes()
    ran = desk.run("token", "revoke", "me", "nobody", "--config", config)
    assert (ran.code, "no token 'nobody'" in ran.err, path.read_bytes() == before) == (1, True, True)
    assert desk.ok("token", "revoke", "me", "they", "--config", config) == {"revoked": ["me", "they"]}
    assert [one["name"] for one in desk.ok("token", "list", "--config", config)["tokens"]] == ["you"]
    assert path.stat().st_mode & 0o777 == 0o600
