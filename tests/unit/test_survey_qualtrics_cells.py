"""What the cells of an export mean: options by number, codes, missing values, dates, labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.qsf import choices, question, survey_of
from usersim.corpus import Corpus
from usersim.errors import SurveyFileError
from usersim.survey.files import QualtricsAnswers, read_qsf, read_qualtrics_csv

NUMBER = {"Validation": {"Settings": {"Type": "ContentType", "ContentType": "ValidNumber",
                                      "ValidNumber": {"Min": "", "Max": ""}}}}  # fmt: skip
SLIDER = {"Choices": choices("Warmth"),
          "Configuration": {"CSSliderMin": 0, "CSSliderMax": 100, "NumDecimals": "0"}}  # fmt: skip
OWNS = question("QID1", "owns", "Which do you own?", "MC", "MAVR",
                Choices=choices("Kite", "Sled", "Canoe"))  # fmt: skip


def exported(
    tmp_path: Path, columns: Mapping[str, str], *rows: list[str], headers: int = 3, sep: str = ","
) -> Path:
    """Rows as Qualtrics writes them: `columns` are import ids by name."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep)
    own = {"Status": "status", "RecordedDate": "recordedDate", "ResponseId": "_recordId"}
    names = {**own, **columns}
    writer.writerow(names)
    texts = {
        "Status": "Response Type",
        "RecordedDate": "Recorded Date",
        "ResponseId": "Response ID",
    }
    if headers > 1:
        writer.writerow([texts.get(name, f"text of {name}") for name in names])
    if headers > 2:
        writer.writerow([json.dumps({"ImportId": told}) for told in names.values()])
    for number, row in enumerate(rows, start=1):
        before = (
            ["IP Address", "2025-03-02 10:01:00", f"R_{number}"] if len(row) < len(names) else []
        )
        writer.writerow([*before, *row])
    path = tmp_path / "answers.csv"
    path.write_text(out.getvalue(), encoding="utf-8-sig")
    return path


def answers(found: QualtricsAnswers, name: str) -> list[object]:
    """The answers of everybody to one column; None for none."""
    return [record.get(name) for record in found.records]


# ---------------------------------------------------------------------- identity


def test_columns_lead_to_choices_by_number_and_not_by_place(tmp_path: Path) -> None:
    """A matrix row, an option and a rank wherever the instrument shows them."""
    grid = question("QID1", "grid", "Like?", "Matrix", "Likert", SubSelector="SingleAnswer",
                    Choices={"1": {"Display": "Rain"}, "3": {"Display": "Snow"},
                             "4": {"Display": "Fog"}}, ChoiceOrder=["4", "1", "3"],
                    Answers=choices("no", "yes"))  # fmt: skip
    several = question(
        "QID2",
        "multi",
        "Own?",
        "MC",
        "MAVR",
        Choices=choices("Kite", "Sled", "Canoe"),
        ChoiceOrder=["3", "1", "2"],
    )
    ranks = question("QID3", "rank", "Rank", "RO", "DND", Choices=choices("Red", "Green", "Blue"),
                     ChoiceOrder=["2", "3", "1"])  # fmt: skip
    imported = read_qsf(survey_of(grid, several, ranks))
    columns = {f"grid_{n}": f"QID1_{n}" for n in (4, 1, 3)}
    columns |= {f"multi_{n}": f"QID2_{n}" for n in (3, 1, 2)}
    columns |= {f"rank_{n}": f"QID3_{n}" for n in (2, 3, 1)}
    row = ["yes", "no", "no", "Canoe", "", "", "1", "2", "3"]
    (record,) = read_qualtrics_csv(exported(tmp_path, columns, row), imported).records
    survey = imported.survey
    said = {
        item: record[f"{question_.id}_{place}"]
        for question_ in survey.all_questions
        for place, item in enumerate(question_.items, start=1)
    }
    assert said == {
        "Fog": "yes", "Rain": "no", "Snow": "no", "Canoe": "yes", "Kite": "no", "Sled": "no",
        "Green": 1.0, "Blue": 2.0, "Red": 3.0,
    }  # fmt: skip


