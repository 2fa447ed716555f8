"""The vectors of checkpoints through the contract: its modules, asked directly (`probe.vy`), and the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import boa  # type: ignore[import-untyped]
import pytest
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak
from vyper import compiler  # type: ignore[import-untyped]
from vyper.compiler.input_bundle import FilesystemInputBundle  # type: ignore[import-untyped]

from contracts.compile import FOLDER
from dkg.chain.checkpoints import Status
from dkg.chain.commit import Domain
from dkg.checkpoints.owners import prefix_of, registry_prefix
from dkg.checkpoints.paths import Step
from dkg.limits import SHOW_MAX, STEM_BYTES
from dkg.page import ORDERS, DatasetRoot, Leaf, cid_of
from tests.contracts.checkpoints.fuzz_chain import Contracts
from tests.contracts.onchain import KEYS, RevertedError, examples
from tests.dkg.checkpoints.test_vectors import Case, cases
from tests.vectors import load

if TYPE_CHECKING:
    from collections.abc import Mapping

ME: Final = KEYS[0].address
_ERROR: Final = keccak(text="Error(string)")[:4]


class Probe:
    """`probe.vy` on an EVM of its own. Calls raise `RevertedError`."""

    def __init__(self) -> None:
        bundle = FilesystemInputBundle([Path(__file__).parent, FOLDER])
        source = bundle.load_file(Path(__file__).parent / "probe.vy")
        made = compiler.compile_from_file_input(source, input_bundle=bundle, output_formats=("abi", "bytecode"))
        self._functions = {part["name"]: part for part in made["abi"] if part["type"] == "function"}
        self.env = boa.Env()
        self.address, _ = self.env.deploy_code(bytecode=bytes.fromhex(made["bytecode"][2:]))

    def call(self, name: str, *values: Any) -> tuple[Any, ...]:  # noqa: ANN401 - values of an ABI
        """Call a function: what it returns."""
        part = self._functions[name]
        types = [given["type"] for given in part["inputs"]]
        data = keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)
        made = self.env.execute_code(to_address=self.address, sender=ME, data=data)
        output = bytes(made.output)
        if made.is_error:
            raise RevertedError(decode(["string"], output[4:])[0] if output[:4] == _ERROR else "")
        return decode([given["type"] for given in part["outputs"]], output)

    def show_of(self, name: str) -> None:
        """Show what is shown before the cases of a file."""
        for case in cases(name):
            blob, at = bytes.fromhex(case["path"]), 0
            while at < len(blob):
                end = at + 4 + int.from_bytes(blob[at + 2 : at + 4])
                self.call("show", blob[at + 4 : end])
                at = end
        for raw in cast("list[str]", cases(name, "malformed")) if name == "faults" else []:
            self.call("show", bytes.fromhex(raw))
        for case in cases(name, "long"):
            (digest,) = self.call("show_long", bytes.fromhex(case["state"]), bytes.fromhex(case["block"]))
            assert digest.hex() == case["digest"]

    def check(self, case: Case, path: str) -> None:
        """Check a path as its case says."""
        key, before, after = (bytes.fromhex(case[part]) for part in ("key", "before", "after"))
        values = (bytes.fromhex(path), bytes.fromhex(case["root"]), case["tree"], key)
        if case["kind"] == "member":
            self.call("member", *values)
        else:
            self.call("absent", *values, before, after, case["kind"] == "hidden")

    def fault(self, case: Case, path: str) -> None:
        """Check a fault as its case says."""
        page, bound, entry = (bytes.fromhex(case[part]) for part in ("page", "bound", "entry"))
        self.call("fault", bytes.fromhex(path), bytes.fromhex(case["root"]), case["fault"], page, bound, entry)


@pytest.fixture(scope="module")
def bare() -> Probe:
    return Probe()


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    return Contracts()


def test_what_pages_are(contracts: Contracts) -> None:
    for case in cases("pages"):
        raw = bytes.fromhex(case["raw"])
        if len(raw) <= SHOW_MAX:
            output = contracts.call(ME, "show", raw).output
        else:
            output = contracts.call(ME, "show_long", bytes.fromhex(case["state"]), bytes.fromhex(case["block"])).output
        assert output.hex() == case["digest"], case["name"]
        assert contracts.shown(output).hex() == case["word"], case["name"]


def test_whose_keys_are(bare: Probe) -> None:
    made = cast("Any", load("checkpoints/owners.json"))
    prefix = registry_prefix(Domain(made["chain_id"], bytes.fromhex(made["registry"])))
    for case in made["keys"]:
        found, owner = bare.call("owner", bytes.fromhex(case["key"])[:STEM_BYTES], prefix)
        assert (owner[2:] if found else None) == case["owner"], case["name"]
    for keys in made["permuted"]:
        for at, a in enumerate(ORDERS):
            found = {b: bare.call("permute", bytes.fromhex(keys[a]), at, to)[0].hex() for to, b in enumerate(ORDERS)}
            assert found == keys


def test_paths_by_bytes_and_by_summary_and_refused_ones(bare: Probe) -> None:
    with bare.env.anchor():
        bare.show_of("paths")
        for case in cases("paths"):
            bare.check(case, case["path"])
            bare.check(case, case["summarised"])
    for unshown in (True, False):
        with bare.env.anchor():
            if not unshown:
                bare.show_of("paths")
            for case in cases("paths", "refused"):
                if bool(case.get("unshown")) == unshown:
                    with pytest.raises(RevertedError):
                        bare.check(case, case["path"])


def test_faults_by_bytes_and_by_summary_and_what_is_none(bare: Probe) -> None:
    with bare.env.anchor():
        bare.show_of("faults")
        for case in cases("faults"):
            bare.fault(case, case["path"])
            bare.fault(case, case["summarised"])
        for case in cases("faults", "refused"):
            with pytest.raises(RevertedError):
                bare.fault(case, case["path"])


class Claims:
    """The contract with the registry of the vectors, and a checkpoint with one key of each publisher of them.

    What the contract takes a claim for is seen by whether it refutes that checkpoint.
    """

    def __init__(self, contracts: Contracts, made: Mapping[str, Any]) -> None:
        self.contracts = contracts
        for case in made["log"]:
            self._set(contracts.registry.address, 2, int(case["numbers"], 16) >> 144 & 2**48 - 1, case["entry"])
        for publisher, (seq, position) in made["heads"].items():
            self._set(contracts.registry.address, 1, int(publisher, 16), seq << 48 | position)
        for position, number in made["marks"].items():
            self._set(contracts.address, 5, int(position), 1 << 48 | number)
        publishers = {case["publisher"] for part in ("log", "cases", "refused") for case in made[part]}
        graphs = {one: prefix_of(contracts.domain, bytes.fromhex(one)) + b">" for one in publishers}
        self.keys = {one: b"<s>\0<p>\0<o>\0" + graph + b"\0" for one, graph in graphs.items()}
        leaf = Leaf(sorted(self.keys.values()))
        self.leaf = Step(leaf, leaf.encode(), 0)
        root = DatasetRoot([cid_of(self.leaf.raw)] * 4, leaf.count)
        self.root = Step(root, root.encode(), 0)
        self._set(contracts.address, 2, 1, self.root.digest.hex())
        self._set(contracts.address, 4, 1, Status.PENDING << 192)

    def _set(self, address: str, slot: int, key: int, value: int | str) -> None:
        place = int.from_bytes(keccak(slot.to_bytes(32) + key.to_bytes(32)))
        self.contracts.env.set_storage(address, place, value if isinstance(value, int) else int(value, 16))

    def refute(self, case: Case, records: list[Case], *, long: str | None = None) -> str:
        """Claim that a publisher's key is too much; `long`: whose root is long. Why it is refused; "" if it is not."""
        contracts, publisher = self.contracts, case["publisher"]
        key = self.keys[publisher]
        at = sorted(self.keys.values()).index(key)
        path = self.root.encode(0) + Step(self.leaf.page, self.leaf.raw, at).encode(0)
        shown = [
            (bytes.fromhex(one["root"]), int(one["numbers"], 16), one["block_number"], one["timestamp"])
            for one in records
        ]
        with contracts.env.anchor():
            self._set(contracts.address, 3, 1, case["position"] << 48 | case["marks"])
            if long:
                self._set(contracts.address, 7, int(long, 16), 2)
            try:
                contracts.call(ME, "challenge_extra", 1, key, path, "0x" + publisher, shown, b"", b"", b"")
            except RevertedError as error:
                return error.reason or "reverted"
        return ""


def test_what_counts_and_false_claims_of_it(contracts: Contracts) -> None:
    made = cast("Any", load("checkpoints/records.json"))
    with contracts.env.anchor():
        claims = Claims(contracts, made)
        for case in made["cases"][:: examples(5, 1)]:
            records = [made["log"][position] for position in case["records"]]
            if case["counts"] is None:
                assert claims.refute(case, records) == ""
            else:
                assert claims.refute(case, records) == "not absent"
                assert claims.refute(case, records, long=case["counts"]) == ""
        for case in made["refused"]:
            found = claims.refute(case, case["records"])
            assert found not in {"", "not absent"}, case["name"]
