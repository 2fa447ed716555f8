"""Poisoned knowledge: what false triples get into contexts and answers, with a trust policy and without.

    python -m bench.retrieval.poisoning attacks [--questions N] [--answers]
    python -m bench.retrieval.poisoning curves [--questions N]

`attacks`: three trusted publishers say what PathQuestion's knowledge bases say; for each question, somebody says
something else about its last hop. The whole pipeline retrieves, and with `--answers` SmolLM2-135M answers.
`curves`: ten publishers, each true triple said by five of them; y % of the publishers are bad, and for x % of all pairs
of subject and relation they say the same false thing instead of the true one. All facts about the pairs that a question
needs are read and screened, so the figures are of the policy alone, whatever is retrieved.

Snapshots are made here, with publishers' names and without a chain: whether signatures are right is not measured.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import dkg
from bench.report import Row
from bench.retrieval.pathquestion import entity, knowledge, lines, questions, relation, spoken
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.ask import answer_from
from retrieval.embed import best_embedder
from retrieval.index import KnowledgeIndex
from retrieval.llm import LocalModel
from retrieval.model import Claim, Snapshot
from retrieval.pipeline import Budget, Retriever
from retrieval.policy import Policy
from retrieval.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.report import Json
    from bench.retrieval.pathquestion import Question, Triple
    from retrieval.embed import Embedder
    from retrieval.model import Context

NOW: Final = 1_800_000_000
SIGNERS: Final = 10
COVERAGE: Final = 5
X: Final = (1, 5, 10, 25, 50)
"""Percent of the pairs of subject and relation that are attacked."""
Y: Final = (10, 20, 30, 40)
"""Percent of the signers who attack."""
BUDGET: Final = Budget(tokens=150)


def did(number: int) -> str:
    """A publisher's name."""
    return f"did:pkh:eip155:1:0x{number:040d}"


TRUSTED: Final = tuple(did(number) for number in (1, 2, 3))
STRANGERS: Final = tuple(did(number) for number in (7, 8, 9))

_WEIGHTS: Final = "publishers: {weight: {'*': 0, " + ", ".join(f"'{one}': 1" for one in TRUSTED) + "}}\n"

_FUNCTIONAL: Final = "functional: [{}]\n".format(
    ", ".join(f"'{relation(name)[1:-1]}'" for name in ("gender", "place_of_birth", "place_of_death"))
)
"""Of PathQuestion's thirteen relations, those of which 98 % of the subjects or more have one value."""

POLICIES: Final = {
    "none": None,
    "corroboration": Policy.from_yaml(_WEIGHTS + "corroboration: {k: 2, for: ['*']}\n"),
    "conflicts": Policy.from_yaml(_WEIGHTS + _FUNCTIONAL),
    "both": Policy.from_yaml(_WEIGHTS + "corroboration: {k: 2, for: ['*']}\n" + _FUNCTIONAL),
    "allowed": Policy.from_yaml("publishers: {allow: [" + ", ".join(f"'{one}'" for one in TRUSTED) + "]}\n"),
}
CURVES: Final = {
    "none": None,
    "k = 2": Policy.from_yaml("corroboration: {k: 2, for: ['*']}\n"),
    "k = 3": Policy.from_yaml("corroboration: {k: 3, for: ['*']}\n"),
    "weigh": Policy.from_yaml(_FUNCTIONAL),
    "k = 3 and weigh": Policy.from_yaml("corroboration: {k: 3, for: ['*']}\n" + _FUNCTIONAL),
}


def snapshot(publisher: str, triples: Iterable[Triple], graphs: int = 1) -> Snapshot:
    """A publisher's dataset; each triple in so many graphs."""
    store = MemoryPageStore()
    held = sorted(set(triples))
    quads = []
    for number in range(graphs):
        for batch in dkg.load("\n".join(lines(held)).encode(), format="nt", graph=f"urn:graph:{number}"):
            quads += batch
    root = dkg.build([quads], store)
    return Snapshot(publisher, root, StoredPages(store), Claim.COMPLETE_FOR_PUBLISHER, "final", 1, 1, NOW, NOW)