def test_variable_names_and_recode_values_lead_to_their_options(tmp_path: Path) -> None:
    """With texts by the name that is exported in the label's place, with numbers by the code."""
    post = question("QID1", "post", "Your post?", "MC", "SAVR",
                    Choices=choices("Permanent member of staff", "Guest"),
                    VariableNaming={"1": "No", "2": "guest"},
                    RecodeValues={"1": "10", "2": "20"})  # fmt: skip
    agree = question("QID2", "agree", "Tea is good.", "MC", "SAHR",
                     Choices=choices("agree", "neither", "disagree"),
                     RecodeValues={"1": "3", "2": "2", "3": "1"})  # fmt: skip
    imported = read_qsf(survey_of(post, agree), scales=["agree"])
    columns = {"post": "QID1", "agree": "QID2"}
    texts = read_qualtrics_csv(
        exported(tmp_path, columns, ["No", "agree"], ["guest", "disagree"]), imported
    )
    assert answers(texts, "post") == ["Permanent member of staff", "Guest"]
    assert answers(texts, "agree") == ["agree", "disagree"]
    assert not texts.numeric
    codes = [["0", "2025-03-02", "R_1", "10", "3"], ["0", "2025-03-02", "R_2", "20", "1"]]
    numbers = read_qualtrics_csv(exported(tmp_path, columns, *codes), imported)
    assert answers(numbers, "post") == ["Permanent member of staff", "Guest"]
    assert answers(numbers, "agree") == ["agree", "disagree"]
    assert numbers.numeric
    assert "file: numeric values: read as recode values" in str(numbers)
    scale = imported.survey.question("agree")
    assert dict(scale.codes) == {"agree": 3, "neither": 2, "disagree": 1}


TRUST = question("QID1", "trust", "Trust, 0 to 10?", "MC", "SAHR",
                 Choices=choices(*map(str, range(11))))  # fmt: skip


def test_a_numeric_export_of_number_labels_is_read_by_code(tmp_path: Path) -> None:
    """Code 8 is the option that is called 7, and the preview is left out."""
    imported = read_qsf(survey_of(TRUST), scales=["trust"])
    rows = [["0", "2025-03-02", "R_1", "1"], ["0", "2025-03-02", "R_2", "8"],
            ["1", "2025-03-02", "R_3", "11"]]  # fmt: skip
    found = read_qualtrics_csv(exported(tmp_path, {"trust": "QID1"}, *rows), imported)
    assert answers(found, "trust") == ["0", "7"]
    assert "record 3: status '1': left out" in str(found)
    kept = read_qualtrics_csv(exported(tmp_path, {"trust": "QID1"}, *rows), imported, tests=True)
    assert answers(kept, "trust") == ["0", "7", "10"]


def test_where_nothing_says_whether_cells_are_codes_they_are_not_guessed(tmp_path: Path) -> None:
    """The error says how to say it, and both can be said."""
    imported = read_qsf(survey_of(TRUST))
    path = exported(tmp_path, {"trust": "QID1"}, ["", "", "R_1", "7"])
    with pytest.raises(SurveyFileError, match="values='labels' or values='codes'") as caught:
        read_qualtrics_csv(path, imported)
    assert "'7' in column 'trust'" in str(caught.value)
    assert answers(read_qualtrics_csv(path, imported, values="labels"), "trust") == ["7"]
    assert answers(read_qualtrics_csv(path, imported, values="codes"), "trust") == ["6"]


def test_labels_match_up_to_white_space_entities_and_invisible_signs(tmp_path: Path) -> None:
    """As a browser shows them and as the CSV holds them."""
    school = question(
        "QID1",
        "edu",
        "School?",
        "MC",
        "SAVR",
        Choices=choices(
            "Some&nbsp;college",
            "High  school",
            "Bachelor<br>degree",
            "Don&#39;t know\u200e",
            "<strong>Master</strong> &amp; more",
            "Less than <5 years",
            "<span>PhD</span>",
        ),
    )
    imported = read_qsf(survey_of(school))
    cells = [
        "Some college",
        "High  school",
        "Bachelor\ndegree",
        "Don't know\u200e",
        "Master & more",
        "Less than <5 years",
        "PhD",
        "Some\u00a0college",
        "don't know",
    ]
    found = read_qualtrics_csv(
        exported(tmp_path, {"edu": "QID1"}, *([cell] for cell in cells)), imported
    )
    assert answers(found, "edu") == [
        "Some college", "High school", "Bachelor degree", "Don't know", "Master & more",
        "Less than <5 years", "PhD", "Some college", "Don't know",
    ]  # fmt: skip
    assert found.notes == ()


