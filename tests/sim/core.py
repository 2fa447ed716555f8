"""Run simulated histories by hand: `python -m tests.sim.core SEED` prints what happened, `FROM TO` runs many."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.sim.history import CoreHistory


def main(arguments: list[str]) -> int:
    """The command."""
    numbers = [int(text) for text in arguments]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if len(numbers) == 1:
            history = CoreHistory(numbers[0], Path(folder))
            try:
                history.run()
            finally:
                sys.stdout.write("\n".join([*history.core_net.lines, ""]))
            return 0
        since = time.perf_counter()
        for seed in range(*numbers):
            made = CoreHistory(seed, Path(folder)).run()
            sys.stdout.write(f"{seed}: settled in {made.converged_s:.1f} s, {made.core_net.loop.steps} steps\n")
            sys.stdout.flush()
        sys.stdout.write(f"{time.perf_counter() - since:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
