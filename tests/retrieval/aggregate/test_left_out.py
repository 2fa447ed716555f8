"""Numbers and lists that would count what a policy leaves out, or say what it forbids; and what proves a number."""

from __future__ import annotations

from dataclasses import replace

import pytest

import dkg
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.aggregate import aggregate_context
from retrieval.index import KnowledgeIndex
from retrieval.model import Claim, Context, Snapshot
from retrieval.policy import Policy
from retrieval.proofs import NoProofError, claims, prove_claim
from retrieval.reading import Reader
from tests.retrieval.policy.world import ANN, EVE, NOW, PREFIXES, says

LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
MANY = "How many things were born in London?"
HONEST = f':london {LABEL} "London" . :born {LABEL} "born" . ' + " ".join(f":p{n} :born :london ." for n in range(30))
LIES = " ".join(f":z{n} :born :london . :p{n} :born :paris ." for n in range(30))


def asked(policy: str, question: str, *snapshots: Snapshot) -> Context | None:
    index = KnowledgeIndex.build(snapshots)
    return aggregate_context(question, index, Reader(snapshots), Policy.from_yaml(policy), now=NOW).context


def number(context: Context | None) -> str | None:
    return None if context is None else context.rows[0][0].split('"')[1]


def test_who_has_no_weight_is_not_counted() -> None:
    both = says(ANN, HONEST), says(EVE, LIES)
    assert number(asked("{}", MANY, *both)) == "60"
    assert number(asked(f"publishers: {{weight: {{'{EVE}': 0}}}}", MANY, *both)) == "30"
    assert number(asked("publishers: {weight: {'*': 0}}", MANY, *both)) == "60"


SHAPE = """shapes: '@prefix sh: <http://www.w3.org/ns/shacl#> . [] sh:targetSubjectsOf <http://e/born> ;
  sh:property [ sh:path <http://e/born> ; sh:nodeKind sh:IRI ] .'"""


@pytest.mark.parametrize(
    "rule",
    ["functional: ['http://e/born']", "functional: {detect: {single: 0.9, subjects: 10}}", SHAPE],
    ids=["functional", "detected", "shape"],
)
def test_what_conflicts_and_shapes_could_take_away_is_not_counted(rule: str) -> None:
    policy = f"{rule}\npublishers: {{weight: {{'{ANN}': 5}}}}"
    assert asked(policy, MANY, says(ANN, HONEST), says(EVE, LIES)) is None


def test_few_are_counted_as_all_of_them_were_screened() -> None:
    few = f':london {LABEL} "London" . :born {LABEL} "born" . :ann :born :london . :bob :born :london .'
    policy = f"functional: ['http://e/born']\npublishers: {{weight: {{'{ANN}': 5}}}}"
    assert number(asked(policy, MANY, says(ANN, few))) == "2"
    assert asked(policy, MANY, says(ANN, few + " :ann :born :rome .")) is None


WEAPONS = "".join(f":w{n} a :Weapon . " for n in range(30))


@pytest.mark.parametrize("rule", ["classes: ['http://e/Weapon']", "iris: ['http://e/Weapon']", "patterns: ['weapon']"])
def test_what_is_unwanted_is_not_counted_though_none_of_it_is_shown(rule: str) -> None:
    data = says(ANN, WEAPONS)
    assert number(asked("{}", "How many weapons are there?", data)) == "30"
    assert asked(f"unwanted: {{{rule}}}", "How many weapons are there?", data) is None


def dataset(*graphs: str) -> Snapshot:
    store = MemoryPageStore()
    root = dkg.build(dkg.load((PREFIXES + " ".join(graphs)).encode(), format="trig"), store)
    made = Snapshot(ANN, root, StoredPages(store), Claim.COMPLETE_FOR_PUBLISHER, block=3, time=NOW, committed=NOW)
    return replace(made, only=b"<urn:own/")


OWN = f'<urn:own/a> {{ :ada {LABEL} "Ada" ; :child :x1, :x2 . :child {LABEL} "children" . }}'


@pytest.mark.parametrize("graph", ["urn:foreign/a", "urn:own/a#provenance"])
def test_a_query_that_other_graphs_would_answer_otherwise_has_no_proof(graph: str) -> None:
    context = asked("{}", "How many children does Ada have?", dataset(OWN, f"<{graph}> {{ :ada :child :x3 . }}"))
    assert number(context) == "2"
    assert context is not None
    *facts, query = claims(context)
    assert facts
    for one in facts:
        assert dkg.verify(prove_claim(one).car, one.query, one.snapshot.root)
    with pytest.raises(NoProofError, match="graphs that do not count"):
        prove_claim(query)


def test_a_query_is_proved_where_other_graphs_say_nothing_of_it() -> None:
    made = dataset(OWN, "<urn:foreign/a> { :bob :child :x3 . }")
    context = asked("{}", "How many children does Ada have?", made)
    assert context is not None
    query = claims(context)[-1]
    assert query.query == context.query
    (row,) = dkg.verify(prove_claim(query).car, query.query, made.root).rows
    assert str(row[0]).startswith('"2"')
