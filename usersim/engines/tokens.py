"""Token by token: what a continuation is made of, and how much a prefix helps each part.

Knows prompts as chat messages and prefixes as texts; knows nothing of persons or traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usersim.engines.base import AdapterRef, ChatPrompt, Engine, Score, ScoreRequest, require
from usersim.errors import CapabilityError
from usersim.types.counting import counted

__all__ = ["GainQuery", "TokenGain", "TokenGains", "token_gains", "token_texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GainQuery:
    """Ask how much one prefix helps to predict a continuation, against another prefix.

    Attributes:
        prompt: The chat.
        continuation: The text to be predicted, as it stands in a transcript.
        given: What the model has already written: the reasoning.
        without: What it has written instead in the comparison: the marker without reasoning.
        adapter: Applied to this query alone.
    """

    prompt: ChatPrompt
    continuation: str
    given: str
    without: str
    adapter: AdapterRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGain:
    """One piece of a continuation, most often one token.

    Attributes:
        text: Its text; empty for the end of the turn.
        n_tokens: Tokens in it: more than one where a character is made of several.
        given: log p after the prefix, nats, summed over its tokens.
        without: The same after the other prefix.
    """

    text: str
    n_tokens: int
    given: float
    without: float

    @property
    def gain(self) -> float:
        """How much the prefix helps to predict it, nats."""
        return self.given - self.without


@dataclass(frozen=True, slots=True)
class TokenGains:
    """A continuation piece by piece.

    Attributes:
        pieces: The pieces; their texts join to the continuation, and the last is the end.
    """

    pieces: tuple[TokenGain, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens in all, the end of the turn included."""
        return sum(piece.n_tokens for piece in self.pieces)

    @property
    def mean(self) -> float:
        """Mean gain, nats per token: what `loglik_gain` calls the gain."""
        return sum(piece.gain for piece in self.pieces) / self.n_tokens


def token_texts(engine: Engine, text: str) -> list[tuple[str, int]]:
    """Return the text's pieces with their numbers of tokens; the pieces join to the text.

    A piece is one token where its text can be told alone; tokens that only together make a
    character are one piece.

    Args:
        engine: Whose tokens.
        text: The text, tokenized by itself.

    Example:
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> token_texts(ScriptedEngine(), "Not today!")
        [('Not', 1), (' today', 1), ('!', 1)]
    """
    pieces: list[tuple[str, int]] = []
    done, pending = 0, 0
    count = engine.count_tokens(text)
    for n in range(1, count + 1):
        beginning = text if n == count else engine.truncate(text, n)
        pending += 1
        # Half a character, or a tokenizer that changes the text: wait for the next token.
        if len(beginning) > done and text.startswith(beginning):
            pieces.append((text[done : len(beginning)], pending))
            done, pending = len(beginning), 0
    return pieces


def token_gains(
    engine: Engine, queries: Sequence[GainQuery], *, floor: float = float("-inf")
) -> list[TokenGains]:
    """Return, for each query, the gain of every piece of its continuation.

    `gain_t = max(log p(a_t | given), floor) - max(log p(a_t | without), floor)`, so that the mean
    over tokens is the `loglik_gain` of the same prefixes.

    Args:
        engine: Needs `logprobs`, and must report its tokens.
        queries: What to ask; all of it goes to the engine in one call.
        floor: Smallest log-probability that one token may count, nats.

    Raises:
        CapabilityError: If the engine cannot score given text, or does not report its tokens.
    """
    require(engine, "logprobs", "the gain of each token")
    wanted = dict.fromkeys(
        ScoreRequest(
            prompt=one.prompt, prefix=prefix, continuation=one.continuation, adapter=one.adapter
        )
        for one in queries
        for prefix in (one.given, one.without)
    )
    scores = dict(zip(wanted, engine.score(list(wanted)), strict=True))
    by_prefix = {
        (one.prompt, one.prefix, one.continuation, one.adapter): score
        for one, score in scores.items()
    }
    return [
        _gains(
            token_texts(engine, one.continuation),
            by_prefix[one.prompt, one.given, one.continuation, one.adapter],
            by_prefix[one.prompt, one.without, one.continuation, one.adapter],
            floor,
        )
        for one in queries
    ]


def _gains(
    texts: Sequence[tuple[str, int]], given: Score, without: Score, floor: float
) -> TokenGains:
    """Put texts and log-probabilities together; the last token of a score is the turn's end.

    Raises:
        CapabilityError: If there are not as many of the one as of the other.
    """
    cells = [*texts, ("", 1)]
    total = sum(n for _, n in cells)
    if not len(given.logprobs) == len(without.logprobs) == total:
        raise CapabilityError(
            f"the engine scored {counted(len(given.logprobs), 'token')} and reported {total}",
            hint="use an engine in this process, or set the tokenizer of the remote one",
        )
    pieces: list[TokenGain] = []
    start = 0
    for text, n in cells:
        pieces.append(
            TokenGain(
                text=text,
                n_tokens=n,
                given=sum(max(value, floor) for value in given.logprobs[start : start + n]),
                without=sum(max(value, floor) for value in without.logprobs[start : start + n]),
            )
        )
        start += n
    return TokenGains(tuple(pieces))
