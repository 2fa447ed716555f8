"""`dkg ask`, `dkg mcp` and `dkg proxy`: what they do. `retrieval.cli` has their options."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkg.client.cli.console import paint, plain
from dkg.client.files import read_input, write_proof
from dkg.errors import InputError, StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dkg.client.cli.console import Console
    from retrieval.ask import Answer
    from retrieval.llm.model import Model
    from retrieval.model import Context
    from retrieval.results import Result
    from retrieval.service import Knowledge

KEY_BYTES_MAX: Final = 4096
"""Longest file with a key, in bytes."""

EXTRAS: Final = {
    "numpy": "retrieval", "yaml": "retrieval", "rapidfuzz": "retrieval", "onnxruntime": "retrieval",
    "tokenizers": "retrieval", "mcp": "plugs", "httpx": "plugs", "starlette": "plugs", "uvicorn": "plugs",
    "pydantic": "plugs", "anyio": "plugs", "xllamacpp": "llm",
}  # fmt: skip
"""What brings a package that is missing."""


def ask(args: argparse.Namespace, console: Console) -> int:
    """Answer a question, from verified facts."""
    with _told(), _model(args, console) as model:
        from retrieval.opening import opened  # noqa: PLC0415 - what it needs may not be installed

        with opened(args, model=model) as knowledge:
            if model is None:
                shown = _facts(knowledge.retrieve(args.question, args.budget), console)
            else:
                shown = _answer(knowledge.answer(args.question, args.budget), console)
            if args.proofs is not None:
                _write_proofs(knowledge, shown, Path(args.proofs), console)
    return 0


def mcp(args: argparse.Namespace, console: Console) -> int:
    """Serve knowledge to agents, on standard input and output."""
    with _told():
        from retrieval.opening import opened  # noqa: PLC0415 - as above
        from retrieval.plugs.mcp import make_server  # noqa: PLC0415 - as above

        # standard output is the protocol's, and the console says things elsewhere
        with opened(args, follows=True, told=lambda error: console.say(str(error), "yellow")) as knowledge:
            make_server(knowledge).run("stdio")
    return 0


def proxy(args: argparse.Namespace, console: Console) -> int:
    """Serve an OpenAI-compatible endpoint with facts and citations."""
    with _told():
        import uvicorn  # noqa: PLC0415 - as above

        from retrieval.opening import opened  # noqa: PLC0415 - as above
        from retrieval.plugs.proxy import AT_ONCE, LOOPBACK, ProxySettings, make_app  # noqa: PLC0415 - as above

        settings = ProxySettings(
            upstream=args.upstream,
            tokens=args.budget,
            refuse=args.on_failure == "refuse",
            hosts=LOOPBACK if args.host in LOOPBACK else None,
        )
        with (
            opened(args, follows=True, told=lambda error: console.say(str(error), "yellow")) as knowledge,
            _listening(args.host, args.port) as listener,
        ):
            port = listener.getsockname()[1]
            config = uvicorn.Config(
                make_app(knowledge, settings),
                log_level="warning",
                access_log=False,
                server_header=False,
                limit_concurrency=2 * AT_ONCE,
            )
            name = f"[{args.host}]" if ":" in args.host else args.host
            with _port_file(args.port_file, port), _ended_by_sigterm():
                console.say(f"chat clients use http://{name}:{port}/v1; what they ask goes on to {args.upstream}")
                uvicorn.Server(config).run(sockets=[listener])
    return 0


# --- showing -------------------------------------------------------------------------------------------------------


def _facts(found: Result, console: Console) -> str:
    """Show facts; gives the name of their proofs."""
    from retrieval.prompt.sentences import absences  # noqa: PLC0415 - as above
    from retrieval.shown import as_json  # noqa: PLC0415 - as above

    if console.json:
        console.object(as_json(found.shown()))
    else:
        _list(found.texts, found.context, console, set())
        for text in _of_query(found.context):
            console.line(plain(text))
        for text in absences(found.context):
            console.line(plain(text))
    _summary(found.context, console)
    return found.proof


def _of_query(context: Context) -> list[str]:
    """The answer of a query: in sentences, or as rows where there are none."""
    return list(context.lines) or [" ".join(row) for row in context.rows]


def _answer(answer: Answer, console: Console) -> str:
    """Show an answer and what it rests on; gives the name of its proofs."""
    from retrieval.ask import to_json  # noqa: PLC0415 - as above

    if console.json:
        console.object(to_json(answer))
    else:
        for line in answer.answer.splitlines():
            console.line(paint(plain(line), "bold", sys.stdout))
        cited = {one.fact for one in answer.citations}
        console.result(b"\n")
        _list(answer.sentences, answer.context, console, cited)
        for text in _of_query(answer.context):
            console.line(plain(text))
        for text in answer.absences:
            console.line(plain(text))
    _summary(answer.context, console)
    return answer.proof


def _list(texts: tuple[str, ...], context: Context, console: Console, cited: set[int | None]) -> None:
    for n, (fact, text) in enumerate(zip(context.facts, texts, strict=True), 1):
        mark = "*" if n in cited else " "
        console.line(plain(f"{mark}{n}. {text}"))
        origin = fact.origins[0]
        block = "" if origin.block is None else f", block {origin.block}, {origin.state}"
        others = f" and {len(fact.publishers) - 1} more" if len(fact.publishers) > 1 else ""
        line = plain(f"     {origin.publisher}{others}: {origin.graph_iri}{block}")
        console.line(paint(line, "dim", sys.stdout))


def _summary(context: Context, console: Console) -> None:
    for note in context.notes:
        console.say(note, "yellow")
    reasons: dict[str, int] = {}
    for one in context.dropped:
        reasons[str(one.reason)] = reasons.get(str(one.reason), 0) + 1
    left = ", ".join(f"{count} for {reason}" for reason, count in sorted(reasons.items()))
    facts, datasets = len(context.facts), len(context.snapshots)
    console.say(
        f"{facts} fact{'' if facts == 1 else 's'} from {datasets} dataset{'' if datasets == 1 else 's'}, all verified"
        + (f"; left out: {left}" if left else ""),
        "green" if facts else "",
    )


def _write_proofs(knowledge: Knowledge, name: str, directory: Path, console: Console) -> None:
    """Proofs, each beside its query; raises `InputError` for a directory that has something in it."""
    from retrieval.proofs import root_of  # noqa: PLC0415 - as above

    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise InputError(f"{directory} is not empty: proofs go into a directory of their own")
        for number, claimed in enumerate(knowledge.claims(name), 1):
            made = knowledge.proof(name, number)
            query = directory / f"{number}.rq"
            query.write_text(claimed.query + "\n", encoding="utf-8")
            file = directory / f"{number}.car"
            write_proof(str(file), made.car)
            console.say(f"check: dkg verify {file} --root {root_of(claimed)} -f {query}")
    except OSError as error:
        raise StoreError(f"the proofs cannot be written to {directory}: {error.strerror or error}") from error


# --- opening -------------------------------------------------------------------------------------------------------


@contextmanager
def _told() -> Iterator[None]:
    """What is not installed is told with what brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise StoreError(f"this needs the package {package}: pip install 'dkg[{EXTRAS[package]}]'") from error


