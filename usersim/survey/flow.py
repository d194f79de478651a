"""The walk of one respondent: which order they meet, what is asked next, what is skipped.

Pure and deterministic: the same survey, respondent, seed and answers give the same walk, on any
machine and in any session. Knows the instrument; knows no model, no store and no batch.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from usersim.simulation.reasoning import derive_seed
from usersim.survey.elicitation import (
    GIVES_AN_ANSWER,
    Ask,
    AskKey,
    PartReply,
    Stage,
    Wording,
    stages_of,
)
from usersim.survey.expressions import parse
from usersim.survey.given import GivenAnswer
from usersim.survey.piping import mentioned
from usersim.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    SurveyQuestion,
    YesNo,
    codes_of,
)
from usersim.survey.reduction import Decision, values_of
from usersim.survey.responses import Mode
from usersim.survey.sections import Instrument, Passage, Section
from usersim.types import Failure

__all__ = ["Design", "Step", "Walk", "itinerary"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One question on a respondent's way.

    Attributes:
        question: The question.
        section: Where it stands.
        shown: Its options (of a matrix: rows) in the respondent's order; refusals come after.
            Those whose own condition is false are still among them.

    Example:
        >>> from usersim.survey import SingleChoice, Survey
        >>> drink = SingleChoice(id="drink", text="Which?", options=("tea", "coffee"))
        >>> (step,) = itinerary(Survey(title="Drinks", questions=(drink,)), "ada", seed=0)
        >>> step.question.id, step.shown
        ('drink', ('tea', 'coffee'))
    """

    question: SurveyQuestion
    section: Section
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How a survey is conducted.

    Attributes:
        mode: How answers are elicited.
        memory: Whether respondents have their earlier answers before them.
        seed: Of every order.
        decision: How a value is chosen from probabilities.
        everything: Ask what conditions would skip, too: the most that a walk can ask.
    """

    mode: Mode = "direct"
    memory: bool = False
    seed: int = 0
    decision: Decision = "likeliest"
    everything: bool = False


def itinerary(survey: Instrument, respondent: str, *, seed: int) -> tuple[Step, ...]:
    """Return a respondent's way through a survey, before anything is skipped.

    Args:
        survey: The instrument.
        respondent: Whose way; every respondent has shuffles of their own.
        seed: Of the shuffles.

    Returns:
        The questions in the order in which they come, with their options in order.

    Example:
        >>> from usersim.survey import Survey, YesNo
        >>> survey = Survey(title="Tea", questions=(YesNo(id="tea", text="Do you drink tea?"),))
        >>> [step.question.id for step in itinerary(survey, "ada", seed=0)]
        ['tea']
    """
    stream = random.Random(derive_seed(seed, "order", survey.digest, respondent))  # noqa: S311
    sections = survey.all_sections
    if survey.random_sections:
        free = iter(_shuffled([one for one in sections if not one.fixed], stream))
        sections = tuple(one if one.fixed else next(free) for one in sections)
    return tuple(
        Step(question, section, _options(question, stream))
        for section in sections
        for question in (
            _shuffled(section.questions, stream) if section.random_order else section.questions
        )
    )


def _shuffled(items: Sequence[T], stream: random.Random) -> list[T]:
    return stream.sample(list(items), len(items))


def _options(question: SurveyQuestion, stream: random.Random) -> tuple[str, ...]:
    if isinstance(question, OpenText | NumberQuestion):
        return ()
    if isinstance(question, Matrix):
        rows = question.rows
        return tuple(_shuffled(rows, stream)) if question.random_order else rows
    options = question.options
    if isinstance(question, YesNo) or not question.random_order:
        return options
    if isinstance(question, LikertScale):
        # Any other order would make it another question.
        return options if stream.random() < 0.5 else options[::-1]  # noqa: PLR2004 - a coin
    last = [one for one in options if one in question.last]
    return (*_shuffled([one for one in options if one not in last], stream), *last)


@dataclass(slots=True)
class Walk:
    """One respondent on their way: `pending` says what to ask, `take` hears the answers.

    Attributes:
        survey: The instrument.
        respondent: Who walks.
        design: How the survey is conducted.
        steps: Their way.
        given: What came of each question that is done with.
        replies: What came of each elementary question, by question.
        shown: Options or rows that the respondent was shown, in their order, by question.
    """

    survey: Instrument
    respondent: str
    design: Design
    steps: tuple[Step, ...] = ()
    given: dict[str, GivenAnswer] = field(default_factory=dict[str, GivenAnswer])
    replies: dict[str, dict[AskKey, PartReply | Failure]] = field(
        default_factory=dict[str, dict[AskKey, PartReply | Failure]]
    )
    shown: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    _remembered: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def __post_init__(self) -> None:
        self.steps = itinerary(self.survey, self.respondent, seed=self.design.seed)

    def pending(self) -> list[Ask]:
        """Return what can be asked now, in the respondent's order; nothing when they are done.

        With memory one question at a time; otherwise every question whose condition and text
        need nothing that is still unknown.
        """
        asks: list[Ask] = []
        for step in self.steps:
            if step.question.id in self.given:
                continue
            if self._needs(step) <= self.given.keys():
                reason = "" if self.design.everything else self._skip_reason(step)
                if reason:
                    self.given[step.question.id] = GivenAnswer(state="skipped", reason=reason)
                    continue
                if self._only_option(step):
                    continue
                asks += self._asks(step)
            if self.design.memory:
                break
        return asks

    def _only_option(self, step: Step) -> bool:
        """Take the only option that is shown as the answer, where one has to be chosen."""
        question = step.question
        shown = self.shown.setdefault(question.id, self._shown(step))
        chooses = isinstance(question, SingleChoice | Ranking | Budget)
        if not chooses or question.refusal or len(shown) != 1:
            return False
        replies = PartReply(action=shown[0], probabilities={shown[0]: 1.0}, traces=(), seed=0)
        stages = stages_of(question, self.design.mode)
        self.replies[question.id] = {(stages[-1], ""): replies}
        self._settle(step, stages[-1], last=True)
        return True

    def _shown(self, step: Step) -> tuple[str, ...]:
        """Return the options, or rows, whose own conditions are true."""
        conditions = self.survey.shown_if.get(step.question.id, {})
        if self.design.everything:
            return step.shown
        return tuple(
            one for one in step.shown if one not in conditions or conditions[one].holds(self.given)
        )

    def take(self, question: str, replies: Mapping[AskKey, PartReply | Failure]) -> None:
        """Hear all answers of one stage of a question.

        Args:
            question: Its id.
            replies: An answer or a failure for each elementary question of the stage.
        """
        step = next(one for one in self.steps if one.question.id == question)
        own = self.replies.setdefault(question, {})
        own |= replies
        stages = stages_of(step.question, self.design.mode)
        stage = next(iter(replies))[0]
        self._settle(step, stage, last=stage == stages[-1])

    def _settle(self, step: Step, stage: Stage, *, last: bool) -> None:
        if (given := self._settled(step, stage, last=last)) is not None:
            self.given[step.question.id] = given
            if self.design.memory and given.text:
                self._remembered.append((self._wording(step).text(step.question), given.text))

    def _asks(self, step: Step) -> list[Ask]:
        own = self.replies.get(step.question.id, {})
        done = [stage for stage, _ in own]
        stages = stages_of(step.question, self.design.mode)
        stage: Stage = next(one for one in stages if one not in done)
        said = {
            item: " ".join(str(one.action).split())
            for (earlier, item), one in own.items()
            if earlier == "say" and isinstance(one, PartReply)
        }
        shown = self.shown.setdefault(step.question.id, self._shown(step))
        return self._wording(step).asks(step.question, shown, stage, said)

    def _wording(self, step: Step) -> Wording:
        return Wording(
            respondent=self.respondent,
            before=(self.survey.instruction, step.section.text, *self._read(step)),
            memory=self._remembered,
            given=self.given,
        )

    def _needs(self, step: Step) -> frozenset[str]:
        question = step.question.id
        passages = self._passages(step)
        expressions = [
            *self.survey.conditions[question],
            *self.survey.shown_if.get(question, {}).values(),
            *(parse(one.show_if) for one in passages if one.show_if.strip()),
        ]
        looked_at = {name for expression in expressions for name in expression.questions}
        read = {name for one in passages for name in mentioned(one.text)}
        return self._piped(step) | looked_at | read

    def _passages(self, step: Step) -> list[Passage]:
        """Return the texts of a section that stand before a question, whatever their conditions."""
        if not step.section.passages:
            return []
        order = [question.id for question in step.section.questions]
        place = order.index(step.question.id)
        return [
            one
            for one in step.section.passages
            if not one.before or order.index(one.before) <= place
        ]

    def _read(self, step: Step) -> list[str]:
        """Return the texts that a respondent has read in a section, up to a question."""
        return [
            one.text
            for one in self._passages(step)
            if (not one.show_if.strip() or parse(one.show_if).holds(self.given))
            and all(self.given[name].text for name in mentioned(one.text))
        ]

    def _piped(self, step: Step) -> frozenset[str]:
        question = step.question
        return mentioned(f"{step.section.text}\n{question.instruction}\n{question.text}")

    def _skip_reason(self, step: Step) -> str:
        for expression in self.survey.conditions[step.question.id]:
            if not expression.holds(self.given):
                return f"show_if {expression.text!r} is false"
        for name in sorted(self._piped(step)):
            if not self.given[name].text:
                return f"its text needs the answer to {name!r}, which is missing"
        if step.shown and not self._shown(step):
            return "none of its options is shown: the conditions of all of them are false"
        return ""

    def _settled(self, step: Step, stage: Stage, *, last: bool) -> GivenAnswer | None:
        """Return what came of a question; None while another stage is to come."""
        question = step.question
        own = self.replies[question.id]
        lost = [one.message for one in own.values() if isinstance(one, Failure)]
        found = {
            item: one
            for (at, item), one in own.items()
            if at == stage and isinstance(one, PartReply)
        }
        if not found:
            return GivenAnswer(state="failed", reason="; ".join(lost), kind=question.type)
        first = next(iter(found.values())).action
        if stage == "gate" and first != GIVES_AN_ANSWER:
            return GivenAnswer(state="refused", label=str(first), kind=question.type)
        if not last:
            return None
        if "" in found and first in question.refusal:
            return GivenAnswer(state="refused", label=str(first), kind=question.type)
        values = values_of(
            question,
            found,
            shown=self.shown[question.id],
            decision=self.design.decision,
            seed=found[next(iter(found))].seed,
        )
        codes = {
            label: float(code)
            for label, code in codes_of(question).items()
            if label not in question.refusal
        }
        return GivenAnswer(state="answered", items=values, codes=codes, kind=question.type)
