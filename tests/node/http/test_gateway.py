"""`/ipfs/`: the trustless gateway's specification, and that what is sent is what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.car import car_header, read_car
from dkg.page import cid_bytes, cid_of, cid_text
from dkg.pages import MemoryPageStore, StoredPages
from dkg.scan import scan
from node.http.gateway import PROBE
from tests.node.http.conftest import site_of
from tests.node.http.world import address

if TYPE_CHECKING:
    from tests.node.http.conftest import Site

RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
NOTHING = cid_text(b"\x01\x71\x12\x20" + bytes(32))


def root_of(site: Site) -> str:
    return cid_text(site.node.standing(None).root)


@pytest.mark.parametrize("how", [{"params": {"format": "raw"}}, {"headers": {"Accept": RAW}}])
def test_a_block(site: Site, how: Any) -> None:  # noqa: ANN401
    cid = root_of(site)
    response = site.get(f"/ipfs/{cid}", **how)
    assert response.status_code == 200
    assert cid_of(response.content) == cid_bytes(cid)
    assert response.headers["content-type"] == RAW
    assert response.headers["etag"] == f'"{cid}.raw"'
    assert response.headers["content-disposition"] == f'attachment; filename="{cid}.bin"'
    assert response.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-ipfs-path"] == f"/ipfs/{cid}"


@pytest.mark.parametrize(
    "how", [{"params": {"format": "car"}}, {"headers": {"Accept": f"{CAR}; version=1; order=dfs; dups=n"}}]
)
def test_a_whole_dataset(site: Site, how: Any) -> None:  # noqa: ANN401
    cid = root_of(site)
    response = site.get(f"/ipfs/{cid}", **how)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert response.headers["content-disposition"] == f'attachment; filename="{cid}.car"'
    blocks = read_car(response.content, cid_bytes(cid), 10_000)
    assert all(cid_of(raw) == name for name, raw in blocks.items())
    store = MemoryPageStore()
    store.put_many(blocks.items())
    dataset = StoredPages(store).root(cid_bytes(cid))
    assert [sum(map(len, scan(StoredPages(store), tree))) for tree in dataset.trees] == [33] * 4
    assert dkg.query(store, cid, "ASK { ?s <https://example.org/name> 'Ada' }").boolean is True


def test_depth_first_and_in_pieces(own: Site) -> None:
    own.node.publish(0, "much", " ".join(f":s{number} :p{number % 7} {number} ." for number in range(3000)))
    cid = root_of(own)
    blocks = read_car(own.get(f"/ipfs/{cid}?format=car").content, cid_bytes(cid), 100_000)
    expected: list[bytes] = []

    def visit(name: bytes) -> None:
        if name not in expected:
            expected.append(name)
            page = StoredPages(own.node.store.pages).page(name)
            for link in [*getattr(page, "trees", ()), *getattr(page, "children", ())]:
                visit(link)

    visit(cid_bytes(cid))
    assert list(blocks) == expected
    assert len(blocks) > 500


@pytest.mark.parametrize("scope", ["block", "entity"])
def test_a_car_of_one_block(site: Site, scope: str) -> None:
    cid = root_of(site)
    response = site.get(f"/ipfs/{cid}?format=car&dag-scope={scope}")
    assert list(read_car(response.content, cid_bytes(cid), 10)) == [cid_bytes(cid)]
    assert response.headers["etag"] != site.get(f"/ipfs/{cid}?format=car").headers["etag"]
    assert site.get(f"/ipfs/{cid}?format=car&entity-bytes=0:*").content == response.content


@pytest.mark.parametrize("form", ["raw", "car"])
def test_head_is_get_without_a_body(site: Site, form: str) -> None:
    where = f"/ipfs/{root_of(site)}?format={form}"
    get, head = site.get(where), site.ask("HEAD", where)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "etag", "cache-control", "content-disposition"):
        assert head.headers[name] == get.headers[name]
    assert site.ask("HEAD", f"/ipfs/{NOTHING}?format={form}").status_code == 404


@pytest.mark.parametrize("form", ["raw", "car"])
def test_what_the_client_has_is_not_sent(site: Site, form: str) -> None:
    where = f"/ipfs/{root_of(site)}?format={form}"
    tag = site.get(where).headers["etag"]
    response = site.get(where, headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")


def test_the_probe(site: Site) -> None:
    raw, car = site.get(f"/ipfs/{PROBE}?format=raw"), site.get(f"/ipfs/{PROBE}?format=car")
    assert (raw.status_code, raw.content) == (200, b"")
    assert (car.status_code, car.content) == (200, car_header(b"\x01\x55\x00\x00"))
    assert site.ask("HEAD", f"/ipfs/{PROBE}?format=raw").status_code == 200


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Accept": "*/*"}, ""),
        ({"Accept": "text/html"}, ""),
        ({"Accept": "application/octet-stream"}, ""),
        ({"Accept": "application/vnd.ipld.dag-cbor"}, ""),
        ({"Accept": f"{RAW};q=0"}, ""),
        ({"Accept": f"{CAR};version=2"}, ""),
        ({"Accept": f"{CAR};order=foo"}, ""),
        ({"Accept": RAW}, "?format=tar"),
        ({}, "?format=car&car-version=2"),
        ({}, "?format=car&car-order=foo"),
    ],
)
def test_anything_else_is_406(site: Site, headers: Any, query: str) -> None:  # noqa: ANN401
    response = site.get(f"/ipfs/{root_of(site)}{query}", headers=headers)
    assert (response.status_code, response.json()["code"]) == (406, "not-acceptable")


def test_the_format_goes_before_the_accept_header(site: Site) -> None:
    assert site.get(f"/ipfs/{root_of(site)}?format=raw", headers={"Accept": CAR}).headers["content-type"] == RAW
    wanted = {"Accept": f"{RAW};q=0.1, {CAR};order=foo, {CAR};order=dfs;q=0.5"}
    assert site.get(f"/ipfs/{root_of(site)}", headers=wanted).headers["content-type"].startswith(CAR)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (f"/ipfs/{NOTHING}?format=raw", (404, "page-unknown")),
        (f"/ipfs/{NOTHING}?format=car", (404, "page-unknown")),
        ("/ipfs/QmNothing?format=raw", (400, "parameter-invalid")),
        ("/ipfs/bafkqablimvwgy3y?format=raw", (400, "parameter-invalid")),
        (f"/ipfs/{NOTHING}/path?format=car", (404, "not-found")),
        (f"/ipfs/{NOTHING}?format=car&dag-scope=some", (400, "parameter-invalid")),
        ("/ipfs/?format=raw", (404, "not-found")),
        ("/ipns/x", (404, "not-found")),
    ],
)
def test_what_is_not_there(site: Site, where: str, expected: tuple[int, str]) -> None:
    response = site.get(where)
    assert (response.status_code, response.json()["code"]) == expected


def test_what_is_only_wanted_if_it_is_here(site: Site) -> None:
    response = site.get(f"/ipfs/{NOTHING}?format=raw", headers={"Cache-Control": "only-if-cached"})
    assert (response.status_code, response.json()["code"]) == (412, "not-cached")


def test_a_car_is_sent_up_to_its_limit(site: Site) -> None:
    where, block = f"/ipfs/{root_of(site)}?format=car", f"/ipfs/{root_of(site)}?format=car&dag-scope=block"
    assert site.made(car_keys=4 * 33).get(where).status_code == 200
    over = site.made(car_keys=4 * 33 - 1)
    assert (over.get(where).status_code, over.get(where).json()["code"]) == (413, "limit-exceeded")
    assert over.get(block).status_code == 200


def test_a_damaged_page_is_never_sent(own: Site) -> None:
    cid = own.node.standing((address(0),)).root
    good = own.node.page

    class Damaged(type(own.node)):  # type: ignore[misc]
        def page(self, wanted: bytes) -> bytes | None:
            raw = good(wanted)
            return raw and raw[:-1] + bytes([raw[-1] ^ 1])

    damaged = site_of(Damaged(own.node.store, log=own.node.log), own.runner)
    for form in ("raw", "car", "car&dag-scope=block"):
        response = damaged.get(f"/ipfs/{cid_text(cid)}?format={form}")
        assert (response.status_code, response.json()["code"]) == (500, "data-damaged")
