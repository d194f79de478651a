"""The importer's promise: nothing that changes who is asked what is dropped without a note.

Attributes that it has never heard of are put into random surveys at random places, and each of them
is in the notes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.qsf import block, choices, chosen, instrument, logic, question
from usersim.survey.files import read_qsf

LAWS = settings(deadline=None, max_examples=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=4,
)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=8).map(lambda name: f"Zq{name}")
KINDS = {
    "single": lambda n: question(n, n, "One?", "MC", "SAVR", Choices=choices("a", "b")),
    "several": lambda n: question(n, n, "Some?", "MC", "MAVR", Choices=choices("a", "b", "c")),
    "scale": lambda n: question(n, n, "Rate", "Matrix", "Likert", SubSelector="SingleAnswer",
                                Choices=choices("r", "s"), Answers=choices("x", "y")),
    "grid": lambda n: question(n, n, "Which?", "Matrix", "Likert", SubSelector="MultipleAnswer",
                               Choices=choices("r", "s"), Answers=choices("x", "y")),
    "bipolar": lambda n: question(n, n, "It is", "Matrix", "Bipolar", Choices=choices("a:b"),
                                  Answers=choices("1", "2", "3")),
    "slider": lambda n: question(n, n, "How?", "Slider", "HSLIDER", Choices=choices("r", "s"),
                                 Configuration={"CSSliderMin": 0, "CSSliderMax": 9}),
    "text": lambda n: question(n, n, "Why?", "TE", "ML", Validation={"Settings": {"Type": "None"}}),
    "number": lambda n: question(n, n, "How many?", "TE", "SL", Validation={"Settings": {
        "Type": "ContentType", "ContentType": "ValidNumber", "ValidNumber": {"Min": "0"}}}),
    "ranks": lambda n: question(n, n, "Rank", "RO", "DND", Choices=choices("a", "b", "c")),
    "sum": lambda n: question(n, n, "Spend", "CS", "VRTL", Choices=choices("a", "b"),
                              Validation={"Settings": {"Type": "ChoicesTotal",
                                                       "ChoiceTotal": "50"}}),
    "words": lambda n: question(n, n, "A text.", "DB", "TB"),
    "beside": lambda n: question(n, n, "Both", "SBS", "SBSMatrix", Choices=choices("r", "s"),
                                 AdditionalQuestions={"1": {
                                     "QuestionText": "C", "QuestionType": "Matrix",
                                     "Selector": "Likert", "SubSelector": "SingleAnswer",
                                     "Answers": choices("x", "y")}}),
}  # fmt: skip


@st.composite
def surveys(draw: st.DrawFn) -> dict[str, object]:
    """A survey of random questions, in blocks, some under conditions and with skips."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=6))
    questions = [KINDS["single"]("QID0")]
    for place, kind in enumerate(kinds, start=1):
        one = KINDS[kind](f"QID{place}")
        if draw(st.booleans()):
            one["Payload"]["DisplayLogic"] = logic(chosen("QID0", "1"))
        questions.append(one)
    cut = draw(st.integers(1, len(questions)))
    ids = [one["PrimaryAttribute"] for one in questions]
    blocks = [block("BL_1", *ids[:cut]), block("BL_2", *ids[cut:])]
    if draw(st.booleans()):
        blocks[0]["BlockElements"][0]["SkipLogic"] = [{
            "Locator": "q://QID0/SelectableChoice/2", "Condition": "Selected",
            "SkipToDestination": "ENDOFBLOCK"}]  # fmt: skip
    flow: list[dict[str, object]] = [{"Type": "Block", "ID": "BL_1", "FlowID": "FL_1"}]
    second: dict[str, object] = {"Type": "Block", "ID": "BL_2", "FlowID": "FL_2"}
    if draw(st.booleans()):
        second = {"Type": "Branch", "FlowID": "FL_3", "Flow": [second],
                  "BranchLogic": logic(chosen("QID0", "1"))}  # fmt: skip
    flow.append(second)
    elements = [
        {"Element": "BL", "PrimaryAttribute": "Blocks", "Payload": blocks},
        {"Element": "FL", "PrimaryAttribute": "Flow", "Payload": {"Type": "Root", "Flow": flow}},
        {"Element": "SO", "PrimaryAttribute": "Options", "Payload": {"BackButton": "false"}},
        *questions,
    ]
    return {"SurveyEntry": {"SurveyName": "T"}, "SurveyElements": elements}


def objects(value: object) -> Iterator[dict[str, object]]:
    """Every JSON object in a value, itself among them, but those that hold choices by number."""
    if isinstance(value, dict):
        if not value or not all(key.isdecimal() for key in value):
            yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


@LAWS
@given(surveys(), st.data())
def test_every_attribute_that_is_not_known_is_in_the_notes(
    survey: dict[str, object], data: st.DataObject
) -> None:
    """Wherever it stands: in a question, a choice, a rule, a condition, a block, the flow."""
    spots = list(objects(survey))
    names = data.draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    for name in names:
        data.draw(st.sampled_from(spots))[name] = data.draw(JSON)
    said = "\n".join(map(str, read_qsf(json.dumps(survey).encode()).notes))
    assert [name for name in names if name not in said] == []


@LAWS
@given(surveys())
def test_a_survey_that_is_understood_has_no_notes(survey: dict[str, object]) -> None:
    """The notes hold what was lost and nothing else."""
    found = read_qsf(json.dumps(survey).encode())
    lost = [note for note in found.notes if "a text after the last question" not in note.what
            and "no question" not in note.what]  # fmt: skip
    assert lost == []


MEANINGFUL = {
    "DynamicChoices": {"Locator": "q://QID99/ChoiceGroup/SelectedChoices"},
    "DefaultChoices": {"1": {"Selected": True}},
    "GradingData": [{"ChoiceID": "1", "Grades": {"SC_1": 1}}],
    "QuestionJS": "Qualtrics.SurveyEngine.addOnload(function() { this.hideChoices(); });",
    "Language": {"DE": {"QuestionText": "Eins?"}},
    "Randomization": {"Type": "All", "TotalRandSubset": "1"},
    "RecodeValues": {"1": "7", "2": "7"},
    "AnalyzeChoices": {"2": "No"},
    "ChoiceGroups": {"cg_1": {"GroupLabel": "first", "ChoiceGroupOrder": ["1"]}},
    "InPageDisplayLogic": {"0": {}},
}


@LAWS
@given(st.sampled_from(sorted(MEANINGFUL)))
def test_known_attributes_that_cannot_be_taken_over_are_noted(name: str) -> None:
    """Each on its own leaves a note at its question."""
    survey = json.loads(instrument())
    payload = next(
        one["Payload"] for one in survey["SurveyElements"] if one.get("PrimaryAttribute") == "QID1"
    )
    before = len(read_qsf(json.dumps(survey).encode()).notes)
    payload[name] = MEANINGFUL[name]
    notes = read_qsf(json.dumps(survey).encode()).notes
    assert len(notes) > before
    assert any(note.where == "QID1 (Q1)" for note in notes)
