"""The demo's part on checkpoints: one that leaves a triple out, the watcher that refutes it, and one that is right.

In the network of the part before. Somebody proposes the root of a union without one triple of the lab's, serves its
pages, and answers questions from it. A client that trusts the chain alone never calls such an answer more than pending;
a watcher shows the contract, in one transaction, what is missing. Then a right checkpoint becomes final, and a client
asks all publishers at once.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from _demo_liar import Stores
from _demo_nodes import ACROSS
from _demo_stage import PREFIXES, REFUSED, Answering, Attack, Stage, serving

import dkg
from dkg.chain.commit import Domain
from dkg.chain.registry import entry_slot
from dkg.chain.secp import address_from_text
from dkg.checkpoints.answer import Parts, prove_joint
from dkg.client.chainread import RpcReader
from dkg.client.files import compress
from dkg.client.progress import duration, grouped
from dkg.client.rpc import HttpRpc
from dkg.client.store import SqliteStore
from dkg.page import cid_bytes
from dkg.pages import StoredPages
from dkg.proof import root_bytes
from dkg.scan import scan
from dkg.terms import quad_of
from node.checkpoints import calls
from node.cli.network import TERMS

if TYPE_CHECKING:
    import subprocess
    from contextlib import AbstractContextManager

    from _demo_nodes import Nodes

    from dkg.terms import Quad

CARELESS: Final = 7
"""The account of the development chain that proposes the wrong checkpoint."""

OMITTED: Final = f"<{PREFIXES['hp']}0001250>".encode()
"""The finding of the lab's patient that is left out."""


