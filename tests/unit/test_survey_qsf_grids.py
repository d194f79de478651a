"""Qualtrics' grids: what each row and column becomes, and where an export's columns lead."""

from __future__ import annotations

from tests.fixtures.qsf import choices, chosen, logic, question, survey_of
from tests.unit.test_survey_qsf_flow import notes
from usersim.survey import (
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    SingleChoice,
    SurveyQuestion,
)
from usersim.survey.files import SurveyImport, read_qsf


def imported(*questions: dict) -> SurveyImport:
    """A survey of these questions."""
    return read_qsf(survey_of(*questions))


def one(found: SurveyImport, name: str, kind: type[SurveyQuestion]) -> SurveyQuestion:
    """A question of a type."""
    question_ = found.survey.question(name)
    assert isinstance(question_, kind)
    return question_


def test_a_bipolar_matrix_is_a_scale_between_two_ends_per_row() -> None:
    """Rows by their numbers; numbered points keep their numbers, and conditions hold on rows."""
    views = question("QID1", "views", "The town is", "Matrix", "Bipolar",
                     Choices=choices("dirty:clean", "loud : quiet"), ChoiceOrder=[2, 1],
                     Answers=choices("1", "2", "3"), AnswerOrder=[1, 2, 3])  # fmt: skip
    more = question("QID2", "more", "More?", "TE", "SL",
                    DisplayLogic=logic(chosen("QID1", "2/3")))  # fmt: skip
    found = imported(views, more)
    scale = one(found, "views_2", LikertScale)
    assert isinstance(scale, LikertScale)
    assert (scale.text, scale.low, scale.high, scale.options) == (
        "The town is", "loud", "quiet", ("1", "2", "3"),
    )  # fmt: skip
    assert [q.id for q in found.survey.all_questions] == ["views_2", "views_1", "more"]
    assert found.survey.question("more").show_if == 'views_2 == "3"'
    assert found.columns["QID1_1"].question == "views_1"
    assert found.ids["QID1"] == ("views_2", "views_1")
    assert found.notes == ()


def test_a_bipolar_matrix_with_one_row_keeps_its_tag_and_words_their_place() -> None:
    """Points with words are labels, and the ends stand in the text."""
    views = question("QID1", "views", "Rate", "Matrix", "Bipolar", Choices=choices("bad:good"),
                     Answers=choices("very", "so so", "very much"))  # fmt: skip
    scale = one(imported(views), "views", LikertScale)
    assert isinstance(scale, LikertScale)
    assert scale.points == ("very", "so so", "very much")
    assert scale.text == "Rate\nFrom very (bad) to very much (good)."


def test_several_answers_a_row_are_a_multiple_choice_per_row() -> None:
    """Each column of an export is one option of one row; conditions name both."""
    grid = question("QID1", "use", "Which do you use?", "Matrix", "Likert",
                    SubSelector="MultipleAnswer", Choices=choices("At work", "At home"),
                    Answers={**choices("Bike", "Bus"),
                             "5": {"Display": "None", "ExclusiveAnswer": True}})  # fmt: skip
    more = question("QID2", "more", "More?", "TE", "SL",
                    DisplayLogic=logic(chosen("QID1", "2/1")))  # fmt: skip
    found = imported(grid, more)
    row = one(found, "use_2", MultipleChoice)
    assert isinstance(row, MultipleChoice)
    assert row.text == "Which do you use?\nAt home"
    assert (row.options, row.exclusive) == (("Bike", "Bus", "None"), ("None",))
    assert found.survey.question("more").show_if == 'selected(use_2, "Bike")'
    column = found.columns["QID1_1_5"]
    assert (column.question, column.item) == ("use_1", "None")
    assert found.notes == ()


def test_a_matrix_with_a_single_answer_is_a_box_per_row() -> None:
    """There is nothing to choose from but yes."""
    grid = question("QID1", "use", "Tick what is true", "Matrix", "Likert",
                    SubSelector="SingleAnswer", Choices=choices("Fast", "Cheap"),
                    Answers=choices("true"))  # fmt: skip
    row = one(imported(grid), "use_1", MultipleChoice)
    assert isinstance(row, MultipleChoice)
    assert row.options == ("true",)


