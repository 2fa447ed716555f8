"""A node with private parts behind HTTP, of real parts, and everybody who may ask it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dkg.car import read_car
from dkg.chain.secp import address_of, checksum, keccak256, sign
from dkg.page import cid_text
from dkg.private import private_graph
from node.devnet.accounts import dev_accounts
from node.http import HttpSettings, Scope, make_app, new_token
from node.private.assets import PrivateAssets
from node.private.vault import Vault
from node.workers.inprocess import InProcess
from tests.node.http.conftest import Clock, Site, all_tokens, bearer
from tests.node.http.world import Node, ual, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from dkg.chain.ual import Ual
    from node.private.vault import PrivateVersion

KEYS = [account.key for account in dev_accounts(8)]
PUBLISHER, GRANTED, REVOKED, OTHER, STRANGER = KEYS[0], KEYS[4], KEYS[5], KEYS[6], KEYS[7]

CANARY = "canary-7f3e91"
"""In every literal and IRI of the private part of `air`, and nowhere else."""
OTHERS = "canary-c0ffee"
"""The same of `diary`."""

PRIVATE = f"""
<https://example.org/{CANARY}-s> <https://example.org/{CANARY}-p> "{CANARY}-o" ;
  <https://example.org/near> <https://example.org/north> .
<https://example.org/north> <https://example.org/no2> "{CANARY}-north" .
"""
DIARY = f'<https://example.org/{OTHERS}-s> <https://example.org/{OTHERS}-p> "{OTHERS}-o" .'


def who(key: bytes) -> bytes:
    return address_of(key)


def personal(message: str, key: bytes) -> bytes:
    """A personal message's signature, as wallets make it (EIP-191)."""
    data = message.encode()
    return sign(keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data), key)


@dataclass
class PrivateSite(Site):
    """An application over a node with a vault."""

    vault: Vault = field(kw_only=True)
    assets: PrivateAssets = field(kw_only=True)

    def made_with(self, **changed: Any) -> PrivateSite:  # noqa: ANN401
        """The same with other settings."""
        return private_site(self.node, self.runner, self.vault, self.clock, **changed)

    def put(self, asset: str, turtle: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        headers = {"Content-Type": "text/turtle", **bearer(Scope.PUBLISH), **given.pop("headers", {})}
        return self.ask("PUT", f"/v1/assets/{ual(0, asset)}/private", content=turtle.encode(), headers=headers, **given)

    def grant(self, key: bytes, asset: str) -> httpx.Response:
        given = {"reader": checksum(who(key)), "asset": str(ual(0, asset))}
        return self.ask("PUT", "/v1/grants", params=given, headers=bearer(Scope.GRANT))

    def revoke(self, key: bytes, asset: str) -> httpx.Response:
        given = {"reader": checksum(who(key)), "asset": str(ual(0, asset))}
        return self.ask("DELETE", "/v1/grants", params=given, headers=bearer(Scope.GRANT))

    def challenge(self, key: bytes) -> str:
        given = {"address": checksum(who(key)), "chain_id": 31337}
        found: str = self.post("/v1/session/challenge", json=given).json()["message"]
        return found

    def answer(self, message: str, signature: bytes) -> httpx.Response:
        return self.post("/v1/session", json={"message": message, "signature": "0x" + signature.hex()})

    def session(self, key: bytes) -> dict[str, str]:
        """The header fields of somebody who has signed in."""
        message = self.challenge(key)
        opened = self.answer(message, personal(message, key))
        assert opened.status_code == 200, opened.text
        return {"Authorization": f"Bearer {opened.json()['token']}"}

    def version(self, asset: str) -> PrivateVersion:
        """The newest private part of an asset."""
        found = [one for one in self.vault.versions() if one.ual == str(ual(0, asset))]
        return max(found, key=lambda one: one.staged)

    def secrets(self) -> list[bytes]:
        """What nobody but readers may see of any private part: names of pages, and what opens commitments."""
        found: list[bytes] = []
        for one in self.vault.versions():
            dataset = self.vault.load(one)
            for cid in read_car(dataset.car, dataset.root, 10_000):
                found += [cid_text(cid).encode(), cid[4:], cid[4:].hex().encode()]
            found += [one.salt, one.salt.hex().encode(), one.opening.text[:40].encode()]
        return found


def private_site(node: Node, runner: Any, vault: Vault, clock: Clock, **settings: Any) -> PrivateSite:  # noqa: ANN401
    assets = PrivateAssets(vault)
    tokens = (*settings.pop("tokens", ()), *all_tokens())
    made = HttpSettings(**{"tokens": tokens, "requests_burst": 1_000_000, "requests_per_s": 1e6, **settings})
    log: list[tuple[str, dict[str, object]]] = []

    def keep(event: str, /, **fields: object) -> None:
        log.append((event, fields))

    ticks = Clock(0.0)
    app = make_app(node, runner, made, clock, private=assets, ticks=ticks, log=keep)
    return PrivateSite(app, node, runner, made, clock, ticks, log, vault=vault, assets=assets)


BOUND = {
    name: new_token(f"bound-{name}", [], bytes([0x40 + at]) * 32, who(key))
    for at, (name, key) in enumerate({"granted": GRANTED, "revoked": REVOKED, "other": OTHER}.items())
}
"""Tokens that are bound to an address."""


@contextmanager
def site_with_private_parts(directory: Path, **settings: Any) -> Iterator[PrivateSite]:  # noqa: ANN401
    """`air` has a private part beside its public content, `diary` has nothing else; who may read them, see `KEYS`."""
    with world(directory) as node:
        clock = Clock(node.block.time + 30)
        runner, vault = InProcess(node.store.pages), Vault(directory, clock)
        try:
            tokens = tuple(token for _, token in BOUND.values())
            site = private_site(node, runner, vault, clock, tokens=tokens, **settings)
            for asset, turtle in (("air", PRIVATE), ("diary", DIARY)):
                assert site.put(asset, turtle).status_code in {200, 202}
            assert site.grant(GRANTED, "air").status_code == 200
            assert site.grant(REVOKED, "air").status_code == 200
            assert site.grant(OTHER, "diary").status_code == 200
            assert site.grant(REVOKED, "diary").status_code == 200
            yield site
        finally:
            runner.close()
            vault.close()


def graph_of(asset: Ual) -> str:
    return private_graph(asset).decode()


def told(response: httpx.Response) -> bytes:
    """All that a client gets, but for the request's id."""
    fields = sorted((name, value) for name, value in response.headers.multi_items() if name != "x-request-id")
    body = response.content
    if response.headers.get("content-type") == "application/problem+json":
        body = json.dumps({**response.json(), "request": ""}, sort_keys=True).encode()
    return repr((response.status_code, fields)).encode() + body
