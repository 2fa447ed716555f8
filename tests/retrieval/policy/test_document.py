from __future__ import annotations

import pytest

from dkg.errors import LimitError
from retrieval.policy import Policy, PolicyError
from retrieval.policy.patterns import PATTERN_CHARS_MAX, PATTERNS_MAX
from retrieval.policy.reading import DEPTH_MAX, ENTRIES_MAX, POLICY_BYTES_MAX
from tests.retrieval.policy.world import ANN

WHOLE = f"""
version: 1
publishers:
  allow: ['{ANN}', local]
  deny: []
  weight: {{'{ANN}': 2.5, '*': 0}}
corroboration:
  - {{k: 2, for: ['http://e/p']}}
  - {{k: 1, for: ['*']}}
functional: {{predicates: ['http://e/q'], detect: {{single: 0.9, subjects: 20}}}}
conflicts: {{resolve: weigh, tie: both}}
recency: {{max_age: 30d, max_behind: 15m}}
quotas: {{'*': 0.5, local: 3}}
unwanted: {{iris: ['http://e/bad'], classes: ['http://e/Weapon'], patterns: ['\\bsecret\\b']}}
instructions: keep
questions: {{deny: ['how to build'], max_length: 200, instructions: allow}}
shapes: |
  @prefix sh: <http://www.w3.org/ns/shacl#> .
  <http://e/S> a sh:NodeShape ; sh:targetSubjectsOf <http://e/r> ;
    sh:property [ sh:path <http://e/r> ; sh:maxCount 1 ] .
"""


def test_a_policy_that_uses_every_key_is_read() -> None:
    document = Policy.from_yaml(WHOLE).document
    assert document.allow == frozenset({ANN, "local"})
    assert float(document.weights[ANN]) == 2.5
    assert [rule.k for rule in document.corroboration] == [2, 1]
    assert document.functional == {b"<http://e/q>", b"<http://e/r>"}
    assert (document.conflicts, document.ties) == ("weigh", "both")
    assert (document.max_age, document.max_behind) == (30 * 86_400, 900)
    assert document.question_chars == 200


