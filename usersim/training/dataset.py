"""From training examples to token sequences with the tokens that the loss counts.

Knows the order "prompt, reasoning, action" and which part is a target; the text format is the
codec's (`usersim.transcript`), the tokens are the engine's own encoding, handed in as an
`Encoder`, so that what is trained is exactly what is scored and drawn at run time.
Knows nothing of rows, models or losses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from usersim.engines.chat import encode_continuation, encode_prompt
from usersim.errors import ContextLengthError
from usersim.transcript import NO_REASONING, OPEN, action_text, prefix
from usersim.types import Failure, TrainingExample, content_key

if TYPE_CHECKING:
    from usersim.engines.chat import ChatTokenizer

__all__ = [
    "EncodedExample",
    "Encoder",
    "Encoding",
    "EngineEncoder",
    "Term",
    "choose_no_reasoning",
    "encode_examples",
    "examples_digest",
    "split_validation",
]

TermKind = Literal["action", "reasoning", "action_alone"]


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
    """One mean of the loss: a sequence, and from where on its tokens are targets.

    Attributes:
        kind: `action`: the action after the trace (or after the no-reasoning marker where the
            example has none); `reasoning`: the trace; `action_alone`: the action after the
            marker, of an example that has a trace; measured, never trained.
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
class EncodedExample:
    """One example as terms of the loss; the action's term comes first."""

    key: str
    user_id: str
    terms: tuple[Term, ...]


class Encoding(NamedTuple):
    """Examples that fit the model, and those that were refused."""

    examples: tuple[EncodedExample, ...]
    refused: tuple[Failure, ...]


def examples_digest(examples: Iterable[TrainingExample]) -> str:
    """Return the SHA-256 over all fields of `examples`, in their order."""
    digest = sha256()
    for example in examples:
        parts = (example.key, example.user_id, example.messages, example.reasoning, example.action)
        digest.update(content_key(*parts).encode())
    return digest.hexdigest()


def split_validation(
    examples: Sequence[TrainingExample], share: float
) -> tuple[tuple[TrainingExample, ...], tuple[TrainingExample, ...]]:
    """Keep the newest interactions of each user for validation.

    Later in the given order is newer. Several examples of one interaction (one per trace) stay
    together. A user gives `share` of the interactions, rounded; one with few gives none.

    Args:
        examples: Oldest first within each user.
        share: Share of each user's interactions.

    Returns:
        Examples to train on and examples to validate on, each in the given order.

    Example:
        >>> rows = [TrainingExample(key=str(i), user_id="ada", messages=(), reasoning="",
        ...         action="yes") for i in range(10)]
        >>> [part[-1].key for part in split_validation(rows, 0.2)]
        ['7', '9']
    """
    keys_of: dict[str, dict[str, None]] = {}
    for example in examples:
        keys_of.setdefault(example.user_id, {})[example.key] = None
    newest: set[tuple[str, str]] = set()
    for user_id, keys in keys_of.items():
        count = int(len(keys) * share + 0.5)
        newest.update((user_id, key) for key in list(keys)[len(keys) - count :])
    train = tuple(e for e in examples if (e.user_id, e.key) not in newest)
    return train, tuple(e for e in examples if (e.user_id, e.key) in newest)


def choose_no_reasoning(
    examples: Sequence[TrainingExample], *, share: float, seed: int
) -> frozenset[str]:
    """Choose which interactions are trained with the no-reasoning marker in place of a trace.

    The marker is what lets the same weights answer with and without reasoning. Examples that
    have no trace carry it anyway and do not count into the share.

    Args:
        examples: The training examples.
        share: Share of the interactions with a trace.
        seed: Decides together with each key, so that neither order nor machine matter.

    Returns:
        Keys of the chosen interactions.
    """
    keys = {example.key for example in examples if example.reasoning}
    ranked = sorted(keys, key=lambda key: content_key("no-reasoning", seed, key))
    return frozenset(ranked[: int(len(ranked) * share + 0.5)])


def _action(encoder: Encoder, example: TrainingExample, before: str, kind: TermKind) -> Term:
    prompt = encoder.prompt(example.messages, before)
    action = encoder.continuation(action_text(example.action), end=True)
    return Term(kind, (*prompt, *action), len(prompt))


def _reasoning(encoder: Encoder, example: TrainingExample) -> Term:
    """Encode the trace as it is drawn: after the opening tag, up to and with the closing one."""
    prompt = encoder.prompt(example.messages, OPEN)
    drawn = encoder.continuation(prefix(example.reasoning).removeprefix(OPEN), end=False)
    return Term("reasoning", (*prompt, *drawn), len(prompt))


def _terms(
    encoder: Encoder, example: TrainingExample, *, marked: bool, measured: bool
) -> tuple[Term, ...]:
    if marked or not example.reasoning:
        # The marker belongs to the prompt: at run time the caller writes it, the model never
        # does, so it is not a target.
        return (_action(encoder, example, NO_REASONING, "action"),)
    terms = (
        _action(encoder, example, prefix(example.reasoning), "action"),
        _reasoning(encoder, example),
    )
    if not measured:
        return terms
    return (*terms, _action(encoder, example, NO_REASONING, "action_alone"))


def encode_examples(
    examples: Sequence[TrainingExample],
    encoder: Encoder,
    *,
    marked: Collection[str] = (),
    measured: bool = False,
    max_tokens: int | None = None,
) -> Encoding:
    """Encode examples, and refuse those that do not fit the model.

    A sequence is never cut: a shortened action is not what the person did, and a shortened
    prompt is not what the model sees at run time.

    Args:
        examples: What to encode.
        encoder: The engine's encoding.
        marked: Keys that are trained with the no-reasoning marker in place of their trace.
        measured: Whether to add the action after the marker, for comparison.
        max_tokens: Tokens that the model takes; None if it has no limit.

    Returns:
        The encoded examples and one failure for each that is too long.
    """
    kept: list[EncodedExample] = []
    refused: list[Failure] = []
    for index, example in enumerate(examples):
        terms = _terms(encoder, example, marked=example.key in marked, measured=measured)
        longest = max(len(term.tokens) for term in terms)
        if max_tokens is not None and longest > max_tokens:
            what = f"example {example.key!r} of user {example.user_id!r}"
            error = ContextLengthError(longest, max_tokens, what=what)
            refused.append(
                Failure(
                    index=index, item=example.key, error=type(error).__name__, message=str(error)
                )
            )
        else:
            kept.append(EncodedExample(example.key, example.user_id, terms))
    return Encoding(tuple(kept), tuple(refused))
