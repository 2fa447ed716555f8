"""Names of assets and accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.ual import NAME_CHARACTERS_MAX, Publisher, Ual, pkh, ual_of_graph
from dkg.errors import InputError

PUBLISHER = Publisher(31337, b"\xaa" * 20, b"\xbb" * 20)
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?", fullmatch=True)
TEXT = f"did:dkg:eip155:31337:0x{'aa' * 20}/0x{'bb' * 20}/people"


def test_a_ual_is_written_as_the_design_says() -> None:
    ual = Ual(PUBLISHER, "people")
    assert str(ual) == TEXT
    assert ual.graph == f"<{TEXT}>".encode()
    assert ual.provenance_graph == f"<{TEXT}#provenance>".encode()


@given(NAMES)
def test_a_ual_is_read_back(name: str) -> None:
    ual = Ual(PUBLISHER, name)
    assert Ual.parse(str(ual)) == ual == ual_of_graph(ual.graph) == ual_of_graph(ual.provenance_graph)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "people",
        TEXT.replace("aa", "AA"),
        TEXT.replace("31337", "031337"),
        TEXT.replace("31337", "0"),
        TEXT.replace("eip155", "bip122"),
        TEXT + "/more",
        TEXT + "#provenance",
        TEXT + "?x",
        TEXT + "\n",
        TEXT.replace("people", ""),
        TEXT.replace("people", ".."),
        TEXT.replace("people", "-x"),
        TEXT.replace("people", "pe ople"),
        TEXT.replace("people", "p\u0435ople"),
    ],
)
def test_text_that_is_no_ual_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Ual.parse(text)


def test_the_longest_name_and_one_more() -> None:
    assert Ual(PUBLISHER, "x" * NAME_CHARACTERS_MAX).name
    with pytest.raises(InputError, match="129 characters; 128 is the most"):
        Ual(PUBLISHER, "x" * (NAME_CHARACTERS_MAX + 1))


def test_graphs_of_others_are_not_ours() -> None:
    assert ual_of_graph(b"<https://example.org/g>") is None


def test_accounts_are_did_pkh() -> None:
    address = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    assert pkh(1, address) == "did:pkh:eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert Publisher(1, b"\1" * 20, address).did == pkh(1, address)


@pytest.mark.parametrize("chain_id", [0, -1, 2**53])
def test_chain_ids_out_of_range_are_refused(chain_id: int) -> None:
    with pytest.raises(InputError, match="chain id"):
        Publisher(chain_id, b"\1" * 20, b"\1" * 20)