def test_a_side_by_side_becomes_a_question_per_column() -> None:
    """A matrix, a multiple choice per row, a text per cell; each column's logic holds for it."""
    columns = {
        "1": {
            "QuestionText": "Like it?",
            "QuestionType": "Matrix",
            "Selector": "Likert",
            "SubSelector": "SingleAnswer",
            "Answers": choices("no", "yes"),
            "DataExportTag": "s#1",
            "DisplayLogic": logic(chosen("QID9", "1")),
        },
        "2": {
            "QuestionText": "Where?",
            "QuestionType": "Matrix",
            "Selector": "Likert",
            "SubSelector": "MultipleAnswer",
            "Answers": choices("home", "work"),
        },
        "3": {
            "QuestionText": "Why?",
            "QuestionType": "Matrix",
            "Selector": "TE",
            "SubSelector": "Short",
            "Answers": choices("Reason"),
        },
        "4": {"QuestionText": "Draw", "QuestionType": "Matrix", "Selector": "Canvas"},
    }
    tea = question("QID9", "tea", "Tea?", "MC", "SAVR", Choices=choices("Yes", "No"))
    sbs = question(
        "QID4",
        "s",
        "About drinks",
        "SBS",
        "SBSMatrix",
        Choices=choices("Tea", "Milk"),
        ChoiceOrder=["2", "1"],
        AdditionalQuestions=columns,
        NumberOfQuestions=4,
    )
    more = question("QID5", "more", "More?", "TE", "SL",
                    DisplayLogic=logic(chosen("QID4%231", "2/2")))  # fmt: skip
    found = imported(tea, sbs, more)
    grid = one(found, "s_1", Matrix)
    assert isinstance(grid, Matrix)
    assert (grid.text, grid.rows, grid.options) == (
        "About drinks\nLike it?", ("Milk", "Tea"), ("no", "yes"),
    )  # fmt: skip
    assert grid.show_if == 'tea == "Yes"'
    assert [q.id for q in found.survey.all_questions][2:6] == [
        "s_2_2", "s_2_1", "s_3_2_1", "s_3_1_1",
    ]  # fmt: skip
    assert found.survey.question("more").show_if == 'item(s_1, "Milk") == "yes"'
    assert found.columns["QID4#1_2"].item == "Milk"
    assert found.columns["QID4#2_1_2"].item == "work"
    assert found.survey.question(found.columns["QID4#3_1_1"].question).type == "open_text"
    assert notes(found) == "QID4 (s), column 4: type Matrix with selector Canvas: left out"


def test_a_slider_with_rows_is_a_number_per_row() -> None:
    """Between its ends, which stand in the text; a single row keeps the tag."""
    setup = {"CSSliderMin": 0, "CSSliderMax": 10, "NumDecimals": "0", "SnapToGrid": False}
    many = question("QID1", "warm", "How warm?", "Slider", "HSLIDER", Choices=choices("Ann", "Bo"),
                    Configuration=setup, Labels={"1": {"Display": "cold"},
                                                 "2": {"Display": "hot"}})  # fmt: skip
    single = question("QID2", "sure", "How sure?", "Slider", "HBAR",
                      Choices={"1": {"Display": "&nbsp;"}}, Configuration=setup)  # fmt: skip
    stars = question("QID3", "stars", "Stars?", "Slider", "STAR", Choices=choices("Film"),
                     Configuration={"StarCount": 5, "StarType": "discrete"})  # fmt: skip
    more = question("QID4", "more", "More?", "TE", "SL", DisplayLogic=logic(
        {"LogicType": "Question", "LeftOperand": "q://QID1/ChoiceNumericEntryValue/2",
         "Operator": "GreaterThan", "RightOperand": "5"}))  # fmt: skip
    found = imported(many, single, stars, more)
    number = one(found, "warm_2", NumberQuestion)
    assert isinstance(number, NumberQuestion)
    assert (number.text, number.low, number.high, number.integer) == (
        "How warm?\nBo\nFrom cold to hot.", 0, 10, True,
    )  # fmt: skip
    assert found.survey.question("sure").text == "How sure?"
    rated = one(found, "stars", NumberQuestion)
    assert isinstance(rated, NumberQuestion)
    assert (rated.low, rated.high) == (0, 5)
    assert found.survey.question("more").show_if == "warm_2 > 5"
    assert found.notes == ()


