"""Language models: one in this process, or one behind a URL.

| module    | what it has                                                                    |
|-----------|--------------------------------------------------------------------------------|
| `model`   | what a model is: `Model`, `Prompt`, `Reply`, `ModelError`                        |
| `local`   | `LocalModel`: GGUF weights under llama.cpp                                       |
| `remote`  | `HttpModel`: any OpenAI-compatible endpoint                                      |
| `weights` | the model that comes with the project, found and checked                         |
"""

from __future__ import annotations

from pathlib import Path

from retrieval.llm.local import LocalModel
from retrieval.llm.model import Message, Model, ModelError, ModelTimeoutError, Prompt, Reply
from retrieval.llm.remote import HttpModel
from retrieval.llm.weights import SMOLLM2


def open_model(name: str, *, key: str | None = None, remote: bool = False, threads: int = 1) -> Model:
    """A model by name: `smollm2`, the path of a GGUF file, or a URL (`http://127.0.0.1:8080/v1#NAME`). Close it.

    `key`, `remote`: for URLs, see `HttpModel`. Raises `ModelError` and `InputError`.
    """
    if "://" in name:
        return HttpModel(name, key=key, remote=remote)
    return LocalModel(None if name == SMOLLM2 else Path(name), threads=threads)


__all__ = [
    "SMOLLM2",
    "HttpModel",
    "LocalModel",
    "Message",
    "Model",
    "ModelError",
    "ModelTimeoutError",
    "Prompt",
    "Reply",
    "open_model",
]
