"""Verified facts in a LangChain chain.

pip install 'dkg[retrieval,plugs]'
python docs/examples/langchain_retriever.py db "Who discovered penicillin?"
"""

# ruff: noqa: INP001, T201 - a program that prints

from __future__ import annotations

import sys

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from retrieval.opening import over_store
from retrieval.plugs.langchain import DkgRetriever

PROMPT = ChatPromptTemplate.from_template("Answer from these facts alone:\n{facts}\n\nQuestion: {question}")


def main(store: str, question: str) -> None:
    """Print the documents, and the prompt that a chain makes of them."""
    with over_store(store) as knowledge:
        retriever = DkgRetriever(knowledge=knowledge, tokens=150)
        for one in retriever.invoke(question):
            print(one.page_content, one.metadata["publishers"], one.metadata["asset"])

        facts = retriever | RunnableLambda(lambda found: "\n".join(one.page_content for one in found))
        chain = {"facts": facts, "question": RunnablePassthrough()} | PROMPT  # and then `| your_chat_model`
        print(chain.invoke(question).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
