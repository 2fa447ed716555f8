# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Pages: DAG-CBOR of the shapes that trees are made of, and nothing else
@license Apache-2.0
@author The dkg contributors
@dev docs/formats.md, sections 3 and 11. A page is read where it lies in a
     buffer, by headers and words; only what is hashed is copied. Nothing is
     read beyond the padding: each place is compared with the page's end
     before the next item is looked at, and the last one must be the end.
"""


# @dev Most bytes of a page that is read, and of a path.
SHOW_MAX: constant(uint256) = 30_976
PATH_MAX: constant(uint256) = 36_864


# @dev A path or a page, and bytes 0x00 that can be read beyond its end: as many
#      as the largest thing that is copied from it at once, a summary.
PADDING: constant(uint256) = 42 * 32
BUFFER: constant(uint256) = PATH_MAX + PADDING


# @dev Bytes of a key, a separator or a bound that are compared and hashed.
STEM: constant(uint256) = 769


# @dev The kinds of a page; 0 is none.
LEAF: constant(uint256) = 1
INNER: constant(uint256) = 2
DATASET: constant(uint256) = 3


_KEYS_MAX: constant(uint256) = 40
_CHILDREN_MAX: constant(uint256) = 8
_TREES: constant(uint256) = 4


# @dev Bytes of the format, as numbers; Vyper takes hexadecimal digits for
#      bytes. The three kinds begin with a map of one or three fields, and the
#      name of the first: a1 61 6b, a3 61 63, a3 61 6e.
_IS_LEAF: constant(uint256) = 10_576_235
_IS_INNER: constant(uint256) = 10_707_299
_IS_DATASET: constant(uint256) = 10_707_310


# @dev Further fields: "k" and "n" with an array of nothing, to which its
#      length is added (61 6b 80, 61 6e 80); "t" with an array of four
#      (61 74 84); "v" with 1 (61 76 01).
_SEPARATORS: constant(uint256) = 6_384_512
_COUNTS: constant(uint256) = 6_385_280
_FOUR_TREES: constant(uint256) = 6_386_820
_VERSION: constant(uint256) = 6_387_201


# @dev The first 9 of a link's 41 bytes: tag 42, a byte string of 37, 0x00 and
#      the CID's prefix (d8 2a 58 25 00 01 71 12 20). The digest follows.
_LINK: constant(uint256) = 3_987_547_949_350_761_075_232
_LINK_BYTES: constant(uint256) = 41


# @dev Bytes of keys that are compared at once, by their hashes.
_CHUNK: constant(uint256) = 256


# @dev Major types of CBOR.
_UINT: constant(uint256) = 0
_BYTES: constant(uint256) = 2
_ARRAY: constant(uint256) = 4


# @notice What a page says. Kind 0: it is malformed, and the rest is empty.
struct Page:
    kind: uint256
    # Entries: keys of a leaf, children of an inner page, trees of a dataset.
    number: uint256
    # Keys in or below it.
    count: uint256
    digests: bytes32[8]
    counts: uint256[8]
    # keccak256(stem) of each key or separator.
    hashes: bytes32[40]


@internal
@pure
def _padding() -> Bytes[PADDING]:
    """
    @dev What a path or a page is followed by in a buffer.
    """
    return abi_encode(empty(uint256[42]))


@internal
@pure
def _head(word: uint256, major: uint256) -> (uint256, uint256):
    """
    @dev The header that a word begins with: its bytes, and its number. No
         bytes if it is of another major type, or not the shortest.
    """
    if word >> 253 != major:
        return 0, 0
    info: uint256 = (word >> 248) & 31
    if info < 24:
        return 1, info
    if info > 27:
        return 0, 0
    size: uint256 = 1 << unsafe_sub(info, 24)
    number: uint256 = (word << 8) >> unsafe_sub(256, unsafe_mul(8, size))
    if number < 24 or number >> unsafe_mul(4, size) == 0 and size != 1:
        return 0, 0
    return unsafe_add(size, 1), number


@internal
@pure
def _page(b: Bytes[BUFFER], start: uint256, size: uint256) -> Page:
    """
    @dev The page of `size` bytes at `start`, checked in full.
    """
    page: Page = empty(Page)
    end: uint256 = unsafe_add(start, size)
    at: uint256 = unsafe_add(start, 3)
    header: uint256 = 0
    number: uint256 = 0
    links: uint256 = 0
    strings: uint256 = 0
    kind: uint256 = 0

    # What comes before the links, or before a leaf's keys.
    fields: uint256 = extract32(b, start, output_type=uint256) >> 232
    if fields == _IS_LEAF:
        kind = LEAF
        header, strings = self._head(extract32(b, at, output_type=uint256), _ARRAY)
        if header == 0 or strings > _KEYS_MAX:
            return empty(Page)
        page.number = strings
        page.count = strings
    elif fields == _IS_INNER:
        kind = INNER
        header, links = self._head(extract32(b, at, output_type=uint256), _ARRAY)
        if header == 0 or links == 0 or links > _CHILDREN_MAX:
            return empty(Page)
        page.number = links
        strings = unsafe_sub(links, 1)
    elif fields == _IS_DATASET:
        kind = DATASET
        links = _TREES
        page.number = links
        header, page.count = self._head(extract32(b, at, output_type=uint256), _UINT)
        if header == 0 or page.count >= 2**63:
            return empty(Page)
        at = unsafe_add(at, header)
        if extract32(b, at, output_type=uint256) >> 232 != _FOUR_TREES:
            return empty(Page)
        header = 3
    else:
        return empty(Page)
    at = unsafe_add(at, header)

    for i: uint256 in range(links, bound=_CHILDREN_MAX):
        if at > end or extract32(b, at, output_type=uint256) >> 184 != _LINK:
            return empty(Page)
        page.digests[i] = extract32(b, unsafe_add(at, 9))
        at = unsafe_add(at, _LINK_BYTES)
    if at > end:
        return empty(Page)

    if kind == INNER:
        if extract32(b, at, output_type=uint256) >> 232 != unsafe_add(_SEPARATORS, strings):
            return empty(Page)
        at = unsafe_add(at, 3)

    # Keys or separators, in ascending order.
    before: uint256 = 0
    before_size: uint256 = 0
    for i: uint256 in range(strings, bound=_KEYS_MAX):
        if at > end:
            return empty(Page)
        header, number = self._head(extract32(b, at, output_type=uint256), _BYTES)
        at = unsafe_add(at, header)
        if header == 0 or unsafe_add(at, number) > end:
            return empty(Page)
        if number == 0:
            # The least of all: only a leaf's first key can be empty.
            if kind == INNER or i != 0:
                return empty(Page)
        elif extract32(b, at, output_type=uint256) >> 248 == 255:
            return empty(Page)
        if i != 0:
            # The first word that differs decides; none does: the shorter is
            # the lesser. It is in the first chunk that differs.
            least: uint256 = min(before_size, number)
            decided: bool = False
            offset: uint256 = 0
            for j: uint256 in range(SHOW_MAX // _CHUNK):
                if unsafe_add(offset, _CHUNK) > least:
                    break
                if keccak256(slice(b, unsafe_add(before, offset), _CHUNK)) != keccak256(
                    slice(b, unsafe_add(at, offset), _CHUNK)
                ):
                    break
                offset = unsafe_add(offset, _CHUNK)
            for j: uint256 in range(_CHUNK // 32):
                if offset >= least:
                    break
                x: uint256 = extract32(b, unsafe_add(before, offset), output_type=uint256)
                y: uint256 = extract32(b, unsafe_add(at, offset), output_type=uint256)
                if x != y:
                    rest: uint256 = unsafe_sub(least, offset)
                    if rest < 32:
                        bits: uint256 = unsafe_mul(unsafe_sub(32, rest), 8)
                        x = x >> bits
                        y = y >> bits
                    if x > y:
                        return empty(Page)
                    if x < y:
                        decided = True
                        break
                offset = unsafe_add(offset, 32)
            if not decided and before_size >= number:
                return empty(Page)
        page.hashes[i] = keccak256(slice(slice(b, at, STEM), 0, min(number, STEM)))
        before = at
        before_size = number
        at = unsafe_add(at, number)
    if at > end:
        return empty(Page)

    if kind == INNER:
        if extract32(b, at, output_type=uint256) >> 232 != unsafe_add(_COUNTS, links):
            return empty(Page)
        at = unsafe_add(at, 3)
        for i: uint256 in range(links, bound=_CHILDREN_MAX):
            if at > end:
                return empty(Page)
            header, number = self._head(extract32(b, at, output_type=uint256), _UINT)
            if header == 0 or number == 0 or number >= 2**63:
                return empty(Page)
            page.counts[i] = number
            page.count = unsafe_add(page.count, number)
            at = unsafe_add(at, header)
    elif kind == DATASET:
        if extract32(b, at, output_type=uint256) >> 232 != _VERSION:
            return empty(Page)
        at = unsafe_add(at, 3)
    if at != end:
        return empty(Page)
    page.kind = kind
    return page


@internal
@pure
def _summary(page: Page) -> bytes32:
    """
    @dev keccak256 of a well-formed page's summary.
    """
    number: bytes1 = convert(convert(page.number, uint8), bytes1)
    if page.kind == LEAF:
        return keccak256(concat(x"01", number, slice(abi_encode(page.hashes), 0, unsafe_mul(32, page.number))))
    if page.kind == DATASET:
        count: bytes8 = convert(convert(page.count, uint64), bytes8)
        return keccak256(
            concat(x"03", count, page.digests[0], page.digests[1], page.digests[2], page.digests[3])
        )
    children: Bytes[322] = concat(
        x"02", number,
        page.digests[0], convert(convert(page.counts[0], uint64), bytes8),
        page.digests[1], convert(convert(page.counts[1], uint64), bytes8),
        page.digests[2], convert(convert(page.counts[2], uint64), bytes8),
        page.digests[3], convert(convert(page.counts[3], uint64), bytes8),
        page.digests[4], convert(convert(page.counts[4], uint64), bytes8),
        page.digests[5], convert(convert(page.counts[5], uint64), bytes8),
        page.digests[6], convert(convert(page.counts[6], uint64), bytes8),
        page.digests[7], convert(convert(page.counts[7], uint64), bytes8),
    )
    hashes: bytes32 = keccak256(slice(abi_encode(page.hashes), 0, unsafe_mul(32, unsafe_sub(page.number, 1))))
    return keccak256(concat(slice(children, 0, unsafe_add(2, unsafe_mul(40, page.number))), hashes))
