"""A node whose standard error is a pipe that nobody reads: it starts, answers and stops all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.node.core.processes import ROOT, NodeProcess
from tests.node.publish.conftest import development, here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.node.publish.world import World

__all__ = ["development", "here"]


def test_a_node_whose_log_nobody_reads_starts_answers_and_stops_in_order(folder: Path, here: World) -> None:
    node = NodeProcess(folder / "node", here, {"node.log_file": "", "node.log_level": "debug"})
    node.configure()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filled = 0
    while filled >= 0:
        try:
            filled += os.write(writing, b"." * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)
    code = (  # what Python itself says goes to a file, or a node that cannot start would wait to say why
        "import runpy, sys; file = sys.argv.pop(1); sys.stderr = open(file, 'w', buffering=1, encoding='utf-8')\n"
        "runpy.run_module('tests.node.core.program', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", code, str(folder / "said"), str(node.file)]
    node.process = subprocess.Popen(command, cwd=ROOT, stderr=writing)
    os.close(writing)
    try:
        while node.status_file().get("state") != "running":
            assert node.process.poll() is None, (folder / "said").read_text()
            time.sleep(0.02)
        node.url = node.status_file()["http"]
        assert node.ask("GET", "/health/live").status == 200
        assert node.stop() == 0
    finally:
        if node.process.poll() is None:
            node.kill()
        os.close(reading)
