"""How an answer is elicited: what is put to the respondent, in which stages, in which words.

Two modes. `direct` scores the options after the question. `say_then_map` first draws an answer in
own words and then scores the options after that text: published comparisons of the two disagree,
so neither is assumed to be better (`usersim.simulator.compare_elicitation` measures both).
A number and an open text are drawn in either mode and recorded as `direct`.

A refusal is one more label where one of K options is chosen. Where it cannot be (a number, a
text, several options, a ranking, a budget), a first stage asks whether there is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from usersim.simulation.answer import Answer
from usersim.survey.base import Part
from usersim.survey.given import GivenAnswer, ItemValue
from usersim.survey.piping import fill
from usersim.survey.questions import (
    Matrix,
    NumberQuestion,
    OpenText,
    SurveyQuestion,
)
from usersim.survey.responses import Mode
from usersim.types import Choice, FreeText, Message, Question, is_closed

__all__ = [
    "GIVES_AN_ANSWER",
    "Ask",
    "AskKey",
    "PartReply",
    "Stage",
    "Wording",
    "map_question",
    "mode_of",
    "say_question",
    "stages_of",
]

Stage = Literal["gate", "say", "answer"]
"""Whether there is an answer; an answer in own words; the answer itself."""
AskKey = tuple[Stage, str]
"""Stage and item: what tells the elementary questions of one question apart."""

INTERVIEWER = "Interviewer"
GIVES_AN_ANSWER = "I have an answer"
_GATE = "Do you have an answer to this question? (You need not give it yet.)"
_SAY = "Answer in your own words."
_MAP = "Which of the options comes closest to that?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One elementary question to one respondent.

    Attributes:
        respondent: Who is asked.
        question: Id of the survey question.
        stage: Stage of its elicitation.
        item: Option or row; empty where the question is asked whole.
        asked: The context and what an answer may be.

    Example:
        >>> from usersim.types import Choice
        >>> asked = Question("Do you drink tea?", Choice(("yes", "no")))
        >>> ask = Ask(respondent="ada", question="tea", stage="answer", item="", asked=asked)
        >>> ask.asked.space.options
        ('yes', 'no')
    """

    respondent: str
    question: str
    stage: Stage
    item: str
    asked: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReply:
    """What came of one elementary question.

    Attributes:
        action: A label, a number or a text.
        probabilities: Of each label; empty for numbers and texts.
        traces: The reasoning drawn, the one that speaks most for the answer first.
        seed: Seed of the answer.
        reasoning_failed: Whether no drawn trace could be read, so that it came without reasoning.

    Example:
        >>> reply = PartReply(action="yes", probabilities={"yes": 0.8, "no": 0.2},
        ...                   traces=("I like tea.",), seed=7)
        >>> reply.probabilities[reply.action]
        0.8
    """

    action: ItemValue
    probabilities: Mapping[str, float]
    traces: tuple[str, ...]
    seed: int
    reasoning_failed: bool = False

    @classmethod
    def of(cls, answer: Answer) -> PartReply:
        """Return what a survey keeps of an answer."""
        action = answer.action
        assert not isinstance(action, tuple), "no single-answer question has several answers"
        return cls(
            action=action,
            probabilities=dict(answer.probabilities),
            traces=tuple(one.reasoning for one in answer.trace.drawn if one.reasoning),
            seed=answer.trace.seed,
            reasoning_failed=answer.trace.reasoning_failed,
        )


def mode_of(question: SurveyQuestion, mode: Mode) -> Mode:
    """Return how a question is elicited where `mode` is asked for."""
    return "direct" if isinstance(question, NumberQuestion | OpenText) else mode


def stages_of(question: SurveyQuestion, mode: Mode) -> tuple[Stage, ...]:
    """Return the stages of a question, in order.

    Example:
        >>> from usersim.survey import OpenText, YesNo
        >>> stages_of(YesNo(id="tea", text="Tea?"), "say_then_map")
        ('say', 'answer')
        >>> stages_of(OpenText(id="why", text="Why?", refusal=("no answer",)), "direct")
        ('gate', 'answer')
    """
    stages: list[Stage] = []
    if question.refusal and not _takes_refusals(question):
        stages.append("gate")
    if mode_of(question, mode) == "say_then_map":
        stages.append("say")
    return (*stages, "answer")


