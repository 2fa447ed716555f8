"""Random publishers with commits and marks on both contracts, and the union that they make (docs/formats.md, 12)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from dkg.build import build_tree
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed, decode_event
from dkg.checkpoints.evidence import shows_needed, summarised
from dkg.checkpoints.judge import judge
from dkg.checkpoints.owners import has_shape, owner_of, permute, prefix_of
from dkg.checkpoints.records import Record, counting_commit, marked_among
from dkg.checkpoints.shown import Kind, classify, last_block
from dkg.checkpoints.view import LogView
from dkg.errors import ProofError
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from node.checkpoints.find import Right, Wrong, find_invalid
from node.checkpoints.walk import driven
from tests.contracts.checkpoints.fuzz_chain import BOND, DEMAND_BOND, DEMAND_WINDOW, Contracts, calldata_of
from tests.contracts.checkpoints.fuzz_trees import Dataset, Node, grow, spoil
from tests.contracts.onchain import KEYS, RevertedError, Sequence

if TYPE_CHECKING:
    from dkg.chain.checkpoints import Checkpoint, Mark
    from dkg.checkpoints.judge import Evidence

PROPOSER: Final = KEYS[5].address
WATCHER: Final = KEYS[6].address
PUBLISHERS_MAX: Final = 4

_LETTERS: Final = [b"a", b"b", b"c", b"\x01", b"\x12", b"\x7f", b"\xc3\xa9", b"zz"]


@dataclass
class Made:
    """A commit: what is in it, and whether its spog has a fault."""

    committed: Committed
    dataset: Dataset
    malformed: bool


def address(publisher: int) -> bytes:
    """Of one of the publishers, 20 bytes."""
    return bytes.fromhex(KEYS[publisher].address[2:])


class World:
    """What is on the chain, and all pages. `union`: the right keys of spog at `checkpoint`, which is pending."""

    def __init__(self, contracts: Contracts, seed: int, *, wrong: bool) -> None:
        self.chain = contracts
        self.random = Random(seed)
        self.store = MemoryPageStore()
        self.pages = StoredPages(self.store)
        self.log = RegistryLog()
        self.marked: dict[int, Mark] = {}
        self.shown: dict[bytes, bytes] = {}
        self.commits: list[Made] = []
        self.publishers = list(range(self.random.randint(2, PUBLISHERS_MAX)))
        self._sequences = [Sequence(contracts.registry, KEYS[number].address) for number in self.publishers]
        contracts.fund(PROPOSER, WATCHER)
        self._commit_all()
        self._mark_all()
        self.position = self.random.choice([len(self.commits), self.random.randint(0, len(self.commits))])
        self.marks = self._marks()
        self.union = sorted(self._union())
        self.canonical = self._canonical()
        self.dataset = Dataset.of(self.random, self.union)
        self.corruption = self._corrupt() if wrong else "nothing"
        self.checkpoint = self._propose(self.dataset.store(self.store.pages))

    # --- keys ------------------------------------------------------------------------------------------------------

    def key(self, publisher: int, *, size: int = 0) -> bytes:
        """A key of spog in one of a publisher's graphs, of `size` bytes if that is more than it takes."""
        random = self.random
        parts = [b"".join(random.choices(_LETTERS, k=random.randint(1, 3))) for _ in range(3)]
        parts[2] += bytes([97]) * random.choice([0, 0, 0, 0, 30, 300])
        graph = prefix_of(self.chain.domain, address(publisher)) + random.choice([b"x>", b"y/z>", b""])
        made = b"".join(part + b"\0" for part in (*parts, graph))
        return made if size <= len(made) else parts[0] + bytes([98]) * (size - len(made)) + made[len(parts[0]) :]

    def odd(self) -> bytes:
        """A key that is nobody's: of no publisher, of no shape, or of no graph of the registry."""
        random, key = self.random, self.key(self.random.randrange(7))
        at = key.rindex(b"\0", 0, -1) + 1
        graph = key[at:]
        unended = prefix_of(self.chain.domain, address(0))[:-1]
        ways = [
            key[:-1], key + b"a", key + b"\0", key.replace(b"\0", b"", 1), key[:1] + b"\xfe\xff" + key[1:],
            key[:at] + graph.replace(b"<did", b"<dod"), key[:at] + graph.replace(b":0x", b":0X"),
            key[:at] + graph.replace(b"/0x", b"/0X"), key[:at] + graph[: random.randint(1, 100)] + b"\0",
            key[:at] + graph.upper(), key[:at] + unended + b"x>\0", key[:at] + b"<urn:g>\0", key[:at] + b"\0",
            b"\0\0\0\0", b"q",
        ]  # fmt: skip
        return random.choice(ways)

    def _keys(self, publisher: int) -> list[bytes]:
        """What a publisher commits: its own keys, others', odd and long ones."""
        random = self.random
        found = {self.key(publisher) for _ in range(random.choice([0, 1, 5, 20, 60]))}
        found |= {self.key(random.randrange(7)) for _ in range(random.choice([0, 0, 2]))}
        found |= {self.odd() for _ in range(random.choice([0, 0, 2]))}
        for size in random.choice([(), (), (), (KEY_MAX - 1, KEY_MAX), (KEY_MAX, KEY_MAX + 1, KEY_MAX + 2)]):
            found.add(self.key(publisher, size=size))
        return sorted(found)

    # --- what is on the chain --------------------------------------------------------------------------------------

    def _commit_all(self) -> None:
        """Some commits by each, in any order; now and then one publisher has more than are looked at."""
        random = self.random
        turns = [number for number in self.publishers for _ in range(random.randint(0, 3))]
        if random.random() < 0.15:
            turns += [random.choice(self.publishers)] * random.randint(7, 9)
        random.shuffle(turns)
        before: dict[int, list[bytes]] = {}
        for publisher in turns:
            keys = self._keys(publisher)
            if publisher in before and random.random() < 0.7:  # an edit of what was there
                keys = sorted({key for key in before[publisher] if random.random() < 0.8} | set(keys[:3]))
            before[publisher] = keys
            self._commit(publisher, keys)

    def _commit(self, publisher: int, keys: list[bytes]) -> None:
        random = self.random
        spog = grow(random, keys)
        dataset = Dataset([spog, *(Node([b"what is here does not matter"]) for _ in ORDERS[1:])])
        dice = random.random()
        if dice < 0.12:
            spoil(random, spog)
        elif dice < 0.22:  # a long page
            random.choice(list(spog.below()))[1].raw = Leaf([b"k" * SHOW_MAX]).encode()
        elif dice < 0.26:
            dataset.raw = random.choice([b"\xa1", Leaf([b"k" * SHOW_MAX]).encode(), Leaf([]).encode()])
        elif dice < 0.28:
            dataset.count = spog.count + 1
        root = dataset.store(self.store.pages)
        self._sequences[publisher].send(root=root)
        ((topics, data),) = self.chain.registry.logs
        number, time = self.chain.registry.block
        committed = decode_event(topics, data, number, time)
        assert isinstance(committed, Committed)
        self.log.apply(Block(number, number.to_bytes(32), (number - 1).to_bytes(32), time), [committed])
        found = driven(find_invalid(committed, {}), self.store.pages.get)
        self.commits.append(Made(committed, dataset, malformed=isinstance(found, Wrong)))
        assert isinstance(found, Right | Wrong)
        self.chain.registry.next_block()

    def _mark_all(self) -> None:
        """Marks for all that are malformed, and for some others by a demand that nobody answers; in any order."""
        random = self.random
        rest = [made for made in self.commits if made.malformed or random.random() < 0.1]
        if random.random() < 0.2:  # all of the publisher's that has the most
            own = [made.committed.publisher for made in self.commits]
            whose = max(own, key=own.count, default=b"")
            rest = [made for made in self.commits if made in rest or made.committed.publisher == whose]
        random.shuffle(rest)
        for made in rest:
            is_shown = made.committed.commit.root in self.shown  # then nobody can demand it
            if not made.malformed or (random.random() < 0.1 and not is_shown):
                self._withhold(made.committed)
            else:
                found = driven(find_invalid(made.committed, {}), self.store.pages.get)
                assert isinstance(found, Wrong)
                self.accept(found)
            mark = self.chain.mark(made.committed.position)
            assert mark is not None
            self.marked[mark.position] = mark

    def _withhold(self, committed: Committed) -> None:
        record = Record.of(committed)
        values = (record.root, record.numbers, record.block_number, record.timestamp)
        self.chain.call(WATCHER, "demand_commit", committed.publisher, values, b"", value=DEMAND_BOND)
        self.chain.wait(DEMAND_WINDOW + 12)
        self.chain.call(WATCHER, "expire", self.chain.state.demands)

    def accept(self, wrong: Wrong) -> None:
        """Give evidence that must be taken by judge and contract, after what must be shown, within the bound."""
        for raw in wrong.first:
            self.show(raw)
        evidence = wrong.evidence
        for raw in shows_needed(evidence):
            self.show(raw)
        evidence = summarised(evidence, self.shown.keys())
        judge(self.view, evidence)
        self.chain.send(WATCHER, calldata_of(evidence))

    def show(self, raw: bytes) -> None:
        """Show a page to the contract, and note what it keeps of it."""
        found = classify(raw)
        if found.kind is Kind.LONG:
            sent = self.chain.call(WATCHER, "show_long", *last_block(raw))
        else:
            sent = self.chain.call(WATCHER, "show", raw)
        digest = cid_of(raw)[len(CID_PREFIX) :]
        assert self.chain.shown(digest) == found.word, raw.hex()
        assert sent.output
        self.shown[digest] = found.word

    def _marks(self) -> int:
        """A number of marks with which no commit counts that is malformed."""
        some = self.random.randint(0, len(self.marked))
        return next(marks for marks in (some, len(self.marked)) if not self._open(marks))

    def _open(self, marks: int) -> bool:
        counting = self._counting(marks)
        return any(self.commits[committed.position].malformed for committed in counting)

    def _counting(self, marks: int) -> list[Committed]:
        marked = marked_among(self.marked, marks)
        found = [counting_commit(self.log, address(n), self.position, marked) for n in self.publishers]
        return [committed for committed in found if committed is not None]

    def _union(self) -> set[bytes]:
        return {
            key
            for committed in self._counting(self.marks)
            for key in self.commits[committed.position].dataset.showable()
            if owner_of(key, self.chain.domain) == committed.publisher
        }

    def _canonical(self) -> bytes:
        """The CID of the union as nodes build it."""
        sink = PageSink(self.store)
        trees = [build_tree([sorted(permute(key, "spog", order) for key in self.union)], sink)[0] for order in ORDERS]
        root = sink.add(DatasetRoot(trees, len(self.union)))
        sink.flush()
        return root

    def _propose(self, root: bytes) -> Checkpoint:
        tip = self.chain.registry.mapped(2, self.position - 1).to_bytes(32) if self.position else bytes(32)
        self.chain.call(PROPOSER, "propose", self.position, self.marks, root, tip, value=BOND)
        return self.chain.checkpoint(self.chain.state.last)

    # --- what is wrong ---------------------------------------------------------------------------------------------

    def _corrupt(self) -> str:
        """Make the dataset to be proposed wrong in one way; says how."""
        random = self.random
        ways = [self._without, self._with_more, self._one_index, self._spoilt, self._root]
        found = ""
        while not found:
            found = random.choice(ways)()
        return found

    def _without(self) -> str:
        if not self.union:
            return ""
        gone = random_some(self.random, self.union)
        self.dataset = Dataset.of(self.random, [key for key in self.union if key not in gone])
        return "missing"

    def _with_more(self) -> str:
        random = self.random
        all_keys = {key for made in self.commits for key in made.dataset.showable()}
        behind = {key for made in self.commits for _, node in made.dataset.trees[0].below() for key in node.entries}
        strange = [self.odd(), self.key(random.choice(self.publishers)), self.key(6), self.key(0, size=KEY_MAX + 5)]
        more = set(random_some(random, sorted(all_keys | behind) + strange)) - set(self.union)
        if not more:
            return ""
        spog = sorted({*self.union, *more})
        others = [key for key in spog if has_shape(key)]
        self.dataset = Dataset.of(random, others)
        self.dataset.trees[0] = grow(random, spog)
        self.dataset.count = random.choice([None, len(self.union)])
        return "extra"

    def _one_index(self) -> str:
        random, at = self.random, self.random.randrange(len(ORDERS))
        keys = {permute(key, "spog", ORDERS[at]) for key in self.union}
        gone = set(random_some(random, sorted(keys))) if keys and random.random() < 0.7 else set()
        come = random.choice([set(), {self.odd()}, {self.key(0)}, {self.key(0, size=KEY_MAX + 1)}])
        made = sorted((keys - gone) | come)
        if set(made) == keys:
            return ""
        self.dataset.trees[at] = grow(random, made)
        self.dataset.count = len(self.union)
        return f"index {ORDERS[at]}"

    def _spoilt(self) -> str:
        at = self.random.randrange(len(ORDERS))
        self.dataset.count = len(self.union)
        return f"{spoil(self.random, self.dataset.trees[at])} in {ORDERS[at]}"

    def _root(self) -> str:
        random = self.random
        if random.random() < 0.4:
            self.dataset.count = len(self.union) + random.choice([1, 2**40])
            return "count of the root"
        self.dataset.raw = random.choice([b"", b"\xa0", Leaf([]).encode(), Leaf([b"k" * SHOW_MAX]).encode()])
        return "root"

    # --- what is asked ---------------------------------------------------------------------------------------------

    @property
    def view(self) -> LogView:
        """What the judge sees."""
        return LogView(
            self.chain.domain, self.log, self.marked, {self.checkpoint.id: self.checkpoint} if self.proposed else {},
            self.shown,
        )  # fmt: skip

    @property
    def proposed(self) -> bool:
        """Whether the checkpoint is there."""
        return hasattr(self, "checkpoint")

    def verdicts(self, evidence: Evidence) -> tuple[str, str]:
        """What judge and contract say to evidence: "" if they take it, or why not. Nothing is changed by it."""
        try:
            judge(self.view, evidence)
            ours = ""
        except ProofError as error:
            ours = f"{type(error).__name__}: {error}"
        with self.chain.env.anchor():
            try:
                self.chain.send(WATCHER, calldata_of(evidence))
                theirs = ""
            except RevertedError as error:
                theirs = error.reason or "reverted"
        return ours, theirs


def random_some(random: Random, keys: list[bytes]) -> list[bytes]:
    """One key or a few."""
    return random.sample(keys, min(len(keys), random.choice([1, 1, 1, 3])))
