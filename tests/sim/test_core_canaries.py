"""A planted bug for each check: it must be seen, or the check is worth nothing (row H1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dkg.car import read_car, write_car
from dkg.errors import StoreError
from node.core.core import NodeCore
from node.core.desk import Desk
from node.core.shelf import Shelf
from node.core.standings import Standings
from node.core.unions import Unions
from node.core.uploads import Uploads
from node.core.view import LogView
from node.replication.replicate import Replication, Report
from node.serving import NOW, State, UnknownPublisherError
from node.workers.inprocess import InProcess
from node.workers.jobs import Prove
from tests.sim.actors import key_of
from tests.sim.checks import BrokenError
from tests.sim.history import CoreHistory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from dkg.chain.ual import Publisher
    from node.replication.messages import Anchored
    from node.serving import At, Standing
    from node.storage import Kept, Operation
    from node.workers.jobs import Job, Result


def check_seen(folder: Path, what: str, seeds: range, *, faults: bool = True, commits: int = 3) -> None:
    """One of a few histories breaks the invariant with this number, or one of these, and says which seed it was."""
    broken = None
    for seed in seeds:
        try:
            CoreHistory(seed, folder, faults=faults, commits=commits).run()
        except BaseExceptionGroup as group:
            broken = group
            break
    assert broken is not None, f"no history of {seeds} saw the planted bug"
    names = tuple(what.split())
    seen = broken.subgroup(lambda error: isinstance(error, BrokenError) and str(error).startswith(names))
    assert seen, broken.exceptions
    assert f"python -m tests.sim.core {seed}" in "".join(broken.__notes__)


def test_canary_i1_an_operation_that_is_acknowledged_and_not_written_down(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(self: Desk, operation: Operation) -> Operation:
        self._all = self._all | {operation.id: operation}
        return operation

    monkeypatch.setattr(Desk, "_put", put)
    check_seen(folder, "I1:", range(20))


def test_canary_i1_an_operation_whose_commit_is_not_written_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory: dict[tuple[int, str], bytes] = {}

    def content(self: Desk, name: str) -> bytes:
        if (id(self), name) not in memory:
            raise StoreError(f"{name} is gone")
        return memory[id(self), name]

    monkeypatch.setattr(Desk, "put_content", lambda self, name, data: memory.update({(id(self), name): data}))
    monkeypatch.setattr(Desk, "has_content", lambda self, name: (id(self), name) in memory)
    monkeypatch.setattr(Desk, "content", content)
    check_seen(folder, "I1:", range(10))


def test_canary_i2_a_dataset_that_is_kept_and_was_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Replication, head: Anchored, old: bytes | None) -> Report:
        root = await self._root_page(self._transport.peers()[0], head)
        self._store.put_many([(head.root, root.encode())])
        return Report(head, by_change=old is None, pages=0, page_bytes=0, seconds=0.0)

    monkeypatch.setattr(Replication, "run", run)
    monkeypatch.setattr("node.core.unions.Unions.advance", lambda _self: False)
    monkeypatch.setattr("tests.sim.checks.Checks.behind", lambda _self, nodes: [n.name for n in nodes if not n.is_up])
    monkeypatch.setattr("tests.sim.checks.Checks._answers", lambda _self, _node: None)  # there is no union to ask
    check_seen(folder, "I2:", range(5), faults=False)


def test_canary_i2_a_union_that_has_quads_in_graphs_of_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.union.graphs_of", lambda _publisher: (b"<", b"="))
    check_seen(folder, "I2:", range(5), faults=False)


def test_canary_i3_a_node_that_says_it_is_not_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Standings._behind

    def behind(self: Standings, found: Kept, who: tuple[bytes, ...], union: bool, view: LogView, *, now: bool) -> int:  # noqa: FBT001
        return honest(self, found, who, union, view, now=now) if union else 0

    monkeypatch.setattr(Standings, "_behind", behind)
    check_seen(folder, "I3:", range(10))


def test_canary_i3_a_moment_that_is_a_block_too_late(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = LogView.at_block
    monkeypatch.setattr(LogView, "at_block", lambda self, number: honest(self, number + 1))
    check_seen(folder, "I3:", range(5), faults=False)


def test_canary_i3_a_union_of_some_publishers_that_stays_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Unions._union

    def union(self: Unions, old: Kept | None, datasets: Mapping[Publisher, bytes]) -> bytes:
        return old.root if old is not None else honest(self, old, datasets)

    monkeypatch.setattr(Unions, "_union", union)
    check_seen(folder, "I3:", range(5), faults=False)


def test_canary_i4_a_proof_without_its_last_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = InProcess.run_sync

    def run_sync(self: InProcess, job: Job, *, client: str) -> Result:
        made = honest(self, job, client=client)
        if not isinstance(job, Prove):
            return made
        blocks = list(read_car(made.body, job.root, 10_000).items())
        return replace(made, body=write_car(job.root, blocks[:-1]))

    monkeypatch.setattr(InProcess, "run_sync", run_sync)
    check_seen(folder, "I4:", range(5), faults=False)


def test_canary_i5_a_head_that_goes_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Standings._newest

    def newest(self: Standings, name: str, publishers: tuple[bytes, ...] | None, view: LogView) -> Kept:
        rows = self._shelf.rows(name)
        return rows[-1] if len(rows) > 2 else honest(self, name, publishers, view)

    monkeypatch.setattr(Standings, "_newest", newest)
    check_seen(folder, "I5:", range(10), faults=False, commits=6)


def test_canary_i5_a_node_that_forgets_a_publisher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Standings.find

    def find(self: Standings, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        made = honest(self, publishers, at)
        if made.seq is not None and made.seq > 2 and at == NOW:
            raise UnknownPublisherError("never heard of it")
        return made

    monkeypatch.setattr(Standings, "find", find)
    check_seen(folder, "I5:", range(5), faults=False, commits=5)


def test_canary_i6_what_is_not_buried_is_shown_as_final(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Standings.find

    def find(self: Standings, publishers: tuple[bytes, ...] | None, at: At = NOW) -> Standing:
        made = honest(self, publishers, at)
        return replace(made, state=State.FINAL) if made.claim == "L1" else made

    monkeypatch.setattr(Standings, "find", find)
    check_seen(folder, "I6:", range(5), faults=False)


def test_canary_i7_a_key_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = NodeCore._tell

    def tell(self: NodeCore, heads: list[Anchored]) -> None:
        self.parts.log("told", key=key_of(1).hex())
        honest(self, heads)

    monkeypatch.setattr(NodeCore, "_tell", tell)
    check_seen(folder, "I7:", range(5), faults=False)


def test_canary_i8_files_that_are_never_thrown_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Desk, "drop_content", lambda _self, _name: None)
    monkeypatch.setattr(Desk, "_tidy", lambda _self: None)
    check_seen(folder, "I8:", range(5), faults=False, commits=5)


def test_canary_i9_a_node_that_never_looks_for_what_it_lacks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.replication.replicator.Replicator._behind", lambda _self: [])
    check_seen(folder, "I9:", range(5), faults=False)


def test_canary_i9_a_union_that_waits_for_ever_for_what_nobody_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Unions._members

    def members(self: Unions, view: LogView) -> list[bytes]:
        honest(self, view)
        return self._chain.followed()

    monkeypatch.setattr(Unions, "_members", members)
    check_seen(folder, "I9:", range(1, 30, 6))


def test_canary_i9_a_dataset_that_is_refused_for_what_one_commit_says_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "_has_count", lambda *_args: True)
    check_seen(folder, "I9: I2:", range(5, 30, 6))  # the union is short at once where nobody else has the dataset


def test_canary_i10_evidence_that_nobody_keeps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Uploads, "_accuse", lambda *_args: "evidence")
    check_seen(folder, "I10:", range(10), faults=False)
