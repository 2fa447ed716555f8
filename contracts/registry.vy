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

     slot 0: `log_state` = first_block << 48 | log_length
             first_block: the block of the deployment. Events are not older,
             and the word is never zero: no commit pays for a fresh slot here.
             log_length (48 bits): how many commits the log has.
     slot 1: `heads[publisher]` = signer << 96 | seq << 48 | position
             signer (160 bits): 0 the publisher itself, 1 nobody (revoked),
             2 nobody, for ever (retired), otherwise an address;
             seq (48 bits): of the latest commit, 0 if there is none;
             position (48 bits): of the latest commit in the log.
     slot 2: `entries[position]` = keccak256(root || meta), the log;
             meta = keccak256(abi.encode(publisher, numbers, block.number,
             block.timestamp))
             numbers = seq << 192 | position << 144 | prior_position << 96
             | count << 48 | created
     slot 3: `nonces[publisher]`

     An entry is never written twice. A mapping's value is at
     keccak256(slot || key), each as 32 bytes. `log_length`, seq and position
     go up by one a commit, so 2**48 is out of reach: it would take 10**19 gas.

     Signatures are of EIP-712, domain ("DKG Registry", "1", chain id, this
     address), with low s and v in {27, 28}. None serves as an identifier: what
     stops a replay is `seq` for a commit, and the nonce for the others. The
     signed type of a commit says uint64 where functions take uint48: the word
     is the same.

     An entry holds `block.number` and `block.timestamp` as the opcodes give
     them. On a chain where these are not those of the block's header (some
     rollups give their base chain's number) clients cannot check entries.
@custom:security A commit counts, for ever, if its signer was the publisher's
     signer when it was logged, even if the signer's key had been stolen by
     then: revoke at once. The publisher goes on from the last commit in the
     log, whoever made it.

     What a signer signed and nobody relayed stays valid while its `seq` is the
     next and it is the signer: relayers may hold a commit back. It dies with
     the commit that takes its `seq`, and with a rotation or revocation, but it
     comes back to life if the same signer is named again at the same `seq`.
     So never name a signer again whose key may have been stolen.

     A signer may revoke itself, so that whoever finds a leak can stop it. A
     thief who does so stops the publisher, once, until it names another
     signer, and the nonce that this uses up makes worthless what the publisher
     had signed with it; a transaction of the publisher's own takes no nonce.

     A relayed call does the same whoever sends it, because all that matters is
     signed or compared with the log. Whoever copies it from the mempool does
     the relayer's work; the relayer's own then reverts.

     A publisher that is a contract sends transactions; it cannot sign
     (no EIP-1271). `count` and `created` are the publisher's claims. Anyone
     may fill the log with commits of its own, at their price.
"""


# @dev `numbers` is the word that is hashed into the entry, 48 bits each: seq,
#      position, prior_position, count, created. One word and not five, because
#      a word of an event costs 256 gas.
event Committed:
    publisher: indexed(address)
    root: bytes32
    previous: bytes32
    numbers: uint256


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


# @dev Where a head's parts begin: signer, seq, position.
_SIGNER_SHIFT: constant(uint256) = 96
_SEQ_SHIFT: constant(uint256) = 48
_MASK_48: constant(uint256) = 2**48 - 1
_MASK_96: constant(uint256) = 2**96 - 1


# @dev Where `log_state`'s first block begins.
_FIRST_BLOCK_SHIFT: constant(uint256) = 48


# @dev The largest low `s`: half the order of secp256k1, rounded down (EIP-2).
_S_MAX: constant(uint256) = (
    57_896_044_618_658_097_711_785_492_504_343_953_926_418_782_139_537_452_191_302_581_570_759_080_747_168
)


_DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_DOMAIN_NAME: constant(bytes32) = keccak256("DKG Registry")
_DOMAIN_VERSION: constant(bytes32) = keccak256("1")
_COMMIT_TYPE: constant(bytes32) = keccak256(
    "Commit(address publisher,uint64 seq,bytes32 root,uint64 count,bytes32 previous,uint64 created)"
)
_ROTATE_TYPE: constant(bytes32) = keccak256("Rotate(address publisher,address signer,uint64 nonce)")
_REVOKE_TYPE: constant(bytes32) = keccak256("Revoke(address publisher,uint64 nonce)")
_RETIRE_TYPE: constant(bytes32) = keccak256("Retire(address publisher,uint64 nonce)")


# @dev The block of the deployment, and how many commits the log has, packed.
log_state: uint256


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
    @dev Keeps the block's number. There is nothing else to set up.
    """
    self.log_state = block.number << _FIRST_BLOCK_SHIFT


