"""What is put to a simulated person: a question with what it needs to be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from usersim.config import HistoryConfig
from usersim.engines import AdapterRef, ChatPrompt
from usersim.prompts import respond_prompt
from usersim.types import Choice, Interaction, Question, Scale

__all__ = ["RespondItem", "option_orders"]


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
        gains: Reconstruction gain of those traces, for the record.
        profile: What is known of the person, shown first.
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

    def prompt(self, config: HistoryConfig, order: Sequence[int] | None = None) -> ChatPrompt:
        """Return the rendered prompt, with the options in `order`."""
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
