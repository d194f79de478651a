"""Exports of instruments: notes of what Qualtrics cannot hold, pages, markup, and the commands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.surveys import EVERY
from usersim.cli.app import app
from usersim.errors import SurveyFileError
from usersim.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Passage,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    SurveyQuestion,
    YesNo,
    column_of,
)
from usersim.survey.files import read_qsf, read_qualtrics_csv, write_form, write_qsf
from usersim.survey.samples import read_human

TEA = SingleChoice(id="tea", text="Tea?", options=("green", "black"), refusal=("no idea",))
SCALE = LikertScale(id="joy", text="How?", low="bad", high="good")
MANY = MultipleChoice(id="some", text="Some?", options=("a", "b"))
LATER = OpenText(id="why", text="Why?")


Said = Callable[[Survey], str]


def asking(*questions: SurveyQuestion) -> Survey:
    """An instrument of some questions."""
    return Survey(title="T", questions=questions)


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """The notes of the export of an instrument, in one text."""
    return lambda survey: "\n".join(map(str, write_qsf(survey, tmp_path / "t.qsf").notes))


@pytest.mark.parametrize(
    ("question", "note"),
    [
        (YesNo(id="q", text="?"), "a question of type yes_no: a single choice with the codes"),
        (NumberQuestion(id="q", text="?", unit="kg"), "the unit 'kg': added to the text"),
        (Budget(id="q", text="?", options=("a", "b"), unit="euros"), "the unit 'euros'"),
        (
            NumberQuestion(id="q", text="?", refusal=("no idea",)),
            "the answer 'no idea' of a number: left out; the question may be left blank",
        ),
        (
            Ranking(id="q", text="?", options=("a", "b"), refusal=("no idea",)),
            "the answer 'no idea' of a ranking: left out",
        ),
        (
            MultipleChoice(id="q", text="?", options=("a", "b"), refusal=("no idea",)),
            "the answer 'no idea' of a multiple choice: an option that excludes the others",
        ),
        (
            MultipleChoice(id="q", text="?", options=("a", "b", "c"), exclusive=("c",), least=2),
            "at least 2 options, or one that excludes the others: Qualtrics demands so many",
        ),
        (
            Budget(id="q", text="?", options=("a", "b"), integer=False),
            "amounts that need not be whole",
        ),
        (
            Matrix(id="q", text="?", rows=("r",), options=("a", "b"), ordered=False),
            "options without an order",
        ),
        (
            LikertScale(id="q", text="?", low="bad", high="good", random_order=True),
            "the meaning of the ends of a scale of numbers: added to the text",
        ),
        (OpenText(id="q", text="${e://Field/x}"), "the text has ${, which begins piped text"),
        (OpenText(id="q", text="?", instruction="Think."), "an instruction: put before the text"),
    ],
)
def test_what_a_type_cannot_say_is_noted(said: Said, question: SurveyQuestion, note: str) -> None:
    """Each with the question and what was done instead."""
    found = said(asking(question))
    assert f"question 'q': {note}" in found


@pytest.mark.parametrize(
    ("show_if", "note"),
    [
        ("answered(some)", "answered() of a multiple_choice: asked of everybody"),
        ('"a" not in some', "'not in' of a multiple choice: asked of everybody"),
        ('item(some, "a") == "no"', "an option that was not ticked and no answer are one"),
        ("tea == joy and refused(some)", "refused() of a multiple_choice"),
        ("refused(n)", "refused() of a number: asked of everybody"),
        ("n == m", "it compares two answers that are not choices"),
        ("n in []", "an empty list"),
        ("1 == 1", "it looks at no question"),
        ("not (item(rank, 'x') == 1)", "of those without an answer, Qualtrics would say"),
        ('word == "tea"', "compares texts: Qualtrics ignores their case"),
    ],
)
def test_conditions_that_qualtrics_cannot_say_are_noted(
    said: Said, show_if: str, note: str
) -> None:
    """The question is asked of everybody then; a comparison of texts stays, with a warning."""
    earlier = (
        TEA, SCALE, MANY, NumberQuestion(id="n", text="N?"), NumberQuestion(id="m", text="M?"),
        Ranking(id="rank", text="R?", options=("x", "y")), OpenText(id="word", text="W?"),
    )  # fmt: skip
    found = said(asking(*earlier, LATER.model_copy(update={"show_if": show_if})))
    assert note in found
    assert "question 'why'" in found


def test_orders_and_texts_that_qualtrics_keeps_otherwise_are_noted(said: Said) -> None:
    """Sections that change places across a fixed one, and texts among shuffled questions."""
    sections = (
        Section(id="a", questions=(TEA,)),
        Section(id="b", questions=(SCALE,), fixed=True),
        Section(id="c", questions=(MANY,), random_order=True, passages=(Passage(text="Read."),)),
        Section(id="d", questions=(LATER,)),
    )
    found = said(Survey(title="T", sections=sections, random_sections=True, instruction="Please."))
    assert "section 'a': changes places with sections beyond a fixed one: keeps its place" in found
    assert "section 'c': texts to read in a shuffled block" in found
    assert "the survey: an instruction before every question: shown once, first" in found


def test_a_refusal_here_that_is_an_option_there_is_noted(said: Said) -> None:
    """Whoever reads the file back is told labels alone."""
    other = SingleChoice(id="two", text="?", options=("yes", "No idea"))
    assert "the option 'No idea', a refusal in another question" in said(asking(TEA, other))


def test_what_depends_on_an_answer_stands_on_a_later_page(tmp_path: Path) -> None:
    """Qualtrics knows an answer once its page was sent: a page break stands between."""
    later = SingleChoice(id="b", text="{{ tea }}?", options=("x", "y"), show_if='tea == "green"')
    third = OpenText(id="c", text="And?", show_if='tea == "black"')
    survey = Survey(title="T", questions=(TEA, SCALE, later, third))
    told = json.loads(write_qsf(survey, tmp_path / "t.qsf").path.read_text(encoding="utf-8"))
    (block,) = told["SurveyElements"][0]["Payload"]
    kinds = [one["Type"] for one in block["BlockElements"]]
    assert kinds == ["Question", "Question", "Page Break", "Question", "Question"]


def test_markup_of_an_instrument_is_text_in_the_file(tmp_path: Path) -> None:
    """Nothing of it would run in Qualtrics, which shows texts as HTML."""
    label = "<img src=x onerror=alert(1)>"
    survey = Survey(
        title="<b>T</b>",
        questions=(SingleChoice(id="q", text="<script>1</script>", options=(label, "b & c")),),
    )
    written = write_qsf(survey, tmp_path / "t.qsf")
    text = written.path.read_text(encoding="utf-8")
    for part in ("<script", "<img", "<b>"):
        assert part not in text
    assert read_qsf(written.path).survey == Survey(
        title=survey.title, sections=(Section(id="main", questions=survey.questions),)
    )


def test_other_endings_and_folders_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """Before anything is written; the value is named."""
    for write in (write_qsf, write_form):
        with pytest.raises(SurveyFileError, match=r"a.txt' must end with"):
            write(EVERY, tmp_path / "a.txt")
    with pytest.raises(SurveyFileError, match="nowhere"):
        write_qsf(EVERY, tmp_path / "nowhere" / "a.qsf")
    with pytest.raises(SurveyFileError, match="nowhere"):
        write_form(EVERY, tmp_path / "nowhere" / "a.html")


def test_commands_export_an_instrument(tmp_path: Path) -> None:
    """To both, with the notes and the command that reads it back, which does."""
    file = EVERY.save(tmp_path / "garden.json")
    qsf = tmp_path / "garden.qsf"
    told = ["survey", "export", str(file), "--to", "qsf", "--out", str(qsf)]
    out = CliRunner().invoke(app, told)
    assert out.exit_code == 0, out.output
    assert "10 questions of 'The garden' written to" in out.stdout
    assert "a question of type yes_no" in out.stdout
    assert "--refusal 'don'\"'\"'t know' --scale joy" in out.stdout
    back = tmp_path / "back.json"
    told = ["survey", "import", str(qsf), "--out", str(back), "--refusal", "don't know"]
    again = CliRunner().invoke(app, [*told, "--scale", "joy"])
    assert "10 of 10 questions of 'The garden'; 0 notes" in again.stdout
    page = tmp_path / "garden.html"
    told = ["survey", "export", str(file), "--to", "html", "--out", str(page), "--optional"]
    out = CliRunner().invoke(app, told)
    assert "orders that are drawn for each respondent" in out.stdout
    assert '"required":false' in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--to", "qsf", "--out", "a.qsf", "-i", "b.json"], "--instrument is for answers"),
        (["--to", "html", "--out", "a.html", "-c", "b.db"], "--corpus is for answers"),
        (["--out", "a.csv"], "--instrument is missing"),
    ],
)
def test_options_of_the_other_kind_of_export_are_refused(more: list[str], said: str) -> None:
    """Answers need their instrument; an instrument needs no answers."""
    out = CliRunner().invoke(app, ["survey", "export", "tea.json", *more])
    assert said in str(out.exception)


def test_answers_from_qualtrics_come_back_as_a_human_sample(tmp_path: Path) -> None:
    """What people answer to the exported file in Qualtrics fits the instrument that went out."""
    written = write_qsf(EVERY, tmp_path / "garden.qsf")
    found = read_qsf(written.path, refusals=written.refusals, scales=written.scales)
    given = {
        "drink": "tea", "milk": "yes", "sugar": "", "hobbies_1": "reading", "hobbies_2": "",
        "hobbies_3": "music", "hobbies_4": "", "joy": "4", "hours": "3", "plants_1": "2",
        "plants_2": "3", "plants_3": "1", "money_1": "2", "money_2": "7", "views_1": "yes",
        "views_2": "partly", "why": "Quiet.",
    }  # fmt: skip
    cells: dict[str, str] = {}
    for number, column in found.columns.items():
        name = column_of(found.survey.question(column.question), column.item)
        if name in given and not number.endswith("_TEXT"):
            cells[number] = given[name]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ResponseId", *cells])
        rows.writerow(["Response ID", *cells])
        rows.writerow([json.dumps({"ImportId": name}) for name in ("_recordId", *cells)])
        rows.writerow(["R_1", *cells.values()])
    people = read_qualtrics_csv(tmp_path / "a.csv", found)
    sample = read_human(EVERY, people.records)
    assert sample.absent == ("sugar",)  # asked of nobody who drinks tea
    told = {item.key: sample.table.values[0, 0, place] for place, item in
            enumerate(sample.table.items)}  # fmt: skip
    assert [told[f"hobbies_{n}"] for n in range(1, 5)] == [1, 0, 1, 0]
    assert (told["joy"], told["hours"], told["plants_3"], told["money_2"]) == (3, 3, 1, 7)
    assert (told["drink"], told["milk"], told["views_1"]) == (0, 1, 2)
