"""The node's core: chain, replication, union and answers, without sockets, threads and clocks of its own.

| module         | what it has                                                                              |
|----------------|------------------------------------------------------------------------------------------|
| `core`         | `NodeCore`: all of it, as coroutines                                                     |
| `answers`      | what it says to those who ask                                                            |
| `parts`        | what it is made of: everything that reaches outside, injected                            |
| `settings`     | intervals and limits                                                                     |
| `watch`        | the chain, step by step, and what is wrong with it                                       |
| `chainfile`    | the registry's log on disk                                                               |
| `view`         | the log as of one block, for everybody to read                                           |
| `shelf`        | what of it is here: roots that are kept, staged, refused                                 |
| `heads`        | what replication is told of both                                                         |
| `unions`       | the union brought forward, and unions of some publishers                                 |
| `standings`    | which root answers for whom, at which moment                                             |
| `leases`       | roots that are read, which no garbage collection touches                                 |
| `desk`         | operations that were asked for, and what they are about                                  |
| `uploads`      | signed commits with their pages, relayed to the chain                                    |
| `own`          | documents for this node's own publisher                                                  |
| `paying`       | transactions for both, with the home's key (`publishing`)                                |
| `retries`      | when to try again what failed                                                            |
| `providing`    | telling the directory what is here                                                       |
| `intake`       | datasets that come in another way than from peers                                        |
| `housekeeping` | garbage, views (`makeview`), what was waited for in vain                                 |
| `status`       | how it is                                                                                |
| `run`          | the process: threads, sockets, signals (`bridge`, `events` and `statusfile` are for it)  |
"""
