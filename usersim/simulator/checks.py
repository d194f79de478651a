"""Checks beside the figures: whether answers follow their reasoning, and what a judge says.

Knows finished evaluations; trains and predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim.engines import Engine
from usersim.evaluation import (
    Evaluation,
    Faithfulness,
    Judgment,
    PairJudge,
    Section,
    check_judge,
    faithfulness_index,
)
from usersim.views import Progress, staged

__all__ = ["check_sections", "faithfulness_of", "judgments_of", "refuse_selector"]


def faithfulness_of(
    evaluation: Evaluation, *, own: str, swapped: str, none: str
) -> Faithfulness | None:
    """Return how much of what the own traces give is lost with another context's.

    Items without an own trace, or of people who were asked once, are left out.

    Args:
        evaluation: Holds the three arms.
        own: The arm that answers after its own traces.
        swapped: The arm that answers after those of another context of the same person.
        none: The arm that answers without.

    Returns:
        The index; None if an arm was not measured or no item is left.
    """
    if not {own, swapped, none} <= set(evaluation.predictions):
        return None
    arms = [evaluation.predictions[name] for name in (own, swapped, none)]
    rows: list[tuple[float, ...]] = []
    users: list[str] = []
    conversations: list[str] = []
    for interaction, *made in zip(evaluation.interactions, *arms, strict=True):
        values = [one.log_likelihood for one in made]
        told = made[0].detail.get("reasonings") and made[1].detail.get("donor")
        if told and None not in values:
            rows.append(tuple(float(value) for value in values if value is not None))
            users.append(interaction.user_id)
            conversations.append(interaction.conversation)
    if not rows:
        return None
    first, second, third = zip(*rows, strict=True)
    return faithfulness_index(first, second, third, users=users, conversations=conversations)


def refuse_selector(judge: Engine, ranked_by: Engine | None, scorer: str) -> list[str]:
    """Return who selected the traces by taste; refuse a judge that did.

    Args:
        judge: Is to compare the arms.
        ranked_by: Ranked the traces, where a judge did.
        scorer: How it scored; only `judge_listwise` is a taste.

    Raises:
        EvaluationError: If the judge is the selector.
    """
    selected_by = [ranked_by.identity] if ranked_by and scorer == "judge_listwise" else []
    check_judge(judge.identity, selected_by)
    return selected_by


def judgments_of(
    evaluation: Evaluation,
    judge: Engine,
    *,
    selected_by: Sequence[str],
    progress: Progress | None,
) -> tuple[Judgment, ...]:
    """Let a judge compare the drawn answers of each arm with those of the baseline.

    Arms that write nothing are left out.

    Args:
        evaluation: Holds the answers.
        judge: A language model that did not select the traces.
        selected_by: Identities of the engines whose taste did.
        progress: Called with (stage, done, total).
    """
    asked = PairJudge(engine=judge, selected_by=selected_by)
    found: list[Judgment] = []
    for name, made in evaluation.predictions.items():
        if name != evaluation.baseline and any(one.action for one in made):
            judged = staged(f"judge {name}", progress)
            found.append(asked.compare(evaluation, name, progress=judged))
    return tuple(found)


def check_sections(
    faithfulness: Faithfulness | None, judgments: Sequence[Judgment]
) -> list[Section]:
    """Return what the report says of these checks."""
    sections: list[Section] = []
    if faithfulness is not None:
        sections.append(
            Section(
                heading="Does the answer follow its reasoning?",
                paragraphs=(_SWAPPED, f"{faithfulness}"),
            )
        )
    if judgments:
        sections.append(
            Section(
                heading="What a judge says",
                paragraphs=(_JUDGED,),
                columns=_COLUMNS,
                rows=tuple(_row(one) for one in judgments),
            )
        )
    return sections


_SWAPPED = "U is the cost of replacing an answer's own trace by one of another context, as a share "
"of the own trace's gain: 0 if any trace does as well, 1 if another trace is worth no more than "
"none. It is undefined if the own traces have no gain distinguishable from 0."
_JUDGED = (
    "A language model compared the drawn answers with what the person said, in both orders. A "
    "pair is won only if both orders say so. Judges have preferences of their own; rely on the "
    "likelihoods above first."
)
_COLUMNS = (
    "Arm",
    "Against",
    "Wins",
    "Agrees in the other order",
    "Chose the first place",
    "Unreadable",
)


def _row(one: Judgment) -> tuple[str, ...]:
    figures = (one.win_rate.all, one.agreement, one.first_place)
    unreadable = f"{one.n_unreadable} of {one.n_judged}"
    return (one.arm, one.baseline, *(str(figure) for figure in figures), unreadable)
