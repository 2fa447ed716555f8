"""Publishing private parts: what is public of it, in which order, what a crash leaves, and what is removed when."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.dataset import quads
from dkg.errors import StoreError
from dkg.page import cid_text
from dkg.pages import StoredPages
from dkg.private import Opening, OpeningError, commitment_query, verify_private
from node.http import Scope
from node.private.assets import committed_at
from node.private.keeping import ORPHAN_S, Keeper
from node.private.packed import private_dataset, private_quads
from node.serving import Stage
from node.storage import Operation, backup
from tests.node.http.conftest import bearer, walk
from tests.node.http.world import DEPTH, address, ual
from tests.node.private.site import CANARY, GRANTED, OTHER, PRIVATE, PUBLISHER, PrivateSite, graph_of, told

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from dkg.chain.ual import Ual

AIR, DIARY = ual(0, "air"), ual(0, "diary")
CAR = "application/vnd.ipld.car"
EVERYTHING = "SELECT * { ?s ?p ?o }"


def committed(site: PrivateSite, asset: Ual) -> bytes | None:
    root = site.node.standing((address(0),)).root
    return committed_at(StoredPages(site.node.store.pages), root, asset)


def events(site: PrivateSite) -> list[tuple[str, dict[str, Any]]]:
    return [one for one in site.log if one[0].startswith("private")]


def look(site: PrivateSite) -> int:
    def keep(event: str, /, **fields: object) -> None:
        site.log.append((event, fields))

    return asyncio.run(Keeper(site.vault, site.node, site.clock, keep).look())


def settle(site: PrivateSite) -> None:
    """Blocks on top, until what is there is final."""
    for _ in range(DEPTH):
        site.node.mine()
    site.clock.now = site.node.block.time + 30


def read(site: PrivateSite, key: bytes, asset: Ual = AIR) -> httpx.Response:
    return site.get(f"/v1/assets/{asset}/private", headers=site.session(key))


# --- what is public ------------------------------------------------------------------------------------------------


def test_what_is_public_of_a_private_part_is_one_statement(shared: PrivateSite) -> None:
    root = shared.node.standing((address(0),)).root
    public = {quad for batch in quads(StoredPages(shared.node.store.pages), root) for quad in batch}
    assert not [quad for quad in public if CANARY.encode() in b" ".join(quad)]
    of_diary = sorted(quad[1].decode() for quad in public if quad[3] == DIARY.provenance_graph)
    assert "<urn:dkg:term:privateCommitment>" in of_diary
    assert [quad for quad in public if quad[3] == DIARY.graph] == []
    objects = [quad[2] for quad in public if quad[1] == b"<urn:dkg:term:privateCommitment>"]
    assert len(objects) == len({len(term) for term in objects}) + 1 == 2  # two, of one length


def test_no_page_that_peers_can_get_is_private(shared: PrivateSite) -> None:
    store = shared.node.store.pages
    assert all(not checked.problems for checked in store.check_pages())
    secrets = [one for one in shared.secrets() if not one.startswith(b"bafy")]
    for kept in shared.node.store.kept():
        car = shared.get(f"/ipfs/{cid_text(kept.root)}?format=car").content
        assert car
        assert not [one for one in (*secrets, CANARY.encode()) if one in car]
    for entry in shared.node.log.entries:
        said = repr(entry).encode() + entry.commit.root
        assert not [one for one in secrets if one in said]


def test_files_outside_the_vault_have_no_private_byte(shared: PrivateSite) -> None:
    secrets = [*shared.secrets(), CANARY.encode()]
    for path in shared.node.store.directory.rglob("*"):
        if path.is_file() and "private" not in path.parts[-2:]:
            data = path.read_bytes()
            assert not [one for one in secrets if one in data], path


def test_equal_private_parts_look_unequal_and_a_changed_one_as_an_unchanged_one(own: PrivateSite) -> None:
    for name in ("one", "two"):
        assert own.put(name, PRIVATE).status_code == 202
    one, two = committed(own, ual(0, "one")), committed(own, ual(0, "two"))
    assert one != two
    before = own.node.standing((address(0),)).root
    assert own.put("one", PRIVATE + "<https://e.org/s> <https://e.org/p> 1 .").status_code == 202
    assert committed(own, ual(0, "one")) not in {one, two}
    pages = StoredPages(own.node.store.pages)
    went, came = zip(*dkg.diff(pages, before, own.node.standing((address(0),)).root), strict=True)
    changed = {quad[1] for part in (*went, *came) for quad in part}
    assert changed <= {b"<urn:dkg:term:privateCommitment>", b"<http://purl.org/dc/terms/modified>"}


def test_the_same_private_part_again_changes_nothing(own: PrivateSite) -> None:
    before = committed(own, AIR), own.node.standing((address(0),)).root, len(own.vault.versions())
    assert own.put("air", PRIVATE).status_code == 202
    assert (committed(own, AIR), own.node.standing((address(0),)).root, len(own.vault.versions())) == before


def test_publishing_the_public_content_again_keeps_the_private_part(own: PrivateSite) -> None:
    before = committed(own, AIR)
    response = own.post(
        "/v1/assets", params={"name": "air"}, content=b"<https://e.org/s> <https://e.org/p> 2 .",
        headers={"Content-Type": "text/turtle", **bearer(Scope.PUBLISH)},
    )  # fmt: skip
    assert response.status_code == 202
    assert committed(own, AIR) == before
    assert CANARY in read(own, GRANTED).text


# --- checking it elsewhere -----------------------------------------------------------------------------------------


def proved(site: PrivateSite, key: bytes, asset: Ual = AIR, query: str = EVERYTHING) -> tuple[Opening, bytes, str]:
    fields = {"query": query, "private": str(asset), "scope": "private"}
    response = site.get("/sparql", params=fields, headers={"Accept": CAR, **site.session(key)})
    assert response.status_code == 200
    return Opening.parse(response.headers["dkg-opening"]), response.content, response.headers["dkg-base"]


def public_answer(site: PrivateSite, asset: Ual = AIR) -> dkg.VerifiedAnswer:
    """With the publisher's root, which a client has from the chain."""
    query, root = commitment_query(asset), site.node.standing((address(0),)).root
    fields = {"query": query, "publisher": f"0x{address(0).hex()}"}
    response = site.get("/sparql", params=fields, headers={"Accept": CAR})
    return dkg.verify(response.content, query, root, base_iri=response.headers["dkg-base"])


