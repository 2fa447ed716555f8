"""Text safety: literals are data. Cleaning for prompts, and a scanner for instructions that hide in them."""

from __future__ import annotations

from retrieval.safety.cleaning import FENCE, TEXT_CHARS_MAX, clean
from retrieval.safety.rules import Kind
from retrieval.safety.scanner import Finding, instruction_in, looks_like_instruction, overrides_instructions

__all__ = [
    "FENCE",
    "TEXT_CHARS_MAX",
    "Finding",
    "Kind",
    "clean",
    "instruction_in",
    "looks_like_instruction",
    "overrides_instructions",
]
