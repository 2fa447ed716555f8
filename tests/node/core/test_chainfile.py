"""The registry's log on disk: read back as it was, whatever a crash or a disk did to the end of it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import ZERO_HASH, Commit, Domain
from dkg.chain.log import Block
from dkg.chain.registry import Rotated
from dkg.chain.secp import address_of
from dkg.client.chainread import FinalityError
from dkg.client.follower import Follower
from dkg.errors import StoreError
from node.core.chainfile import CHAIN_FILE, FINAL_BLOCKS, ChainFile, Kept
from node.core.recorded import REGISTRY, RecordedLog
from tests.sim.actors import key_of
from tests.sim.ledger import DOMAIN, Ledger, RotateTo, SimReader, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dkg.client.chainread import Log

DEPTH = 4
TIME = 1_800_000_000


class Reading:
    """A ledger, a follower of it, and the file."""

    def __init__(self, folder: Path, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger(depth=DEPTH)
        self.file = ChainFile(folder / CHAIN_FILE, DOMAIN, REGISTRY)
        self.kept = self.file.load(DEPTH)
        self.log = self.kept.log
        self.reader = SimReader(self.ledger)
        self.follower = Follower(self.reader, DOMAIN, finality_depth=DEPTH, resumed=self.kept.resumed)

    def step(self) -> None:
        self.follower.step()
        self.file.write(*self.state())

    def state(self) -> tuple[RecordedLog, tuple[int, bytes], Block, int]:
        head, final = self.follower.head, self.follower.final
        assert head is not None
        assert final is not None
        block = Block(head.number, head.hash, head.parent, head.timestamp)
        return self.log, final, block, self.follower.proved_entries

    def stop(self) -> None:
        """In order: all is written down."""
        self.file.flush(*self.state())
        self.file.close()


def busy(ledger: Ledger, rng: random.Random, blocks: int, reorganised: float = 0.2) -> Iterator[int]:
    """Mine blocks with commits and rotations, some with nothing, and reorganise some; gives the number of each."""
    keys = {address_of(key_of(number)): key_of(number) for number in range(1, 6)}
    for number in range(blocks):
        state, who = ledger.head.state, rng.choice(list(keys)[:3])
        latest = state.latest.get(who)
        seq, previous = (latest.commit.seq + 1, latest.commit.root) if latest else (1, ZERO_HASH)
        commit = Commit(who, seq, rng.randbytes(32), rng.randrange(100), previous, TIME)
        if rng.random() < 0.7:
            ledger.send(signed(keys[state.signer(who) or b""], commit))
        if rng.random() < 0.2:
            ledger.send(RotateTo(who, rng.choice(list(keys))))
        ledger.mine(TIME + 12 * number)
        if rng.random() < reorganised and len(ledger.blocks) > DEPTH:
            ledger.reorganise(rng.randrange(1, DEPTH), [TIME + 12 * number] * DEPTH, lambda _sent: rng.random() < 0.5)
        yield number


def check_same(kept: Kept[RecordedLog], other: Reading) -> None:
    assert kept.log.entries == other.log.entries
    assert kept.log.publishers == other.log.publishers
    assert kept.proved_entries == len(other.log.entries)


@pytest.mark.parametrize("seed", range(6))
def test_a_log_is_read_back_as_it_was_after_any_number_of_reorganisations(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    reading = Reading(tmp_path)
    for _ in busy(reading.ledger, rng, 60):
        reading.step()
        if rng.random() < 0.1:
            before, crashed = reading, rng.random() < 0.5
            if crashed:
                before.file.close()
            else:
                before.stop()
            reading = Reading(tmp_path, before.ledger)
            check_same(reading.kept, before)
            assert crashed or (reading.kept.final, reading.log.tip) == (before.follower.final, before.log.tip)
    assert len(reading.log.entries) > 10
    reading.file.close()


def test_where_it_was_is_where_it_goes_on_and_nothing_is_read_twice(tmp_path: Path) -> None:
    rng = random.Random(1)
    first = Reading(tmp_path)
    for _ in busy(first.ledger, rng, 80):
        first.step()
    first.stop()
    again = Reading(tmp_path, first.ledger)
    asked: list[tuple[int, int]] = []
    logs = again.reader.logs

    def spied(address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        asked.append((start, end))
        return logs(address, start, end, topics)

    again.reader.logs = spied  # type: ignore[method-assign]
    again.step()
    assert asked == []
    assert again.follower.final == first.follower.final
    again.file.close()


def test_a_final_block_that_is_gone_when_the_node_starts_again_is_an_alarm(tmp_path: Path) -> None:
    first = Reading(tmp_path)
    for _ in busy(first.ledger, random.Random(1), 20, reorganised=0):
        first.step()
    first.file.close()
    other = Ledger(depth=DEPTH)
    for _ in busy(other, random.Random(2), 30, reorganised=0):
        pass
    again = Reading(tmp_path, other)
    with pytest.raises(FinalityError, match="was final and is not on the chain"):
        again.follower.step()
    again.file.close()


def test_whatever_the_end_of_the_file_lost_what_is_left_is_the_log_as_it_was_before(tmp_path: Path) -> None:
    rng = random.Random(3)
    reading = Reading(tmp_path)
    states: list[tuple[int, int]] = []
    path = tmp_path / CHAIN_FILE
    for _ in busy(reading.ledger, rng, 30):
        reading.step()
        states.append((path.stat().st_size, len(reading.log.entries)))
    reading.file.close()
    whole = path.read_bytes()
    for _ in range(60):
        cut = rng.randrange(len(whole))
        path.write_bytes(whole[:cut])
        file = ChainFile(path, DOMAIN, REGISTRY)
        found = file.load(DEPTH)
        known = [entries for size, entries in states if size <= cut]
        assert len(found.log.entries) == (known[-1] if known else 0)
        file.close()
        assert path.stat().st_size <= max(cut, len(whole) and 100)


def test_a_bit_that_flips_anywhere_is_never_read_as_something_else(tmp_path: Path) -> None:
    rng = random.Random(4)
    reading = Reading(tmp_path)
    for _ in busy(reading.ledger, rng, 30):
        reading.step()
    reading.file.close()
    path = tmp_path / CHAIN_FILE
    whole, entries = path.read_bytes(), reading.log.entries
    for _ in range(60):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        file = ChainFile(path, DOMAIN, REGISTRY)
        if at < len(whole.split(b"\n")[0]) + 1:
            with pytest.raises(StoreError, match="another chain or registry"):
                file.load(DEPTH)
            continue
        found = file.load(DEPTH)
        final = found.final[0] if found.final else -1
        kept = [one for one in found.log.entries if one.block <= final]
        assert kept == entries[: len(kept)]
        file.close()


def test_a_file_of_another_registry_is_refused_and_left_alone(tmp_path: Path) -> None:
    reading = Reading(tmp_path)
    for _ in busy(reading.ledger, random.Random(1), 5):
        reading.step()
    reading.file.close()
    before = (tmp_path / CHAIN_FILE).read_bytes()
    other = ChainFile(tmp_path / CHAIN_FILE, Domain(DOMAIN.chain_id, bytes(20)), REGISTRY)
    with pytest.raises(StoreError, match="another chain or registry"):
        other.load(DEPTH)
    assert (tmp_path / CHAIN_FILE).read_bytes() == before


def test_events_that_the_registry_cannot_have_logged_are_found_out_though_the_sums_are_right(tmp_path: Path) -> None:
    reading = Reading(tmp_path)
    for _ in busy(reading.ledger, random.Random(1), 8, reorganised=0):
        reading.follower.step()
    records = reading.log.records
    commit = next(record for record in records if record[0] == "b" and record[-1])
    commit[-1][0][2] += 1  # its seq
    reading.stop()
    with pytest.raises(StoreError, match="cannot have logged"):
        ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY).load(DEPTH)


def test_blocks_without_news_are_written_down_now_and_then(tmp_path: Path) -> None:
    reading = Reading(tmp_path)
    reading.ledger.mine(TIME)
    reading.step()
    sizes = set()
    for _ in range(FINAL_BLOCKS + DEPTH + 2):
        reading.ledger.mine(TIME)
        reading.step()
        sizes.add((tmp_path / CHAIN_FILE).stat().st_size)
    assert len(sizes) < 6
    reading.file.close()
    kept = ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY)
    final = kept.load(DEPTH).final
    assert final is not None
    assert final[0] >= FINAL_BLOCKS - 1
    kept.close()


def test_a_disk_that_refuses_ends_the_writing_and_not_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading(tmp_path)
    for _ in busy(reading.ledger, random.Random(1), 5):
        reading.step()

    def refuse(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("node.core.chainfile.os.fsync", refuse)
        for _ in range(FINAL_BLOCKS + DEPTH):
            reading.ledger.mine(TIME + 1_000)
        with pytest.raises(StoreError, match="Input/output error"):
            reading.step()
    with pytest.raises(StoreError, match="start the node anew"):
        reading.file.flush(reading.log, (1, bytes(32)), Block(1, bytes(32), bytes(32), 1), 0)
    again = ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY)
    assert len(again.load(DEPTH).log.entries) <= 5
    again.close()


def test_thousands_of_blocks_in_one_step_are_several_frames_and_one_step(tmp_path: Path) -> None:
    log = RecordedLog(10)
    for number in range(0, 5_000, 2):
        event = Rotated((number + 1).to_bytes(20), bytes(20), 0, 0)
        log.apply(Block(number, number.to_bytes(32), bytes(32), number), [event])
    file = ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY)
    file.load(DEPTH)
    tip = log.tip
    assert tip is not None
    file.flush(log, (4_000, bytes(32)), tip, 0)
    assert log.records == []
    file.close()
    again = ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY)
    assert again.load(DEPTH).log.publishers == log.publishers
    again.close()
    whole = (tmp_path / CHAIN_FILE).read_bytes()
    (tmp_path / CHAIN_FILE).write_bytes(whole[:-1])  # of the last frame of the step: without it, nothing of it counts
    last = ChainFile(tmp_path / CHAIN_FILE, DOMAIN, REGISTRY)
    assert last.load(DEPTH).log.publishers == {}
    last.close()
