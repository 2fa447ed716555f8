# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Keys of quads, as bytes
@license Apache-2.0
@author The dkg contributors
@dev docs/formats.md, sections 11 and 12. No term is looked at. Trees are
     numbered: 0 spog, 1 posg, 2 ospg, 3 gspo.
"""


# @dev Bytes of a key that are given: one more than a short one has.
STEM: constant(uint256) = 769


# @dev How two stems compare.
LESS: constant(uint256) = 0
EQUAL: constant(uint256) = 1
GREATER: constant(uint256) = 2


# @dev A word whose bytes are all 0x01.
_ONES: constant(uint256) = max_value(uint256) // 255


# @dev "0x", 40 digits and "/" follow the registry in a graph's name.
_PUBLISHER: constant(uint256) = 43


# @dev For each tree which components are at its four places (0 s, 1 p, 2 o,
#      3 g), two bits each, the first in the lowest bits; and for each
#      component where it is.
_COMPONENTS: constant(uint256[4]) = [228, 201, 210, 147]
_PLACES: constant(uint256[4]) = [228, 210, 201, 57]


@internal
@pure
def _compare(a: Bytes[STEM], b: Bytes[STEM]) -> uint256:
    """
    @dev `LESS` if a is less than b, and so on.
    """
    least: uint256 = min(len(a), len(b))
    x: Bytes[STEM + 32] = concat(a, empty(bytes32))
    y: Bytes[STEM + 32] = concat(b, empty(bytes32))
    for j: uint256 in range(STEM // 32 + 1):
        offset: uint256 = unsafe_mul(j, 32)
        if offset >= least:
            break
        v: uint256 = extract32(x, offset, output_type=uint256)
        w: uint256 = extract32(y, offset, output_type=uint256)
        if v != w:
            rest: uint256 = unsafe_sub(least, offset)
            if rest < 32:
                bits: uint256 = unsafe_mul(unsafe_sub(32, rest), 8)
                v = v >> bits
                w = w >> bits
            if v != w:
                return LESS if v < w else GREATER
    if len(a) == len(b):
        return EQUAL
    return LESS if len(a) < len(b) else GREATER


@internal
@pure
def _ends(key: Bytes[STEM]) -> (bool, uint256[4]):
    """
    @dev Whether a key is short and has the shape of a quad, and where its four
         bytes 0x00 are.
    """
    ends: uint256[4] = empty(uint256[4])
    found: uint256 = 0
    size: uint256 = len(key)
    if size == STEM or size == 0:
        return False, ends
    b: Bytes[STEM + 32] = concat(key, empty(bytes32))
    for j: uint256 in range(STEM // 32 + 1):
        offset: uint256 = unsafe_mul(j, 32)
        if offset >= size:
            break
        word: uint256 = extract32(b, offset, output_type=uint256)
        if unsafe_sub(word, _ONES) & ~word & (_ONES * 128) == 0:
            continue  # no byte of it is 0x00
        for i: uint256 in range(32):
            at: uint256 = unsafe_add(offset, i)
            if at >= size:
                break
            if (word >> unsafe_sub(248, unsafe_mul(8, i))) & 255 == 0:
                if found == 4:
                    return False, ends
                ends[found] = at
                found = unsafe_add(found, 1)
    if found != 4 or unsafe_add(ends[3], 1) != size:
        return False, ends
    # No component is empty, or begins so that an index has no place for it.
    start: uint256 = 0
    for i: uint256 in range(4):
        first: uint256 = extract32(b, start, output_type=uint256) >> 248
        if first < 2 or first == 18 or first == 255:
            return False, ends
        start = unsafe_add(ends[i], 1)
    return True, ends


@internal
@pure
def _permute(key: Bytes[STEM], ends: uint256[4], tree: uint256, other: uint256) -> Bytes[STEM]:
    """
    @dev The key of the same components in another tree, for a key whose four
         bytes 0x00 are at `ends`.
    """
    starts: uint256[4] = empty(uint256[4])
    sizes: uint256[4] = empty(uint256[4])
    components: uint256[4] = _COMPONENTS
    places: uint256[4] = _PLACES
    for i: uint256 in range(4):
        component: uint256 = (components[other] >> unsafe_mul(2, i)) & 3
        place: uint256 = (places[tree] >> unsafe_mul(2, component)) & 3
        if place != 0:
            starts[i] = unsafe_add(ends[unsafe_sub(place, 1)], 1)
        sizes[i] = unsafe_sub(unsafe_add(ends[place], 1), starts[i])
    made: Bytes[STEM] = slice(
        concat(
            slice(key, starts[0], sizes[0]),
            slice(key, starts[1], sizes[1]),
            slice(key, starts[2], sizes[2]),
            slice(key, starts[3], sizes[3]),
            abi_encode(empty(uint256[25])),
        ),
        0,
        STEM,
    )
    return slice(made, 0, len(key))


@internal
@pure
def _owner(key: Bytes[STEM], prefix: bytes32, prefix_size: uint256) -> (bool, address):
    """
    @dev The publisher whose a key of spog is, if it is somebody's. `prefix`:
         keccak256 of what the graphs of all publishers begin with.
    """
    good: bool = False
    ends: uint256[4] = empty(uint256[4])
    good, ends = self._ends(key)
    if not good:
        return False, empty(address)
    start: uint256 = unsafe_add(ends[2], 1)
    at: uint256 = unsafe_add(start, prefix_size)
    if unsafe_add(at, _PUBLISHER) > ends[3] or keccak256(slice(key, start, prefix_size)) != prefix:
        return False, empty(address)
    b: Bytes[STEM + 64] = concat(key, empty(bytes32), empty(bytes32))
    # "0x" is 12,408; "/" is 47.
    if extract32(b, at, output_type=uint256) >> 240 != 12_408:
        return False, empty(address)
    made: uint256 = 0
    word: uint256 = extract32(b, unsafe_add(at, 2), output_type=uint256)
    for i: uint256 in range(40):
        if i == 32:
            word = extract32(b, unsafe_add(at, 34), output_type=uint256)
            if (word >> 184) & 255 != 47:
                return False, empty(address)
        digit: uint256 = word >> 248
        word = word << 8
        if digit >= 48 and digit <= 57:
            made = made << 4 | unsafe_sub(digit, 48)
        elif digit >= 97 and digit <= 102:
            made = made << 4 | unsafe_sub(digit, 87)
        else:
            return False, empty(address)
    return True, convert(made, address)
