"""An authenticated knowledge graph: datasets with a root, and SPARQL answers that prove themselves.

    import dkg

    store = dkg.MemoryPageStore()
    root = dkg.build(dkg.load(data, format="ttl", graph="https://example.org/people"), store)
    proof = dkg.prove(store, root, "SELECT ?name WHERE { ?s <http://xmlns.com/foaf/0.1/name> ?name }")
    answer = dkg.verify(proof.car, query, root)   # elsewhere: with nothing but the root

Nothing here does I/O; `dkg.client` has the store on disk, loading of files and the command line.
"""

from __future__ import annotations

from dkg.answer import Answer, Results
from dkg.api import build, diff, load, prove, query, root_text, update, verify
from dkg.errors import (
    BudgetError,
    CanonicalizationError,
    DkgError,
    InputError,
    LimitError,
    MissingPageError,
    NormalFormError,
    PageError,
    ProofError,
    QueryError,
    RdfError,
    StoreError,
)
from dkg.evaluate import Dataset
from dkg.limits import Budget
from dkg.pages import KnownPages, MemoryPageStore, PageStore
from dkg.proof import Proof, VerifiedAnswer
from dkg.terms import Quad, Term

__all__ = [
    "Answer",
    "Budget",
    "BudgetError",
    "CanonicalizationError",
    "Dataset",
    "DkgError",
    "InputError",
    "KnownPages",
    "LimitError",
    "MemoryPageStore",
    "MissingPageError",
    "NormalFormError",
    "PageError",
    "PageStore",
    "Proof",
    "ProofError",
    "Quad",
    "QueryError",
    "RdfError",
    "Results",
    "StoreError",
    "Term",
    "VerifiedAnswer",
    "build",
    "diff",
    "load",
    "prove",
    "query",
    "root_text",
    "update",
    "verify",
]
