"""Embedders and vectors: time of 100,000 facts and of a question, recall, and megabytes to install.

    python -m bench.retrieval.embedding [--texts N]

Each embedder runs in a process of its own, which embeds the texts, puts them into `Vectors` and searches for questions.
Seconds are of the wall and of the processors: where the machine is busy with other things, read the second.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import Requirement

from bench.processes import watched
from bench.report import Row, table
from bench.retrieval.facttexts import questions, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import Distribution

    from bench.report import Json
    from retrieval.embed import Embedder

TEXTS: Final = 100_000
QUESTIONS: Final = 300
AT_ONCE: Final = 4096
"""Texts embedded before their vectors are stored, as an index does: their float32 rows are 6 MB."""
FOUND: Final = 10
COMPARED: Final = 20
"""Texts whose int8 rows are compared with rows by the formulas in float64, which take a second each."""
INSTALL_BAR: Final = 250.0
EMBEDDERS: Final = ("int8", "static")


def made(kind: str) -> Embedder:
    """An embedder by its name here."""
    from retrieval.embed import OnnxEmbedder, StaticEmbedder  # noqa: PLC0415 - only in the process that measures it

    return OnnxEmbedder() if kind == "int8" else StaticEmbedder()


def indexed(kind: str, count: int) -> Json:
    """Embed, store, search; what it took. Runs in a process of its own."""
    import numpy as np  # noqa: PLC0415

    from retrieval.vectors import Vectors  # noqa: PLC0415

    start = time.perf_counter()
    embedder = made(kind)
    load = time.perf_counter() - start
    facts = texts(count)
    vectors = Vectors(embedder.dimension, embedder.name)
    start, used = time.perf_counter(), time.process_time()
    for at in range(0, count, AT_ONCE):
        part = facts[at : at + AT_ONCE]
        vectors.add(np.arange(at, at + len(part)), embedder.embed(part))
    embedded = time.perf_counter() - start
    vectors.prepare()
    seconds, used = time.perf_counter() - start, time.process_time() - used
    asked = questions(QUESTIONS)
    rows = [embedder.embed([question])[0] for question in asked]
    every = np.ones(count, dtype=np.bool_)
    return {
        "load_s": load,
        "index_s": seconds,
        "index_cpu_s": used,
        "prepare_s": seconds - embedded,
        "question_ms": _milliseconds(lambda at: embedder.embed([asked[at]])),
        "search_ms": _milliseconds(lambda at: vectors.search(rows[at], FOUND)),
        "masked_ms": _milliseconds(lambda at: vectors.search(rows[at], FOUND, every)),
    }


def _milliseconds(work: Callable[[int], object]) -> float:
    taken = []
    for at in range(QUESTIONS):
        start = time.perf_counter()
        work(at)
        taken.append(time.perf_counter() - start)
    return median(taken) * 1e3


def recall(kind: str, count: int) -> Json:
    """How much of the ten best by float32 a search finds, and how far int8 rows are from float32 ones."""
    import numpy as np  # noqa: PLC0415

    from retrieval.vectors import Vectors  # noqa: PLC0415

    embedder = made(kind)
    exact = np.empty((count, embedder.dimension), dtype=np.float32)
    vectors = Vectors(embedder.dimension, embedder.name)
    facts = texts(count)
    for at in range(0, count, AT_ONCE):
        part = slice(at, min(at + AT_ONCE, count))
        exact[part] = embedder.embed(facts[part])
        vectors.add(np.arange(part.start, part.stop), exact[part])
    found = 0
    for row in embedder.embed(questions(QUESTIONS)):
        best = np.argsort(-(exact @ row))[:FOUND]
        found += len(np.intersect1d(best, vectors.search(row, FOUND)[0]))
    return {"recall": found / QUESTIONS / FOUND}


def nearness(compare: int = COMPARED) -> Json:
    """The cosine between a text's int8 row and its row by the formulas in float64: the mean and the least."""
    from retrieval.embed.weights import MINILM, Tensors, checked  # noqa: PLC0415
    from tests.retrieval.embed.oracle import embedded  # noqa: PLC0415 - the oracle of the tests

    tensors = Tensors(checked(MINILM))
    embedder: Any = made("int8")
    compared = texts(TEXTS)[:: TEXTS // compare][:compare]
    rows = embedder.embed(compared)
    tokens = [encoded.ids for encoded in embedder._tokenizer.encode_batch(compared)]  # noqa: SLF001
    found = [float(row @ embedded(tensors, ids)) for row, ids in zip(rows, tokens, strict=True)]
    return {"mean": sum(found) / len(found), "least": min(found)}


# --- what it takes to install -----------------------------------------------------------------------------------


def install() -> Json:
    """Megabytes of the files of every distribution that `dkg[retrieval]` installs, compiled Python left out."""
    sizes: dict[str, float] = {}
    for package in _needed("dkg", frozenset({"retrieval"}), set()):
        files = [Path(str(package.locate_file(file))) for file in package.files or () if "__pycache__" not in str(file)]
        sizes[package.name] = round(sum(path.stat().st_size for path in files if path.is_file()) / 1e6, 1)
    from retrieval.embed.onnx_int8 import model_bytes  # noqa: PLC0415

    sizes["the exported int8 model"] = round(len(model_bytes()) / 1e6, 1)
    return {"total": sum(sizes.values()), "parts": dict(sorted(sizes.items(), key=lambda item: -item[1]))}


def _needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[Distribution]:
    key = (re.sub(r"[-_.]+", "-", name).lower(), extras)
    if key in seen:
        return
    if all(other != key[0] for other, _ in seen):
        yield distribution(name)
    seen.add(key)
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            try:
                yield from _needed(needed.name, frozenset(needed.extras), seen)
            except PackageNotFoundError as error:
                raise RuntimeError(
                    f"{needed.name}, which {name} needs, is not installed: its size is missing"
                ) from error


# --- the report -------------------------------------------------------------------------------------------------


def measured(say: Callable[[str], None], count: int = TEXTS, compare: int = COMPARED) -> tuple[list[Row], Json]:
    """Rows against the bars, and everything that was found."""
    rows: list[Row] = []
    details: Json = {}
    for kind in EMBEDDERS:
        say(f"{kind}: {count:,} facts embedded")
        outcome = watched(
            [sys.executable, "-m", "bench.retrieval.embedding", "--job", f"index {kind}", "--texts", str(count)]
        )
        found = details[kind] = {**outcome.said, "memory_mb": outcome.peak / 1e6}
        rows += [
            Row(f"embed-{kind}", f"{kind}: {count:,} facts embedded and kept as vectors", found["index_s"], "s"),
            Row(f"embed-{kind}-cpu", f"{kind}: the same, of all processors", found["index_cpu_s"], "s"),
            Row(f"question-{kind}", f"{kind}: a question embedded, median", found["question_ms"], "ms"),
            Row(f"search-{kind}", f"{kind}: a search, median", found["search_ms"], "ms"),
            Row(f"masked-{kind}", f"{kind}: a search with a filter, median", found["masked_ms"], "ms"),
        ]
    say("static: recall")
    details["recall"] = recall("static", count)["recall"]
    rows.append(Row("recall-static", "static: of the ten best by float32, found", details["recall"] * 100, "%"))
    say("int8 against float64")
    near = details["nearness"] = nearness(compare)
    rows.append(Row("nearness", "int8: cosine with float64, least", near["least"], "", note=f"mean {near['mean']:.4f}"))
    say("install")
    found = details["install"] = install()
    rows.append(Row("install-retrieval", "install without torch", found["total"], "MB", bar=INSTALL_BAR))
    return rows, details


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.embedding", description=__doc__)
    parser.add_argument("--texts", type=int, default=TEXTS, metavar="N", help="facts to index (default: %(default)s)")
    parser.add_argument("--job", choices=[f"index {kind}" for kind in EMBEDDERS], help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    if args.job:
        sys.stdout.write(json.dumps(indexed(args.job.split()[1], args.texts)) + "\n")
        return 0
    rows, details = measured(lambda text: print(text, file=sys.stderr), args.texts)  # noqa: T201
    sys.stdout.write((json.dumps(details) if args.json else table(rows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
