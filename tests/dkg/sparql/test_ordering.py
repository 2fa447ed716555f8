"""ORDER BY over values of all kinds: the engine's own sort would end the process."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import permutations

import pyoxigraph
import pytest

from dkg.errors import LimitError, QueryError
from dkg.sparql.ordering import ORDER_BYTES_MAX
from dkg.sparql.syntax import parse

XSD = "http://www.w3.org/2001/XMLSchema#"


def _literal(text: str, datatype: str) -> str:
    return f'"{text}"^^<{XSD}{datatype}>'


def _mixed(seed: int) -> list[str]:
    """Values of every kind, in an order that a broken sort has trouble with."""
    rng = random.Random(seed)
    number = f"{rng.randrange(40)}.{rng.randrange(1, 9)}"
    made: list[str] = []
    for _ in range(60):
        number = f"{rng.randrange(40)}.{rng.randrange(1, 9)}"
        day = f"20{rng.randrange(10, 30)}-0{rng.randrange(1, 9)}-1{rng.randrange(9)}"
        made += [
            f'"{number}"',
            f'"{number}"@en',
            f"<http://e/{number}>",
            *(_literal(number, kind) for kind in ("decimal", "double", "float")),
            _literal(number[:-2], "integer"),
            *(_literal(day + zone, "date") for zone in ("", "Z", "-05:00")),
            *(_literal(f"{day}T01:00:00{zone}", "dateTime") for zone in ("", "Z", "+14:00")),
            _literal(f"P{rng.randrange(40)}D", "duration"),
            _literal(f"P{rng.randrange(40)}M", "yearMonthDuration"),
            _literal("abc" + number, "integer"),
            _literal("NaN", "double"),
            _literal("true", "boolean"),
        ]
    rng.shuffle(made)
    return made


def _store(values: list[str]) -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    text = "".join(f"<http://e/{i}> <http://e/p> {value} .\n" for i, value in enumerate(values))
    store.load(text.encode(), format=pyoxigraph.RdfFormat.N_TRIPLES)
    return store


def _sorted(values: list[str], order: str) -> list[str]:
    rows = _store(values).query(parse(f"SELECT ?o {{ ?s ?p ?o }} ORDER BY {order}").text)
    assert isinstance(rows, pyoxigraph.QuerySolutions)
    return [str(row[0]) for row in rows]


def test_values_of_all_kinds_are_sorted_and_the_process_lives() -> None:
    code = (
        "from tests.dkg.sparql.test_ordering import _mixed, _sorted\n"
        "for seed in range(12):\n"
        "    values = _mixed(seed)\n"
        "    for order in '?o', 'DESC(?o)', '(IF(true, ?o, 1))':\n"
        "        assert len(_sorted(values, order)) == len(values)\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-2000:]


@pytest.mark.parametrize("order", ["?o", "DESC(?o)"])
def test_the_order_does_not_hang_on_the_order_of_the_data(order: str) -> None:
    values = _mixed(1)
    assert list(dict.fromkeys(_sorted(values, order))) == list(dict.fromkeys(_sorted(values[::-1], order)))


@pytest.mark.parametrize(
    "values",
    [
        [_literal(n, k) for n, k in (("1", "integer"), ("1.5", "decimal"), ("2", "double"), ("-3", "float"))],
        [_literal(d, "date") for d in ("2019-12-31", "2020-01-01", "1999-05-05", "-0001-01-01")],
        [_literal(f"2020-01-01T0{h}:00:00{z}", "dateTime") for h, z in ((1, "Z"), (2, "+05:00"), (3, "-05:00"))],
        ['"b"', '"a"@en', '"c"@de', '"B"', '"é"'],
        [_literal(d, "dayTimeDuration") for d in ("P1D", "PT1H", "-PT5M", "P20D")],
        ["<http://e/b>", "<http://e/a>", '"x"', "<http://e/c>"],
    ],
    ids=["numbers", "dates", "times", "strings", "durations", "iris before literals"],
)
def test_within_one_kind_the_order_is_the_engines(values: list[str]) -> None:
    for some in permutations(values):
        rows = _store(list(some)).query("SELECT ?o { ?s ?p ?o } ORDER BY ?o")
        assert isinstance(rows, pyoxigraph.QuerySolutions)
        assert _sorted(list(some), "?o") == [str(row[0]) for row in rows]


@pytest.mark.parametrize("order", ["STR(?o)", "DESC(STRLEN(?o))", "(EXISTS { ?o ?p 1 })", "(?o = 1)", "(! ?o)"])
def test_what_has_one_kind_stays_as_it_is(order: str) -> None:
    text = f"SELECT * {{ ?s ?p ?o }} ORDER BY {order} LIMIT 3"
    assert parse(text).text == text


def test_sub_selects_are_sorted_too() -> None:
    text = parse("SELECT * { { SELECT ?o { ?s ?p ?o } ORDER BY ?o LIMIT 2 } } ORDER BY DESC(?o)").text
    assert text.count("ASC(") == text.count("DESC(") == 4


def test_an_order_within_an_order_is_refused() -> None:
    with pytest.raises(QueryError, match="BIND it to a variable"):
        parse("SELECT * { ?s ?p ?o } ORDER BY (IF(EXISTS { SELECT ?s { ?s ?p ?o } ORDER BY ?s LIMIT 1 }, ?s, ?o))")


def test_the_longest_expression_and_one_more() -> None:
    def query(size: int) -> str:
        return f"SELECT * {{ ?s ?p ?o }} ORDER BY (IF(true, ?o, <http://{'x' * (size - 25)}>))"

    assert parse(query(ORDER_BYTES_MAX)).text
    with pytest.raises(LimitError, match=f"has {ORDER_BYTES_MAX + 1} bytes"):
        parse(query(ORDER_BYTES_MAX + 1))


def test_an_order_that_only_the_engine_reads_is_refused() -> None:
    with pytest.raises(QueryError, match="unusual syntax"):
        parse("SELECT * { ?s ?p ?o . << ?s ?p ?o >> ?a ?b } ORDER BY ?o")
