"""Survey files that cost little to write and would cost much to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures import qsf
from tests.soak.attack import patience
from usersim.errors import SurveyError
from usersim.files import documents
from usersim.survey import Survey
from usersim.survey.files import read_qsf
from usersim.survey.loading import MOST_QUESTIONS, MOST_TOLD, of_data, read_file

GOOD = {"title": "T", "questions": [{"id": "q", "type": "yes_no", "text": "Tea?"}]}


def questions(count: int, **fields: str) -> dict[str, object]:
    """An instrument of so many questions."""
    one = {"type": "yes_no", "text": "Tea?", **fields}
    return {"title": "T", "questions": [{"id": f"q{n}", **one} for n in range(count)]}


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 8_000 + "a", "? " * 8_000, "{a: " * 8_000])
def test_nested_yaml_names_the_limit_of_depth(tmp_path: Path, text: str) -> None:
    """Before PyYAML, whose time grows with the square of the depth, has made anything of it."""
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SurveyError, match=r"a\.yaml' is nested deeper than 20 levels"):
        read_file(path)


@pytest.mark.parametrize("depth", [21, 900, 100_000])
def test_nested_json_names_the_limit_of_depth(tmp_path: Path, depth: int) -> None:
    """Where Python's parser can read it, and where it cannot."""
    path = tmp_path / "a.json"
    path.write_text("[" * depth + "]" * depth, encoding="utf-8")
    with pytest.raises(SurveyError, match=r"a\.json' is nested deeper than 20 levels"):
        read_file(path)


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_many_values_name_the_limit_of_values(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the greatest size could hold a million of them."""
    monkeypatch.setattr(documents, "MOST_VALUES", 1_000)
    path = tmp_path / f"a.{ending}"
    path.write_text(f"[{'1,' * 1_001}1]", encoding="utf-8")
    with pytest.raises(SurveyError, match="has more than 1000 values"):
        read_file(path)


@pytest.mark.parametrize("text", ["1:1" + ":1" * 100_000, "1:1" + ":1" * 100_000 + ".5", "10:30"])
def test_numbers_of_base_sixty_are_texts(tmp_path: Path, text: str) -> None:
    """`1:1:…` takes no time, and a time of day stays what it is."""
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\nb: -12\nc: 1.5\nd: 0x1F\n", encoding="utf-8")
    assert read_file(path) == {"a": text, "b": -12, "c": 1.5, "d": 31}


def test_a_number_of_too_many_digits_is_a_typed_error(tmp_path: Path) -> None:
    """In YAML and in JSON."""
    for ending in ("yaml", "json"):
        path = tmp_path / f"a.{ending}"
        path.write_text(f'{{"a": {"1" * 6_000}}}', encoding="utf-8")
        with pytest.raises(SurveyError, match="digits"):
            read_file(path)


@pytest.mark.parametrize(
    "fields", [{"type": "nope"}, {"show_if": "zz == 1"}, {"text": "{{ zz }}"}, {"text": ""}]
)
def test_thousands_of_wrong_questions_are_counted_and_the_first_ones_told(
    fields: dict[str, str],
) -> None:
    """A list of problems stays short, whatever their number, and so does the time."""
    with pytest.raises(SurveyError) as caught:
        of_data(Survey, questions(MOST_QUESTIONS, **fields), where="a.yaml")
    assert str(caught.value).count("\n- ") == MOST_TOLD + 1
    assert f"and {MOST_QUESTIONS - MOST_TOLD} more" in str(caught.value)
    assert len(str(caught.value)) < 100_000


def test_the_number_of_questions_is_limited() -> None:
    """Over all sections together."""
    assert len(of_data(Survey, questions(3), where="a").all_questions) == 3
    with pytest.raises(SurveyError, match="has 5001 questions, more than the limit of 5000"):
        of_data(Survey, questions(MOST_QUESTIONS + 1), where="a")
    half = [{"id": f"s{n}", "questions": [{}] * 3_000} for n in range(2)]
    with pytest.raises(SurveyError, match="has 6000 questions"):
        of_data(Survey, {"title": "T", "sections": half}, where="a")


@pytest.mark.parametrize("data", [None, 1, [], "x", {"questions": 3}, {"sections": [1, [2]]}])
def test_what_is_no_instrument_is_a_typed_error(data: object) -> None:
    """Whatever stands in the place of questions and sections."""
    with pytest.raises(SurveyError):
        of_data(Survey, data, where="a")


def test_a_good_file_is_read_as_before(tmp_path: Path) -> None:
    """JSON and YAML alike."""
    for name in ("a.json", "a.yaml"):
        (tmp_path / name).write_text(json.dumps(GOOD), encoding="utf-8")
        assert Survey.load(tmp_path / name).title == "T"


@pytest.mark.parametrize(
    ("field", "piece"),
    [
        ("QuestionText", "${q://QID1/"),
        ("QuestionText", "${lm://Field/"),
        ("QuestionText", "<a "),
        ("QuestionText", "{{ a "),
        ("QuestionJS", "/*"),
        ("QuestionJS", "Qualtrics.SurveyEngine.addOnload(function () {"),
    ],
)
def test_parts_of_a_qualtrics_file_that_never_end_are_looked_at_once(
    field: str, piece: str
) -> None:
    """Two megabytes of pipes, comments and markup; a second look at each would take an hour."""
    fields = {"QuestionText": "Tea?", field: piece * (2_000_000 // len(piece))}
    one = qsf.question("QID1", "tea", str(fields.pop("QuestionText")), "TE", "SL", **fields)
    with patience("a Qualtrics file", 60):
        assert read_qsf(qsf.survey_of(one)).survey.all_questions


@pytest.mark.parametrize(
    ("field", "place"),
    [("text", "section 's', text"), ("show_if", "section 's', show_if")],
)
def test_half_a_character_is_named_wherever_it_stands(
    tmp_path: Path, field: str, place: str
) -> None:
    """Saving would have made it a question mark: another instrument than was read."""
    section = {"id": "s", "questions": GOOD["questions"], field: "\ud800 tea"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"title": "T", "sections": [section]}), encoding="utf-8")
    with pytest.raises(SurveyError, match=f"{place}: holds half a character"):
        Survey.load(path)
    with pytest.raises(SurveyError, match="instruction: holds half a character"):
        of_data(Survey, {**GOOD, "instruction": "\udc00"}, where="x")
