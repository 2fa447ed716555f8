"""Verified facts as LlamaIndex nodes.

pip install 'dkg[retrieval,plugs]'
python docs/examples/llamaindex_retriever.py db "Who discovered penicillin?"
"""

# ruff: noqa: INP001, T201 - a program that prints

from __future__ import annotations

import sys

from llama_index.core.schema import MetadataMode

from retrieval.opening import over_store
from retrieval.plugs.llamaindex import DkgRetriever


def main(store: str, question: str) -> None:
    """Print the nodes: what a model reads of them, and who says it."""
    with over_store(store) as knowledge:
        for one in DkgRetriever(knowledge, tokens=150, absent=True).retrieve(question):
            print(one.node.get_content(metadata_mode=MetadataMode.LLM), one.node.metadata["publishers"])
        # A query engine takes the retriever as it is: `RetrieverQueryEngine.from_args(retriever, llm=...)`.


if __name__ == "__main__":
    main(*sys.argv[1:])
