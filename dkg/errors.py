"""Every error that `dkg` raises on purpose.

    DkgError
    ├── InputError                 what the caller gave cannot be used; nothing was changed
    │   ├── RdfError               RDF that does not parse, or that the format cannot hold
    │   │   ├── NormalFormError    a literal off its normal form where that is required
    │   │   └── CanonicalizationError  blank nodes that RDFC-1.0 cannot label within the bound
    │   ├── QueryError             SPARQL that does not parse, or that a proof cannot cover
    │   │   └── BudgetError        the query needs more pages, bytes or rows than were declared
    │   └── LimitError             an input larger or deeper than its named limit
    ├── ProofError                 the peer's data does not prove what it claims
    │   ├── MissingPageError       a page that evaluation needs is not in the proof
    │   └── PageError              a page that breaks the format
    └── StoreError                 the environment failed: disk, file, database, missing root

A decoding failure inside verification is always a `ProofError`. Misuse by the programmer is a
`RuntimeError`, `TypeError` or `ValueError`, and never caught here.
"""

from __future__ import annotations


class DkgError(Exception):
    """The root of all errors raised on purpose."""


class InputError(DkgError):
    """What the caller gave cannot be used; nothing was changed."""


class RdfError(InputError):
    """RDF that does not parse, or that the format cannot hold."""


class NormalFormError(RdfError):
    """A literal off its normal form where that is required; names both forms."""


class CanonicalizationError(RdfError):
    """Blank nodes that RDFC-1.0 cannot label within the bound on work."""


class QueryError(InputError):
    """SPARQL that does not parse, or that a proof cannot cover; says which part."""


class BudgetError(QueryError):
    """The query needs more pages, bytes or rows than were declared; estimates the cost."""


class LimitError(InputError):
    """An input larger or deeper than its named limit; names limit, value and unit."""


class ProofError(DkgError):
    """The peer's data does not prove what it claims."""


class MissingPageError(ProofError):
    """A page that evaluation needs is not in the proof."""


class PageError(ProofError):
    """A page that breaks the format."""


class StoreError(DkgError):
    """The environment failed: disk, file, database, or a root that the store does not hold."""
