"""The page of a survey, results read back, and the commands on survey files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.qsf import instrument
from usersim.cli.app import app
from usersim.errors import EvaluationError, SurveyFileError
from usersim.survey import (
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    SingleChoice,
    Survey,
    SurveyResponse,
    SurveyResults,
    codes_of,
)
from usersim.survey.files import read_answers
from usersim.survey.files.results import write_answers
from usersim.survey.report import write_survey_report
from usersim.survey.report.plots import survey_plots
from usersim.survey.samples import human_table, table_of

EVIL = '<script>alert("x")</script>'
SURVEY = Survey(
    title="Tea",
    questions=(
        LikertScale(id="joy", text=f"Joy {EVIL}?", points=("bad", "fair", EVIL)),
        SingleChoice(id="kind", text="Which?", options=("black", "green", "$x^2$")),
    ),
)


def results() -> SurveyResults:
    """Thirty simulated people."""
    responses = []
    for n in range(30):
        for question in SURVEY.questions:
            value = question.labels[n % 3]
            responses.append(
                SurveyResponse(
                    respondent=f"p{n}", question=question.id, value=value,
                    code=codes_of(question)[value], probabilities={value: 1.0},
                )
            )  # fmt: skip
    people = tuple(f"p{n}" for n in range(30))
    return SurveyResults(survey=SURVEY, people=people, responses=tuple(responses), seed=3)


def asked() -> list[dict[str, object]]:
    """Twenty people."""
    return [{"respondent": f"h{n}", "joy": 1 + n % 2, "kind": "black"} for n in range(20)]


def test_the_page_is_marked_escaped_and_self_contained(tmp_path: Path) -> None:
    """Nothing of a text becomes markup, nothing is loaded, and the mark stands on top."""
    page = write_survey_report(
        table_of(results()), tmp_path / "new" / "r.html", human=human_table(SURVEY, asked()),
        title=EVIL, provenance={"command": EVIL},
    )  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "These answers are simulated by a model; none was given by a person." in text
    assert "default-src 'none'" in text
    assert 'src="http' not in text
    assert text.count("data:image/svg+xml") == 2
    for word in ("Total variation", "Entropy ratio", "Score", "Item by item"):
        assert word in text


def test_a_page_without_people_says_that_it_says_nothing_of_them(tmp_path: Path) -> None:
    """No distances, and the warning."""
    page = write_survey_report(
        table_of(results()), tmp_path / "r.html", title="T", provenance={"seed": 3}
    )
    text = page.read_text(encoding="utf-8")
    assert "nothing on this page says what real people would answer" in text
    assert "Item by item" not in text
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_survey_report(
            table_of(results()), tmp_path / "file" / "r.html", title="T", provenance={}
        )


def test_pictures_have_texts_for_those_who_do_not_see_them() -> None:
    """One picture for each set of options; the alternative names items and numbers."""
    scale, choice = survey_plots(human_table(SURVEY, asked()), table_of(results()))
    assert scale.alt == "Answers of 30 simulated respondents beside 20 people to joy."
    assert "simulated" in choice.caption
    assert "</svg>" in scale.svg
    assert "<script" not in scale.svg


def test_answers_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """Every response survives the file."""
    write_answers(results(), tmp_path / "a.jsonl")
    found = read_answers(tmp_path / "a.jsonl", SURVEY)
    assert found.responses == results().responses
    assert found.people == results().people


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no answers"),
        ("{", "cannot be read as JSON Lines"),
        ("[1]", "row 1 .* is not a simulated answer"),
        ('{"respondent": "a", "question": "age"}', "which is not in survey 'Tea'"),
        ('{"respondent": "a", "question": "joy", "simulated": false}', "simulated"),
        ('{"respondent": "a", "question": "joy"}\n' * 2, "row 2 .* again"),
    ],
)
def test_other_files_are_no_answers(tmp_path: Path, content: str, message: str) -> None:
    """What was not simulated with this instrument is refused with its row."""
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(SurveyFileError, match=message):
        read_answers(tmp_path / "a.jsonl", SURVEY)


def run(*arguments: object) -> str:
    """Run a command and return what it printed; its error is raised as it is."""
    found = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_the_commands_go_from_qualtrics_to_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import, export and report, each on what the one before wrote."""
    monkeypatch.chdir(tmp_path)
    Path("tea.qsf").write_bytes(instrument())
    assert "10 of 11 questions" in run("survey", "import", "tea.qsf", "--out", "q.json")
    assert json.loads(Path("q.json").read_text(encoding="utf-8"))["title"] == "Tea & cake"
    SURVEY.save("tea.json")
    write_answers(results(), "a.jsonl")
    for name in ("o.csv", "o.parquet"):
        said = run("survey", "export", "a.jsonl", "-i", "tea.json", "--out", name)
        assert "30 simulated respondents" in said
        assert Path(name).stat().st_size > 0
    Path("asked.jsonl").write_text("\n".join(map(json.dumps, asked())), encoding="utf-8")
    told = ("survey", "report", "a.jsonl", "-i", "tea.json", "--human", "asked.jsonl", "--out")
    run(*told, "r.html")
    assert "20 people" in Path("r.html").read_text(encoding="utf-8")
    Path("asked.jsonl").write_text("[1]", encoding="utf-8")
    with pytest.raises(SurveyFileError, match="not an object"):
        run(*told, "x")


