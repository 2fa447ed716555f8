"""What a policy raises: both are the caller's input.

InputError
├── PolicyError           a policy document that cannot be used; names the key and what is allowed
└── QuestionRefusedError  a question that the policy does not let through
"""

from __future__ import annotations

from dkg.errors import InputError


class PolicyError(InputError):
    """A policy document that cannot be used; names the key's path and what is allowed there."""


class QuestionRefusedError(InputError):
    """A question that the policy does not let through. Does not quote it."""
