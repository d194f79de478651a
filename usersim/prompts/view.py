"""What a template is shown: histories and questions as plain text, within their limits.

Knows the value objects and the character limits; knows nothing of wording or of models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from usersim.config import HistoryConfig
from usersim.errors import PromptError
from usersim.types import FreeText, Interaction, Message, Number, Question
from usersim.types.counting import counted

__all__ = [
    "CUT",
    "NO_CONTEXT",
    "ItemView",
    "QuestionView",
    "cut_end",
    "cut_start",
    "view_history",
    "view_question",
    "view_turn",
    "without_repeated_options",
]

CUT = "[...]"
"""Stands where text was left out."""
NO_CONTEXT = "(no context)"
"""Stands for a context that is empty or withheld."""
OWN_TURN = "Me"
"""Label of the person's own turns: prompts speak in their voice, and so do the traces."""


@dataclass(frozen=True, slots=True)
class ItemView:
    """One past interaction: what stood there, what the person thought (or ""), what they did."""

    context: str
    reasoning: str
    action: str


@dataclass(frozen=True, slots=True)
class QuestionView:
    """The context in question and the form of its answer.

    Attributes:
        context: The messages as text.
        kind: Kind of the action space.
        options: The options in the order in which they are to be shown; empty if there are none.
        number_form: Range and unit of a number, as in `" from 0 to 10 (years)"`.
    """

    context: str
    kind: str
    options: tuple[str, ...]
    number_form: str


def cut_end(text: str, limit: int) -> str:
    """Return `text` with at most `limit` characters: its beginning, marked where it was cut.

    Example:
        >>> cut_end("one two three", 10)
        'one t[...]'
    """
    return text if len(text) <= limit else text[: max(limit - len(CUT), 0)] + CUT


def cut_start(text: str, limit: int) -> str:
    """Return `text` with at most `limit` characters: its end, marked where it was cut.

    Example:
        >>> cut_start("one two three", 10)
        '[...]three'
    """
    return text if len(text) <= limit else CUT + text[len(text) - max(limit - len(CUT), 0) :]


def view_history(
    user_id: str,
    history: Sequence[Interaction],
    *,
    config: HistoryConfig,
    reasonings: Mapping[str, str],
) -> tuple[ItemView, ...]:
    """Return past interactions as text, in the order given, each on as few lines as it can be.

    Args:
        user_id: Whose history; their own turns are marked.
        history: Past interactions.
        config: Character limits of one context and of one action.
        reasonings: Kept reasoning by interaction key, where it is to be shown.
    """
    limit = config.max_item_chars
    return tuple(
        ItemView(
            context=cut_start(_lines(user_id, item.context, one_line=True), limit),
            reasoning=_one_line(reasonings.get(item.key, "")),
            action=cut_end(_one_line(item.action_text), limit),
        )
        for item in history
    )


def view_question(
    user_id: str,
    question: Question,
    *,
    config: HistoryConfig,
    option_order: Sequence[int] | None = None,
) -> QuestionView:
    """Return the context in question as text, and the form of its answer.

    Raises:
        PromptError: If `option_order` is not a permutation of the options.
    """
    space = question.space
    options: tuple[str, ...] = () if isinstance(space, FreeText | Number) else space.options
    if option_order is not None:
        if sorted(option_order) != list(range(len(options))):
            raise PromptError(
                f"option order {list(option_order)!r} is not a permutation of the"
                f" {counted(len(options), 'option')}"
            )
        options = tuple(options[index] for index in option_order)
    return QuestionView(
        context=cut_start(_lines(user_id, question.context), config.max_context_chars),
        kind=space.kind,
        options=options,
        number_form=_number_form(space) if isinstance(space, Number) else "",
    )


def view_turn(user_id: str, question: Question, *, config: HistoryConfig) -> QuestionView:
    """Return a past question as text, within the limit of past interactions."""
    view = view_question(user_id, question, config=config)
    return replace(view, context=cut_start(view.context, config.max_item_chars))


def without_repeated_options(
    view: QuestionView, shown: tuple[str, ...]
) -> tuple[QuestionView, tuple[str, ...]]:
    """Return a question without its options if they are those shown last, and the last ones now.

    Args:
        view: The question.
        shown: The options that were shown last.
    """
    if not view.options:
        return view, shown
    if view.options == shown:
        return replace(view, options=()), shown
    return view, view.options


def _lines(user_id: str, context: Sequence[Message], *, one_line: bool = False) -> str:
    """Return messages as `name: text` lines; a single message without a name has no label."""
    lines: list[str] = []
    for message in context:
        content = _one_line(message.content) if one_line else message.content.strip()
        bare = len(context) == 1 and message.name is None
        label = OWN_TURN if message.name == user_id else message.name or message.role
        lines.append(content if bare else f"{label}: {content}")
    return "\n".join(lines) or NO_CONTEXT


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number_form(space: Number) -> str:
    low, high = (None if n is None else space.render(n) for n in (space.low, space.high))
    unit = f" ({space.unit})" if space.unit else ""
    if low is not None and high is not None:
        return f" from {low} to {high}{unit}"
    if low is not None:
        return f", at least {low}{unit}"
    return f", at most {high}{unit}" if high is not None else unit
