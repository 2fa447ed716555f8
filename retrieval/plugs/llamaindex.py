"""A LlamaIndex retriever over verified knowledge.

    from retrieval.plugs.llamaindex import DkgRetriever
    nodes = DkgRetriever(knowledge).retrieve("Who discovered penicillin?")

Each node is one fact, as a sentence; its metadata say who signed it and where the proof is. They are for the program:
models see the sentence alone, so that a small one is not given digits to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

from retrieval.limits import TOKENS
from retrieval.plugs.documents import documents_of

if TYPE_CHECKING:
    from llama_index.core.schema import QueryBundle

    from retrieval.plugs.documents import Passage
    from retrieval.service import Knowledge


class DkgRetriever(BaseRetriever):
    """See the module. Threads may share it; `aretrieve` works in a thread."""

    def __init__(self, knowledge: Knowledge, *, tokens: int = TOKENS, absent: bool = False) -> None:
        """`tokens`: most of all nodes together. `absent`: whether what is provably not there becomes nodes too."""
        super().__init__()
        self._knowledge = knowledge
        self._tokens = tokens
        self._absent = absent

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """The facts, best first. Raises `dkg.errors.DkgError`: an error is never an empty list."""
        result = self._knowledge.retrieve(query_bundle.query_str, self._tokens)
        return [_node(one) for one in documents_of(result, absent=self._absent)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await anyio.to_thread.run_sync(self._retrieve, query_bundle)


def _node(one: Passage) -> NodeWithScore:
    hidden = list(one.metadata)
    node = TextNode(
        id_=one.id,
        text=one.text,
        metadata=one.metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
    )
    return NodeWithScore(node=node, score=one.score)
