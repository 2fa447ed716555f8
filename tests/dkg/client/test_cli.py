from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dkg.client.cli import main
from dkg.client.cli.parser import make_parsers

PEOPLE = """\
@prefix : <http://example.org/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
:ada foaf:name "Ada" ; foaf:knows :bob , :eve ; :born 1815 .
:bob foaf:name "Bob" ; foaf:knows :eve .
:eve foaf:name "Eve"@en .
"""
NAMES = "SELECT ?name WHERE { ?s <http://xmlns.com/foaf/0.1/name> ?name } ORDER BY ?name"
NOBODY = "SELECT ?s WHERE { ?s <http://xmlns.com/foaf/0.1/name> 'Zoe' }"
ADA = "SELECT ?o WHERE { <http://example.org/ada> <http://xmlns.com/foaf/0.1/knows> ?o }"
OTHER_ROOT = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

COMMAND = [sys.executable, "-m", "dkg.client.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.ttl"
    path.write_text(PEOPLE)
    return path


@pytest.fixture
def db(tmp_path: Path, people: Path, capsys: Capture) -> str:
    path = str(tmp_path / "db")
    assert main(["load", str(people), "--store", path, "-q"]) == 0
    capsys.readouterr()
    return path


@pytest.fixture
def root(db: str, capsys: Capture) -> str:
    assert main(["root", "--store", db]) == 0
    return capsys.readouterr().out.strip()


@pytest.fixture
def proof(db: str, tmp_path: Path, capsys: Capture) -> str:
    path = str(tmp_path / "names.car")
    assert main(["query", "--store", db, "--proof", path, NAMES]) == 0
    capsys.readouterr()
    return path


def names_in(text: str) -> list[str]:
    return [row["name"]["value"] for row in json.loads(text)["results"]["bindings"]]


# --- load, root ----------------------------------------------------------------------------------------------


def test_load_prints_the_root_and_nothing_else(tmp_path: Path, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", str(tmp_path / "db")]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"bafyrei[a-z2-7]+\n", out)
    assert "7 quads" in err
    assert main(["root", "--store", str(tmp_path / "db")]) == 0
    assert capsys.readouterr().out == out


def test_loading_twice_changes_nothing(db: str, root: str, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", db]) == 0
    assert capsys.readouterr().out.strip() == root


def test_a_graph_of_ones_own(db: str, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", db, "--graph", "http://example.org/g", "-q"]) == 0
    count = "SELECT (COUNT(*) AS ?n) WHERE { GRAPH <http://example.org/g> { ?s ?p ?o } }"
    assert main(["query", "--store", db, "--format", "csv", count]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7"


def test_standard_input_is_a_file_too(tmp_path: Path) -> None:
    done = dkg("load", "-", "--format", "ttl", "--store", str(tmp_path / "db"), stdin=PEOPLE.encode())
    assert done.returncode == 0
    assert done.stdout.startswith(b"bafyrei")


def test_load_json(tmp_path: Path, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", str(tmp_path / "db"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quads"] == said["added"] == 7
    assert set(said) == {"root", "quads", "added", "files", "seconds"}


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "broken.ttl": (b"<http://a> <http://b> ", "broken.ttl"),
    "broken.nt": (b"<http://a> <http://b> <http://c> .\n<http://a> <http://b> .\n", "broken.nt"),
    "not-utf-8.nt": (b'<http://a> <http://b> "\xff" .\n', "not-utf-8.nt"),
    "nested.ttl": (b"<http://a> <http://b> " + b"[ <http://c> " * 100_000, "nest"),
    "collections.ttl": (b"<http://a> <http://b> " + b"( " * 100_000, "nest"),
    "nested.jsonld": (b'{"http://b": ' * 100_000, "nest"),
    "unknown.xyz": (b"<http://a> <http://b> <http://c> .", "format"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_and_nothing_is_lost(
    name: str, tmp_path: Path, db: str, root: str, people: Path, capsys: Capture
) -> None:
    content, mentioned = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    more = tmp_path / "more.nt"
    more.write_text("<http://a> <http://b> <http://c> .\n")
    assert main(["load", str(people), str(more), str(tmp_path / name), "--store", db]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dkg: error: ")
    assert mentioned in err
    assert main(["root", "--store", db]) == 0
    assert capsys.readouterr().out.strip() == root
    assert main(["fsck", "--store", db]) == 0


def test_an_empty_file_loads_nothing(tmp_path: Path, db: str, root: str, capsys: Capture) -> None:
    (tmp_path / "empty.ttl").touch()
    assert main(["load", str(tmp_path / "empty.ttl"), "--store", db]) == 0
    assert capsys.readouterr().out.strip() == root


def test_a_directory_is_no_rdf(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "d.ttl").mkdir()
    assert main(["load", str(tmp_path / "d.ttl"), "--store", str(tmp_path / "new")]) == 1
    assert "directory" in capsys.readouterr().err.lower()


def test_a_file_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    assert main(["load", str(tmp_path / "none.ttl"), "--store", str(tmp_path / "new")]) == 1
    assert "none.ttl" in capsys.readouterr().err


def test_a_graph_that_is_no_iri(tmp_path: Path, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", str(tmp_path / "new"), "--graph", "a b>"]) == 1
    assert "a b>" in capsys.readouterr().err


# --- query ---------------------------------------------------------------------------------------------------


def test_a_query_answers_in_json_when_piped(db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, NAMES]) == 0
    assert names_in(capsys.readouterr().out) == ["Ada", "Bob", "Eve"]


@pytest.mark.parametrize(
    ("name", "starts"),
    [("json", "{"), ("csv", "name\r\nAda\r\n"), ("tsv", '?name\n"Ada"\n'), ("xml", "<?xml"), ("table", "?name\n")],
)
def test_every_format_of_select(name: str, starts: str, db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--format", name, NAMES]) == 0
    out = capsys.readouterr().out
    assert out.startswith(starts)
    assert "Ada" in out


@pytest.mark.parametrize("name", ["ttl", "nt", "xml", "json"])
def test_every_format_of_a_graph(name: str, db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--format", name, "DESCRIBE <http://example.org/eve>"]) == 0
    assert "Eve" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ttl", "nt"])
def test_a_select_has_no_turtle(name: str, db: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--format", name, "--proof", str(tmp_path / "p.car"), NAMES]) == 1
    assert "json" in capsys.readouterr().err
    assert not (tmp_path / "p.car").exists()


def test_a_graph_has_no_table(db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--format", "table", "DESCRIBE <http://example.org/eve>"]) == 1
    assert "ttl" in capsys.readouterr().err


def test_a_query_from_a_file(db: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "q.rq").write_text(NAMES)
    assert main(["query", "--store", db, "-f", str(tmp_path / "q.rq")]) == 0
    assert names_in(capsys.readouterr().out) == ["Ada", "Bob", "Eve"]


def test_query_json(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--json", NAMES]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["root"] == root
    assert (said["proof_bytes"], said["verified"], said["rows"]) == (None, False, 3)
    read = said["pages"]
    assert len(said["answer"]["results"]["bindings"]) == 3
    assert main(["query", "--store", db, "--json", "--proof", str(tmp_path / "p.car"), NAMES]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["proof_bytes"] == (tmp_path / "p.car").stat().st_size
    assert said["pages"] == read > 0


@pytest.mark.parametrize(
    ("query", "mentioned"),
    [
        ("SELECT * WHERE { ?s ?p", "pars"),
        ("SELECT * WHERE { SERVICE <http://example.org/> { ?s ?p ?o } }", "SERVICE"),
        ("SELECT (NOW() AS ?t) WHERE {}", "NOW"),
        ("SELECT (RAND() AS ?t) WHERE {}", "RAND"),
        ("INSERT DATA { <http://a> <http://b> <http://c> }", ""),
        ("LOAD <http://example.org/>", ""),
        ("SELECT * WHERE " + "{" * 3000 + "}" * 3000, "nest"),
        ("SELECT (" + "(" * 3000 + "1" + ")" * 3000 + " AS ?x) WHERE {}", "nest"),
        ("", ""),
        ("\udcff", "UTF-8"),
    ],
)
def test_a_bad_query_is_refused(query: str, mentioned: str, db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, query]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dkg: error: ")
    assert err.count("\n") == 1
    assert mentioned in err


def test_now_can_be_pinned(db: str, capsys: Capture) -> None:
    query = "SELECT (NOW() AS ?t) WHERE {}"
    assert main(["query", "--store", db, "--format", "csv", "--now", "2026-01-31T12:00:00Z", query]) == 0
    assert capsys.readouterr().out.split() == ["t", "2026-01-31T12:00:00Z"]


def test_now_must_be_a_time(db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--now", "noon", "SELECT (NOW() AS ?t) WHERE {}"]) == 1
    assert "noon" in capsys.readouterr().err


def test_a_budget_is_a_refusal(db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--max-quads", "2", "SELECT * WHERE { ?s ?p ?o }"]) == 1
    assert "budget" in capsys.readouterr().err


def test_graphs_in_scope(db: str, people: Path, capsys: Capture) -> None:
    graph = "http://example.org/g"
    (people.parent / "more.nt").write_text("<http://a> <http://xmlns.com/foaf/0.1/name> 'x' .".replace("'", '"'))
    assert main(["load", str(people.parent / "more.nt"), "--store", db, "--graph", graph, "-q"]) == 0
    capsys.readouterr()
    assert main(["query", "--store", db, "--default-graph", graph, NAMES]) == 0
    assert names_in(capsys.readouterr().out) == ["x"]
    named = "SELECT DISTINCT ?g WHERE { GRAPH ?g { ?s ?p ?o } }"
    assert main(["query", "--store", db, "--format", "csv", "--named-graph", graph, named]) == 0
    assert capsys.readouterr().out.split() == ["g", graph]


@pytest.mark.parametrize("option", ["--default-graph", "--named-graph"])
def test_a_graph_in_scope_must_be_an_iri(option: str, db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, option, "a> <b", NAMES]) == 1
    assert "a> <b" in capsys.readouterr().err


def test_an_unknown_root(db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--root", OTHER_ROOT, NAMES]) == 3
    assert OTHER_ROOT in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "bafy", "bafyrei", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnAPo9", "\x1b[2J"])
def test_a_root_that_is_none(text: str, db: str, capsys: Capture) -> None:
    assert main(["query", "--store", db, "--root", text, NAMES]) == 1
    err = capsys.readouterr().err
    assert "root" in err
    assert "\x1b" not in err


@pytest.mark.parametrize("command", ["root", "query", "fsck", "diff", "export", "bench"])
def test_a_store_that_is_not_there(command: str, tmp_path: Path, capsys: Capture) -> None:
    more = {"query": [NAMES], "diff": [OTHER_ROOT, OTHER_ROOT], "export": [str(tmp_path / "x.nq")]}
    assert main([command, *more.get(command, []), "--store", str(tmp_path / "none")]) == 3
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


# --- verify --------------------------------------------------------------------------------------------------


def test_a_proof_verifies(proof: str, root: str, capsys: Capture) -> None:
    assert main(["verify", proof, "--root", root, NAMES]) == 0
    out, err = capsys.readouterr()
    assert names_in(out) == ["Ada", "Bob", "Eve"]
    assert f"3 rows, correct and complete for root {root}" in err


def test_verify_json(proof: str, root: str, capsys: Capture) -> None:
    assert main(["verify", proof, "--root", root, "--json", NAMES]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verified"] is True
    assert said["root"] == root
    assert said["proof_bytes"] == Path(proof).stat().st_size
    assert len(said["answer"]["results"]["bindings"]) == 3


def test_a_compressed_proof_verifies(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "names.car.zst"
    assert main(["query", "--store", db, "--proof", str(path), NAMES]) == 0
    capsys.readouterr()
    assert path.read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    assert main(["verify", str(path), "--root", root, NAMES]) == 0
    assert names_in(capsys.readouterr().out) == ["Ada", "Bob", "Eve"]


def test_provably_nothing_is_an_answer(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    path = str(tmp_path / "nobody.car")
    assert main(["query", "--store", db, "--proof", path, NOBODY]) == 0
    capsys.readouterr()
    assert main(["verify", path, "--root", root, NOBODY]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["results"]["bindings"] == []
    assert "provably nothing" in err


def test_unknown_is_not_nothing(tmp_path: Path, capsys: Capture) -> None:
    many = "".join(f'<http://example.org/{i}> <http://xmlns.com/foaf/0.1/name> "{i}" .\n' for i in range(5000))
    (tmp_path / "many.nt").write_text(many)
    assert main(["load", str(tmp_path / "many.nt"), "--store", str(tmp_path / "db"), "-q"]) == 0
    root = capsys.readouterr().out.strip()
    one = "SELECT ?o WHERE { <http://example.org/17> ?p ?o }"
    other = "SELECT ?o WHERE { <http://example.org/4017> ?p ?o }"
    assert main(["query", "--store", str(tmp_path / "db"), "--proof", str(tmp_path / "p.car"), one]) == 0
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "p.car"), "--root", root, other]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "unknown" in err
    assert "nothing" not in err


def test_another_root_is_refused(proof: str, capsys: Capture) -> None:
    assert main(["verify", proof, "--root", OTHER_ROOT, NAMES]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("dkg: error: not verified: ")


def test_a_refusal_in_json(proof: str, capsys: Capture) -> None:
    assert main(["verify", proof, "--root", OTHER_ROOT, "--json", NAMES]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["kind"] == "ProofError"
    assert said["error"]["exit"] == 2


def test_any_altered_byte_is_refused(proof: str, root: str, capsys: Capture) -> None:
    good = Path(proof).read_bytes()
    for at in range(0, len(good), 37):
        Path(proof).write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        assert main(["verify", proof, "--root", root, NAMES]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("dkg: error: not verified")


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x28\xb5\x2f\xfd", b"not a proof", b"\xff" * 4096])
def test_what_is_no_proof_is_refused(content: bytes, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "p.car").write_bytes(content)
    assert main(["verify", str(tmp_path / "p.car"), "--root", OTHER_ROOT, NAMES]) == 2
    assert "not verified" in capsys.readouterr().err


def test_a_bad_query_is_no_refused_proof(proof: str, root: str, capsys: Capture) -> None:
    assert main(["verify", proof, "--root", root, "SELECT"]) == 1
    assert "not verified" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.car", "."])
def test_a_proof_that_cannot_be_read(name: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", str(tmp_path / name), "--root", OTHER_ROOT, NAMES]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_verify_needs_no_store_and_no_directory(proof: str, root: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = dkg("verify", "-", "--root", root, NAMES, cwd=tmp_path / "empty", stdin=Path(proof).read_bytes())
    assert done.returncode == 0
    assert names_in(done.stdout.decode()) == ["Ada", "Bob", "Eve"]
    assert list((tmp_path / "empty").iterdir()) == []


# --- outputs -------------------------------------------------------------------------------------------------


def test_a_proof_that_cannot_be_written_leaves_nothing(db: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "none" / "p.car"
    assert main(["query", "--store", db, "--proof", str(path), NAMES]) == 3
    assert capsys.readouterr().out == ""
    assert not path.parent.exists()


def test_a_device_stays_a_device(db: str) -> None:
    assert main(["query", "--store", db, "--proof", "/dev/null", NAMES]) == 0
    assert not Path("/dev/null").is_file()


def test_a_full_disk_is_an_error(db: str, capsys: Capture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    assert main(["query", "--store", db, "--proof", "/dev/full", NAMES]) == 3
    assert "No space left" in capsys.readouterr().err


# --- diff, fsck, export --------------------------------------------------------------------------------------


def test_diff_shows_what_changed(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "more.nt").write_text("<http://a> <http://b> <http://c> .\n")
    assert main(["load", str(tmp_path / "more.nt"), "--store", db, "-q"]) == 0
    new = capsys.readouterr().out.strip()
    line = "<http://a> <http://b> <http://c> <urn:dkg:default> .\n"
    assert main(["diff", root, new, "--store", db]) == 0
    assert capsys.readouterr().out == f"+ {line}"
    assert main(["diff", new, root, "--store", db]) == 0
    assert capsys.readouterr().out == f"- {line}"
    assert main(["diff", root, new, "--store", db, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"old": root, "new": new, "removed": 0, "added": 1}


def test_an_old_root_is_a_dataset(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "more.nt").write_text('<http://a> <http://xmlns.com/foaf/0.1/name> "Zoe" .\n')
    assert main(["load", str(tmp_path / "more.nt"), "--store", db, "-q"]) == 0
    capsys.readouterr()
    assert main(["query", "--store", db, NAMES]) == 0
    assert names_in(capsys.readouterr().out) == ["Ada", "Bob", "Eve", "Zoe"]
    assert main(["query", "--store", db, "--root", root, NAMES]) == 0
    assert names_in(capsys.readouterr().out) == ["Ada", "Bob", "Eve"]


def test_diff_with_an_unknown_root(db: str, root: str, capsys: Capture) -> None:
    assert main(["diff", root, OTHER_ROOT, "--store", db]) == 3
    assert OTHER_ROOT in capsys.readouterr().err


def test_fsck_of_a_sound_store(db: str, root: str, capsys: Capture) -> None:
    assert main(["fsck", "--store", db, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["clean"] is True
    assert root in said["roots"]


def test_export_and_load_again_gives_the_same_root(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "all.nq"
    assert main(["export", str(out), "--store", db]) == 0
    assert len(out.read_text().splitlines()) == 7
    capsys.readouterr()
    assert main(["load", str(out), "--store", str(tmp_path / "copy"), "-q"]) == 0
    assert capsys.readouterr().out.strip() == root


def test_export_as_car_has_every_page(db: str, root: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "all.car"
    assert main(["export", str(out), "--store", db, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["root"] == root
    assert said["bytes"] == out.stat().st_size
    assert said["quads"] == 7


def test_export_wants_to_know_the_format(db: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(tmp_path / "all.txt"), "--store", db]) == 1
    assert "--format" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "all.txt"), "--store", db, "--format", "nq"]) == 0


def test_bench_has_figures(db: str, capsys: Capture) -> None:
    assert main(["bench", "--store", db, "--seconds", "0.02", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quads"] == 7
    assert main(["bench", "--store", db, "--seconds", "0.02"]) == 0
    assert "verify" in capsys.readouterr().out


# --- usage, help, terminals, signals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["root"],
        ["load", "--store", "x"],
        ["verify", "p.car", "ASK {}"],
        ["query", "--store", "x"],
        ["query", "--store", "x", "-f", "q.rq", "ASK {}"],
        ["query", "--store", "x", "--max-pages", "0", "ASK {}"],
        ["query", "--store", "x", "--max-pages", "many", "ASK {}"],
        ["query", "--store", "x", "--format", "yaml", "ASK {}"],
    ],
)
def test_wrong_usage_is_not_a_refused_proof(argv: list[str], capsys: Capture) -> None:
    assert main(argv) == 64
    assert capsys.readouterr().err.startswith("dkg: error: ")


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dkg ")


def commands() -> dict[str, list[str]]:
    """Each command with its options, from the parser."""
    return {name: [o for a in sub._actions for o in a.option_strings] for name, sub in make_parsers()[1].items()}


@pytest.mark.parametrize("name", commands())
def test_help_tells_the_exit_codes(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    assert "130  interrupted" in capsys.readouterr().out


@pytest.mark.parametrize("name", commands())
def test_the_documentation_has_every_option(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    everywhere, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    section = next(s for s in sections if s.startswith((f"`dkg {name} ", f"`dkg {name}`")))
    if name == "verify":
        section += next(s for s in sections if s.startswith("`dkg query "))
    missing = [o for o in commands()[name] if o != "-h" and f"`{o}" not in section + everywhere and o not in section]
    assert missing == []


def test_the_documentation_has_every_exit_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    for code in (0, 1, 2, 3, 64, 130, 141):
        assert f"| {code} |" in page


def dkg(*argv: str, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """`dkg` in a process of its own."""
    return subprocess.run([*COMMAND, *argv], input=stdin, cwd=cwd, env=ENVIRONMENT, capture_output=True, check=False)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 64])
def test_exit_codes_of_the_process(code: int, db: str, root: str, proof: str) -> None:
    argv = {
        0: ["verify", proof, "--root", root, NAMES],
        1: ["verify", proof, "--root", root, "SELECT"],
        2: ["verify", proof, "--root", OTHER_ROOT, NAMES],
        3: ["query", "--store", db, "--root", OTHER_ROOT, NAMES],
        64: ["verify"],
    }[code]
    done = dkg(*argv)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(db: str) -> None:
    """`dkg query ... | true`: the pipe is closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    argv = [*COMMAND, "query", "--store", db, NAMES]
    done = subprocess.run(argv, stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    os.close(write)
    assert done.returncode == 141
    assert b"Broken" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_full_disk_under_the_result_is_an_error(proof: str, root: str) -> None:
    with Path("/dev/full").open("wb") as full:
        argv = [*COMMAND, "verify", proof, "--root", root, NAMES]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    assert done.returncode == 3
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", [("--version",), ("--help",), ("query", "--help"), ("key", "--help")], ids=" ".join)
def test_a_full_disk_under_what_is_told_is_an_error(words: tuple[str, ...], buffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        argv, environment = [*COMMAND, *words], {**ENVIRONMENT, "PYTHONUNBUFFERED": buffered}
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, env=environment, check=False)
    assert done.returncode == 3
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("closed", "code", "says"),
    [(">&-", 3, "standard output is closed"), ("<&-", 1, "standard input is closed"), ("2>&-", 1, "")],
)
def test_a_stream_that_is_closed_from_the_start_is_no_crash(closed: str, code: int, says: str, root: str) -> None:
    command = " ".join([*COMMAND, "verify", "-", "--root", root, "'ASK {}'", closed])
    done = subprocess.run(
        ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, env=ENVIRONMENT, check=False
    )
    assert (done.returncode, says in done.stderr.decode()) == (2 if closed == "2>&-" else code, True)
    assert b"Traceback" not in done.stderr


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.nt"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"echo '<urn:a> <urn:b> <urn:c> .' > {pipe}"]) as writer:
        done = dkg("load", str(pipe), "--store", str(tmp_path / "db"))
        assert (done.returncode, b"1 quads added" in done.stderr or b"1 quad added" in done.stderr) == (0, True)
    assert writer.returncode == 0


@pytest.mark.parametrize("name", ["a" * 300, ""])
def test_a_store_cannot_have_that_name(name: str, people: Path, capsys: Capture) -> None:
    assert main(["load", str(people), "--store", name]) == (64 if not name else 3)
    assert "too long" in (error := capsys.readouterr().err) or "is empty" in error
    assert "the result" not in error


def test_ctrl_c_leaves_the_store_as_it_was(db: str, root: str, capsys: Capture) -> None:
    argv = [*COMMAND, "load", "-", "--format", "nt", "--store", db]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, stderr=-1, env=ENVIRONMENT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # More than a pipe holds: once all is written, the loader has read most of it and waits for the rest.
        process.stdin.write(b"".join(b"<http://a> <http://b> <http://c/%d> .\n" % i for i in range(40_000)))
        process.stdin.flush()
        # CPython may lose a signal that comes between two reads of one `BufferedReader.read`: a person presses again.
        while process.poll() is None:
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err
    assert main(["root", "--store", db]) == 0
    assert capsys.readouterr().out.strip() == root
    assert main(["fsck", "--store", db]) == 0


def on_terminal(argv: list[str], env: dict[str, str]) -> str:
    """What a person would see: both outputs of `dkg` on a pseudo-terminal."""
    main_end, end = os.openpty()
    process = subprocess.Popen([*COMMAND, *argv], stdin=end, stdout=end, stderr=end, env={**ENVIRONMENT, **env})
    os.close(end)
    seen = b""
    try:
        while piece := os.read(main_end, 65536):
            seen += piece
    except OSError:  # Linux: EIO when the other end is closed
        pass
    os.close(main_end)
    process.wait()
    return seen.decode().replace("\r\n", "\n")


def test_a_terminal_shows_a_table(proof: str, root: str) -> None:
    seen = on_terminal(["verify", proof, "--root", root, NAMES], {"NO_COLOR": "1"})
    assert seen.startswith('?name\n────────\n"Ada"\n"Bob"\n"Eve"@en\n')
    assert f"verified: 3 rows, correct and complete for root {root}" in seen
    assert "\x1b" not in seen


def test_colours_only_on_a_terminal_that_wants_them(proof: str, root: str) -> None:
    argv = ["verify", proof, "--root", root, NAMES]
    assert "\x1b[32m" in on_terminal(argv, {"TERM": "xterm", "NO_COLOR": ""})
    assert "\x1b" not in on_terminal(argv, {"TERM": "dumb", "NO_COLOR": ""})


def test_data_cannot_drive_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "evil.nt").write_text('<http://a> <http://b> "\\u001B[2Jgone\\u202Eevil" .\n')
    db = str(tmp_path / "db")
    assert main(["load", str(tmp_path / "evil.nt"), "--store", db, "-q"]) == 0
    capsys.readouterr()
    assert main(["query", "--store", db, "--format", "table", "SELECT ?o WHERE { ?s ?p ?o }"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == '"\\x1b[2Jgone\\u202eevil"'
