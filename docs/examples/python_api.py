"""Ask a store of your own from Python, and check the proof as somebody else would.

dkg load facts.ttl --store db
python docs/examples/python_api.py db "Who discovered penicillin?"
"""

# ruff: noqa: INP001, T201 - a program that prints

from __future__ import annotations

import sys

import dkg
from retrieval.opening import over_store


def main(store: str, question: str) -> None:
    """Print facts, and what their proof proves."""
    with over_store(store) as knowledge:
        found = knowledge.retrieve(question, tokens=150)
        for fact, text in zip(found.context.facts, found.texts, strict=True):
            print(text, "-", ", ".join(fact.publishers), fact.origins[0].graph_iri)

        for number, claimed in enumerate(knowledge.claims(found.proof), 1):
            car = knowledge.proof(found.proof, number).car
            # Elsewhere, with the root from a source that you trust, and without this store:
            answer = dkg.verify(car, claimed.query, claimed.snapshot.root)
            print(f"proof {number}: {len(car)} bytes prove {len(answer)} facts for root {dkg.root_text(answer.root)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
