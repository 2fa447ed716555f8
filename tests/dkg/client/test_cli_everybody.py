"""`dkg query --node --min-claim L2` and `dkg checkpoint status`: a chain, its contract, and a node that may lie."""

from __future__ import annotations

import json
import shlex
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from dkg.chain.secp import checksum
from dkg.checkpoints.answer import Parts, prove_joint
from dkg.client.cli import everybody, main
from dkg.client.files import compress
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.page import CID_PREFIX, cid_bytes, cid_text
from dkg.pages import StoredPages
from node.checkpoints import calls
from node.devnet.chain import devnet
from tests.chain.world import DEPTH, world
from tests.dkg.client.test_checkpointed_contract import NAMES, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Lie = Callable[[Parts], Parts]


class Asked(Scene):
    """A scene with a node in front of its pages, and `dkg` that asks it."""

    capsys: pytest.CaptureFixture[str]
    home: Path
    union = b""
    """Digest of the root of the checkpoint that is final."""
    url = ""
    lie: Lie = staticmethod(lambda parts: parts)
    altered = False
    lacking = 0
    """So many requests are answered with 404 first."""

    def run(self, *argv: str, chain_id: int | None = None) -> tuple[int, str, str]:
        self.capsys.readouterr()
        registry = self.here.registry
        named = str(chain_id or registry.domain.chain_id)
        chain = ("--rpc", self.here.proxy.url, "--registry", checksum(registry.address), "--home", str(self.home))
        told = ("--chain-id", named, "--checkpoints", checksum(self.contract.address))
        code = main([*argv, *chain, *told, "--finality-depth", str(DEPTH)])
        return code, *self.capsys.readouterr()

    def query(self, *more: str, text: str = NAMES) -> tuple[int, str, str]:
        return self.run("query", "--node", self.url, "--min-claim", "L2", *more, text)

    def ok(self, *more: str, text: str = NAMES) -> Any:  # noqa: ANN401 - JSON
        code, out, err = self.query(*more, "--json", text=text)
        assert code == 0, err
        return json.loads(out)

    def proof(self, fields: list[tuple[str, str]]) -> bytes:
        """What the node answers."""
        given = dict(fields)
        beside = [value.partition(":") for name, value in fields if name == "beside"]
        datasets = {bytes.fromhex(who[2:]): cid_bytes(root) if root else None for who, _, root in beside}
        parts = self.lie(Parts(self.here.registry.domain, cid_bytes(given["at"].removeprefix("root:")), datasets))
        named = [
            tuple(f"<{value}>".encode() for name, value in fields if name == kind)
            for kind in ("default-graph-uri", "named-graph-uri")
        ]
        dataset, origins = Dataset(*named) if any(named) else ALL_GRAPHS, given.get("origins") == "true"
        car = prove_joint(StoredPages(self.store), parts, given["query"], origins=origins, dataset=dataset).car
        return compress(car.replace(b"first", b"lying", 1) if self.altered else car)


def names(found: Any) -> list[str]:  # noqa: ANN401 - JSON
    return sorted(row["name"]["value"] for row in found["answer"]["results"]["bindings"])


