"""Publishing: from a change to a dataset to a commit that the chain has, whatever fails on the way.

| module       | what it has                                                                      |
|--------------|----------------------------------------------------------------------------------|
| `publisher`  | `Publisher`: `publish` and `resume`                                              |
| `published`  | what is asked for, and what came of it                                           |
| `session`    | what one publish does while it holds the home: settle, plan, sign, anchor, wait  |
| `reconcile`  | the journal and the signed commits of a home, compared with the chain            |
| `places`     | in which block a commit is, and by which transaction                             |
| `goals`      | the goal of a job: its commit on the chain                                       |
| `sender`     | one goal to the chain: builds, keeps, sends, replaces transactions, and waits    |
| `decide`     | what to do next about a goal's transactions: a pure function                     |
| `fees`       | what a transaction pays, and the cap                                             |
| `journal`    | jobs and their transactions, durable                                             |
| `jobs`       | the same as values, and as rows with checksums                                   |
| `writer`     | what is asked of endpoints for sending: `ChainWriter`, and the one over JSON-RPC |
| `answers`    | what endpoints answer, read strictly                                             |
| `keychange`  | `Keys` (rotate, revoke, retire) and `deploy`                                     |
| `deployment` | the transactions of a deployment, where they survive a crash                     |
| `calls`      | the registry's functions, encoded                                                |
| `wallet`     | keys that sign, and never show themselves                                        |
| `waits`      | how long to wait, and for what                                                   |
| `lock`       | one publisher at a time in a home                                                |
| `errors`     | why a publish stops                                                              |

What counts as anchored is what `dkg.client.anchored.Client` proves from a block hash. Receipts and all else that an
endpoint says are hints of when to look.
"""
