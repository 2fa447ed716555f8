"""schemathesis over the whole OpenAPI document: whatever it makes of it, the answers are those that are documented."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import positive_data_acceptance
from schemathesis.core.result import Ok

from node.http import HttpSettings, Scope, Token
from node.http.operation_routes import CAR, RDF_TYPES
from node.http.protocol import QUERY
from node.private.assets import PrivateAssets
from node.private.vault import Vault
from node.workers.inprocess import InProcess
from tests.node.http.conftest import Site, site_of
from tests.node.http.knowing import known_of
from tests.node.http.world import address, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case

SECRET = "dkg_all"
EXAMPLES = 8
"""Of each kind for each operation; `HYPOTHESIS_PROFILE=deep` makes twenty times as many."""


schemathesis.serializer.alias(
    [CAR, *(name for name in RDF_TYPES if not name.endswith(("+json", "+xml"))), QUERY], "application/octet-stream"
)

PLAIN = {
    f"{method} {path}"
    for method in ("GET", "HEAD")
    for path in (
        *("/", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json"),
        *("/.well-known/skill.md", "/v1/peers", "/v1/status", "/v1/operations"),
    )
}
"""Where all that a schema allows is accepted: elsewhere texts have grammars, and must name what is there."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A node that is written to, with a token for all of it."""
    token = Token("all", sha256(SECRET.encode()).hexdigest(), frozenset(Scope), address(0))
    with world(tmp_path_factory.mktemp("schemathesis")) as node, known_of(node) as known:
        runner, vault = InProcess(node.store.pages), Vault(node.store.directory, lambda: node.block.time)
        made = HttpSettings(tokens=(token,), hosts=("testserver",), requests_burst=10**9)
        yield site_of(node, runner, made, PrivateAssets(vault), known)
        runner.close()
        vault.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_the_whole_api(everything: Site, mode: schemathesis.GenerationMode) -> None:
    examples = EXAMPLES * settings().max_examples // 100
    config = schemathesis.Config.from_dict(
        # Too much is 413 or 414 here, and too little 412, where schemathesis would have 400.
        {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "5xx"]}}}
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", everything.app, config=config)
    operations = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    left_out = {f"{m.upper()} {p}" for p, ms in everything.app.openapi()["paths"].items() for m in ms}
    left_out -= {operation.label for operation in operations}
    assert left_out <= {"GET /openapi.json"}, left_out  # which schemathesis reads anyway
    for operation in operations:
        if mode is schemathesis.GenerationMode.NEGATIVE and not [*operation.iter_parameters(), *operation.body]:
            continue  # nothing can be wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
        def run(case: Case[Any]) -> None:
            excluded = [] if case.operation.label in PLAIN else [positive_data_acceptance]
            # What is wrong may be the header itself, so it is left alone then.
            headers = {} if mode is schemathesis.GenerationMode.NEGATIVE else {"Authorization": f"Bearer {SECRET}"}
            case.call_and_validate(headers=headers, excluded_checks=excluded)

        run()
    assert not everything.events("http.fault")
