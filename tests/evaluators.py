"""The evaluators that every harness runs: the place to plug a new one in.

An entry is an `Evaluator` (see `tests/oracle.py` for its rules). For example:

    def plain(quads, query_text, default_graphs, named_graphs, base_iri):
        try:
            return outcome_of(our_evaluate(query_text, dataset_of(quads), ...))
        except QueryError as error:
            return Refusal(str(error))
"""

from __future__ import annotations

from tests.oracle import Evaluator, oracle

EVALUATORS: dict[str, Evaluator] = {"oracle": oracle}
