"""`Knowledge`: one object that answers questions from the newest datasets, for as long as a program runs.

It holds the verified snapshots, the index, the policy and the model, and looks at all of them again before each
question: what was retracted, revoked or forbidden a moment ago is not in the next answer. Threads may share it. Pages
are read by one of them at a time, and whoever waits too long is told so (`BusyError`).

The index follows the datasets before each question too, or, in a server, in a thread of its own (`follow`): then a
question that comes while much is new does not wait for all of it. An index only proposes what to read, so an old one
can make an answer miss what is new, which its notes say, and never have what is gone.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from dkg.errors import InputError, RdfError, StoreError
from dkg.normal import normalize
from retrieval.following import Following, roots_of
from retrieval.limits import TOKENS, TOKENS_MAX, TOKENS_MIN
from retrieval.llm.model import DEADLINE_S
from retrieval.model import Candidate, Context
from retrieval.policy import Policy
from retrieval.prompt.packing import pack, question_text
from retrieval.prompt.profiles import profile_of
from retrieval.prompt.sentences import sentences, templates_of
from retrieval.proofs import claims, proof_id, prove_claim
from retrieval.reading import Reader
from retrieval.remembered import KEPT, Remembered
from retrieval.results import About, Checked, Result
from retrieval.unheard import unheard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from retrieval.ask import Answer
    from retrieval.embed import Embedder
    from retrieval.index import KnowledgeIndex
    from retrieval.llm.model import Model
    from retrieval.model import Dropped, Fact, Snapshot
    from retrieval.proofs import Claimed, Proved
    from retrieval.sources import Excluded

OTHERS: Final = 5
"""What is stated instead of a fact that is not: at most so many."""

EXCLUDED_TOLD: Final = 8
"""Publishers that one error names."""

CHAT: Final = "generic-large"
"""The profile of prompts for models that are somebody else's."""

RETRY_S: Final = 5
"""After how many seconds it makes sense to try again what was not ready."""


Heads: TypeAlias = "Callable[[], tuple[Sequence[Snapshot], Sequence[Excluded]]]"
"""The verified snapshots of now, and the publishers that have none."""


class BusyError(StoreError):
    """Too many questions are being answered."""


class NotReadyError(StoreError):
    """The index is still being built."""


class NothingReadError(StoreError):
    """No publisher can be read: nothing is known, which is not the same as nothing."""


class PolicyLostError(StoreError):
    """The trust policy cannot be used any more. Its file is not named to whoever asks."""


class NoModelError(InputError):
    """An answer was asked for, and there is no language model."""


class UnknownProofError(InputError):
    """No answer with this proof is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long a question waits, in seconds."""

    turn_s: float = 30.0
    """For those before it."""
    index_s: float = 2.0
    """For an index that is behind."""
    model_s: float = DEADLINE_S
    """For the model."""


_WAITS: Final = Waits()


