"""Workers: whatever is untrusted is parsed, evaluated and verified in processes that can be killed.

    from node.workers.jobs import Query
    from node.workers.pool import Workers
    from node.workers.settings import Settings

    async with Workers(store_directory, Settings(wall_seconds=5)) as workers:
        result = await workers.run(Query(root=root, text=text), client="203.0.113.7")

| module             | what                                                                              |
|--------------------|-----------------------------------------------------------------------------------|
| `jobs`             | what can be asked: `Query`, `Plain`, `Prove`, `Check`, `Parse`; the `Runner`      |
| `pool`             | `Workers`: the `Runner` with processes                                            |
| `inprocess`        | `InProcess`: the `Runner` without any                                             |
| `fair`             | whose job is next, quotas                                                         |
| `crew`, `worker`   | the workers that there are; one of them                                           |
| `spawner`, `zygote`| starting workers: the node's side, and the process they are forked from           |
| `sandbox`          | what is taken from them, with `landlock`, `seccomp` and `kernel`                  |
| `child`, `execute` | a worker's loop; doing a job                                                      |
| `codec`, `frames`  | what goes through the pipe                                                        |

Nothing is imported here: what workers are forked from needs no event loop.
"""

from __future__ import annotations
