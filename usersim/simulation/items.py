"""What is put to a simulated person: a question with what it needs to be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from usersim.config import HistoryConfig, SimulationConfig
from usersim.engines import AdapterRef, ChatPrompt
from usersim.prompts import forward_prompt, persona_prompt, respond_prompt
from usersim.types import (
    ActionSpace,
    Choice,
    Combine,
    Distribution,
    Evidence,
    Interaction,
    Number,
    PoolGroup,
    Predictor,
    Question,
    Scale,
    is_closed,
)

__all__ = ["RespondItem", "most_drawn_tokens", "option_orders", "traces_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RespondItem:
    """One question to one simulated person.

    Attributes:
        user_id: Who is to answer.
        question: What is asked, and what an answer may be.
        history: What they did before, oldest first; shown in the prompt.
        seed: Seed of every draw for this item.
        adapter: The person's or the population's adapter; None for the base model.
        reasoning_weight: w in `w * p(a | x, reasoning) + (1 - w) * p(a | x)`.
        reasonings: Kept reasoning by interaction key, shown with the history.
        gains: Reported gain of those traces, for the record.
        profile: What is known of the person, shown first.
        persona: Whether the prompt is the plain instruction of persona tools: the profile and the
            question, nothing else.
        predictors: Distributions over the options that need no model.
        group: Kind of question that it is for the pool; None where nothing is pooled.
        combine: Pools them with the simulator's own; None leaves the simulator alone.
        asked: Which of the simulator's own distributions are pooled.
        evidence: What of the history bears on the question, and how much.
        edges: Of a number that is pooled, the upper ends of all ranges but the last.
        drafted: Whether reasoning is drawn as a synthesizer draws it, from worked examples: a
            model that was not trained to reason as somebody has to be shown how.
    """

    user_id: str
    question: Question
    history: tuple[Interaction, ...] = ()
    seed: int = 0
    adapter: AdapterRef | None = None
    reasoning_weight: float = 1.0
    reasonings: Mapping[str, str] = field(default_factory=dict[str, str])
    gains: Mapping[str, float] = field(default_factory=dict[str, float])
    profile: str | None = None
    persona: bool = False
    predictors: Mapping[Predictor, Distribution] = field(
        default_factory=dict[Predictor, Distribution]
    )
    group: PoolGroup | None = None
    combine: Combine | None = None
    asked: frozenset[Predictor] = frozenset({"reasoning", "no_reasoning"})
    evidence: tuple[Evidence, ...] = ()
    edges: tuple[float, ...] = ()
    drafted: bool = False

    def reasoning_prompt(self, config: HistoryConfig) -> ChatPrompt:
        """Return the prompt after which reasoning is drawn."""
        if not self.drafted:
            return self.prompt(config)
        return forward_prompt(
            self.user_id, self.question, self.history, config=config, profile=self.profile
        )

    def prompt(self, config: HistoryConfig, order: Sequence[int] | None = None) -> ChatPrompt:
        """Return the rendered prompt, with the options in `order`."""
        if self.persona:
            return persona_prompt(
                self.user_id, self.question, self.profile, config=config, option_order=order
            )
        return respond_prompt(
            self.user_id,
            self.question,
            self.history,
            config=config,
            reasonings=self.reasonings,
            option_order=order,
            profile=self.profile,
        )


def option_orders(space: Choice | Scale, limit: int) -> list[tuple[int, ...]]:
    """Return at most `limit` orders in which to show the options, their own first.

    A choice is rotated, so that over K orders every option stands at every place once; a scale
    is shown in both directions, since any other order would make it another question.

    Example:
        >>> option_orders(Choice(("a", "b", "c")), 2)
        [(0, 1, 2), (1, 2, 0)]
    """
    own = tuple(range(len(space.options)))
    if isinstance(space, Scale):
        return [own, own[::-1]][:limit]
    return [own[k:] + own[:k] for k in range(min(limit, len(own)))]


def traces_for(space: ActionSpace, config: SimulationConfig) -> int:
    """Return how many traces are drawn for one answer; open text follows a single one.

    Example:
        >>> from usersim.types import FreeText
        >>> traces_for(FreeText(), SimulationConfig(traces=3))
        1
    """
    averaged = is_closed(space) or isinstance(space, Number)
    return config.traces if averaged else min(config.traces, 1)


def most_drawn_tokens(space: ActionSpace, config: SimulationConfig) -> int:
    """Return how many tokens one answer can take, every text drawn again as often as allowed.

    Example:
        >>> config = SimulationConfig(traces=2, max_reasoning_tokens=50, redraws=1)
        >>> most_drawn_tokens(Choice(("tea", "coffee")), config)
        200
    """
    traces = traces_for(space, config)
    tokens = traces * config.max_reasoning_tokens
    if not is_closed(space):
        tokens += max(traces, 1) * config.max_action_tokens
    return tokens * (config.redraws + 1)
