"""Interview respondents: wave after wave, until every one of them is through.

In each wave everything that can be asked is asked in one batch, of all respondents together.
Without branching, piping, memory and second stages that is a single wave. Knows walks and
results; whoever answers, and where answers are kept, is behind the Protocol `Respondents`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from usersim.survey.elicitation import Ask, AskKey, PartReply, mode_of
from usersim.survey.flow import Design, Step, Walk
from usersim.survey.given import ItemValue
from usersim.survey.questions import Budget, Ranking, SurveyQuestion, codes_of
from usersim.survey.reduction import Decision
from usersim.survey.responses import SurveyFailure, SurveyResponse
from usersim.survey.sections import Instrument
from usersim.types import Failure
from usersim.views import Progress

__all__ = ["Interviews", "Respondents", "interview"]


class Respondents(Protocol):
    """People who can be asked many questions at once.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.survey import Survey, YesNo, conduct
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     respondents: Respondents = sim.respondents()
        ...     conduct(survey, respondents).people
        ('ada',)
    """

    @property
    def people(self) -> Sequence[str]:
        """Their ids, in the order of the results; no two are equal."""
        ...

    @property
    def seed(self) -> int:
        """Of every draw, and of the orders in which things are shown."""
        ...

    @property
    def decision(self) -> Decision:
        """How they choose from probabilities."""
        ...

    @property
    def provenance(self) -> Mapping[str, JsonValue]:
        """What their answers depend on besides the questions: engine, adapter, settings."""
        ...

    def ask_many(
        self, asks: Sequence[Ask], *, survey: str, wave: int, progress: Progress | None
    ) -> Sequence[PartReply | Failure]:
        """Return an answer or a failure to each question, in order.

        Args:
            asks: Of any respondents.
            survey: Identity of the survey and of how it is conducted.
            wave: Number of the batch, from 1; a repeated survey asks the same in the same wave.
            progress: Called with (stage, done, total); the stage is the wave's name.
        """
        ...

    def names(self, survey: str, waves: int) -> Sequence[str]:
        """Return the names under which so many waves are kept; none if they are not kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Interviews:
    """What came of asking everybody.

    Attributes:
        responses: By respondent, then in the instrument's order of questions and items.
        failures: What could not be answered.
        runs: Names under which the waves are kept.
    """

    responses: tuple[SurveyResponse, ...]
    failures: tuple[SurveyFailure, ...]
    runs: tuple[str, ...]


def interview(
    survey: Instrument,
    respondents: Respondents,
    design: Design,
    progress: Progress | None = None,
) -> Interviews:
    """Ask everybody everything that their way through the survey holds.

    Args:
        survey: The instrument.
        respondents: Who is asked; nobody twice.
        design: How the survey is conducted.
        progress: Called with (stage, done, total); the stage is the wave's name.
    """
    walks = [Walk(survey, person, design) for person in respondents.people]
    told = f"{survey.digest[:10]}-{design.mode}{'-memory' if design.memory else ''}"
    wave = 0
    while asks := [ask for walk in walks for ask in walk.pending()]:
        wave += 1
        answers = respondents.ask_many(asks, survey=told, wave=wave, progress=progress)
        _pass_on(walks, asks, answers)
    return Interviews(
        responses=tuple(one for walk in walks for one in _responses(walk)),
        failures=tuple(one for walk in walks for one in _failures(walk)),
        runs=tuple(respondents.names(told, wave)),
    )


def _pass_on(
    walks: Sequence[Walk], asks: Sequence[Ask], answers: Sequence[PartReply | Failure]
) -> None:
    """Pass every walk the replies to what it asked."""
    replies: dict[tuple[str, str], dict[AskKey, PartReply | Failure]] = {}
    for ask, answer in zip(asks, answers, strict=True):
        own = replies.setdefault((ask.respondent, ask.question), {})
        own[ask.stage, ask.item] = answer
    by_person = {walk.respondent: walk for walk in walks}
    for (person, question), own in replies.items():
        by_person[person].take(question, own)


def _responses(walk: Walk) -> list[SurveyResponse]:
    """Return a walk's responses in the instrument's order."""
    asked = [
        one.question.id for one in walk.steps if walk.given[one.question.id].state != "skipped"
    ]
    positions = {name: place for place, name in enumerate(asked, start=1)}
    steps = {step.question.id: step for step in walk.steps}
    return [
        _response(walk, steps[question.id], item, positions.get(question.id))
        for question in walk.survey.all_questions
        for item in question.items
    ]


def _response(walk: Walk, step: Step, item: str, position: int | None) -> SurveyResponse:
    question, given = step.question, walk.given[step.question.id]
    if given.state == "skipped":
        return SurveyResponse(
            respondent=walk.respondent,
            question=question.id,
            item=item,
            skipped=given.reason,
            mode=mode_of(question, walk.design.mode),
        )
    own = walk.replies[question.id]
    if question.items[0] and item not in walk.shown[question.id]:
        return SurveyResponse(
            respondent=walk.respondent,
            question=question.id,
            item=item,
            skipped=f"not shown: {question.shown_if[item]!r} is false",
            shown=walk.shown[question.id],
            mode=mode_of(question, walk.design.mode),
        )
    value: ItemValue | None = given.label or given.items.get(item)
    source = _reply(own, "gate" if ("answer", item) not in own and given.label else "answer", item)
    said = _reply(own, "say", item)
    failed = None
    if value is None:
        lost = [one.message for one in own.values() if isinstance(one, Failure)]
        failed = _why(own, item) or "; ".join(lost)
    return SurveyResponse(
        respondent=walk.respondent,
        question=question.id,
        item=item,
        value=value,
        code=_code(question, value),
        probabilities=_ordered(question, source),
        refused=value in question.refusal,
        failed=failed,
        shown=walk.shown[question.id],
        position=position,
        mode=mode_of(question, walk.design.mode),
        said=str(said.action) if said else None,
        traces=source.traces if source else (),
        reasoning_failed=source is not None and source.reasoning_failed,
        seed=source.seed if source else None,
    )


def _reply(own: Mapping[AskKey, PartReply | Failure], stage: str, item: str) -> PartReply | None:
    """Return the reply about an item, or about the whole question where that was asked whole."""
    for (at, name), one in own.items():
        if at == stage and name in {item, ""} and isinstance(one, PartReply):
            return one
    return None


def _why(own: Mapping[AskKey, PartReply | Failure], item: str) -> str:
    found = [
        one.message for (_, name), one in own.items() if name == item and isinstance(one, Failure)
    ]
    return "; ".join(found)


def _code(question: SurveyQuestion, value: ItemValue | None) -> float | None:
    """Return a value as a number: a label's code, a number itself, None for text."""
    return codes_of(question).get(value) if isinstance(value, str) else value


def _ordered(question: SurveyQuestion, source: PartReply | None) -> dict[str, float]:
    """Return probabilities in the instrument's order; a store sorts them by name."""
    if source is None:
        return {}
    ranked = isinstance(question, Ranking | Budget)
    labels = (*(question.options if ranked else ()), *question.labels)
    known = {one: source.probabilities[one] for one in labels if one in source.probabilities}
    return {**known, **source.probabilities}


def _failures(walk: Walk) -> list[SurveyFailure]:
    return [
        SurveyFailure(
            respondent=walk.respondent,
            question=question.id,
            item=item,
            error=one.error,
            message=one.message,
            text=one.text,
        )
        for question in walk.survey.all_questions
        for (_, item), one in walk.replies.get(question.id, {}).items()
        if isinstance(one, Failure)
    ]
