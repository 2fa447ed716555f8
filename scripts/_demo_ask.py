"""The demo's last part: a question answered by a small language model, from verified facts and with citations.

The same question four times: over what a clinic publishes; after a stranger has published something false, without a
policy and with one; and after the clinic has taken back what is true. The model, SmolLM2-135M, runs in this process.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from _demo_chain import FINALITY_DEPTH, Publishing

from dkg.chain.commit import Domain
from dkg.chain.secp import address_from_text
from dkg.client.anchored import Client
from dkg.client.chainread import RpcReader
from dkg.client.files import write_proof
from dkg.client.progress import duration
from dkg.client.rpc import HttpRpc
from dkg.client.store import SqliteStore
from retrieval.ask import AnsweredBy, to_json
from retrieval.llm import LocalModel
from retrieval.policy import Policy
from retrieval.service import Knowledge
from retrieval.sources import Source, current

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from retrieval.ask import Answer
    from retrieval.model import Snapshot
    from retrieval.sources import Excluded

QUESTION: Final = "What is the gene of Rett syndrome?"
TRUE: Final = "MECP2"
FALSE: Final = "BRCA1"

PREFIXES: Final = """\
@prefix : <https://clinic.example/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""
DISEASES: Final = (
    PREFIXES
    + """\
:gene rdfs:label "gene" . :inheritance rdfs:label "inheritance" .
:rett rdfs:label "Rett syndrome" ; :inheritance "X-linked dominant" .
:angelman rdfs:label "Angelman syndrome" ; :gene :UBE3A .
:dravet rdfs:label "Dravet syndrome" ; :gene :SCN1A ; :inheritance "autosomal dominant" .
:MECP2 rdfs:label "MECP2" . :UBE3A rdfs:label "UBE3A" . :SCN1A rdfs:label "SCN1A" . :BRCA1 rdfs:label "BRCA1" .
"""
)
FINDING: Final = PREFIXES + ":rett :gene :MECP2 .\n"
LIE: Final = PREFIXES + ":rett :gene :BRCA1 .\n"


