"""The prompts of the library, made from value objects: answers, traces, judges.

Knows which template takes which variables. In every prompt what is stable for a person comes
first and what varies comes last, so that questions of one person share their beginning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from usersim import transcript
from usersim.config import HistoryConfig
from usersim.prompts.environment import PromptTemplate, load_template
from usersim.prompts.view import (
    QuestionView,
    cut_end,
    view_history,
    view_question,
    view_turn,
    without_repeated_options,
)
from usersim.transcript import Transcript
from usersim.types import Interaction, Question

__all__ = [
    "PersonChat",
    "backward_prompt",
    "forward_prompt",
    "judge_pair_prompt",
    "judge_prompt",
    "persona_prompt",
    "respond_prompt",
    "tell_apart_prompt",
    "turn_text",
    "why_prompt",
]

_NONE: Mapping[str, str] = MappingProxyType({})
_ChatPrompt = tuple[tuple[str, str], ...]


def respond_prompt(
    user_id: str,
    question: Question,
    history: Sequence[Interaction],
    *,
    config: HistoryConfig,
    reasonings: Mapping[str, str] = _NONE,
    option_order: Sequence[int] | None = None,
    profile: str | None = None,
    template: PromptTemplate | None = None,
) -> _ChatPrompt:
    r"""Return the prompt of the user model and of the reconstructor.

    The model continues with reasoning and action in the format of `usersim.transcript`. In the
    form `turns` each past interaction is a turn of its own, written exactly as the model is to
    write the next one; options are repeated only where they change. In the form `page` the
    history is one text before the question.

    Args:
        user_id: Who is to answer.
        question: What is to be answered; an empty context is shown as withheld.
        history: What they did before, shown in the order given: the recent ones first, then
            the evidence.
        config: Character limits.
        reasonings: Kept reasoning by interaction key, shown with the history (Recon-Memory).
        option_order: Order in which the options are shown; None for their own.
        profile: What is known of the person, shown first.
        template: Another wording; None for the library's.

    Returns:
        (role, content) pairs.

    Raises:
        PromptError: If the order is not a permutation, or the template wants another variable.

    Example:
        >>> prompt = respond_prompt("ada", Question.of("Tea?"), [], config=HistoryConfig())
        >>> prompt[1]
        ('user', 'Tea?')
    """
    if template is None and config.form == "turns":
        chat = PersonChat(user_id, config=config, profile=profile)
        for past in history:
            chat.add(past, reasonings.get(past.key, ""))
        return chat.ask(question, option_order=option_order)
    return (template or load_template("respond")).render(
        user_id=user_id,
        profile=profile or "",
        history=view_history(user_id, history, config=config, reasonings=reasonings),
        question=view_question(user_id, question, config=config, option_order=option_order),
    )


def persona_prompt(
    user_id: str,
    question: Question,
    profile: str | None,
    *,
    config: HistoryConfig,
    option_order: Sequence[int] | None = None,
) -> _ChatPrompt:
    """Return a prompt as tools prompt that know of a person only facts, such as EDSL.

    A peer to be measured against: no history, no reasoning.

    Args:
        user_id: Who is to answer; not shown.
        question: What is to be answered.
        profile: `name: value` pairs; None if nothing is known.
        config: Character limits.
        option_order: Order in which the options are shown; None for their own.

    Returns:
        (role, content) pairs.

    Example:
        >>> asked = persona_prompt("ada", Question.of("Tea?"), "age: 36", config=HistoryConfig())
        >>> asked[0][1].splitlines()[-1]
        'You are a person with: age: 36.'
    """
    return load_template("persona").render(
        profile=profile or "",
        question=view_question(user_id, question, config=config, option_order=option_order),
    )


class PersonChat:
    """One person's interactions as a chat that grows turn by turn.

    `respond_prompt` renders the whole history for one question. Where every interaction of a
    person is asked after all that came before it, this renders each of them once.

    Args:
        user_id: Who answers.
        config: Character limits.
        profile: What is known of the person, shown first.

    Example:
        >>> chat = PersonChat("ada", config=HistoryConfig())
        >>> [role for role, _ in chat.ask(Question.of("Tea?"))]
        ['system', 'user']
    """

    def __init__(self, user_id: str, *, config: HistoryConfig, profile: str | None = None) -> None:
        self._user_id = user_id
        self._config = config
        self._messages: list[tuple[str, str]] = [_turns(user_id, profile or "")[0]]
        self._shown: tuple[str, ...] = ()

    def ask(self, question: Question, *, option_order: Sequence[int] | None = None) -> _ChatPrompt:
        """Return the prompt that puts a question now; the chat stays as it is.

        Args:
            question: What is to be answered.
            option_order: Order in which the options are shown; None for their own.

        Raises:
            PromptError: If the order is not a permutation.
        """
        view = view_question(
            self._user_id, question, config=self._config, option_order=option_order
        )
        asked, _ = without_repeated_options(view, self._shown)
        return (*self._messages, ("user", _turn(asked)))

    def add(self, past: Interaction, reasoning: str = "") -> None:
        """Append an interaction: the question, and what the person did.

        Args:
            past: The interaction.
            reasoning: Kept reasoning, shown before the action.
        """
        view = view_turn(self._user_id, past.question, config=self._config)
        asked, self._shown = without_repeated_options(view, self._shown)
        action = cut_end(past.action_text, self._config.max_item_chars)
        said = transcript.render(Transcript(reasoning, action))
        self._messages += [("user", _turn(asked)), ("assistant", said)]


def turn_text(
    user_id: str,
    question: Question,
    *,
    config: HistoryConfig,
    past: bool = False,
    options: bool = True,
) -> str:
    """Return a question as `PersonChat` writes it.

    Args:
        user_id: Who answers.
        question: The question.
        config: Character limits.
        past: Whether it was answered already: past questions are cut earlier.
        options: Whether its options are shown.
    """
    view = (view_turn if past else view_question)(user_id, question, config=config)
    return _turn(view if options else without_repeated_options(view, view.options)[0])


def _turns(user_id: str, profile: str, view: QuestionView | None = None) -> _ChatPrompt:
    """Return the system message and one question of the form `turns`."""
    asked = view or QuestionView("-", "free_text", (), "")
    return load_template("turns").render(user_id=user_id, profile=profile, question=asked)


@lru_cache(maxsize=4096)
def _turn(view: QuestionView) -> str:
    """Return a question as it stands in a turn; many people are asked the same."""
    return _turns("", "", view)[-1][1]


def why_prompt(messages: _ChatPrompt, action_text: str) -> _ChatPrompt:
    """Return a chat that goes on after the answer by asking what led to it.

    A user model that learns its traces from this prompt, and not before the action, never needs
    them in order to act (the control `after_answer`).

    Args:
        messages: The prompt that was answered.
        action_text: The answer, as the model writes it.
    """
    return (*messages, ("assistant", action_text), *load_template("why").render())


def forward_prompt(
    user_id: str,
    question: Question,
    history: Sequence[Interaction],
    *,
    config: HistoryConfig,
    profile: str | None = None,
    template: PromptTemplate | None = None,
) -> _ChatPrompt:
    """Return the prompt of a writer that sees context and history, and not the action.

    Args and errors as for `respond_prompt`.
    """
    return (template or load_template("forward")).render(
        user_id=user_id,
        profile=profile or "",
        history=view_history(user_id, history, config=config, reasonings=_NONE),
        question=view_question(user_id, question, config=config),
    )


def backward_prompt(
    user_id: str,
    question: Question,
    history: Sequence[Interaction],
    *,
    config: HistoryConfig,
    action_text: str,
    profile: str | None = None,
    template: PromptTemplate | None = None,
) -> _ChatPrompt:
    """Return the prompt of a writer that also sees an action, and is told not to state it.

    It differs from `forward_prompt` by the action and one instruction alone, so that the ratio
    of a trace's likelihoods under the two measures what the action gave away (guard L4).
    With an action that was not taken it makes decoys (diagnostic L6).

    Args:
        user_id: Who acted.
        question: What they answered.
        history: What they did before.
        config: Character limits; the action is cut like a past one.
        action_text: The action.
        profile: What is known of the person, shown first.
        template: Another wording; None for the library's.
    """
    return (template or load_template("backward")).render(
        user_id=user_id,
        profile=profile or "",
        history=view_history(user_id, history, config=config, reasonings=_NONE),
        question=view_question(user_id, question, config=config),
        action=cut_end(action_text.strip(), config.max_item_chars),
    )


def judge_prompt(
    user_id: str,
    question: Question,
    action_text: str,
    replies: Sequence[str],
    *,
    config: HistoryConfig,
) -> _ChatPrompt:
    """Return the prompt of a judge that ranks replies by their likeness to what was really said.

    Args:
        user_id: Who acted; their own turns in the context are marked.
        question: What they answered.
        action_text: What they really did; cut like a past action.
        replies: In the order in which they are numbered, from 1; each on one line, cut alike.
        config: Character limits.
    """
    return load_template("judge").render(
        question=view_question(user_id, question, config=config),
        action=cut_end(action_text.strip(), config.max_item_chars),
        replies=[cut_end(" ".join(one.split()), config.max_item_chars) for one in replies],
    )


def tell_apart_prompt(
    user_id: str,
    question: Question,
    history: Sequence[Interaction],
    replies: tuple[str, str],
    *,
    config: HistoryConfig,
) -> _ChatPrompt:
    """Return the prompt of a reader that says which of two replies is the person's own.

    Unlike a judge it is not shown what the person really said; it knows them by what they did
    before.

    Args:
        user_id: Whose reply one of them is.
        question: What they answered.
        history: What they did before.
        replies: The one shown first and the one shown second; each on one line, cut alike.
        config: Character limits.
    """
    first, second = (cut_end(" ".join(one.split()), config.max_item_chars) for one in replies)
    return load_template("tell_apart").render(
        profile="",
        history=view_history(user_id, history, config=config, reasonings=_NONE),
        question=view_question(user_id, question, config=config),
        first=first,
        second=second,
    )


def judge_pair_prompt(
    user_id: str,
    question: Question,
    action_text: str,
    replies: tuple[str, str],
    *,
    config: HistoryConfig,
) -> _ChatPrompt:
    """Return the prompt of a judge that says which of two replies is closer to what was said.

    Args:
        user_id: Who acted; their own turns in the context are marked.
        question: What they answered.
        action_text: What they really did; cut like a past action.
        replies: The one shown first and the one shown second; each on one line, cut alike.
        config: Character limits.
    """
    first, second = (cut_end(" ".join(one.split()), config.max_item_chars) for one in replies)
    return load_template("judge_pair").render(
        question=view_question(user_id, question, config=config),
        action=cut_end(action_text.strip(), config.max_item_chars),
        first=first,
        second=second,
    )
