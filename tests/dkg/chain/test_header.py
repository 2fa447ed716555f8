"""Headers: real blocks of every kind, each field altered, and the fields of forks (rows B5, C8)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.chain.header import EXTRA_BYTES_MAX, HEIGHT_MAX, Header, HeaderError, header_of_json
from node.devnet.chain import devnet
from tests.chain.anvil import anvil
from tests.chain.lies import rehashed
from tests.chain.rpc import Rpc

NO_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
NOTHING = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
FIRST = {  # Ethereum's block 1
    "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
    "parentHash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "sha3Uncles": NO_UNCLES,
    "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
    "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
    "transactionsRoot": NOTHING,
    "receiptsRoot": NOTHING,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x3ff800000",
    "number": "0x1",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x55ba4224",
    "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
    "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
    "nonce": "0x539bd4979fef1ec4",
}
LATER = {
    "baseFeePerGas": "0x7",
    "withdrawalsRoot": NOTHING,
    "blobGasUsed": "0x20000",
    "excessBlobGas": "0x0",
    "parentBeaconBlockRoot": "0x" + "ab" * 32,
    "requestsHash": "0x" + "cd" * 32,
}


LATEST = rehashed(FIRST | LATER)


def test_a_block_of_ethereum_is_read() -> None:
    assert header_of_json(FIRST) == Header(
        number=1,
        hash=bytes.fromhex(FIRST["hash"][2:]),
        parent=bytes.fromhex(FIRST["parentHash"][2:]),
        state_root=bytes.fromhex(FIRST["stateRoot"][2:]),
        timestamp=0x55BA4224,
    )


@pytest.mark.parametrize("forks", range(len(LATER) + 1))
def test_headers_of_every_fork_are_read(forks: int) -> None:
    block = rehashed(FIRST | dict(list(LATER.items())[:forks]))
    assert header_of_json(block).hash.hex() == block["hash"][2:]
    nulls = block | dict.fromkeys(list(LATER)[forks:])
    assert header_of_json(nulls) == header_of_json(block)


def test_blocks_of_the_development_chain_hash_to_their_hashes() -> None:
    with devnet() as chain:
        rpc = Rpc(chain.url)
        account = rpc("eth_accounts")[0]
        rpc("eth_sendTransaction", {"from": account, "to": account, "value": "0x1"})
        rpc("anvil_mine", "0x2")
        blocks = [rpc("eth_getBlockByNumber", hex(number), False) for number in range(4)]  # noqa: FBT003 - JSON-RPC
    headers = [header_of_json(block) for block in blocks]
    assert [header.number for header in headers] == [0, 1, 2, 3]
    assert [header.parent for header in headers[1:]] == [header.hash for header in headers[:-1]]


@pytest.mark.parametrize("fork", ["shanghai", "cancun", "prague"])  # its London mixes in fields of Cancun
def test_blocks_of_anvil_hash_to_their_hashes(fork: str) -> None:
    with anvil(options=["--hardfork", fork]) as chain:
        account = chain.accounts()[0]
        chain.rpc("eth_sendTransaction", {"from": account, "to": account, "value": "0x1"})
        chain.mine(2)
        headers = [header_of_json(chain.block(number)) for number in range(chain.head() + 1)]
    assert [header.parent for header in headers[1:]] == [header.hash for header in headers[:-1]]


def _turned(text: str) -> str:
    return text[:-1] + f"{int(text[-1], 16) ^ 1:x}"


@pytest.mark.parametrize("name", LATEST)
def test_every_field_altered_is_refused(name: str) -> None:
    assert header_of_json(LATEST).number == 1
    with pytest.raises(HeaderError, match="is not the hash that the endpoint names"):
        header_of_json(LATEST | {name: _turned(LATEST[name])})


@pytest.mark.parametrize("name", [name for name in LATEST if name != "hash"])
def test_every_field_altered_with_its_hash_is_another_block(name: str) -> None:
    altered = rehashed(LATEST | {name: _turned(LATEST[name])})
    with pytest.raises(HeaderError, match="the endpoint gave the block"):
        header_of_json(altered, bytes.fromhex(LATEST["hash"][2:]))


@pytest.mark.parametrize("name", [*FIRST, "requestsHash"])
def test_every_field_left_out_is_refused(name: str) -> None:
    with pytest.raises(HeaderError):
        header_of_json({key: value for key, value in LATEST.items() if key != name})


@pytest.mark.parametrize("name", list(LATER)[:-1])
def test_a_field_of_a_fork_is_not_left_out_before_later_ones(name: str) -> None:
    block = {key: value for key, value in LATEST.items() if key != name}
    with pytest.raises(HeaderError, match=f"a block without {name} has fields of a later fork"):
        header_of_json(rehashed(block))


@pytest.mark.parametrize("name", LATEST)
@pytest.mark.parametrize(
    "value", [None, 1, True, [], {}, "", "0x", "1", "0xg", "0x0001", "0x1\n", "0x" + "1" * 65, " 0x11", "-0x1", "0X11"]
)
def test_what_json_rpc_does_not_have_there_is_refused(name: str, value: object) -> None:
    with pytest.raises(HeaderError):
        header_of_json(LATEST | {name: value})


@pytest.mark.parametrize("block", [None, [], "", 1, {}])
def test_what_is_no_block_is_refused(block: object) -> None:
    with pytest.raises(HeaderError):
        header_of_json(block)


@pytest.mark.parametrize("name", ["number", "timestamp"])
def test_numbers_and_times_have_64_bits(name: str) -> None:
    assert header_of_json(rehashed(LATEST | {name: hex(HEIGHT_MAX)})).hash
    with pytest.raises(HeaderError, match="beyond 64 bits"):
        header_of_json(rehashed(LATEST | {name: hex(HEIGHT_MAX + 1)}))


def test_extra_data_has_a_limit() -> None:
    assert header_of_json(rehashed(LATEST | {"extraData": "0x" + "11" * EXTRA_BYTES_MAX})).number == 1
    with pytest.raises(HeaderError, match="extraData"):
        header_of_json(rehashed(LATEST | {"extraData": "0x" + "11" * (EXTRA_BYTES_MAX + 1)}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(list(LATEST)), inner, max_size=20),
)


@settings(max_examples=settings().max_examples // 2)
@given(JSON, st.dictionaries(st.sampled_from(list(LATEST)), JSON, max_size=3))
def test_arbitrary_json_is_refused(block: object, changes: dict[str, object]) -> None:
    with pytest.raises(HeaderError):
        header_of_json(block)
    if changes and any(LATEST[name] != value for name, value in changes.items()):
        with pytest.raises(HeaderError):
            header_of_json(LATEST | changes)
