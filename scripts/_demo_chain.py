"""The demo's second part: two publishers on a chain, a client that trusts the chain alone, and four lies.

A clinic publishes what is known of a disease, taken from the first part's store; a laboratory publishes a case. The
client has their addresses, the registry's, an endpoint of the chain, a proof and a query; and nothing else.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from _demo_stage import PREFIXES, REFUSED, ROOT, Attack, Stage

from dkg.chain.commit import SignedCommit
from dkg.client.progress import duration, grouped
from dkg.client.rpc import HttpRpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_S: Final = 60.0
"""How long the development chain may take to start, in seconds."""

FINALITY_DEPTH: Final = 2
BAD_INPUT: Final = 1

PROLOGUE: Final = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())

DISEASE: Final = PROLOGUE + "CONSTRUCT { omim:312750 ?p ?o } WHERE { omim:312750 ?p ?o }"
FINDINGS: Final = PROLOGUE + "SELECT (COUNT(*) AS ?findings) WHERE { omim:312750 hpoa:phenotype ?finding }"
CASES: Final = PROLOGUE + "SELECT ?patient WHERE { ?patient hpoa:shows hp:0001250 }"

CASE: Final = """\
@prefix hp: <http://purl.obolibrary.org/obo/HP_> .
@prefix hpoa: <https://example.org/hpoa#> .
<https://lab.example/patient/17> hpoa:shows hp:0001250 , hp:0000252 .
"""
FOUND: Final = """\
<https://omim.org/entry/312750> <https://example.org/hpoa#phenotype> <https://clinic.example/finding/new> .
"""
"""What the clinic adds."""

LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"


class Publishing(Stage):
    """Publishers on a chain of their own. `place`: a new directory in `work`; `title`: of the first step."""

    def __init__(self, work: Path, place: str, title: str, publishers: tuple[str, ...], *, quiet: bool) -> None:
        super().__init__(work / place, quiet=quiet)
        self.work.mkdir()
        self.title, self.publishers = title, publishers
        self.url = ""
        self.registry: dict[str, Any] = {}
        self.address: dict[str, str] = {}
        (self.work / "password").write_text(secrets.token_urlsafe() + "\n")

    # --- a chain and homes ---------------------------------------------------------------------------------

    @contextmanager
    def chain(self) -> Iterator[None]:
        """A development chain in a process of its own."""
        self.head(self.title)
        file = self.work / "port"
        command = [sys.executable, "-m", "dkg.client.cli", "devnet", "chain", "--engine", "builtin", "--port", "0"]
        process = subprocess.Popen([*command, "--port-file", str(file)], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + START_S
            while not file.exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("demo: the development chain did not start")
                time.sleep(0.05)
            self.url = f"http://127.0.0.1:{file.read_text().strip()}"
            yield
        finally:
            process.terminate()
            process.wait()

    def at_home(self, who: str, *argv: str) -> dict[str, Any]:
        """A command of a publisher, which must work."""
        return self.done(*argv, "--home", who)

    def signed(self, who: str, *argv: str) -> dict[str, Any]:
        """A command of a publisher that signs."""
        return self.at_home(who, *argv, "--password-file", "password")

    def set_up(self) -> None:
        """Keys, coins, a registry."""
        for who in self.publishers:
            self.address[who] = self.signed(who, "key", "new")["address"]
            self.at_home(who, "devnet", "fund", "--rpc", self.url)
            self.say(f"   the {who} is {self.address[who]}")
        rpc = ("--rpc", self.url, "--finality-depth", str(FINALITY_DEPTH))
        first, *others = self.publishers
        self.registry = self.signed(first, "chain", "deploy", *rpc)
        for who in others:
            self.at_home(who, "chain", "use", *rpc, "--registry", self.registry["registry"])
        self.say(f"   the registry is {self.registry['registry']} on chain {self.registry['chain_id']}")

    # --- honest work ---------------------------------------------------------------------------------------

    def publish(self, who: str, file: str, name: str) -> dict[str, Any]:
        """Publish a file as an asset."""
        start = time.perf_counter()
        made = self.signed(who, "publish", file, "--asset", name, "--licence", LICENCE)
        self.say(f"   {made['ual']}")
        self.say(
            f"     commit {made['seq']}, {grouped(made['count'])} quads, block {made['block']}, "
            f"{grouped(made['gas'])} gas, {duration(time.perf_counter() - start)}",
            "dim",
        )
        return made

    def ask(self, who: str, query: str, name: str) -> Path:
        """A proof from a publisher's store, alone with its query in a directory."""
        place = self.work / name
        place.mkdir()
        (place / "question.rq").write_text(query)
        proof = str(place / "proof.car.zst")
        self.done("query", "--store", f"{who}/store", "--proof", proof, "-f", str(place / "question.rq"))
        return place

    def verify(self, who: str, place: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """What the client makes of a proof. It remembers, in a file of its own, what it has seen."""
        registry = ("--registry", self.registry["registry"], "--chain-id", str(self.registry["chain_id"]))
        client = ("--home", "../client", "--finality-depth", str(FINALITY_DEPTH), "--rpc", self.url)
        asked = ("verify", "proof.car.zst", "-f", "question.rq", "--publisher", self.address[who])
        return self.dkg(*asked, *registry, *client, *options, cwd=place)

    def verified(self, who: str, place: Path, *options: str) -> dict[str, Any]:
        """The client's answer, which must be one."""
        done = self.verify(who, place, *options, "--json")
        if done.returncode:
            raise SystemExit(f"demo: an honest proof was refused: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def tell(self, found: dict[str, Any], what: str) -> None:
        """The claim of an answer, in words."""
        self.say(f"   {what}")
        self.say(
            f"     {found['claim']}, signed by {found['publisher']}, complete as of commit {found['seq']}, "
            f"{found['state']} at block {found['block']}, anchor {found['anchor']}",
            "dim",
        )

    def mine(self) -> None:
        """Bury what was anchored, so that it is final."""
        with closing(HttpRpc(self.url)) as rpc:
            rpc.call("anvil_mine", [hex(FINALITY_DEPTH)])


class OnChain(Publishing):
    """The steps of the second part. `core`: the store of the first."""

    def __init__(self, work: Path, core: Path, *, quiet: bool) -> None:
        title = "4. A development chain, and two publishers"
        super().__init__(work, "chain", title, ("clinic", "lab"), quiet=quiet)
        self.core = core
        self.figures["attacks"] = []

    def run(self) -> None:
        """All of it."""
        with self.chain():
            self.set_up()
            self.publish_and_verify()
            self.change_and_retract()
            self.lies()

    def publish_and_verify(self) -> None:
        """Both publish; the client asks both."""
        self.head("5. Publish, and verify against the chain: the client trusts addresses, and no server")
        triples = self.dkg("query", "--store", str(self.core), "--format", "nt", DISEASE)
        (self.work / "rett.nt").write_text(triples.stdout)
        (self.work / "case.ttl").write_text(CASE)
        self.figures["publish"] = [
            self.publish("clinic", "rett.nt", "rett"),
            self.publish("lab", "case.ttl", "case-17"),
        ]
        again = self.signed("clinic", "publish", "rett.nt", "--asset", "rett", "--licence", LICENCE)
        if again["changed"]:
            raise SystemExit("demo: publishing the same again was no repetition")
        self.say("   the same again: nothing to do, no transaction")
        self.mine()
        before = self.verified("clinic", self.ask("clinic", FINDINGS, "findings"))
        self.tell(before, f"findings of Rett syndrome: {value(before)}")
        self.tell(self.verified("lab", self.ask("lab", CASES, "cases")), "one patient of the lab with seizures")
        self.figures["before"] = int(value(before))

    def change_and_retract(self) -> None:
        """The clinic adds a finding; the lab takes its case back."""
        self.head("6. Change, and retract")
        with closing(HttpRpc(self.url)) as rpc:
            self.snapshot = rpc.call("evm_snapshot")
        with (self.work / "rett.nt").open("a") as file:
            file.write(FOUND)
        self.publish("clinic", "rett.nt", "rett")
        after = self.verified("clinic", self.ask("clinic", FINDINGS, "findings-2"))
        self.tell(after, f"findings of Rett syndrome: {value(after)}")
        self.signed("lab", "retract", "case-17", "--reason", "consent withdrawn")
        self.mine()
        gone = self.verified("lab", self.ask("lab", CASES, "cases-2"))
        self.tell(gone, "patients of the lab with seizures: provably none")
        self.verified("clinic", self.work / "findings-2")  # final now, and remembered
        if gone["rows"]:
            raise SystemExit("demo: what was retracted is still there")
        self.figures["after"] = int(value(after))

    # --- lies ----------------------------------------------------------------------------------------------

    def lies(self) -> None:
        """Four lies, each refused."""
        self.head("7. Lie about who said it, and when")
        commit = SignedCommit.decode((self.work / "clinic/commits/2").read_bytes())
        place = self.work / "findings-2"
        stranger = SignedCommit.make(commit.domain, commit.commit, secrets.token_bytes(32))
        (place / "forged.commit").write_bytes(stranger.encode())
        (place / "honest.commit").write_bytes(commit.encode())
        offline = self.verify("clinic", place, "--commit", "honest.commit")
        if offline.returncode:
            raise SystemExit(f"demo: an honest commit was refused: {offline.stderr.strip()}")
        self.told("a forged signature", self.verify("clinic", place, "--commit", "forged.commit"))
        other = ("--commit", "honest.commit", "--chain-id", "1")
        self.told("a commit from another chain", self.verify("clinic", place, *other))
        self.told("an old proof for the new head", self.verify("clinic", self.work / "findings"))
        self.signed("lab", "key", "revoke")
        late = self.dkg("publish", "case.ttl", "--asset", "late", "--home", "lab", "--password-file", "password")
        self.told("a revoked key", late, BAD_INPUT)
        with closing(HttpRpc(self.url)) as rpc:
            rpc.call("evm_revert", [self.snapshot])
        self.told("a replayed old head", self.verify("clinic", self.work / "findings"))

    def told(self, name: str, done: subprocess.CompletedProcess[str], exits: int = REFUSED) -> None:
        """A lie and what was said to it."""
        attack = Attack(name, done.returncode, done.stderr.strip())
        self.refused(attack, exits)
        self.figures["attacks"].append({"name": name, "exit": attack.exit, "said": attack.said})


def value(found: dict[str, Any]) -> str:
    """The one value of an answer with one row and one column."""
    (row,) = found["answer"]["results"]["bindings"]
    (cell,) = row.values()
    return str(cell["value"])
