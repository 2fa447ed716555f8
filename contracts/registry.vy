# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title DKG Registry
@custom:contract-name registry
@license Apache-2.0
@author The dkg contributors
@notice Publishers anchor the roots of their datasets here. A publisher is an
        address, for ever; that key (keep it cold) names the signer (hot key)
        that may sign its commits. A commit covers a whole dataset, so it costs
        the same whatever the number of assets. There is no owner, no admin, no
        pause and no upgrade.
@dev Storage is an interface: clients read it with `eth_getProof`.

     slot 0: `log_length`
     slot 1: `heads[publisher]` = signer << 96 | seq << 48 | position
             signer (160 bits): 0 the publisher itself, 1 nobody (revoked),
             2 nobody, for ever (retired), otherwise an address;
             seq (48 bits): of the latest commit, 0 if there is none;
             position (48 bits): of the latest commit in the log.
             Both go up by one a commit, so 2**48 is out of reach: it would
             take 10**19 gas.
     slot 2: `entries[position]` = keccak256(root || meta), the log;
             meta = keccak256(abi.encode(publisher, seq, count, created,
             position, prior_position, block.number, block.timestamp))
     slot 3: `nonces[publisher]`

     An entry is never written twice. A mapping's value is at
     keccak256(slot || key), each as 32 bytes.

     Signatures are of EIP-712, domain ("DKG Registry", "1", chain id, this
     address), and are 65 bytes r || s || v with low s and v in {27, 28}. None
     serves as an identifier: what stops a replay is `seq` for a commit, and
     the nonce for the others.

     snekmate, which this is compiled with, has its own licence:
     AGPL-3.0-only.
