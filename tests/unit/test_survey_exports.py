"""Results as frames, CSV, Parquet and SPSS files, read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.disk import full_disk
from usersim.cli.app import app
from usersim.corpus import Corpus
from usersim.errors import ConfigError, SurveyFileError
from usersim.survey import (
    Budget,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    SingleChoice,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
    codes_of,
)
from usersim.survey.files import (
    spss_problems,
    to_csv,
    to_frame,
    to_parquet,
    to_spss,
)
from usersim.survey.files.results import write_answers

SURVEY = Survey(
    title="Tea",
    questions=(
        YesNo(id="tea", text="Do you drink tea?", refusal=("don't know",)),
        SingleChoice(id="kind", text="Which?", options=("=black", "green")),
        MultipleChoice(id="with_", text="With?", options=("milk", "sugar")),
        LikertScale(id="joy", text="Joy?", low="none", high="much", points=5),
        NumberQuestion(id="cups", text="Cups?", low=0, high=20),
        OpenText(id="why", text="Why?"),
    ),
)
GIVEN: dict[str, dict[tuple[str, str], str | float | None]] = {
    "ada": {
        ("tea", ""): "yes", ("kind", ""): "=black", ("with_", "milk"): "yes",
        ("with_", "sugar"): "no", ("joy", ""): "5", ("cups", ""): 3.5,
        ("why", ""): '=HYPERLINK("http://x")',
    },
    "bob": {
        ("tea", ""): "don't know", ("kind", ""): "green", ("with_", "milk"): "no",
        ("with_", "sugar"): "no", ("joy", ""): "2", ("cups", ""): None, ("why", ""): 'ünïcode\n"q"',
    },
}  # fmt: skip


def made() -> SurveyResults:
    """Two people's answers, one refusal and one blank among them."""
    responses: list[SurveyResponse] = []
    for person, own in GIVEN.items():
        for (question, item), value in own.items():
            asked = SURVEY.question(question)
            code = codes_of(asked).get(value) if isinstance(value, str) else value
            refused = value in asked.refusal
            responses.append(
                SurveyResponse(
                    respondent=person, question=question, item=item, value=value, code=code,
                    refused=refused, probabilities={"yes": 0.75, "no": 0.25} if code == 1 else {},
                    traces=("=1+1",),
                )
            )  # fmt: skip
    return SurveyResults(survey=SURVEY, people=("ada", "bob"), responses=tuple(responses), seed=0)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_long_csv_reads_back_marked_and_without_formulas(tmp_path: Path) -> None:
    """Every row says that it is simulated, and no cell begins as a formula."""
    path = to_csv(made(), tmp_path / "long.csv")
    rows = read(path)
    assert len(rows) == 14
    assert {row["simulated"] for row in rows} == {"true"}
    assert not [v for row in rows for v in row.values() if v.startswith(("=", "+", "@"))]
    by = {(r["respondent"], r["question"], r["item"]): r for r in rows}
    assert by["ada", "why", ""]["value"] == "'" + str(GIVEN["ada"]["why", ""])
    assert by["bob", "why", ""]["value"] == GIVEN["bob"]["why", ""]
    assert json.loads(by["ada", "tea", ""]["probabilities"]) == {"yes": 0.75, "no": 0.25}
    assert by["bob", "tea", ""]["refused"] == "true"


def test_wide_csv_has_a_column_per_item_and_a_weight(tmp_path: Path) -> None:
    """Labels as they are, codes where asked for."""
    weights = {"ada": 1.5, "bob": 0.5}
    path = to_csv(made(), tmp_path / "wide.csv", "wide", weights=weights)
    rows = read(path)
    assert [row["weight"] for row in rows] == ["1.5", "0.5"]
    assert (rows[0]["with__1"], rows[0]["joy"], rows[1]["cups"]) == ("yes", "5", "")
    coded = to_csv(made(), tmp_path / "codes.csv", "wide", codes=True)
    first = read(coded)[0]
    assert (first["tea"], first["joy"]) == ("1.0", "5.0")


