# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title The compression function of SHA-256 (FIPS 180-4)
@license Apache-2.0
@author The dkg contributors
@dev The precompile hashes whole messages only. This takes one block to the
     next state, which is enough to see how long a message is.
"""


_WORD: constant(uint256) = 2**32 - 1


# @dev Twice a word beside itself is the word times this: a rotation is then a
#      shift.
_TWICE: constant(uint256) = 2**32 + 1


# @dev The 64 constants of the rounds, eight to a word.
_ROUNDS: constant(bytes32[8]) = [
    0x428a2f9871374491b5c0fbcfe9b5dba53956c25b59f111f1923f82a4ab1c5ed5,
    0xd807aa9812835b01243185be550c7dc372be5d7480deb1fe9bdc06a7c19bf174,
    0xe49b69c1efbe47860fc19dc6240ca1cc2de92c6f4a7484aa5cb0a9dc76f988da,
    0x983e5152a831c66db00327c8bf597fc7c6e00bf3d5a7914706ca635114292967,
    0x27b70a852e1b21384d2c6dfc53380d13650a7354766a0abb81c2c92e92722c85,
    0xa2bfe8a1a81a664bc24b8b70c76c51a3d192e819d6990624f40e3585106aa070,
    0x19a4c1161e376c082748774c34b0bcb5391c0cb34ed8aa4a5b9cca4f682e6ff3,
    0x748f82ee78a5636f84c878148cc7020890befffaa4506cebbef9a3f7c67178f2,
]


@internal
@pure
def _compress(state: bytes32, first: bytes32, second: bytes32) -> bytes32:
    """
    @dev The state after a block, whose halves are `first` and `second`.
    """
    rounds: bytes32[8] = _ROUNDS
    w: uint256[64] = empty(uint256[64])
    high: uint256 = convert(first, uint256)
    low: uint256 = convert(second, uint256)
    for i: uint256 in range(8):
        bits: uint256 = unsafe_sub(224, unsafe_mul(32, i))
        w[i] = (high >> bits) & _WORD
        w[unsafe_add(i, 8)] = (low >> bits) & _WORD
    for i: uint256 in range(16, 64):
        v: uint256 = w[unsafe_sub(i, 15)]
        x: uint256 = unsafe_mul(v, _TWICE)
        s: uint256 = (((x >> 7) ^ (x >> 18)) & _WORD) ^ (v >> 3)
        v = w[unsafe_sub(i, 2)]
        x = unsafe_mul(v, _TWICE)
        s = unsafe_add(s, (((x >> 17) ^ (x >> 19)) & _WORD) ^ (v >> 10))
        w[i] = unsafe_add(unsafe_add(s, w[unsafe_sub(i, 16)]), w[unsafe_sub(i, 7)]) & _WORD

    start: uint256 = convert(state, uint256)
    a: uint256 = start >> 224
    b: uint256 = (start >> 192) & _WORD
    c: uint256 = (start >> 160) & _WORD
    d: uint256 = (start >> 128) & _WORD
    e: uint256 = (start >> 96) & _WORD
    f: uint256 = (start >> 64) & _WORD
    g: uint256 = (start >> 32) & _WORD
    h: uint256 = start & _WORD
    for i: uint256 in range(64):
        x: uint256 = unsafe_mul(e, _TWICE)
        k: uint256 = convert(rounds[i >> 3], uint256) >> unsafe_sub(224, unsafe_mul(32, i & 7))
        t: uint256 = unsafe_add(unsafe_add(h, ((x >> 6) ^ (x >> 11) ^ (x >> 25)) & _WORD), (e & f) ^ (~e & g))
        t = unsafe_add(unsafe_add(t, k & _WORD), w[i])
        x = unsafe_mul(a, _TWICE)
        s: uint256 = unsafe_add(((x >> 2) ^ (x >> 13) ^ (x >> 22)) & _WORD, (a & b) ^ (a & c) ^ (b & c))
        h = g
        g = f
        f = e
        e = unsafe_add(d, t) & _WORD
        d = c
        c = b
        b = a
        a = unsafe_add(t, s) & _WORD

    ends: uint256[8] = [a, b, c, d, e, f, g, h]
    made: uint256 = 0
    for i: uint256 in range(8):
        made = made << 32 | unsafe_add(start >> unsafe_sub(224, unsafe_mul(32, i)), ends[i]) & _WORD
    return convert(made, bytes32)
