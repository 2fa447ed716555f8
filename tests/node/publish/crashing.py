"""Publishers that crash, run as a program by `test_crash.py`, because pytest has threads and a publish forks here.

    python -m tests.node.publish.crashing

Reads one case a line, as JSON; does it in a child of its own; prints the child's exit status, and if that is 0 the
seqs of what was published. A case that names a step ends there with `os._exit(CRASHED)`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dkg.client.rpc import Waiting
from dkg.client.settings import ChainSettings
from node.change import Change
from node.home import Home
from node.publish.fees import FeePolicy
from node.publish.published import Request
from node.publish.publisher import Publisher, connected
from node.publish.sender import Tools
from node.publish.waits import Waits
from node.publish.wallet import Wallet, Wallets

if TYPE_CHECKING:
    from dkg.pages import Pages

CRASHED = 77

DATASETS = 3


@dataclass(frozen=True)
class Case:
    """What a child does. `requests`: names, each published in turn; with none, `resume`. `step`: where it crashes."""

    home: str
    url: str
    chain_id: int
    registry: str
    key: str
    payer: str
    dataset: int
    requests: list[str]
    step: str | None


def edit(dataset: int, name: str, pages: Pages, base: bytes | None) -> Change:
    """The change of a request: one quad; hundreds; or some that go and some that come."""
    del pages

    def made(number: int, what: str) -> tuple[bytes, bytes, bytes, bytes]:
        return b"<https://e/s%d>" % number, b"<https://e/p>", b'"%s"' % what.encode(), b"<https://e/g%d>" % dataset

    if dataset == 0:
        return Change(frozenset({made(0, name)}))
    if dataset == 1:
        return Change(frozenset(made(number, name) for number in range(400)))
    add = frozenset(made(number, name) for number in range(30))
    return Change(add, frozenset() if base is None else frozenset(made(number, "first") for number in range(15)))


def run(case: Case) -> list[int]:
    """Publish; the seqs that came of it."""

    def at(step: str) -> None:
        if step == case.step:
            os._exit(CRASHED)

    settings = ChainSettings(case.chain_id, case.registry, [case.url], finality_depth=0)
    signer = Wallet(bytes.fromhex(case.key))
    wallets = Wallets(signer.address, signer, Wallet(bytes.fromhex(case.payer)))
    waits = Waits(poll_min_s=0.001, poll_max_s=0.02, lock_s=60.0)
    with connected(settings.endpoints, 1) as (reader, writer):
        tools = Tools(writer, Waiting(), time.time, FeePolicy(), waits, at)
        publisher = Publisher(Home(Path(case.home)), settings, wallets, reader, tools)
        if not case.requests:
            found = publisher.resume()
            return [] if found is None else [found.seq]
        made = [Request(name, f"label of {name}", partial(edit, case.dataset, name)) for name in case.requests]
        return [publisher.publish(one).seq for one in made]


def main() -> None:
    """See the module's docstring."""
    for line in sys.stdin:
        case = Case(**json.loads(line))
        read, write = os.pipe()
        child = os.fork()
        if not child:
            status = 1
            try:
                os.write(write, json.dumps(run(case)).encode())
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), json.loads(said or "[]")]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
