"""Row C7 and invariant I10: a publisher that tells two stories, caught, in evidence that anybody can check."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import dkg
from dkg.chain.commit import Commit, Domain, SignedCommit
from dkg.chain.evidence import check_evidence, encode_evidence
from dkg.chain.secp import checksum
from dkg.client.cli import main
from dkg.client.cli.exits import Exit
from dkg.client.signed import verify_head, verify_signed
from dkg.errors import ProofError
from node.devnet.chain import devnet
from tests.chain.registry import KEYS
from tests.chain.world import world
from tests.dkg.chain.contexts import DOMAIN, KEY, OTHER_KEY, PUBLISHER

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "SELECT ?o { <http://e/a> <http://e/p> ?o }"


def dataset(text: str) -> tuple[bytes, bytes]:
    """The root of a dataset, and the proof of an answer about it."""
    store = dkg.MemoryPageStore()
    root = dkg.build(dkg.load(f'<http://e/a> <http://e/p> "{text}" .'.encode(), format="nt"), store)
    return root, dkg.prove(store, root, QUERY).car


def evidence_file(folder: Path, data: bytes) -> str:
    path = folder / "evidence"
    path.write_bytes(data)
    return str(path)


def test_a_publisher_that_shows_one_commit_to_the_chain_and_another_to_a_friend_is_caught(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with devnet() as chain, world(chain.url) as here:
        domain, publisher = here.registry.domain, here.publisher
        (root, proof), (other_root, other_proof) = dataset("to the chain"), dataset("to a friend")
        told = Commit(publisher, 1, root[4:], 1, bytes(32), 1_800_000_000)
        anchored = SignedCommit.make(domain, told, KEYS[publisher])
        secret = SignedCommit.make(domain, replace(told, root=other_root[4:]), KEYS[publisher])
        signature = anchored.signature
        here.registry.call(
            "commit_signed",
            *(publisher, 1, told.root, told.count, told.previous, told.created, bytes(32)),
            *(signature[:32], signature[32:64], signature[64]),
            sender=here.registry.accounts[5],
        )
        client = here.client()
        head = client.head()
        assert head.root == root
        assert len(client.verify(proof, QUERY, head=head).answer.rows) == 1
        with pytest.raises(ProofError):  # whoever looks at the chain does not take the other
            client.verify(other_proof, QUERY, head=head)
        client.close()
    friend = verify_signed(other_proof, QUERY, verify_head(secret, domain, publisher))
    assert [str(row[0]) for row in friend.answer.rows] == ['"to a friend"']  # who does not, does
    path = evidence_file(tmp_path, encode_evidence(secret, anchored))
    assert main(["evidence", "check", path, "--json"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "equivocation": True,
        "signer": checksum(publisher),
        "publisher": checksum(publisher),
        "chain_id": 31337,
        "registry": checksum(domain.registry),
        "seq": 1,
        "roots": found["roots"],
    }
    assert set(found["roots"]) == {root[4:].hex(), other_root[4:].hex()}
    assert main(["evidence", "check", path]) == Exit.OK
    assert f"{checksum(publisher)} signed two commits number 1" in capsys.readouterr().out


def _pair(rng: random.Random) -> tuple[SignedCommit, SignedCommit]:
    """Two commits with one number that say different things in at least one field."""
    seq = rng.randrange(1, 2**48)
    previous = rng.randbytes(32) if seq > 1 else bytes(32)
    domain = Domain(rng.randrange(1, 2**53), rng.randbytes(20))
    one = Commit(PUBLISHER, seq, rng.randbytes(32), rng.randrange(2**48), previous, rng.randrange(2**48))
    other = replace(one, **{name: _another(rng, getattr(one, name)) for name in _chosen(rng, seq)})
    return SignedCommit.make(domain, one, KEY), SignedCommit.make(domain, other, KEY)


def _chosen(rng: random.Random, seq: int) -> list[str]:
    names = ["root", "count", "created"] + (["previous"] if seq > 1 else [])
    return rng.sample(names, rng.randrange(1, len(names) + 1))


def _another(rng: random.Random, value: Any) -> Any:  # noqa: ANN401 - of the field's type
    return rng.randbytes(32) if isinstance(value, bytes) else (value + 1) % 2**48


def test_every_pair_of_stories_is_evidence_and_stays_so() -> None:
    rng = random.Random(7)
    for _ in range(100):
        one, other = _pair(rng)
        data = encode_evidence(one, other)
        found = check_evidence(data)
        assert (found.signer, found.domain) == (PUBLISHER, one.domain)
        assert {found.first, found.second} == {one.commit, other.commit}
        assert encode_evidence(other, one) == data


def test_no_alteration_of_evidence_accuses_anybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(8)
    one, other = _pair(rng)
    data = encode_evidence(one, other)
    for _ in range(100):
        at = rng.randrange(len(data))
        altered = data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
        with pytest.raises(ProofError):
            check_evidence(altered)
    assert main(["evidence", "check", evidence_file(tmp_path, altered)]) == Exit.UNPROVED
    assert capsys.readouterr().out == ""


def test_two_signers_are_no_equivocation_nor_is_the_same_said_twice() -> None:
    rng = random.Random(9)
    one, other = _pair(rng)
    forged = SignedCommit.make(one.domain, other.commit, OTHER_KEY)
    with pytest.raises(ProofError, match="different keys signed"):
        encode_evidence(one, forged)
    with pytest.raises(ProofError, match="say the same"):
        encode_evidence(one, one)
    assert one.domain != DOMAIN
    elsewhere = SignedCommit.make(DOMAIN, other.commit, KEY)
    with pytest.raises(ProofError, match="different chains"):
        encode_evidence(one, elsewhere)