def _takes_refusals(question: SurveyQuestion) -> bool:
    """Return whether the refusals are among the labels of what is asked."""
    space = question.parts(question.options)[0].space
    return is_closed(space) and set(question.refusal) <= set(getattr(space, "options", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Puts a question into words for one respondent.

    Attributes:
        respondent: Who is asked; their own turns carry this name.
        before: Texts that stand before every question, such as a section's introduction.
        memory: Earlier questions with their answers; empty without memory.
        given: Earlier answers, for the placeholders.
    """

    respondent: str
    before: tuple[str, ...]
    memory: Sequence[tuple[str, str]]
    given: Mapping[str, GivenAnswer]

    def text(self, question: SurveyQuestion) -> str:
        """Return the question as the memory keeps it: without instructions."""
        return fill(question.text, self.given)

    def asks(
        self,
        question: SurveyQuestion,
        shown: Sequence[str],
        stage: Stage,
        said: Mapping[str, str],
    ) -> list[Ask]:
        """Return the elementary questions of one stage.

        Args:
            question: The survey question.
            shown: Its options (of a matrix: rows) in this respondent's order.
            stage: Which stage.
            said: What was answered in own words, by item; a row of a matrix for which no words
                were found is not mapped.
        """
        parts = question.parts(shown)
        if stage == "gate":
            parts = (Part(text=_GATE, space=Choice((GIVES_AN_ANSWER, *question.refusal))),)
        elif stage == "say":
            parts = tuple(
                Part(item=item, text=item, space=FreeText()) for item in _said(question, shown)
            )
        elif said:
            parts = tuple(part for part in parts if said.keys() & {part.item, ""})
        return [
            Ask(
                respondent=self.respondent,
                question=question.id,
                stage=stage,
                item=part.item,
                asked=Question(self._context(question, part, stage, said), part.space),
            )
            for part in parts
        ]

    def _context(
        self, question: SurveyQuestion, part: Part, stage: Stage, said: Mapping[str, str]
    ) -> tuple[Message, ...]:
        head = [fill(text, self.given) for text in (*self.before, question.instruction)]
        whole = [*head, self.text(question)]
        turns = [text for pair in self.memory for text in pair]
        if stage == "say":
            turns.append(_joined(*whole, part.text, _SAY))
        elif stage == "answer" and said:
            row = part.item if isinstance(question, Matrix) else ""
            turns += [_joined(*whole, row, _SAY), said.get(part.item) or said[""]]
            turns.append(_MAP if row or not part.text else part.text)
        else:
            turns.append(_joined(*whole, part.text))
        if len(turns) == 1:
            return (Message(turns[0]),)
        return tuple(
            _own(self.respondent, text) if place % 2 else _interviewer(text)
            for place, text in enumerate(turns)
        )


def say_question(asked: Question) -> Question:
    """Return an observed closed question, to be answered in own words first."""
    *before, last = asked.context
    return Question((*before, replace(last, content=_joined(last.content, _SAY))))


def map_question(asked: Question, respondent: str, said: str) -> Question:
    """Return an observed closed question after what was answered to it in own words.

    Args:
        asked: The question.
        respondent: Whose words they are.
        said: The words; kept on one line.
    """
    words = _own(respondent, " ".join(said.split()))
    return Question((*say_question(asked).context, words, _interviewer(_MAP)), asked.space)


def _interviewer(text: str) -> Message:
    return Message(text, "assistant", INTERVIEWER)


def _own(respondent: str, text: str) -> Message:
    return Message(text, "user", respondent)


def _said(question: SurveyQuestion, shown: Sequence[str]) -> tuple[str, ...]:
    """Return the items that are answered in own words: the rows of a matrix, else one."""
    rows = [row for row in question.items if row in shown]
    return tuple(rows) if isinstance(question, Matrix) else ("",)


def _joined(*texts: str) -> str:
    return "\n".join(text.strip() for text in texts if text.strip())
