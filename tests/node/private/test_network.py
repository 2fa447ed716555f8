"""A private part in a network: two nodes as processes, a chain, a reader who believes neither of them, and kill -9."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest

from dkg.car import read_car
from dkg.chain.secp import address_of, checksum
from dkg.chain.ual import Publisher, Ual
from dkg.client.privately import verify_anchored
from dkg.client.store import SqliteStore
from dkg.errors import InputError
from dkg.page import cid_text
from dkg.private import Opening, commitment_query
from node.private.vault import Vault
from tests.node.core.conftest import folder
from tests.node.core.processes import Answer, NodeProcess, two_nodes
from tests.node.private.site import CANARY, GRANTED, PRIVATE, personal
from tests.node.publish.conftest import development, here
from tests.node.publish.world import KEY, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["development", "folder", "here"]

CAR = "application/vnd.ipld.car"
READER = GRANTED
EVERYTHING = "SELECT * { ?s ?p ?o }"


@pytest.fixture
def network(folder: Path, here: World) -> Iterator[list[NodeProcess]]:
    """Two nodes: the first has a publisher's key, the second brings over what that publishes."""
    with two_nodes(folder, here, KEY, relay=False) as both:
        yield both


def done(node: NodeProcess, answer: Answer, *states: str) -> dict[str, Any]:
    """An operation that was begun, once it is in one of some states."""
    assert answer.status == 202, answer.body
    while True:
        found: dict[str, Any] = node.ask("GET", answer.headers["location"]).json
        assert found["state"] != "failed", found
        if found["state"] in states:
            return found
        time.sleep(0.05)


def put(node: NodeProcess, ual: Ual, turtle: str) -> Answer:
    return node.ask("PUT", f"/v1/assets/{ual}/private", turtle.encode(), {"Content-Type": "text/turtle"})


def sign_in(node: NodeProcess, key: bytes) -> dict[str, str]:
    asked = {"address": checksum(address_of(key)), "chain_id": node.world.domain.chain_id}
    json_ = {"Content-Type": "application/json"}
    message = node.ask("POST", "/v1/session/challenge", json.dumps(asked).encode(), json_).json["message"]
    signed = {"message": message, "signature": "0x" + personal(message, key).hex()}
    opened = node.ask("POST", "/v1/session", json.dumps(signed).encode(), json_)
    assert opened.status == 200, opened.body
    return {"Authorization": f"Bearer {opened.json['token']}"}


def query(node: NodeProcess, text: str, headers: dict[str, str], **fields: str) -> Answer:
    return node.ask("GET", f"/sparql?{urlencode({'query': text, **fields})}", headers=headers)


def grant(node: NodeProcess, method: str, ual: Ual, key: bytes) -> Answer:
    return node.ask(method, f"/v1/grants?reader=0x{address_of(key).hex()}&asset={quote(str(ual))}")


def held(node: NodeProcess, seq: int) -> None:
    """Wait until the second node has a commit of the first."""
    while True:
        answer = node.ask("GET", f"/v1/publishers/0x{address_of(KEY).hex()}")
        if answer.status == 200 and answer.json["held"] and answer.json["held"]["seq"] >= seq:
            return
        time.sleep(0.05)


def secrets_of(node: NodeProcess) -> list[bytes]:
    with closing(Vault(node.directory, time.time)) as vault:
        found = [CANARY.encode()]
        for one in vault.versions():
            dataset = vault.load(one)
            for cid in read_car(dataset.car, dataset.root, 10_000):
                found += [cid_text(cid).encode(), cid, cid[4:].hex().encode()]
            found += [one.salt, one.salt.hex().encode()]
    assert len(found) > 10
    return found


def no_secret_outside(node: NodeProcess, secrets: list[bytes]) -> None:
    """No file of a node but those of its vault has a private byte, compressed or not, nor does its store a page."""
    files = [*node.directory.rglob("*"), node.log, node.file, *node.directory.with_suffix(".home").rglob("*")]
    for path in files:
        if path.is_file() and path.parent != node.directory / "private":
            lines = path.read_bytes().split(b"\n")
            data = b"\n".join(line for line in lines if b'"/ipfs/' not in line)  # what the test itself asked for
            assert not [one for one in secrets if one in data], path
    with SqliteStore(node.directory, read_only=True) as store:
        for one in secrets:
            if len(one) == 36:
                assert store.get(one) is None
        for number, data in store._db.execute("SELECT id, data FROM packs"):
            pack = store._pack(number)
            pages = [pack.page(slot) for slot in range(pack.count)]
            assert not [one for one in secrets if one in data or any(one in page for page in pages)]


