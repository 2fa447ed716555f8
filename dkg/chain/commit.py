"""Statements that a publisher signs (EIP-712), and signed commits.

The domain binds every signature to one chain and one registry; the type of the statement is hashed in, so that a
signature over one kind of statement is none over another, over a transaction, or over a message (EIP-191).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Final, Self

import libipld

from dkg.chain.secp import ADDRESS_BYTES, SIGNATURE_BYTES, SignatureError, checksum, keccak256, recover, sign
from dkg.errors import InputError, ProofError

DOMAIN_NAME: Final = "DKG Registry"
DOMAIN_VERSION: Final = "1"

ZERO_HASH: Final = bytes(32)
NUMBER_MAX: Final = 2**48 - 1
"""Largest `seq`, `count` and `created` of a commit: the registry packs each into 48 bits."""

UINT64_MAX: Final = 2**64 - 1
SIGNED_COMMIT_BYTES_MAX: Final = 1024
"""Longest encoded signed commit that is read, in bytes; real ones have about 250."""

_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: a chain id, and the registry's address (20 bytes)."""

    chain_id: int
    registry: bytes

    def __post_init__(self) -> None:
        if type(self.chain_id) is not int or not 1 <= self.chain_id <= UINT64_MAX:
            raise InputError(f"the id of a chain is between 1 and 2^64 - 1, not {self.chain_id!r}")
        if type(self.registry) is not bytes or len(self.registry) != ADDRESS_BYTES:
            raise InputError(f"the address of a registry has {ADDRESS_BYTES} bytes")

    def separator(self) -> bytes:
        """The EIP-712 domain separator, 32 bytes."""
        return keccak256(
            keccak256(_DOMAIN_TYPE.encode())
            + keccak256(DOMAIN_NAME.encode())
            + keccak256(DOMAIN_VERSION.encode())
            + self.chain_id.to_bytes(32)
            + self.registry.rjust(32, b"\0")
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """Something to sign. A subclass's fields are those of its EIP-712 type, in order, each one word."""

    TYPE: ClassVar[str]

    publisher: bytes

    def __post_init__(self) -> None:
        for field, kind in zip(fields(self), _kinds(self.TYPE), strict=True):
            value = getattr(self, field.name)
            length = {"address": ADDRESS_BYTES, "bytes32": 32}.get(kind)
            if length is None:
                if type(value) is not int or not 0 <= value <= UINT64_MAX:
                    raise InputError(f"{field.name} of a {self.name} is between 0 and 2^64 - 1, not {value!r}")
            elif type(value) is not bytes or len(value) != length:
                raise InputError(f"{field.name} of a {self.name} has {length} bytes")

    @property
    def name(self) -> str:
        """The name of the EIP-712 type."""
        return self.TYPE.partition("(")[0]

    def struct_hash(self) -> bytes:
        """EIP-712's hashStruct, 32 bytes."""
        return keccak256(keccak256(self.TYPE.encode()) + b"".join(_word(getattr(self, f.name)) for f in fields(self)))

    def digest(self, domain: Domain) -> bytes:
        """What is signed, 32 bytes."""
        return keccak256(b"\x19\x01" + domain.separator() + self.struct_hash())

    def sign(self, domain: Domain, key: bytes) -> bytes:
        """The signature with a private key of 32 bytes."""
        return sign(self.digest(domain), key)

    def signed_by(self, domain: Domain, signature: bytes) -> bytes:
        """The address that signed this for this domain; raises `SignatureError`."""
        return recover(self.digest(domain), signature)


@dataclass(frozen=True, slots=True)
class Commit(Statement):
    """A publisher's dataset at one moment: commit number `seq` has this root."""

    TYPE = "Commit(address publisher,uint64 seq,bytes32 root,uint64 count,bytes32 previous,uint64 created)"

    seq: int
    """1 for a publisher's first commit, then one more each."""
    root: bytes
    """Digest in the CID of the dataset root, 32 bytes."""
    count: int
    """Quads of the dataset."""
    previous: bytes
    """The root of the commit before; zeros for the first."""
    created: int
    """When the publisher says that it was made, in Unix seconds."""

    def __post_init__(self) -> None:
        super(Commit, self).__post_init__()
        if not 1 <= self.seq <= NUMBER_MAX:
            raise InputError(f"seq of a Commit is between 1 and 2^48 - 1, not {self.seq}")
        for name, number in (("count", self.count), ("created", self.created)):
            if number > NUMBER_MAX:
                raise InputError(f"{name} of a Commit is between 0 and 2^48 - 1, not {number}")
        if self.root == ZERO_HASH:
            raise InputError("root of a Commit is zero")
        if (self.previous == ZERO_HASH) != (self.seq == 1):
            raise InputError(
                f"previous of Commit {self.seq} is {self.previous.hex()}: zero is for the first commit only"
            )


@dataclass(frozen=True, slots=True)
class Rotate(Statement):
    """From now on this address signs the publisher's commits."""

    TYPE = "Rotate(address publisher,address signer,uint64 nonce)"

    signer: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Revoke(Statement):
    """From now on nobody signs the publisher's commits, until the publisher names a signer."""

    TYPE = "Revoke(address publisher,uint64 nonce)"

    nonce: int


@dataclass(frozen=True, slots=True)
class Retire(Statement):
    """The publisher never commits again."""

    TYPE = "Retire(address publisher,uint64 nonce)"

    nonce: int


@dataclass(frozen=True, slots=True)
class SignedCommit:
    """A commit with a signature that nobody has checked yet."""

    domain: Domain
    commit: Commit
    signature: bytes

    @classmethod
    def make(cls, domain: Domain, commit: Commit, key: bytes) -> Self:
        """Sign a commit."""
        return cls(domain, commit, commit.sign(domain, key))

    def encode(self) -> bytes:
        """Canonical DAG-CBOR (docs/formats.md)."""
        made: bytes = libipld.encode_dag_cbor(self._fields())
        return made

    def _fields(self) -> dict[str, object]:
        own = {field.name: getattr(self.commit, field.name) for field in fields(self.commit)}
        return own | {"v": 1, "chain": self.domain.chain_id, "registry": self.domain.registry, "sig": self.signature}

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read an encoded signed commit; raises `ProofError` for anything but its one encoding."""
        if len(data) > SIGNED_COMMIT_BYTES_MAX:
            raise ProofError(f"a signed commit has {SIGNED_COMMIT_BYTES_MAX} bytes at most; this has {len(data)}")
        try:
            found = libipld.decode_dag_cbor(data)
        except ValueError as error:
            raise ProofError(f"not a signed commit: {error}") from error
        names = {field.name for field in fields(Commit)}
        if not isinstance(found, dict) or found.keys() != names | {"v", "chain", "registry", "sig"}:
            raise ProofError("not a signed commit: its fields are others")
        made = cls._of(found, names)
        if found["v"] != 1 or made.encode() != data:
            raise ProofError("not a signed commit in its canonical form, version 1")
        return made

    @classmethod
    def _of(cls, found: dict[str, object], names: set[str]) -> Self:
        chain, registry, signature = found["chain"], found["registry"], found["sig"]
        if type(chain) is not int or chain <= 0 or type(registry) is not bytes or len(registry) != ADDRESS_BYTES:
            raise ProofError("a signed commit names a chain id above 0 and a registry of 20 bytes")
        if type(signature) is not bytes or len(signature) != SIGNATURE_BYTES:
            raise ProofError(f"the signature of a signed commit has {SIGNATURE_BYTES} bytes")
        try:
            commit = Commit(**{name: found[name] for name in names})  # type: ignore[arg-type]  # checked there
        except InputError as error:
            raise ProofError(f"not a signed commit: {error}") from error
        return cls(Domain(chain, registry), commit, signature)


@dataclass(frozen=True, slots=True)
class VerifiedCommit:
    """A commit of which `signer` is known to have signed it, for `domain`. Made by `verify_commit` alone."""

    domain: Domain
    commit: Commit
    signer: bytes


def verify_commit(signed: SignedCommit, domain: Domain, signer: bytes) -> VerifiedCommit:
    """Check that a commit is signed, for this chain and registry, by the one who may sign for its publisher.

    1. The chain id and the registry are the ones expected.
    2. The signature is canonical and recovers to an address.
    3. That address is `signer`: the one the registry names for the publisher at that point of the log.

    Raises `SignatureError`.
    """
    if signed.domain.chain_id != domain.chain_id:
        raise SignatureError(f"the commit is for chain {signed.domain.chain_id}, not {domain.chain_id}")
    if signed.domain.registry != domain.registry:
        there, here = checksum(signed.domain.registry), checksum(domain.registry)
        raise SignatureError(f"the commit is for the registry {there}, not {here}")
    found = signed.commit.signed_by(domain, signed.signature)
    if found != signer:
        raise SignatureError(
            f"the commit is signed by {checksum(found)}; for the publisher {checksum(signed.commit.publisher)} "
            f"{checksum(signer)} signs"
        )
    return VerifiedCommit(domain, signed.commit, found)


def _kinds(type_text: str) -> list[str]:
    return [part.split(" ")[0] for part in type_text.partition("(")[2].removesuffix(")").split(",")]


def _word(value: bytes | int) -> bytes:
    """An ABI word: addresses and numbers are padded on the left."""
    return value.to_bytes(32) if isinstance(value, int) else value.rjust(32, b"\0")
