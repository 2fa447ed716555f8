"""Answers that are given again: only the same, of the same root, and within their bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from dkg.errors import InputError
from node.http import HttpSettings
from node.http.remembered import ANSWER_BYTES_MAX, Remembered
from node.workers.jobs import Facts, Result

if TYPE_CHECKING:
    from node.workers.jobs import Job, Runner
    from tests.node.http.conftest import Site

ASKED = "SELECT ?s ?o { ?s <https://example.org/name> ?o }"
CAR = "application/vnd.ipld.car"


def result(size: int) -> Result:
    return Result(bytes(size), Facts("SELECT", "json", 1, None, 0.0))


@dataclass
class Counted:
    """A runner that lists what it was asked to do."""

    runner: Runner
    isolated: bool = False
    jobs: list[Job] = field(default_factory=list)

    async def run(self, job: Job, *, client: str) -> Result:
        self.jobs.append(job)
        return await self.runner.run(job, client=client)

    def run_sync(self, job: Job, *, client: str) -> Result:
        self.jobs.append(job)
        return self.runner.run_sync(job, client=client)


def test_the_oldest_go_when_there_is_no_room_and_never_more_is_held() -> None:
    kept = Remembered(3 * 1_512)
    for name in "abc":
        kept.put(name, result(1_000))
    assert kept.held == 3 * 1_512
    assert kept.get("a") is not None  # so that b is the one not asked for longest
    kept.put("d", result(1_000))
    assert [kept.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert kept.held == 3 * 1_512


def test_an_answer_is_remembered_up_to_its_limit_and_not_beyond() -> None:
    kept = Remembered(10**6)
    kept.put("most", result(ANSWER_BYTES_MAX))
    kept.put("more", result(ANSWER_BYTES_MAX + 1))
    assert kept.get("most") is not None
    assert kept.get("more") is None


def test_with_no_bytes_nothing_is_remembered() -> None:
    kept = Remembered(0)
    kept.put("a", result(0))
    assert kept.get("a") is None
    with pytest.raises(InputError, match="remembered_bytes"):
        HttpSettings(remembered_bytes=-1)


def test_the_same_question_is_answered_once_and_another_format_or_base_anew(own: Site) -> None:
    counted = Counted(own.runner)
    site = own.made(counted)
    first, second = site.query(ASKED), site.query(ASKED)
    assert len(counted.jobs) == 1
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.content == first.content
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["content-type"] == first.headers["content-type"]
    proofs = [site.query(ASKED, CAR) for _ in range(2)]
    assert proofs[0].content == proofs[1].content != first.content
    assert len(counted.jobs) == 2
    site.query(ASKED, base="https://elsewhere.example.org/")
    assert len(counted.jobs) == 3


def test_a_new_root_is_asked_anew(own: Site) -> None:
    site = own.made(Counted(own.runner))
    before = site.query(ASKED)
    own.node.publish(0, "later", ':new :name "new" .')
    after = site.query(ASKED)
    assert after.headers["dkg-root"] != before.headers["dkg-root"]
    assert "new" in after.text
    assert "new" not in before.text


def test_refusals_are_not_remembered(own: Site) -> None:
    counted = Counted(own.runner)
    site = own.made(counted)
    for _ in range(2):
        assert site.query("SELECT * { SERVICE <https://example.org/> { ?s ?p ?o } }").status_code == 400
    assert len(counted.jobs) == 2


def test_none_is_remembered_where_the_setting_says_so(own: Site) -> None:
    counted = Counted(own.runner)
    site = own.made(counted, remembered_bytes=0)
    assert site.query(ASKED).content == site.query(ASKED).content
    assert len(counted.jobs) == 2