def checked(node: NodeProcess, ual: Ual, shown: dict[str, str], fields: dict[str, str]) -> None:
    """The reader believes the chain, and checks the rest."""
    private = query(node, EVERYTHING, {**shown, "Accept": CAR}, **fields)
    asked = commitment_query(ual)
    said = query(node, asked, {"Accept": CAR}, publisher=f"0x{address_of(KEY).hex()}")
    with closing(node.world.client(address_of(KEY))) as client:
        anchored = client.verify(said.body, asked, base_iri=said.headers["dkg-base"])
    opening, base = Opening.parse(private.headers["dkg-opening"]), private.headers["dkg-base"]
    found = verify_anchored(anchored, ual, opening, private.body, EVERYTHING, base_iri=base)
    assert CANARY.encode() in found.private.answer.serialize("csv")
    assert "canary" not in json.dumps(found.describe())
    elsewhere = Ual(Publisher(1, ual.publisher.registry, ual.publisher.address), ual.name)
    with pytest.raises(InputError, match="another publisher"):
        verify_anchored(anchored, elsewhere, opening, private.body, EVERYTHING, base_iri=base)


@pytest.mark.slow
def test_a_private_part_is_published_read_checked_revoked_and_taken_back(
    network: list[NodeProcess], here: World
) -> None:
    first, second = network
    domain = here.domain
    ual = Ual(Publisher(domain.chain_id, domain.registry, address_of(KEY)), "air")
    public = first.ask(
        "POST", "/v1/assets?name=air", b"<urn:a> <urn:b> 1 .", {"Content-Type": "text/turtle"}
    )  # fmt: skip
    done(first, public, "mined", "final")
    seq = done(first, put(first, ual, PRIVATE), "mined", "final")["seq"]
    assert grant(first, "PUT", ual, READER).status == 200
    shown = sign_in(first, READER)

    fields = {"private": str(ual), "scope": "private"}
    checked(first, ual, shown, fields)
    assert CANARY.encode() in query(first, EVERYTHING, shown, private=str(ual)).body
    assert CANARY.encode() not in query(first, EVERYTHING, shown).body

    # Another node has the commitment, and nothing else.
    held(second, seq)
    asked = f"ASK {{ GRAPH ?g {{ <{ual}> <urn:dkg:term:privateCommitment> ?c }} }}"
    while not query(second, asked, {}).json["boolean"]:  # its union follows what it holds
        time.sleep(0.05)
    assert query(second, EVERYTHING, shown, private=str(ual)).status == 401
    secrets = secrets_of(first)
    for one in secrets:
        if one.startswith(b"bafy"):
            for node in (first, second):
                assert node.ask("GET", f"/ipfs/{one.decode()}?format=raw").status == 404

    # Grants survive a kill, sessions do not; a revocation holds from the next request on.
    first.kill()
    first.start()
    assert query(first, EVERYTHING, shown, **fields).status == 401
    shown = sign_in(first, READER)
    assert CANARY.encode() in query(first, EVERYTHING, shown, **fields).body
    assert grant(first, "DELETE", ual, READER).json == {"revoked": True}
    assert query(first, EVERYTHING, shown, **fields).status == 404
    grant(first, "PUT", ual, READER)

    # Taken back: nobody reads it from then on, and it is removed when that is final.
    gone = first.ask("DELETE", f"/v1/assets/{ual}")
    done(first, gone, "mined", "final")
    assert query(first, EVERYTHING, shown, **fields).status == 404
    here.mine(3)
    done(first, gone, "final")
    for node in (first, second):
        assert node.stop() == 0
        no_secret_outside(node, secrets)
        node.check()
    first.start()  # it looks at once
    while list((first.directory / "private").glob("*.part")):
        time.sleep(0.05)
    assert first.ask("GET", "/v1/grants").json["items"] == []
    assert first.stop() == 0
    assert CANARY not in first.log.read_text()
