"""LangChain and LlamaIndex, as their users call them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from llama_index.core.schema import MetadataMode, NodeWithScore

from dkg.errors import InputError
from retrieval.plugs.langchain import DkgRetriever as LangChainRetriever
from retrieval.plugs.llamaindex import DkgRetriever as LlamaIndexRetriever
from tests.retrieval.plugs.world import FACTS, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.retrieval.plugs.world import World

QUESTION = "Who discovered penicillin?"
FACT = "Alexander Fleming's discovered is penicillin."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("frameworks")) as made:
        yield made


def test_langchain_gets_facts_as_documents_with_who_says_them(shared: World) -> None:
    found = LangChainRetriever(knowledge=shared.knowledge).invoke(QUESTION)
    assert all(isinstance(one, Document) for one in found)
    one = next(one for one in found if one.page_content == FACT)
    assert one.metadata["publishers"] == ["local"]
    assert one.metadata["asset"] == "urn:dkg:default"
    assert one.metadata["root"] == shared.root
    assert one.metadata["kind"] == "fact"
    assert shared.knowledge.claims(one.metadata["proof"])
    assert len({one.id for one in found}) == len(found)


def test_a_langchain_chain_reads_the_facts(shared: World) -> None:
    retriever = LangChainRetriever(knowledge=shared.knowledge, tokens=60)

    def joined(documents: list[Document]) -> str:
        return "\n".join(one.page_content for one in documents)

    chain = retriever | RunnableLambda(joined) | StrOutputParser()
    assert FACT in chain.invoke(QUESTION)
    assert FACT in asyncio.run(chain.ainvoke(QUESTION))


def test_the_ids_of_facts_stay_the_same(shared: World) -> None:
    retriever = LangChainRetriever(knowledge=shared.knowledge)
    assert [one.id for one in retriever.invoke(QUESTION)] == [one.id for one in retriever.invoke(QUESTION)]


def test_llamaindex_gets_facts_as_nodes_whose_metadata_models_do_not_read(shared: World) -> None:
    found = LlamaIndexRetriever(shared.knowledge).retrieve(QUESTION)
    assert all(isinstance(one, NodeWithScore) for one in found)
    one = next(one for one in found if one.node.get_content() == FACT)
    assert one.node.metadata["publishers"] == ["local"]
    assert one.node.get_content(metadata_mode=MetadataMode.LLM) == FACT
    assert one.node.get_content(metadata_mode=MetadataMode.EMBED) == FACT
    assert one.score is not None
    again = asyncio.run(LlamaIndexRetriever(shared.knowledge).aretrieve(QUESTION))
    assert [one.node_id for one in again] == [one.node_id for one in found]


def test_what_is_provably_not_there_comes_when_asked_for(shared: World) -> None:
    question = "What did Darvel discover?"
    without = LangChainRetriever(knowledge=shared.knowledge).invoke(question)
    found = LangChainRetriever(knowledge=shared.knowledge, absent=True).invoke(question)
    kinds = [one.metadata["kind"] for one in found]
    assert kinds[: len(without)] == ["fact"] * len(without)
    result = shared.knowledge.retrieve(question)
    assert kinds[len(without) :] == [str(one.kind) for one in result.context.absent]
    nodes = LlamaIndexRetriever(shared.knowledge, absent=True).retrieve(question)
    assert [one.node.get_content() for one in nodes] == [one.page_content for one in found]


def test_a_refused_question_is_an_error_and_no_empty_list(shared: World) -> None:
    for ask in (
        LangChainRetriever(knowledge=shared.knowledge).invoke,
        LlamaIndexRetriever(shared.knowledge).retrieve,
    ):
        for question in ("   ", "?" * 5_000):
            with pytest.raises(InputError):
                ask(question)


def test_a_fact_that_is_retracted_is_gone_from_the_next_question(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        retriever = LangChainRetriever(knowledge=made.knowledge)
        assert FACT in [one.page_content for one in retriever.invoke(QUESTION)]
        made.load(FACTS.replace(":discovered :penicillin ;", ""))
        assert FACT not in [one.page_content for one in retriever.invoke(QUESTION)]
        made.load(FACTS)
        assert FACT in [one.page_content for one in retriever.invoke(QUESTION)]


def test_the_knowledge_stays_out_of_what_a_retriever_shows(shared: World) -> None:
    assert "Knowledge" not in repr(LangChainRetriever(knowledge=shared.knowledge))
