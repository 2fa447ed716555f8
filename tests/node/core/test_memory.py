"""What a process has freed is given back to the machine."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HELD = """
import sys
from node.core.memory import few_pools, give_back
def resident():
    text = open("/proc/self/status").read()
    return int(text.split("VmRSS:")[1].split()[0])
assert few_pools()
held = [bytes(5_000) for _ in range(20_000)]
kept = held[::50]
del held
before = resident()
assert give_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_what_is_free_between_what_is_held_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, check=True, text=True)
    assert int(done.stdout) > 40_000  # KiB, of about 98,000 that were freed
