"""Questions to all publishers by a checkpoint: which datasets are asked, what is said of it, and proofs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.chain.checkpoint_events import Demanded, Finalised, Refuted, Target
from dkg.checkpoints.answer import BESIDE_MAX, OriginsError, Parts, verify_joint
from dkg.page import cid_bytes, cid_text
from node.http import HttpSettings, Scope
from node.http.moments import PUBLISHERS_MAX
from node.storage import NodeStore
from node.union_keeper import publisher_name
from node.workers.inprocess import InProcess
from tests.node.http.conftest import Site, all_tokens, bearer, site_of
from tests.node.http.test_sparql import CAR, NAMES, code, names
from tests.node.http.world import DOMAIN, Node, address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, SECOND, THIRD = (address(number) for number in range(3))


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Site]:
    """A node with two publishers and a checkpoint of both, which is final."""
    with NodeStore(tmp_path / "node") as store:
        node = Node(store)
        node.publish(0, "air", ':north :name "North" .')
        node.publish(1, "water", ':lake :name "Lake" .')
        node.happens(Finalised(node.propose_now()))
        runner = InProcess(store.pages)
        yield site_of(node, runner, HttpSettings(tokens=all_tokens()))
        runner.close()


def asked(site: Site, accept: str | None = None, **fields: Any) -> Any:  # noqa: ANN401
    return site.query(NAMES, accept, min_claim="L2", **fields)


def named(root: bytes, *beside: tuple[bytes, bytes | None]) -> dict[str, Any]:
    """The parameters that name what is asked."""
    datasets = [f"0x{who.hex()}:{'' if one is None else cid_text(one)}" for who, one in beside]
    return {"at": f"root:{cid_text(root)}", "beside": datasets}


def root_of(site: Site, who: bytes) -> bytes:
    return site.node.standing((who,)).root


def test_a_final_checkpoint_alone_says_so(checked: Site) -> None:
    response = asked(checked)
    assert names(response) == ["Lake", "North"]
    headers = response.headers
    assert [headers[f"dkg-{name}"] for name in ("claim", "state", "checkpoint", "checkpoint-position")] == [
        "L2", "final", "1", "2",
    ]  # fmt: skip
    assert (headers["dkg-beside-count"], "dkg-beside" in headers) == ("0", False)
    assert cid_bytes(headers["dkg-root"]) == checked.node.standing(None).root


def test_who_committed_since_is_asked_beside_it(checked: Site) -> None:
    node, union = checked.node, checked.node.standing(None).root
    node.publish(1, "water", ':sea :name "Sea" .')
    node.publish(2, "fire", ':kiln :name "Kiln" .')
    response = asked(checked)
    assert names(response) == ["Kiln", "North", "Sea"]
    beside = {SECOND: root_of(checked, SECOND), THIRD: root_of(checked, THIRD)}
    headers = response.headers
    told = {bytes.fromhex(one[2:42]): cid_bytes(one.partition(":")[2]) for one in headers["dkg-beside"].split(", ")}
    assert (told, headers["dkg-beside-count"]) == (beside, "2")
    assert (headers["dkg-state"], headers["dkg-position"], headers["dkg-checkpoint-position"]) == ("pending", "4", "2")
    assert headers["dkg-checkpoint-state"] == "final"
    proof = asked(checked, CAR)
    found = verify_joint(proof.content, NAMES, Parts(DOMAIN, union, beside))
    assert [str(name) for (name,) in found.rows] == ['"Kiln"', '"North"', '"Sea"']
    node.mine()
    node.mine()
    assert asked(checked).headers["dkg-state"] == "final"


def test_what_a_client_names_is_asked_and_nothing_else(checked: Site) -> None:
    node, union = checked.node, checked.node.standing(None).root
    old = root_of(checked, SECOND)
    node.publish(1, "water", ':sea :name "Sea" .')
    assert names(asked(checked, **named(union, (SECOND, old)))) == ["Lake", "North"]
    assert names(asked(checked, **named(union, (SECOND, None)))) == ["North"]
    assert names(asked(checked, **named(union))) == ["Lake", "North"]
    fields = named(union, (SECOND, None), (FIRST, root_of(checked, FIRST)))
    parts = Parts(DOMAIN, union, {FIRST: root_of(checked, FIRST), SECOND: None})
    found = verify_joint(asked(checked, CAR, **fields).content, NAMES, parts)
    assert [str(name) for (name,) in found.rows] == ['"North"']


def test_origins_are_shown_where_counts_would_do(checked: Site) -> None:
    union, text = checked.node.standing(None).root, "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
    parts = Parts(DOMAIN, union, {})
    for origins in ("false", "true"):
        proof = checked.query(text, CAR, min_claim="L2", origins=origins, **named(union)).content
        if origins == "false":
            assert str(verify_joint(proof, text, parts).rows[0][0]).startswith('"')
        else:
            with pytest.raises(OriginsError) as caught:
                verify_joint(proof, text, parts, origins=True)
            assert caught.value.publishers == {FIRST, SECOND}
    assert code(checked.query(text, origins="true")) == (400, "parameter-invalid")


def test_a_proof_over_fewer_datasets_than_are_due_is_refused(checked: Site) -> None:
    union = checked.node.standing(None).root
    checked.node.publish(1, "water", ':sea :name "Sea" .')
    without = asked(checked, CAR, **named(union)).content
    with pytest.raises(dkg.ProofError):
        verify_joint(without, NAMES, Parts(DOMAIN, union, {SECOND: root_of(checked, SECOND)}))


def test_a_pending_checkpoint_is_asked_by_its_root_and_never_called_final(checked: Site) -> None:
    node = checked.node
    node.publish(2, "fire", ':kiln :name "Kiln" .')
    pending, root = node.propose_now(), node.standing(None).root
    assert asked(checked).headers["dkg-checkpoint"] == "1"
    response = asked(checked, **named(root))
    assert (names(response), response.headers["dkg-checkpoint"]) == (["Kiln", "Lake", "North"], str(pending))
    assert response.headers["dkg-state"] == "pending"
    node.happens(Demanded(1, root[4:], Target.CHECKPOINT, pending, node.block.time + 99))
    assert asked(checked, **named(root)).headers["dkg-state"] == "disputed"
    node.happens(Refuted(pending, THIRD, 1))
    assert code(asked(checked, **named(root))) == (404, "moment-unknown")
    assert names(asked(checked)) == ["Kiln", "Lake", "North"]


def test_no_answer_is_taken_for_another_of_the_same_root(checked: Site) -> None:
    union, old = checked.node.standing(None).root, root_of(checked, SECOND)
    tags = {
        asked(checked, **fields).headers["etag"]
        for fields in ({}, named(union, (SECOND, old)), named(union, (SECOND, None)), named(union, (FIRST, None)))
    }
    plain = checked.query(NAMES)
    assert cid_bytes(plain.headers["dkg-root"]) == union
    assert len(tags | {plain.headers["etag"]}) == 5
    again = checked.get(
        "/sparql", params={"query": NAMES, "min_claim": "L2"}, headers={"If-None-Match": asked(checked).headers["etag"]}
    )
    assert (again.status_code, again.headers["dkg-claim"]) == (304, "L2")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"beside": "0x" + "12" * 20 + ":"}, (400, "parameter-invalid")),
        ({"beside": "0x" + "12" * 20, "at": "root:{}"}, (400, "parameter-invalid")),
        ({"beside": "0x12:", "at": "root:{}"}, (400, "parameter-invalid")),
        ({"beside": "0x" + "12" * 20 + ":bafy", "at": "root:{}"}, (400, "parameter-invalid")),
        ({"beside": ["0x" + "12" * 20 + ":"] * 2, "at": "root:{}"}, (400, "parameter-invalid")),
        ({"beside": [f"0x{n:040x}:" for n in range(PUBLISHERS_MAX + 1)], "at": "root:{}"}, (400, "parameter-invalid")),
        ({"beside": "0x" + "12" * 20 + ":{}", "at": "root:{}"}, (404, "moment-unknown")),
        ({"at": "root:" + cid_text(b"\x01\x71\x12\x20" + bytes(32))}, (404, "moment-unknown")),
        ({"private": "all"}, (400, "parameter-invalid")),
        ({"max_age": "5"}, (412, "too-old")),
    ],
)
def test_what_is_wrong_with_a_question_to_all_is_said(checked: Site, fields: Any, expected: tuple[int, str]) -> None:  # noqa: ANN401
    union = cid_text(checked.node.standing(None).root)
    filled: dict[str, Any] = {
        name: [one.format(union) for one in value] if isinstance(value, list) else value.format(union)
        for name, value in fields.items()
    }
    assert code(asked(checked, **filled)) == expected


def test_so_many_datasets_are_asked_beside_a_checkpoint_and_no_more(checked: Site) -> None:
    union, own = checked.node.standing(None).root, root_of(checked, FIRST)
    many = [bytes([9]) * 19 + bytes([number]) for number in range(BESIDE_MAX + 1)]
    for who in many:
        checked.node.store.keep(publisher_name(who), own, position=1, at=0)
    datasets = [(who, own) for who in many]
    assert asked(checked, **named(union, *datasets[1:], (FIRST, None))).status_code == 200
    assert code(asked(checked, **named(union, *datasets))) == (412, "claim-not-met")


def test_beside_goes_with_a_checkpoint_alone(checked: Site) -> None:
    union = cid_text(checked.node.standing(None).root)
    response = checked.query(NAMES, at=f"root:{union}", beside=f"0x{FIRST.hex()}:")
    assert code(response) == (400, "parameter-invalid")


def test_without_a_final_checkpoint_nothing_is_complete_for_all(tmp_path: Path) -> None:
    with NodeStore(tmp_path / "node") as store:
        node = Node(store)
        node.publish(0, "air", ':north :name "North" .')
        node.propose_now()
        runner = InProcess(store.pages)
        site = site_of(node, runner)
        assert code(asked(site)) == (412, "claim-not-met")
        plain = site.query(NAMES)
        assert (names(plain), plain.headers["dkg-claim"]) == (["North"], "L1")
        runner.close()


# --- what the node says of the contract ------------------------------------------------------------------------------


def test_the_contract_is_told_with_what_is_pending_and_who_committed_since(checked: Site) -> None:
    node, union = checked.node, checked.node.standing(None).root
    node.publish(2, "fire", ':kiln :name "Kiln" .')
    pending, root = node.propose_now(), node.standing(None).root
    node.happens(Demanded(1, root[4:], Target.CHECKPOINT, pending, node.block.time + 60))
    told = checked.get("/v1/checkpoints").json()
    assert (told["final"]["id"], told["final"]["state"], told["final"]["held"]) == (1, "final", True)
    assert cid_bytes(told["final"]["root"]) == union
    assert [(one["id"], one["state"], one["open_demands"]) for one in told["pending"]] == [(pending, "disputed", 1)]
    assert [(one["of"], one["target"], one["digest"]) for one in told["demands"]] == [
        ("checkpoint", pending, f"0x{root[4:].hex()}")
    ]
    assert (told["changed"], told["changed_count"], told["position"]) == ([f"0x{THIRD.hex()}"], 1, 3)


def test_a_node_without_a_contract_says_so(site: Site) -> None:
    assert code(site.get("/v1/checkpoints")) == (404, "not-found")


# --- what its owner has done -----------------------------------------------------------------------------------------


def test_only_who_may_publish_proposes_and_challenges(checked: Site) -> None:
    for path in ("/v1/checkpoints", "/v1/checkpoints/1/challenge"):
        assert code(checked.post(path)) == (401, "unauthorized")
        assert code(checked.post(path, headers=bearer(Scope.METRICS))) == (403, "forbidden")


def test_a_proposal_says_what_it_is_of_and_one_that_says_nothing_new_why_not(checked: Site) -> None:
    headers = bearer(Scope.PUBLISH)
    refused = checked.post("/v1/checkpoints", headers=headers)
    assert (code(refused), "says as much" in refused.json()["detail"]) == ((400, "input-invalid"), True)
    checked.node.publish(2, "fire", ':kiln :name "Kiln" .')
    made = checked.post("/v1/checkpoints", headers=headers).json()
    assert (made["position"], [step["what"] for step in made["steps"]]) == (3, ["propose"])
    assert code(checked.post("/v1/checkpoints?position=-1", headers=headers)) == (400, "parameter-invalid")


def test_a_challenge_says_what_was_found_and_what_it_cost(checked: Site) -> None:
    node, headers = checked.node, bearer(Scope.PUBLISH)
    node.publish(2, "fire", ':kiln :name "Kiln" .')
    right, wrong = node.propose_now(), node.propose_now(root_of(checked, FIRST))
    asked_of = "/v1/checkpoints/{}/challenge"
    assert checked.post(asked_of.format(right), headers=headers).json()["found"] == "right"
    dry = checked.post(f"{asked_of.format(wrong)}?dry_run=true", headers=headers).json()
    assert (dry["found"], dry["steps"], dry["estimated_gas"]) == ("wrong", [], 700_000)
    done = checked.post(asked_of.format(wrong), headers=headers).json()
    assert (done["kind"], [step["what"] for step in done["steps"]]) == ("missing", ["challenge"])
    assert code(checked.post(asked_of.format(wrong), headers=headers)) == (400, "input-invalid")
