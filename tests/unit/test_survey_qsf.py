"""Qualtrics instruments: what is taken over, what is noted, and malformed files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.qsf import block, choices, chosen, instrument, logic, question, survey_of
from usersim.errors import SurveyFileError
from usersim.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    Ranking,
    SingleChoice,
)
from usersim.survey.files import SurveyImport, read_qsf


@pytest.fixture(scope="module")
def found() -> SurveyImport:
    """The invented instrument, imported."""
    return read_qsf(instrument(), refusals=["don't know"], scales=["Q9"])


def test_question_types_are_taken_over(found: SurveyImport) -> None:
    """Each has our type, its plain text, its options, and refusals apart."""
    survey = found.survey
    assert survey.title == "Tea & cake"
    tea = survey.question("Q1")
    assert isinstance(tea, SingleChoice)
    assert (tea.text, tea.options, tea.refusal) == (
        "Do you drink tea?", ("Yes", "No"), ("Don't know",),
    )  # fmt: skip
    which = survey.question("Q2_a")
    assert isinstance(which, MultipleChoice)
    assert which.exclusive == ("None of these",)
    assert (which.random_order, which.last) == (True, ("Other", "None of these"))
    grid = survey.question("Q3")
    assert isinstance(grid, Matrix)
    assert (grid.rows, grid.options) == (("Taste", "Price"), ("bad", "fair", "good"))
    cups = survey.question("Q4")
    assert isinstance(cups, NumberQuestion)
    assert (cups.low, cups.high, cups.integer) == (0, 20, True)
    nps = survey.question("Q6")
    assert isinstance(nps, LikertScale)
    assert (len(nps.options), nps.start) == (11, 0)
    assert isinstance(survey.question("Q7"), Ranking)
    spent = survey.question("Q8")
    assert isinstance(spent, Budget)
    assert spent.total == 50
    assert isinstance(survey.question("Q9"), LikertScale)
    assert found.ids["QID2"] == ("Q2_a",)


def test_logic_branches_and_piping_become_our_grammar(found: SurveyImport) -> None:
    """Conditions are read by the instrument's own parser when the survey is made."""
    survey = found.survey
    assert survey.question("Q2_a").show_if == 'Q1 == "Yes"'
    assert survey.question("Q3").show_if == 'selected(Q2_a, "Green") or not (Q1 == "No")'
    assert survey.question("Q5").show_if == "Q4 > 3"
    assert survey.question("Q3").text == "You said {{ Q1 }}. How good is it?"
    first, second, third, fourth = survey.sections
    assert second.show_if == 'Q1 == "Yes"'
    assert [passage.text for passage in first.passages] == ["Welcome back"]
    assert survey.random_sections
    assert [s.fixed for s in survey.sections] == [True, True, False, False]
    assert (third.random_order, fourth.random_order) == (False, True)


def test_whatever_cannot_be_taken_over_is_noted_row_by_row(found: SurveyImport) -> None:
    """Nothing is lost in silence."""
    told = {note.where: note for note in found.notes}
    assert "HeatMap" in told["QID10 (Q10)"].what
    assert "embedded data 'country'" in told["QID12 (Q12)"].what
    assert told["QID12 (Q12)"].done == "asked of everybody"
    assert "${m://FirstName}" in told["QID5 (Q5)"].what
    assert "text entry" in told["QID2 (Q2.a)"].what
    assert "WebService" in told["flow FL_5"].what
    assert "QID13" in told
    assert "10 of 11 questions" in str(found)


def test_a_condition_on_a_later_question_is_taken_away_and_noted() -> None:
    """It cannot be known by then."""
    early = question("QID1", "a", "A?", "MC", "SAVR", Choices=choices("x", "y"),
                     DisplayLogic=logic(chosen("QID2", "1")))  # fmt: skip
    late = question("QID2", "b", "B?", "MC", "SAVR", Choices=choices("x", "y"))
    found = read_qsf(survey_of(early, late))
    assert found.survey.question("a").show_if == ""
    assert "not an earlier question" in found.notes[0].what


def test_a_condition_across_shuffled_blocks_is_taken_away_and_noted() -> None:
    """The instrument's own checks find what is only wrong in some orders."""
    first = question("QID1", "a", "A?", "MC", "SAVR", Choices=choices("x", "y"))
    second = question("QID2", "b", "B ${q://QID1/ChoiceGroup/SelectedChoices}?", "MC", "SAVR",
                      Choices=choices("x", "y"),
                      DisplayLogic=logic(chosen("QID1", "1")))  # fmt: skip
    blocks = [block("BL_1", "QID1"), block("BL_2", "QID2")]
    flow = [{"Type": "BlockRandomizer", "Flow": [{"Type": "Block", "ID": b["ID"]} for b in blocks]}]
    found = read_qsf(survey_of(first, second, flow=flow, blocks=blocks))
    assert found.survey.question("b").show_if == ""
    assert "{{" not in found.survey.question("b").text
    assert any("may not have been asked" in note.what for note in found.notes)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (question("QID1", "a", "A?", "MC", "SAVR", Choices={}), "at least 2"),
        (question("QID1", "a", "A?", "MC", "SAVR", Choices=choices("x", "x")), "twice"),
        (question("QID1", "a", "A?", "Slider", "HSLIDER", Choices={}), "without rows"),
        (question("QID1", "a", "A?", "MC", "SAVR", Choices=None, ChoiceOrder=["9"]), "no such"),
    ],
)
def test_a_survey_of_unusable_questions_says_why(what: dict, reason: str) -> None:
    """The error carries the notes."""
    with pytest.raises(SurveyFileError, match=reason):
        read_qsf(survey_of(what))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1, 2]", "no SurveyElements"),
        (b'{"SurveyElements": [1, null, {"Element": "SQ"}]}', "no question"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    """With the reason, never a traceback of another library."""
    with pytest.raises(SurveyFileError, match=message):
        read_qsf(content)


def test_missing_and_huge_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read."""
    with pytest.raises(SurveyFileError, match="cannot be read"):
        read_qsf(tmp_path / "no.qsf")
    monkeypatch.setattr("usersim.survey.files.qsf.source.MOST_BYTES", 10)
    (tmp_path / "big.qsf").write_bytes(instrument())
    with pytest.raises(SurveyFileError, match="more than 10 bytes"):
        read_qsf(tmp_path / "big.qsf")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(st.data())
@settings(max_examples=100)
def test_a_file_with_anything_anywhere_is_taken_over_or_refused(data: st.DataObject) -> None:
    """Random values in random places end in a valid survey or in a typed error."""
    whole = json.loads(instrument())
    for _ in range(data.draw(st.integers(1, 4))):
        spot: object = whole
        while isinstance(spot, dict | list) and spot:
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            key = data.draw(st.sampled_from(keys))
            inner = spot[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
                spot[key] = data.draw(JSON)
                break
            spot = inner
    try:
        found = read_qsf(json.dumps(whole).encode())
    except SurveyFileError:
        return
    assert found.survey.all_questions
