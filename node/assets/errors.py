"""What goes wrong with assets.

InputError
├── AssetError            what was asked of an asset cannot be done; says what can
└── ShapesError           SHACL shapes that cannot be used
    └── ShapesViolated    the asset does not conform to its shapes; has the report (node.assets.report)
ProofError
└── IntegrityError        a document does not carry the Data Integrity proof that it should
"""

from __future__ import annotations

from dkg.errors import InputError, ProofError


class AssetError(InputError):
    """What was asked of an asset cannot be done; says what can."""


class IntegrityError(ProofError):
    """A document does not carry the Data Integrity proof that it should; says which step failed."""


class ShapesError(InputError):
    """SHACL shapes that cannot be used; says which, and what to write instead."""
