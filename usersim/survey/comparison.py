"""One survey to people and to their simulation: how near the answers come, item by item.

The figures are those of `usersim.survey.estimates.survey_fit`; what is named beside them is who
answered, how many, and what could not be compared. Asks nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from usersim.evaluation.bootstrap import Interval
from usersim.survey.estimates import AnswerTable, CountBy, ItemFit, SurveyFit, survey_fit
from usersim.survey.estimates.fit import LEAST_PEOPLE
from usersim.survey.samples import HumanAnswers, HumanSample, read_human, table_of
from usersim.survey.survey import SurveyResults
from usersim.types.counting import counted
from usersim.views import Sheet, printed

__all__ = ["SurveyComparison", "compare_survey", "fit_rows"]

NOTHING = "–"
_FIGURES = ("total_variation", "wasserstein", "entropy_ratio")

Groups = Mapping[str, Mapping[str, str]]


def _told(row: Mapping[str, object], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if row[name] is None:
        return NOTHING
    ends = "" if low is None or high is None else f" [{_plain(low)}, {_plain(high)}]"
    return f"{_plain(row[name])}{ends}"


def _plain(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) and math.isfinite(value) else NOTHING


@printed(lambda one: one.sheet())
@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyComparison:
    """Simulated answers to a survey beside human ones.

    Attributes:
        fit: Every figure, item by item and in all.
        simulated: What was simulated, as a table.
        human: What people answered, and how much of their table that is.
        shared: People who are among the humans and among the simulated.
        answered_by: What answered, in words, one entry for each file that says so differently.
        by: How simulated answers were counted.
        left_out: Columns that were not compared, and why.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> people = ("ada", "bo", "cy", "di", "ed")
        >>> answers = [SurveyResponse(respondent=p, question="tea", value="yes") for p in people]
        >>> simulated = SurveyResults(
        ...     survey=survey, people=people, responses=tuple(answers), seed=0
        ... )
        >>> found = compare_survey(simulated, {p: {"tea": "no", "age": 40} for p in people})
        >>> found.shared, found.human.matched, found.human.unmatched
        (5, ('tea',), ('age',))
    """

    fit: SurveyFit
    simulated: AnswerTable
    human: HumanAnswers
    shared: int
    answered_by: tuple[str, ...]
    by: CountBy
    left_out: Mapping[str, str]

    def sheet(self) -> Sheet:
        """Return a row per item, and below it what holds of all of them."""
        rows = [
            (
                str(row["item"]),
                str(row["n_simulated"]),
                str(row["n_human"]),
                _told(row, "total_variation"),
                _plain(row["between_halves"]),
                _told(row, "wasserstein"),
                _told(row, "entropy_ratio"),
            )
            for row in fit_rows(self.fit)
        ]
        return Sheet(
            title="Simulated answers beside human ones",
            columns=(
                "item",
                "n simulated",
                "n humans",
                "total variation",
                "between halves of the humans",
                "Wasserstein-1",
                "entropy ratio",
            ),
            rows=rows,
            notes=tuple(self.notes()),
        )

    def notes(self) -> Iterator[str]:
        """Yield what stands below the table: in all, between groups, who answered, what is missing.

        Each is a line.
        """
        fit = self.fit
        yield (
            f"in all: total variation {fit.total_variation}, between halves of the humans "
            f"{fit.floor:.3f}; score {fit.score} of 100; entropy ratio {fit.entropy_ratio}"
        )
        if fit.correlation is not None:
            one = fit.correlation
            yield (
                f"correlations of {counted(one.n_pairs, 'pair')} of items: off by {one.gap}, "
                f"between halves of the humans {_plain(one.floor)}; strength "
                f"{_plain(one.strength)} of the humans'"
            )
        for group in fit.groups:
            people = counted(group.n_human, "person", "people")
            yield (
                f"{group.attribute} {group.category}: total variation {group.total_variation:.3f}, "
                f"between halves {_plain(group.floor)} ({people})"
            )
        yield (
            f"{counted(len(self.simulated.respondents), 'simulated respondent')}, "
            f"{counted(self.simulated.values.shape[0], 'draw')} each, {self.shared} of them among "
            f"the humans; counted by {self.by}"
        )
        yield f"answered by: {'; '.join(self.answered_by) or 'not said in the file of answers'}"
        yield from str(self.human).splitlines()
        yield from (f"{column}: {reason}" for column, reason in self.left_out.items())

    def to_dict(self) -> dict[str, object]:
        """Return every figure as plain data; None where there is none."""
        fit, cor = self.fit, self.fit.correlation
        return {
            "items": fit_rows(fit),
            **_interval("total_variation", fit.total_variation),
            **_interval("score", fit.score),
            **_interval("entropy_ratio", fit.entropy_ratio),
            "between_halves": _finite(fit.floor),
            "same_again": _finite(fit.same_again),
            "correlation": None
            if cor is None
            else {
                **_interval("gap", cor.gap),
                "between_halves": _finite(cor.floor),
                "strength": _finite(cor.strength),
                "pairs": cor.n_pairs,
            },
            "groups": [
                {
                    "attribute": one.attribute,
                    "category": one.category,
                    "n_human": one.n_human,
                    "total_variation": _finite(one.total_variation),
                    "between_halves": _finite(one.floor),
                }
                for one in fit.groups
            ],
            "n_simulated": len(self.simulated.respondents),
            "draws": self.simulated.values.shape[0],
            "n_human": len(self.human.table.respondents),
            "n_shared": self.shared,
            "counted_by": self.by,
            "answered_by": list(self.answered_by),
            "not_in_survey": list(self.human.unmatched),
            "left_out": dict(self.left_out),
        }


def fit_rows(fit: SurveyFit) -> list[dict[str, object]]:
    """Return one flat row per item: its figures with their intervals, None where there is none."""
    return [_row(one) for one in fit.items]


def _row(one: ItemFit) -> dict[str, object]:
    told = one.distances
    row: dict[str, object] = {
        "item": one.item.key,
        "text": one.item.text,
        "n_simulated": one.n_simulated,
        "n_human": one.n_human,
    }
    for name in _FIGURES:
        row |= _interval(name, one.intervals[name])
    return {
        **row,
        "between_halves": _finite(told.floor),
        "jensen_shannon": _finite(told.jensen_shannon),
        "score": _finite(told.score),
        "same_again": _finite(one.same_again),
        "simulated": list(one.simulated),
        "human": list(one.human),
        "options": list(one.item.options),
    }


def _interval(name: str, one: Interval) -> dict[str, float | None]:
    return {
        name: _finite(one.value),
        f"{name}_low": _finite(one.low),
        f"{name}_high": _finite(one.high),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def compare_survey(
    results: SurveyResults | Sequence[SurveyResults],
    human_sample: HumanSample,
    *,
    groups: Groups | None = None,
    by: CountBy = "answers",
    seed: int = 0,
) -> SurveyComparison:
    """Compare simulated answers to a survey with human ones.

    Args:
        results: Of one survey; several are repeated draws.
        human_sample: What people answered: rows, or what `read_human` made of them.
        groups: Categories of people by attribute, for the gaps between groups; simulated people
            and humans are found in it by their ids.
        by: How simulated answers are counted.
        seed: Of resamples and halvings.

    Returns:
        The comparison, with everything that could not be compared.

    Raises:
        EvaluationError: If no item has answers of enough people on both sides.

    Example:
        >>> from usersim.survey import Survey, SurveyResponse, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> people = ("ada", "bo", "cy", "di", "ed")
        >>> answers = [SurveyResponse(respondent=p, question="tea", value="yes") for p in people]
        >>> simulated = SurveyResults(
        ...     survey=survey, people=people, responses=tuple(answers), seed=0
        ... )
        >>> human = {person: {"tea": "no" if person == "ada" else "yes"} for person in people}
        >>> found = compare_survey(simulated, human)
        >>> round(found.fit.items[0].distances.total_variation, 2), found.shared
        (0.2, 5)
    """
    runs = [results] if isinstance(results, SurveyResults) else list(results)
    simulated = table_of(runs, groups=groups)
    human = read_human(runs[0].survey, human_sample, groups=groups)
    fit = survey_fit(human.table, simulated, by=by, seed=seed)
    compared = {one.item.key for one in fit.items}
    told = dict.fromkeys(run.answered_by for run in runs if run.answered_by)
    return SurveyComparison(
        fit=fit,
        simulated=simulated,
        human=human,
        shared=len(set(human.table.respondents) & set(simulated.respondents)),
        answered_by=tuple(told),
        by=by,
        left_out={
            item.key: _why(human, simulated, item.key)
            for item in simulated.items
            if item.key not in compared
        },
    )


def _why(human: HumanAnswers, simulated: AnswerTable, key: str) -> str:
    """Return why an item was not compared."""
    if not simulated.item(key).options:
        return "not compared: a number; `usersim survey estimate --human` shows both means"
    if key in human.absent:
        return "not compared: the human sample has no such column"
    n_simulated, n_human = (int(t.answered(key).sum()) for t in (simulated, human.table))
    return (
        f"not compared: {n_simulated} simulated and {n_human} human answers; "
        f"{LEAST_PEOPLE} are needed of each"
    )
