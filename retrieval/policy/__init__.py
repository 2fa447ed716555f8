"""Trust policies: whose facts may enter a prompt, which of two that contradict each other, and which words never."""

from __future__ import annotations

from retrieval.policy.document import Document
from retrieval.policy.errors import PolicyError, QuestionRefusedError
from retrieval.policy.policy import Policy

__all__ = ["Document", "Policy", "PolicyError", "QuestionRefusedError"]
