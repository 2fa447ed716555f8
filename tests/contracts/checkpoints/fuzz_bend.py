"""Evidence that looks right: made of true parts of the wrong things, and then bent in one field or a few."""

from __future__ import annotations

from dataclasses import fields, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.checkpoints.judge import NOBODY, Evidence, Extra, Fault, Index, Invalid, Missing
from dkg.checkpoints.owners import has_shape, owner_of, permute
from dkg.checkpoints.paths import Place, follow
from dkg.checkpoints.paths import path as place_of
from dkg.checkpoints.records import RECORDS_MAX, Record, claim, marked_among
from dkg.checkpoints.shown import Kind, children_of, classify, entries_of, stem
from dkg.errors import PageError
from dkg.limits import PATH_BYTES_MAX, SHOW_MAX, STEM_BYTES
from dkg.page import CID_PREFIX, ORDERS
from node.checkpoints.find import GivenPages
from tests.contracts.checkpoints.fuzz_world import World, address

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

BYTES: Final = frozenset({"ours", "theirs", "member", "absent", "path"})
STEMS: Final = ("key", "before", "after", "bound", "entry")
_HEADER: Final = 4
_WORD: Final = 32


class Liar:
    """Makes evidence about a world: see `lie`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self._truth = 1.0
        self.roots = [world.checkpoint.root, *(made.committed.commit.root for made in world.commits)]
        self.given = GivenPages(world.store.pages.get, {})
        some = {key for made in world.commits for _, node in made.dataset.trees[0].below() for key in node.entries}
        some |= {key for _, node in world.dataset.trees[0].below() for key in node.entries}
        self.keys = sorted(some | {world.odd(), world.key(0), world.key(6)})
        self._owned = [key for key in self.keys if owner_of(key, world.chain.domain)]

    def lie(self) -> Evidence:
        """Evidence in which most is true, bent or not."""
        self._truth = self.random.choice([0.8, 0.95, 0.98])
        makes: list[Callable[[], Evidence]] = [self.missing, self.extra, self.index, self.fault, self.invalid]
        make = self.random.choice(makes)
        evidence: Evidence = make()
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            evidence = bend(self.random, evidence, self)
        return evidence

    def bent_data(self, data: bytes) -> bytes:
        """The data of a transaction, cut, longer, or with other bytes or words; for the same function."""
        random = self.random
        words = [data[at : at + _WORD] for at in range(4, len(data), _WORD)]
        at = random.randrange(len(words))
        number = int.from_bytes(words[at])
        what = random.randrange(5)
        if what == 0:
            return data[: random.randint(4, len(data))]
        if what == 1:
            return data + random.randbytes(random.choice([1, 32, 1000]))
        if what == 2:
            return data[:4] + random.randbytes(random.choice([0, 32, 500]))
        if what == 3:  # an offset, a length or a number, most likely
            at = random.randrange(min(len(words), 12))
            number = int.from_bytes(words[at]) + random.choice([1, -1, 31, 32, -32, 2**255])
        else:
            number ^= 1 << random.randrange(256)
        words[at] = (number % 2**256).to_bytes(_WORD)
        return data[:4] + b"".join(words)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _mostly(self, right: Any, other: Callable[[], Any]) -> Any:  # noqa: ANN401 - any field
        return right if self.random.random() < self._truth else other()

    def any_root(self) -> bytes:
        """Of the union or of a commit."""
        return self.random.choice(self.roots)

    def any_key(self) -> bytes:
        """Of the union, or of some commit and perhaps not of the union, or another one."""
        dice = self.random.random()
        return self.random.choice((dice < 0.4 and self.world.union) or (dice < 0.9 and self._owned) or self.keys)

    def place(self, root: bytes, tree: int, key: bytes) -> tuple[bytes, bytes, bytes]:
        """A path to where a key is or would be, and neighbours as if it were not there."""
        random = self.random
        try:
            found = place_of(self.given, CID_PREFIX + root, tree, key)
        except PageError:
            return self.anywhere(root)
        before, after = found.before, found.after
        if found.member and random.random() < 0.7:
            found, before, after = self._as_if_absent(found)
        return found.encode(self.summarised()), before, after

    def _as_if_absent(self, found: Place) -> tuple[Place, bytes, bytes]:
        """The same leaf, with neighbours that leave the key out, or are the key."""
        random, last = self.random, found.steps[-1]
        entries, (lower, upper) = entries_of(last.page), found.bounds
        at = last.at + random.choice([0, 1])
        low = [stem(entry) for entry in entries[max(0, at - 2) : at][::-1]] + [lower, b""]
        high = [stem(entry) for entry in entries[at : at + 2]] + [upper, b""]
        moved = replace(found, steps=(*found.steps[:-1], replace(last, at=at)))
        return (
            moved,
            self._mostly(low[0], lambda: random.choice(low)),
            self._mostly(high[0], lambda: random.choice(high)),
        )

    def anywhere(self, root: bytes, tree: int | None = None) -> tuple[bytes, bytes, bytes]:
        """A path to any page (of a tree), and the bounds of what it names."""
        random = self.random
        indexes: list[int] = []
        cid = CID_PREFIX + root
        deepest = random.randint(0, 6)
        while len(indexes) <= deepest:
            raw = self.world.store.pages.get(cid)
            if raw is None or classify(raw).kind is not Kind.WELL_FORMED:
                break
            page = self.given.page(cid)
            children = children_of(page)
            indexes.append(random.randrange(len(children) or len(entries_of(page)) + 1))
            if len(indexes) == 1 and tree is not None:
                indexes[0] = tree
            if not children:
                break
            cid = children[indexes[-1]]
        try:
            way = follow(self.given, CID_PREFIX + root, indexes)
        except PageError:
            return b"", b"", b""
        return way.encode(self.summarised()), *way.bounds

    def summarised(self) -> set[bytes]:
        """Some of the pages that were shown."""
        return {digest for digest in self.world.shown if self.random.random() < 0.7}

    def records(self, publisher: bytes) -> tuple[Record, ...]:
        """What shows what counts of a publisher, at the checkpoint's position and marks or at others."""
        world, random = self.world, self.random
        position = self._mostly(world.position, lambda: random.randint(0, len(world.commits)))
        marks = self._mostly(world.marks, lambda: random.randint(0, len(world.marked)))
        found = claim(world.log, publisher, position, marked_among(world.marked, marks))
        own = [made.committed for made in world.commits if made.committed.publisher == publisher]
        if own and random.random() > self._truth:  # any of its commits in a row
            first = random.randrange(len(own))
            found = own[first : random.choice([first + 1, len(own)])][:RECORDS_MAX]
        return tuple(map(Record.of, found))

    def any_publisher(self) -> bytes:
        """One of those that commit, or another."""
        return address(self.random.randrange(7))

    def _committed(self, publisher: bytes, own: tuple[Record, ...]) -> bytes:
        """The root of some commit of a publisher, most often of the one that counts by its records."""
        roots = [made.committed.commit.root for made in self.world.commits if made.committed.publisher == publisher]
        right = own[0].root if own else self.any_root()
        return bytes(self._mostly(right, lambda: self.random.choice(roots or self.roots)))

    # --- evidence --------------------------------------------------------------------------------------------------

    def missing(self) -> Missing:
        """That a key is missing."""
        key = self.any_key()
        publisher = self._mostly(owner_of(key, self.world.chain.domain) or self.any_publisher(), self.any_publisher)
        records = self.records(publisher)
        ours = self._mostly(self._committed(publisher, records), self.any_root)
        theirs = self._mostly(self.world.checkpoint.root, self.any_root)
        there, _, _ = self.place(ours, self._mostly(0, self._tree), key)
        absent, before, after = self.place(theirs, self._mostly(0, self._tree), key)
        return Missing(self._id(), publisher, records, there, absent, stem(key), before, after)

    def extra(self) -> Extra:
        """That a key is too much."""
        key = self.any_key()
        publisher = self._mostly(owner_of(key, self.world.chain.domain) or self.any_publisher(), self.any_publisher)
        member, _, _ = self.place(
            self._mostly(self.world.checkpoint.root, self.any_root), self._mostly(0, self._tree), key
        )
        records = self.records(publisher)
        own = self._committed(publisher, records)
        if self.random.random() < 0.3:
            absent, before, after = self.anywhere(own, 0)
        else:
            absent, before, after = self.place(own, self._mostly(0, self._tree), key)
        return Extra(self._id(), stem(key), member, publisher, records, absent, before, after)

    def index(self) -> Index:
        """That a key is in one tree only."""
        key, tree, other = self.any_key(), self._tree(), self._tree()
        moved = permute(key, "spog", ORDERS[tree]) if has_shape(key) else key
        there = permute(key, "spog", ORDERS[other]) if has_shape(key) else key
        root = self.world.checkpoint.root
        member, _, _ = self.place(self._mostly(root, self.any_root), self._mostly(tree, self._tree), moved)
        absent, before, after = self.place(self._mostly(root, self.any_root), self._mostly(other, self._tree), there)
        return Index(self._id(), stem(moved), member, self._mostly(other, lambda: 4), absent, before, after)

    def fault(self) -> Fault:
        """That a tree of the checkpoint has a fault."""
        return Fault(self._id(), *self._faulty(self._mostly(self.world.checkpoint.root, self.any_root), self._tree()))

    def invalid(self) -> Evidence:
        """That a commit has a fault."""
        sound = [made for made in self.world.commits if made.committed.position not in self.world.marked]
        if not sound:
            return self.fault()
        made = self.random.choice(sound if self.random.random() < 0.8 else self.world.commits).committed
        publisher = self._mostly(made.publisher, self.any_publisher)
        root = self._mostly(made.commit.root, self.any_root)
        return Invalid(publisher, Record.of(made), *self._faulty(root, self._mostly(0, self._tree)))

    def _faulty(self, root: bytes, tree: int) -> tuple[int, bytes, bytes, bytes, bytes]:
        random, pages = self.random, self.world.store.pages
        kind = random.choice([1, 1, 2, 3, 3, 3, 4])
        blob, lower, upper = self.anywhere(root, tree)
        page = b""
        entries = [b""]
        named = CID_PREFIX + root
        for _, at, body, raw in segments(blob, self.world):
            del body
            found = self.given.page(cid_of_raw(raw))
            children, entries = children_of(found), [*entries_of(found), b""]
            named = children[at] if at < len(children) else b""
            entries = [entries[at] if at < len(entries) else b"", *entries]
        if kind == 1 and random.random() < 0.6:
            raw = pages.get(named, b"")
            page = self._mostly(raw, lambda: random.choice(list(pages.values())))[:SHOW_MAX]
        bound = random.choice([lower, upper, b"", stem(self.any_key())])
        entry = self._mostly(entries[0], lambda: random.choice(entries))
        return kind, blob, page, stem(bound), stem(entry)

    def _tree(self) -> int:
        return self.random.randrange(len(ORDERS))

    def _id(self) -> int:
        return int(self._mostly(self.world.checkpoint.id, lambda: self.random.choice([0, 1, 2, 2**256 - 1])))