class Checkpointing(Stage):
    """The steps of the part. `nodes`: the network."""

    def __init__(self, nodes: Nodes, *, quiet: bool) -> None:
        super().__init__(nodes.work / "checkpoints", quiet=quiet)
        self.work.mkdir()
        self.nodes = nodes
        self.chain: dict[str, Any] = nodes.network["chain"]
        self.contract = address_from_text(self.chain["checkpoints"])
        self.domain = Domain(self.chain["chain_id"], address_from_text(self.chain["registry"]))
        self.wrong = str(self.work / "wrong")
        self.figures["attacks"] = []

    def run(self) -> None:
        """All of it."""
        with ExitStack() as stack:
            self.omit()
            config = self.watcher(stack)
            with self.nodes.running(config, "checkpoint", "watch"):
                self.refuted(config)
                self.right(config)

    # --- a checkpoint that is wrong --------------------------------------------------------------------------------

    def omit(self) -> None:
        """Propose a union without a triple, and answer from it."""
        self.head("13. Leave a triple out: somebody proposes a checkpoint without a finding of the lab's")
        quads = self.quads()
        omitted = next(quad for quad in quads if quad[2] == OMITTED and b"/case-17>" in quad[3])
        with SqliteStore(self.wrong) as store:
            root = dkg.build([sorted(quads - {omitted})], store)
        self.propose(root)
        self.say(
            f"   {grouped(len(quads) - 1)} of {grouped(len(quads))} quads; the bond is {TERMS.bond / 10**18:g} ether"
        )
        with self.careless() as where:
            found = self.asked(where, "--pending")
            self.say(f"   it answers: findings of Rett syndrome in the lab's patient: {found['rows'] or 'none'}")
            self.say(f"     {found['claim']}, checkpoint {found['checkpoint']['id']}: {found['state']}", "dim")
            self.expect(found["state"] == "pending", "an answer from a wrong checkpoint is called more than pending")
            self.figures["omitted_rows"] = found["rows"]
            self.told("the omission as final", self.ask(where, "--final"))

    def quads(self) -> set[Quad]:
        """What all publishers say."""
        pages = StoredPages(Stores(self.nodes.stores()))
        roots = {one["publisher"]: root_bytes(one["root"]) for one in reversed(self.nodes.commits())}
        trees = [pages.root(root).trees[0] for root in roots.values()]
        return {quad_of(key, "spog") for tree in trees for keys in scan(pages, tree) for key in keys}

    def propose(self, root: bytes) -> None:
        """Propose a root for all commits that there are, from an account of the development chain."""
        position = len(self.nodes.commits())
        with HttpRpc(self.chain["url"]) as rpc:
            reader = RpcReader(rpc)
            (tip,) = reader.slots(self.domain.registry, [entry_slot(position - 1)], reader.header("latest"))
            call = calls.propose(self.contract, position, 0, root[4:], tip.to_bytes(32), TERMS.bond)
            sender = rpc.call("eth_accounts")[CARELESS]
            told = {"from": sender, "to": self.chain["checkpoints"], "data": f"0x{call.data.hex()}"}
            rpc.call("eth_sendTransaction", [{**told, "value": hex(call.value)}])

    def careless(self) -> AbstractContextManager[str]:
        """An HTTP server that proves answers over the wrong checkpoint; gives its URL."""
        stores, domain = [self.wrong, *self.nodes.stores()], self.domain

        class Handler(Answering):
            def do_POST(self) -> None:  # noqa: N802 - what the library calls it
                fields = parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
                given = dict(fields)
                parts = Parts(domain, cid_bytes(given["at"].removeprefix("root:")), {})
                body = compress(prove_joint(StoredPages(Stores(stores)), parts, given["query"]).car)
                self.answer(body, "application/vnd.ipld.car+zstd")

        return serving(Handler)

    # --- the client ------------------------------------------------------------------------------------------------

    def ask(self, where: str, *options: str) -> subprocess.CompletedProcess[str]:
        """What a client makes of an answer over all publishers. It trusts the chain, and whoever answers in nothing."""
        chain = ("--rpc", self.chain["url"], "--registry", self.chain["registry"], "--home", "client")
        told = ("--chain-id", str(self.chain["chain_id"]), "--checkpoints", self.chain["checkpoints"])
        return self.dkg(
            "query",
            "--node",
            where,
            "--min-claim",
            "L2",
            *chain,
            *told,
            "--finality-depth",
            "2",
            "--json",
            *options,
            ACROSS,
        )

    def asked(self, where: str, *options: str) -> dict[str, Any]:
        """The client's answer, which must be one."""
        done = self.ask(where, *options)
        if done.returncode:
            raise SystemExit(f"demo: an honest proof was refused: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def told(self, name: str, done: subprocess.CompletedProcess[str]) -> None:
        """A lie and what was said to it."""
        attack = Attack(name, done.returncode, done.stderr.strip())
        self.refused(attack, REFUSED)
        self.figures["attacks"].append({"name": name, "exit": attack.exit, "said": attack.said})

    # --- the watcher -----------------------------------------------------------------------------------------------

    def watcher(self, stack: ExitStack) -> str:
        """A node with a key and coins, whose peers are those that there are, and whoever has the wrong pages."""
        self.head("14. Refute it: a watcher finds what is missing, and shows it to the contract in one transaction")
        password = self.nodes.network["publishers"][0]["password_file"]
        self.done("key", "new", "--home", "watcher", "--password-file", password)
        self.done("devnet", "fund", "--rpc", self.chain["url"], "--home", "watcher")
        wrong = stack.enter_context(self.nodes.liar((self.wrong,), alters=False))
        home = {"publish.home": str(self.work / "watcher"), "publish.password_file": password, "publish.own": False}
        return self.nodes.configured("watcher", [wrong, self.nodes.peer(2)["address"]], **home)

    def refuted(self, config: str) -> None:
        """Wait until the contract has refused the checkpoint."""
        start = time.perf_counter()
        case = Path(config).parent / "checkpoints" / "cases" / "checkpoint-1.json"
        found = self.nodes.until("the wrong checkpoint is refuted", lambda: _done(case))
        seconds, (step,) = time.perf_counter() - start, found["steps"]
        self.say(
            f"   {found['evidence']['kind'].lower()}: {grouped(step['gas_used'])} gas, {duration(seconds)} after the "
            "watcher answered; half of the bond is its own, half is burnt"
        )
        self.told("the omission as pending", self.ask(self.nodes.peer(2)["http"], "--pending"))
        self.figures.update(kind=found["evidence"]["kind"], gas=step["gas_used"], refuted_seconds=seconds)

    # --- a checkpoint that is right --------------------------------------------------------------------------------

    def right(self, config: str) -> None:
        """Propose what is right, let its window pass, and ask all publishers at once."""
        self.head("15. A right one becomes final; a client asks all publishers at once, and trusts no server")
        token = str(Path(config).parent / "token")
        made = self.done("checkpoint", "propose", "--config", config, "--token-file", token)
        self.say(f"   proposed: {made['root']}, {grouped(made['steps'][0]['gas'])} gas")
        with HttpRpc(self.chain["url"]) as rpc:
            rpc.call("evm_increaseTime", [TERMS.window + 1])
            rpc.call("anvil_mine", ["0x1"])
            peer = self.nodes.peer(2)["http"]
            final = self.nodes.until("the checkpoint is final", lambda: self.final(peer))
            rpc.call("anvil_mine", ["0x2"])
        self.say(
            f"   nobody refuted it in {TERMS.window} s, which the development chain let pass: it is {final['state']}"
        )
        found = self.asked(peer, "--final")
        self.say(f"   peer 2: findings of Rett syndrome in the lab's patient: {found['rows']}")
        self.say(
            f"     {found['claim']}, complete for all publishers as of log position {found['checkpoint']['position']} "
            f"(checkpoint {found['checkpoint']['id']}, {found['checkpoint']['state']}), {found['state']}",
            "dim",
        )
        self.figures.update(rows=found["rows"], state=found["state"], checkpoint=found["checkpoint"]["id"])
        self.expect(found["rows"] > self.figures["omitted_rows"], "the finding that was left out is missing")

    def final(self, peer: str) -> dict[str, Any] | None:
        """The final checkpoint that a peer can be asked by; None: there is none yet."""
        found: dict[str, Any] | None = json.loads(self.nodes.get(f"{peer}/v1/checkpoints"))["final"]
        return found if found is not None and found["held"] else None

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
        """The demo ends where something is not as it should be."""
        if not holds:
            raise SystemExit(f"demo: {otherwise}")


def _done(case: Path) -> dict[str, Any] | None:
    """A case of a watcher's, once it is done."""
    if not case.exists():
        return None
    found: dict[str, Any] = json.loads(case.read_text())
    return found if found.get("outcome") == "done" else None
