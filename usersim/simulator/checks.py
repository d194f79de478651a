"""Checks beside the figures: whether answers follow their reasoning, whether they read as real.

Knows finished evaluations; trains and predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from usersim.engines import Engine
from usersim.evaluation import (
    Evaluation,
    Faithfulness,
    Judgment,
    Marks,
    PairJudge,
    Realism,
    Section,
    check_judge,
    faithfulness_index,
)
from usersim.evaluation.realism import TRUE
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
    faithfulness: Faithfulness | None,
    judgments: Sequence[Judgment],
    realism: Sequence[Realism] = (),
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
    if realism:
        sections.append(
            Section(
                heading="Can the texts be told from what people wrote?",
                paragraphs=(_TOLD, *map(_tells, realism)),
                columns=_MARKS,
                rows=(
                    _marked(TRUE, "–", realism[0].true, "–"),
                    *(
                        _marked(one.arm, str(one.told_apart or "–"), one.drawn, f"{one.ended:.0%}")
                        for one in realism
                    ),
                ),
            )
        )
    return sections


_SWAPPED = (
    "U is the cost of replacing an answer's own trace by one of another context, as a share of "
    "the own trace's gain: 0 if any trace does as well, 1 if another trace is worth no more than "
    "none. It is undefined if the own traces have no gain distinguishable from 0."
)
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


_TOLD = (
    "A classifier learns to tell each arm's drawn texts from what people wrote at the same places, "
    "and is tried on other conversations: 0.5 if it cannot, 1 if it always can. The other columns "
    "say what the texts have: the nearer to the first row the better."
)
_MARKS = (
    "Arm",
    "Told apart",
    "Words, median",
    "Questions",
    "Polite (English)",
    "Code",
    "Links",
    "Distinct bigrams",
    "Came to an end",
)


def _marked(name: str, apart: str, marks: Marks, ended: str) -> tuple[str, ...]:
    shares = (marks.questions, marks.polite, marks.code, marks.links)
    return (
        name,
        apart,
        f"{marks.words:g}",
        *(f"{share:.0%}" for share in shares),
        f"{marks.distinct:.2f}",
        ended,
    )


def _tells(one: Realism) -> str:
    if not one.drawn_tells and not one.true_tells:
        return f"{one.arm}: nothing was learned from {one.n_items} texts."
    drawn, true = (
        ", ".join(repr(tell) for tell in tells) or "nothing"
        for tells in (one.drawn_tells, one.true_tells)
    )
    return f"{one.arm} is recognized by {drawn}; people by {true}."