def cid_of_raw(raw: bytes) -> bytes:
    """The CID of a page's bytes."""
    return CID_PREFIX + sha256(raw).digest()


def segments(blob: bytes, world: World) -> list[tuple[int, int, bytes, bytes]]:
    """Of a path: kind, at, body, and the page's bytes, where a summary is of a page of the world."""
    found = []
    for kind, at, body in split(blob):
        pages = world.store.pages.values()
        forms = ((raw, classify(raw)) for raw in pages) if kind else ()
        raw = next((raw for raw, shown in forms if body in {shown.opened, shown.summary}), b"") if kind else body
        if raw:
            found.append((kind, at, body, raw))
    return found


def split(blob: bytes) -> list[tuple[int, int, bytes]]:
    """Kind, at and body of each segment; the last may be cut."""
    found, at = [], 0
    while at + _HEADER <= len(blob):
        end = at + _HEADER + int.from_bytes(blob[at + 2 : at + _HEADER])
        found.append((blob[at], blob[at + 1], blob[at + _HEADER : end]))
        at = end
    return found


def joined(parts: list[tuple[int, int, bytes]]) -> bytes:
    """The path of these segments."""
    return b"".join(bytes([kind, at]) + len(body).to_bytes(2) + body for kind, at, body in parts)


# --- bending --------------------------------------------------------------------------------------------------------


