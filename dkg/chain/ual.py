"""Names: the UAL of an asset, and did:pkh identifiers of accounts.

A UAL is `did:dkg:eip155:<chain id>:<registry>/<publisher>/<name>`, both addresses in lower case. It is the IRI of the
named graph that holds the asset. What is said *about* the asset is in the graph `<UAL>#provenance`. Every graph of a
publisher's dataset begins with `Publisher.prefix`, so that the owner of a graph can be read from its name
(DESIGN, section 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dkg.chain.secp import ADDRESS_BYTES, address_from_text, checksum
from dkg.errors import InputError

NAME_CHARACTERS_MAX: Final = 128
"""Longest name of an asset, in characters."""

CHAIN_ID_MAX: Final = 2**53 - 1
"""Largest chain id: what JSON and JavaScript wallets can hold (EIP-2294 allows a little less)."""

PROVENANCE: Final = "#provenance"

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_UAL: Final = re.compile(r"did:dkg:eip155:([1-9][0-9]{0,15}):(0x[0-9a-f]{40})/(0x[0-9a-f]{40})/([^/#?]+)")


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who publishes, and where: a chain id, the registry's address, and the publisher's address (20 bytes each)."""

    chain_id: int
    registry: bytes
    address: bytes

    def __post_init__(self) -> None:
        if not 0 < self.chain_id <= CHAIN_ID_MAX:
            raise InputError(f"a chain id is between 1 and {CHAIN_ID_MAX}, not {self.chain_id}")
        if len(self.registry) != ADDRESS_BYTES or len(self.address) != ADDRESS_BYTES:
            raise ValueError(f"an address has {ADDRESS_BYTES} bytes")

    @property
    def prefix(self) -> str:
        """What the IRI of each of this publisher's graphs begins with."""
        return f"did:dkg:eip155:{self.chain_id}:0x{self.registry.hex()}/0x{self.address.hex()}/"

    @property
    def did(self) -> str:
        """The publisher as a did:pkh identifier."""
        return pkh(self.chain_id, self.address)


@dataclass(frozen=True, slots=True)
class Ual:
    """The name of an asset."""

    publisher: Publisher
    name: str

    def __post_init__(self) -> None:
        if len(self.name) > NAME_CHARACTERS_MAX:
            raise InputError(f"the asset's name has {len(self.name)} characters; {NAME_CHARACTERS_MAX} is the most")
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} is no name for an asset: use letters, digits, '.', '_' and '-', "
                "with a letter or digit at both ends"
            )

    @classmethod
    def parse(cls, text: str) -> Ual:
        """Read a UAL; raises `InputError` with what is wrong."""
        match = _UAL.fullmatch(text)
        if match is None:
            raise InputError(
                f"{text!r} is no UAL: it should look like did:dkg:eip155:<chain id>:<registry>/<publisher>/<name>, "
                "with both addresses in lower case"
            )
        chain_id, registry, publisher, name = match.groups()
        return cls(Publisher(int(chain_id), address_from_text(registry), address_from_text(publisher)), name)

    def __str__(self) -> str:
        return self.publisher.prefix + self.name

    @property
    def graph(self) -> bytes:
        """The term of the graph with the asset's triples."""
        return f"<{self}>".encode()

    @property
    def provenance_graph(self) -> bytes:
        """The term of the graph that says where the asset is from."""
        return f"<{self}{PROVENANCE}>".encode()


def pkh(chain_id: int, address: bytes) -> str:
    """An account as a did:pkh identifier (did:pkh method specification; CAIP-10)."""
    return f"did:pkh:eip155:{chain_id}:{checksum(address)}"


def ual_of_graph(term: bytes) -> Ual | None:
    """The asset whose content or provenance a graph holds; None if the graph's name is not one of ours."""
    iri = term[1:-1].decode().removesuffix(PROVENANCE)
    try:
        return Ual.parse(iri)
    except InputError:
        return None