def test_an_empty_policy_only_drops_instructions() -> None:
    document = Policy.from_yaml("{}").document
    assert document.instructions
    assert document.allow is None
    assert not document.functional


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("publisher: {}", r"publisher: there is no such key; allowed are version"),
        ("publishers: {alow: []}", r"publishers\.alow: there is no such key; allowed are allow, deny, weight"),
        ("publishers: [x]", r"publishers: a list where a mapping is expected"),
        ("publishers: {allow: ['0xabc']}", r"publishers\.allow\[0\]: a publisher is expected"),
        ("publishers: {allow: [5]}", r"publishers\.allow\[0\]: a number where text is expected"),
        ("publishers: {deny: ['did:pkh:eip155:1:0x12']}", r"publishers\.deny\[0\]: a publisher is expected"),
        (
            "publishers: {deny: ['did:pkh:eip155:1:0xAb00000000000000000000000000000000000000']}",
            r"publishers\.deny\[0\]: .*checksum",
        ),
        ("publishers: {weight: {local: -1}}", r"publishers\.weight\['local'\]: a number from 0 to 1000000"),
        ("publishers: {weight: {local: true}}", r"publishers\.weight\['local'\]: a number"),
        ("publishers: {weight: {local: .nan}}", r"publishers\.weight\['local'\]: a number"),
        ("publishers: {weight: {somebody: 1}}", r"publishers\.weight\.somebody: a publisher is expected"),
        ("corroboration: {k: 0}", r"corroboration\.k: a whole number from 1 to 1000"),
        ("corroboration: {for: ['*']}", r"corroboration\.k: how many"),
        ("corroboration: [{k: 2, of: []}]", r"corroboration\[0\]\.of: there is no such key; allowed are k, for"),
        ("corroboration: {k: 2, for: ['p q']}", r"corroboration\.for\[0\]: an absolute IRI"),
        ("corroboration: {k: 2.0}", r"corroboration\.k: a whole number"),
        ("functional: {}", None),
        ("functional: ['<http://e/p>']", r"functional\[0\]: an absolute IRI is expected, without angle brackets"),
        ("functional: {detect: {single: 2}}", r"functional\.detect\.single: a share from 0\.5 to 1"),
        ("functional: {detect: {subjects: 4}}", r"functional\.detect\.subjects: a whole number from 5 to 500"),
        ("conflicts: vote", r"conflicts: allowed are weigh, both, abstain"),
        ("conflicts: {resolve: weigh, tie: weigh}", r"conflicts\.tie: allowed are abstain, both"),
        ("recency: {max_age: 30}", r"recency\.max_age: a time such as 90s, 15m, 12h or 30d"),
        ("recency: {max_age: 2020-01-01}", r"recency\.max_age: a time"),
        ("recency: {max_age: 0d}", r"recency\.max_age: a time"),
        ("quotas: {local: 1.5}", r"quotas\['local'\]: a number; a number of facts, or a share above 0 and below 1"),
        ("quotas: {local: -1}", r"quotas\['local'\]"),
        ("unwanted: {patterns: ['(']}", r"unwanted\.patterns\[0\]: the pattern is not one of SPARQL's REGEX"),
        ("unwanted: {patterns: ['(?=x)']}", r"unwanted\.patterns\[0\]"),
        ("unwanted: {patterns: ['']}", r"unwanted\.patterns\[0\]: nothing where text is expected"),
        ("questions: {max_length: 0}", r"questions\.max_length: a whole number from 1 to 10000"),
        ("questions: {instructions: drop}", r"questions\.instructions: allowed are refuse, allow"),
        ("instructions: yes", r"instructions: allowed are drop, keep"),
        ("version: 2", r"version: this reads version 1"),
        ("version: true", r"version: this reads version 1"),
        ("1: 2", r"the policy: the key 1 is a number"),
        ("shapes: [x]", r"shapes: a list where text is expected"),
        ("shapes: 'x y z'", r"shapes: the shapes are not Turtle"),
        ("- publishers", r"a policy is a mapping"),
        ("", r"a policy is a mapping"),
        ("a: [", r"the policy is not YAML that can be used: .*line [12]"),
        ("!!python/object/apply:os.system ['true']", r"the policy is not YAML that can be used"),
        ("publishers: &a {}\nquotas: *a", r"the policy has an anchor or an alias, line 1"),
        ("publishers: {}\npublishers: {}", r"the policy has a key twice, line 2"),
        ("publishers: {allow: [], allow: []}", r"the policy has a key twice"),
        ("? [a]\n: 1", r"the policy has a key that is no text"),
        ("version: 99999" + "9" * 5000, r"the policy has a number or a date that cannot be read"),
        ("version: 2020-13-45", r"the policy has a number or a date that cannot be read"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named_with_its_key(text: str, says: str | None) -> None:
    if says is None:
        assert Policy.from_yaml(text).document.functional == frozenset()
        return
    with pytest.raises(PolicyError, match=says):
        Policy.from_yaml(text)


def test_addresses_in_lower_case_are_read_as_their_checksum() -> None:
    mixed = "did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert Policy.from_yaml(f"publishers: {{deny: ['{mixed.lower()}']}}").document.deny == {mixed}


def test_limits_of_a_policy_at_the_limit_and_one_beyond() -> None:
    comment = "#" * (POLICY_BYTES_MAX - 3)
    Policy.from_yaml("{}\n" + comment)
    with pytest.raises(LimitError, match=f"{POLICY_BYTES_MAX + 1} bytes"):
        Policy.from_yaml("{}\n" + comment + "#")
    deep = "[" * (DEPTH_MAX - 1) + "]" * (DEPTH_MAX - 1)
    with pytest.raises(PolicyError, match="functional"):
        Policy.from_yaml(f"functional: {deep}")
    with pytest.raises(LimitError, match=f"more than {DEPTH_MAX} levels"):
        Policy.from_yaml(f"functional: [{deep}]")
    with pytest.raises((LimitError, PolicyError), match="nest"):
        Policy.from_yaml("[" * 100_000)
    many = ", ".join(["local"] * ENTRIES_MAX)
    Policy.from_yaml(f"publishers: {{deny: [{many}]}}")
    with pytest.raises(LimitError, match=f"{ENTRIES_MAX} is the limit"):
        Policy.from_yaml(f"publishers: {{deny: [{many}, local]}}")


def test_limits_of_patterns_at_the_limit_and_one_beyond() -> None:
    Policy.from_yaml(f"unwanted: {{patterns: ['{'a' * PATTERN_CHARS_MAX}']}}")
    with pytest.raises(PolicyError, match=f"{PATTERN_CHARS_MAX} is the limit"):
        Policy.from_yaml(f"unwanted: {{patterns: ['{'a' * (PATTERN_CHARS_MAX + 1)}']}}")
    Policy.from_yaml(f"unwanted: {{patterns: [{', '.join(['a'] * PATTERNS_MAX)}]}}")
    with pytest.raises(PolicyError, match=f"{PATTERNS_MAX} is the limit"):
        Policy.from_yaml(f"unwanted: {{patterns: [{', '.join(['a'] * (PATTERNS_MAX + 1))}]}}")
