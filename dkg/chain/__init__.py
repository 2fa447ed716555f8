"""What the chain says: signed commits, the registry's log, and proofs of its storage. Pure: no network, no clock.

| module     | what it has                                                             |
|------------|-------------------------------------------------------------------------|
| `secp`     | Keccak-256, secp256k1 signatures with low S only, addresses             |
| `ual`      | names of assets (UAL) and of accounts (did:pkh)                         |
| `commit`   | EIP-712 statements: Commit, Rotate, Revoke, Retire; signed commits      |
| `registry` | the registry contract's storage, entries and events                     |
| `log`      | the log that events make, with rollback                                 |
| `checkpoints`, `checkpoint_events`, `checkpoint_log` | the same of the checkpoint contract           |
| `anchor`   | a publisher's head, proved from a block hash                            |
| `evidence` | two conflicting signed commits, checked by anyone                       |
| `rlp`, `trie`, `header` | Ethereum's encodings: what `eth_getProof` answers are checked with |

Contracts, formats and claims: `contracts/`, docs/formats.md, DESIGN sections 5 and 6.
"""
