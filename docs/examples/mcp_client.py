"""Start `dkg mcp` as an agent does, and use its tools.

    pip install 'dkg[retrieval,plugs]'
    python docs/examples/mcp_client.py db "Who discovered penicillin?"

The same in the configuration of an MCP client:

    {"mcpServers": {"dkg": {"command": "dkg", "args": ["mcp", "--store", "/path/to/db"]}}}
"""

# ruff: noqa: INP001, T201 - a program that prints

from __future__ import annotations

import sys

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters


async def main(store: str, question: str) -> None:
    """Print what is found, and how it can be checked."""
    command = ["-m", "dkg.client.cli", "mcp", "--store", store, "--embedder", "none"]
    async with Client(StdioServerParameters(command=sys.executable, args=command)) as client:
        found = await client.call_tool("search_knowledge", {"question": question, "max_tokens": 300})
        while found.is_error and "being built" in found.content[0].text:
            await anyio.sleep(0.2)
            found = await client.call_tool("search_knowledge", {"question": question, "max_tokens": 300})
        for fact in found.structured_content["facts"]:
            print(fact["n"], fact["text"], fact["publishers"])
        proof = await client.call_tool("get_proof", {"proof": found.structured_content["proof"]})
        part = proof.structured_content["proof"]
        print(f"dkg verify proof.car --root {part['root']} '{part['query']}'")
        car = await client.read_resource(part["uri"])
        print(len(car.contents[0].blob) * 3 // 4, "bytes of proof")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
