"""A browser's `fetch`, in a page of another origin than the node's: what CORS lets it read, and what it does not."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.page import cid_text
from tests.node.core.processes import TOKEN
from tests.node.http.browser import PROGRAM, Pages, run_page
from tests.node.http.real import EXPECTED, NAMES, Real, real_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not here (apt-get install chromium)"),
    pytest.mark.slow,
]

ASK = """
async () => {
  const told = async (url, options) => {
    try {
      const answer = await fetch(url, {cache: 'no-store', ...options})
      const bytes = new Uint8Array(await answer.arrayBuffer())
      return {status: answer.status, fields: Object.fromEntries(answer.headers),
              body: btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''))}
    } catch (error) { return {refused: error.name} }
  }
  const node = NODE, query = QUERY, direct = {'Content-Type': 'application/sparql-query'}
  const asked = node + '/sparql?query=' + encodeURIComponent(query)
  const first = await told(asked)
  const tag = first.fields ? first.fields.etag : '*'
  return {
    first,
    posted: await told(node + '/sparql', {method: 'POST', headers: direct, body: query}),
    proof: await told(asked, {headers: {Accept: 'application/vnd.ipld.car'}}),
    same: await told(asked, {headers: {'If-None-Match': tag}}),
    wrong: await told(node + '/sparql?query=SELECT'),
    page: await told(node + '/ipfs/' + ROOT, {headers: {Accept: 'application/vnd.ipld.raw'}}),
    operations: await told(node + '/v1/operations', {headers: {Authorization: 'Bearer ' + TOKEN}}),
    cookies: await told(asked, {credentials: 'include'}),
    other: await told(asked, {headers: {'X-Of-My-Own': '1'}}),
    blind: (await fetch(asked, {mode: 'no-cors'}).catch(error => ({type: error.name}))).type,
  }
}
"""


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[Pages, Pages]]:
    """One that the node lets ask, and one that it does not."""
    with Pages() as allowed, Pages() as refused:
        yield allowed, refused


@pytest.fixture(scope="module")
def real(sites: tuple[Pages, Pages], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real_node(tmp_path_factory.mktemp("browsed"), [sites[0].origin]) as made:
        yield made


def script(real: Real) -> str:
    """The page's questions to the node."""
    values = {"NODE": real.url, "QUERY": NAMES, "ROOT": cid_text(real.root), "TOKEN": TOKEN}
    text = ASK
    for name, value in values.items():
        text = text.replace(f" {name},", f" {json.dumps(value)},").replace(f"+ {name}", f"+ {json.dumps(value)}")
    return text


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"])


def test_a_page_that_may_ask(real: Real, sites: tuple[Pages, Pages], tmp_path: Path) -> None:
    found = run_page(sites[0], script(real), tmp_path)
    first = found["first"]
    assert first["status"] == 200
    rows = json.loads(body(first))["results"]["bindings"]
    assert [row["name"]["value"] for row in rows] == EXPECTED
    fields = first["fields"]
    assert fields["dkg-root"] == cid_text(real.root)
    assert {"dkg-state", "dkg-claim", "dkg-block", "dkg-block-hash", "dkg-age", "dkg-position", "etag"} <= {*fields}
    assert body(found["posted"]) == body(first)
    assert found["proof"]["fields"]["dkg-base"].startswith(real.url)
    assert len(dkg.verify(body(found["proof"]), NAMES, real.root).rows) == len(EXPECTED)
    assert found["same"]["status"] == 304
    assert found["wrong"]["status"] == 400
    assert json.loads(body(found["wrong"]))["code"] == "query-invalid"
    assert found["wrong"]["fields"]["x-request-id"]
    assert found["page"]["status"] == 200
    assert found["operations"]["status"] == 200
    assert len(json.loads(body(found["operations"]))["items"]) == 2
    assert found["cookies"] == found["other"] == {"refused": "TypeError"}  # allowed to nobody


def test_a_page_that_may_not(real: Real, sites: tuple[Pages, Pages], tmp_path: Path) -> None:
    found = run_page(sites[1], script(real), tmp_path)
    blind = found.pop("blind")
    assert set(found) >= {"first", "posted", "proof", "page", "operations"}
    assert all(answer == {"refused": "TypeError"} for answer in found.values()), found
    assert blind == "opaque"  # a request that anybody may send, whose answer nobody sees
