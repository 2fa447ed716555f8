"""What is asked of endpoints for sending: one or several, honest, dead or lying."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.chain.secp import checksum
from dkg.chain.trie import EMPTY_CODE
from dkg.client.chainread import RpcReader
from dkg.client.quorum import ENDPOINTS_MAX
from dkg.client.rpc import ChainError, HttpRpc, RpcAnswerError
from dkg.errors import InputError, ProofError
from node.publish.answers import Taken
from node.publish.calls import Call
from node.publish.errors import RevertedError
from node.publish.fees import GWEI, Fees
from node.publish.wallet import Wallet
from node.publish.writer import RpcWriter
from tests.chain.lies import LIES, dead, edited, first, honest, only, refused
from tests.chain.proxy import proxy, unreachable
from tests.node.publish.world import KEY, World, hasty

if TYPE_CHECKING:
    from dkg.chain.header import Header

WALLET = Wallet(KEY)
PAYMENT = Call(b"\x99" * 20, b"")
FEES = Fees(50 * GWEI, GWEI)


def latest(world: World) -> Header:
    with RpcReader(HttpRpc(world.url)) as reader:
        return reader.header("latest")


def signed(world: World, nonce: int, call: Call = PAYMENT) -> tuple[bytes, bytes]:
    return WALLET.sign_transaction(world.domain.chain_id, nonce, 21_000, FEES, call)


def test_the_chain_is_read_and_written(either: World) -> None:
    with closing(RpcWriter([either.url])) as writer:
        account = writer.account(WALLET.address, latest(either))
        assert account.nonce == writer.pending_nonce(WALLET.address) == 0
        assert account.balance == int(either.rpc("eth_getBalance", "0x" + WALLET.address.hex(), "latest"), 16)
        assert account.code_hash == EMPTY_CODE
        nobody = writer.account(b"\x98" * 20, latest(either))
        assert (nobody.nonce, nobody.balance, nobody.code_hash) == (0, 0, EMPTY_CODE)
        base_fee, tip = writer.fees()
        assert 0 < base_fee <= GWEI
        assert tip == GWEI
        assert writer.estimate_gas(WALLET.address, PAYMENT) == 21_000
        raw, digest = signed(either, 0)
        assert not writer.knows(digest)
        assert writer.receipt(digest) is None
        either.set_automine(False)
        assert writer.send(raw, digest).taken is Taken.YES
        assert writer.send(raw, digest).taken is Taken.YES
        assert writer.knows(digest)
        assert writer.pending_nonce(WALLET.address) == 1
        before = writer.block_number()
        either.mine()
        assert writer.block_number() == before + 1
        receipt = writer.receipt(digest)
        assert receipt is not None
        assert (receipt.block, receipt.success, receipt.gas) == (before + 1, True, 21_000)
        assert receipt.block_hash == latest(either).hash
        assert writer.account(WALLET.address, latest(either)).nonce == 1
        assert writer.send(*signed(either, 0)).taken in {Taken.STALE, Taken.YES}  # known, as the mined one
        other = WALLET.sign_transaction(either.domain.chain_id, 0, 22_000, FEES, PAYMENT)
        assert writer.send(*other).taken is Taken.STALE
        assert writer.account(either.domain.registry, latest(either)).code_hash != EMPTY_CODE


def test_what_a_contract_refuses_is_told_with_its_reason(either: World) -> None:
    call = Call(either.domain.registry, b"\x00\x01\x02\x03")
    with closing(RpcWriter([either.url])) as writer, pytest.raises(RevertedError, match="revert"):
        writer.estimate_gas(WALLET.address, call)


def test_a_call_is_tried_on_top_of_a_block_without_being_sent(either: World) -> None:
    block = latest(either)
    with closing(RpcWriter([either.url])) as writer:
        writer.try_call(WALLET.address, PAYMENT, block)
        with pytest.raises(RevertedError, match=r"the contract would refuse this: .*revert"):
            writer.try_call(WALLET.address, Call(either.domain.registry, b"\x00\x01\x02\x03"), block)
        assert writer.account(WALLET.address, latest(either)).nonce == 0


def test_coins_go_along_with_a_call(either: World) -> None:
    with closing(RpcWriter([either.url])) as writer:
        before = writer.account(PAYMENT.to or b"", latest(either)).balance
        assert writer.send(*signed(either, 0, replace(PAYMENT, value=7))).taken is Taken.YES
        either.mine()
        assert writer.account(PAYMENT.to or b"", latest(either)).balance == before + 7


def test_a_price_that_the_pool_refuses(either: World) -> None:
    either.set_automine(False)
    with closing(RpcWriter([either.url])) as writer:
        assert writer.send(*signed(either, 0)).taken is Taken.YES
        cheaper = WALLET.sign_transaction(either.domain.chain_id, 0, 21_000, Fees(40 * GWEI, GWEI), PAYMENT)
        assert writer.send(*cheaper).taken is Taken.UNDERPRICED
        poor = Wallet(b"\x77" * 32)
        assert writer.send(*poor.sign_transaction(31337, 0, 21_000, FEES, PAYMENT)).taken is Taken.FUNDS


@pytest.mark.parametrize("name", ["forged account proof", "short account proof"])
def test_a_lie_about_an_account_is_found_out_and_the_next_endpoint_asked(here: World, name: str) -> None:
    with proxy(here.url, LIES[name]()) as between:
        with closing(RpcWriter([between.url])) as alone, pytest.raises(ProofError):
            alone.account(WALLET.address, latest(here))
        with closing(RpcWriter([between.url, here.url])) as both:
            assert both.account(WALLET.address, latest(here)).nonce == 0
            calls = len(between.calls)
            both.account(WALLET.address, latest(here))
            assert len(between.calls) == calls  # who failed is asked last from then on


def test_without_proofs_an_account_is_taken_at_the_endpoints_word(here: World) -> None:
    rule = only(("eth_getProof",), refused())
    with proxy(here.url, rule) as between, closing(RpcWriter([between.url])) as writer:
        account = writer.account(WALLET.address, latest(here))
        assert account == writer.account(WALLET.address, latest(here))
    with closing(RpcWriter([here.url])) as proved:
        assert proved.account(WALLET.address, latest(here)) == account


def test_one_that_takes_it_for_another_transaction_is_a_fault(here: World) -> None:
    rule = edited(("eth_sendRawTransaction",), lambda digest: digest[:-1] + ("0" if digest[-1] != "0" else "1"))
    raw, digest = signed(here, 0)
    with proxy(here.url, rule) as between:
        with closing(RpcWriter([between.url])) as alone, pytest.raises(RpcAnswerError, match="for another one"):
            alone.send(raw, digest)
        with closing(RpcWriter([between.url, here.url])) as both:
            assert both.send(raw, digest).taken in {Taken.YES, Taken.STALE}


@pytest.mark.parametrize("order", [0, 1])
def test_the_kindest_answer_of_several_counts(here: World, order: int) -> None:
    raw, digest = signed(here, 0)
    refuses = only(("eth_sendRawTransaction",), refused(-32000, "not today"))
    with proxy(here.url, refuses) as between:
        urls = [between.url, here.url]
        with closing(RpcWriter(urls[order:] + urls[:order])) as writer:
            assert writer.send(raw, digest).taken is Taken.YES
        with closing(RpcWriter([between.url, unreachable()], hasty())) as writer:
            answer = writer.send(raw, digest)
            assert answer.taken is Taken.NO
            assert "not today" in answer.said
    assert here.rpc("eth_getTransactionReceipt", "0x" + digest.hex()) is not None


def test_a_receipt_of_any_endpoint_is_a_hint(here: World) -> None:
    raw, digest = signed(here, 0)
    with (
        proxy(here.url, LIES["null receipt"]()) as hides,
        proxy(here.url, dead()) as gone,
        closing(RpcWriter([hides.url, gone.url, here.url], hasty())) as writer,
    ):
        writer.send(raw, digest)
        assert writer.receipt(digest) is not None
        assert writer.receipt(b"\x01" * 32) is None
    with proxy(here.url, dead()) as gone, closing(RpcWriter([gone.url], hasty())) as writer, pytest.raises(ChainError):
        writer.receipt(digest)


def test_a_dead_endpoint_is_passed_over(here: World) -> None:
    with proxy(here.url, dead()) as gone, closing(RpcWriter([gone.url, here.url], hasty())) as writer:
        assert writer.block_number() == writer.block_number()
        assert gone.calls == ["eth_blockNumber"]
        gone.rule = honest
    with proxy(here.url, first(1, dead())) as gone, closing(RpcWriter([gone.url], hasty())) as writer:
        assert writer.block_number() == latest(here).number


def test_numbers_of_endpoints_are_bounded(here: World) -> None:
    for urls in ([], [here.url] * (ENDPOINTS_MAX + 1)):
        with pytest.raises(InputError, match="name 1 to 16"):
            RpcWriter(urls)
    with closing(RpcWriter([f"http://127.0.0.{number}:1" for number in range(1, ENDPOINTS_MAX + 1)])) as writer:
        assert len(writer._order) == ENDPOINTS_MAX


@pytest.mark.parametrize("answer", ["0x", "7", None, hex(2**63), 5])
def test_answers_that_are_no_numbers_are_faults(here: World, answer: object) -> None:
    rule = edited(("eth_blockNumber",), lambda _result: answer)
    with proxy(here.url, rule) as between, closing(RpcWriter([between.url])) as writer, pytest.raises(RpcAnswerError):
        writer.block_number()


@pytest.mark.parametrize("answer", [[], {}, {"baseFeePerGas": []}, {"baseFeePerGas": [5]}, {"baseFeePerGas": ["0x"]}])
def test_fees_that_are_none_are_faults(here: World, answer: object) -> None:
    rule = edited(("eth_feeHistory",), lambda _result: answer)
    with proxy(here.url, rule) as between, closing(RpcWriter([between.url])) as writer, pytest.raises(RpcAnswerError):
        writer.fees()


def test_transactions_are_of_one_chain_and_type(here: World) -> None:
    raw, digest = signed(here, 0)
    found = here.rpc("eth_getTransactionByHash", here.rpc("eth_sendRawTransaction", "0x" + raw.hex()))
    assert (found["type"], found["chainId"], found["hash"]) == ("0x2", "0x7a69", "0x" + digest.hex())
    assert found["from"] == "0x" + WALLET.address.hex()
    assert checksum(bytes.fromhex(found["to"][2:])) == checksum(PAYMENT.to or b"")