class Asking(Publishing):
    """The steps of the last part."""

    def __init__(self, work: Path, *, quiet: bool) -> None:
        title = "16. Ask in plain words: a clinic publishes, a stranger too, and a small model answers"
        super().__init__(work, "ask", title, ("clinic", "stranger"), quiet=quiet)
        self.policy = Policy()
        self.figures["answers"] = []

    def run(self) -> None:
        """All of it."""
        files = {"diseases.ttl": DISEASES, "rett-gene.ttl": FINDING, "lie.ttl": LIE}
        for name, text in files.items():
            (self.work / name).write_text(text)
        with self.chain():
            self.set_up()
            self.publish("clinic", "diseases.ttl", "diseases")
            self.publish("clinic", "rett-gene.ttl", "rett-gene")
            with self.knowledge() as knowledge:
                self.true(knowledge)
                self.false(knowledge)
                self.retracted(knowledge)

    @contextmanager
    def knowledge(self) -> Iterator[Knowledge]:
        """What both publish, as the chain says it is before each question, and the model."""
        domain = Domain(self.registry["chain_id"], address_from_text(self.registry["registry"]))
        with ExitStack() as stack:
            sources = [
                Source(stack.enter_context(self.client(domain, who)), stack.enter_context(SqliteStore(self.store(who))))
                for who in self.publishers
            ]

            def heads() -> tuple[list[Snapshot], list[Excluded]]:
                return current(sources)

            start = time.perf_counter()
            model = stack.enter_context(LocalModel())
            self.say(f"   {model.name} is loaded, {duration(time.perf_counter() - start)}", "dim")
            yield stack.enter_context(Knowledge(heads, policy=lambda: self.policy, model=model))

    def client(self, domain: Domain, who: str) -> Client:
        """Whoever knows a publisher's head; it trusts the chain alone."""
        reader = RpcReader(HttpRpc(self.url))
        address = address_from_text(self.address[who])
        return Client(reader, domain, address, clock=time.time, finality_depth=FINALITY_DEPTH)

    def store(self, who: str) -> Path:
        """Where a publisher's pages are; whoever has them could be anybody."""
        return self.work / who / "store"

    # --- the questions ---------------------------------------------------------------------------------------------

    def true(self, knowledge: Knowledge) -> None:
        """An answer with its citation, whose proof is verified in a process that has nothing else."""
        self.head(f"17. {QUESTION}")
        found = self.ask(knowledge, "honest")
        self.expect(TRUE in found.answer and found.supported, f"the answer is {found.answer!r}")
        self.verify_citation(knowledge, found)

    def false(self, knowledge: Knowledge) -> None:
        """A false fact, correctly signed: without a policy it is in the prompt, with one it is not."""
        self.head("18. The same, after a stranger has signed and published that it is another gene")
        self.publish("stranger", "lie.ttl", "lie")
        self.say("   without a policy, whoever signs is believed:")
        both = self.ask(knowledge, "false, no policy")
        self.expect(any(FALSE in text for text in both.sentences), "the false fact was not read")
        self.policy = Policy.from_yaml(f"publishers:\n  allow: ['{self.did('clinic')}']\n")
        self.say("   with a policy that allows the clinic:")
        found = self.ask(knowledge, "false, policy")
        self.expect(TRUE in found.answer and FALSE not in found.answer, f"the answer is {found.answer!r}")
        self.expect(not any(FALSE in text for text in found.sentences), "the false fact was in the prompt")

    def retracted(self, knowledge: Knowledge) -> None:
        """What was taken back is gone from the next answer, which says so."""
        self.head("19. The same, after the clinic has taken its fact back")
        self.signed("clinic", "retract", "rett-gene", "--reason", "for the demo")
        found = self.ask(knowledge, "retracted")
        self.expect(found.by is AnsweredBy.ABSENCE and TRUE not in found.answer, f"the answer is {found.answer!r}")

    def did(self, who: str) -> str:
        """A publisher as policies name it."""
        return f"did:pkh:eip155:{self.registry['chain_id']}:{self.address[who].lower()}"

    def ask(self, knowledge: Knowledge, name: str) -> Answer:
        """Ask, and tell about the answer."""
        start = time.perf_counter()
        found = knowledge.answer(QUESTION)
        seconds = time.perf_counter() - start
        self.say(f"   {found.answer}")
        for number, text in enumerate(found.sentences, 1):
            fact = found.facts[number - 1]
            cited = [one for one in found.citations if one.fact == number]
            mark = "cited" if cited else "read"
            self.say(
                f"     {mark} [{number}] {text} {', '.join(map(self.named, fact.publishers))}, block {block(fact)}",
                "dim",
            )
            for one in cited:
                self.say(f"           {one.url}", "dim")
        for one in found.dropped:
            who = ", ".join(map(self.named, one.publishers))
            self.say(f"     dropped, for {one.reason}: a fact of {who}: {one.detail}", "dim")
        self.say(f"     {found.tokens} tokens of facts, {duration(seconds)}", "dim")
        shown: dict[str, Any] = to_json(found)
        self.figures["answers"].append({"name": name, "seconds": seconds, **shown})
        return found

    def named(self, publisher: str) -> str:
        """A publisher, in words."""
        return next((f"the {who}" for who in self.publishers if self.did(who) == publisher.lower()), publisher)

    def verify_citation(self, knowledge: Knowledge, found: Answer) -> None:
        """`dkg verify` of the proof, against the chain, where there is nothing but the proof and the query."""
        place = self.work / "citation"
        place.mkdir()
        made = knowledge.proof(found.proof)
        write_proof(str(place / "proof.car.zst"), made.car)
        (place / "question.rq").write_text(made.claimed.query)
        verified = self.verified("clinic", place)
        self.tell(verified, f"dkg verify: {verified['rows']} cited fact, correct and complete")
        self.figures["verified_rows"] = verified["rows"]

    def expect(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
        """The demo ends where something is not as it should be."""
        if not holds:
            raise SystemExit(f"demo: {QUESTION}: {otherwise}")


def block(fact: Any) -> int | None:  # noqa: ANN401 - a `Fact`
    """As of which block a fact is the publisher's word."""
    found: int | None = fact.origins[0].block
    return found