# ---------------------------------------------------------------------- missing


def test_seen_but_unanswered_is_no_answer_and_zero_is_not_chosen(tmp_path: Path) -> None:
    """In choices, numbers, texts and sliders; other codes by `missing`."""
    kids = question("QID2", "kids", "Children?", "TE", "SL", **NUMBER)
    why = question("QID3", "why", "Why?", "TE", "ML")
    warm = question("QID4", "warm", "How warm?", "Slider", "HSLIDER", **SLIDER)
    imported = read_qsf(survey_of(OWNS, kids, why, warm))
    columns = {f"owns_{n}": f"QID1_{n}" for n in (1, 2, 3)}
    columns |= {"kids": "QID2_TEXT", "why": "QID3_TEXT", "warm_1": "QID4_1"}
    rows = [["Kite", "-99", "-99", "2", "I like it", "50"], ["0", "Sled", "0", "-99", "-99", "-99"],
            ["-99"] * 6, ["1", "0", "0", "1", "x", "7"]]  # fmt: skip
    path = exported(tmp_path, columns, *rows)
    found = read_qualtrics_csv(path, imported)
    assert [answers(found, f"owns_{n}") for n in (1, 2, 3)] == [
        ["yes", "no", None, "yes"], ["no", "yes", None, "no"], ["no", "no", None, "no"],
    ]  # fmt: skip
    assert answers(found, "kids") == [2, None, None, 1]
    assert answers(found, "why") == ["I like it", None, None, "x"]
    assert answers(found, "warm") == [50, None, None, 7]
    other = read_qualtrics_csv(path, imported, missing=[2, "x"])
    assert answers(other, "kids") == [None, -99, -99, 1]
    assert answers(other, "why") == ["I like it", "-99", "-99", None]


def test_a_missing_code_that_could_be_a_number_is_said(tmp_path: Path) -> None:
    """It is no answer all the same."""
    cold = question("QID2", "cold", "Degrees?", "Slider", "HSLIDER", Choices=choices("Out"),
                    Configuration={"CSSliderMin": -100, "CSSliderMax": 100})  # fmt: skip
    found = read_qualtrics_csv(
        exported(tmp_path, {"cold_1": "QID2_1"}, ["-99"], ["5"]), read_qsf(survey_of(cold))
    )
    assert answers(found, "cold") == [None, 5]
    assert "a missing code in 1 record, which could also be an answer" in str(found)


SPLIT = {f"owns_{n}": f"QID1_{n}" for n in (1, 2, 3)}


def test_a_blank_beside_a_ticked_option_is_no(tmp_path: Path) -> None:
    """Shares are of those who ticked something: not 100 per cent for every option."""
    rows = [["Kite", "Sled", ""], ["Kite", "", ""], ["", "Sled", ""], ["", "", "Canoe"],
            ["", "", ""]]  # fmt: skip
    path = exported(tmp_path, SPLIT, *rows)
    imported = read_qsf(survey_of(OWNS))
    found = read_qualtrics_csv(path, imported)
    assert [answers(found, f"owns_{n}") for n in (1, 2, 3)] == [
        ["yes", "yes", "no", "no", None], ["yes", "no", "yes", "no", None],
        ["no", "no", "no", "yes", None],
    ]  # fmt: skip
    none = read_qualtrics_csv(path, imported, unticked="no")
    assert answers(none, "owns_1")[-1] == "no"


