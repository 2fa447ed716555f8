"""The catalogue of mutations: everything that can be done to a proof on its way to the verifier.

A mutation takes a proof and gives a case for the verifier, which must refuse it or, where the question was
changed with the proof, give the right answer to that question. One that has nothing to work on gives None.
"""

from __future__ import annotations

from tests.mutation import of_blocks, of_files, of_questions
from tests.mutation.attack import MUTATIONS, Attack, attack, twice

__all__ = ["MUTATIONS", "Attack", "attack", "of_blocks", "of_files", "of_questions", "twice"]