class Knowledge:
    """See the module. Close it after use; what it is given is closed by whoever gave it."""

    def __init__(
        self,
        heads: Heads,
        *,
        embedder: Embedder | None = None,
        policy: Callable[[], Policy] = Policy,
        model: Model | None = None,
        directory: Path | None = None,
        follows: bool = False,
        waits: Waits = _WAITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`heads`: the verified snapshots now, and who has none (`retrieval.sources.current`). `policy`: that of now.

        With `follows`, several threads call `heads` at a time; without, one. `directory`: where the index is kept;
        None: in memory. `follows`: whether `follow` runs in a thread, so that no
        question builds an index. `now`: Unix seconds.
        """
        self._heads = heads
        self._policy = policy
        self._embedder = embedder
        self.model = model
        self._following = Following(embedder, directory)
        self._follows = follows
        self._waits = waits
        self._now = now
        self._turns = threading.Lock()
        self._news = threading.Condition()
        self._wanted = False
        self._answers = Remembered()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index."""
        with self._turns:
            self._following.close()

    # --- questions -----------------------------------------------------------------------------------------------

    def retrieve(self, question: str, tokens: int = TOKENS) -> Result:
        """What answers a question, in so many tokens. Raises `InputError` for a question that is none, or refused.

        Raises `BusyError`, `NotReadyError`, `NothingReadError`, `PolicyLostError`, and what reading pages raises.
        """
        with self._turn() as state:
            context = self._found(state, question, tokens)
            return self._remembered(context, state.texts(context.facts, context.labels))

    def chat(self, question: str, tokens: int = TOKENS) -> Result:
        """As `retrieve`, also as text for the prompt of somebody's model (`Result.found`)."""
        question = question_text(question)
        with self._turn() as state:
            context = self._found(state, question, tokens)
            templates = state.templates(context.facts)
        packed = pack(context, profile_of(CHAT), budget=tokens, templates=templates)
        given = replace(
            context,
            facts=packed.facts,
            dropped=(*context.dropped, *packed.dropped),
            notes=(*context.notes, *packed.notes),
        )
        return replace(self._remembered(given, packed.sentences), found=packed.text)

    def answer(self, question: str, tokens: int = TOKENS) -> Answer:
        """What the language model answers, from facts of so many tokens. Raises `NoModelError` if there is none.

        Raises `ModelError`, and what `retrieve` raises. Others may ask while the model writes.
        """
        from retrieval.ask import answer_from  # noqa: PLC0415 - not needed by those who bring their own model

        model = self.model
        if model is None:
            raise NoModelError("there is no language model here: ask for the facts, or name a model")
        question = question_text(question)
        with self._turn() as state:
            context = self._found(state, question, tokens)
            templates = state.templates(context.facts)
        answer = answer_from(context, model=model, templates=templates, budget=tokens, deadline_s=self._waits.model_s)
        proof = self._answers.keep(Result(answer.context, answer.sentences, answer.proof))
        return replace(answer, proof=proof)

    def result(self, proof: str) -> Result:
        """What was found before. Raises `UnknownProofError` when it is not remembered any more."""
        found = self._answers.get(proof)
        if found is None:
            raise UnknownProofError(f"no answer with this proof is remembered (the last {KEPT} are at most): ask again")
        return found

    def again(self, proof: str) -> tuple[Result, frozenset[int]]:
        """What was found before, and the numbers of its facts that still hold: read again, under the policy of now.

        Raises `UnknownProofError`, and what `retrieve` raises.
        """
        result = self.result(proof)
        with self._turn() as state:
            read, _ = state.reader.facts(Candidate(one.statement, one.score) for one in result.context.facts)
            kept, _ = state.screened(read)
        said = {one.statement for one in kept}
        numbers = frozenset(n for n, one in enumerate(result.context.facts, 1) if one.statement in said)
        return result, numbers

    def claims(self, proof: str) -> list[Claimed]:
        """The queries whose proofs show an answer. Raises `UnknownProofError`."""
        return claims(self.result(proof).context)

    def proof(self, proof: str, number: int = 1) -> Proved:
        """The proof of one of these queries, by its number from 1.

        Raises `UnknownProofError`, and `StoreError` when pages of that time are not kept any more.
        """
        found = self.claims(proof)
        if not 1 <= number <= len(found):
            raise UnknownProofError(f"this answer has {len(found)} proofs")
        with self._reading():
            return prove_claim(found[number - 1])

    # --- what is said of something -------------------------------------------------------------------------------

    def about(self, term: str, *, start: int = 0, limit: int = 20, back: bool = False) -> About:
        """Facts about something, by its IRI: all of them, in parts. `back`: those that point to it.

        Raises `RdfError` for what is no IRI.
        """
        node = term_of_text(term)
        subject, object_ = (None, node) if back else (node, None)
        with self._turn() as state:
            found = state.reader.about(subject, None, object_, most=start + limit + 1)
            kept, dropped = state.screened(found[start : start + limit])
            total = state.reader.count(subject, None, object_)
            return About(
                tuple(kept),
                state.texts(kept),
                tuple(dropped),
                total,
                start + limit if len(found) > start + limit else None,
            )

    def check(self, subject: str, predicate: str, object_: str) -> Checked:
        """Whether a triple is stated, by whom, and what is stated instead. Raises `RdfError` for what is no term."""
        s, p, o = term_of_text(subject), term_of_text(predicate), term_of_text(object_, literal=True)
        if s[:1] != b"<" or p[:1] != b"<":
            raise RdfError("the subject and the predicate of a triple are IRIs; only its object may be a literal")
        with self._turn() as state:
            kept, dropped = state.screened(state.reader.about(s, p, o, most=1))
            mine = [one for one in kept if one.statement == (s, p, o)]
            absent = None if mine or dropped else state.reader.absent(s, p, o)
            others, more = state.screened(state.reader.about(s, p, None, most=OTHERS + 1))
            others = [one for one in others if one.statement != (s, p, o)][:OTHERS]
            context = Context(
                question="",
                facts=tuple(mine),
                absent=() if absent is None else (absent,),
                snapshots=state.reader.snapshots,
            )
            proof = self._remembered(context, state.texts(mine)).proof
            dropped = list(dict.fromkeys([*dropped, *more]))
            return Checked(next(iter(mine), None), absent, tuple(others), state.texts(others), tuple(dropped), proof)

    # --- following -------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether there is an index."""
        return self._following.index is not None

    def follow(self) -> bool:
        """Let the index be of the newest datasets; whether it was not. Raises what reading pages raises."""
        snapshots, excluded = self._heads()
        if not snapshots and any(one.failed for one in excluded):
            raise NothingReadError("no publisher can be read: the index stays as it is")
        snapshots = self._policy_of_now().readable(snapshots, int(self._now()))
        with self._turns:
            moved = self._following.follow(snapshots)
        with self._news:
            self._wanted = False
            self._news.notify_all()
        return moved

    def wanted(self, wait_s: float) -> None:
        """Return when a question wants a newer index, or after so many seconds. For the thread that calls `follow`."""
        with self._news:
            self._news.wait_for(lambda: self._wanted, wait_s)

    def stir(self) -> None:
        """Let whoever waits in `wanted` go on."""
        with self._news:
            self._wanted = True
            self._news.notify_all()

    # --- below -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[None]:
        wait_s = self._waits.turn_s
        if not self._turns.acquire(timeout=wait_s):
            raise BusyError(f"other questions have taken more than {wait_s:g} s: try again in {RETRY_S} s")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def _turn(self) -> Iterator[State]:
        """The state of now, while it is the turn of whoever asks."""
        if self._follows and not self.ready:
            raise NotReadyError("the index is being built: nothing can be looked up yet")
        policy, now = self._policy_of_now(), int(self._now())
        if self._follows:
            self._catch_up(policy.readable(self._heads()[0], now))
        with self._reading():
            snapshots, excluded = self._heads()
            notes = [f"nothing is read of {one.publisher}: {one.reason}" for one in excluded]
            if not snapshots and any(one.failed for one in excluded):
                raise NothingReadError("; ".join(notes[:EXCLUDED_TOLD]))
            readable = policy.readable(snapshots, now)
            if len(readable) < len(snapshots):
                notes.append(f"the policy lets {len(readable)} of {len(snapshots)} datasets count: no other is read")
            counted = set(readable)
            silent = tuple(one for one in snapshots if one not in counted)
            snapshots = readable
            if not self._follows:
                self._following.follow(snapshots)
            elif self._following.roots != roots_of(snapshots):
                notes.append("the index is behind the newest commits: what is new in them may be missing here")
            index = self._following.index
            if index is None:
                raise NotReadyError("the index is being built anew: nothing can be looked up yet")
            notes += [f"{one} is not looked through, only read: {why}" for one, why in self._following.left_out.items()]
            yield State(Reader(snapshots), index, policy, now, tuple(notes), silent)

    def _policy_of_now(self) -> Policy:
        """The policy; without the one that is wanted nothing is answered."""
        try:
            return self._policy()
        except InputError as error:
            raise PolicyLostError("the trust policy cannot be read, and nothing is answered without it") from error

    def _catch_up(self, snapshots: Sequence[Snapshot]) -> None:
        """Wait for the index if it is behind, but not for long."""
        with self._news:
            wanted = roots_of(snapshots)
            if self._following.roots != wanted:
                self._wanted = True
                self._news.notify_all()
                self._news.wait_for(lambda: self._following.roots == wanted, self._waits.index_s)

    def _found(self, state: State, question: str, tokens: int) -> Context:
        from retrieval.pipeline import Budget, Retriever  # noqa: PLC0415 - numpy, which is not needed to start

        if not TOKENS_MIN <= tokens <= TOKENS_MAX:
            raise InputError(f"a budget is {TOKENS_MIN} to {TOKENS_MAX} tokens, not {tokens}")
        retriever = Retriever(state.reader, state.index, state.policy, self._embedder, now=self._now)
        context = retriever.retrieve(question, Budget(tokens=tokens))
        notes = (*context.notes, *state.notes, *state.reader.faults.values())
        silent = unheard(context, state.silent, state.policy, state.now)
        return replace(context, notes=notes, dropped=(*context.dropped, *silent))

    def _remembered(self, context: Context, texts: tuple[str, ...]) -> Result:
        result = Result(context, texts, proof_id(context))
        return replace(result, proof=self._answers.keep(result))


@dataclass(frozen=True, slots=True)
class State:
    """What one question is answered from."""

    reader: Reader
    index: KnowledgeIndex
    policy: Policy
    now: int
    notes: tuple[str, ...]
    silent: tuple[Snapshot, ...]
    """The datasets that the policy does not let count."""

    def screened(self, facts: Sequence[Fact]) -> tuple[list[Fact], list[Dropped]]:
        """What may be shown, and what may not and why."""
        return self.policy.screen(facts, self.reader, self.now)

    def texts(self, facts: Sequence[Fact], labels: dict[bytes, str] | None = None) -> tuple[str, ...]:
        """A sentence for each fact. `labels`: verified labels of their terms, read here if they are not given."""
        known = self._labels(facts) if labels is None else labels
        return sentences(facts, known, self.templates(facts))

    def templates(self, facts: Sequence[Fact]) -> dict[tuple[str, bytes], str]:
        """The templates of sentences that may be used."""
        return templates_of(self.reader, facts, self._spoken)

    def _spoken(self, facts: Sequence[Fact]) -> tuple[list[Fact], list[Dropped]]:
        """What facts may be shown with: names and templates, which are charged to no quota."""
        return self.policy.screen(facts, self.reader, self.now, quotas=False)

    def _labels(self, facts: Sequence[Fact]) -> dict[bytes, str]:
        terms = {term for fact in facts for term in fact.statement if term[:1] == b"<"}
        proposed = self.index.label_statements(terms)
        read, _ = self.reader.facts(Candidate(one, 0.0) for one in proposed.values())
        kept, _ = self._spoken(read)
        from retrieval.index.names import labels_of  # noqa: PLC0415 - numpy, which is not needed to start

        return labels_of(fact.statement for fact in kept)


def term_of_text(text: str, *, literal: bool = False) -> bytes:
    """A term in normal form, from an IRI or N-Triples. `literal`: text that is neither is a plain literal.

    Raises `RdfError`.
    """
    text = text.strip()
    if text[:1] in {"<", '"'}:
        return normalize(text.encode(errors="replace"))
    if _IRI.fullmatch(text) or not literal:
        return normalize(f"<{text}>".encode(errors="replace"))
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return normalize(f'"{quoted}"'.encode(errors="replace"))


_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
