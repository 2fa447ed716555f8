# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Shown pages, and paths through them
@license Apache-2.0
@author The dkg contributors
@dev docs/formats.md, section 11. A path is a series of segments, each a page
     below the one before, by its bytes or by its summary if it was shown. Who
     shows it is not trusted: each segment is compared with the digest that the
     one before says.
"""
import compression
import keys
import pages
import reasons


event Shown:
    digest: indexed(bytes32)
    kind: uint256


# @dev What `shown` says of pages that are not well-formed; 0 is not shown.
MALFORMED: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000001
LONG: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000002


# @dev In place of a separator's hash that a segment of kind 2 leaves out: no
#      hash is this.
_UNKNOWN: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000001


# @dev Kinds of segments.
_RAW: constant(uint256) = 0
_OPENED: constant(uint256) = 1
_SUMMARY: constant(uint256) = 2


# @dev Bytes of the longest summary with all its separator hashes, of a leaf of
#      40 keys.
_SUMMARY_MAX: constant(uint256) = 1_282


# @dev A dataset root, the 32 levels of a tree, and the page that is one too
#      deep.
SEGMENTS_MAX: constant(uint256) = 34


# @dev Faults of a tree.
PAGE: constant(uint256) = 1
COUNT: constant(uint256) = 2
BOUNDS: constant(uint256) = 3
DEPTH: constant(uint256) = 4


# @notice For each digest 0 if its page was not shown, 1 if it is malformed, 2
#         if it is long, otherwise keccak256 of its summary.
shown: public(HashMap[bytes32, bytes32])


# @dev Where a path ends. Hashes are 0 where there is nothing.
struct End:
    segments: uint256
    # Which tree the path takes; of the last segment: its kind (0: the path is
    # empty), `at`, the number of its entries, and of keys in or below it.
    tree: uint256
    kind: uint256
    at: uint256
    number: uint256
    count: uint256
    # How many keys the segment before says there are.
    said: uint256
    # Of the last segment, the keys or separators `at` - 1 and `at`.
    left: bytes32
    right: bytes32
    # The bounds of the last segment's page.
    lower: bytes32
    upper: bytes32
    # The child that is named, if one is, and its bounds.
    names: bool
    child: bytes32
    child_lower: bytes32
    child_upper: bytes32


@internal
def _show(raw: Bytes[pages.SHOW_MAX]) -> bytes32:
    """
    @dev Keeps what a page's bytes show; its digest.
    """
    digest: bytes32 = sha256(raw)
    if self.shown[digest] == empty(bytes32):
        page: pages.Page = pages._page(concat(raw, pages._padding()), 0, len(raw))
        if page.kind == 0:
            self.shown[digest] = MALFORMED
            log Shown(digest=digest, kind=1)
        else:
            self.shown[digest] = pages._summary(page)
            log Shown(digest=digest, kind=0)
    return digest


@internal
def _show_long(state: bytes32, last: Bytes[64]) -> bytes32:
    """
    @dev Keeps that a page is long, by the last block of its SHA-256; its
         digest.
    """
    reasons._require(len(last) == 64, reasons.BLOCK)
    second: bytes32 = extract32(last, 32)
    reasons._require(convert(second, uint256) & (2**64 - 1) > 8 * pages.SHOW_MAX, reasons.NOT_LONG)
    digest: bytes32 = compression._compress(state, extract32(last, 0), second)
    if self.shown[digest] == empty(bytes32):
        self.shown[digest] = LONG
        log Shown(digest=digest, kind=2)
    return digest


@internal
@view
def _is_no_page(digest: bytes32) -> bool:
    """
    @dev Whether a page was shown to be malformed or long.
    """
    word: bytes32 = self.shown[digest]
    return word == MALFORMED or word == LONG


@internal
@view
def _walk(path: Bytes[pages.PATH_MAX], root: bytes32) -> End:
    """
    @dev Follows a path from a dataset root. Reverts if it is none.
    """
    b: Bytes[pages.BUFFER] = concat(path, pages._padding())
    size: uint256 = len(path)
    at: uint256 = 0
    said: uint256 = 0
    end: End = empty(End)
    end.names = True
    end.child = root
    for i: uint256 in range(SEGMENTS_MAX):
        if at >= size:
            break
        reasons._require(end.names, reasons.NO_CHILD)
        word: uint256 = extract32(b, at, output_type=uint256)
        how: uint256 = word >> 248
        entry: uint256 = (word >> 240) & 255
        length: uint256 = (word >> 224) & 65535
        at = unsafe_add(at, 4)
        next: uint256 = unsafe_add(at, length)
        reasons._require(next <= size, reasons.CUT_OFF)
        digest: bytes32 = end.child
        end.lower = end.child_lower
        end.upper = end.child_upper
        end.said = said
        end.at = entry
        end.left = empty(bytes32)
        end.right = empty(bytes32)
        end.child = empty(bytes32)
        strings: uint256 = 0
        if how == _RAW:
            reasons._require(
                length <= pages.SHOW_MAX and sha256(slice(b, at, length)) == digest, reasons.OTHER_PAGE
            )
            page: pages.Page = pages._page(b, at, length)
            reasons._require(page.kind != 0, reasons.MALFORMED)
            end.kind = page.kind
            end.number = page.number
            end.count = page.count
            end.names = page.kind != pages.LEAF and entry < page.number
            if end.names:
                end.child = page.digests[entry]
                said = page.count if page.kind == pages.DATASET else page.counts[entry]
            if page.kind == pages.LEAF:
                strings = page.number
            elif page.kind == pages.INNER:
                strings = unsafe_sub(page.number, 1)
            if 0 < entry and entry <= strings:
                end.left = page.hashes[unsafe_sub(entry, 1)]
            if entry < strings:
                end.right = page.hashes[entry]
        else:
            reasons._require(how == _OPENED or how == _SUMMARY, reasons.SEGMENT)
            reasons._require(length <= _SUMMARY_MAX, reasons.OTHER_PAGE)
            summary: Bytes[_SUMMARY_MAX] = slice(slice(b, at, _SUMMARY_MAX), 0, length)
            word = extract32(b, at, output_type=uint256)
            kind: uint256 = word >> 248
            number: uint256 = (word >> 240) & 255
            hashes: uint256 = unsafe_add(at, 2)
            child: uint256 = 0
            if kind == pages.INNER:
                head: uint256 = unsafe_add(2, unsafe_mul(40, number))
                child = unsafe_add(hashes, unsafe_mul(40, entry))
                hashes = unsafe_add(at, head)
                strings = unsafe_sub(number, 1)
                if how == _OPENED:
                    reasons._require(number <= 8 and head <= length, reasons.OTHER_PAGE)
                    kept: bytes32 = keccak256(slice(summary, head, unsafe_sub(length, head)))
                    summary = concat(slice(slice(b, at, 322), 0, head), kept)
            else:
                reasons._require(how == _OPENED, reasons.SEGMENT)
            reasons._require(self.shown[digest] == keccak256(summary), reasons.OTHER_PAGE)
            end.kind = kind
            if kind == pages.LEAF:
                end.number = number
                end.count = number
                end.names = False
                strings = number
            elif kind == pages.INNER:
                end.number = number
                end.names = entry < number
                if end.names:
                    end.child = extract32(b, child)
                    said = extract32(b, unsafe_add(child, 32), output_type=uint256) >> 192
                if next == size:
                    end.count = 0
                    for j: uint256 in range(number, bound=8):
                        count: uint256 = extract32(
                            b, unsafe_add(unsafe_add(at, 34), unsafe_mul(40, j)), output_type=uint256
                        )
                        end.count = unsafe_add(end.count, count >> 192)
            else:
                end.number = 4
                end.count = (word >> 184) & (2**64 - 1)
                end.names = entry < 4
                if end.names:
                    end.child = extract32(b, unsafe_add(unsafe_add(at, 9), unsafe_mul(32, entry)))
                    said = end.count
            if how == _SUMMARY:
                if 0 < entry and entry <= strings:
                    end.left = _UNKNOWN
                if entry < strings:
                    end.right = _UNKNOWN
            else:
                if 0 < entry and entry <= strings:
                    end.left = extract32(b, unsafe_add(hashes, unsafe_mul(32, unsafe_sub(entry, 1))))
                if entry < strings:
                    end.right = extract32(b, unsafe_add(hashes, unsafe_mul(32, entry)))
        reasons._require((end.kind == pages.DATASET) == (i == 0), reasons.KIND_OF_PAGE)
        if i == 0:
            end.tree = entry
        if end.kind == pages.INNER and end.names:
            if end.left != empty(bytes32):
                end.child_lower = end.left
            if end.right != empty(bytes32):
                end.child_upper = end.right
        end.segments = unsafe_add(i, 1)
        at = next
    reasons._require(at == size, reasons.MANY_SEGMENTS)
    return end


@internal
@pure
def _member(end: End, key: Bytes[pages.STEM]):
    """
    @dev Reverts unless a path leads to a key with this stem.
    """
    reasons._require(
        end.kind == pages.LEAF and end.at < end.number and end.right == keccak256(key), reasons.NOT_A_MEMBER
    )


@internal
@view
def _absent(
    end: End,
    tree: uint256,
    key: Bytes[pages.STEM],
    before: Bytes[pages.STEM],
    after: Bytes[pages.STEM],
    hidden: bool,
):
    """
    @dev Reverts unless a path shows that a key is in no leaf of a tree that
         has no faults; `hidden`: or that it would be behind a long page.
    """
    reasons._require(len(key) < pages.STEM, reasons.NOT_SHORT)
    reasons._require(end.kind == 0 or end.tree == tree, reasons.TREE)
    lower: bytes32 = end.child_lower
    upper: bytes32 = end.child_upper
    strict: bool = False
    if end.kind == pages.LEAF:
        reasons._require(end.at <= end.number, reasons.NOT_ABSENT)
        strict = end.at != 0
        lower = end.left if strict else end.lower
        upper = end.right if end.at < end.number else end.upper
    else:
        reasons._require(hidden and end.names and self.shown[end.child] == LONG, reasons.NOT_ABSENT)
    if lower == empty(bytes32):
        reasons._require(len(before) == 0, reasons.BEFORE)
    else:
        reasons._require(keccak256(before) == lower, reasons.BEFORE)
        order: uint256 = keys._compare(before, key)
        reasons._require(order == keys.LESS or order == keys.EQUAL and not strict, reasons.NOT_ABSENT)
    if upper == empty(bytes32):
        reasons._require(len(after) == 0, reasons.AFTER)
    else:
        reasons._require(keccak256(after) == upper, reasons.AFTER)
        reasons._require(keys._compare(key, after) == keys.LESS, reasons.NOT_ABSENT)


@internal
@view
def _fault(
    end: End,
    fault: uint256,
    page: Bytes[pages.SHOW_MAX],
    bound: Bytes[pages.STEM],
    entry: Bytes[pages.STEM],
    commit: bool,
):
    """
    @dev Reverts unless a path shows a fault of a tree. `commit`: of a commit's
         dataset, where only spog matters, and a long page is a fault only as
         the root.
    """
    reasons._require(not commit or end.tree == 0, reasons.TREE)
    if fault == PAGE:
        reasons._require(end.names, reasons.NO_CHILD)
        if len(page) == 0:
            word: bytes32 = self.shown[end.child]
            reasons._require(
                word == MALFORMED or word == LONG and (not commit or end.segments == 0), reasons.NO_FAULT
            )
        else:
            reasons._require(sha256(page) == end.child, reasons.OTHER_PAGE)
            kind: uint256 = pages._page(concat(page, pages._padding()), 0, len(page)).kind
            reasons._require(kind == 0 or (kind == pages.DATASET) != (end.segments == 0), reasons.NO_FAULT)
    elif fault == COUNT:
        reasons._require(end.segments > 1 and end.count != end.said, reasons.NO_FAULT)
    elif fault == BOUNDS:
        reasons._require(end.right == keccak256(entry), reasons.OTHER_ENTRY)
        order: uint256 = keys._compare(entry, bound)
        # Of two equal stems of long keys nothing is known.
        reasons._require(order != keys.EQUAL or len(entry) < pages.STEM, reasons.NO_FAULT)
        hashed: bytes32 = keccak256(bound)
        below: bool = order == keys.LESS or order == keys.EQUAL and end.kind == pages.INNER
        reasons._require(
            hashed == end.lower and below or hashed == end.upper and order != keys.LESS, reasons.NO_FAULT
        )
    else:
        reasons._require(fault == DEPTH and end.segments == SEGMENTS_MAX, reasons.NO_FAULT)