def test_a_reader_checks_its_answer_with_nothing_but_the_publishers_root(shared: PrivateSite) -> None:
    opening, car, base = proved(shared, GRANTED)
    found = verify_private(public_answer(shared), AIR, opening, car, EVERYTHING, base_iri=base)
    assert len(found.answer.rows) == 3
    assert CANARY.encode() in found.answer.serialize("csv")
    nothing = "SELECT ?o { <https://example.org/nobody> ?p ?o }"
    opening, car, base = proved(shared, GRANTED, query=nothing)
    absent = verify_private(public_answer(shared), AIR, opening, car, nothing, base_iri=base)
    assert absent.answer.provably_nothing


def test_a_node_that_shows_another_private_part_is_found_out(own: PrivateSite) -> None:
    old = proved(own, GRANTED)
    diary = proved(own, OTHER, DIARY)
    own.put("air", PRIVATE + "<https://e.org/s> <https://e.org/p> 1 .")
    public = public_answer(own)
    for opening, car, base in (old, diary):
        with pytest.raises(OpeningError):
            verify_private(public, AIR, opening, car, EVERYTHING, base_iri=base)
    opening, car, base = proved(own, GRANTED)
    assert len(verify_private(public, AIR, opening, car, EVERYTHING, base_iri=base).answer.rows) == 4


def test_a_version_is_read_as_of_the_moment_that_is_asked(own: PrivateSite) -> None:
    old = own.node.standing((address(0),)).root
    own.put("air", '<https://e.org/s> <https://e.org/p> "newer" .')
    shown = own.session(GRANTED)
    fields = {"query": "SELECT ?o { ?s ?p ?o }", "private": str(AIR), "scope": "private"}
    assert "newer" in own.get("/sparql", params=fields, headers=shown).text
    fields["at"] = f"root:{cid_text(old)}"
    then = own.get("/sparql", params=fields, headers=shown)
    assert CANARY in then.text
    assert "newer" not in then.text
    assert then.headers["cache-control"] == "private, no-store"


