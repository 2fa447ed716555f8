# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title DKG Checkpoints
@custom:contract-name checkpoints
@license Apache-2.0
@author The dkg contributors
@notice A checkpoint says, with a bond, what the root of the union of all
        publishers' datasets is at a position of the registry's log. Who finds
        it wrong refutes it in one transaction, by paths through pages, and
        gets half of the bond. What nobody has refuted when its window has
        passed becomes final. There is no owner, no admin, no pause and no
        upgrade.
@dev What the union is, what paths and faults are, and what is stored:
     docs/formats.md, sections 11 to 13. Storage is an interface: clients read
     slots 0 to 7 with `eth_getProof`.

     slot 0: `state` = latest final id << 144 | last id << 96
             | number of marks << 48 | number of demands
     slot 1: `open`, the ids of the pending checkpoints, 32 bits each, the
             oldest in the lowest; 8 at most
     slot 2: `roots[id]`
     slot 3: `checkpoints[id]` = proposer << 96 | position << 48 | marks
     slot 4: `times[id]` = status << 192 | proposed << 144 | ends << 96
             | open demands << 48 | demands made
     slot 5: `marked[position]` = reason << 48 | number of the mark
     slot 6: `mark_log[number]` = position
     slot 7: `shown[digest]`
     Behind them: `credit`, `burnt`, `demands`.

     Coins come in as bonds, exactly, and go out by `withdraw` alone. The
     contract's balance is at least the sum of all credit, the bonds of pending
     checkpoints, those of open demands, and what is burnt; it is exactly that
     unless somebody forces coins on it, which are lost. Burnt coins stay here,
     and nothing can move them: no transfer can fail, and what was burnt can be
     read in one word. Of an odd bond the greater half is burnt.
@custom:security A wrong checkpoint becomes final if nobody refutes it within
     its window: somebody must watch. Pages that nobody has are demanded.

     A challenge, a mark or an answer can be copied from the mempool, and the
     copy gets what it earns. It does the same to the checkpoint whoever sends
     it. Half of the bond is burnt, so a proposer that refutes itself pays.

     A proposal names the registry's entry before its position: a
     reorganisation that changes the log makes it fail. It says nothing of the
     marks: propose by what a final block has. A challenge shows records that
     are compared with the log as it is.

     A transfer is made by `withdraw` alone, to its sender, behind all changes.
     A contract that cannot take coins keeps its credit, and holds up nobody.

     Eight checkpoints can be pending. Who fills these places with wrong ones
     loses the bonds, who fills them with right ones has done the work. A
     demand puts the end of a window off, for no more than its gas if its
     sender answers it: until 72 demand windows after the first end, then no
     more. How many demands there are has no limit, because a proposer could
     use it up itself, and keep what it does not want to be seen.

     That a page is long is believed of who shows a last block of SHA-256 that
     says so and compresses to the digest: a lie takes a preimage of the
     compression function.
