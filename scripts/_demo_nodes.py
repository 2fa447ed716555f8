"""The demo's fourth part: a network of peers, of which a client trusts none.

`dkg devnet up` runs a chain and three peers. Two publishers hand their datasets to two different peers, and all three
come to one union. A client asks one peer, verifies the answer against the chain, sees the peer killed, and gets the
same from another. Then a proxy lies about an answer, and a peer lies about pages to a node that has just joined.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from _demo_chain import CASE, FINALITY_DEPTH, FINDINGS, LICENCE, PROLOGUE, value
from _demo_stage import ROOT, Answering, Attack, Stage, serving

from dkg.car import read_car, write_car
from dkg.client.progress import duration, grouped
from dkg.client.rpc import HttpRpc
from dkg.proof import root_bytes
from node.config import example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

PATIENCE_S: Final = 300.0
"""How long anything in the network may take, in seconds: most takes a few."""

PEERS: Final = 3
CAR: Final = "application/vnd.ipld.car"

ACROSS: Final = PROLOGUE + (
    "SELECT ?patient ?finding WHERE { ?patient hpoa:shows ?finding . omim:312750 hpoa:phenotype ?finding }"
)
"""What neither publisher can answer alone."""


class Nodes(Stage):
    """The steps of the fourth part. `rett`: what the clinic publishes."""

    def __init__(self, work: Path, rett: Path, *, quiet: bool) -> None:
        super().__init__(work / "nodes", quiet=quiet)
        self.work.mkdir()
        shutil.copy(rett, self.work / "rett.nt")
        (self.work / "case.ttl").write_text(CASE)
        self.network: dict[str, Any] = {}
        self.figures["attacks"] = []

    def run(self, then: Callable[[Nodes], None]) -> None:
        """All of it; `then`: what else is done with the network."""
        with self.up():
            union = self.publish()
            self.ask_and_kill(union)
            self.proxy_lies()
            self.peer_lies(union)
            then(self)

    # --- the network -----------------------------------------------------------------------------------------------

    @contextmanager
    def up(self) -> Iterator[None]:
        """`dkg devnet up`, as long as the block runs."""
        self.head("8. A network on this machine: a chain, two publishers, three peers that know each other")
        start = time.perf_counter()
        command = [sys.executable, "-m", "dkg.client.cli", "devnet", "up", "--json", "--quiet", "--block-time", "0"]
        command += ["--peers", str(PEERS), "--publishers", "2", "--directory", str(self.work / "networks")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            self.network = json.loads(line or "{}")
            if "peers" not in self.network:
                raise SystemExit(f"demo: the network did not start: {line}")
            self.figures["up_seconds"] = time.perf_counter() - start
            for number, peer in enumerate(self.network["peers"], 1):
                self.say(f"   peer {number} answers at {peer['http']}")
            self.say(f"   dkg devnet up: {duration(self.figures['up_seconds'])}", "dim")
            yield
        finally:
            process.terminate()
            process.communicate()

    def peer(self, number: int) -> dict[str, str]:
        """What is known of a peer, from 1."""
        found: dict[str, str] = self.network["peers"][number - 1]
        return found

    def get(self, url: str, accept: str = "application/json") -> bytes:
        """What a peer answers."""
        with urlopen(Request(url, headers={"Accept": accept}), timeout=60) as answer:  # noqa: S310 - loopback
            data: bytes = answer.read()
        return data

    def until(self, what: str, ready: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it gives
        """What a function gives, once that is something."""
        end = time.monotonic() + PATIENCE_S
        while not (found := ready()):
            if time.monotonic() > end:
                raise SystemExit(f"demo: it took more than {PATIENCE_S:.0f} s until {what}")
            time.sleep(0.1)
        return found

    # --- publishing ------------------------------------------------------------------------------------------------

    def publish(self) -> str:
        """Two publishers, two peers; gives the root that all three come to."""
        self.head("9. Two publishers hand their data to two different peers; all three come to one root")
        for at, (who, file, name) in enumerate((("clinic", "rett.nt", "rett"), ("lab", "case.ttl", "case-17"))):
            publisher, peer = self.network["publishers"][at], self.peer(at + 1)
            home = ("--home", publisher["home"])
            signed = (*home, "--password-file", publisher["password_file"], "--licence", LICENCE)
            made = self.done("publish", file, "--asset", name, *signed)
            start = time.perf_counter()
            self.done("push", peer["http"], *home, "--token-file", peer["token_file"])
            taken = duration(time.perf_counter() - start)
            what = f"commit {made['seq']}, {grouped(made['count'])} quads"
            self.say(f"   the {who}: {what}, handed to peer {at + 1} in {taken}")
        with closing(HttpRpc(self.network["chain"]["url"])) as rpc:
            rpc.call("anvil_mine", [hex(FINALITY_DEPTH)])
        start = time.perf_counter()
        roots = [self.until("peers agree", partial(self.union_of, n)) for n in range(1, PEERS + 1)]
        self.figures.update(unions=roots, converged_seconds=time.perf_counter() - start)
        for number, root in enumerate(roots, 1):
            self.say(f"   peer {number} has {root}")
        if len(set(roots)) != 1:
            raise SystemExit("demo: the peers came to different roots")
        taken = duration(self.figures["converged_seconds"])
        self.say(f"   after {taken}; nobody pushed anything to peer {PEERS}", "dim")
        return str(roots[0])

    def union_of(self, number: int) -> str | None:
        """The root of the union at a peer, once both commits are in it."""
        union = json.loads(self.get(f"{self.peer(number)['http']}/v1/status"))["union"]
        return str(union["root"]) if union["position"] == len(self.network["publishers"]) else None

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(self, where: str, name: str, query: str, **more: str) -> Path:
        """A proof from whoever answers at a URL, alone with its query in a directory."""
        place = self.work / name
        place.mkdir()
        (place / "question.rq").write_text(query)
        (place / "proof.car").write_bytes(self.get(f"{where}/sparql?{urlencode({'query': query, **more})}", CAR))
        return place

    def verify(self, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """What the client makes of a proof."""
        return self.dkg("verify", "proof.car", "-f", "question.rq", *options, "--json", cwd=place)

    def of_clinic(self) -> tuple[str, ...]:
        """The client trusts this address, and the chain."""
        chain = self.network["chain"]
        told = ("--publisher", self.network["publishers"][0]["address"], "--rpc", chain["url"], "--home", "../client")
        registry = ("--registry", chain["registry"], "--chain-id", str(chain["chain_id"]))
        return (*told, *registry, "--finality-depth", str(FINALITY_DEPTH))

    def verified(self, place: Path, *options: str) -> dict[str, Any]:
        """The client's answer, which must be one."""
        done = self.verify(place, *options)
        if done.returncode:
            raise SystemExit(f"demo: an honest proof was refused: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def ask_and_kill(self, union: str) -> None:
        """One peer, then another."""
        self.head("10. Ask a peer, verify against the chain, kill the peer, ask another: the same answer")
        clinic = {"publisher": self.network["publishers"][0]["address"]}
        answers = []
        for number in (1, PEERS):
            place = self.ask(self.peer(number)["http"], f"findings-{number}", FINDINGS, **clinic)
            found = self.verified(place, *self.of_clinic())
            answers.append(value(found))
            self.say(f"   peer {number}: findings of Rett syndrome: {value(found)}")
            signed = f"signed by {found['publisher']}, complete as of commit {found['seq']}"
            self.say(f"     {found['claim']}, {signed}, {found['state']}, anchor {found['anchor']}", "dim")
            if number == 1:
                os.kill(int(self.peer(1)["pid"]), signal.SIGKILL)
                gone = self.dkg("status", "--config", self.peer(1)["config"])
                self.say(f"   kill -9: {gone.stderr.strip().removeprefix('dkg: error: ')}")
        if len(set(answers)) != 1:
            raise SystemExit("demo: two peers gave two answers")
        both = self.verified(self.ask(self.peer(2)["http"], "across", ACROSS), "--root", union)
        self.say(f"   peer 2, across both publishers: {both['rows']} findings of Rett syndrome in the lab's patient")
        self.say("     against the root of the union, on which the peers agree: no chain vouches for it so far", "dim")
        self.figures.update(answers=answers, across=both["rows"])

    # --- lies ------------------------------------------------------------------------------------------------------

    def proxy_lies(self) -> None:
        """Somebody between the client and a peer."""
        self.head("11. Lie over HTTP: a proxy alters what an honest peer proves")
        clinic = {"publisher": self.network["publishers"][0]["address"]}
        for name, lie in (("an altered triple", _altered), ("a dropped page", _dropped)):
            with _between(self.peer(2)["http"], lie) as where:
                done = self.verify(self.ask(where, name.replace(" ", "-"), FINDINGS, **clinic), *self.of_clinic())
            self.told(name, done)

    def told(self, name: str, done: subprocess.CompletedProcess[str]) -> None:
        """A lie and what was said to it."""
        attack = Attack(name, done.returncode, done.stderr.strip())
        self.refused(attack)
        self.figures["attacks"].append({"name": name, "exit": attack.exit, "said": attack.said})

    def peer_lies(self, union: str) -> None:
        """A peer that sends wrong pages to a node that knows nobody else, and then others as well."""
        self.head("12. Lie over libp2p: a new node joins, and the only peer that it knows alters every page")
        with self.liar() as liar:
            with self.joined([liar]) as config:
                why = self.until("the liar is caught", lambda: self.penalty(config, liar))
                held = self.done("status", "--config", config)["node"]["publishers"]["held"]
                self.say(f"   {why}")
                self.say(f"   it keeps {held} of 2 datasets, and answers with nothing that was not checked")
            self.say("   the same node, now that it knows peers 2 and 3 as well:")
            start = time.perf_counter()
            self.network["peers"].append({})
            with self.joined([liar, self.peer(2)["address"], self.peer(3)["address"]]) as config:
                self.network["peers"][-1] = {"http": self.done("status", "--config", config)["http"]}
                root = self.until("the new node has the union", lambda: self.union_of(PEERS + 1))
            seconds = time.perf_counter() - start
        if root != union or held:
            raise SystemExit("demo: the new node has another root, or kept what the liar sent")
        self.say(f"   peer 4 has {root}, {duration(seconds)} after its start")
        self.figures["liar"] = {"why": why, "held": held, "root": root, "seconds": seconds}

    def stores(self) -> list[str]:
        """Where the publishers keep their datasets."""
        return [f"{publisher['home']}/store" for publisher in self.network["publishers"]]

    def commits(self) -> list[dict[str, Any]]:
        """The commits that the chain has, as a peer tells them."""
        found: list[dict[str, Any]] = json.loads(self.get(f"{self.peer(2)['http']}/v1/commits"))["items"]
        return found

    @contextmanager
    def liar(self, stores: tuple[str, ...] = (), *, alters: bool = True) -> Iterator[str]:
        """A peer of our own with more stores; gives its address. `alters`: whether it lies about pages."""
        chain = self.network["chain"]
        told = {
            "chain_id": chain["chain_id"],
            "registry": chain["registry"],
            "stores": [*self.stores(), *stores],
            "commits": self.commits(),
            "alters": alters,
        }
        (self.work / "liar.json").write_text(json.dumps(told))
        command = [sys.executable, str(ROOT / "scripts" / "_demo_liar.py"), str(self.work / "liar.json")]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                raise SystemExit("demo: the lying peer did not start")
            yield address
        finally:
            process.terminate()
            process.communicate()

    def configured(self, name: str, others: list[str], **more: object) -> str:
        """A node of our own that knows these peers, with a token; gives its configuration."""
        place, chain = self.work / name, self.network["chain"]
        place.mkdir(exist_ok=True)
        settings = {
            "node.directory": str(place),
            "node.log_file": str(place / "node.log"),
            "chain.id": chain["chain_id"],
            "chain.registry": chain["registry"],
            "chain.checkpoints": chain["checkpoints"],
            "chain.endpoints": [chain["url"]],
            "chain.finality_depth": FINALITY_DEPTH,
            "chain.poll_s": 0.5,
            "http.port": 0,
            "workers.workers": 1,
            "peers.bootstrap": others,
            **more,
        }
        config = place / "node.toml"
        config.write_text(example(settings))
        (place / "token").unlink(missing_ok=True)
        (place / "tokens.json").unlink(missing_ok=True)
        scopes = ("--scope", "admin", "--scope", "publish")
        made = self.done("token", "new", "demo", *scopes, "--config", str(config))
        (place / "token").write_text(made["token"])
        return str(config)

    @contextmanager
    def running(self, config: str, *command: str) -> Iterator[dict[str, Any]]:
        """A node in a process of its own; gives what it says when it answers."""
        argv = [sys.executable, "-m", "dkg.client.cli", *command, "--config", config, "--json"]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit(f"demo: the new node did not start: see node.log beside {config}")
            yield json.loads(line)
        finally:
            process.terminate()
            process.communicate()

    @contextmanager
    def joined(self, others: list[str]) -> Iterator[str]:
        """A node of our own that knows these peers; gives its configuration."""
        config = self.configured("peer-4", others)
        with self.running(config, "start"):
            yield config

    def penalty(self, config: str, liar: str) -> str | None:
        """Why the new node punished the liar, in its words; None if it has not."""
        told = self.done("peers", "--config", config, "--token-file", str(self.work / "peer-4" / "token"))
        for peer in told["peers"]:
            if peer["id"] == liar.rpartition("/")[2] and peer["penalties"]:
                return f"{peer['penalties'][0]['points']} points: {peer['penalties'][0]['why']}"
        return None


# --- a proxy that lies -----------------------------------------------------------------------------------------------


def _altered(root: bytes, car: bytes) -> bytes:
    """A proof in which another finding stands."""
    return _changed(root, car, lambda raw: raw.replace(b"HP_0001250", b"HP_0001251", 1))


def _dropped(root: bytes, car: bytes) -> bytes:
    """A proof without the page that the finding is on."""
    return _changed(root, car, lambda raw: b"" if b"HP_0001250" in raw else raw)


def _changed(root: bytes, car: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A proof of which one page is changed, or gone."""
    blocks = read_car(car, root, 10**6)
    at = next((cid for cid, raw in blocks.items() if change(raw) != raw), None)
    if at is None:
        raise SystemExit("demo: the proof has nothing to lie about")
    blocks[at] = change(blocks[at])
    return write_car(root, [(cid, raw) for cid, raw in blocks.items() if raw])


def _between(peer: str, lie: Callable[[bytes, bytes], bytes]) -> AbstractContextManager[str]:
    """An HTTP server in front of a peer that lies about proofs; gives its URL."""

    class Handler(Answering):
        def do_GET(self) -> None:  # noqa: N802 - what the library calls it
            request = Request(peer + self.path, headers={"Accept": self.headers["Accept"]})  # noqa: S310 - loopback
            with urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
                body = lie(root_bytes(answer.headers["DKG-Root"]), answer.read())
                kind = answer.headers["Content-Type"]
            self.answer(body, kind)

    return serving(Handler)
