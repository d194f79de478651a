"""From training examples to token sequences with the tokens that the loss counts.

Knows the order "prompt, reasoning, action" and which part is a target; the text format is the
codec's (`usersim.transcript`), the tokens are the engine's own encoding, handed in as an
`Encoder`, so that what is trained is exactly what is scored and drawn at run time.
Knows nothing of rows, models or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from usersim.engines.chat import encode_continuation, encode_prompt
from usersim.engines.options import needs_end
from usersim.errors import ContextLengthError
from usersim.prompts import why_prompt
from usersim.transcript import NO_REASONING, OPEN, action_text, prefix
from usersim.types import Failure, TrainingExample

if TYPE_CHECKING:
    from usersim.engines.chat import ChatTokenizer

__all__ = [
    "Decision",
    "EncodedExample",
    "Encoder",
    "Encoding",
    "EngineEncoder",
    "Term",
    "encode_example",
    "encode_examples",
]

TermKind = Literal["action", "reasoning", "option"]


class Encoder(Protocol):
    """Turns a chat and a continuation into token ids, as the engine does."""

    def prompt(self, messages: Sequence[tuple[str, str]], prefix: str) -> list[int]:
        """Return the chat's tokens, followed by the beginning of the model's own turn."""
        ...

    def continuation(self, text: str, *, end: bool) -> list[int]:
        """Return the tokens of `text` by itself, with the end-of-turn token if `end`."""
        ...


@dataclass(frozen=True, slots=True)
class EngineEncoder:
    """The engine's own encoding, so that training and run time see the same tokens."""

    tokenizer: ChatTokenizer

    def prompt(self, messages: Sequence[tuple[str, str]], prefix: str) -> list[int]:
        """Return the chat's tokens, with the beginning of the model's own turn."""
        return encode_prompt(self.tokenizer, tuple(messages), prefix)

    def continuation(self, text: str, *, end: bool) -> list[int]:
        """Return the tokens of `text` by itself."""
        return encode_continuation(self.tokenizer, text, end=end)


@dataclass(frozen=True, slots=True)
class Term:
    """A sequence, and from where on its tokens are targets.

    Attributes:
        kind: `action`: an open action; `reasoning`: a trace; `option`: one option of a closed
            question, which counts only against the others.
        tokens: The whole sequence, prompt first.
        start: Place of the first target; all tokens from there on are targets.
    """

    kind: TermKind
    tokens: tuple[int, ...]
    start: int

    @property
    def targets(self) -> tuple[int, ...]:
        """The tokens that are to be predicted."""
        return self.tokens[self.start :]


@dataclass(frozen=True, slots=True)
class Decision:
    """An action after one prompt: its own term, or one term per option.

    Attributes:
        terms: Places of the terms in the example: the action, or every option in order.
        truth: Which of them the person chose.
        reasoned: Whether it stands after a trace.
    """

    terms: tuple[int, ...]
    truth: int
    reasoned: bool


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """One example as terms of the loss, and the decisions that they make up."""

    key: str
    user_id: str
    terms: tuple[Term, ...]
    decisions: tuple[Decision, ...] = ()


class Encoding(NamedTuple):
    """Examples that fit the model, and those that were refused."""

    examples: tuple[EncodedExample, ...]
    refused: tuple[Failure, ...]


def _actions(
    encoder: Encoder, example: TrainingExample, before: str, first: int, *, reasoned: bool
) -> tuple[list[Term], Decision]:
    """Encode the action after a prefix: alone, or as one of its options.

    Args:
        encoder: The engine's encoding.
        example: The example.
        before: What the model has written before it acts.
        first: Place that the first term will have in the example.
        reasoned: Whether `before` is a trace.
    """
    prompt = encoder.prompt(example.messages, before)
    texts = example.options or (example.action,)
    written = [action_text(text) for text in texts]
    # As options are scored at run time: the end of the turn only tells 1 from 10.
    end = not example.options or needs_end(written)
    kind: TermKind = "option" if example.options else "action"
    terms = [
        Term(kind, (*prompt, *encoder.continuation(text, end=end)), len(prompt)) for text in written
    ]
    places = tuple(range(first, first + len(terms)))
    return terms, Decision(places, texts.index(example.action), reasoned)


def _reasoning(encoder: Encoder, example: TrainingExample) -> Term:
    """Encode the trace as it is drawn: after the opening tag, up to and with the closing one."""
    messages = example.messages
    if example.after:
        messages = why_prompt(messages, action_text(example.action))
    prompt = encoder.prompt(messages, OPEN)
    drawn = encoder.continuation(prefix(example.reasoning).removeprefix(OPEN), end=False)
    return Term("reasoning", (*prompt, *drawn), len(prompt))


def encode_example(example: TrainingExample, encoder: Encoder) -> EncodedExample:
    """Encode one example: the action without reasoning, and after its trace where it has one.

    Where the trace is learned after the action, the action stands without it alone.

    Args:
        example: What to encode.
        encoder: The engine's encoding.
    """
    terms, plain = _actions(encoder, example, NO_REASONING, 0, reasoned=False)
    if not example.reasoning:
        return EncodedExample(example.key, example.user_id, tuple(terms), (plain,))
    if example.after:
        whole = (*terms, _reasoning(encoder, example))
        return EncodedExample(example.key, example.user_id, whole, (plain,))
    more, reasoned = _actions(
        encoder, example, prefix(example.reasoning), len(terms), reasoned=True
    )
    whole = (*terms, *more, _reasoning(encoder, example))
    return EncodedExample(example.key, example.user_id, whole, (plain, reasoned))


def encode_examples(
    examples: Sequence[TrainingExample], encoder: Encoder, *, max_tokens: int | None = None
) -> Encoding:
    """Encode examples, and refuse those that do not fit the model.

    A sequence is never cut: a shortened action is not what the person did, and a shortened
    prompt is not what the model sees at run time.

    Args:
        examples: What to encode.
        encoder: The engine's encoding.
        max_tokens: Tokens that the model takes; None if it has no limit.

    Returns:
        The encoded examples and one failure for each that is too long.
    """
    kept: list[EncodedExample] = []
    refused: list[Failure] = []
    for index, example in enumerate(examples):
        encoded = encode_example(example, encoder)
        longest = max(len(term.tokens) for term in encoded.terms)
        if max_tokens is not None and longest > max_tokens:
            what = f"interaction {example.key!r} of user {example.user_id!r}"
            error = ContextLengthError(longest, max_tokens, what=what)
            refused.append(
                Failure(
                    index=index, item=example.key, error=type(error).__name__, message=str(error)
                )
            )
        else:
            kept.append(encoded)
    return Encoding(tuple(kept), tuple(refused))
