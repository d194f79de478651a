"""What a synthesizer can learn from: kept traces, pairs of traces, or rewards.

A lesson knows its data and their identity, and becomes steps once there is a model to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from usersim.config import Recipe, SynthesizerConfig
from usersim.errors import SHORTEN_PROMPT, ContextLengthError, NoTrainingDataError
from usersim.training.batches import make_batch, plan_steps
from usersim.training.dataset import EncodedExample, Encoder, Term
from usersim.training.policy import Policy, trace_tokens, train_policy
from usersim.training.preferences import plan_pairs, train_preferences
from usersim.training.rollouts import Rollouts
from usersim.training.run import TrainingRun
from usersim.training.trainer import train
from usersim.transcript import OPEN
from usersim.types import Failure, TraceExample, TracePair, TracePrompt, content_key

__all__ = ["Lesson", "PairLesson", "PreparedLesson", "RewardLesson", "TraceLesson"]


@dataclass(frozen=True, slots=True)
class PreparedLesson:
    """A lesson that fits a model.

    Attributes:
        steps: Optimizer steps.
        size: Prompts, pairs or traces in it.
        train: Called with (peft model, run, tokenizer); does what remains of the run.
        refused: What does not fit the model.
    """

    steps: int
    size: int
    train: Callable[[object, TrainingRun, object], object]
    refused: tuple[Failure, ...]


class Lesson(Protocol):
    """What a synthesizer learns from.

    Example:
        >>> prompt = TracePrompt(key="k", user_id="ada", direction="forward",
        ...                      messages=(("user", "Tea?"),))
        >>> lesson: Lesson = TraceLesson([TraceExample(prompt, "I like tea.")])
        >>> lesson.recipe, lesson.users
        ('rft', {'ada'})
    """

    recipe: ClassVar[Recipe]
    """Its name."""

    @property
    def key(self) -> str:
        """Equal for the same data."""
        ...

    @property
    def users(self) -> set[str]:
        """Whose data it holds."""
        ...

    def evaluations(self, config: SynthesizerConfig) -> int:
        """Return how often the held-out gain is taken."""
        ...

    def prepare(
        self, config: SynthesizerConfig, encoder: Encoder, max_tokens: int | None
    ) -> PreparedLesson:
        """Return the lesson as steps.

        Raises:
            NoTrainingDataError: If it is empty, or nothing of it fits the model.
        """
        ...


def _prompt_key(prompt: TracePrompt) -> tuple[object, ...]:
    return (prompt.key, prompt.user_id, prompt.direction, prompt.messages)


@dataclass(frozen=True, slots=True)
class TraceLesson:
    """Kept traces, written again from their own prompts: one round of expert iteration (RFT).

    Attributes:
        examples: The traces.
    """

    examples: Sequence[TraceExample]
    recipe: ClassVar[Recipe] = "rft"

    @property
    def key(self) -> str:
        """Equal for the same data."""
        return content_key("rft", [(*_prompt_key(e.prompt), e.reasoning) for e in self.examples])

    @property
    def users(self) -> set[str]:
        """Whose data it holds."""
        return {example.prompt.user_id for example in self.examples}

    def evaluations(self, config: SynthesizerConfig) -> int:  # noqa: ARG002 - as the others
        """Return 1: a round is measured when it is over."""
        return 1

    def prepare(
        self, config: SynthesizerConfig, encoder: Encoder, max_tokens: int | None
    ) -> PreparedLesson:
        """Return the lesson as packed rows; see `Lesson`."""
        encoded: list[EncodedExample] = []
        refused: list[Failure] = []
        for index, one in enumerate(self.examples):
            prompt = encoder.prompt(one.prompt.messages, OPEN)
            tokens = (*prompt, *trace_tokens(encoder, one.reasoning))
            if _refuse(refused, index, one.prompt, len(tokens), max_tokens):
                continue
            term = Term("reasoning", tokens, len(prompt))
            encoded.append(EncodedExample(one.prompt.key, one.prompt.user_id, (term,)))
        _check(encoded, len(self.examples), refused, "kept trace")
        plan = plan_steps(
            encoded,
            batch_tokens=config.batch_tokens,
            epochs=config.rft_epochs,
            seed=config.seed,
        )

        def run_it(peft_model: object, run: TrainingRun, _: object) -> None:
            train(
                peft_model,
                run,
                lambda place: make_batch([encoded[i] for i in plan[place]]),
                learning_rate=config.rft_learning_rate,
                reasoning_weight=1.0,
            )

        return PreparedLesson(len(plan), len(encoded), run_it, tuple(refused))


@dataclass(frozen=True, slots=True)
class PairLesson:
    """Pairs of traces, the better against the worse (DPO).

    Attributes:
        pairs: The pairs.
    """

    pairs: Sequence[TracePair]
    recipe: ClassVar[Recipe] = "dpo"

    @property
    def key(self) -> str:
        """Equal for the same data."""
        return content_key(
            "dpo", [(*_prompt_key(p.prompt), p.chosen, p.rejected) for p in self.pairs]
        )

    @property
    def users(self) -> set[str]:
        """Whose data it holds."""
        return {pair.prompt.user_id for pair in self.pairs}

    def evaluations(self, config: SynthesizerConfig) -> int:
        """Return how often the held-out gain is taken."""
        return config.evaluations

    def prepare(
        self, config: SynthesizerConfig, encoder: Encoder, max_tokens: int | None
    ) -> PreparedLesson:
        """Return the lesson as batches of pairs; see `Lesson`."""
        kept: list[TracePair] = []
        refused: list[Failure] = []
        for index, pair in enumerate(self.pairs):
            longest = max(len(trace_tokens(encoder, t)) for t in (pair.chosen, pair.rejected))
            length = len(encoder.prompt(pair.prompt.messages, OPEN)) + longest
            if not _refuse(refused, index, pair.prompt, length, max_tokens):
                kept.append(pair)
        _check(kept, len(self.pairs), refused, "pair of a better and a worse trace")
        ordered = [kept[i] for i in plan_pairs(len(kept), config)]

        def run_it(peft_model: object, run: TrainingRun, tokenizer: object) -> None:
            train_preferences(peft_model, run, ordered, config, encoder, tokenizer)

        steps = -(-len(ordered) // config.dpo_batch)
        return PreparedLesson(steps, len(kept), run_it, tuple(refused))


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardLesson:
    """Prompts, draws and what each is worth (Recon-GRPO).

    Attributes:
        prompts: What is asked.
        rollouts: Draws traces and says what each is worth.
        identity: Tells the reward: reconstructor, scorer, guards, penalties.
        max_tokens: Token limit of a draw.
        whole_turns: Whether a draw is reasoning and action, and not the reasoning alone.
    """

    prompts: Sequence[TracePrompt]
    rollouts: Rollouts
    identity: str
    max_tokens: int
    whole_turns: bool = False
    recipe: ClassVar[Recipe] = "grpo"

    @property
    def key(self) -> str:
        """Equal for the same prompts and the same reward."""
        prompts = [_prompt_key(prompt) for prompt in self.prompts]
        return content_key("grpo", self.identity, self.max_tokens, self.whole_turns, prompts)

    @property
    def users(self) -> set[str]:
        """Whose data it holds."""
        return {prompt.user_id for prompt in self.prompts}

    def evaluations(self, config: SynthesizerConfig) -> int:
        """Return how often the held-out gain is taken."""
        return config.evaluations

    def prepare(
        self, config: SynthesizerConfig, encoder: Encoder, max_tokens: int | None
    ) -> PreparedLesson:
        """Return the lesson as steps of `config.prompts` prompts each; see `Lesson`."""
        kept: list[TracePrompt] = []
        refused: list[Failure] = []
        for index, prompt in enumerate(self.prompts):
            length = len(encoder.prompt(prompt.messages, OPEN)) + self.max_tokens
            if not _refuse(refused, index, prompt, length, max_tokens):
                kept.append(prompt)
        _check(kept, len(self.prompts), refused, "prompt")
        ordered: list[TracePrompt] = []
        while len(ordered) < config.grpo_steps * config.prompts:
            random = np.random.default_rng([config.seed, len(ordered)])
            ordered += [kept[int(index)] for index in random.permutation(len(kept))]
        policy = Policy(
            prompts=ordered[: config.grpo_steps * config.prompts],
            rollouts=self.rollouts,
            encoder=encoder,
            tokenizer=None,
            config=config,
            max_tokens=self.max_tokens,
            whole_turns=self.whole_turns,
        )

        def run_it(peft_model: object, run: TrainingRun, tokenizer: object) -> None:
            train_policy(peft_model, run, replace(policy, tokenizer=tokenizer))

        return PreparedLesson(config.grpo_steps, len(kept), run_it, tuple(refused))


def _refuse(
    refused: list[Failure], index: int, prompt: TracePrompt, length: int, limit: int | None
) -> bool:
    """Note a prompt that does not fit the model; return whether it does not."""
    if limit is None or length <= limit:
        return False
    what = f"the {prompt.direction} prompt of {prompt.user_id!r}, {prompt.key[:12]}"
    error = ContextLengthError(length, limit, what=what)
    refused.append(
        Failure(index=index, item=prompt.key, error=type(error).__name__, message=str(error))
    )
    return True


def _check(kept: Sequence[object], n: int, refused: Sequence[Failure], what: str) -> None:
    """Refuse an empty lesson.

    Raises:
        NoTrainingDataError: If nothing is left.
    """
    if kept:
        return
    if refused:
        raise NoTrainingDataError(
            f"all {n} examples for the synthesizer are too long for the model: "
            f"{refused[0].message}",
            hint="shorten the history (HistoryConfig) or choose a model with a longer context",
            cli_hint=SHORTEN_PROMPT,
        )
    raise NoTrainingDataError(
        f"there is no {what} to train the synthesizer on",
        hint="draw more candidates (SynthesisConfig), or load more interactions",
        cli_hint="load more interactions, or use a larger --preset, which draws more candidates",
    )
