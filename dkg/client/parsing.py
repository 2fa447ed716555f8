"""Parses N-Triples and N-Quads in forked processes, while this one takes what they find.

A process is given a block of lines, and gives back its quads as four columns of lines: no term has a line break.
Where forking is not safe or does not pay, all is parsed here (`dkg.client.parallel` says when); the quads are the same,
in the same order, and so are the errors.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from dkg.client.parallel import processes_allowed
from dkg.errors import DkgError, StoreError
from dkg.rdf import parse_in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from dkg.rdf import Batch

    Parse = Callable[[bytes, int], Batch]

_PAYS_FROM: Final = 8  # blocks: fewer are parsed sooner than processes start

_Packed = tuple[int, list[bytes], bool]
"""How many quads, their four columns, whether they are settled."""


class LineWorkers:
    """The `LinesRunner` that parses side by side. `processes`: so many; 1 means here, None as many as are allowed."""

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes

    def __call__(self, parse: Parse, blocks: Iterator[tuple[bytes, int]]) -> Iterator[Batch]:
        """See `LinesRunner`."""
        failed: list[Exception] = []
        source = _until_failure(blocks, failed)
        first = list(islice(source, _PAYS_FROM))
        every = chain(first, source)
        processes = 1
        if len(first) == _PAYS_FROM:
            processes = processes_allowed() if self._processes is None else self._processes
        yield from _side_by_side(parse, every, processes) if processes > 1 else parse_in_turn(parse, every)
        if failed:
            raise failed[0]


def _until_failure(blocks: Iterator[tuple[bytes, int]], failed: list[Exception]) -> Iterator[tuple[bytes, int]]:
    """The blocks up to one that cannot be read. Why is left in `failed`: what is wrong before it is told first."""
    try:
        yield from blocks
    except Exception as error:  # noqa: BLE001 - raised again, in its turn
        failed.append(error)


def _side_by_side(parse: Parse, blocks: Iterator[tuple[bytes, int]], processes: int) -> Iterator[Batch]:
    """Each process has one block at a time: nobody waits for a pipe that waits for them."""
    workers: list[_Worker] = []
    try:
        for block in islice(blocks, processes):
            workers.append(_Worker(parse, [worker.connection for worker in workers]))
            workers[-1].give(block)
        turn = deque(workers)
        while turn:
            worker = turn.popleft()
            batch = worker.receive()
            block_after = next(blocks, None)
            if block_after is not None:
                worker.give(block_after)
                turn.append(worker)
            yield batch
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    def __init__(self, parse: Parse, inherited: list[Connection]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        # The child closes what it inherits of our ends: else no worker would notice that this process is gone.
        arguments = (parse, theirs, [*inherited, self.connection])
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def give(self, block: tuple[bytes, int]) -> None:
        """Send a block, with the number of lines before it."""
        try:
            self.connection.send(block)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended() from None

    def _ended(self) -> StoreError:
        self._process.join()
        return StoreError(
            f"a process that parsed a file ended early (exit code {self._process.exitcode}; -9 is often for want of "
            "memory). Nothing was changed"
        )

    def receive(self) -> Batch:
        """The quads of the block that was sent last."""
        try:
            found: _Packed | DkgError = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended() from None
        if isinstance(found, DkgError):
            raise found
        count, columns, settled = found
        if not count:
            return [], settled
        s, p, o, g = (column.split(b"\n") for column in columns)
        return list(zip(s, p, o, g, strict=True)), settled

    def stop(self) -> None:
        """End the process, whatever it does: it keeps nothing."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()


def _work(parse: Parse, connection: Connection, inherited: list[Any]) -> None:
    """What a child does until its parent ends it, or is gone."""
    for other in inherited:
        other.close()
    try:
        while True:
            block, lines_before = connection.recv()
            connection.send(_parsed(parse, block, lines_before))
    except (EOFError, OSError):
        pass  # the parent is gone, and with it whoever wanted the quads


def _parsed(parse: Parse, block: bytes, lines_before: int) -> _Packed | DkgError:
    try:
        quads, settled = parse(block, lines_before)
    except DkgError as error:
        return error
    return len(quads), [b"\n".join(column) for column in zip(*quads, strict=True)], settled
