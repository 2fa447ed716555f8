"""Ask a node over HTTP, and check what it says against a root that you trust.

python docs/examples/node_http.py http://127.0.0.1:8900 "What is the no2 of North?"
"""

# ruff: noqa: INP001, T201, S310 - a program that prints, and asks the URL that it is given

from __future__ import annotations

import json
import sys
from urllib.request import Request, urlopen

import dkg


def main(node: str, question: str) -> None:
    """Print facts, and check their proofs."""
    body = json.dumps({"question": question, "tokens": 150}).encode()
    request = Request(f"{node}/v1/retrieve", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    for one in found["facts"]:
        print(one["n"], one["text"], one["publishers"], one["origins"][0]["graph"])

    with urlopen(f"{node}/v1/proofs/{found['proof']}", timeout=60) as answer:
        listed = json.load(answer)["proofs"]
    for one in listed:
        with urlopen(f"{node}/v1/proofs/{found['proof']}/{one['number']}", timeout=60) as answer:
            car = answer.read()
        # `one["root"]` is the node's word: take the root of `one["publisher"]` from the chain (dkg verify --publisher).
        print(f"proof {one['number']} of {one['publisher']}: {len(dkg.verify(car, one['query'], one['root']))} facts")


if __name__ == "__main__":
    main(*sys.argv[1:])
