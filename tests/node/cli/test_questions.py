"""Questions in words to a running node: by HTTP, and by a client that trusts the chain and fetches pages from it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.node.cli.test_nodes import configured, started
from tests.retrieval.plugs.world import FACTS

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk

QUESTION = "Who discovered penicillin?"
FACT = "Alexander Fleming's discovered is penicillin."


def asked(url: str) -> Any:  # noqa: ANN401 - JSON
    """What the node finds, once its index is there."""
    body = json.dumps({"question": QUESTION}).encode()
    while True:
        try:
            with urlopen(Request(f"{url}/v1/retrieve", body, {"Content-Type": "application/json"})) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                if json.load(error)["code"] != "not-ready":
                    raise
        time.sleep(0.1)


def texts(found: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [one["text"] for one in found["facts"]]


@pytest.mark.slow
def test_a_node_and_a_light_client_answer_until_the_fact_is_retracted(desk: Desk) -> None:
    home, config = configured(desk)
    desk.signed(home, "publish", desk.file("facts.ttl", FACTS), "--asset", "medicine")
    token = desk.path / "token"
    token.write_text(desk.ok("token", "new", "me", "--scope", "publish", "--config", config)["token"])
    light = ("ask", QUESTION, "--no-model", "--embedder", "none", "--home", home, "--publisher", desk.address())
    with started(config, DKG_NODE_RETRIEVAL_ENABLED="true", DKG_NODE_RETRIEVAL_EMBEDDER="none") as url:
        push = ("push", url, "--home", home, "--token-file", str(token))
        desk.ok(*push)
        for found in (asked(url), desk.ok(*light, "--node", url)):
            assert FACT in texts(found)
            (origin,) = next(one for one in found["facts"] if one["text"] == FACT)["origins"]
            assert origin["claim"] == "L1"
            assert origin["graph"].endswith("/medicine")
            assert origin["block"]
        desk.signed(home, "retract", "medicine")
        desk.ok(*push)
        for found in (asked(url), desk.ok(*light, "--node", url)):
            assert FACT not in texts(found)
    ran = desk.run(*light, "--node", url)  # it is gone now
    assert ran.code == 3
    assert "Traceback" not in ran.err
