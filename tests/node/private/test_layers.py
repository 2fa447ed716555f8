"""Access is enforced twice, and each of the two is enough: what a worker is handed, and what its engine may see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from dkg.car import read_car
from dkg.errors import LimitError, ProofError, StoreError
from dkg.pages import StoredPages
from dkg.private import private_graph
from node.private import assets as assets_module
from node.private import audience as module
from node.private.audience import Audiences
from node.workers.errors import WorkerCrashedError
from node.workers.inprocess import InProcess
from node.workers.jobs import EVERY_GRAPH, Plain, Prove, is_private
from node.workers.pool import Workers
from node.workers.settings import Settings
from tests.node.http.world import ual
from tests.node.private.site import CANARY, GRANTED, OTHERS, private_site, who

if TYPE_CHECKING:
    from node.private.audience import Audience
    from node.workers.jobs import Job, Result
    from tests.node.private.site import PrivateSite

AIR, DIARY = ual(0, "air"), ual(0, "diary")
EVERYTHING = ("SELECT * { ?s ?p ?o }", "SELECT * { GRAPH ?g { ?s ?p ?o } }")


def made(site: PrivateSite, *names: str) -> tuple[bytes, Audience]:
    """The union's root, and an audience of some private parts."""
    root = site.node.standing(None).root
    parts = [site.vault.load(site.version(name)) for name in names]
    return root, Audiences().made(StoredPages(site.node.store.pages), root, parts)


def answer(site: PrivateSite, job: Job) -> str:
    runner = InProcess(site.node.store.pages)
    try:
        return runner.run_sync(job, client="x").body.decode()
    finally:
        runner.close()


@pytest.mark.parametrize("query", EVERYTHING)
def test_what_a_worker_is_handed_has_nothing_else_that_is_private(shared: PrivateSite, query: str) -> None:
    """The first layer, with the second taken away."""
    _, audience = made(shared, "air")
    shown = answer(
        shared, Plain(root=audience.root, text=query, allowed=EVERY_GRAPH, view=None, overlay=audience.car, table="csv")
    )
    assert CANARY in shown
    assert OTHERS not in shown
    assert OTHERS.encode() not in audience.car


@pytest.mark.parametrize("query", EVERYTHING)
def test_what_the_engine_may_see_is_named_to_it(shared: PrivateSite, query: str) -> None:
    """The second layer, with the first broken: the worker is handed another's private part as well."""
    root, audience = made(shared, "air", "diary")
    assert OTHERS.encode() in audience.car
    graphs = Audiences().public_graphs(StoredPages(shared.node.store.pages), root)
    allowed = graphs | {private_graph(AIR)}
    shown = answer(
        shared, Plain(root=audience.root, text=query, allowed=allowed, view=None, overlay=audience.car, table="csv")
    )
    assert CANARY in shown
    assert OTHERS not in shown


def test_both_kinds_of_graphs_are_named_in_each_job(shared: PrivateSite) -> None:
    jobs: list[Job] = []

    class Seeing(InProcess):
        async def run(self, job: Job, *, client: str) -> Result:
            jobs.append(job)
            return await super().run(job, client=client)

    runner = Seeing(shared.node.store.pages)
    site = private_site(shared.node, runner, shared.vault, shared.clock)
    shown = site.session(GRANTED)
    site.get("/sparql", params={"query": "ASK {}", "private": "all"}, headers=shown)
    site.get("/sparql", params={"query": "ASK {}", "private": str(AIR), "scope": "private"}, headers=shown)
    graph = private_graph(AIR)[1:-1].decode()
    for name in ("default-graph-uri", "named-graph-uri"):
        other = private_graph(DIARY)[1:-1].decode()
        fields = {"query": "ASK {}", "private": "all", name: [graph, other]}
        site.get("/sparql", params=fields, headers=shown)
    runner.close()
    assert len(jobs) == 4
    for job in jobs:
        assert isinstance(job, Plain)
        assert job.allowed is not EVERY_GRAPH
        assert private_graph(AIR) in job.allowed
        assert private_graph(DIARY) not in job.allowed
        assert job.view is None
        assert is_private(job)


def test_an_audience_is_kept_for_just_what_it_is_made_of(shared: PrivateSite) -> None:
    pages, root = StoredPages(shared.node.store.pages), shared.node.standing(None).root
    air, diary = (shared.vault.load(shared.version(name)) for name in ("air", "diary"))
    audiences = Audiences()
    roots = [audiences.made(pages, root, parts).root for parts in ([air], [diary], [air, diary], [diary, air], [])]
    assert len(set(roots)) == 4
    assert roots[2] == roots[3]
    assert roots[4] == root
    assert audiences.made(pages, root, [air]) is audiences.made(pages, root, [air])


