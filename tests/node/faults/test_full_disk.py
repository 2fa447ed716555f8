"""Row A7 on a whole node: its disk is full, again and again, and each time has room again; nobody helps the node."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from node.http.tokens import write_tokens
from tests.node.core.processes import KEPT, ROOT, GoneError, NodeProcess
from tests.node.publish.world import KEYS, world
from tests.soak.publishers import Steady, newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.chain.registry import Committed

TIMES = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 20
"""How often the disk is full."""

LEFT_BYTES = 32 * 1024
"""What is left of it then."""

SMALL = 'mount -t tmpfs -o size=64m none "$1" && shift && exec "$@"'

CHECK = """
import sys
from pathlib import Path
from node.storage import NodeStore, check_node
with NodeStore(Path(sys.argv[1]), read_only=True) as store:
    print(check_node(store, derive="newest").problems)
"""


@dataclass
class SmallDisk(NodeProcess):
    """A node whose directory is a disk of 64 MB that only it has. `inside`: the directory as seen from here."""

    @property
    def inside(self) -> Path:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self.directory}")

    def start(self, *, wait: bool = True) -> None:
        self.configure()
        tokens = self.directory.with_suffix(".tokens")
        write_tokens(tokens, (KEPT,))
        self.settings["http.tokens_file"] = str(tokens)
        self.configure()
        node = [sys.executable, "-m", "tests.node.core.program", str(self.file)]
        command = ["unshare", "--mount", "sh", "-c", SMALL, "sh", str(self.directory), *node]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        if wait:
            self.wait_until_up()

    def status_file(self) -> dict[str, Any]:
        outside, self.directory = self.directory, self.inside
        try:
            return super().status_file()
        finally:
            self.directory = outside

    def fill(self) -> None:
        """Somebody else takes the rest of the disk."""
        space = os.statvfs(self.inside)
        with suppress(OSError), (self.inside / "ballast").open("ab") as file:  # the node was faster: it is full as well
            file.write(bytes(max(0, space.f_bavail * space.f_frsize - LEFT_BYTES)))

    def problems(self) -> str:
        """What a check of the directory finds, where the disk is."""
        assert self.process is not None
        command = ["nsenter", "--mount", "--target", str(self.process.pid), sys.executable, "-c", CHECK]
        done = subprocess.run(
            [*command, str(self.directory)], env={"PYTHONPATH": str(ROOT)}, check=True, capture_output=True, text=True
        )
        return done.stdout

    def free(self) -> None:
        (self.inside / "ballast").unlink()


def may_mount(folder: Path) -> bool:
    command = ["unshare", "--mount", "sh", "-c", SMALL, "sh", str(folder), "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SmallDisk]:
    if not may_mount(tmp_path):
        pytest.skip("mounting a small disk needs root")
    with world(tmp_path) as chain:
        made = SmallDisk(tmp_path / "node", chain)
        made.with_key(KEYS[5], own=False)
        made.settings |= {"storage.keep_days": 0, "storage.keep_count": 2, "storage.collect_s": 10.0}
        made.settings |= {"storage.quota_bytes": 0, "http.requests_burst": 1_000_000}
        made.start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.kill()


@dataclass
class Publisher:
    """Hands commits in and sees them come."""

    node: SmallDisk
    actor: Steady
    rng: random.Random
    latest: Committed | None = None
    refusals: int = 0

    def publish(self, *, full: bool) -> None:
        """One commit. On a full disk it is refused, everything else goes on, and it is taken when there is room."""
        node, actor = self.node, self.actor
        signed, car = actor.following(self.rng, self.latest, node)
        seq = signed.commit.seq
        if full:
            node.fill()
            before = node.count(actor.address)
            while (answer := node.hand_in(signed, car, f"it-{seq}")).status != 507:
                assert answer.status in {202, 503}, answer.body  # it fitted in what is free inside the files
                if answer.status == 202:
                    break
            if answer.status == 507:
                self.refusals += 1
                assert answer.json["code"] == "storage-full"
                assert int(answer.headers["retry-after"]) > 0
                assert node.count(actor.address) == before
                assert node.ask("GET", "/v1/status").status == 200
                assert newest(node.world, actor.address, self.latest) in {None, self.latest}
            node.free()
        while (answer := node.hand_in(signed, car, f"it-{seq}")).status not in {200, 202}:
            assert answer.status == 503, answer.body
            time.sleep(0.05)
        while (found := newest(node.world, actor.address, self.latest)) is None or found.commit.seq != seq:
            time.sleep(0.05)
        self.latest = found
        while held(node, actor) != seq:
            time.sleep(0.05)
        assert node.count(actor.address) == found.commit.count


def held(node: NodeProcess, actor: Steady) -> int:
    try:
        answer = node.ask("GET", f"/v1/publishers/0x{actor.address.hex()}")
    except GoneError:
        pytest.fail(f"the node has ended: {node.said()}")
    return int(answer.json["held"]["seq"]) if answer.status == 200 and answer.json["held"] else 0


@pytest.mark.slow
def test_a_node_whose_disk_is_full_refuses_what_comes_answers_and_recovers_unaided(node: SmallDisk) -> None:
    publisher = Publisher(node, Steady(1, size=1_500, change=150), random.Random(7))
    publisher.publish(full=False)
    for _ in range(TIMES):
        publisher.publish(full=True)
    assert publisher.refusals > TIMES // 2
    assert node.events("died") == []
    assert node.problems() == "[]\n"
    assert node.stop() == 0
