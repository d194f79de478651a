"""A survey of simulated respondents, in a few lines.

    python examples/survey_respondents.py [MODEL]

What is printed is a model's guess at what invented people would answer, not data about anyone.
"""

from __future__ import annotations

import sys

from usersim import Survey, UserSimulator
from usersim.survey import (
    LikertScale,
    MultipleChoice,
    Ranking,
    SingleChoice,
    SurveyResults,
)

AGREEMENT = ("disagree", "neither", "agree")
ITEMS = {
    "I like to know today what tomorrow brings.": AGREEMENT,
    "A quiet evening is a wasted evening.": AGREEMENT,
    "I finish what I begin.": AGREEMENT,
    "I talk to strangers on trains.": AGREEMENT,
    "Rules are there to be bent.": AGREEMENT,
}
ANSWERS = {
    "noor": ("agree", "disagree", "agree", "disagree", "disagree"),
    "pelle": ("disagree", "agree", "neither", "agree", "agree"),
    "sanne": ("neither", "disagree", "agree", "agree", "neither"),
}
"""Three invented people."""

SURVEY = Survey(
    title="Holidays",
    questions=(
        LikertScale(id="lists", text="I keep lists.", points=AGREEMENT),
        SingleChoice(
            id="where",
            text="Mountains or sea?",
            options=("mountains", "sea", "neither"),
            random_order=True,
            last=("neither",),
        ),
        MultipleChoice(
            id="luggage",
            text="You go to the {{ where }}. What comes along?",
            options=("books", "a tent", "friends"),
            show_if='where != "neither"',
        ),
        Ranking(id="worth", text="What matters on a journey?", options=("quiet", "food", "people")),
    ),
)


def rows() -> list[dict[str, object]]:
    """Return one row per answer."""
    return [
        {
            "user_id": person,
            "order": order,
            "context": statement,
            "action": answer,
            "action_type": "scale",
            "options": list(options),
        }
        for person, answers in ANSWERS.items()
        for order, ((statement, options), answer) in enumerate(
            zip(ITEMS.items(), answers, strict=True)
        )
    ]


def show(results: SurveyResults) -> None:
    """Print what everybody answered, with the probability of each choice."""
    for question in results.survey.all_questions:
        print(f"\n{question.id}: {question.text}")
        for one in results.responses:
            if one.question != question.id:
                continue
            chance = one.probabilities.get(str(one.value))
            said = one.skipped or one.failed or f"{one.value}"
            print(f"  {one.respondent:6} {one.item:9} {said} {f'({chance:.2f})' if chance else ''}")


def main(model: str = "embedded") -> None:
    """Ask everybody; the same call goes on where it was, and here it is through."""
    with UserSimulator.from_corpus(rows(), model=model, config="tiny") as sim:
        people = sim.respondents(seed=7)
        print(people.dry_run(SURVEY))
        results = SURVEY.run(people)
        again = SURVEY.run(people)  # found in the store: nothing is asked twice
    show(results)
    print(f"\nfailures: {len(results.failures)}")
    print(f"the same call gives the same answers: {again.responses == results.responses}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