# --- order, crashes, and what is removed -----------------------------------------------------------------------------


def test_a_private_part_is_on_the_disk_before_its_commitment_is_published(
    own: PrivateSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    publish = own.node.commit_private

    async def publishing(ticket: Any, name: str, committed: str | None) -> Operation:  # noqa: ANN401
        staged = [one for one in own.vault.versions() if one.ual == str(ual(0, "new"))]
        seen.append(own.vault._path(staged[0].commitment).exists())
        return await publish(ticket, name, committed)

    monkeypatch.setattr(own.node, "commit_private", publishing)
    assert own.put("new", PRIVATE).status_code == 202
    assert seen == [True]


def test_what_cannot_be_published_is_not_kept(own: PrivateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(ticket: Any, name: str, committed: str | None) -> Operation:  # noqa: ANN401
        raise StoreError(f"the disk is gone: {ticket}, {name}, {committed}")

    before = len(own.vault.versions())
    monkeypatch.setattr(own.node, "commit_private", failing)
    assert own.put("new", PRIVATE).status_code == 503
    assert len(own.vault.versions()) == before
    assert len(list(own.vault.directory.glob("*.part"))) == before


@pytest.mark.parametrize(("age_s", "kept"), [(ORPHAN_S, True), (ORPHAN_S + 1, False)])
def test_a_private_part_whose_commit_never_came_is_collected(own: PrivateSite, age_s: int, *, kept: bool) -> None:
    """The node was killed between the vault and the journal."""
    orphan = own.vault.stage(AIR, private_dataset(AIR, private_quads(AIR, b'<urn:s> <urn:p> "x" .')))
    for one in own.node.operations(100):
        own.node.finish(one.id)
    look(own)
    own.clock.now = orphan.staged + age_s
    look(own)
    assert (own.vault.version(orphan.commitment) is not None) is kept
    assert own.vault._path(orphan.commitment).exists() is kept
    assert CANARY in read(own, GRANTED).text


def test_a_private_part_whose_operation_waits_is_kept_however_long(own: PrivateSite) -> None:
    waiting = own.vault.stage(AIR, private_dataset(AIR, private_quads(AIR, b'<urn:s> <urn:p> "x" .')))
    body = json.dumps({"asset": str(AIR), "digest": ""}).encode()
    own.node.store.operations.put(Operation("it", "publish", Stage.RUNNING, 1, 1, body))
    settle(own)
    own.clock.now += 10 * ORPHAN_S
    look(own)
    assert own.vault.version(waiting.commitment) is not None
    for one in own.node.operations(100):
        own.node.finish(one.id)
    look(own)
    assert own.vault.version(waiting.commitment) is None


def test_an_older_version_goes_when_the_newer_one_is_final(own: PrivateSite) -> None:
    old = own.version("air")
    look(own)
    own.put("air", '<https://e.org/s> <https://e.org/p> "newer" .')
    for one in own.node.operations(100):
        own.node.finish(one.id)
    look(own)
    assert own.vault.version(old.commitment) is not None
    settle(own)
    assert look(own) == 1
    assert own.vault.version(old.commitment) is None
    assert "newer" in read(own, GRANTED).text
    assert events(own) == [("private_removed", {"versions": 1})]


def test_retracting_removes_the_private_quads_and_the_grants(own: PrivateSite) -> None:
    look(own)
    shown = own.session(GRANTED)
    assert own.ask("DELETE", f"/v1/assets/{AIR}", headers=bearer(Scope.PUBLISH)).status_code == 202
    assert own.get(f"/v1/assets/{AIR}/private", headers=shown).status_code == 404  # at once
    for one in own.node.operations(100):
        own.node.finish(one.id)
    settle(own)
    look(own)
    assert {one.ual for one in own.vault.versions()} == {str(DIARY)}
    assert {one.whose for one in own.vault.grants()} == {str(DIARY)}
    assert len(list(own.vault.directory.glob("*.part"))) == 1
    own.put("air", PRIVATE)
    assert own.get(f"/v1/assets/{AIR}/private", headers=shown).status_code == 404  # nobody was granted this one
    assert CANARY in read(own, PUBLISHER).text


def test_a_private_part_is_taken_back_and_the_public_content_stays(own: PrivateSite) -> None:
    look(own)
    shown = own.session(GRANTED)
    path = f"/v1/assets/{AIR}/private"
    assert own.ask("DELETE", path, headers=bearer(Scope.PUBLISH)).status_code == 202
    assert own.get(path, headers=shown).status_code == 404
    assert own.get(f"/v1/assets/{AIR}").status_code == 200
    for one in own.node.operations(100):
        own.node.finish(one.id)
    settle(own)
    assert look(own) == 1
    assert own.ask("DELETE", path, headers=bearer(Scope.PUBLISH)).json()["code"] == "asset-refused"


# --- requests ------------------------------------------------------------------------------------------------------


def test_a_request_that_is_sent_again_asks_for_nothing(own: PrivateSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for no private part any more is asked for in the same way: it is not to be mistaken for it."""
    key = {"Idempotency-Key": "once"}
    first = own.put("new", PRIVATE, headers=key)
    monkeypatch.setattr(own.node, "commit_private", None)
    again = own.put("new", PRIVATE, headers=key)
    assert (again.status_code, again.json()["id"]) == (first.status_code, first.json()["id"])
    assert own.put("new", PRIVATE + "<urn:a> <urn:b> 1 .", headers=key).json()["code"] == "operation-conflict"


def test_an_idempotency_key_is_good_for_one_private_part_and_its_digest_is_keyed(own: PrivateSite) -> None:
    key = {"Idempotency-Key": "a-key"}
    first = own.put("new", PRIVATE, headers=key)
    again = own.put("new", PRIVATE, headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert len([one for one in own.vault.versions() if one.ual.endswith("/new")]) == 1
    other = own.put("new", PRIVATE + "<urn:a> <urn:b> 1 .", headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "operation-conflict")
    operation = own.node.operation(first.json()["id"])
    assert operation is not None
    data = b"\0".join([b"private", str(ual(0, "new")).encode(), b"text/turtle", PRIVATE.encode()])
    assert json.loads(operation.body)["digest"] == own.vault.keyed(data).hex()
    assert CANARY not in operation.body.decode()


@pytest.mark.parametrize(
    ("turtle", "code"),
    [
        ("this is no turtle", "rdf-invalid"),
        ("", "asset-refused"),
    ],
)
def test_what_is_wrong_with_a_private_document_is_told_to_its_publisher_alone(
    own: PrivateSite, turtle: str, code: str
) -> None:
    response = own.put("new", turtle)
    assert response.json()["code"] == code
    assert "this is no" not in repr(own.log)
    assert not [one for one in own.vault.versions() if one.ual.endswith("/new")]


def test_a_private_document_in_another_graph_is_refused(own: PrivateSite) -> None:
    line = f"<urn:s> <urn:p> <urn:o> <{AIR}> .".encode()
    headers = {"Content-Type": "application/n-quads", **bearer(Scope.PUBLISH)}
    response = own.ask("PUT", f"/v1/assets/{AIR}/private", content=line, headers=headers)
    assert response.json()["code"] == "asset-refused"
    line = f"<urn:s> <urn:p> <urn:o> {graph_of(AIR)} .".encode()
    assert own.ask("PUT", f"/v1/assets/{AIR}/private", content=line, headers=headers).status_code == 202


def test_a_private_part_of_somebody_elses_asset_is_not_kept(own: PrivateSite) -> None:
    before = len(own.vault.versions())
    other = own.ask(
        "PUT", f"/v1/assets/{str(AIR).replace('31337', '1')}/private", content=b"<urn:s> <urn:p> 1 .",
        headers={"Content-Type": "text/turtle", **bearer(Scope.PUBLISH)},
    )  # fmt: skip
    assert (other.status_code, other.json()["code"]) == (404, "asset-unknown")
    own.node.own = None
    assert own.put("air", "<urn:s> <urn:p> 1 .").json()["code"] == "no-key"
    assert len(own.vault.versions()) == before


@pytest.mark.parametrize("scope", [None, *(scope for scope in Scope if scope is not Scope.GRANT)])
def test_grants_are_for_the_scope_that_is_for_them(shared: PrivateSite, scope: Scope | None) -> None:
    headers = {} if scope is None else bearer(scope)
    before = shared.vault.grants()
    given = {"reader": "0x" + "11" * 20, "asset": str(AIR)}
    for method in ("GET", "PUT", "DELETE"):
        response = shared.ask(method, "/v1/grants", params=given, headers=headers)
        assert response.status_code == (401 if scope is None else 403)
        assert CANARY.encode() not in told(response)
    assert shared.vault.grants() == before


@pytest.mark.parametrize(
    "given",
    [
        {"reader": "0x" + "11" * 20},
        {"reader": "0x" + "11" * 20, "asset": str(AIR), "publisher": "0x" + "22" * 20},
        {"reader": "0x" + "11" * 20, "asset": "air"},
        {"reader": "0x" + "11" * 20, "asset": str(AIR).replace("31337", "1")},
        {"reader": "11" * 20, "asset": str(AIR)},
    ],
)
def test_a_grant_names_one_reader_and_one_thing_to_read(shared: PrivateSite, given: dict[str, str]) -> None:
    response = shared.ask("PUT", "/v1/grants", params=given, headers=bearer(Scope.GRANT))
    assert (response.status_code, response.json()["code"]) == (400, "parameter-invalid")


def test_all_private_parts_of_a_publisher_are_granted_at_once(own: PrivateSite) -> None:
    given = {"reader": f"0x{address(3).hex()}", "publisher": f"0x{address(0).hex()}"}
    made = own.ask("PUT", "/v1/grants", params=given, headers=bearer(Scope.GRANT)).json()
    assert made["whose"] == AIR.publisher.prefix
    own.headers |= bearer(Scope.GRANT)
    assert len(walk(own, "/v1/grants?limit=2")) == 5
    assert own.ask("DELETE", "/v1/grants", params=given, headers=bearer(Scope.GRANT)).json() == {"revoked": True}


def test_what_was_taken_back_is_not_read_as_of_an_older_moment_either(own: PrivateSite) -> None:
    old, shown = own.node.standing((address(0),)).root, own.session(GRANTED)
    fields = {"query": EVERYTHING, "at": f"root:{cid_text(old)}", "publisher": f"0x{address(0).hex()}"}
    for private in ({"private": str(AIR)}, {"private": str(AIR), "scope": "private"}, {"private": "all"}):
        assert CANARY in own.get("/sparql", params=fields | private, headers=shown).text
    own.ask("DELETE", f"/v1/assets/{AIR}", headers=bearer(Scope.PUBLISH))
    assert own.vault.load(own.version("air")).count == 3  # it is still here, until that is final
    for private in ({"private": str(AIR)}, {"private": str(AIR), "scope": "private"}, {"private": "all"}):
        response = own.get("/sparql", params=fields | private, headers=shown)
        assert response.status_code == (200 if private == {"private": "all"} else 404)
        assert CANARY not in response.text


def test_a_backup_has_nothing_private(shared: PrivateSite, tmp_path: Path) -> None:
    secrets = [*shared.secrets(), CANARY.encode()]
    copied = backup(shared.node.store.directory, tmp_path / "copy")
    assert copied.roots
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["pages.db", "state.db"]
    for path in (tmp_path / "copy").iterdir():
        assert not [one for one in secrets if one in path.read_bytes()]


def test_what_is_private_counts_nowhere(own: PrivateSite) -> None:
    def figures() -> tuple[int, int]:
        usage = own.node.store.usage()
        return usage.other, usage.used - usage.pages - usage.logs - usage.state

    before = figures()
    many = "".join(f'<urn:s{number}> <urn:p> "{number}" .' for number in range(2_000))
    own.vault.stage(AIR, private_dataset(AIR, private_quads(AIR, many.replace(" .", " .\n").encode())))
    assert figures() == before


def test_a_private_document_has_so_many_bytes_and_no_more(own: PrivateSite) -> None:
    turtle = '<urn:s> <urn:p> "x" .'
    assert own.made_with(document_bytes=len(turtle)).put("new", turtle).status_code == 202
    refused = own.made_with(document_bytes=len(turtle) - 1).put("new", turtle)
    assert (refused.status_code, refused.json()["code"]) == (413, "body-too-large")
