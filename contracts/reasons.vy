# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title Reasons for a refusal
@license Apache-2.0
@author The dkg contributors
@dev The compiler takes 115 bytes of code for each `assert` with a reason: of
     the 46 reasons here, in 76 places, the contract would not fit on the
     chain (EIP-170). So they are numbered, and their words stand in one text,
     20 bytes for each, filled up with spaces.
"""


BOND: constant(uint256) = 0
ZERO_ROOT: constant(uint256) = 1
MARKS: constant(uint256) = 2
POSITION: constant(uint256) = 3
TIP: constant(uint256) = 4
NOT_ABOVE: constant(uint256) = 5
MANY_PENDING: constant(uint256) = 6
PENDING_ALREADY: constant(uint256) = 7
MANY: constant(uint256) = 8
NOT_PENDING: constant(uint256) = 9
WINDOW: constant(uint256) = 10
OPEN_DEMANDS: constant(uint256) = 11
NOTHING_OWED: constant(uint256) = 12
BLOCK: constant(uint256) = 13
NOT_LONG: constant(uint256) = 14
NO_CHILD: constant(uint256) = 15
CUT_OFF: constant(uint256) = 16
OTHER_PAGE: constant(uint256) = 17
MALFORMED: constant(uint256) = 18
SEGMENT: constant(uint256) = 19
KIND_OF_PAGE: constant(uint256) = 20
MANY_SEGMENTS: constant(uint256) = 21
TREE: constant(uint256) = 22
NOT_A_MEMBER: constant(uint256) = 23
NOT_SHORT: constant(uint256) = 24
NOT_ABSENT: constant(uint256) = 25
BEFORE: constant(uint256) = 26
AFTER: constant(uint256) = 27
NO_FAULT: constant(uint256) = 28
OTHER_ENTRY: constant(uint256) = 29
NOT_THE_PUBLISHERS: constant(uint256) = 30
NOTHING_COUNTS: constant(uint256) = 31
NOT_IN_THE_LOG: constant(uint256) = 32
MARKED: constant(uint256) = 33
RECORDS: constant(uint256) = 34
NOT_CONSECUTIVE: constant(uint256) = 35
LATER_COUNTS: constant(uint256) = 36
NOT_THE_LATEST: constant(uint256) = 37
MANY_RECORDS: constant(uint256) = 38
NOT_FAR_ENOUGH: constant(uint256) = 39
DEMANDS_OVER: constant(uint256) = 40
SHOWN_ALREADY: constant(uint256) = 41
NO_SUCH_DEMAND: constant(uint256) = 42
NOT_SHOWN: constant(uint256) = 43
TOO_LATE: constant(uint256) = 44
TOO_EARLY: constant(uint256) = 45


# @dev Bytes of the words of a reason; behind the last one is room for a word to
#      be read.
_SIZE: constant(uint256) = 20
_TEXT: constant(Bytes[932]) = b"bond                zero root           marks               position            tip                 not above the final too many pending    pending already     too many            not pending         window              open demands        nothing owed        block               not long            no child            cut off             other page          malformed           segment             kind of page        too many segments   tree                not a member        not short           not absent          before              after               no fault            other entry         not the publisher's nothing counts      not in the log      marked              records             not consecutive     a later one counts  not the latest      too many records    not far enough back demands are over    shown already       no such demand      not shown           too late            too early                       "


@internal
@pure
def _require(good: bool, reason: uint256):
    """
    @dev Reverts with a reason's words unless all is good.
    """
    if not good:
        text: Bytes[932] = _TEXT
        size: uint256 = _SIZE
        words: uint256 = extract32(text, _SIZE * reason, output_type=uint256) >> 96
        for i: uint256 in range(_SIZE):
            if words & 255 != 32:
                break
            words = words >> 8
            size -= 1
        raise convert(slice(text, _SIZE * reason, size), String[_SIZE])