class False_:  # noqa: N801 - the word is taken
    """False values that look right: things that have the same relation to something else."""

    def __init__(self, triples: Sequence[Triple], seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - the same every time
        self._values: dict[str, list[str]] = defaultdict(list)
        self._true: dict[tuple[str, str], set[str]] = defaultdict(set)
        for s, p, o in triples:
            self._values[p].append(o)
            self._true[s, p].add(o)

    def of(self, s: str, p: str) -> str | None:
        """A value that the pair does not have, if there is any."""
        choices = sorted(set(self._values[p]) - self._true[s, p] - {s})
        return self._dice.choice(choices) if choices else None


# --- attacks on questions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """Who says what."""

    name: str
    snapshots: tuple[Snapshot, ...]


def scenes(triples: list[Triple], false: list[Triple]) -> Iterator[Scene]:
    """Nobody attacks; strangers do; one of the three who are trusted does."""
    honest = [snapshot(one, triples) for one in TRUSTED]
    attacked = {triple[:2] for triple in false}
    traitor = [one for one in triples if one[:2] not in attacked] + false
    yield Scene("nobody", tuple(honest))
    yield Scene("a stranger, one triple", (*honest, snapshot(STRANGERS[0], false)))
    yield Scene("a stranger, three copies", (*honest, snapshot(STRANGERS[0], false, 3)))
    yield Scene("three strangers", (*honest, *(snapshot(one, false) for one in STRANGERS)))
    yield Scene("one of three trusted, one triple", (*honest[:2], snapshot(TRUSTED[2], traitor)))
    yield Scene("one of three trusted, three copies", (*honest[:2], snapshot(TRUSTED[2], traitor, 3)))


@dataclass(frozen=True, slots=True)
class Cell:
    """One attacker against one policy, in percent of the questions."""

    scene: str
    policy: str
    asked: int
    poisoned: float
    """With the false value in the context."""
    gold: float
    """With all gold triples in the context."""
    answers: tuple[float, ...] = ()
    """Answered right, and with the false value; empty where no model was asked."""

    @property
    def line(self) -> str:
        """A line of the table."""
        cells = " | ".join(f"{one:.1f} %" for one in (self.poisoned, self.gold, *self.answers))
        return f"| {self.scene} | {self.policy} | {cells} |"


def attacks(number: int, *, answers: bool, embedder: Embedder | None) -> Iterator[Cell]:
    """Per attacker and policy, what came into contexts, and what a small model made of it."""
    triples = knowledge()
    asked, false = targets(triples, number)
    model = Answers() if answers else None
    for scene in scenes(triples, list(false.values())):
        with KnowledgeIndex.build(scene.snapshots, embedder) as index:
            for name, policy in POLICIES.items():
                retriever = Retriever(Reader(scene.snapshots), index, policy, now=lambda: NOW)
                yield Cell(scene.name, name, len(asked), *_cells(retriever, asked, false, model))
    if model is not None:
        model.close()


STRANGERS_MAX: Final = 1.0
TRAITOR_MAX: Final = 5.0
LESS_MAX: Final = 2.0
"""Percent of the questions that attacks may succeed on, and points that a policy may cost where nobody attacks."""


def measured(
    say: Callable[[str], None],
    questions: int,
    curve: int,
    embedder: Embedder | None,
    grid: tuple[Sequence[int], Sequence[int]] = (X, Y),
) -> tuple[list[Row], Json]:
    """Rows of attacks on so many questions, by the worst of the attackers; curves with `curve` questions a cell."""
    say(f"attacks on {questions} questions")
    cells = list(attacks(questions, answers=False, embedder=embedder))
    rows = []
    for who, bar in (("stranger", STRANGERS_MAX), ("one of three trusted", TRAITOR_MAX)):
        for policy in ("none", "corroboration", "conflicts", "both"):
            worst = max((one for one in cells if who in one.scene and one.policy == policy), key=lambda c: c.poisoned)
            what = f"policy {policy}, false value in context, {worst.scene}"
            held = bar if policy in {"corroboration", "both"} else None
            rows.append(Row(f"attack-{who.split()[0]}-{policy}", what, worst.poisoned, "%", bar=held))
    honest = {one.policy: one.gold for one in cells if one.scene == "nobody"}
    for policy in ("corroboration", "both"):
        less = honest["none"] - honest[policy]
        rows.append(
            Row(f"honest-{policy}", f"policy {policy}, points of gold lost, no attack", less, "points", bar=LESS_MAX)
        )
    say(f"curves of {curve} questions")
    lines = list(curves(curve, grid))
    return rows, {"attacks": [asdict(one) for one in cells], "curves": lines}


def targets(triples: list[Triple], number: int) -> tuple[list[Question], dict[Question, Triple]]:
    """Questions of the held-out half with one path each, and a false last triple for each."""
    lies = False_(triples, 5)
    known = set(triples)
    one_each: dict[tuple[str, str], Question] = {}
    for question in questions(2):
        if question.is_held_out and known.issuperset(question.gold):
            one_each.setdefault(question.gold[-1][:2], question)
    chosen = random.Random(5).sample(sorted(one_each.values(), key=lambda one: one.text), len(one_each))  # noqa: S311
    false: dict[Question, Triple] = {}
    for question in chosen:
        s, p, _ = question.gold[-1]
        value = lies.of(s, p)
        if value is not None and len(false) < number:
            false[question] = (s, p, value)
    return list(false), false


class Answers:
    """What the model answers. It is asked once for one prompt: it answers the same again."""

    def __init__(self) -> None:
        self._model = LocalModel()
        self._known: dict[tuple[object, ...], str] = {}

    def of(self, context: Context) -> str:
        """The answer, folded."""
        key = (context.question, *((fact.statement, fact.note) for fact in context.facts))
        if key not in self._known:
            self._known[key] = answer_from(context, model=self._model).answer.casefold()
        return self._known[key]

    def close(self) -> None:
        """Close the model."""
        self._model.close()


def _cells(
    retriever: Retriever, asked: list[Question], false: dict[Question, Triple], model: Answers | None
) -> tuple[float, float, tuple[float, ...]]:
    poisoned = gold = right = wrong = 0
    for question in asked:
        context = retriever.retrieve(question.text, BUDGET)
        held = {tuple(fact.statement) for fact in context.facts}
        lie = false[question]
        poisoned += _terms(lie) in held
        gold += all(_terms(one) in held for one in question.gold)
        if model is not None:
            answer = model.of(context)
            right += _says(answer, question.gold[-1][2])
            wrong += _says(answer, lie[2])
    share = 100 / len(asked)
    return poisoned * share, gold * share, (right * share, wrong * share) if model is not None else ()


def _says(answer: str, name: str) -> bool:
    """Whether a name is in an answer, as whole words: `male` is not in `female`."""
    return re.search(rf"(?<!\w){re.escape(spoken(name).casefold())}(?!\w)", answer) is not None


def _terms(triple: Triple) -> tuple[bytes, bytes, bytes]:
    s, p, o = triple
    return entity(s).encode(), relation(p).encode(), entity(o).encode()


# --- curves --------------------------------------------------------------------------------------------------------


def curves(number: int, grid: tuple[Sequence[int], Sequence[int]] = (X, Y)) -> Iterator[str]:
    """A table: per x, y and policy, the questions with a false triple, and those that kept all that is true."""
    triples = knowledge()
    asked = targets(triples, number)[0]
    yield f"{len(asked)} questions\n| x | y | {' | '.join(CURVES)} |"
    for y in grid[1]:
        for x in grid[0]:
            snapshots, false = world(triples, x, y, seed=100 * x + y)
            reader = Reader(snapshots)
            cells = [_context(reader, policy, asked, false) for policy in CURVES.values()]
            yield f"| {x} % | {y} % | {' | '.join(cells)} |"


def world(triples: list[Triple], x: int, y: int, seed: int) -> tuple[list[Snapshot], set[Triple]]:
    """The publishers' datasets, and the false triples."""
    dice = random.Random(seed)  # noqa: S311 - the same every time
    lies = False_(triples, seed)
    pairs = sorted({triple[:2] for triple in triples})
    attacked = set(dice.sample(pairs, max(1, len(pairs) * x // 100)))
    false = {(s, p, value) for s, p in sorted(attacked) if (value := lies.of(s, p)) is not None}
    said: dict[int, list[Triple]] = {number: [] for number in range(SIGNERS)}
    bad = range(SIGNERS * y // 100)
    for triple in triples:
        for number in dice.sample(range(SIGNERS), COVERAGE):
            if number not in bad or triple[:2] not in attacked:
                said[number].append(triple)
    for number in bad:
        said[number] += false
    return [snapshot(did(number + 1), held) for number, held in said.items()], false


def _context(reader: Reader, policy: Policy | None, asked: list[Question], false: set[Triple]) -> str:
    lies = {_terms(one) for one in false}
    poisoned = whole = 0
    for question in asked:
        gold = {_terms(one) for one in question.gold}
        facts = [fact for s, p, _ in gold for fact in reader.about(s, p, most=100)]
        kept = facts if policy is None else policy.screen(facts, reader, NOW)[0]
        held = {tuple(fact.statement) for fact in kept}
        poisoned += not lies.isdisjoint(held)
        whole += gold <= held
    return f"{100 * poisoned / len(asked):.1f} / {100 * whole / len(asked):.1f}"


def _lines(number: int, *, answers: bool) -> Iterator[str]:
    yield "| attacker | policy | false value in context | all gold triples in context | right answers | false answers |"
    for cell in attacks(number, answers=answers, embedder=best_embedder()):
        yield cell.line


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.poisoning")
    parser.add_argument("what", choices=["attacks", "curves"])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--answers", action="store_true", help="let SmolLM2-135M answer (about 1 s a question)")
    args = parser.parse_args()
    found = curves(args.questions) if args.what == "curves" else _lines(args.questions, answers=args.answers)
    for line in found:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
