"""Chat through `dkg proxy` with any OpenAI-compatible client; here with nothing but Python.

    dkg proxy --store db --upstream http://127.0.0.1:8080        # llama-server, Ollama, vLLM, ...
    python docs/examples/openai_proxy.py http://127.0.0.1:8901 "Who discovered penicillin?"

With the `openai` package: OpenAI(base_url="http://127.0.0.1:8901/v1", api_key="...").chat.completions.create(...)
"""

# ruff: noqa: INP001, T201, S310 - a program that prints, and asks the URL that it is given

from __future__ import annotations

import json
import sys
from urllib.request import Request, urlopen


def main(proxy: str, question: str) -> None:
    """Print the answer, its citations, and where the proofs are."""
    body = {"model": "default", "messages": [{"role": "user", "content": question}]}
    request = Request(f"{proxy}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=300) as answer:
        found = json.load(answer)
    message = found["choices"][0]["message"]
    print(message["content"])
    for one in message["annotations"]:
        cited = one["url_citation"]
        words = message["content"][cited["start_index"] : cited["end_index"]]
        print(f"[{words}] {cited['title']} {cited['url']}")
    with urlopen(f"{proxy}/v1/proofs/{found['dkg']['proof']}", timeout=60) as answer:
        for one in json.load(answer)["proofs"]:
            print(f"proof {one['number']}: root {one['root']}, facts {one['facts']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
