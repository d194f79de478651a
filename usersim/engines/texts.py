"""One model's tokens and texts: what every engine with a tokenizer of its own does with them.

Knows a tokenizer and the chat codec; knows no model, no tensor and no server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from usersim.engines.base import GenerateRequest, ScoreRequest
from usersim.engines.chat import ChatTokenizer, encode_continuation, encode_prompt, end_of_turn_id
from usersim.errors import ContextLengthError, ScoringError

__all__ = ["Cut", "Pieces", "TextTokenizer", "Texts", "cut_at"]

HALF_CHARACTER = "�"
"""What a tokenizer writes for bytes that are not a whole character yet."""


class Cut(NamedTuple):
    """A text up to a stop string, and whether there was one."""

    text: str
    stopped: bool


def cut_at(text: str, stops: Sequence[str]) -> Cut:
    """Return `text` up to the first of `stops`.

    Example:
        >>> cut_at("tea, or rain", ("rain", ","))
        Cut(text='tea', stopped=True)
    """
    places = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return Cut(text[: min(places)], stopped=True) if places else Cut(text, stopped=False)


class Pieces:
    """Cuts a growing text into pieces that join to exactly the final text.

    What could be the beginning of a stop string, or half a character, is held back.

    Args:
        stops: Stop strings.

    Example:
        >>> pieces = Pieces(("###",))
        >>> [pieces.more("Tea#"), pieces.more("Tea## no"), pieces.last("Tea## now")]
        ['Te', 'a## ', 'now']
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._hold = max((len(stop) for stop in stops), default=1) - 1
        self._sent = 0

    def more(self, text: str) -> str:
        """Return what may be sent of `text`, all that was written so far; possibly nothing."""
        cut, stopped = cut_at(text, self._stops)
        if stopped:
            return self.last(cut)
        return self._until(text, len(text.rstrip(HALF_CHARACTER)) - self._hold)

    def last(self, text: str) -> str:
        """Return the rest of the final text."""
        return self._until(text, len(text))

    def _until(self, text: str, end: int) -> str:
        piece = text[self._sent : max(end, self._sent)]
        self._sent += len(piece)
        return piece


class TextTokenizer(ChatTokenizer, Protocol):
    """A fast tokenizer that also turns tokens back into text."""

    def decode(
        self,
        token_ids: list[int],
        *,
        skip_special_tokens: bool,
        clean_up_tokenization_spaces: bool,
    ) -> str:
        """Return the text of `token_ids`."""
        ...


class Texts:
    """Turns requests into tokens, and drawn tokens into text.

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        limit: Tokens of prompt and answer together; None if unknown.
        ends: Further tokens that end a turn, from the model's generation settings.
    """

    def __init__(
        self, tokenizer: TextTokenizer, limit: int | None, ends: Sequence[int | None] = ()
    ) -> None:
        self.tokenizer = tokenizer
        self.limit = limit
        every = {*ends, tokenizer.eos_token_id, end_of_turn_id(tokenizer)}
        self.ends: frozenset[int] = frozenset(token for token in every if token is not None)

    def count(self, text: str) -> int:
        """Return how many tokens `text` has by itself."""
        return len(encode_continuation(self.tokenizer, text, end=False))

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of `text` that has at most `max_tokens` tokens."""
        tokens = encode_continuation(self.tokenizer, text, end=False)
        if len(tokens) <= max_tokens:
            return text
        return self.decode(tokens[:max_tokens]).rstrip(HALF_CHARACTER)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, control tokens left out."""
        return self.tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def prompt(self, request: GenerateRequest) -> list[int]:
        """Return the tokens of a prompt to be continued.

        Raises:
            ContextLengthError: If prompt and draw do not fit the model.
        """
        prompt = encode_prompt(self.tokenizer, request.prompt, request.prefix)
        self._fits(len(prompt) + request.max_tokens)
        return prompt

    def scored(self, request: ScoreRequest) -> tuple[list[int], list[int]]:
        """Return the tokens of the prompt and those of the continuation.

        Raises:
            ScoringError: If the continuation has no token.
            ContextLengthError: If both do not fit the model.
        """
        prompt = encode_prompt(self.tokenizer, request.prompt, request.prefix)
        own = encode_continuation(self.tokenizer, request.continuation, end=request.end)
        if not own:
            raise ScoringError(f"continuation {request.continuation!r} has no tokens to score")
        self._fits(len(prompt) + len(own))
        return prompt, own

    def finished(
        self, tokens: Sequence[int], stops: Sequence[str]
    ) -> tuple[str, Literal["end", "stop", "length"]]:
        """Return the text of a whole draw and why it ended."""
        if tokens and tokens[-1] in self.ends:
            return self.decode(tokens[:-1]), "end"
        text, stopped = cut_at(self.decode(tokens), stops)
        return text, "stop" if stopped else "length"

    def _fits(self, n_tokens: int) -> None:
        if self.limit is not None and n_tokens > self.limit:
            raise ContextLengthError(n_tokens, self.limit)
