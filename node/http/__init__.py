"""The node over HTTP: SPARQL with proofs, assets, a trustless gateway for pages, and what monitors and agents ask.

    app = make_app(service, runner, HttpSettings(), time.time)
    await serve(app, HttpSettings())

| module                                      | what                                                                  |
|---------------------------------------------|-----------------------------------------------------------------------|
| `app`                                       | `make_app`: the application over a `Service` (`node.serving`)         |
| `server`, `connection`                      | `serve`: uvicorn, with limits on connections                          |
| `settings`, `tokens`                        | what may be used, and who may write                                   |
| `gate`                                      | what every request goes through: limits, problems, log, header fields |
| `clients`, `cors`, `body`, `room`, `watch`  | who asks and how often; browsers; bodies within limits; who has gone  |
| `problems`                                  | errors: one shape, stable codes                                       |
| `protocol`, `accept`, `moments`, `conditional` | what a request asks, in which format, of when, and what it has     |
| `sparql`, `whole`, `remembered`             | `/sparql`; answers that are there as a whole, and are given again     |
| `node_routes`, `asset_routes`, `operation_routes` | `/v1/`                                                          |
| `listing`, `versions`, `shapes`             | what those read, and the JSON that they give                          |
| `gateway`                                   | `/ipfs/`                                                              |
| `wellknown`, `describe`, `skill`, `metrics` | `/health`, `/metrics`, `/.well-known/`, RDF about the node            |
| `openapi`, `documented`                     | `/openapi.json`                                                       |

docs/http.md says the same to those who ask.
"""

from __future__ import annotations

from node.http.app import make_app
from node.http.context import Log
from node.http.problems import Code, Problem
from node.http.server import Server, serve
from node.http.settings import HttpSettings
from node.http.tokens import Scope, Token, new_token, read_tokens, write_tokens

__all__ = [
    "Code",
    "HttpSettings",
    "Log",
    "Problem",
    "Scope",
    "Server",
    "Token",
    "make_app",
    "new_token",
    "read_tokens",
    "serve",
    "write_tokens",
]
