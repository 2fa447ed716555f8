"""The development chain answers as anvil does: the same script over web3.py, every object compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from node.devnet.chain import devnet
from tests.chain.anvil import anvil
from tests.node.devnet.script import connected, play

if TYPE_CHECKING:
    from collections.abc import Iterator

# What depends on the clock, on the randomness of a block, or on the genesis block: anvil's knows no state, has the
# contracts of the protocol, and its first child pays the same base fee.
OWN = frozenset({
    "hash", "blockHash", "parentHash", "stateRoot", "timestamp", "blockTimestamp", "mixHash", "parentBeaconBlockRoot",
    "accountProof", "baseFeePerGas", "effectiveGasPrice", "gasPrice", "size",
})  # fmt: skip
OWN_ANSWERS = frozenset({"balance", "gas price", "fees"})

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Answers, Answers]]:
    with anvil() as theirs, devnet() as ours:
        found = play(connected(theirs.url))
        # The proof from an empty trie: geth and we send no node, anvil and reth its one empty node.
        assert found["proof of nothing"]["storageProof"][0].pop("proof") == ["0x80"]
        mine = play(connected(ours.url))
        assert mine["proof of nothing"]["storageProof"][0].pop("proof") == []
        yield mine, found


def without_own(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [without_own(item) for item in value]
    if isinstance(value, dict):
        own = OWN - {"hash"} if "input" in value else OWN  # a transaction's hash is no block's
        return {name: without_own(item) for name, item in value.items() if name not in own}
    return value


def shape(value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """Names and kinds of all members: what a strict reader of JSON looks at."""
    if isinstance(value, dict):
        return {key: shape(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item, name) for item in value[: 1 if name == "accountProof" else None]]
    if not isinstance(value, str):
        return type(value).__name__
    if name in ("input", "data", "extraData", "accountProof", "proof"):
        return "bytes" if re.fullmatch(r"0x([0-9a-f]{2})*", value) else value
    if len(value) in (18, 42, 66, 514) and name not in ("r", "s", "balance", "value"):
        return f"{len(value) // 2 - 1} bytes"
    return "quantity" if re.fullmatch(r"0x(0|[1-9a-f][0-9a-f]*)", value) else value


def test_every_answer_has_the_same_shape(both: tuple[Answers, Answers]) -> None:
    ours, theirs = both
    for name, answer in theirs.items():
        expected = shape(answer)
        if name.startswith("receipt"):
            del expected["blockTimestamp"]  # anvil's own, a plain number
        assert shape(ours[name]) == expected, name


def test_every_answer_says_the_same(both: tuple[Answers, Answers]) -> None:
    ours, theirs = both
    for name in theirs.keys() - OWN_ANSWERS:
        assert without_own(ours[name]) == without_own(theirs[name]), name


def test_the_script_did_what_it_says(both: tuple[Answers, Answers]) -> None:
    ours, _ = both
    assert [ours[f"receipt {at}"]["status"] for at in range(5)] == ["0x1", "0x1", "0x1", "0x1", "0x0"]
    assert [ours[f"transaction {at}"]["type"] for at in range(5)] == ["0x2", "0x2", "0x0", "0x1", "0x2"]
    assert [int(log["data"], 16) for log in ours["logs {}"]] == [7, 8, 9]
    assert (int(ours["call"], 16), int(ours["old call"], 16), ours["failing call"]) == (9, 7, 3)
