"""A node as a process, with a publisher's two assets, for clients that others wrote."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dkg.chain.secp import address_of
from dkg.chain.ual import Publisher, Ual
from dkg.page import cid_bytes
from tests.node.core.processes import TOKEN, NodeProcess
from tests.node.publish.world import KEY, world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ASSETS = {
    "people": """
        :ada :name "Ada" ; :knows :bob ; :born "1815-12-10"^^xsd:date . :bob :name "Bob"@en , "Роберт"@ru .
        :north :near :south . :north :name "North" . :south :name "South" . :west :name "West" .""",
    "water": ':lake :name "Lake" ; :ph 7.1 ; :near :north ; :depth "12"^^:fathoms .',
}
NAMES = "SELECT ?name WHERE { ?s <https://example.org/name> ?name FILTER(LANG(?name) != 'ru') } ORDER BY STR(?name)"
EXPECTED = ["Ada", "Bob", "Lake", "North", "South", "West"]
PREFIXES = "@prefix : <https://example.org/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> ."


@dataclass(frozen=True)
class Real:
    """The node, and what is published there."""

    process: NodeProcess
    publisher: Publisher

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def sparql(self) -> str:
        return f"{self.url}/sparql"

    @property
    def root(self) -> bytes:
        """The root of all that it has."""
        return cid_bytes(self.process.ask("GET", "/v1/dataset").json["root"])

    def ual(self, name: str) -> Ual:
        return Ual(self.publisher, name)


@contextmanager
def real_node(folder: Path, origins: Sequence[str] = (), settings: Mapping[str, Any] | None = None) -> Iterator[Real]:
    """The node, for as long as the block runs."""
    with world(folder) as chain:
        node = NodeProcess(folder / "node", chain)
        node.with_key(KEY, relay=False)
        node.settings |= {"http.origins": list(origins), "http.requests_burst": 1_000_000, "workers.workers": 2}
        node.settings |= settings or {}
        node.start()
        try:
            for name, text in ASSETS.items():
                _publish(node, name, text)
            while len(_names(node)) != len(EXPECTED):
                time.sleep(0.05)
            yield Real(node, Publisher(chain.domain.chain_id, chain.domain.registry, address_of(KEY)))
            assert node.stop() == 0
            assert node.events("died") == []
        finally:
            if node.process is not None and node.process.poll() is None:
                node.kill()
    assert TOKEN not in node.log.read_text()


def _publish(node: NodeProcess, name: str, text: str) -> None:
    headers = {"Content-Type": "text/turtle"}
    answer = node.ask("POST", f"/v1/assets?name={name}", (PREFIXES + text).encode(), headers)
    assert answer.status == 202, answer.body
    while node.ask("GET", answer.headers["location"]).json["state"] not in {"mined", "final"}:
        time.sleep(0.05)


def _names(node: NodeProcess) -> list[str]:
    answer = node.ask("GET", f"/sparql?query={quote(NAMES)}", headers={"Accept": "application/sparql-results+json"})
    if answer.status != 200:
        return []
    return [row["name"]["value"] for row in answer.json["results"]["bindings"]]