def test_audiences_that_are_kept_are_bounded(shared: PrivateSite) -> None:
    pages, root = StoredPages(shared.node.store.pages), shared.node.standing(None).root
    air, diary = (shared.vault.load(shared.version(name)) for name in ("air", "diary"))
    size = len(Audiences().made(pages, root, [air]).car)
    audiences = Audiences(bytes_kept=size)
    for parts in ([air], [diary], [air, diary]):
        audiences.made(pages, root, parts)
    assert sum(len(one.car) for one in audiences._made.values()) <= size


def test_an_audience_has_so_many_private_quads_and_no_more(
    shared: PrivateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AUDIENCE_QUADS_MAX", 3)
    assert made(shared, "air")
    with pytest.raises(LimitError, match="4 private quads"):
        made(shared, "air", "diary")


def test_an_audience_has_so_many_bytes_and_no_more(shared: PrivateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    _, audience = made(shared, "air")
    size = sum(map(len, read_car(audience.car, audience.root, 1_000).values()))
    monkeypatch.setattr(module, "PRIVATE_BYTES_MAX", size)
    assert made(shared, "air")[1].root == audience.root
    monkeypatch.setattr(module, "PRIVATE_BYTES_MAX", size - 1)
    with pytest.raises(LimitError, match="scope=private"):
        made(shared, "air")


def test_a_public_dataset_with_too_many_graphs_is_asked_by_naming_some(
    own: PrivateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = own.node.standing(None).root
    count = len(Audiences().public_graphs(StoredPages(own.node.store.pages), root))
    shown = own.session(GRANTED)
    fields = {"query": "SELECT * { ?s ?p ?o }", "private": "all"}
    monkeypatch.setattr(module, "GRAPHS_MAX", count)
    assert own.get("/sparql", params=fields, headers=shown).status_code == 200
    own.assets.audiences = Audiences()
    monkeypatch.setattr(module, "GRAPHS_MAX", count - 1)
    refused = own.get("/sparql", params=fields, headers=shown)
    assert (refused.status_code, refused.json()["code"]) == (413, "limit-exceeded")
    fields["default-graph-uri"] = private_graph(AIR)[1:-1].decode()
    assert CANARY in own.get("/sparql", params=fields, headers=shown).text


def test_one_query_asks_so_many_private_parts_and_no_more(own: PrivateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = own.session(GRANTED)
    names = [str(AIR), str(ual(0, "b"))]
    monkeypatch.setattr(assets_module, "READ_AT_ONCE_MAX", 1)
    one = own.get("/sparql", params={"query": "ASK {}", "private": names[:1]}, headers=shown)
    assert one.status_code == 200
    two = own.get("/sparql", params={"query": "ASK {}", "private": names}, headers=shown)
    assert two.json()["code"] == "limit-exceeded"
    many = [str(ual(0, f"a{number}")) for number in range(65)]
    assert own.get("/sparql", params={"query": "ASK {}", "private": many}).json()["code"] == "parameter-invalid"


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "private"},
        {"scope": "public", "private": str(AIR)},
        {"scope": "private", "private": "all"},
        {"scope": "private", "private": [str(AIR), str(DIARY)]},
        {"private": ["all", str(AIR)]},
        {"private": ""},
        {"private": "air"},
        {"private": str(AIR) + "#private"},
    ],
)
def test_what_is_asked_wrongly_is_told_before_anybody_is_known(shared: PrivateSite, fields: dict[str, Any]) -> None:
    response = shared.get("/sparql", params={"query": "ASK {}", **fields})
    assert (response.status_code, response.json()["code"]) == (400, "parameter-invalid")


# --- workers -----------------------------------------------------------------------------------------------------


def test_a_worker_that_was_handed_private_pages_is_replaced(shared: PrivateSite) -> None:
    _, audience = made(shared, "air")
    question: dict[str, Any] = {"text": EVERYTHING[0], "allowed": EVERY_GRAPH, "view": None}
    private = Plain(root=audience.root, overlay=audience.car, **question)
    public = Plain(root=shared.node.standing(None).root, **question)

    async def main() -> None:
        async with Workers(shared.node.store.directory, Settings(workers=1)) as workers:
            started = workers.state().started
            for _ in range(3):
                await workers.run(public, client="x")
            assert workers.state().started == started
            assert CANARY.encode() in (await workers.run(private, client="x")).body
            with pytest.raises(StoreError):  # the same root without its pages: nobody has kept them
                await workers.run(Plain(root=audience.root, **question), client="y")
            assert workers.state().started > started

    asyncio.run(main())


def test_pages_that_come_with_a_job_are_those_of_its_root_or_none(shared: PrivateSite) -> None:
    root, audience = made(shared, "air")
    with pytest.raises(ProofError, match="for root"):
        answer(shared, Plain(root=root, text="ASK {}", allowed=EVERY_GRAPH, view=None, overlay=audience.car))
    evil = audience.car.replace(CANARY.encode(), CANARY[::-1].encode())
    with pytest.raises(ProofError):
        answer(shared, Prove(root=audience.root, text=EVERYTHING[0], overlay=evil))


def test_what_a_worker_says_when_it_dies_of_private_pages_is_not_kept(shared: PrivateSite) -> None:
    class Dying(InProcess):
        async def run(self, job: Job, *, client: str) -> Result:
            if is_private(job):
                raise WorkerCrashedError(f"it died of {CANARY}", CANARY)
            return await super().run(job, client=client)

    class Faulty(InProcess):
        async def run(self, job: Job, *, client: str) -> Result:
            if is_private(job):
                raise RuntimeError(CANARY)
            return await super().run(job, client=client)

    class Damaged(InProcess):
        async def run(self, job: Job, *, client: str) -> Result:
            if is_private(job):
                raise ProofError(CANARY) from StoreError(CANARY)
            return await super().run(job, client=client)

    for kind, code in ((Dying, "worker-crashed"), (Faulty, "internal"), (Damaged, "data-damaged")):
        runner = kind(shared.node.store.pages)
        site = private_site(shared.node, runner, shared.vault, shared.clock)
        response = site.get(f"/v1/assets/{AIR}/private", headers=site.session(GRANTED))
        runner.close()
        assert (response.status_code, response.json()["code"]) == (500, code)
        assert site.events("http.fault")
        assert CANARY not in response.text
        assert CANARY not in repr(site.log)


def test_a_damaged_vault_tells_nothing_of_what_is_in_it(own: PrivateSite) -> None:
    version, shown = own.version("air"), own.session(GRANTED)
    own.vault._open.clear()
    path = own.vault._path(version.commitment)
    path.write_bytes(path.read_bytes()[:-1])
    response = own.get(f"/v1/assets/{AIR}/private", headers=shown)
    assert (response.status_code, response.json()["code"]) == (503, "store-unavailable")
    secrets = [version.commitment.hex(), version.salt.hex(), version.root.hex(), CANARY]
    assert not [one for one in secrets if one in response.text + repr(own.log)]


def test_a_grant_that_ends_while_its_query_runs_shows_nothing(own: PrivateSite) -> None:
    class Revoking(InProcess):
        async def run(self, job: Job, *, client: str) -> Result:
            done = await super().run(job, client=client)
            own.vault.revoke(who(GRANTED), str(AIR))
            return done

    runner = Revoking(own.node.store.pages)
    site = private_site(own.node, runner, own.vault, own.clock)
    response = site.get(f"/v1/assets/{AIR}/private", headers=site.session(GRANTED))
    runner.close()
    assert response.status_code == 404
    assert CANARY not in response.text


def test_no_answer_over_private_parts_is_remembered(own: PrivateSite) -> None:
    shown, remembered = own.session(GRANTED), own.app.state.dkg.remembered
    before = remembered.held
    for fields in ({"private": "all"}, {"private": str(AIR)}, {"private": str(AIR), "scope": "private"}):
        for accept in ("text/csv", "application/vnd.ipld.car"):
            own.get("/sparql", params={"query": EVERYTHING[0], **fields}, headers={"Accept": accept, **shown})
    assert remembered.held == before
    own.get("/sparql", params={"query": EVERYTHING[0]}, headers=shown)
    assert remembered.held > before  # what is public is
    for _ in range(2):
        response = own.get("/sparql", params={"query": EVERYTHING[0]}, headers=shown)
        assert CANARY not in response.text


def test_nobody_works_twice_for_an_audience_that_is_too_large(
    shared: PrivateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, root = StoredPages(shared.node.store.pages), shared.node.standing(None).root
    parts = [shared.vault.load(shared.version("air"))]
    audiences = Audiences()
    with monkeypatch.context() as small:
        small.setattr(module, "PRIVATE_BYTES_MAX", 1)
        with pytest.raises(LimitError) as first:
            audiences.made(pages, root, parts)
    with pytest.raises(LimitError) as again:
        audiences.made(pages, root, parts)
    assert str(again.value) == str(first.value)
    assert audiences.made(pages, root, []).root == root
