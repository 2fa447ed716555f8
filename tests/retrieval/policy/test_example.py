from __future__ import annotations

import re

from retrieval.policy import Policy
from tests.tidy import ROOT


def test_the_example_of_the_documentation_is_a_policy() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    document = Policy.from_yaml(example).document
    assert document.weights["*"] == 0
    assert document.corroboration[0].k == 2
    assert [shape.path for shape in document.shapes] == [b"<http://schema.org/birthDate>"]
    assert document.question_chars == 300