def test_options_in_one_cell_are_read_whatever_commas_they_hold(tmp_path: Path) -> None:
    """By labels, or by codes in a numeric export; what is left over is no answer, and said."""
    own = question("QID1", "owns", "Own?", "MC", "MAVR",
                   Choices=choices("Kite, big", "Kite", "Canoe"))  # fmt: skip
    imported = read_qsf(survey_of(own))
    found = read_qualtrics_csv(
        exported(tmp_path, {"owns": "QID1"}, ["Kite, big,Canoe"], ["kite"], ["Kite,Plane"]),
        imported,
    )
    assert [answers(found, f"owns_{n}") for n in (1, 2, 3)] == [
        ["yes", "no", None], ["no", "yes", None], ["yes", "no", None],
    ]  # fmt: skip
    assert "'Plane' in 1 record is not a valid answer" in str(found)
    codes = read_qualtrics_csv(
        exported(tmp_path, {"owns": "QID1"}, ["0", "", "R_1", "1,3"]), imported
    )
    assert [answers(codes, f"owns_{n}") for n in (1, 2, 3)] == [["yes"], ["no"], ["yes"]]


def test_a_box_that_was_not_ticked_is_no_answer(tmp_path: Path) -> None:
    """A consent with one choice is yes, or nothing."""
    box = question("QID1", "consent", "Agree?", "MC", "SAVR", Choices=choices("I agree"))
    imported = read_qsf(survey_of(box))
    path = exported(tmp_path, {"consent": "QID1"}, ["I agree"], [""])
    assert answers(read_qualtrics_csv(path, imported), "consent_1") == ["yes", None]


# ---------------------------------------------------------------------- numbers and dates


def test_numbers_are_read_by_the_rules_of_the_corpus(tmp_path: Path) -> None:
    """Thousands commas and currency count; NaN, infinity and what is out of range do not."""
    income = question("QID1", "income", "Income?", "TE", "SL", **NUMBER)
    warm = question("QID2", "warm", "How warm?", "Slider", "HSLIDER", **SLIDER)
    rows = [["1,000", "55"], ["$40", "101"], ["nan", "inf"], ["1e400", "-5"], ["12 ", "7"]]
    found = read_qualtrics_csv(
        exported(tmp_path, {"income": "QID1_TEXT", "warm_1": "QID2_1"}, *rows),
        read_qsf(survey_of(income, warm)),
    )
    assert answers(found, "income") == [1000, 40, None, None, 12]
    assert answers(found, "warm") == [55, None, None, None, 7]
    for cell in ("nan", "1e400", "101", "inf", "-5"):
        assert f"{cell!r} in 1 record is not a valid answer" in str(found)


TEA = question("QID1", "tea", "Tea?", "MC", "SAVR", Choices=choices("Yes", "No"))


@pytest.mark.parametrize(
    ("cells", "order", "times"),
    [
        (["2025-01-02 10:01:00"], None, ["2025-01-02 10:01:00"]),
        (["02/01/2025 10:01", "13/01/2025 10:01"], None,
         ["2025-01-02T10:01:00", "2025-01-13T10:01:00"]),
        (["02/01/2025 10:01", "02/13/2025 10:01"], None,
         ["2025-02-01T10:01:00", "2025-02-13T10:01:00"]),
        (["02/01/2025 10:01"], "mdy", ["2025-02-01T10:01:00"]),
        (["45659.5"], None, ["2025-01-02T12:00:00+00:00"]),
        (["02/01/2025 10:01"], None, [None]),
        (["soon"], None, [None]),
        ([""], None, [None]),
    ],
)  # fmt: skip
def test_times_are_read_or_reported_and_the_answers_stay(
    tmp_path: Path, cells: list[str], order: str | None, times: list[str | None]
) -> None:
    """As Qualtrics, spreadsheets and people write them."""
    rows = [["IP Address", cell, f"R_{n}", "Yes"] for n, cell in enumerate(cells)]
    found = read_qualtrics_csv(
        exported(tmp_path, {"tea": "QID1"}, *rows), read_qsf(survey_of(TEA)),
        date_order=order,
    )  # type: ignore[arg-type]  # fmt: skip
    assert answers(found, "timestamp") == times
    assert answers(found, "tea") == ["Yes"] * len(cells)
    reported = any("cannot be read" in note.what for note in found.notes)
    assert reported is (times == [None] and cells != [""])
    assert any("date order" in str(note) for note in found.notes) is (reported and "/" in cells[0])
    with Corpus.open(":memory:") as corpus:
        assert not corpus.add(found.records, format="survey_wide", codebook=found.codebook).refused


