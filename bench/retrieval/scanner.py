"""The scanner for hidden instructions: trains its linear model, and measures it on text that it was not made from.

    python -m bench.retrieval.scanner train
    python -m bench.retrieval.scanner measure [--bastion FILE]

Trained on: sentences of `bench.retrieval.instructions`, the first eight of BIPIA's fifteen kinds, the passages of
PoisonedRAG's MS MARCO part, which state false things and give no orders, and half of the texts of CoDEx, FactBench and
HPO, split by subject. Measured on: the other seven kinds, alone and hidden in a text; the other halves; the NQ part;
names and questions of PathQuestion; and, where it is given, `bastioncorpus` 0.6.0 (corpus/injections.jsonl of the PyPI
package), of whose tactics a half by hash was looked at while rules were written, and the other half was not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import random
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bench import hpo
from bench.data import ROOT
from bench.report import Row
from bench.retrieval.instructions import made
from retrieval.safety import looks_like_instruction, overrides_instructions
from retrieval.safety.linear import BUCKETS, SCALE, buckets
from retrieval.safety.scanner import sentences
from retrieval.safety.terms import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

DATA: Final = Path(os.environ.get("DKG_TEST_DATA", ROOT.parent / "shared" / "data"))
WEIGHTS: Final = ROOT / "retrieval" / "safety" / "weights.bin"
MADE: Final = 12_000
KINDS_TRAINED: Final = 8
Z: Final = 1.96
"""Of a 95 % confidence interval."""

IN_DATA: Final = "instructions, found in data"
WRONGLY: Final = "text of graphs, wrongly found"
TPR_MIN: Final = 95.0
FPR_MAX: Final = 2.0
SEED: Final = 11

Texts = dict[str, list[str]]


# --- texts ---------------------------------------------------------------------------------------------------------


def _half(subject: str) -> bool:
    """Whether a subject's texts are for training."""
    return sha256(subject.encode()).digest()[0] % 2 == 0


def _literals(lines: Iterable[str], skip: str = "\0") -> Iterator[tuple[str, str]]:
    for line in lines:
        subject, predicate, rest = line.split(" ", 2)
        if rest.startswith('"') and skip not in predicate:
            parts = literal(rest.rpartition('"')[0].encode() + b'"')
            if parts is not None:
                yield subject, parts.text


def benign() -> tuple[Texts, Texts]:
    """Texts of knowledge graphs for training, and for measuring."""
    train: Texts = {}
    test: Texts = {}
    sources = {
        "CoDEx labels, descriptions": _lines("codex/codex-m.nt.gz"),
        "FactBench labels": _lines("factbench/labels-en.nt.gz"),
        "HPO labels, synonyms, definitions": (line for line in hpo.ontology(hpo.folder()) if "hasDbXref" not in line),
    }
    for name, lines in sources.items():
        for subject, text in _literals(lines):
            (train if _half(subject) else test).setdefault(name, []).append(text)
    train["PoisonedRAG passages"] = [text for one in _poisoned("msmarco") for text in one["adv_texts"]]
    test["PoisonedRAG passages"] = [text for one in _poisoned("nq") for text in one["adv_texts"]]
    names = {part for line in _plain("pathquestion/2H-kb.txt") for part in line.split("\t")[::2]}
    test["PathQuestion names"] = sorted(name.replace("_", " ") for name in names)
    return train, test


def attacks() -> tuple[list[str], Texts]:
    """BIPIA's instructions for training, and by kind for measuring."""
    kinds: Texts = json.loads((DATA / "poison/bipia-text-attack.json").read_text(encoding="utf-8"))
    order = list(kinds)
    train = [text for kind in order[:KINDS_TRAINED] for text in kinds[kind]]
    return train, {kind: kinds[kind] for kind in order[KINDS_TRAINED:]}


def _lines(name: str) -> Iterator[str]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        yield from file


