"""The panel of a store: everybody's answers of the train split, as one table."""

from __future__ import annotations

import numpy as np
import pytest

from usersim.corpus import Corpus
from usersim.errors import CorpusError
from usersim.types import Choice, Number, Question


def rows(people: int = 3, *, weight: object = None) -> list[dict[str, object]]:
    """Return answers to five questions and one text of each person."""
    found: list[dict[str, object]] = []
    for n in range(people):
        common = {"user_id": f"p{n}", "metadata": {"weight": weight} if weight else {}}
        found += [
            {
                **common,
                "order": i,
                "context": f"Question {i}?",
                "action": "yes" if (n + i) % 2 else "no",
                "options": ["yes", "no"],
            }
            for i in range(5)
        ]
        found.append({**common, "order": 5, "context": "Anything else?", "action": "Well."})
        found.append({**common, "order": -1, "context": "Age?", "action": 30 + n})
    return found


def test_the_panel_holds_the_train_split_alone() -> None:
    """Held-out answers and free text are not in it; every person and shared question is."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows())
        panel = corpus.panel()
        held = {i.question.key for i in corpus.interactions(["p0"], split="held_out")}
    assert panel.people == ("p0", "p1", "p2")
    assert {type(q.space) for q in panel.questions} == {Choice, Number}
    assert not held & {q.key for q in panel.questions}
    place = [q.text for q in panel.questions].index("Question 1?")
    assert panel.answers[:, place].tolist() == [0.0, 1.0, 0.0]
    age = [q.text for q in panel.questions].index("Age?")
    assert panel.answers[:, age].tolist() == [30.0, 31.0, 32.0]
    assert panel.weights.tolist() == [1.0, 1.0, 1.0]


def test_a_question_is_the_same_for_everybody() -> None:
    """Its key does not depend on who is asked; other options are another question."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows(2))
        corpus.add(
            [
                {
                    "user_id": "p9",
                    "order": n,
                    "context": f"Question {n}?",
                    "action": "no",
                    "options": ["no", "yes", "unsure"],
                }
                for n in range(3)
            ]
        )
        panel = corpus.panel()
    texts = [q.text for q in panel.questions]
    assert texts.count("Question 0?") == 2
    same = Question.of("Question 0?")
    assert Question(same.context, Choice(("yes", "no"))).key in {q.key for q in panel.questions}


def test_weights_come_from_the_metadata() -> None:
    """A field of the metadata weighs the people; one without a usable weight is named."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows(2, weight="1.5"))
        assert corpus.panel(weight="weight").weights.tolist() == [1.5, 1.5]
        corpus.add(rows(3)[-7:])
        with pytest.raises(CorpusError, match=r"'p2'.*None"):
            corpus.panel(weight="weight")


def test_rare_questions_can_be_left_out() -> None:
    """What only one person was asked predicts nobody."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows(2))
        corpus.add([{"user_id": "p0", "order": -2, "context": "Only me?", "action": 1}])
        assert "Only me?" in {q.text for q in corpus.panel().questions}
        assert "Only me?" not in {q.text for q in corpus.panel(shared_by=2).questions}


def test_nobody_has_an_empty_panel() -> None:
    """An empty store gives a panel without people, and no error."""
    with Corpus.open(":memory:") as corpus:
        panel = corpus.panel()
    assert panel.people == ()
    assert panel.answers.shape == (0, 0)
    assert not np.isnan(panel.weights).any()
