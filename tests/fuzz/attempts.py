"""Searches the attempts of the first seeds again, and writes them to their file: `python -m tests.fuzz.attempts`."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.grammar import ATTEMPTS, search

SEEDS = 4_000
A_LINE = 40


def attempt_of(seed: int) -> int:
    """The attempt that makes the case of a seed."""
    return search(seed)[0]


def main() -> None:
    """See the module's docstring."""
    with ProcessPoolExecutor(2) as pool:
        found = [str(attempt) for attempt in pool.map(attempt_of, range(SEEDS), chunksize=50)]
    lines = [" ".join(found[at : at + A_LINE]) for at in range(0, SEEDS, A_LINE)]
    ATTEMPTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