def words_of(svg: str) -> str:
    """The texts of a picture, which matplotlib keeps beside their outlines."""
    return " ".join(" ".join(re.findall(r"<!-- (.*?) -->", svg, re.DOTALL)).split())


LONG = "Yes, at all times and without any exception, even for deliveries early in the morning"
ROW = "Children can play in the street without anybody having to look after them all the time"


def test_pictures_show_every_option_and_row_with_its_whole_text() -> None:
    """Of two options both, wrapped and never cut; rows of a matrix with their question."""
    survey = Survey(
        title="T",
        questions=(
            SingleChoice(id="cars", text="No cars?", options=(LONG, "No")),
            MultipleChoice(id="own", text="Which do you own?", options=("A car", "A bike")),
            Matrix(id="views", text="Do you agree?", rows=(ROW, "It is quiet."),
                   options=("disagree", "agree", LONG)),
        ),
    )  # fmt: skip
    rows = [
        {"respondent": f"p{n}", "cars": LONG, "own_1": "yes", "own_2": "no", "views_1": LONG,
         "views_2": "agree"}
        for n in range(12)
    ]  # fmt: skip
    table = human_table(survey, rows)
    cars, own, views = (words_of(plot.svg) for plot in survey_plots(None, table))
    assert LONG in cars
    assert "No" in cars.split()
    assert "n = 12" in cars
    for text in ("Which do you own? (share that chose each)", "A car", "A bike"):
        assert text in own
    for text in (ROW, "It is quiet.", "Do you agree?", "disagree"):
        assert text in views
    assert LONG in views


def test_the_page_has_every_figure_with_both_sides_and_their_numbers(tmp_path: Path) -> None:
    """Numbers too, which no picture shows; an item that nobody answered has dashes, not nan."""
    survey = Survey(
        title="T",
        questions=(
            *SURVEY.questions,
            NumberQuestion(id="cups", text="Cups a day?"),
            SingleChoice(id="left", text="Nobody was asked", options=("a", "b")),
        ),
    )
    people = [{"respondent": f"h{n}", "joy": 1, "cups": n} for n in range(9)]
    page = write_survey_report(
        human_table(survey, [{**one, "kind": "green"} for one in people]),
        tmp_path / "r.html",
        human=human_table(survey, people),
        title="T",
        provenance={},
        weighting="9 respondents weigh as much as 7",
    )
    text = page.read_text(encoding="utf-8")
    assert "Cups a day?" in text
    assert "4.00 [" in text
    assert "Weighted: 9 respondents weigh as much as 7." in text
    assert "n = 0" in text
    assert not re.search(r"\bnan\b", text)
