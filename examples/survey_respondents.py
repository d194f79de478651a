"""Many people, closed questions: one batch, one table.

    python examples/survey_respondents.py [MODEL]

Needs pandas: pip install "usersim-recon[report]".
"""

from __future__ import annotations

import sys

from usersim import Choice, Message, Question, Scale, UserSimulator
from usersim.simulation import to_frame

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


def main(model: str = "embedded") -> None:
    """Put two new questions to everybody; a seed reproduces every answer."""
    questions = [
        Question((Message("I keep lists."),), Scale(AGREEMENT)),
        Question((Message("Mountains or sea?"),), Choice(("mountains", "sea"))),
    ]
    with UserSimulator.from_corpus(rows(), model=model, config="tiny") as sim:
        asked = [(person, question) for person in sim.users for question in questions]
        people = [person for person, _ in asked]
        contexts = [question for _, question in asked]
        batch = sim.respond_many(contexts, user_id=people, seed=7)
        again = sim.respond_many(contexts, user_id=people, seed=7)
    for (person, question), answer in zip(asked, batch.items, strict=True):
        if answer is not None:
            chance = answer.probabilities[str(answer.action)]
            said = f"{answer.action_text} ({chance:.2f})"
            print(f"{person:6} {question.context[-1].content:18} {said}")
    for failure in batch.failures:  # one item's failure is data, not the end of the batch
        print(f"no answer: {failure.message}")
    same = [answer.action for answer in batch] == [answer.action for answer in again]
    print(to_frame(batch).groupby("action").size().to_string())
    print(f"the same seed gives the same answers: {same}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