@external
def commit(
    publisher: address, root: bytes32, count: uint48, previous: bytes32, created: uint48, prior: bytes32
):
    """
    @notice Anchors a publisher's next commit. Only its signer may call this.
    @dev The commit's `seq` is the one after the latest. `prior` says which
         that is, so that a transaction that is sent twice commits once. It
         differs if a reorganisation moves the commit before to another block
         or position: this then reverts, and is to be sent again.
    @param publisher The publisher's address.
    @param root The digest in the CID of the dataset's root; not zero.
    @param count How many quads the dataset has, as the publisher says.
    @param previous The root of the publisher's commit before; zero for the
           first.
    @param created When it was made, in Unix seconds, as the publisher says.
    @param prior The `meta` of the publisher's commit before, which the log's
           entry was made of; zero for the first.
    """
    self._append(publisher, self.heads[publisher], msg.sender, root, count, previous, created, prior)


@external
def commit_signed(
    publisher: address,
    seq: uint48,
    root: bytes32,
    count: uint48,
    previous: bytes32,
    created: uint48,
    prior: bytes32,
    r: bytes32,
    s: bytes32,
    v: uint8,
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
    @param r The signer's signature over Commit(publisher, seq, root, count,
           previous, created), first 32 bytes.
    @param s The next 32 bytes.
    @param v The last byte.
    """
    head: uint256 = self.heads[publisher]
    assert convert(seq, uint256) == unsafe_add((head >> _SEQ_SHIFT) & _MASK_48, 1), "wrong seq"
    struct_hash: bytes32 = keccak256(abi_encode(_COMMIT_TYPE, publisher, seq, root, count, previous, created))
    self._append(publisher, head, self._recover(struct_hash, r, s, v), root, count, previous, created, prior)


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
def rotate_signed(publisher: address, signer: address, nonce: uint64, r: bytes32, s: bytes32, v: uint8):
    """
    @notice Names the address that signs a publisher's commits from now on.
            Anyone may relay it.
    @param publisher The publisher's address.
    @param signer The new signer; not the address 0, 1 or 2.
    @param nonce The publisher's nonce.
    @param r The publisher's signature over Rotate(publisher, signer, nonce),
           first 32 bytes.
    @param s The next 32 bytes.
    @param v The last byte.
    """
    struct_hash: bytes32 = keccak256(abi_encode(_ROTATE_TYPE, publisher, signer, nonce))
    self._require_nonce(publisher, nonce)
    assert self._recover(struct_hash, r, s, v) == publisher, "not the publisher"
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
def revoke_signed(publisher: address, nonce: uint64, r: bytes32, s: bytes32, v: uint8):
    """
    @notice From now on nobody signs the publisher's commits, until the
            publisher names a signer. What was committed before stays. Anyone
            may relay it.
    @param publisher The publisher's address.
    @param nonce The publisher's nonce.
    @param r The publisher's or its signer's signature over Revoke(publisher,
           nonce), first 32 bytes.
    @param s The next 32 bytes.
    @param v The last byte.
    """
    self._require_nonce(publisher, nonce)
    struct_hash: bytes32 = keccak256(abi_encode(_REVOKE_TYPE, publisher, nonce))
    self._revoke(publisher, self._recover(struct_hash, r, s, v))


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
def retire_signed(publisher: address, nonce: uint64, r: bytes32, s: bytes32, v: uint8):
    """
    @notice From now on the publisher never commits and never names a signer
            again. What was committed before stays. Anyone may relay it.
    @param publisher The publisher's address.
    @param nonce The publisher's nonce.
    @param r The publisher's signature over Retire(publisher, nonce), first 32
           bytes.
    @param s The next 32 bytes.
    @param v The last byte.
    """
    self._require_nonce(publisher, nonce)
    struct_hash: bytes32 = keccak256(abi_encode(_RETIRE_TYPE, publisher, nonce))
    assert self._recover(struct_hash, r, s, v) == publisher, "not the publisher"
    self._retire(publisher)


@external
@view
def log_length() -> uint256:
    """
    @notice How many commits the log has: the position of the next one.
    @return uint256 The number of commits.
    """
    return self._log_length()


@external
@view
def first_block() -> uint256:
    """
    @notice The block that this contract was deployed in: no event is older.
    @return uint256 The block's number.
    """
    return self.log_state >> _FIRST_BLOCK_SHIFT


@external
@view
def domain_separator() -> bytes32:
    """
    @notice The EIP-712 domain separator of this contract on this chain.
    @return bytes32 The 32-byte domain separator.
    """
    return self._domain_separator()


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
def _log_length() -> uint256:
    """
    @dev The position of the next commit.
    """
    return self.log_state & _MASK_48


@internal
@view
def _require_nonce(publisher: address, nonce: uint64):
    """
    @dev Reverts unless this is the publisher's nonce.
    """
    assert convert(nonce, uint256) == self.nonces[publisher], "wrong nonce"


@internal
@view
def _domain_separator() -> bytes32:
    """
    @dev Made anew each time: after a fork of the chain the branch with a new
         chain id does not take the other's signatures.
    """
    return keccak256(abi_encode(_DOMAIN_TYPE, _DOMAIN_NAME, _DOMAIN_VERSION, chain.id, self))


@internal
@view
def _recover(struct_hash: bytes32, r: bytes32, s: bytes32, v: uint8) -> address:
    """
    @dev The address that signed a statement; never 0, which `ecrecover` gives
         for what is no signature. A signature has one form: with a high `s`
         it is refused.
    """
    assert v == 27 or v == 28, "signature v"
    assert convert(s, uint256) <= _S_MAX, "signature s"
    signer: address = ecrecover(keccak256(concat(x"1901", self._domain_separator(), struct_hash)), v, r, s)
    assert signer != empty(address), "signature"
    return signer


@internal
def _append(
    publisher: address,
    head: uint256,
    who: address,
    root: bytes32,
    count: uint48,
    previous: bytes32,
    created: uint48,
    prior: bytes32,
):
    """
    @dev Logs a commit by `who`, if it may sign for the publisher, whose head
         this is, and the commit follows from the one before.
    """
    signer: uint256 = head >> _SIGNER_SHIFT
    if signer == _PUBLISHER_ITSELF:
        assert who == publisher, "not the signer"
    else:
        assert signer != _REVOKED, "revoked"
        assert signer != _RETIRED, "retired"
        assert convert(who, uint256) == signer, "not the signer"

    seq: uint256 = unsafe_add((head >> _SEQ_SHIFT) & _MASK_48, 1)
    prior_position: uint256 = head & _MASK_48  # 0 before the first commit
    if seq == 1:
        assert previous == empty(bytes32), "wrong previous"
        assert prior == empty(bytes32), "wrong prior"
    else:
        assert self.entries[prior_position] == keccak256(abi_encode(previous, prior)), "wrong previous or prior"
    assert root != empty(bytes32), "zero root"

    state: uint256 = self.log_state
    position: uint256 = state & _MASK_48
    numbers: uint256 = (
        (seq << 192)
        | (position << 144)
        | (prior_position << 96)
        | (convert(count, uint256) << 48)
        | convert(created, uint256)
    )
    meta: bytes32 = keccak256(abi_encode(publisher, numbers, block.number, block.timestamp))
    self.entries[position] = keccak256(abi_encode(root, meta))
    self.log_state = unsafe_add(state, 1)
    self.heads[publisher] = (head & ~_MASK_96) | (seq << _SEQ_SHIFT) | position
    log Committed(publisher=publisher, root=root, previous=previous, numbers=numbers)


@internal
def _rotate(publisher: address, signer: address):
    """
    @dev Makes this address the publisher's signer. That the publisher wants
         it has been checked.
    """
    number: uint256 = convert(signer, uint256)
    assert number > _RETIRED, "no signer"
    nonce: uint64 = self._set_signer(publisher, self.heads[publisher], number)
    log Rotated(publisher=publisher, signer=signer, nonce=nonce, position=self._log_length())


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
    log Revoked(publisher=publisher, signer=signer, nonce=nonce, position=self._log_length())


@internal
def _retire(publisher: address):
    """
    @dev Retires the publisher. That it wants it has been checked.
    """
    nonce: uint64 = self._set_signer(publisher, self.heads[publisher], _RETIRED)
    log Retired(publisher=publisher, nonce=nonce, position=self._log_length())


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