def bend(random: Random, evidence: Evidence, liar: Liar) -> Evidence:
    """The same evidence with one field changed."""
    name = random.choice([field.name for field in fields(evidence) if field.name != "id"])
    value = getattr(evidence, name)
    if name in BYTES:
        made: Any = bend_path(random, value, liar)[:PATH_BYTES_MAX]
    elif name in STEMS:
        others = [getattr(evidence, other) for other in STEMS if hasattr(evidence, other)]
        made = bend_bytes(random, value, [*others, stem(liar.any_key())])[:STEM_BYTES]
    elif name == "page":
        made = bend_bytes(random, value, list(liar.world.store.pages.values()))[:SHOW_MAX]
    elif name == "publisher":
        made = random.choice([NOBODY, liar.any_publisher(), bend_bytes(random, value, [])[:20].ljust(20, b"\1")])
    elif name == "records":
        made = bend_records(random, value, liar)
    elif name == "record":
        made = bend_record(random, value)
    else:  # other, fault
        made = random.choice([(value + 1) % 256, max(0, value - 1), random.randrange(6), 255])
    return replace(evidence, **{name: made})


def bend_bytes(random: Random, value: bytes, others: list[bytes]) -> bytes:
    """Bytes that are nearly these, or others."""
    at = random.randrange(len(value) + 1)
    ways = [
        value[:at], value[at:], value[:at] + random.randbytes(1) + value[at + 1 :], value + b"\0", b"\0" + value, b"",
        value[:at] + random.randbytes(random.randint(1, 40)) + value[at:], value[:-1],
        value[:at] + bytes([(value[at : at + 1] or b"\0")[0] ^ 1 << random.randrange(8)]) + value[at + 1 :],
        *others,
    ]  # fmt: skip
    return random.choice(ways)


