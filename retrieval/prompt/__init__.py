"""Prompts: verified facts as numbered sentences within a budget of tokens, and citations in the answer.

| module      | what it has                                                              |
|-------------|--------------------------------------------------------------------------|
| `profiles`  | how prompts are laid out for models of a kind                              |
| `sentences` | facts and absence as sentences                                             |
| `tokens`    | how many tokens a text has, where no tokenizer is at hand                  |
| `packing`   | `pack`: the prompt, and what had no room                                   |
| `matching`  | names in texts                                                             |
| `citing`    | `cite`: which facts say the words of an answer                             |
"""

from __future__ import annotations

from retrieval.prompt.citing import Citation, cite
from retrieval.prompt.packing import Packed, fenced, numbered, pack, question_text
from retrieval.prompt.profiles import PROFILES, Profile, profile_of
from retrieval.prompt.sentences import TEMPLATE, absences, sentences, templates_of
from retrieval.prompt.tokens import estimate

__all__ = [
    "PROFILES",
    "TEMPLATE",
    "Citation",
    "Packed",
    "Profile",
    "absences",
    "cite",
    "estimate",
    "fenced",
    "numbered",
    "pack",
    "profile_of",
    "question_text",
    "sentences",
    "templates_of",
]
