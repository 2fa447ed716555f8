"""A LangChain retriever over verified knowledge.

    from retrieval.plugs.langchain import DkgRetriever
    documents = DkgRetriever(knowledge=knowledge).invoke("Who discovered penicillin?")

Each document is one fact, as a sentence; its metadata say who signed it and where the proof is. What is provably not
there comes as documents too, if `absent` is set: to a chain, no document and a proof that there is none look the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from retrieval.limits import TOKENS, TOKENS_MAX, TOKENS_MIN
from retrieval.plugs.documents import documents_of
from retrieval.service import Knowledge  # noqa: TC001 - pydantic reads the annotation

if TYPE_CHECKING:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun


class DkgRetriever(BaseRetriever):
    """See the module. Threads may share it; `ainvoke` works in a thread."""

    knowledge: Knowledge = Field(repr=False, exclude=True)
    """What is asked."""
    tokens: int = Field(default=TOKENS, ge=TOKENS_MIN, le=TOKENS_MAX)
    """Most tokens of all documents together."""
    absent: bool = False
    """Whether what is provably not there becomes documents too."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        """The facts, best first. Raises `dkg.errors.DkgError`: an error is never an empty list."""
        del run_manager
        found = documents_of(self.knowledge.retrieve(query, self.tokens), absent=self.absent)
        return [Document(id=one.id, page_content=one.text, metadata=one.metadata) for one in found]