@contextmanager
def answering(asked: Asked) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            fields = parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            if asked.lacking:
                asked.lacking -= 1
                self.told(404, json.dumps({"detail": "it is not here yet"}).encode())
            else:
                self.told(200, asked.proof(fields))

        def do_GET(self) -> None:
            if self.path.startswith("/v1/publishers"):
                accounts = sorted(asked.here.registry.accounts[:4])
                items = [{"address": f"0x{one.hex()}"} for one in accounts]
                self.told(200, json.dumps({"items": items, "next": None}).encode())
            else:
                page = asked.store.get(cid_bytes(self.path.removeprefix("/ipfs/").partition("?")[0]))
                self.told(404 if page is None else 200, page or b"{}")

        def told(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

    with Quiet(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        asked.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Asked]:
    """Three publishers, a final checkpoint of theirs, and one who committed since."""
    with devnet() as chain, world(chain.url) as here, here.undone():
        made = Asked(here)
        made.capsys, made.home = capsys, tmp_path
        for who in range(3):
            made.say(who, f"first {who}")
        made.propose(3)
        made.union = made.kept(set().union(*made.said.values()))
        made.contract.finalise(1)
        made.say(1, "second 1")
        with answering(made):
            yield made


def test_an_answer_over_all_publishers_says_what_it_claims(asked: Asked) -> None:
    code, _, err = asked.query()
    assert code == 0
    assert "verified: 3 rows in checkpoint 1 and 1 dataset beside it" in err
    assert "\ncomplete for all publishers as of log position 3 (checkpoint 1, final)" in err
    found = asked.ok("--max-age", "600")
    assert names(found) == ["first 0", "first 2", "second 1"]
    assert (found["claim"], found["state"], found["checkpoint"]["id"]) == ("L2", "pending", 1)
    assert [one["publisher"] for one in found["beside"]] == [checksum(asked.here.registry.accounts[1])]
    asked.here.mine(DEPTH)
    assert asked.ok("--final")["state"] == "final"


def test_a_node_that_leaves_out_who_committed_since_is_refused(asked: Asked) -> None:
    asked.lie = lambda parts: Parts(parts.domain, parts.union, {})
    code, out, err = asked.query()
    assert (code, out) == (2, "")
    assert "not verified" in err


def test_a_node_that_takes_another_union_is_refused(asked: Asked) -> None:
    other = CID_PREFIX + asked.kept(asked.said[0])
    asked.lie = lambda parts: Parts(parts.domain, other, parts.beside)
    assert asked.query()[:2] == (2, "")


def test_a_node_that_alters_a_page_is_refused(asked: Asked) -> None:
    asked.altered = True
    code, out, err = asked.query()
    assert (code, out) == (2, "")
    assert "hash to" in err


def test_a_node_that_has_not_read_so_far_is_asked_again(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everybody, "LOOK_S", 0.0)
    asked.lacking = 2
    assert names(asked.ok()) == ["first 0", "first 2", "second 1"]
    monkeypatch.setattr(everybody, "PATIENCE_S", -1.0)
    asked.lacking = 2
    code, out, err = asked.query()
    assert (code, out) == (3, "")
    assert "it is not here yet; --behind takes a publisher" in err


def test_what_is_not_final_is_not_given_as_final(asked: Asked) -> None:
    asked.say(2, "second 2")
    asked.propose(5)
    assert asked.ok()["checkpoint"]["state"] == "final"
    pending = asked.ok("--pending")
    assert (pending["checkpoint"]["id"], pending["checkpoint"]["state"], pending["state"]) == (2, "pending", "pending")
    err = asked.query("--pending")[2]
    assert "said with a bond, and not known, to be complete for all" in err
    assert err.count("complete") == 1
    contract = asked.contract
    contract.send(calls.demand_checkpoint(contract.address, 2, b"", contract.terms.demand_bond))
    assert asked.ok("--pending")["state"] == "disputed"
    assert asked.run("checkpoint", "status")[1].count("disputed") == 1


def test_an_answer_that_is_too_old_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    latest = asked.here.rpc("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC
    now = int(latest["timestamp"], 16) + 100
    monkeypatch.setattr(everybody, "time", SimpleNamespace(**{**vars(time), "time": lambda: now}))
    assert asked.ok("--max-age", "101")["age_seconds"] == 100
    code, out, err = asked.query("--max-age", "99")
    assert (code, out, "is 100 s old" in err) == (2, "", True)


def test_a_publisher_may_be_taken_as_the_checkpoint_has_it(asked: Asked) -> None:
    found = asked.ok("--behind", checksum(asked.here.registry.accounts[1]))
    assert names(found) == ["first 0", "first 1", "first 2"]
    assert found["behind"] == [checksum(asked.here.registry.accounts[1])]


def test_with_origins_nothing_is_taken_from_the_checkpoint_alone(asked: Asked) -> None:
    assert len(asked.ok()["shown_by_checkpoint"]) == 2
    found = asked.ok("--origins")
    assert (names(found), found["shown_by_checkpoint"]) == (["first 0", "first 2", "second 1"], [])
    assert len(found["beside"]) == 3
    count = asked.ok("--origins", text="SELECT (COUNT(*) AS ?name) { ?s ?p ?o }")
    assert (names(count), len(count["beside"])) == (["3"], 3)


def test_graphs_are_named_as_over_http(asked: Asked) -> None:
    for option in ("--default-graph", "--named-graph"):
        code, _, err = asked.query(option, "urn:nothing")
        assert (code, "verified: nothing matches in checkpoint 1" in err) == (0, True)


def test_a_kept_proof_is_verified_with_what_was_said_of_it_and_with_nothing_else(asked: Asked) -> None:
    asked.say(2, "second 2")
    asked.propose(5)
    behind = ("--behind", checksum(asked.here.registry.accounts[1]))
    every = [
        *((), behind, ("--origins",), ("--origins", *behind), ("--pending",)),
        *(("--named-graph", "urn:nothing"), ("--default-graph", "urn:nothing"), ("--now", "2026-01-31T12:00:00Z")),
    ]
    kept = []
    for number, options in enumerate(every):
        proof = str(asked.home / f"{number}.car.zst")
        found = asked.ok(*options, "--proof", proof)
        said = shlex.split(asked.query(*options, "--proof", proof)[2].rpartition("; verify it with ")[2])
        kept.append(("verify", proof, *said, NAMES))
        code, out, err = asked.run(*kept[-1], "--json")
        assert code == 0, err
        timeless = {"seconds": 0, "age_seconds": 0}
        assert json.loads(out) | timeless == found | timeless
        assert json.loads(out)["as_of"] == said[said.index("--as-of") + 1] == ("2/5" if "--pending" in said else "1/5")
    before = [asked.run(*verify)[1] for verify in kept]
    asked.say(0, "second 0")
    asked.contract.finalise(2)
    asked.lacking = 1_000  # no node is asked
    for verify, out in zip(kept, before, strict=True):
        code, again, err = asked.run(*verify)
        assert (code, again) == (0, out)
        assert "as of log position 5" in err
    newest = [word for word in kept[0] if word not in {"--as-of", "1/5"}]
    code, out, err = asked.run(*newest)
    assert (code, out, "not verified" in err) == (2, "", True)
    for moment, code in (("1/4", 2), ("2/5", 2), ("3/5", 2), ("1/9", 2), ("nothing", 1)):
        assert asked.run(*(moment if word == "1/5" else word for word in kept[0]))[:2] == (code, "")


def test_a_node_that_cannot_be_reached_is_no_empty_answer(asked: Asked) -> None:
    asked.url = "http://127.0.0.1:1"
    code, out, err = asked.query()
    assert (code, out, "does not answer" in err) == (3, "", True)
    asked.url = "ftp://127.0.0.1"
    assert asked.query()[0] == 1


def test_without_a_contract_nothing_is_asked(asked: Asked) -> None:
    registry = asked.here.registry
    argv = ["query", "--node", asked.url, "--min-claim", "L2", "--rpc", asked.here.proxy.url, "--home", str(asked.home)]
    told = ["--registry", checksum(registry.address), "--chain-id", str(registry.domain.chain_id)]
    asked.capsys.readouterr()
    assert main([*argv, *told, NAMES]) == 1
    assert "--checkpoints" in asked.capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ("query", NAMES),
        ("query", "--node", "http://x", NAMES),
        ("query", "--node", "http://x", "--store", "db", "--min-claim", "L2", NAMES),
        ("query", "--node", "http://x", "--min-claim", "L2", "--root", "bafy", NAMES),
        ("query", "--node", "http://x", "--min-claim", "L2", "--final", "--pending", NAMES),
        ("query", "--node", "http://x", "--min-claim", "L1", NAMES),
        ("query", "--store", "db", "--max-age", "3", NAMES),
        ("query", "--store", "db", "--finality-depth", "0", NAMES),
        ("query", "--store", "db", "--rpc", "http://x", NAMES),
        ("query", "--store", "db", "--trusted", "heads.json", NAMES),
        ("query", "--store", "db", "--checkpoints", "0x", NAMES),
        ("verify", "a.car", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--root", "bafy", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--publisher", "0x", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--commit", "c", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--allow-unproved", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--opening", "o", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--commitment", "c", NAMES),
        ("verify", "a.car", "--min-claim", "L2", "--final", "--pending", NAMES),
        ("verify", "a.car", "--root", "bafy", "--as-of", "1/2", NAMES),
        ("verify", "a.car", "--publisher", "0x", "--beside", "0x", NAMES),
    ],
)
def test_what_makes_no_sense_together_is_a_usage_error(argv: tuple[str, ...]) -> None:
    assert main(list(argv)) == 64


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_says_what_is_final_and_what_is_covered(asked: Asked) -> None:
    code, out, _ = asked.run("checkpoint", "status", "--node", asked.url, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["final"]["id"], told["final"]["position"], told["position"], told["pending"]) == (1, 3, 4, [])
    assert told["final"]["root"] == cid_text(CID_PREFIX + asked.union)
    accounts = asked.here.registry.accounts
    assert told["changed"] == [checksum(accounts[1])]
    covered = {one["publisher"]: (one["covered"], one["not_covered"]) for one in told["coverage"]}
    assert covered[checksum(accounts[1])] == (1, None)
    assert {covered[checksum(accounts[one])][0] for one in (0, 2)} == {1}
    assert len(covered) == 3
    code, out, err = asked.run("checkpoint", "status", "--node", asked.url)
    assert (code, "3 of 4" in out, "it committed since" in out, "1 publisher committed since" in err) == (
        0,
        *[True] * 3,
    )


def test_status_of_another_chain_than_the_endpoints_is_none(asked: Asked) -> None:
    code, out, err = asked.run("checkpoint", "status", "--node", asked.url, chain_id=5)
    assert (code, out, "the endpoint is of chain 31337, not 5" in err) == (2, "", True)


def test_status_without_any_checkpoint_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with devnet() as chain, world(chain.url) as here, here.undone():
        made = Asked(here)
        made.capsys, made.home = capsys, tmp_path
        code, out, err = made.run("checkpoint", "status")
        assert (code, out.strip(), "nothing is complete for all" in err) == (0, "", True)
