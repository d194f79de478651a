"""Items of a survey, rectified: who has both answers, who only a simulated one.

Knows answer tables; the statistics are those of `usersim.survey.estimates.rectify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray
from usersim.survey.estimates import (
    AnswerTable,
    CountBy,
    Item,
    Rectified,
    rectify_mean,
    rectify_shares,
)
from usersim.views import Sheet, printed

__all__ = ["RectifiedItem", "check_shared", "rectified"]


def _sheet(one: RectifiedItem) -> Sheet:
    names = one.item.options or ("mean",)
    return Sheet(
        title=one.item.key,
        columns=("answer", "rectified", "low", "high", "humans alone", "simulated"),
        rows=[
            (
                name,
                figure.estimate.value,
                figure.estimate.low,
                figure.estimate.high,
                str(figure.classical),
                figure.simulated,
            )
            for name, figure in zip(names, one.figures, strict=True)
        ],
        notes=[f"{one.figures[0].n_human} humans, {one.figures[0].n_simulated} simulated people"],
    )


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class RectifiedItem:
    """One item of a survey, rectified by human answers.

    Attributes:
        item: What was asked.
        figures: One per option, or the one mean of a number.

    Example:
        >>> from usersim import UserSimulator
        >>> from usersim.survey import Population, Survey, YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea now?"),))
        >>> rows = [{"user_id": f"u{n}", "context": "Tea?", "action": "Yes"} for n in range(40)]
        >>> asked = {f"u{n}": {"tea": "yes" if n % 3 else "no"} for n in range(20)}
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config="tiny") as sim:
        ...     people = Population.of(sim)
        ...     (tea,) = people.rectify(survey.run(people, progress=False), asked)
        >>> for option, figure in zip(tea.item.options, tea.figures):
        ...     print(option, figure.estimate.low <= figure.estimate.high)
        no True
        yes True
    """

    item: Item
    figures: tuple[Rectified, ...]


def rectified(
    simulated: AnswerTable,
    human: AnswerTable,
    *,
    columns: str | Sequence[str] | None = None,
    by: CountBy = "probabilities",
) -> list[RectifiedItem]:
    """Rectify items; people who are in both tables by their ids are the humans.

    Args:
        simulated: Simulated answers of everybody, with the weights of the population.
        human: Human answers of some of them.
        columns: Items, or one; None takes all that the humans answered.
        by: What is used of the simulation.

    Returns:
        One entry per item.

    Raises:
        EvaluationError: If nobody is in both, or too few answered an item.
    """
    shared = check_shared(simulated, human)
    real = human.keep(shared)
    given = [columns] if isinstance(columns, str) else columns
    chosen = given or [item.key for item in real.items if real.answered(item.key).any()]
    return [_rectified(simulated, real, column, by) for column in chosen]


def check_shared(simulated: AnswerTable, human: AnswerTable) -> list[str]:
    """Return who has real and simulated answers, in order of their ids.

    Raises:
        EvaluationError: If nobody has.
    """
    shared = sorted(set(human.respondents) & set(simulated.respondents))
    if not shared:
        raise EvaluationError(
            f"no respondent of the human sample ({human.respondents[0]!r}, …) is in the "
            f"population ({simulated.respondents[0]!r}, …)",
            hint="rectifying pairs each person's own answer with the simulated one: use the same "
            "user ids in both",
        )
    return shared


def _rectified(
    simulated: AnswerTable, human: AnswerTable, column: str, by: CountBy
) -> RectifiedItem:
    item = simulated.item(column)
    guess, truth = _rows(simulated, item, by), _rows(human, item, "answers")
    place = {person: row for row, person in enumerate(human.respondents)}
    own = np.array([place.get(person, -1) for person in simulated.respondents])
    told, answered = np.isfinite(guess.sum(axis=1)), np.isfinite(truth.sum(axis=1))
    paired = told & (own >= 0) & answered[own]
    others = told & ~paired
    rows = truth[own[paired]], guess[paired], guess[others]
    weights = {
        "human_weights": simulated.weights[paired],
        "simulated_weights": simulated.weights[others],
    }
    if item.options:
        return RectifiedItem(item=item, figures=rectify_shares(*rows, **weights))
    first, second, third = (part[:, 0] for part in rows)
    return RectifiedItem(item=item, figures=(rectify_mean(first, second, third, **weights),))


def _rows(table: AnswerTable, item: Item, by: CountBy) -> FloatArray:
    return table.mass(item.key, by=by) if item.options else table.means(item.key)[:, None]
