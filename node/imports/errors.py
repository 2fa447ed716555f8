"""What goes wrong with imports.

InputError
├── SourceError     a file that cannot be imported; says where in it and why
└── MappingError    a mapping file that cannot be used; says what to write instead
"""

from __future__ import annotations

from dkg.errors import InputError


class SourceError(InputError):
    """A file that cannot be imported; says where in it and why."""


class MappingError(InputError):
    """A mapping file that cannot be used; says what to write instead."""