def bend_path(random: Random, blob: bytes, liar: Liar) -> bytes:
    """A path with other segments, or other bytes."""
    parts = split(blob)
    what = random.randrange(10)
    if what == 0 or not parts:
        return random.choice([liar.anywhere(liar.any_root())[0], random.randbytes(random.randint(0, 99)), b""])
    at = random.randrange(len(parts))
    kind, way, body = parts[at]
    if what == 1:
        return bend_bytes(random, blob, [])
    if what == 2:
        random.shuffle(parts)
    elif what == 3:
        del parts[at]
    elif what == 4:
        parts[at : at + 1] = [parts[at]] * random.choice([2, 3, 34])
    elif what in {5, 6}:
        parts[at] = (kind, random.choice([way + 1, max(0, way - 1), random.randrange(256)]) % 256, body)
    elif what == 7:
        parts[at] = (random.choice([0, 1, 2, 3, 255]), way, body)
    elif what == 8:
        form, other = _other_form(random, kind, body, liar)
        parts[at] = (form, way, other)
    else:
        parts += split(liar.anywhere(liar.any_root())[0])
    return joined(parts)


def _other_form(random: Random, kind: int, body: bytes, liar: Liar) -> tuple[int, bytes]:
    """A page in another form, or another page in its place, or its summary with something else in it."""
    shown = classify(body) if kind == 0 else None
    other = random.choice(list(liar.world.store.pages.values()))[:SHOW_MAX]
    ways = [(0, other), (1, classify(other).opened), (2, classify(other).summary), (kind, bend_bytes(random, body, []))]
    if shown is not None and shown.kind is Kind.WELL_FORMED:
        ways += [(1, shown.opened), (2, shown.summary), (1, shown.summary), (1, bend_bytes(random, shown.opened, []))]
    made = random.choice(ways)
    return made[0], made[1][:65535]


def bend_records(random: Random, records: tuple[Record, ...], liar: Liar) -> tuple[Record, ...]:
    """Other records, or the same in another order."""
    made = list(records)
    others = [Record.of(committed.committed) for committed in liar.world.commits]
    what = random.randrange(6)
    if what == 0:
        return liar.records(liar.any_publisher())
    if what == 1 and others:
        made.insert(random.randint(0, len(made)), random.choice(others))
    elif what == 2 and made:
        del made[random.randrange(len(made))]
    elif what == 3:
        random.shuffle(made)
    elif what == 4 and made:
        at = random.randrange(len(made))
        made[at] = bend_record(random, made[at])
    elif made:
        made = random.choice([made[:1], made[1:], made[:-1], made * 2, []])
    return tuple(made[:RECORDS_MAX])


def bend_record(random: Random, record: Record) -> Record:
    """A record with one field changed."""
    bits = 1 << random.choice([0, 48, 96, 144, 192, 240, 255])
    ways: list[dict[str, Any]] = [
        {"root": bend_bytes(random, record.root, [])[:32].ljust(32, b"\0")}, {"numbers": record.numbers ^ bits},
        {"block_number": record.block_number ^ bits}, {"timestamp": record.timestamp ^ bits},
    ]  # fmt: skip
    return replace(record, **random.choice(ways))
