"""Several processes publish from one home: one after the other, and never two commits with one number."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

from dkg.chain.secp import checksum
from tests.node.publish.crashing import Case
from tests.node.publish.world import KEY, World

PROCESSES = 3
EACH = 4


def test_processes_that_publish_at_once_take_turns(here: World) -> None:
    domain = here.domain
    case = Case(
        str(here.home().path), here.url, domain.chain_id, checksum(domain.registry), KEY.hex(), KEY.hex(), 0, [], None
    )
    command = [sys.executable, "-m", "tests.node.publish.crashing"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    names = [[f"p{number} r{at}" for at in range(EACH)] for number in range(PROCESSES)]
    for process, own in zip(running, names, strict=True):
        assert process.stdin is not None
        process.stdin.write("".join(json.dumps(asdict(replace(case, requests=[name]))) + "\n" for name in own))
        process.stdin.flush()
    seqs = []
    for process in running:
        said, _ = process.communicate()
        answers = [json.loads(line) for line in said.splitlines()]
        assert [status for status, _ in answers] == [0] * EACH
        seqs += [found[0] for _, found in answers]
    assert sorted(seqs) == list(range(1, PROCESSES * EACH + 1))
    order = [job.request for job in here.journal()[0]]
    assert sorted(order) == sorted(name for own in names for name in own)
    here.check(*order)
