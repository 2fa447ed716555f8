"""The deterministic simulator: whole nodes, their chain, network, disks and clocks, in virtual time from a seed.

| module      | what it has                                                                                     |
|-------------|-------------------------------------------------------------------------------------------------|
| `loop`      | virtual time, tasks, chance                                                                     |
| `transport` | the network, and what it does to messages                                                       |
| `ledger`    | the chain, and endpoints that are down, lag and lie                                             |
| `cores`     | the real `NodeCore` over all of that, with its real store on a disk in memory                   |
| `actors`    | publishers; `liars`: peers that lie, stall, replay                                              |
| `history`   | one history: everything goes wrong for a minute, then nothing                                   |
| `faults`    | what went wrong, counted by rows of the fault matrix; CI asks for its share of each              |
| `checks`    | the invariants                                                                                  |
| `core`      | histories by hand: one, many, or ten thousand that can be broken off and gone on with           |
| `converge`  | how long peers take from a block to one union                                                   |
| `node`      | a smaller node, of replication alone, for `tests/node/replication`                              |

What is checked of each invariant, when, and which planted bugs are caught (`test_core_canaries`). While a history runs,
every node is looked at every second, and everything that it says is compared with what the whole chain was.

- I1. At each start: acknowledged operations are there, and the commits of those that are unfinished. At the end: they
  are final, or failed, and what is final can be read. *Planted: an operation, or its commit, not written down.*
- I2. Always: a union that is not behind is what the publishers' quads make. At the end: the whole store is checked, its
  trees derived again. *Planted: a dataset that was kept and not fetched; quads in others' graphs.*
- I3. Always: block, claim, `behind` and root of each answer: of one publisher, of all, of some, of an earlier moment.
  *Planted: a wrong `behind`; a moment a block late; a union of some that stays as it was.*
- I4. At the end: proofs from each publisher's dataset and from the union verify, and have all rows. *Planted: a proof
  without its last page.*
- I5. Always, across restarts: a final head never goes back, nor away. *Planted: a head that goes back; a publisher that
  is forgotten.*
- I6. Always: what is final is buried, on the chain that the endpoint showed. *Planted: final too early.*
- I7. Always: no line of a log has a private key; private data are in `tests/node/private`. *Planted: a key in the log.*
- I8. Always: files of the inbox, kept roots and requests under way are bounded. *Planted: files that stay.*
- I9. At the end: all have read the chain, hold its heads, and have one union, within `CONVERGED_S`. *Planted: one that
  never looks; one that waits for ever; one that refuses what is good.*
- I10. At the end: two commits of one number are evidence on the disk, and it verifies. *Planted: evidence not kept.*
"""
