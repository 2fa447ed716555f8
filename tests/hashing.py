"""What a program prints, however Python hashes."""

from __future__ import annotations

import os
import subprocess
import sys


def printed(program: str, hash_seeds: tuple[str, ...]) -> list[str]:
    """What a program, given as its text, prints in a process of its own with each of these hash seeds."""
    return [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in hash_seeds
    ]