"""


from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator


initializes: eip712_domain_separator


event Committed:
    publisher: indexed(address)
    position: uint256
    seq: uint64
    root: bytes32
    count: uint64
    previous: bytes32
    created: uint64
    prior_position: uint256


event Rotated:
    publisher: indexed(address)
    signer: address
    nonce: uint64
    position: uint256


event Revoked:
    publisher: indexed(address)
    signer: address
    nonce: uint64
    position: uint256


event Retired:
    publisher: indexed(address)
    nonce: uint64
    position: uint256


# @dev What a head's signer means when it is no address.
_PUBLISHER_ITSELF: constant(uint256) = 0
_REVOKED: constant(uint256) = 1
_RETIRED: constant(uint256) = 2


# @dev A head's parts.
_SIGNER_SHIFT: constant(uint256) = 96
_SEQ_SHIFT: constant(uint256) = 48
_MASK_48: constant(uint256) = 2**48 - 1
_MASK_96: constant(uint256) = 2**96 - 1


_COMMIT_TYPE: constant(bytes32) = keccak256(
    "Commit(address publisher,uint64 seq,bytes32 root,uint64 count,bytes32 previous,uint64 created)"
)
_ROTATE_TYPE: constant(bytes32) = keccak256("Rotate(address publisher,address signer,uint64 nonce)")
_REVOKE_TYPE: constant(bytes32) = keccak256("Revoke(address publisher,uint64 nonce)")
_RETIRE_TYPE: constant(bytes32) = keccak256("Retire(address publisher,uint64 nonce)")


# @notice How many commits the log has: the position of the next one.
log_length: public(uint256)


# @notice A publisher's signer, latest `seq` and its position, packed.
heads: public(HashMap[address, uint256])


# @notice The log: for each position below `log_length` the hash of a commit.
# @dev `log` is a keyword of Vyper.
entries: public(HashMap[uint256, bytes32])


# @notice How often a publisher's keys have changed: the nonce of the next
#         rotation, revocation or retirement.
nonces: public(HashMap[address, uint256])


@deploy
def __init__():
    """
    @dev Fixes the EIP-712 domain. Nothing here can be changed afterwards.
    """
    eip712_domain_separator.__init__("DKG Registry", "1")


@external
def commit(
    publisher: address, seq: uint64, root: bytes32, count: uint64, previous: bytes32, created: uint64, prior: bytes32
):
    """
    @notice Anchors a publisher's next commit. Only its signer may call this.
    @param publisher The publisher's address.
    @param seq The number of this commit: 1, 2, 3, ... for each publisher.
    @param root The digest in the CID of the dataset's root; not zero.
    @param count How many quads the dataset has, as the publisher says.
    @param previous The root at `seq - 1`; zero for the first.
    @param created When it was made, in Unix seconds, as the publisher says.
    @param prior The `meta` of the publisher's commit before, which the log's
           entry was made of; zero for the first.
    """
    head: uint256 = self.heads[publisher]
    self._require_signer(publisher, head, msg.sender)
    self._append(publisher, seq, root, count, previous, created, prior, head)


@external
def commit_signed(
    publisher: address,
    seq: uint64,
    root: bytes32,
    count: uint64,
    previous: bytes32,
    created: uint64,
    prior: bytes32,
    signature: Bytes[65],
):
    """
    @notice Anchors a publisher's next commit. Anyone may relay it.
    @param publisher The publisher's address.
    @param seq The number of this commit: 1, 2, 3, ... for each publisher.
    @param root The digest in the CID of the dataset's root; not zero.
    @param count How many quads the dataset has, as the publisher says.
    @param previous The root at `seq - 1`; zero for the first.
    @param created When it was made, in Unix seconds, as the publisher says.
    @param prior The `meta` of the publisher's commit before; zero for the
           first. It is not signed: it only shows what the log has.
    @param signature The signer's, over Commit(publisher, seq, root, count,
           previous, created).
    """
    head: uint256 = self.heads[publisher]
    struct_hash: bytes32 = keccak256(abi_encode(_COMMIT_TYPE, publisher, seq, root, count, previous, created))
    self._require_signer(publisher, head, self._recover(struct_hash, signature))
    self._append(publisher, seq, root, count, previous, created, prior, head)


@external
def rotate(publisher: address, signer: address):
    """
    @notice Names the address that signs a publisher's commits from now on.
            Only the publisher may call this.
    @param publisher The publisher's address.
    @param signer The new signer; not the address 0, 1 or 2.
    """
    assert msg.sender == publisher, "not the publisher"
    self._rotate(publisher, signer)


@external
def rotate_signed(publisher: address, signer: address, nonce: uint64, signature: Bytes[65]):
    """
    @notice Names the address that signs a publisher's commits from now on.
            Anyone may relay it.
    @param publisher The publisher's address.
    @param signer The new signer; not the address 0, 1 or 2.
    @param nonce The publisher's nonce.
    @param signature The publisher's, over Rotate(publisher, signer, nonce).
    """
    struct_hash: bytes32 = keccak256(abi_encode(_ROTATE_TYPE, publisher, signer, nonce))
    self._require_nonce(publisher, nonce)
    assert self._recover(struct_hash, signature) == publisher, "not the publisher"
    self._rotate(publisher, signer)


@external
def revoke(publisher: address):
    """
    @notice From now on nobody signs the publisher's commits, until the
            publisher names a signer. What was committed before stays. Only
            the publisher or its signer may call this.
    @param publisher The publisher's address.
    """
    self._revoke(publisher, msg.sender)


@external
def revoke_signed(publisher: address, nonce: uint64, signature: Bytes[65]):
    """
    @notice From now on nobody signs the publisher's commits, until the
            publisher names a signer. What was committed before stays. Anyone
            may relay it.
    @param publisher The publisher's address.
    @param nonce The publisher's nonce.
    @param signature The publisher's or its signer's, over Revoke(publisher,
           nonce).
    """
    self._require_nonce(publisher, nonce)
    self._revoke(publisher, self._recover(keccak256(abi_encode(_REVOKE_TYPE, publisher, nonce)), signature))


@external
def retire(publisher: address):
    """
    @notice From now on the publisher never commits and never names a signer
            again. What was committed before stays. Only the publisher may
            call this.
    @param publisher The publisher's address.
    """
    assert msg.sender == publisher, "not the publisher"
    self._retire(publisher)


@external
def retire_signed(publisher: address, nonce: uint64, signature: Bytes[65]):
    """
    @notice From now on the publisher never commits and never names a signer
            again. What was committed before stays. Anyone may relay it.
    @param publisher The publisher's address.
    @param nonce The publisher's nonce.
    @param signature The publisher's, over Retire(publisher, nonce).
    """
    self._require_nonce(publisher, nonce)
    struct_hash: bytes32 = keccak256(abi_encode(_RETIRE_TYPE, publisher, nonce))
    assert self._recover(struct_hash, signature) == publisher, "not the publisher"
    self._retire(publisher)


@external
@view
def domain_separator() -> bytes32:
    """
    @notice The EIP-712 domain separator of this contract on this chain.
    @return bytes32 The 32-byte domain separator.
    """
    return eip712_domain_separator._domain_separator_v4()


@external
@view
def signer_of(publisher: address) -> address:
    """
    @notice Who may sign a publisher's commits now.
    @param publisher The publisher's address.
    @return address The signer, or 0 if it is revoked or the publisher retired.
    """
    return self._signer(publisher, self.heads[publisher])


@internal
@view
def _signer(publisher: address, head: uint256) -> address:
    """
    @dev Who may sign, by a publisher's head; 0 if nobody may.
    """
    signer: uint256 = head >> _SIGNER_SHIFT
    if signer == _PUBLISHER_ITSELF:
        return publisher
    if signer == _REVOKED or signer == _RETIRED:
        return empty(address)
    return convert(signer, address)


@internal
@view
def _require_signer(publisher: address, head: uint256, who: address):
    """
    @dev Reverts unless `who` may sign the publisher's commits.
    """
    signer: uint256 = head >> _SIGNER_SHIFT
    if signer == _PUBLISHER_ITSELF:
        assert who == publisher, "not the signer"
    else:
        assert signer != _REVOKED, "revoked"
        assert signer != _RETIRED, "retired"
        assert convert(who, uint256) == signer, "not the signer"


@internal
@view
def _require_nonce(publisher: address, nonce: uint64):
    """
    @dev Reverts unless this is the publisher's nonce.
    """
    assert convert(nonce, uint256) == self.nonces[publisher], "wrong nonce"


@internal
@view
def _recover(struct_hash: bytes32, signature: Bytes[65]) -> address:
    """
    @dev The address that signed a statement; never 0. snekmate refuses high
         `s` and what `ecrecover` does not recover. Its `_recover_sig` is not
         used because it takes the 64 bytes of EIP-2098 too.
    """
    assert len(signature) == 65, "signature length"
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert v == 27 or v == 28, "signature v"
    return ecdsa._recover_vrs(eip712_domain_separator._hash_typed_data_v4(struct_hash), v, r, s)


@internal
def _append(
    publisher: address,
    seq: uint64,
    root: bytes32,
    count: uint64,
    previous: bytes32,
    created: uint64,
    prior: bytes32,
    head: uint256,
):
    """
    @dev Checks that a commit follows from the one before, and logs it. Who
         signed it has been checked.
    """
    assert root != empty(bytes32), "zero root"
    number: uint256 = convert(seq, uint256)
    assert number == unsafe_add((head >> _SEQ_SHIFT) & _MASK_48, 1), "wrong seq"

    prior_position: uint256 = head & _MASK_48  # 0 before the first commit
    if number == 1:
        assert previous == empty(bytes32), "wrong previous"
        assert prior == empty(bytes32), "wrong prior"
    else:
        assert self.entries[prior_position] == keccak256(abi_encode(previous, prior)), "wrong previous or prior"

    position: uint256 = self.log_length
    meta: bytes32 = keccak256(
        abi_encode(publisher, seq, count, created, position, prior_position, block.number, block.timestamp)
    )
    self.entries[position] = keccak256(abi_encode(root, meta))
    self.log_length = unsafe_add(position, 1)
    self.heads[publisher] = (head & ~_MASK_96) | (number << _SEQ_SHIFT) | position
    log Committed(
        publisher=publisher,
        position=position,
        seq=seq,
        root=root,
        count=count,
        previous=previous,
        created=created,
        prior_position=prior_position,
    )


@internal
def _rotate(publisher: address, signer: address):
    """
    @dev Makes this address the publisher's signer. That the publisher wants
         it has been checked.
    """
    number: uint256 = convert(signer, uint256)
    assert number > _RETIRED, "no signer"
    nonce: uint64 = self._set_signer(publisher, self.heads[publisher], number)
    log Rotated(publisher=publisher, signer=signer, nonce=nonce, position=self.log_length)


@internal
def _revoke(publisher: address, who: address):
    """
    @dev Revokes the publisher's signer if `who` is the publisher or the signer.
    """
    head: uint256 = self.heads[publisher]
    assert head >> _SIGNER_SHIFT != _REVOKED, "revoked"
    signer: address = self._signer(publisher, head)
    assert who == publisher or who == signer, "not the signer"
    nonce: uint64 = self._set_signer(publisher, head, _REVOKED)
    log Revoked(publisher=publisher, signer=signer, nonce=nonce, position=self.log_length)


@internal
def _retire(publisher: address):
    """
    @dev Retires the publisher. That it wants it has been checked.
    """
    nonce: uint64 = self._set_signer(publisher, self.heads[publisher], _RETIRED)
    log Retired(publisher=publisher, nonce=nonce, position=self.log_length)


@internal
def _set_signer(publisher: address, head: uint256, signer: uint256) -> uint64:
    """
    @dev Changes the head's signer, unless the publisher is retired, and
         returns the nonce that this used up.
    """
    assert head >> _SIGNER_SHIFT != _RETIRED, "retired"
    nonce: uint256 = self.nonces[publisher]
    self.nonces[publisher] = unsafe_add(nonce, 1)
    self.heads[publisher] = (head & _MASK_96) | (signer << _SIGNER_SHIFT)
    return convert(nonce, uint64)