@contextmanager
def _model(args: argparse.Namespace, console: Console) -> Iterator[Model | None]:
    """The model that arguments name; by default the small one, if it is installed; None: none."""
    if args.no_model and args.model is not None:
        raise InputError("give either a --model, or --no-model")
    if args.no_model:
        yield None
        return
    from retrieval.llm import SMOLLM2, ModelError, open_model  # noqa: PLC0415 - as above

    key = None
    if args.key_file is not None:
        key = read_input(args.key_file, KEY_BYTES_MAX, "key").decode("utf-8", "replace").strip()
    try:
        model = open_model(args.model or SMOLLM2, key=key, remote=args.remote_model)
    except ModelError as error:
        if args.model is not None:
            raise
        console.say(f"only the facts, as there is no language model: {error}", "dim")
        yield None
        return
    try:
        yield model
    finally:
        model.close()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: uvicorn stops in order, and then gives the signal on."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise StoreError(f"cannot listen at {host} port {port}: {error.strerror or error}") from error
    with listener:
        yield listener


@contextmanager
def _port_file(name: str | None, port: int) -> Iterator[None]:
    """A file that has the port while the block runs; it is there whole or not at all."""
    if name is None:
        yield
        return
    path = Path(name)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        beside.write_text(f"{port}\n", encoding="ascii")
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"the port cannot be written to {path}: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
