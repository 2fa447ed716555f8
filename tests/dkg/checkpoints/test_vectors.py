"""The vectors of checkpoints say what the library's verifier says: it has nothing in common with what made them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import pytest

from dkg.chain.commit import Domain
from dkg.checkpoints.owners import owner_of, permute
from dkg.checkpoints.records import ClaimError, Record, check_claim
from dkg.checkpoints.shown import Kind, classify, compress, length_of
from dkg.checkpoints.walk import LONG, MALFORMED, PathError, check_absent, check_fault, check_hidden, check_member, walk
from dkg.limits import SHOW_MAX
from dkg.page import ORDERS
from tests.vectors import load
from tests.vectors.make_checkpoint_records import logged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg.checkpoints.walk import End

Case = dict[str, Any]


def cases(name: str, part: str = "cases") -> list[Case]:
    """The cases of a file."""
    found = cast("Any", load(f"checkpoints/{name}.json"))
    return cast("list[Case]", found[part] if isinstance(found, dict) else found)


def named(case: Case) -> str:
    """A case's name, for the test's."""
    return str(case["name"])


def shown_of(name: str) -> dict[bytes, bytes]:
    """What is shown before the cases of a file: pages that stand in bytes in its good paths, and what else it says."""
    shown = {}
    for case in cases(name):
        blob, at = bytes.fromhex(case["path"]), 0
        while at < len(blob):
            end = at + 4 + int.from_bytes(blob[at + 2 : at + 4])
            raw = blob[at + 4 : end]
            shown[sha256(raw).digest()] = classify(raw).word
            at = end
    bad = cast("list[str]", cases(name, "malformed")) if name == "faults" else []
    shown |= {sha256(bytes.fromhex(raw)).digest(): MALFORMED for raw in bad}
    return shown | {bytes.fromhex(case["digest"]): LONG for case in cases(name, "long")}


SHOWN = {name: shown_of(name) for name in ("paths", "faults")}


@pytest.mark.parametrize("case", cases("pages"), ids=named)
def test_what_pages_are(case: Case) -> None:
    raw = bytes.fromhex(case["raw"])
    found = classify(raw)
    assert (found.kind.name.lower(), found.summary.hex(), found.word.hex()) == (
        case["kind"],
        case["summary"],
        case["word"],
    )
    assert sha256(raw).hexdigest() == case["digest"]
    if found.kind is Kind.LONG:
        state, block = bytes.fromhex(case["state"]), bytes.fromhex(case["block"])
        assert compress(state, block).hex() == case["digest"]
        assert length_of(block) == 8 * len(raw) > 8 * SHOW_MAX


def test_whose_keys_are() -> None:
    made = cast("Any", load("checkpoints/owners.json"))
    domain = Domain(made["chain_id"], bytes.fromhex(made["registry"]))
    for case in made["keys"]:
        owner = owner_of(bytes.fromhex(case["key"]), domain)
        assert (owner.hex() if owner else None) == case["owner"], case["name"]
    for keys in made["permuted"]:
        for a in ORDERS:
            assert {b: permute(bytes.fromhex(keys[a]), a, b).hex() for b in ORDERS} == keys


def check(case: Case, path: str, shown: Mapping[bytes, bytes]) -> End:
    """Check a path as its case says."""
    end = walk(bytes.fromhex(path), bytes.fromhex(case["root"]), case["tree"], shown)
    key, before, after = (bytes.fromhex(case[part]) for part in ("key", "before", "after"))
    if case["kind"] == "member":
        return check_member(end, key)
    return (
        check_absent(end, key, before, after)
        if case["kind"] == "absent"
        else check_hidden(end, key, before, after, shown)
    )


@pytest.mark.parametrize("case", cases("paths"), ids=named)
def test_paths_by_bytes_and_by_summary(case: Case) -> None:
    by_bytes, by_summary = (check(case, case[form], SHOWN["paths"]) for form in ("path", "summarised"))
    assert (by_bytes.segments, by_bytes.at, by_bytes.child) == (by_summary.segments, by_summary.at, by_summary.child)


@pytest.mark.parametrize("case", cases("paths", "refused"), ids=named)
def test_refused_paths(case: Case) -> None:
    with pytest.raises(PathError):
        check(case, case["path"], {} if case.get("unshown") else SHOWN["paths"])


def fault(case: Case, path: str) -> End:
    """Check a fault as its case says."""
    shown = SHOWN["faults"]
    page, bound, entry = (bytes.fromhex(case[part]) for part in ("page", "bound", "entry"))
    end = walk(bytes.fromhex(path), bytes.fromhex(case["root"]), None, shown)
    return check_fault(end, case["fault"], page, bound, entry, shown)


@pytest.mark.parametrize("case", cases("faults"), ids=named)
def test_faults_by_bytes_and_by_summary(case: Case) -> None:
    assert fault(case, case["path"]).segments == fault(case, case["summarised"]).segments


@pytest.mark.parametrize("case", cases("faults", "refused"), ids=named)
def test_what_is_no_fault(case: Case) -> None:
    with pytest.raises(PathError):
        fault(case, case["path"])


def record(case: Case) -> Record:
    """A record of a vector."""
    numbers = int(case["numbers"], 16)
    return Record(bytes.fromhex(case["root"]), numbers, case["block_number"], case["timestamp"])


def test_what_counts() -> None:
    made, view = cast("Any", load("checkpoints/records.json")), logged().view
    log = [record(case) for case in made["log"]]
    for case in made["cases"]:
        shown = [log[position] for position in case["records"]]
        root = check_claim(bytes.fromhex(case["publisher"]), shown, case["position"], case["marks"], view)
        assert (root.hex() if root else None) == case["counts"]


@pytest.mark.parametrize("case", cases("records", "refused"), ids=named)
def test_false_claims_of_what_counts(case: Case) -> None:
    shown = [record(one) for one in case["records"]]
    with pytest.raises(ClaimError):
        check_claim(bytes.fromhex(case["publisher"]), shown, case["position"], case["marks"], logged().view)
