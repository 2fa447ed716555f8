"""What processes hold: memory, open files, threads, and the disk under a directory. Read from /proc."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from typing import TextIO

    from tests.node.core.processes import NodeProcess

MIB = 1024 * 1024


def memory(pid: int) -> dict[str, float]:
    """Resident memory of a process in MiB: all, and what is its own rather than of a file."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in {"VmRSS", "RssAnon"}:
            found[{"VmRSS": "rss_mib", "RssAnon": "anon_mib"}[name]] = int(value.split()[0]) / 1024
    return found


def look(node: NodeProcess) -> dict[str, float]:
    """Figures of a node: its main process, its workers together, and its directory."""
    assert node.process is not None
    pid = node.process.pid
    main = psutil.Process(pid)
    figures = memory(pid) | {"files": float(main.num_fds()), "threads": float(main.num_threads())}
    workers = 0.0
    count = 0
    for child in main.children(recursive=True):
        try:
            workers += memory(child.pid)["anon_mib"]
            count += 1
        except (FileNotFoundError, ProcessLookupError, KeyError):  # it has ended meanwhile
            continue
    return figures | {"workers_mib": workers, "children": float(count), "disk_mib": disk(node.directory) / MIB}


def disk(directory: Path) -> int:
    """Bytes of the files of a directory, as the disk holds them."""
    total = 0
    for folder, _, names in os.walk(directory):  # which passes over what goes meanwhile
        for name in names:
            try:
                total += Path(folder, name).stat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


class Sampler(threading.Thread):
    """Looks at nodes every few seconds, and writes one JSON object a line."""

    def __init__(self, nodes: dict[str, NodeProcess], file: TextIO, slice_number: int, every_s: float) -> None:
        super().__init__(name="sampler")
        self._nodes, self._file, self._slice, self._every_s = nodes, file, slice_number, every_s
        self.ended = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        """Look until told to end."""
        since = time.monotonic()
        while not self.ended.wait(self._every_s):
            for name, node in self._nodes.items():
                try:
                    figures = look(node)
                except psutil.NoSuchProcess:
                    self.errors.append(f"the node {name} has ended")
                    return
                at = round(time.monotonic() - since, 1)
                self._file.write(json.dumps({"slice": self._slice, "at_s": at, "node": name, **figures}) + "\n")
            self._file.flush()
