"""Private assets: quads of which only a salted commitment is public, and who may read them (docs/private.md).

| module     | what it has                                                                            |
|------------|----------------------------------------------------------------------------------------|
| `packed`   | the private quads of an asset as a dataset, and as a file                              |
| `vault`    | where they are, and who may read them                                                  |
| `audience` | the dataset that one caller's query is evaluated over: public quads, and what it may read |
| `assets`   | which version of which asset a caller may read, as of a public root                    |
| `signin`   | messages to sign in with (EIP-4361)                                                    |
| `sessions` | challenges that were given, and sessions that are open                                 |
| `keeping`  | private parts that count no more are removed                                           |
"""

from __future__ import annotations
