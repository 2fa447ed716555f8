"""The registry's two functions that snekmate has too, against snekmate's: the domain separator, and who signed.

snekmate is licensed under AGPL-3.0-only, so what is shipped has none of it (docs/adr/0007-registry-contract.md).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boa  # type: ignore[import-untyped]
import pytest
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from vyper import compiler  # type: ignore[import-untyped]
from vyper.compiler.input_bundle import FilesystemInputBundle  # type: ignore[import-untyped]

import contracts.compile
from tests.contracts.onchain import KEYS, examples

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BOTH: Final = """

from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator

initializes: eip712_domain_separator


@external
@view
def our_separator() -> bytes32:
    return self._domain_separator()


@external
@view
def their_separator() -> bytes32:
    return eip712_domain_separator._domain_separator_v4()


@external
@view
def our_signer(struct_hash: bytes32, r: bytes32, s: bytes32, v: uint8) -> address:
    return self._recover(struct_hash, r, s, v)


@external
@view
def their_signer(struct_hash: bytes32, r: bytes32, s: bytes32, v: uint8) -> address:
    digest: bytes32 = eip712_domain_separator._hash_typed_data_v4(struct_hash)
    return ecdsa._recover_vrs(digest, convert(v, uint256), convert(r, uint256), convert(s, uint256))
"""
"""Appended to the registry's own source."""

Call = Callable[..., bytes | None]


@pytest.fixture(scope="module")
def env() -> Any:  # noqa: ANN401 - titanoboa has no types
    return boa.Env()


@pytest.fixture(scope="module")
def call(env: Any, tmp_path_factory: pytest.TempPathFactory) -> Call:  # noqa: ANN401
    """Calls a function of a contract that has both; what it returns, or None if it reverts."""
    setup = "    self.log_state = block.number << _FIRST_BLOCK_SHIFT\n"
    text = (contracts.compile.FOLDER / "registry.vy").read_text()
    assert text.count(setup) == 1
    source = tmp_path_factory.mktemp("oracle") / "both.vy"
    source.write_text(text.replace(setup, f'{setup}    eip712_domain_separator.__init__("DKG Registry", "1")\n') + BOTH)
    bundle = FilesystemInputBundle([Path(str(distribution("snekmate").locate_file(""))), source.parent])
    made = compiler.compile_from_file_input(bundle.load_file(source), input_bundle=bundle, output_formats=("bytecode",))
    address, _ = env.deploy_code(bytecode=bytes.fromhex(made["bytecode"][2:]))

    def called(name: str, *values: Any) -> bytes | None:  # noqa: ANN401 - values of an ABI
        types = ["bytes32", "bytes32", "bytes32", "uint8"][: len(values)]
        data = keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)
        result = env.execute_code(to_address=address, data=data)
        return None if result.is_error else bytes(result.output)

    return called


@pytest.mark.parametrize("chain_id", [1, 31337, 2**64 - 1, 2**256 - 1])
def test_the_domain_separators_are_equal_on_every_chain(env: Any, call: Call, chain_id: int) -> None:  # noqa: ANN401
    # snekmate's was made for another chain id, at deployment: it too notices that the chain has forked.
    env.evm.patch.chain_id = chain_id
    assert call("our_separator") == call("their_separator")
    assert call("our_separator") is not None


def words(near: list[int]) -> st.SearchStrategy[int]:
    """Any word, often a special one or one beside it."""
    return st.integers(0, 2**256 - 1) | st.builds(
        lambda word, more: (word + more) % 2**256, st.sampled_from(near), st.integers(-2, 2)
    )


@settings(max_examples=examples(200, 10_000))
@given(st.binary(min_size=32, max_size=32), words([0, ORDER, ORDER // 2]), words([0, ORDER, ORDER // 2]), st.data())
def test_arbitrary_numbers_are_signed_by_the_same_address_or_by_nobody(
    call: Call, struct_hash: bytes, r: int, s: int, data: st.DataObject
) -> None:
    v = data.draw(st.sampled_from([27, 28]) | st.integers(0, 255))
    values = (struct_hash, r.to_bytes(32), s.to_bytes(32), v)
    assert call("our_signer", *values) == call("their_signer", *values)


@settings(max_examples=examples(100, 5000))
@given(
    struct_hash=st.binary(min_size=32, max_size=32),
    key=st.sampled_from(KEYS),
    malleated=st.booleans(),
    other=st.none() | st.binary(min_size=32, max_size=32),
)
def test_signatures_are_by_the_same_address(
    call: Call,
    struct_hash: bytes,
    key: LocalAccount,
    other: bytes | None,
    *,
    malleated: bool,
) -> None:
    separator = call("our_separator")
    assert separator is not None
    made = Account.unsafe_sign_hash(keccak(b"\x19\x01" + separator + struct_hash), key.key)
    r, s, v = made.r, made.s, made.v
    if malleated:
        s, v = ORDER - s, 55 - v
    values = (other or struct_hash, r.to_bytes(32), s.to_bytes(32), v)
    ours = call("our_signer", *values)
    assert ours == call("their_signer", *values)
    assert (ours is None) == malleated
    if ours is not None:
        assert (decode(["address"], ours)[0] == key.address.lower()) == (other in {None, struct_hash})
