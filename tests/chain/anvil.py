"""Anvil, the development chain of Foundry, for tests: started on a free port, asked over JSON-RPC.

It is not on PyPI; a test that wants it is skipped where it is not: `npm install --prefix .cache/npm
@foundry-rs/anvil-linux-amd64` puts it there, and so does `DKG_ANVIL=/path/to/anvil`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chain.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent.parent
PLACES = (ROOT / ".cache" / "npm", Path("/tmp/npmt"))

_LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")


class Anvil:
    """A running anvil. Calls that it has no name for here: `chain.rpc("method", ...)`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rpc = Rpc(url)

    def accounts(self) -> list[str]:
        """The funded accounts, in lower case."""
        return [str(name) for name in self.rpc("eth_accounts")]

    def head(self) -> int:
        """The number of the latest block."""
        return int(self.rpc("eth_blockNumber"), 16)

    def block(self, tag: str | int = "latest") -> dict[str, Any]:
        """A block, with the hashes of its transactions."""
        params = [hex(tag) if isinstance(tag, int) else tag, False]
        found: dict[str, Any] = self.rpc("eth_getBlockByNumber", *params)
        return found

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks now."""
        self.rpc("anvil_mine", hex(blocks))

    def reorg(self, depth: int, transactions: Sequence[tuple[str, int]] = ()) -> None:
        """Replace the latest blocks; each pair is a raw transaction in hex and the new block (from 0) it goes into."""
        self.rpc("anvil_reorg", depth, [list(pair) for pair in transactions])

    def snapshot(self) -> str:
        """Remember the chain; for `revert`."""
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Come back to a snapshot."""
        assert self.rpc("evm_revert", snapshot) is True

    def set_automine(self, wanted: bool) -> None:  # noqa: FBT001 - as anvil's own
        """Whether each transaction is mined as it comes."""
        self.rpc("evm_setAutomine", wanted)

    def drop_transaction(self, digest: str) -> None:
        """Forget a waiting transaction."""
        self.rpc("anvil_dropTransaction", digest)

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account so much, and no more."""
        self.rpc("anvil_setBalance", address, hex(wei))

    def increase_time(self, seconds: int) -> None:
        """Put the chain's clock forward."""
        self.rpc("evm_increaseTime", seconds)


def find_anvil() -> Path | None:
    """Where anvil is, if it is here."""
    named = os.environ.get("DKG_ANVIL")
    if named:
        return Path(named)
    on_path = shutil.which("anvil")
    if on_path:
        return Path(on_path)
    pattern = "node_modules/@foundry-rs/anvil-linux-*/bin/anvil"
    return next((found for place in PLACES for found in sorted(place.glob(pattern))), None)


def require_anvil() -> Path:
    """Where anvil is; skips the test if it is not here."""
    found = find_anvil()
    if found is None:
        pytest.skip(
            "anvil is not here: npm install --prefix .cache/npm @foundry-rs/anvil-linux-amd64, or set DKG_ANVIL"
        )
    return found


@contextmanager
def anvil(
    *,
    block_time: float | None = None,
    mining: bool = True,
    chain_id: int = 31337,
    slots_in_an_epoch: int = 1,
    port: int = 0,
    options: Sequence[str] = (),
) -> Iterator[Anvil]:
    """An anvil for as long as the block runs. With one slot in an epoch, two blocks below the latest are final."""
    command = [str(require_anvil()), "--port", str(port), "--chain-id", str(chain_id)]
    command += ["--slots-in-an-epoch", str(slots_in_an_epoch), *options]
    command += ["--block-time", str(block_time)] if block_time else []
    command += [] if mining else ["--no-mining"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Anvil(f"http://127.0.0.1:{_port(process, output.fileno())}")
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], output: int) -> int:
    """The port, as soon as anvil says that it listens."""
    while True:
        ended = process.poll()
        said = os.pread(output, 1 << 20, 0).decode(errors="replace")
        if found := _LISTENING.search(said):
            return int(found[1])
        assert ended is None, f"anvil ended with {ended}:\n{said}"
        time.sleep(0.005)