def test_texts_in_cells_and_forms_are_open_questions() -> None:
    """A number where the field must be one."""
    cells = question(
        "QID1",
        "stays",
        "Where were you?",
        "Matrix",
        "TE",
        SubSelector="Long",
        Choices=choices("First", "Second"),
        Answers=choices("Country", "Months"),
    )
    form = question(
        "QID2",
        "you",
        "About you",
        "TE",
        "FORM",
        Choices={
            "1": {"Display": "Street", "TextEntry": "on"},
            "4": {"Display": "Age", "TextEntry": "on", "TextEntryValidation": "ValidNumber"},
        },
    )
    found = imported(cells, form)
    assert isinstance(found.survey.question("stays_2_1"), OpenText)
    assert found.survey.question("stays_2_1").text == "Where were you?\nSecond\nCountry"
    assert isinstance(found.survey.question("you_4"), NumberQuestion)
    assert found.columns["QID1_2_1"].question == "stays_2_1"
    assert found.columns["QID2_4"].question == "you_4"
    assert found.notes == ()


def test_a_drill_down_is_a_choice_per_level() -> None:
    """What can be chosen below depends on what was chosen above."""
    where = question("QID1", "where", "Where?", "DD", "DL", Choices=choices("Country", "Town"),
                     Answers=choices("France ~ Lyon", "France ~ Nice", "Spain ~ Bilbao"),
                     AnswerMap={})  # fmt: skip
    found = imported(where)
    town = one(found, "where_2", SingleChoice)
    assert isinstance(town, SingleChoice)
    assert town.options == ("Lyon", "Nice", "Bilbao")
    assert town.options_if["Bilbao"] == 'where_1 == "Spain"'
    assert found.columns["QID1_2"].question == "where_2"


def test_rows_of_a_grid_that_became_questions_keep_their_order_and_conditions() -> None:
    """The lost shuffle is noted; a row's own logic is its question's condition."""
    tea = question("QID9", "tea", "Tea?", "MC", "SAVR", Choices=choices("Yes", "No"))
    grid = question("QID1", "use", "Which?", "Matrix", "Likert", SubSelector="MultipleAnswer",
                    Choices={"1": {"Display": "Work"}, "2": {
                        "Display": "Home", "DisplayLogic": logic(chosen("QID9", "1"))}},
                    Answers=choices("Bike", "Bus"), Randomization={"Type": "All"})  # fmt: skip
    found = imported(tea, grid)
    assert found.survey.question("use_2").show_if == 'tea == "Yes"'
    assert (
        notes(found) == "QID1 (use): order of rows All: rows became questions, in the fixed order"
    )


def test_recode_values_of_a_matrix_are_its_codes_where_they_rise_or_fall() -> None:
    """Otherwise they stand in the export's columns alone, and the note says so."""
    rate = {"SubSelector": "SingleAnswer", "Choices": choices("Tea"),
            "Answers": choices("bad", "good", "never had it")}  # fmt: skip
    falls = question("QID1", "a", "A", "Matrix", "Likert", **rate,
                     RecodeValues={"1": "5", "2": "3", "3": "1"})  # fmt: skip
    jumps = question("QID2", "b", "B", "Matrix", "Likert", **rate,
                     RecodeValues={"1": "1", "2": "2", "3": "-1"})  # fmt: skip
    found = imported(falls, jumps)
    grid = one(found, "a", Matrix)
    assert isinstance(grid, Matrix)
    assert dict(grid.codes) == {"bad": 5, "good": 3, "never had it": 1}
    other = one(found, "b", Matrix)
    assert isinstance(other, Matrix)
    assert other.codes == {}
    assert found.columns["QID2_1"].codes["-1"] == "never had it"
    assert "QID2 (b): recode values" in notes(found)