"""
import keys
import pages
import paths
import reasons


interface Registry:
    def entries(position: uint256) -> bytes32: view
    def heads(publisher: address) -> uint256: view
    def log_length() -> uint256: view


# @notice A commit, as the registry logged it: with its publisher the preimage
#         of an entry of the log.
struct Record:
    root: bytes32
    numbers: uint256
    block_number: uint256
    timestamp: uint256


# @notice A demand for a page. `terms` = who << 96 | kind << 88 | deadline << 48
#         | target; kind 1: a checkpoint, target its id; 2: a commit, target
#         its position. 0: it was settled.
struct Demand:
    digest: bytes32
    terms: uint256


# @notice All that is stored of a checkpoint.
struct Checkpoint:
    id: uint256
    root: bytes32
    proposer: address
    position: uint256
    marks: uint256
    status: uint256
    proposed: uint256
    ends: uint256
    open_demands: uint256
    demands_made: uint256


# @notice The latest final checkpoint (all zero if there is none), the pending
#         ones, oldest first, and how many marks and demands there are.
struct Status:
    latest: Checkpoint
    pending: DynArray[Checkpoint, 8]
    marks: uint256
    demands: uint256


event Proposed:
    id: indexed(uint256)
    proposer: indexed(address)
    position: uint256
    marks: uint256
    root: bytes32
    ends: uint256


# @dev `kind`: 1 missing, 2 extra, 3 index, 4 page, 5 a page was not shown.
event Refuted:
    id: indexed(uint256)
    challenger: indexed(address)
    kind: uint256


event Finalised:
    id: indexed(uint256)


event Marked:
    position: indexed(uint256)
    number: uint256
    reason: uint256
    by: address


event Demanded:
    demand: indexed(uint256)
    digest: indexed(bytes32)
    kind: uint256
    target: uint256
    deadline: uint256


event Answered:
    demand: indexed(uint256)
    digest: indexed(bytes32)
    raw: Bytes[pages.SHOW_MAX]
    by: address


event Expired:
    demand: indexed(uint256)


_MASK_40: constant(uint256) = 2**40 - 1
_MASK_48: constant(uint256) = 2**48 - 1
_MASK_96: constant(uint256) = 2**96 - 1


# @dev Status of a checkpoint.
_PENDING: constant(uint256) = 1
_FINAL: constant(uint256) = 2
_REFUTED: constant(uint256) = 3


# @dev Why a checkpoint was refuted.
_MISSING: constant(uint256) = 1
_EXTRA: constant(uint256) = 2
_INDEX: constant(uint256) = 3
_FAULT: constant(uint256) = 4
_NOT_SHOWN: constant(uint256) = 5


# @dev Why a commit is marked.
_MALFORMED: constant(uint256) = 1
_UNAVAILABLE: constant(uint256) = 2


# @dev What a demand is about.
_OF_CHECKPOINT: constant(uint256) = 1
_OF_COMMIT: constant(uint256) = 2


_OPEN_MAX: constant(uint256) = 8


# @dev For how many demand windows after the end of a checkpoint's first window
#      its pages can be demanded: two for each page of a path, and some.
_DEMAND_WINDOWS: constant(uint256) = 72


# @dev How many of a publisher's commits are looked at for one without a mark,
#      and records: one more, which is the first that is too late.
_COMMITS_MAX: constant(uint256) = 8
_RECORDS_MAX: constant(uint256) = 9


# @dev Longest window, in seconds.
_WINDOW_MAX: constant(uint256) = 2**32 - 1


# @notice The registry whose log this is about.
registry: public(immutable(Registry))


# @notice The bond of a checkpoint, in wei.
bond: public(immutable(uint256))


# @notice For how long a checkpoint can be refuted, in seconds.
window: public(immutable(uint256))


# @notice The bond of a demand, in wei.
demand_bond: public(immutable(uint256))


# @notice How long there is to answer a demand, in seconds.
demand_window: public(immutable(uint256))


# @dev keccak256 and length of what the graphs of all publishers begin with:
#      <did:dkg:eip155:(chain id):(registry)/
_PREFIX: immutable(bytes32)
_PREFIX_SIZE: immutable(uint256)


state: uint256
open: uint256


# @notice The digest of a checkpoint's dataset root.
roots: HashMap[uint256, bytes32]


# @notice A checkpoint's proposer, position and marks, packed.
checkpoints: HashMap[uint256, uint256]


# @notice A checkpoint's status, times and demands, packed.
times: HashMap[uint256, uint256]


# @notice Why the commit at a position counts no more, and the mark's number.
marked: HashMap[uint256, uint256]


# @notice The marks in their order: the position of each number from 1.
mark_log: HashMap[uint256, uint256]


# @dev `shown` is the variable of `paths`; here, because of its slot.
initializes: paths
exports: paths.shown


# @notice What `withdraw` pays an address, in wei.
credit: public(HashMap[address, uint256])


# @notice Wei that stay here for ever.
burnt: public(uint256)


# @notice The demands, by their numbers from 1.
demands: HashMap[uint256, Demand]


@deploy
def __init__(registry_: address, bond_: uint256, window_: uint256, demand_bond_: uint256, demand_window_: uint256):
    """
    @dev All of it is for ever.
    @param registry_ The registry whose log this is about.
    @param bond_ The bond of a checkpoint, in wei; one at least.
    @param window_ For how long a checkpoint can be refuted, in seconds.
    @param demand_bond_ The bond of a demand, in wei.
    @param demand_window_ How long there is to answer a demand, in seconds.
    """
    assert registry_.is_contract, "registry"
    assert bond_ != 0, "bond"
    assert window_ != 0 and window_ <= _WINDOW_MAX, "window"
    assert demand_window_ != 0 and demand_window_ <= _WINDOW_MAX, "window"
    registry = Registry(registry_)
    bond = bond_
    window = window_
    demand_bond = demand_bond_
    demand_window = demand_window_

    # Vyper has no hexadecimal digits of an address.
    digits: uint256[2] = empty(uint256[2])
    for i: uint256 in range(40):
        digit: uint256 = (convert(registry_, uint256) >> (156 - 4 * i)) & 15
        digit += 48 if digit < 10 else 87
        digits[i // 32] = digits[i // 32] << 8 | digit
    prefix: Bytes[160] = concat(
        b"<did:dkg:eip155:",
        convert(uint2str(chain.id), Bytes[78]),
        b":0x",
        convert(digits[0], bytes32),
        convert(convert(digits[1], uint64), bytes8),
        b"/",
    )
    _PREFIX = keccak256(prefix)
    _PREFIX_SIZE = len(prefix)


@external
@payable
def propose(position: uint48, marks: uint48, root: bytes32, tip: bytes32) -> uint256:
    """
    @notice Proposes a checkpoint, with the bond.
    @dev `tip` ties the proposal to the log that the proposer has seen: after
         a reorganisation it reverts.
    @param position How many of the log's entries the union covers.
    @param marks How many marks it heeds.
    @param root The digest in the CID of the union's dataset root.
    @param tip The log's entry before `position`; zero at 0.
    @return uint256 The checkpoint's id.
    """
    reasons._require(msg.value == bond, reasons.BOND)
    reasons._require(root != empty(bytes32), reasons.ZERO_ROOT)
    e: uint256 = convert(position, uint256)
    m: uint256 = convert(marks, uint256)
    state: uint256 = self.state
    reasons._require(m <= (state >> 48) & _MASK_48, reasons.MARKS)
    reasons._require(e <= staticcall registry.log_length(), reasons.POSITION)
    entry: bytes32 = empty(bytes32)
    if e != 0:
        entry = staticcall registry.entries(e - 1)
    reasons._require(entry == tip, reasons.TIP)
    latest: uint256 = state >> 144
    if latest != 0:
        known: uint256 = self.checkpoints[latest]
        reasons._require(self._above(known, e, m) and e << 48 | m != known & _MASK_96, reasons.NOT_ABOVE)

    open: uint256 = self.open
    reasons._require(open >> 224 == 0, reasons.MANY_PENDING)
    rest: uint256 = open
    places: uint256 = 0
    for i: uint256 in range(_OPEN_MAX):
        if rest == 0:
            break
        other: uint256 = rest & (2**32 - 1)
        same: bool = self.roots[other] == root and self.checkpoints[other] & _MASK_96 == e << 48 | m
        reasons._require(not same, reasons.PENDING_ALREADY)
        rest = rest >> 32
        places += 32

    id: uint256 = ((state >> 96) & _MASK_48) + 1
    reasons._require(id < 2**32, reasons.MANY)
    ends: uint256 = block.timestamp + window
    self.state = state + 2**96
    self.open = open | id << places
    self.roots[id] = root
    self.checkpoints[id] = convert(msg.sender, uint256) << 96 | e << 48 | m
    self.times[id] = _PENDING << 192 | block.timestamp << 144 | ends << 96
    log Proposed(id=id, proposer=msg.sender, position=e, marks=m, root=root, ends=ends)
    return id


@external
def finalise(id: uint256):
    """
    @notice Makes a pending checkpoint final, and gives its bond back. Anyone
            may call this when its window has passed and no demand is open.
    @dev It becomes the latest final one if it is above that. One that is not
         is final all the same: nobody has refuted it.
    @param id The checkpoint.
    """
    times: uint256 = self._require_pending(id)
    reasons._require(block.timestamp >= (times >> 96) & _MASK_48, reasons.WINDOW)
    reasons._require((times >> 48) & _MASK_48 == 0, reasons.OPEN_DEMANDS)
    self._close(id, times, _FINAL)
    checkpoint: uint256 = self.checkpoints[id]
    state: uint256 = self.state
    latest: uint256 = state >> 144
    if latest == 0 or self._above(self.checkpoints[latest], (checkpoint >> 48) & _MASK_48, checkpoint & _MASK_48):
        self.state = state & (2**144 - 1) | id << 144
    self.credit[convert(checkpoint >> 96, address)] += bond
    log Finalised(id=id)


@external
def withdraw():
    """
    @notice Pays the sender what it is owed.
    """
    amount: uint256 = self.credit[msg.sender]
    reasons._require(amount != 0, reasons.NOTHING_OWED)
    self.credit[msg.sender] = 0
    raw_call(msg.sender, b"", value=amount)


@external
def show(raw: Bytes[pages.SHOW_MAX]) -> bytes32:
    """
    @notice Shows a page, so that paths may name it by its summary.
    @param raw The page's bytes.
    @return bytes32 Its digest.
    """
    return paths._show(raw)


@external
def show_long(state: bytes32, last: Bytes[64]) -> bytes32:
    """
    @notice Shows that a page is longer than what `show` takes.
    @param state The state of its SHA-256 before the last block.
    @param last The last block, 64 bytes.
    @return bytes32 Its digest.
    """
    return paths._show_long(state, last)


@external
def challenge_missing(
    id: uint256,
    publisher: address,
    records: DynArray[Record, _RECORDS_MAX],
    ours: Bytes[pages.PATH_MAX],
    theirs: Bytes[pages.PATH_MAX],
    key: Bytes[pages.STEM],
    before: Bytes[pages.STEM],
    after: Bytes[pages.STEM],
):
    """
    @notice Refutes a checkpoint that lacks a key which counts.
    @param id The checkpoint.
    @param publisher Whose key it is.
    @param records Of its commits: which one counts.
    @param ours The path to the key in that commit's spog.
    @param theirs The path to where it is absent in the checkpoint's spog.
    @param key The key.
    @param before The stem below it there; empty if there is none.
    @param after The stem above it there; empty if there is none.
    """
    times: uint256 = self._require_pending(id)
    reasons._require(self._is_owner(key, publisher), reasons.NOT_THE_PUBLISHERS)
    root: bytes32 = self._counting(id, publisher, records)
    reasons._require(root != empty(bytes32), reasons.NOTHING_COUNTS)
    end: paths.End = paths._walk(ours, root)
    paths._member(end, key)
    reasons._require(end.tree == 0, reasons.TREE)
    paths._absent(paths._walk(theirs, self.roots[id]), 0, key, before, after, False)
    self._refute(id, times, _MISSING, msg.sender)


@external
def challenge_extra(
    id: uint256,
    key: Bytes[pages.STEM],
    member: Bytes[pages.PATH_MAX],
    publisher: address,
    records: DynArray[Record, _RECORDS_MAX],
    absent: Bytes[pages.PATH_MAX],
    before: Bytes[pages.STEM],
    after: Bytes[pages.STEM],
):
    """
    @notice Refutes a checkpoint that has a key which does not count. What is
            not needed may be empty.
    @param id The checkpoint.
    @param key The key's stem.
    @param member The path to it in the checkpoint's spog.
    @param publisher Whose key it is; not needed if it is not short or nobody's.
    @param records Of its commits: which one counts, or that none does.
    @param absent The path to where the key is absent or hidden in the spog of
           the commit that counts; not needed if none does.
    @param before The stem below it there; empty if there is none.
    @param after The stem above it there; empty if there is none.
    """
    times: uint256 = self._require_pending(id)
    end: paths.End = paths._walk(member, self.roots[id])
    paths._member(end, key)
    reasons._require(end.tree == 0, reasons.TREE)
    owned: bool = False
    owner: address = empty(address)
    owned, owner = keys._owner(key, _PREFIX, _PREFIX_SIZE)
    if owned:
        reasons._require(owner == publisher, reasons.NOT_THE_PUBLISHERS)
        root: bytes32 = self._counting(id, publisher, records)
        if root != empty(bytes32):
            paths._absent(paths._walk(absent, root), 0, key, before, after, True)
    self._refute(id, times, _EXTRA, msg.sender)


@external
def challenge_index(
    id: uint256,
    key: Bytes[pages.STEM],
    member: Bytes[pages.PATH_MAX],
    other: uint8,
    absent: Bytes[pages.PATH_MAX],
    before: Bytes[pages.STEM],
    after: Bytes[pages.STEM],
):
    """
    @notice Refutes a checkpoint one of whose trees has a key that is no
            quad's, or whose quad another of its trees lacks. What is not
            needed may be empty.
    @param id The checkpoint.
    @param key The key's stem, as it is in the tree that has it.
    @param member The path to it there.
    @param other The tree that lacks it: 0 spog, 1 posg, 2 ospg, 3 gspo; not
           needed if the key is no quad's.
    @param absent The path to where it is absent there.
    @param before The stem below it there; empty if there is none.
    @param after The stem above it there; empty if there is none.
    """
    times: uint256 = self._require_pending(id)
    root: bytes32 = self.roots[id]
    end: paths.End = paths._walk(member, root)
    paths._member(end, key)
    quad: bool = False
    ends: uint256[4] = empty(uint256[4])
    quad, ends = keys._ends(key)
    if quad:
        reasons._require(other < 4, reasons.TREE)
        to: uint256 = convert(other, uint256)
        made: Bytes[pages.STEM] = keys._permute(key, ends, end.tree, to)
        paths._absent(paths._walk(absent, root), to, made, before, after, False)
    self._refute(id, times, _INDEX, msg.sender)


@external
def challenge_page(
    id: uint256,
    fault: uint8,
    path: Bytes[pages.PATH_MAX],
    page: Bytes[pages.SHOW_MAX],
    bound: Bytes[pages.STEM],
    entry: Bytes[pages.STEM],
):
    """
    @notice Refutes a checkpoint one of whose trees has a fault. What the fault
            does not need may be empty.
    @param id The checkpoint.
    @param fault 1 page, 2 count, 3 bounds, 4 depth.
    @param path The path to it.
    @param page For 1: the page's bytes; empty if it was shown to be malformed
           or long.
    @param bound For 3: the stem of the bound that the entry is beyond.
    @param entry For 3: the entry's stem.
    """
    times: uint256 = self._require_pending(id)
    paths._fault(paths._walk(path, self.roots[id]), convert(fault, uint256), page, bound, entry, False)
    self._refute(id, times, _FAULT, msg.sender)


@external
def mark_invalid(
    publisher: address,
    record: Record,
    fault: uint8,
    path: Bytes[pages.PATH_MAX],
    page: Bytes[pages.SHOW_MAX],
    bound: Bytes[pages.STEM],
    entry: Bytes[pages.STEM],
):
    """
    @notice Marks a commit whose spog has a fault: it counts no more. What the
            fault does not need may be empty.
    @param publisher Whose commit it is.
    @param record The commit.
    @param fault 1 page, 2 count, 3 bounds, 4 depth.
    @param path The path to it.
    @param page For 1: the page's bytes; empty if it was shown to be malformed,
           or the dataset root to be long.
    @param bound For 3: the stem of the bound that the entry is beyond.
    @param entry For 3: the entry's stem.
    """
    position: uint256 = self._require_commit(publisher, record)
    paths._fault(paths._walk(path, record.root), convert(fault, uint256), page, bound, entry, True)
    self._mark(position, _MALFORMED, msg.sender)


@external
@payable
def demand_checkpoint(id: uint256, path: Bytes[pages.PATH_MAX]) -> uint256:
    """
    @notice Demands that a page of a pending checkpoint is shown, with the bond
            of a demand. Who shows it gets the bond. If nobody has by the
            deadline, `expire` gives it back and refutes the checkpoint.
    @dev The end of the checkpoint's window is put off to two demand windows
         from now, if it is before that.
    @param id The checkpoint.
    @param path The path that names the page; empty for the dataset root.
    @return uint256 The demand's number.
    """
    times: uint256 = self._require_pending(id)
    last: uint256 = ((times >> 144) & _MASK_48) + window + _DEMAND_WINDOWS * demand_window
    reasons._require(block.timestamp <= last, reasons.DEMANDS_OVER)
    ends: uint256 = max((times >> 96) & _MASK_48, block.timestamp + 2 * demand_window)
    # One demand more, and one more that is open.
    counts: uint256 = times & _MASK_96
    self.times[id] = times >> 144 << 144 | ends << 96 | counts + 2**48 + 1
    return self._demand(paths._walk(path, self.roots[id]), _OF_CHECKPOINT, id)


@external
@payable
def demand_commit(publisher: address, record: Record, path: Bytes[pages.PATH_MAX]) -> uint256:
    """
    @notice Demands that a page of a commit's spog is shown, with the bond of a
            demand. Who shows it gets the bond. If nobody has by the deadline,
            `expire` gives it back and marks the commit: it counts no more.
    @param publisher Whose commit it is.
    @param record The commit.
    @param path The path that names the page; empty for the dataset root.
    @return uint256 The demand's number.
    """
    position: uint256 = self._require_commit(publisher, record)
    return self._demand(paths._walk(path, record.root), _OF_COMMIT, position)


@external
def answer(demand: uint256, raw: Bytes[pages.SHOW_MAX]):
    """
    @notice Shows the page that is demanded; the sender gets the bond.
    @param demand The demand's number.
    @param raw The page's bytes, which are logged; empty if it was shown to be
           malformed or long. What `show` was given is in no log: that a page
           is well-formed helps nobody who has not got it.
    """
    made: Demand = self._settle(demand)
    reasons._require(block.timestamp <= (made.terms >> 48) & _MASK_40, reasons.TOO_LATE)
    if len(raw) != 0:
        reasons._require(paths._show(raw) == made.digest, reasons.OTHER_PAGE)
    else:
        reasons._require(paths._is_no_page(made.digest), reasons.NOT_SHOWN)
    self.credit[msg.sender] += demand_bond
    log Answered(demand=demand, digest=made.digest, raw=raw, by=msg.sender)


@external
def expire(demand: uint256):
    """
    @notice Ends a demand that nobody has answered by its deadline: the
            checkpoint is refuted, or the commit marked. Anyone may call this.
    @param demand The demand's number.
    """
    made: Demand = self._settle(demand)
    reasons._require(block.timestamp > (made.terms >> 48) & _MASK_40, reasons.TOO_EARLY)
    who: address = convert(made.terms >> 96, address)
    target: uint256 = made.terms & _MASK_48
    self.credit[who] += demand_bond
    if (made.terms >> 88) & 255 == _OF_CHECKPOINT:
        times: uint256 = self.times[target]
        if times >> 192 == _PENDING:
            self._refute(target, times, _NOT_SHOWN, who)
    elif self.marked[target] == 0:
        self._mark(target, _UNAVAILABLE, who)
    log Expired(demand=demand)


@external
@view
def status() -> Status:
    """
    @notice The latest final checkpoint and all pending ones; a pending one
            with open demands is disputed.
    @return Status All of it.
    """
    state: uint256 = self.state
    made: Status = empty(Status)
    made.latest = self._checkpoint(state >> 144)
    made.marks = (state >> 48) & _MASK_48
    made.demands = state & _MASK_48
    open: uint256 = self.open
    for i: uint256 in range(_OPEN_MAX):
        if open == 0:
            break
        made.pending.append(self._checkpoint(open & (2**32 - 1)))
        open = open >> 32
    return made


@internal
@view
def _checkpoint(id: uint256) -> Checkpoint:
    """
    @dev All that is stored of a checkpoint.
    """
    checkpoint: uint256 = self.checkpoints[id]
    times: uint256 = self.times[id]
    return Checkpoint(
        id=id,
        root=self.roots[id],
        proposer=convert(checkpoint >> 96, address),
        position=(checkpoint >> 48) & _MASK_48,
        marks=checkpoint & _MASK_48,
        status=times >> 192,
        proposed=(times >> 144) & _MASK_48,
        ends=(times >> 96) & _MASK_48,
        open_demands=(times >> 48) & _MASK_48,
        demands_made=times & _MASK_48,
    )


@internal
@pure
def _above(known: uint256, position: uint256, marks: uint256) -> bool:
    """
    @dev Whether neither position nor marks go back from a checkpoint's.
    """
    return position >= (known >> 48) & _MASK_48 and marks >= known & _MASK_48


@internal
@view
def _require_pending(id: uint256) -> uint256:
    """
    @dev The times of a pending checkpoint; reverts if it is none.
    """
    times: uint256 = self.times[id]
    reasons._require(times >> 192 == _PENDING, reasons.NOT_PENDING)
    return times


@internal
def _close(id: uint256, times: uint256, status: uint256):
    """
    @dev A checkpoint that is pending no more.
    """
    self.times[id] = status << 192 | times & (2**192 - 1)
    open: uint256 = self.open
    kept: uint256 = 0
    places: uint256 = 0
    for i: uint256 in range(_OPEN_MAX):
        if open == 0:
            break
        other: uint256 = open & (2**32 - 1)
        if other != id:
            kept = kept | other << places
            places += 32
        open = open >> 32
    self.open = kept


@internal
def _refute(id: uint256, times: uint256, kind: uint256, challenger: address):
    """
    @dev Half of the bond is the challenger's, the rest is burnt.
    """
    self._close(id, times, _REFUTED)
    half: uint256 = bond // 2
    self.credit[challenger] += half
    self.burnt += bond - half
    log Refuted(id=id, challenger=challenger, kind=kind)


@internal
@view
def _is_owner(key: Bytes[pages.STEM], publisher: address) -> bool:
    """
    @dev Whether a key is a publisher's.
    """
    owned: bool = False
    owner: address = empty(address)
    owned, owner = keys._owner(key, _PREFIX, _PREFIX_SIZE)
    return owned and owner == publisher


@internal
@view
def _require_record(publisher: address, record: Record) -> uint256:
    """
    @dev The position of a commit; reverts unless the log has it.
    """
    position: uint256 = (record.numbers >> 144) & _MASK_48
    meta: bytes32 = keccak256(abi_encode(publisher, record.numbers, record.block_number, record.timestamp))
    entry: bytes32 = staticcall registry.entries(position)
    reasons._require(entry == keccak256(concat(record.root, meta)), reasons.NOT_IN_THE_LOG)
    return position


@internal
@view
def _require_commit(publisher: address, record: Record) -> uint256:
    """
    @dev The position of a commit that has no mark.
    """
    position: uint256 = self._require_record(publisher, record)
    reasons._require(self.marked[position] == 0, reasons.MARKED)
    return position


@internal
@view
def _counting(id: uint256, publisher: address, records: DynArray[Record, _RECORDS_MAX]) -> bytes32:
    """
    @dev The root of the publisher's commit that counts for a checkpoint, zero
         if none does, as records of consecutive commits show it.
    """
    head: uint256 = staticcall registry.heads(publisher)
    number: uint256 = len(records)
    if number == 0:
        reasons._require((head >> 48) & _MASK_48 == 0, reasons.RECORDS)
        return empty(bytes32)
    checkpoint: uint256 = self.checkpoints[id]
    limit: uint256 = (checkpoint >> 48) & _MASK_48
    marks: uint256 = checkpoint & _MASK_48
    below: uint256 = 0
    first_marked: bool = False
    seq: uint256 = 0
    position: uint256 = 0
    for i: uint256 in range(number, bound=_RECORDS_MAX):
        numbers: uint256 = records[i].numbers
        prior: uint256 = position
        position = self._require_record(publisher, records[i])
        seq += 1
        if i == 0:
            seq = numbers >> 192
        else:
            reasons._require(numbers >> 192 == seq and (numbers >> 96) & _MASK_48 == prior, reasons.NOT_CONSECUTIVE)
        if position < limit:
            below += 1
            mark: uint256 = self.marked[position] & _MASK_48
            is_marked: bool = mark != 0 and mark <= marks
            if i == 0:
                first_marked = is_marked
            else:
                reasons._require(is_marked, reasons.LATER_COUNTS)
    reasons._require(position >= limit or head & _MASK_96 == seq << 48 | position, reasons.NOT_THE_LATEST)
    reasons._require(below <= _COMMITS_MAX, reasons.MANY_RECORDS)
    if below != 0 and not first_marked:
        return records[0].root
    reasons._require(records[0].numbers >> 192 == 1 or below == _COMMITS_MAX, reasons.NOT_FAR_ENOUGH)
    return empty(bytes32)


@internal
def _mark(position: uint256, reason: uint256, by: address):
    """
    @dev The next mark.
    """
    state: uint256 = self.state + 2**48
    self.state = state
    number: uint256 = (state >> 48) & _MASK_48
    self.marked[position] = reason << 48 | number
    self.mark_log[number] = position
    log Marked(position=position, number=number, reason=reason, by=by)


@internal
@payable
def _demand(end: paths.End, kind: uint256, target: uint256) -> uint256:
    """
    @dev The next demand, for the page that the path to `end` names.
    """
    reasons._require(msg.value == demand_bond, reasons.BOND)
    reasons._require(end.names, reasons.NO_CHILD)
    reasons._require(kind == _OF_CHECKPOINT or end.tree == 0, reasons.TREE)
    reasons._require(not paths._is_no_page(end.child), reasons.SHOWN_ALREADY)
    state: uint256 = self.state + 1
    self.state = state
    demand: uint256 = state & _MASK_48
    deadline: uint256 = block.timestamp + demand_window
    self.demands[demand] = Demand(
        digest=end.child, terms=convert(msg.sender, uint256) << 96 | kind << 88 | deadline << 48 | target
    )
    log Demanded(demand=demand, digest=end.child, kind=kind, target=target, deadline=deadline)
    return demand


@internal
def _settle(demand: uint256) -> Demand:
    """
    @dev Ends a demand that is open; what it was.
    """
    made: Demand = self.demands[demand]
    reasons._require(made.terms != 0, reasons.NO_SUCH_DEMAND)
    self.demands[demand] = empty(Demand)
    if (made.terms >> 88) & 255 == _OF_CHECKPOINT:
        self.times[made.terms & _MASK_48] -= 2**48
    return made
