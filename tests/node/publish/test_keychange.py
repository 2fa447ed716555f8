"""Changes of keys, and deployment: done once, proved, by the keys that may."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from contracts import checkpoints
from contracts import registry as artefact
from dkg.chain.checkpoints import Terms
from dkg.chain.commit import Domain
from dkg.chain.secp import keccak256
from dkg.client.chainread import UnprovableError
from dkg.client.rpc import Waiting
from dkg.errors import InputError, StoreError
from node.devnet.chain import devnet
from node.home import Home
from node.publish.deployment import KeptAttempts
from node.publish.errors import RejectedError, SignerError, StuckError
from node.publish.fees import FeePolicy
from node.publish.keychange import Keys, deploy, deploy_checkpoints
from node.publish.publisher import connected
from node.publish.sender import Tools
from node.publish.wallet import Wallet, Wallets
from tests.chain.anvil import anvil
from tests.chain.lies import LIES, edited, honest, only, refused
from tests.chain.proxy import proxy
from tests.chain.rpc import Rpc
from tests.node.publish.world import KEY, KEYS, OTHER_KEY, PAYER_KEY, QUICK, FakeTime, World, hasty, request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chain.proxy import Request, Response

COLD, HOT = Wallet(KEY), Wallet(OTHER_KEY)
RELAYED = Wallets(COLD.address, COLD, Wallet(PAYER_KEY))
BY_SIGNER = Wallets(COLD.address, HOT, HOT)


def signer_of(world: World) -> bytes:
    data = "0x" + keccak256(b"signer_of(address)")[:4].hex() + COLD.address.rjust(32, b"\0").hex()
    found = world.rpc("eth_call", {"to": "0x" + world.domain.registry.hex(), "data": data}, "latest")
    return bytes.fromhex(found[2:])[-20:]


@pytest.mark.parametrize("wallets", [Wallets.of(KEY), RELAYED], ids=["own gas", "relayed"])
def test_keys_are_rotated_revoked_and_retired(here: World, wallets: Wallets) -> None:
    with here.publisher(wallets=wallets) as publisher:
        keys = Keys(publisher)
        changed = keys.rotate(HOT.address)
        assert (changed.signer, changed.changed, changed.retired) == (HOT.address, True, False)
        assert signer_of(here) == HOT.address
        assert changed.transaction is not None
        receipt = here.rpc("eth_getTransactionReceipt", "0x" + changed.transaction.hex())
        assert (receipt["from"], int(receipt["gasUsed"], 16)) == ("0x" + wallets.payer.address.hex(), changed.gas_used)
        again = keys.rotate(HOT.address)
        assert (again.changed, again.transaction, again.signer) == (False, None, HOT.address)
        assert keys.revoke().signer is None
        assert not keys.revoke().changed
        assert keys.rotate(COLD.address).signer == COLD.address
        retired = keys.retire()
        assert (retired.retired, retired.signer) == (True, None)
        assert not keys.retire().changed
        with pytest.raises(SignerError, match="retired"):
            keys.rotate(HOT.address)
        with pytest.raises(SignerError, match="retired"):
            publisher.publish(request("a"))
    assert signer_of(here) == bytes(20)


@pytest.mark.parametrize("payer", [HOT, Wallet(PAYER_KEY)], ids=["own gas", "relayed"])
def test_a_signer_can_revoke_itself_and_nothing_else(here: World, payer: Wallet) -> None:
    with here.publisher() as publisher:
        Keys(publisher).rotate(HOT.address)
    with here.publisher(wallets=replace(BY_SIGNER, payer=payer)) as publisher:
        keys = Keys(publisher)
        with pytest.raises(SignerError, match="only the own key"):
            keys.retire()
        with pytest.raises(SignerError, match="only the own key"):
            keys.rotate(COLD.address)
        publisher.publish(request("a"))
        assert keys.revoke().changed
        with pytest.raises(SignerError, match="revoked"):
            publisher.publish(request("b"))
    here.check("a")


def test_a_stranger_cannot_revoke(here: World) -> None:
    with here.publisher(wallets=BY_SIGNER) as publisher, pytest.raises(SignerError, match="is neither the own key"):
        Keys(publisher).revoke()
    assert signer_of(here) == COLD.address


@pytest.mark.parametrize("signer", [bytes(20), bytes(19) + b"\2", b"\x11" * 19])
def test_a_signer_that_nobody_can_be_is_refused(here: World, signer: bytes) -> None:
    with here.publisher() as publisher, pytest.raises(InputError, match="no address that has a key"):
        Keys(publisher).rotate(signer)


def test_a_commit_that_is_stuck_does_not_hold_up_a_revocation(here: World) -> None:
    """A stolen key: the owner revokes it though a commit waits in the pool, whatever it pays."""

    def interrupt(_text: str, _done: int, _wanted: int) -> None:
        raise KeyboardInterrupt

    here.set_automine(False)
    with here.publisher() as publisher:
        with pytest.raises(KeyboardInterrupt):
            publisher.publish(request("a"), interrupt)
        (waiting,) = here.attempts("a")
        revoked = Keys(publisher).revoke(lambda *_: here.mine())
        assert revoked.changed
        assert revoked.transaction is not None
        sent = here.rpc("eth_getTransactionByHash", "0x" + revoked.transaction.hex())
        assert int(sent["nonce"], 16) == waiting.nonce
        assert here.rpc("eth_getTransactionByHash", "0x" + waiting.hash.hex()) is None
        with pytest.raises(SignerError, match="revoked"):
            publisher.resume()
        assert here.events() == []
        here.set_automine(True)
        assert Keys(publisher).rotate(COLD.address).changed
        publisher.resume()
    here.check("a")


def test_a_change_of_keys_that_is_swallowed_is_not_told_as_done(here: World) -> None:
    waits = replace(QUICK, poll_max_s=1.0)
    with (
        proxy(here.url, LIES["swallowed transaction"]()) as between,
        here.publisher(send_to=[between.url], waits=waits, waiting=FakeTime().waiting()) as publisher,
    ):
        with pytest.raises(StuckError, match="no block came"):
            Keys(publisher).revoke()
        assert signer_of(here) == COLD.address
        between.rule = honest
        assert Keys(publisher).revoke().changed
    assert signer_of(here) == bytes(20)


def test_without_proofs_keys_are_changed_on_the_endpoints_word_where_that_is_allowed(here: World) -> None:
    rule = only(("eth_getProof",), refused())
    with proxy(here.url, rule) as between, here.publisher(between.url, wallets=RELAYED) as publisher:
        with pytest.raises(UnprovableError):
            Keys(publisher).revoke()
        publisher._allow_unproved = True
        assert Keys(publisher).revoke().changed
    assert signer_of(here) == bytes(20)


def test_a_rotation_that_a_reorganisation_drops_is_done_again(here: World) -> None:
    done: list[str] = []

    def at(step: str) -> None:
        if step == "receipt" and not done:
            done.append(step)
            here.rpc("anvil_reorg", 1, [])

    with here.publisher(at=at) as publisher:
        assert Keys(publisher).rotate(HOT.address).changed
    assert done == ["receipt"]
    assert signer_of(here) == HOT.address


# --- deployment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("chain", ["devnet", "anvil"])
def test_a_registry_is_deployed_and_used(chain: str, before: int) -> None:
    with anvil() if chain == "anvil" else devnet() as running:
        rpc = Rpc(running.url)
        rpc("anvil_mine", hex(before))
        with connected([running.url], 1) as (reader, writer):
            done = deploy(Wallet(KEYS[3]), reader, Tools(writer, Waiting(), time.time, FeePolicy(), QUICK))
        assert (done.chain_id, done.block) == (31337, before + 1)
        code = rpc("eth_getCode", "0x" + done.address.hex(), "latest")
        assert code.startswith(artefact().runtime)
        assert done.transaction is not None
        receipt = rpc("eth_getTransactionReceipt", "0x" + done.transaction.hex())
        assert receipt["contractAddress"] == "0x" + done.address.hex()
        assert (int(receipt["gasUsed"], 16), int(receipt["blockNumber"], 16)) == (done.gas_used, done.block)


def test_a_deployment_is_kept_before_it_is_sent_and_counts_for_its_chain_and_account(tmp_path: Path) -> None:
    kept, sent = KeptAttempts(Home(tmp_path)), []
    with devnet() as chain, connected([chain.url], 1) as (reader, writer):

        def crash(step: str) -> None:
            if step == "built":
                sent.extend(KeptAttempts(Home(tmp_path)).load(31337, Wallet(KEYS[3]).address))
                raise KeyboardInterrupt

        policy = FeePolicy()
        with pytest.raises(KeyboardInterrupt):
            deploy(Wallet(KEYS[3]), reader, Tools(writer, hasty(), time.time, policy, QUICK, crash), kept=kept)
        assert len(sent) == 1
        assert kept.load(1, Wallet(KEYS[3]).address) == kept.load(31337, Wallet(KEY).address) == []
        done = deploy(Wallet(KEYS[3]), reader, Tools(writer, hasty(), time.time, policy, QUICK), kept=kept)
        assert done.transaction == sent[0].hash
    (tmp_path / "deployment").write_bytes(b"junk")
    with pytest.raises(StoreError, match="is damaged"):
        kept.load(31337, Wallet(KEYS[3]).address)
    kept.forget()
    assert kept.load(31337, Wallet(KEYS[3]).address) == []


def test_code_that_is_not_the_registrys_is_refused() -> None:
    other = edited(("eth_getCode",), lambda code: code[:-2] + "00" if code[2:] else code)
    unproved = only(("eth_getProof",), refused(-32601, "no such method"))

    def rule(request: Request, response: Response) -> Response:
        return other(request, unproved(request, response))

    with devnet() as chain, proxy(chain.url, rule) as between, connected([between.url], 1) as (reader, writer):
        tools = Tools(writer, hasty(), time.time, FeePolicy(), QUICK)
        with pytest.raises(RejectedError, match="does not have the code that was to be there"):
            deploy(Wallet(KEY), reader, tools)


def test_a_checkpoint_contract_is_deployed_once_and_with_these_terms_or_not_at_all(tmp_path: Path) -> None:
    kept, terms = KeptAttempts(Home(tmp_path), "checkpoints-deployment"), Terms(7, 60, 3, 20)
    with devnet() as chain, connected([chain.url], 1) as (reader, writer):
        tools = Tools(writer, hasty(), time.time, FeePolicy(), QUICK)
        wallet = Wallet(KEYS[3])
        domain = Domain(31337, deploy(wallet, reader, tools).address)
        done = deploy_checkpoints(wallet, reader, tools, domain, terms, kept=kept)
        assert deploy_checkpoints(wallet, reader, tools, domain, terms, kept=kept) == done
        code = bytes.fromhex(Rpc(chain.url)("eth_getCode", "0x" + done.address.hex(), "latest")[2:])
        assert Terms.of_code(code, bytes.fromhex(checkpoints().runtime[2:]), domain) == terms
        with pytest.raises(RejectedError, match="with other terms"):
            deploy_checkpoints(wallet, reader, tools, domain, replace(terms, bond=8), kept=kept)
        with pytest.raises(RejectedError, match=r"would refuse this: .*bond"):
            deploy_checkpoints(wallet, reader, tools, domain, replace(terms, bond=0))
