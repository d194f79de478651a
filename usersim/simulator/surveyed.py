"""The pool's weights from a survey that people really answered, and what they are worth.

The survey is walked with the people's own answers, so that each question stands there in the words,
and under the conditions, in which their simulation met it. The weights are fitted on all of the
answers; how good they are is measured on people that they were not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from usersim.errors import EvaluationError
from usersim.simulator.calibrating import FOLDS, calibrate_on
from usersim.simulator.calibration import BEFORE, POOL, Calibration
from usersim.simulator.respondents import StoreRespondents
from usersim.survey import Ask, PartReply, Survey, column_of, conduct
from usersim.survey.comparison import fit_rows
from usersim.survey.elicitation import GIVES_AN_ANSWER
from usersim.survey.estimates import AnswerTable, Item, SurveyFit, survey_fit
from usersim.survey.reduction import Decision
from usersim.survey.samples import HumanAnswers
from usersim.types import Choice, Failure, Interaction, Scale, content_key, is_closed
from usersim.types.counting import counted
from usersim.views import Progress, in_words, printed, show_progress

__all__ = ["SurveyCalibration", "calibrate_on_survey"]

FEWEST_PEOPLE = FOLDS
"""With fewer, nobody would be left to measure the weights on."""


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyCalibration:
    """Weights that were fitted on people's answers to a survey, and how much they help.

    Attributes:
        calibration: The weights, and every predictor on people they were not fitted on.
        before: Fit of the predicted shares with the weights of no calibration.
        after: The same with weights fitted on the other people only.
        people: Whose answers were used.
        answers: How many.
        known: Answers that were left out, since the store has this person's answer to the same
            question: it would stand in the prompt.
        unknown: People of the sample who are not in the store.
    """

    calibration: Calibration
    before: SurveyFit
    after: SurveyFit
    people: int
    answers: int
    known: int
    unknown: int

    def to_dict(self) -> dict[str, object]:
        """Return the weights, and the fits before and after, as plain data."""
        fits = {"before": self.before, "after": self.after}
        pool = self.calibration.pool
        return {
            "people": self.people,
            "answers": self.answers,
            "known": self.known,
            "not_in_store": self.unknown,
            "simulator": self.calibration.simulator,
            "weights": {
                name: dict(own.weights) for name, own in pool.groups.items() if own.answers
            },
            "log_score": {
                name: one.interval.value
                for name in (BEFORE, POOL)
                if (one := self.calibration.evaluation.estimate(name, "log_score")) is not None
            },
            **{
                name: {
                    "total_variation": fit.total_variation.value,
                    "total_variation_low": fit.total_variation.low,
                    "total_variation_high": fit.total_variation.high,
                    "entropy_ratio": fit.entropy_ratio.value,
                    "items": fit_rows(fit),
                }
                for name, fit in fits.items()
            },
        }

    def __str__(self) -> str:
        """Say it in a few lines."""
        answers = counted(self.answers, "closed answer")
        people = counted(self.people, "person", "people")
        said = (
            f"calibrated on {answers} of {people}; each person is predicted with weights that were "
            "fitted on the others"
        )
        lines = [said]
        lines.append(
            f"total variation of the shares before {self.before.total_variation}, after "
            f"{self.after.total_variation}; between halves of these people {self.after.floor:.3f}"
        )
        lines.append(
            f"entropy ratio before {self.before.entropy_ratio}, after {self.after.entropy_ratio}"
        )
        if self.known:
            lines.append(
                f"left out: {counted(self.known, 'answer')} to questions that the store has the "
                "person's own answer to"
            )
        if self.unknown:
            whose = counted(self.unknown, "person", "people")
            lines.append(f"left out: {whose} of the human sample, not in the store")
        return "\n".join(lines)


def calibrate_on_survey(
    respondents: StoreRespondents,
    survey: Survey,
    human: HumanAnswers,
    *,
    out: str | Path | None = None,
    progress: Progress | bool = True,
) -> SurveyCalibration:
    """Fit the pool on closed answers that people gave to a survey, and keep it in the store.

    Asks the model about every one of these answers. The people are those of the sample whose ids
    are in the store; nothing of the sample is stored.

    Args:
        respondents: `sim.respondents()`: who answers for them.
        survey: The instrument.
        human: What they answered; see `usersim.survey.samples.read_human`.
        out: Folder of a report with the reliability diagram; None writes none.
        progress: True shows it in a terminal and a notebook, False nowhere; a function is called
            with (stage, done, total).

    Returns:
        The weights, and their fit on people whom they were not fitted on.

    Raises:
        EvaluationError: If fewer than five of them are in the store, or none gave a closed answer.
        CorpusError: If rows came or went meanwhile.
    """
    held = set(respondents.people)
    people = [one for one in human.table.respondents if one in held]
    if len(people) < FEWEST_PEOPLE:
        raise EvaluationError(
            f"{len(people)} of {len(human.table.respondents)} people of the human sample are in "
            f"the store; a calibration needs {FEWEST_PEOPLE}, so that its fit is measured on "
            "people it was not fitted on",
            hint="their ids must be those of the store; `usersim users` lists them",
        )
    asked = _Asked.of(respondents, survey, human.table, people)
    with show_progress(progress, "calibrate_on_survey()") as report:
        found = calibrate_on(
            respondents.runner.asker,
            lambda: respondents.runner.engine,
            asked.interactions,
            people,
            out=None if out is None else Path(out),
            title=f"Calibration on {survey.title!r}",
            provenance={"survey": survey.digest[:12], "people": len(people)},
            progress=report,
        )
    real = human.table.keep(people)
    return SurveyCalibration(
        calibration=found,
        before=survey_fit(real, asked.table(found, BEFORE, real), by="probabilities"),
        after=survey_fit(real, asked.table(found, POOL, real), by="probabilities"),
        people=len({one.user_id for one in asked.interactions}),
        answers=len(asked.interactions),
        known=asked.known,
        unknown=len(human.table.respondents) - len(people),
    )


@dataclass(slots=True)
class _Asked:
    """People who answer what they really answered; what they were asked is kept.

    Attributes:
        people: Their ids.
        seed: Of the orders in which things are shown: that of their simulation.
        interactions: Their closed answers, each in the words in which it was asked.
        columns: Column of each of these answers, by its key.
        known: Answers that are left out, since the store has them.
    """

    people: Sequence[str]
    seed: int
    _answers: Mapping[tuple[str, str, str], str | float]
    _asked_before: Mapping[str, frozenset[str]]
    _positions: Mapping[str, int]
    _survey: Survey
    interactions: list[Interaction] = field(default_factory=list[Interaction])
    columns: dict[str, str] = field(default_factory=dict[str, str])
    known: int = 0

    @classmethod
    def of(
        cls,
        respondents: StoreRespondents,
        survey: Survey,
        table: AnswerTable,
        people: Sequence[str],
    ) -> _Asked:
        """Walk everybody through the survey with their own answers."""
        corpus = respondents.runner.corpus
        past = {person: list(corpus.history(person)) for person in people}
        made = cls(
            people=people,
            seed=respondents.seed,
            _answers=_answers(survey, table, people),
            _asked_before={
                p: frozenset(one.question.key for one in own) for p, own in past.items()
            },
            _positions={person: len(own) for person, own in past.items()},
            _survey=survey,
        )
        conduct(survey, made)
        return made

    @property
    def decision(self) -> Decision:
        return "likeliest"

    @property
    def provenance(self) -> Mapping[str, JsonValue]:
        return {}

    def names(self, survey: str, waves: int) -> Sequence[str]:  # noqa: ARG002 - nothing is kept
        return ()

    def ask_many(
        self,
        asks: Sequence[Ask],
        *,
        survey: str,  # noqa: ARG002 - nothing is kept
        wave: int,  # noqa: ARG002
        progress: Progress | None,  # noqa: ARG002 - it takes a moment
    ) -> list[PartReply | Failure]:
        return [self._answer(place, ask) for place, ask in enumerate(asks)]

    def _answer(self, place: int, ask: Ask) -> PartReply | Failure:
        question = self._survey.question(ask.question)
        if question.type in {"ranking", "budget"}:
            return self._weighed(place, ask)
        value = self._answers.get((ask.respondent, ask.question, ask.item))
        if ask.stage == "gate":
            own = (self._answers.get((ask.respondent, ask.question, one)) for one in question.items)
            given = any(one is not None for one in own)
            return _said(GIVES_AN_ANSWER) if given else _unanswered(place, ask)
        if value is None:
            return _unanswered(place, ask)
        if is_closed(ask.asked.space):
            self._keep(ask, str(value))
        return _said(value)

    def _weighed(self, place: int, ask: Ask) -> PartReply | Failure:
        """Return ranks or amounts as worths, for later texts: nobody was asked for one option."""
        question = self._survey.question(ask.question)
        given = {
            item: float(value)
            for item in question.items
            if (value := self._answers.get((ask.respondent, ask.question, item))) is not None
        }
        if not given:
            return _unanswered(place, ask)
        if ask.stage == "gate":
            return _said(GIVES_AN_ANSWER)
        ranked = question.type == "ranking"
        worths = {item: 1 / value if ranked else value for item, value in given.items()}
        total = sum(worths.values()) or 1.0
        shares = {item: worths.get(item, 0.0) / total for item in question.items}
        first = max(shares, key=shares.__getitem__)
        return PartReply(action=first, probabilities=shares, traces=(), seed=0)

    def _keep(self, ask: Ask, value: str) -> None:
        if ask.asked.key in self._asked_before[ask.respondent]:
            self.known += 1
            return
        key = content_key(
            "survey answer", self._survey.digest, ask.respondent, ask.question, ask.item
        )
        question = self._survey.question(ask.question)
        self.columns[key] = column_of(question, ask.item)
        self.interactions.append(
            Interaction(
                key=key,
                user_id=ask.respondent,
                # After everything that the store has of them, which is what may be shown.
                position=self._positions[ask.respondent],
                context=ask.asked.context,
                action=value,
                space=ask.asked.space,
                conversation=content_key("survey", self._survey.digest, ask.respondent),
                split="held_out",
            )
        )

    def table(self, found: Calibration, arm: str, real: AnswerTable) -> AnswerTable:
        """Return what one arm predicted, as a table of these people."""
        said: dict[str, dict[str, Mapping[str, float]]] = {one: {} for one in real.respondents}
        pairs = zip(found.evaluation.interactions, found.evaluation.predictions[arm], strict=True)
        for one, prediction in pairs:
            said[one.user_id][self.columns[one.key]] = prediction.probabilities or {}
        items = {item.key: item for item in real.items}
        likeliest = {
            person: [{column: _space(items[column]).likeliest(p) for column, p in own.items()}]
            for person, own in said.items()
        }
        return AnswerTable.of(real.items, likeliest, probabilities=said, simulated=True)


def _space(item: Item) -> Choice | Scale:
    return Scale(item.options) if item.ordered else Choice(item.options)


def _answers(
    survey: Survey, table: AnswerTable, people: Sequence[str]
) -> dict[tuple[str, str, str], str | float]:
    """Return what people answered, by person, question and item."""
    rows = {person: row for row, person in enumerate(table.respondents)}
    places = {item.key: place for place, item in enumerate(table.items)}
    found: dict[tuple[str, str, str], str | float] = {}
    for question in survey.all_questions:
        for item in question.items:
            place = places.get(column_of(question, item))
            if place is None:
                continue
            options = table.items[place].options
            for person in people:
                value = float(table.values[0, rows[person], place])
                if np.isfinite(value):
                    own = options[int(value)] if options else value
                    found[person, question.id, item] = own
    return found


def _said(value: str | float) -> PartReply:
    sure = {value: 1.0} if isinstance(value, str) else {}
    return PartReply(action=value, probabilities=sure, traces=(), seed=0)


def _unanswered(place: int, ask: Ask) -> Failure:
    return Failure(
        index=place, item=ask.respondent, error="NoAnswer", message="no answer in the human sample"
    )