# ---------------------------------------------------------------------- files


def test_files_without_import_ids_are_matched_by_their_names(tmp_path: Path) -> None:
    """One header row, or two, or the older ones that call their own columns V1 to V10."""
    imported = read_qsf(survey_of(TEA, {**OWNS, "PrimaryAttribute": "QID2"}))
    columns = {"tea": "QID1", "owns_2": "QID2_2"}
    for headers in (1, 2):
        found = read_qualtrics_csv(
            exported(tmp_path, columns, ["Yes", "Sled"], headers=headers), imported
        )
        assert [dict(one) for one in found.records] == [
            {"respondent": "R_1", "timestamp": "2025-03-02 10:01:00", "tea": "Yes",
             "owns_2": "yes"},
        ]  # fmt: skip
        assert "columns matched by their names" in str(found)
    old = tmp_path / "old.csv"
    old.write_text("V1,V9,tea\nResponseID,EndDate,Tea?\nR_9,2016-05-27 11:44:08,1\n")
    (record,) = read_qualtrics_csv(old, imported).records
    assert record == {"respondent": "R_9", "timestamp": "2016-05-27 11:44:08", "tea": "Yes"}


def test_newer_exports_name_the_choice_of_a_column_apart(tmp_path: Path) -> None:
    """And older ones write single quotes and dashes."""
    imported = read_qsf(survey_of(OWNS))
    path = tmp_path / "x.csv"
    third = '"{""ImportId"":""QID1"",""choiceId"":""2""}",{\'ImportId\': \'QID1-3\'}'
    path.write_text(f"a,b\nOwn? - Sled,Own? - Canoe\n{third}\nSled,\n")
    (record,) = read_qualtrics_csv(path, imported).records
    assert (record["owns_2"], record["owns_3"]) == ("yes", "no")


def test_semicolons_broken_rows_and_doubled_respondents_are_handled(tmp_path: Path) -> None:
    """Read where they can be, and noted where not."""
    imported = read_qsf(survey_of(TEA))
    path = exported(tmp_path, {"tea": "QID1"}, ["Yes"], ["IP Address", "", "R_1", "No"], sep=";")
    with path.open("a", encoding="utf-8") as file:
        file.write("IP Address;;R_7\n")
    found = read_qualtrics_csv(path, imported)
    assert answers(found, "tea") == ["Yes"]
    assert "respondent 'R_1' again: left out" in str(found)
    assert "3 cells instead of 4: left out" in str(found)


def test_an_export_of_another_version_of_the_survey_is_said_to_be_one(tmp_path: Path) -> None:
    """Most of its cells are no answers."""
    found = read_qualtrics_csv(
        exported(tmp_path, {"tea": "QID1"}, ["Coffee"], ["Milk"], ["Yes"]), read_qsf(survey_of(TEA))
    )
    assert "2 of 3 cells are not valid answers to this survey" in str(found)


def test_looped_columns_lead_to_their_rounds(tmp_path: Path) -> None:
    """`2_QID1` is the second round's answer."""
    like = question("QID1", "like", "Like ${lm://Field/1}?", "MC", "SAVR",
                    Choices=choices("Yes", "No"))  # fmt: skip
    looped = {"Type": "Standard", "ID": "BL_1", "Description": "B", "BlockElements": [
        {"Type": "Question", "QuestionID": "QID1"}], "Options": {"Looping": "Static",
        "LoopingOptions": {"Static": {"1": {"1": "rain"}, "2": {"1": "snow"}}}}}  # fmt: skip
    imported = read_qsf(survey_of(like, blocks=[looped]))
    path = exported(tmp_path, {"1_like": "1_QID1", "2_like": "2_QID1"}, ["Yes", "No"])
    (record,) = read_qualtrics_csv(path, imported).records
    assert (record["like_loop1"], record["like_loop2"]) == ("Yes", "No")