def _plain(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def _poisoned(source: str) -> list[dict[str, Any]]:
    return list(json.loads((DATA / f"poison/poisonedrag-{source}.json").read_text(encoding="utf-8")).values())


# --- training ------------------------------------------------------------------------------------------------------


def train() -> bytes:
    """The weights, one signed byte each."""
    bad = [*made(MADE), *attacks()[0] * 20]
    good = list(dict.fromkeys(one for texts in benign()[0].values() for text in texts for one in sentences(text)))
    rows = [buckets(one) for one in (*bad, *good)]
    labels = np.array([1.0] * len(bad) + [0.0] * len(good))
    weight = np.array([len(good) / len(bad)] * len(bad) + [3.0] * len(good))
    weights = _fitted(rows, labels, weight / weight.sum())
    return np.clip(np.rint(weights * SCALE), -127, 127).astype(np.int8).tobytes()


def _fitted(rows: list[list[int]], labels: NDArray[Any], importance: NDArray[Any]) -> NDArray[Any]:
    """Logistic regression by Adam over all rows at once, with a penalty on squares."""
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    column = np.concatenate([np.array(row) for row in rows])
    weights, first, second = np.zeros(BUCKETS), np.zeros(BUCKETS), np.zeros(BUCKETS)
    for step in range(1, 301):
        odds = np.bincount(owner, weights[column], len(rows))
        error = (1 / (1 + np.exp(-odds)) - labels) * importance
        slope = np.bincount(column, error[owner], BUCKETS) + 2e-5 * weights
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        weights -= 0.05 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights


# --- measuring -----------------------------------------------------------------------------------------------------


def interval(hits: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share = hits / total
    middle = (share + Z * Z / (2 * total)) / (1 + Z * Z / total)
    half = Z / (1 + Z * Z / total) * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def _looked_at(one: dict[str, Any]) -> bool:
    """Whether rules were written after looking at what of its tactic was missed."""
    return sha256((one.get("tactic") or one["category"]).encode()).digest()[0] % 2 == 0


def hidden(kinds: Texts, carriers: list[str], seed: int = 7) -> list[str]:
    """Each instruction three times: before, inside and after some text of a graph."""
    dice = random.Random(seed)  # noqa: S311 - the same every time
    found = []
    for text in (text for texts in kinds.values() for text in texts):
        one, two = dice.sample(carriers, 2)
        found += [f"{text} {one}", f"{one}. {text} {two}", f"{one}. {text}"]
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """How many texts of a set were found."""

    what: str
    name: str
    hits: int
    total: int

    @property
    def line(self) -> str:
        """A line of a table: how many, and the share with its interval."""
        low, high = interval(self.hits, self.total)
        share = f"{self.hits / self.total:.1%} | {low:.1%} to {high:.1%}"
        return f"| {self.what}: {self.name} | {self.hits} of {self.total} | {share} |"


def rows_of(found: Iterable[Found]) -> list[Row]:
    """Rows against the bars: of all instructions in data together, and of all texts of graphs together."""
    held = [one for one in found if "tactics looked at" not in one.name and "the same" not in one.name]
    rows = []
    for key, what, bar in (("tpr", IN_DATA, TPR_MIN), ("fpr", WRONGLY, FPR_MAX)):
        some = [one for one in held if one.what == what]
        hits, total = sum(one.hits for one in some), sum(one.total for one in some)
        low, high = interval(hits, total)
        note = f"{hits} of {total}; 95 %: {100 * low:.1f} to {100 * high:.1f}"
        title = f"scanner, {what} ({', '.join(one.name for one in some)})"
        rows.append(Row(f"scanner-{key}", title, 100 * hits / total, "%", bar=bar, at_least=what == IN_DATA, note=note))
    return rows


def measured(bastion: Path | None, most: int | None = None) -> Iterator[Found]:
    """What is found of each set. `most`: texts of a set of graphs that are looked at, None for all."""
    kinds = attacks()[1]
    goods = benign()[1]
    long = [text for text in goods["CoDEx labels, descriptions"] if len(text) > 30]  # noqa: PLR2004
    bad = {"BIPIA, seven other kinds": [text for texts in kinds.values() for text in texts]}
    bad["the same inside descriptions"] = hidden(kinds, long)
    asked = {"PathQuestion questions": [line.split("\t")[0] for line in _plain("pathquestion/PQ-2H.txt")]}
    asked["PoisonedRAG questions"] = [one["question"] for source in ("nq", "msmarco") for one in _poisoned(source)]
    requests: Texts = {}
    if bastion:
        rows = [json.loads(line) for line in bastion.read_text(encoding="utf-8").splitlines()]
        malicious = [one for one in rows if one["label"] == "malicious"]
        bad["bastioncorpus, tactics looked at"] = [one["text"] for one in malicious if _looked_at(one)]
        bad["bastioncorpus, other tactics"] = [one["text"] for one in malicious if not _looked_at(one)]
        requests["bastioncorpus, benign (requests of users)"] = [
            one["text"] for one in rows if one["label"] == "benign"
        ]
    for title, sets, scan in (
        (IN_DATA, bad, looks_like_instruction),
        (WRONGLY, goods, looks_like_instruction),
        ("requests of users, found in data", requests, looks_like_instruction),
        ("instructions, refused as questions", bad, overrides_instructions),
        ("questions, wrongly refused", asked | requests, overrides_instructions),
    ):
        for name, texts in sets.items():
            some = random.Random(SEED).sample(texts, min(len(texts), most or len(texts)))  # noqa: S311 - always the same
            yield Found(title, name, sum(scan(text) is not None for text in some), len(some))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.scanner")
    parser.add_argument("what", choices=["train", "measure"])
    parser.add_argument("--bastion", type=Path, help="corpus/injections.jsonl of bastioncorpus")
    args = parser.parse_args()
    if args.what == "train":
        WEIGHTS.write_bytes(train())
        return 0
    for found in measured(args.bastion):
        sys.stdout.write(found.line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
