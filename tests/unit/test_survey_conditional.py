"""What is shown to some respondents only: single options, rows, texts to read; codes of labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.test_survey_walk import by_id, response, run, words
from usersim.errors import SurveyError
from usersim.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    Passage,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    SurveyQuestion,
    YesNo,
    codes_of,
)
from usersim.survey.samples import human_table, items_of
from usersim.types import Choice

PETS = ("cat", "dog", "fish")
KNOWN = MultipleChoice(id="known", text="Which do you know?", options=PETS)
ONLY_KNOWN = {pet: f'selected(known, "{pet}")' for pet in PETS}


def carried(question: SurveyQuestion) -> Survey:
    """The known animals, then a question about those alone."""
    return Survey(title="Pets", questions=(KNOWN, question))


def knows(*pets: str):
    """Answers that choose these animals, and leave everything else to the panel."""
    return lambda ask: ("yes" if ask.item in pets else "no") if ask.question == "known" else None


def test_options_with_a_condition_are_shown_to_those_for_whom_it_is_true() -> None:
    """The others neither see them nor have a probability for them."""
    survey = carried(
        SingleChoice(
            id="best", text="Best?", options=(*PETS, "none"), options_if=ONLY_KNOWN,
            refusal=("don't know",),
        )
    )  # fmt: skip
    results, panel = run(survey, knows("cat", "fish"))
    (asked,) = panel.waves[1]
    assert asked.asked.space == Choice(("cat", "fish", "none", "don't know"))
    best = response(results, "best")
    assert best.shown == ("cat", "fish", "none")
    assert list(best.probabilities) == ["cat", "fish", "none", "don't know"]


def test_items_that_are_not_shown_are_skipped_and_say_why() -> None:
    """Of several options, a ranking, a budget and a matrix only the shown items are answered."""
    several = MultipleChoice(id="q", text="Own?", options=PETS, options_if=ONLY_KNOWN)
    ranking = Ranking(id="q", text="Rank", options=PETS, options_if=ONLY_KNOWN)
    budget = Budget(id="q", text="Spend", options=PETS, options_if=ONLY_KNOWN, total=10)
    matrix = Matrix(id="q", text="Rate", rows=PETS, rows_if=ONLY_KNOWN, options=("bad", "good"))
    for question in (several, ranking, budget, matrix):
        results, _ = run(carried(question), knows("cat", "fish"))
        assert response(results, "q", "dog").value is None
        assert response(results, "q", "dog").skipped == (
            "not shown: 'selected(known, \"dog\")' is false"
        )
        told = [response(results, "q", pet) for pet in ("cat", "fish")]
        assert all(one.answered and one.shown == ("cat", "fish") for one in told)
        if question is budget:
            assert sum(float(one.value or 0) for one in told) == 10


def test_rows_that_are_not_shown_are_not_asked_in_own_words_either() -> None:
    """`say_then_map` asks for words on the shown rows alone."""
    matrix = Matrix(id="q", text="Rate", rows=PETS, rows_if=ONLY_KNOWN, options=("bad", "good"))
    _, panel = run(carried(matrix), knows("dog"), mode="say_then_map")
    said = [ask.item for wave in panel.waves for ask in wave if ask.question == "q"]
    assert set(said) == {"dog"}


def test_the_only_option_shown_is_the_answer_and_none_skips_the_question() -> None:
    """Nobody is asked to choose among one; a question without an option is not asked."""
    survey = carried(SingleChoice(id="best", text="Best?", options=PETS, options_if=ONLY_KNOWN))
    results, panel = run(survey, knows("dog"))
    best = response(results, "best")
    assert (best.value, dict(best.probabilities), best.code) == ("dog", {"dog": 1.0}, 2)
    assert len(panel.waves) == 1
    results, _ = run(survey, knows())
    assert response(results, "best").skipped == (
        "none of its options is shown: the conditions of all of them are false"
    )


def test_a_single_box_is_ticked_or_not() -> None:
    """A multiple choice may have one option, and conditions hold on it."""
    consent = MultipleChoice(id="consent", text="Do you agree?", options=("I agree",))
    survey = Survey(
        title="T",
        questions=(
            consent,
            YesNo(id="smoke", text="Smoke?", show_if='selected(consent, "I agree")'),
        ),
    )
    for said, asked in (("yes", True), ("no", False)):
        results, panel = run(survey, by_id({"consent": said}))
        assert response(results, "consent", "I agree").value == said
        assert (response(results, "smoke").skipped is None) is asked
        assert words(panel.waves[0][0]) == 'Do you agree?\nDo you choose "I agree"?'


def test_a_passage_is_read_where_it_stands_and_under_its_condition() -> None:
    """It stands before its question and all later ones of its section, and nowhere else."""
    survey = Survey(
        title="T",
        sections=(
            Section(id="who", questions=(YesNo(id="student", text="Student?"),)),
            Section(
                id="fees",
                text="About fees.",
                passages=(
                    Passage(text="You pay nothing.", show_if='student == "yes"'),
                    Passage(text="You pay all, {{ student }}.", show_if='student == "no"'),
                    Passage(text="Now the last one.", before="second"),
                ),
                questions=(YesNo(id="first", text="Fair?"), YesNo(id="second", text="Really?")),
            ),
        ),
    )
    _, panel = run(survey, by_id({"student": "no"}))
    first, second = (words(ask) for ask in panel.waves[1])
    assert first == "About fees.\nYou pay all, no.\nFair?"
    assert second == "About fees.\nYou pay all, no.\nNow the last one.\nReally?"
    _, panel = run(survey)
    assert words(panel.waves[1][0]) == "About fees.\nYou pay nothing.\nFair?"


def test_a_passage_without_the_answer_it_repeats_is_not_shown() -> None:
    """Its question is asked all the same: only the text is left out."""
    survey = Survey(
        title="T",
        sections=(
            Section(
                id="s",
                questions=(
                    YesNo(id="a", text="A?"), YesNo(id="b", text="B?", show_if='a == "no"'),
                ),
            ),
            Section(
                id="t", passages=(Passage(text="You said {{ b }}."),),
                questions=(YesNo(id="c", text="C?"),),
            ),
        ),
    )  # fmt: skip
    _, panel = run(survey)
    assert words(panel.waves[1][0]) == "C?"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (Section.model_construct(id="s", questions=(KNOWN,), passages=(
            Passage(text="x", before="other"),)), "before names 'other'"),
        (Section.model_construct(id="s", questions=(KNOWN,), random_order=True, passages=(
            Passage(text="x", before="known"),)), "cannot be used where questions are shuffled"),
        (Section.model_construct(id="s", questions=(KNOWN,), passages=(
            Passage(text="{{ known }}"),)), "may not have been asked by then"),
        (Section.model_construct(id="s", questions=(
            KNOWN, Ranking(id="r", text="?", options=PETS, options_if={"cat": "r == 1"}))),
         "question 'r', 'cat': show_if 'r == 1' names 'r'"),
        (Section.model_construct(id="s", questions=(
            KNOWN, Ranking(id="r", text="?", options=PETS, options_if={"cat": "r == "}))),
         "question 'r', 'cat': expression 'r == '"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_where_it_is_needed_is_a_problem(
    section: Section, problem: str
) -> None:
    """Conditions of options and of texts are checked as those of questions are."""
    with pytest.raises(SurveyError, match=problem.replace("(", r"\(")):
        Survey(title="T", sections=(section.model_copy(update={"text": "", "show_if": ""}),))


def test_codes_of_labels_are_those_of_the_instrument() -> None:
    """Files, comparisons with numbers and means use them; refusals keep clear of them."""
    agree = LikertScale(
        id="agree", text="?", points=("agree", "neither", "disagree"), refusal=("dk", "na"),
        codes={"agree": 3, "neither": 2, "disagree": 1, "na": 99},
    )  # fmt: skip
    assert codes_of(agree) == {"agree": 3, "neither": 2, "disagree": 1, "dk": -1, "na": 99}
    survey = Survey(title="T", questions=(agree, YesNo(id="b", text="B?", show_if="agree > 2")))
    results, _ = run(survey)
    assert response(results, "agree").code == 3
    assert response(results, "b").skipped is None
    item = items_of(survey)["agree"][2]
    assert (item.options, item.codes) == (("disagree", "neither", "agree"), (1, 2, 3))
    table = human_table(survey, [{"respondent": "p", "agree": 3}, {"respondent": "q", "agree": 99}])
    assert table.shares("agree").tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        ({"a": 1}, "no number for"),
        ({"a": 1, "b": 1, "c": 2}, "twice"),
        ({"a": 1, "b": 3, "c": 2}, "rise or fall"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, "not among"),
    ],
)
def test_codes_that_do_not_tell_the_labels_apart_are_rejected(
    codes: dict[str, int], problem: str
) -> None:
    """With what is missing, doubled, unknown or out of order."""
    with pytest.raises(ValidationError, match=problem):
        LikertScale(id="q", text="?", points=("a", "b", "c"), codes=codes)


def test_the_new_fields_survive_a_file(tmp_path: Path) -> None:
    """YAML and JSON give the instrument back, with the same digest."""
    survey = Survey(
        title="T",
        sections=(
            Section(id="s", questions=(KNOWN,)),
            Section(
                id="t", passages=(Passage(text="Read this.", show_if="answered(known)"),),
                questions=(
                    SingleChoice(
                        id="best", text="?", options=PETS, options_if=ONLY_KNOWN,
                        codes={"cat": 10, "dog": 20, "fish": 30},
                    ),
                ),
            ),
        ),
    )  # fmt: skip
    for name in ("s.yaml", "s.json"):
        again = Survey.load(survey.save(tmp_path / name))
        assert again == survey
        assert again.digest == survey.digest
