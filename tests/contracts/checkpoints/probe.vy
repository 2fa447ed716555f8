# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title What the modules of checkpoints say, asked directly
@license Apache-2.0
@author The dkg contributors
"""
import keys
import pages
import paths

initializes: paths
exports: paths.shown


@external
def show(raw: Bytes[pages.SHOW_MAX]) -> bytes32:
    return paths._show(raw)


@external
def show_long(state: bytes32, last: Bytes[64]) -> bytes32:
    return paths._show_long(state, last)


@external
@view
def member(path: Bytes[pages.PATH_MAX], root: bytes32, tree: uint256, key: Bytes[pages.STEM]):
    end: paths.End = paths._walk(path, root)
    paths._member(end, key)
    assert end.tree == tree, "tree"


@external
@view
def absent(
    path: Bytes[pages.PATH_MAX],
    root: bytes32,
    tree: uint256,
    key: Bytes[pages.STEM],
    before: Bytes[pages.STEM],
    after: Bytes[pages.STEM],
    hidden: bool,
):
    paths._absent(paths._walk(path, root), tree, key, before, after, hidden)


@external
@view
def fault(
    path: Bytes[pages.PATH_MAX],
    root: bytes32,
    kind: uint256,
    page: Bytes[pages.SHOW_MAX],
    bound: Bytes[pages.STEM],
    entry: Bytes[pages.STEM],
):
    paths._fault(paths._walk(path, root), kind, page, bound, entry, False)


@external
@pure
def owner(key: Bytes[pages.STEM], prefix: Bytes[pages.STEM]) -> (bool, address):
    return keys._owner(key, keccak256(prefix), len(prefix))


@external
@pure
def permute(key: Bytes[pages.STEM], tree: uint256, other: uint256) -> Bytes[pages.STEM]:
    good: bool = False
    ends: uint256[4] = empty(uint256[4])
    good, ends = keys._ends(key)
    assert good, "shape"
    return keys._permute(key, ends, tree, other)