@pytest.mark.parametrize("shape", ["long", "wide"])
def test_parquet_reads_back_equal_with_the_mark_in_its_metadata(tmp_path: Path, shape: str) -> None:
    """Values survive; columns of labels and numbers become text."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = to_parquet(made(), tmp_path / "x.parquet", shape)  # type: ignore[arg-type]
    table = parquet.read_table(path)
    assert json.loads(table.schema.metadata[b"usersim"])["simulated"] is True
    rows = table.to_pylist()
    assert all(row["simulated"] is True for row in rows)
    if shape == "wide":
        assert rows[0]["kind"] == "=black"
        assert (rows[0]["cups"], rows[1]["cups"]) == (3.5, None)
    else:
        assert len(rows) == 14


def test_a_frame_says_that_it_is_simulated() -> None:
    """In a column and in its attributes."""
    frame = to_frame(made(), "wide")
    assert frame["simulated"].all()
    assert frame.attrs["simulated"] is True
    assert list(frame["respondent"]) == ["ada", "bob"]


def test_spss_reads_back_with_labels_and_refusals_as_missing(tmp_path: Path) -> None:
    """Codes, value and variable labels, user-missing refusals, and the mark in two places."""
    pyreadstat = pytest.importorskip("pyreadstat")
    path = to_spss(made(), tmp_path / "tea.sav", weights={"ada": 1.5, "bob": 0.5})
    frame, meta = pyreadstat.read_sav(str(path), user_missing=True)
    assert list(frame["tea"]) == [1.0, -1.0]
    assert meta.variable_value_labels["tea"] == {1.0: "yes", 0.0: "no", -1.0: "don't know"}
    assert meta.column_names_to_labels["joy"] == "Joy?"
    assert meta.column_names_to_labels["with__1"] == "With? - milk"
    assert meta.variable_value_labels["joy"][5.0] == "5 (much)"
    assert "simulated" in meta.column_names_to_labels["simulated"]
    assert meta.file_label.startswith("SIMULATED")
    assert list(frame["weight"]) == [1.5, 0.5]
    assert frame["why"][1] == 'ünïcode\n"q"'
    plain, _ = pyreadstat.read_sav(str(path))
    assert list(plain["tea"].isna()) == [False, True]


def test_spss_knows_the_measure_level_of_every_variable(tmp_path: Path) -> None:
    """Numbers are scale, ordered labels ordinal, everything else nominal; none is unknown."""
    pyreadstat = pytest.importorskip("pyreadstat")
    survey = Survey(
        title="Levels",
        questions=(
            *SURVEY.questions,
            Ranking(id="rank", text="Rank", options=("a", "b")),
            Budget(id="spend", text="Spend", options=("a", "b"), total=10),
            Matrix(id="agree", text="Agree?", rows=("x",), options=("no", "yes")),
            Matrix(id="pick", text="Pick", rows=("x",), options=("red", "blue"), ordered=False),
        ),
    )
    results = SurveyResults(survey=survey, people=("ada",), responses=(), seed=0)
    path = to_spss(results, tmp_path / "levels.sav", weights={"ada": 1.0})
    levels = pyreadstat.read_sav(str(path), metadataonly=True)[1].variable_measure
    expected = {
        "nominal": {
            "respondent",
            "tea",
            "kind",
            "with__1",
            "with__2",
            "why",
            "pick_1",
            "simulated",
        },
        "ordinal": {"joy", "rank_1", "rank_2", "agree_1"},
        "scale": {"cups", "spend_1", "spend_2", "weight"},
    }
    assert {name: {one for one in levels if levels[one] == name} for name in expected} == expected
    assert len(levels) == sum(map(len, expected.values()))


def test_bad_paths_shapes_and_weights_raise(tmp_path: Path) -> None:
    """Typed, and with the value."""
    with pytest.raises(SurveyFileError, match="cannot be written"):
        to_csv(made(), tmp_path / "no" / "x.csv")
    with pytest.raises(SurveyFileError, match=r"ends with \.sav"):
        to_spss(made(), tmp_path / "x.csv")
    with pytest.raises(SurveyFileError, match="'tall'"):
        to_csv(made(), tmp_path / "x.csv", "tall")  # type: ignore[arg-type]
    with pytest.raises(SurveyFileError, match=r"\['bob'\]"):
        to_frame(made(), weights={"ada": 1.0})


def test_a_full_disk_keeps_the_spss_file_that_was_there(tmp_path: Path) -> None:
    """Also where pyreadstat does not say that it wrote nothing: the file is read back."""
    pytest.importorskip("pyreadstat")
    path = to_spss(made(), tmp_path / "tea.sav")
    before = path.read_bytes()
    for room in (0, 100, len(before) - 1):
        with full_disk(room), pytest.raises(SurveyFileError, match=r"tea\.sav"):
            to_spss(made(), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["tea.sav"]


def test_a_lone_carriage_return_in_an_answer_makes_no_further_row(tmp_path: Path) -> None:
    """One response stays one row of the file."""
    results = made()
    texts = tuple(
        one.model_copy(update={"value": "one\rtwo\rthree"}) if one.question == "why" else one
        for one in results.responses
    )
    path = to_csv(results.model_copy(update={"responses": texts}), tmp_path / "a.csv")
    with path.open(encoding="utf-8") as file:  # universal line ends, as many readers have
        assert len(list(csv.DictReader(file))) == 14


def of_weight() -> tuple[SurveyResults, dict[str, float]]:
    """A survey with a question that is called as weights are, and weights."""
    survey = Survey(
        title="Health",
        questions=(SingleChoice(id="weight", text="Your weight?", options=("low", "right")),),
    )
    responses = tuple(
        SurveyResponse(respondent=one, question="weight", value="right", code=2)
        for one in ("ada", "bob")
    )
    results = SurveyResults(survey=survey, people=("ada", "bob"), responses=responses, seed=0)
    return results, {"ada": 1.5, "bob": 0.5}


def test_a_question_that_is_called_weight_keeps_its_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In CSV, Parquet, SPSS and frames; the weights get another column, and that is said."""
    results, weights = of_weight()
    frame = to_frame(results, "wide", weights=weights)
    assert frame["weight"].tolist() == ["right", "right"]
    assert frame["survey_weight"].tolist() == [1.5, 0.5]
    assert frame.attrs["weights"] == "survey_weight"
    assert "the weights are in column 'survey_weight'" in caplog.text
    with to_csv(results, tmp_path / "a.csv", "wide", weights=weights).open() as file:
        assert next(csv.DictReader(file))["survey_weight"] == "1.5"
    arrow = pytest.importorskip("pyarrow.parquet")
    table = arrow.read_table(to_parquet(results, tmp_path / "a.parquet", "wide", weights=weights))
    assert table.column("survey_weight").to_pylist() == [1.5, 0.5]
    stat = pytest.importorskip("pyreadstat")
    found, about = stat.read_sav(str(to_spss(results, tmp_path / "a.sav", weights=weights)))
    assert found["weight"].tolist() == [2, 2]
    assert found["survey_weight"].tolist() == [1.5, 0.5]
    assert about.column_names_to_labels["survey_weight"] == "Weight"
    assert about.variable_measure["survey_weight"] == "scale"
    plain = to_frame(made(), "wide", weights={"ada": 1, "bob": 1})
    assert list(plain.columns[-2:]) == ["weight", "simulated"]


