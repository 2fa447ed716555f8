"""Questions in words to a node with private parts: nobody's question finds them, not even that of who may read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from node.http.app import context_of
from tests.node.http.knowing import known_of
from tests.node.private.site import CANARY, GRANTED, OTHERS, PUBLISHER, site_with_private_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.node.private.site import PrivateSite

QUESTIONS = (
    "What is the no2 of North?",
    "What is near canary s?",
    "Which things are near North?",
    "How many no2 does North have?",
    "canary 7f3e91 north",
    "canary c0ffee o",
    "What is example org north?",
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, index: Path) -> Iterator[PrivateSite]:
    directory = tmp_path_factory.mktemp("node")
    with site_with_private_parts(directory) as site, known_of(site.node, index=index) as known:
        context_of(site.app).known = known
        yield site


def test_no_question_finds_a_private_part_whoever_asks(asked: PrivateSite, index: Path) -> None:
    secrets = [*asked.secrets(), f"{CANARY}-".encode(), f"{OTHERS}-".encode()]
    facts = 0
    for headers in ({}, asked.session(PUBLISHER), asked.session(GRANTED)):
        for question in QUESTIONS:
            answer = asked.post("/v1/retrieve", json={"question": question, "tokens": 2_000}, headers=headers)
            assert answer.status_code == 200, answer.text
            found = answer.json()
            facts += len(found["facts"])
            listed = asked.get(f"/v1/proofs/{found['proof']}", headers=headers)
            told = answer.content + listed.content
            for one in listed.json()["proofs"]:
                told += asked.get(f"/v1/proofs/{found['proof']}/{one['number']}", headers=headers).content
            assert [secret for secret in secrets if secret in told] == []
    assert facts  # it does answer
    kept = b"".join(path.read_bytes() for path in index.rglob("*") if path.is_file())
    assert kept
    assert [secret for secret in secrets if secret in kept] == []
