"""What a language model is to retrieval: a prompt in, a short text out, in bounded time. Its text is trusted by nobody.

ModelError (StoreError)        the model cannot be used, or answers nonsense
└── ModelTimeoutError          it did not answer in time
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from dkg.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S: Final = 60.0
"""How long an answer may take where nobody says otherwise, in seconds."""


class ModelError(StoreError):
    """The model cannot be loaded or reached, or what it answers is no answer."""


class ModelTimeoutError(ModelError):
    """The model did not answer before the deadline. What it was doing is given up."""


class Message(NamedTuple):
    """One message of a conversation."""

    role: str
    """`system`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, ready to send."""

    messages: tuple[Message, ...]
    text: str | None = None
    """The same as one text to go on with; None where the profile wants a conversation. A model that cannot go on with
    a text takes the messages."""
    answer_tokens: int = 64
    """Most tokens of the answer."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    choices: tuple[str, ...] = ()
    """If there are any, the answer is one of these and nothing else; for models that can be held to it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered."""

    text: str
    prompt_tokens: int | None = None
    """As the model counted them; None if it does not say."""
    answer_tokens: int | None = None
    whole: bool = True
    """False if the answer was cut at its limit of tokens."""


class Model(Protocol):
    """A language model. One answer at a time; whoever comes meanwhile waits, within the deadline."""

    @property
    def name(self) -> str:
        """What it is called, for people."""

    @property
    def profile(self) -> str:
        """Name of the profile of prompts that fits it (`retrieval.prompt.PROFILES`)."""

    @property
    def window(self) -> int:
        """Tokens that prompt and answer may have together."""

    def count(self, text: str) -> int:
        """Tokens of a text: exactly, where the model's own tokenizer is at hand, otherwise rather too many."""

    def answer(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Reply:
        """The answer. Raises `ModelTimeoutError` after `deadline_s` seconds, and `ModelError`."""

    def stream(self, prompt: Prompt, *, deadline_s: float = DEADLINE_S) -> Iterator[str]:
        """The answer in pieces, as they come. Raises what `answer` raises. Closing the iterator gives the rest up."""

    def close(self) -> None:
        """Free what it holds. It answers nothing after that."""