def test_names_that_spss_does_not_take_are_found_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`survey check` names them, `survey run` does not begin, `to_spss` says the same."""
    monkeypatch.chdir(tmp_path)
    long = "which_of_these_means_of_transport_do_you_use_in_an_ordinary_week"
    survey = Survey(
        title="T",
        questions=(
            MultipleChoice(id=long, text="Which?", options=("car", "bike")),
            SingleChoice(id="with", text="With?", options=("a", "b")),
        ),
    )
    assert spss_problems(survey) == [
        f"'{long}_1' is longer than the 64 characters of SPSS",
        f"'{long}_2' is longer than the 64 characters of SPSS",
        "'with' is a reserved word in SPSS",
    ]
    survey.save("s.json")
    found = CliRunner().invoke(app, ["survey", "check", "s.json"], catch_exceptions=False)
    assert found.exit_code == 0
    assert "no .sav can be written" in " ".join(found.output.split())
    pytest.importorskip("pyreadstat")
    with pytest.raises(SurveyFileError, match="is longer than the 64 characters"):
        CliRunner().invoke(
            app, ["survey", "run", "s.json", "--corpus", "none.db", "--out", "x.sav"],
            catch_exceptions=False,
        )  # fmt: skip
    results = SurveyResults(survey=survey, people=("a",), responses=(), seed=0)
    with pytest.raises(SurveyFileError, match="reserved word in SPSS"):
        to_spss(results, tmp_path / "x.sav")


def test_the_export_command_weights_to_known_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the column's name and what the weights cost."""
    monkeypatch.chdir(tmp_path)
    results, _ = of_weight()
    results.survey.save("s.json")
    write_answers(results, "a.jsonl")
    Path("m.json").write_text('{"sex": {"f": 0.75, "m": 0.25}}', encoding="utf-8")
    with Corpus.open("people.db") as corpus:
        corpus.add(
            {"user_id": who, "context": "Tea?", "action": "Yes.", "metadata": {"sex": sex}}
            for who, sex in (("ada", "f"), ("bob", "m"))
        )
    told = ["survey", "export", "a.jsonl", "-i", "s.json", "--out", "w.csv", "--margins", "m.json"]
    found = CliRunner().invoke(app, [*told, "-c", "people.db"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    assert "weights in column 'survey_weight'" in " ".join(found.output.split())
    with Path("w.csv").open(encoding="utf-8") as file:
        assert [float(row["survey_weight"]) for row in csv.DictReader(file)] == [1.5, 0.5]
    with pytest.raises(ConfigError, match="must be used together"):
        CliRunner().invoke(app, told, catch_exceptions=False)
