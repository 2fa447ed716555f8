"""The funded accounts of a development chain: those of anvil and of Hardhat, whose keys all the world knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath

from dkg.chain.secp import address_of, checksum

MNEMONIC: Final = "test test test test test test test test test test test junk"
"""The phrase that development chains share. Whatever its keys hold on a real chain is taken within seconds."""

FUNDS_WEI: Final = 10_000 * 10**18
"""What each account holds in the genesis block: 10,000 ether."""


@dataclass(frozen=True, slots=True)
class DevAccount:
    """An account of the development chain: 20 bytes of address, 32 bytes of key."""

    address: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The address as EIP-55 writes it."""
        return checksum(self.address)


def dev_accounts(count: int) -> tuple[DevAccount, ...]:
    """The first `count` accounts of the well-known phrase, at m/44'/60'/0'/0/i."""
    seed = seed_from_mnemonic(MNEMONIC, "")
    keys = (HDPath(f"m/44'/60'/0'/0/{index}").derive(seed) for index in range(count))
    return tuple(DevAccount(address_of(key), key) for key in keys)
