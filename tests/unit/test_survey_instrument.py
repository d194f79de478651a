"""The instrument: what it may hold, what is refused and how, and its files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.fixtures.surveys import EVERY
from usersim.errors import MissingDependencyError, SurveyError
from usersim.files import MOST_BYTES
from usersim.survey import (
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    YesNo,
    codes_of,
)


def refused(**fields: object) -> str:
    """What is said of a question that is no question."""
    with pytest.raises(ValidationError) as caught:
        Survey.model_validate({"title": "T", "questions": [{"id": "q", "text": "?", **fields}]})
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "single_choice", "options": ["a"]}, "at least 2 items"),
        ({"type": "single_choice", "options": ["a", " A"]}, "options has ['A'] twice"),
        ({"type": "single_choice", "options": ["a", "b"], "refusal": ["b"]}, "['b'] twice"),
        ({"type": "single_choice", "options": ["a", "b"], "last": ["c"]}, "last names ['c']"),
        ({"type": "single_choice", "options": ["a", "{{ b }}"]}, "a placeholder in ['{{ b }}']"),
        ({"type": "single_choice", "options": ["a", "b\nc"]}, "line breaks or control characters"),
        ({"type": "yes_no", "refusal": ["x", "X"]}, "refusal has ['X'] twice"),
        ({"type": "yes_no", "options": ["yes", "YES"]}, "options has ['YES'] twice"),
        ({"type": "multiple_choice", "options": ["a", "b"], "least": 3}, "least 3 and most None"),
        ({"type": "multiple_choice", "options": ["a", "b"], "most": 3}, "most 3 do not match"),
        ({"type": "multiple_choice", "options": ["a", "b"], "exclusive": ["c"]}, "names ['c']"),
        ({"type": "likert", "points": 5, "low": "no"}, "needs labels"),
        ({"type": "likert", "points": ["a", "b"], "low": "no"}, "remove low and high: ['no', '']"),
        ({"type": "number", "low": 3, "high": 3}, "low 3.0 is not below high 3.0"),
        ({"type": "budget", "options": ["a", "b"], "total": 9.5}, "total 9.5 cannot be"),
        ({"type": "matrix", "rows": ["r", "R"], "options": ["a", "b"]}, "rows has ['R'] twice"),
        ({"type": "matrix", "rows": ["r"], "options": ["a", "a "]}, "options has ['a'] twice"),
        ({"type": "open_text", "id": "and"}, "'and' is a reserved word"),
        ({"type": "open_text", "id": "1st"}, "should match pattern"),
        ({"type": "open_text", "text": " "}, "at least 1 character"),
        ({"type": "open_text", "hint": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(fields: dict[str, object], said: str) -> None:
    """Each rule of each type names the field and the value."""
    assert said in refused(**fields)


def test_all_problems_of_an_instrument_are_found_at_once() -> None:
    """Ids, references, conditions, labels and placeholders are listed together, by question."""
    with pytest.raises(SurveyError) as caught:
        Survey(
            title="T",
            instruction="Mind {{ tea }}.",
            random_sections=True,
            sections=(
                Section(
                    id="one",
                    questions=(
                        YesNo(id="tea", text="{{ tea }} {{"),
                        YesNo(id="gone", text="?", show_if="nobody > 1"),
                        YesNo(id="bad", text="?", show_if="tea.x == 1"),
                        YesNo(id="label", text="?", show_if='tea == "perhaps"'),
                        MultipleChoice(id="many", text="?", options=("a", "b")),
                        YesNo(id="whole", text="?", show_if='many == "a"'),
                        YesNo(id="other", text="?", show_if='"c" in many'),
                        YesNo(id="item_", text="?", show_if='selected(many, "d")'),
                        Matrix(id="rows", text="?", rows=("r",), options=("x", "y")),
                        YesNo(id="row", text="?", show_if='rows == "x"'),
                    ),
                ),
                Section(
                    id="two",
                    random_order=True,
                    show_if='tea == "yes"',
                    questions=(
                        OpenText(id="open", text="?"),
                        OpenText(id="after", text="{{ open }}"),
                    ),
                ),
            ),
        )
    said = str(caught.value)
    for line in (
        "survey 'T' is not valid",
        "the survey's instruction 'Mind {{ tea }}.' contains braces",
        "question 'tea': '{{ tea }} {{' has double braces without an id",
        "question 'tea': its text names 'tea', which may not have been asked by then",
        "question 'gone': show_if 'nobody > 1' names 'nobody', which is not a question",
        "question 'bad': expression 'tea.x == 1': 'tea.x' is not a number",
        "question 'label': show_if 'tea == \"perhaps\"' compares 'tea' with 'perhaps'; it has",
        "question 'whole': show_if 'many == \"a\"' compares 'many' with 'a'; it may have several",
        "compares 'many' with 'c'; it has ('a', 'b')",
        "names 'd'; 'many' has ('a', 'b')",
        "compares 'rows' with 'x'; it has an answer for each of its items",
        "section 'two': show_if 'tea == \"yes\"' names 'tea', which may not have been asked",
        "question 'after': its text names 'open', which may not have been asked by then",
    ):
        assert line in said, line
    assert said.count("\n- ") == 12


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ((), "pass either questions or sections"),
        ((YesNo(id="a", text="?"), YesNo(id="A", text="?")), "question id 'a' is given 2 times"),
        (
            (Ranking(id="r", text="?", options=("x", "y")), YesNo(id="r_2", text="?")),
            "column 'r_2' of the results would occur 2 times",
        ),
        ((YesNo(id="respondent", text="?"),), "column 'respondent'"),
    ],
)
def test_names_must_tell_questions_apart(questions: tuple[YesNo, ...], said: str) -> None:
    """Neither ids nor the columns made of them may collide, whatever their case."""
    with pytest.raises(SurveyError, match=said):
        Survey(title="T", questions=questions)


def test_a_fixed_section_may_be_referred_to_across_shuffled_ones() -> None:
    """What surely comes first may be referred to; what may come later may not."""
    first = Section(id="a", fixed=True, questions=(YesNo(id="x", text="?"),))
    free = [
        Section(id=f"m{k}", questions=(YesNo(id=f"y{k}", text="?", show_if='x == "yes"'),))
        for k in range(2)
    ]
    survey = Survey(title="T", random_sections=True, sections=(first, *free))
    assert [one.text for one in survey.conditions["y1"]] == ['x == "yes"']
    with pytest.raises(SurveyError, match="names 'x', which may not have been asked by then"):
        Survey(title="T", random_sections=True, sections=(free[0], first, free[1]))


def test_codes_keep_refusals_apart_from_values() -> None:
    """A refusal's number is below every value's, on a scale that goes below zero, too."""
    likert = LikertScale(
        id="q", text="?", points=3, low="a", high="b", start=-1, refusal=("dk", "na")
    )
    assert codes_of(likert) == {"-1": -1, "0": 0, "1": 1, "dk": -2, "na": -3}
    choice = SingleChoice(id="q", text="?", options=("a", "b"), refusal=("dk",))
    assert codes_of(choice) == {"a": 1, "b": 2, "dk": -1}
    assert codes_of(NumberQuestion(id="q", text="?", refusal=("dk",))) == {"dk": -1}


@pytest.mark.parametrize("name", ["garden.yaml", "garden.YML", "garden.json"])
def test_an_instrument_survives_its_file(tmp_path: Path, name: str) -> None:
    """Written and read again it is the same, digest included."""
    again = Survey.load(EVERY.save(tmp_path / name))
    assert again == EVERY
    assert again.digest == EVERY.digest
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_yaml_file_says_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    """Every problem names its question; words that YAML takes for truth values are explained."""
    file = tmp_path / "bad.yaml"
    file.write_text(
        "title: T\nquestions:\n"
        "- {type: yes_no, id: a, text: A, options: [yes, no]}\n"
        "- {type: liker, id: b, text: B}\n"
        "- {type: yes_no, id: c, text: C, color: red}\n",
        encoding="utf-8",
    )
    with pytest.raises(SurveyError, match=r"bad\.yaml") as caught:
        Survey.load(file)
    said = str(caught.value)
    assert "question 'a', options[0]: Input should be" in said
    assert "(got True: in YAML, words such as yes and no need quotes)" in said
    assert "question 'b': Input tag 'liker'" in said
    assert "question 'c', color: Extra inputs are not permitted (got 'red')" in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", "title: [", "is not valid YAML"),
        ("a.yaml", "a: &x [1]\nb: *x\n", r"has an alias \(\*x\) in line 2"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "[" * 100_000, "nested deeper"),
        ("a.json", "3", "'.*a.json' is not a valid survey"),
        ("a.txt", "x", "ends with '.txt'"),
    ],
)
def test_a_file_that_is_no_instrument_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    """Broken, foreign and hostile files are one typed error."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(SurveyError, match=said):
        Survey.load(tmp_path / name)


def test_files_are_bounded_and_must_be_there(tmp_path: Path) -> None:
    """A missing file, one that is too large, and a folder that is not there are errors."""
    with pytest.raises(SurveyError, match=r"'.*none.json'"):
        Survey.load(tmp_path / "none.json")
    big = tmp_path / "big.json"
    big.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(SurveyError, match="has more than 4000000 bytes"):
        Survey.load(big)
    with pytest.raises(SurveyError, match=r"'.*x.json'"):
        EVERY.save(tmp_path / "no" / "x.json")


def test_yaml_without_its_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON needs nothing; YAML says what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match="'yaml'") as caught:
        EVERY.save(tmp_path / "x.yaml")
    assert "usersim-recon[survey]" in caught.value.hint
    saved = EVERY.save(tmp_path / "x.json")
    assert json.loads(saved.read_text(encoding="utf-8"))["title"] == "The garden"


@pytest.mark.parametrize(
    ("name", "text", "key", "line"),
    [
        ("a.yaml", "title: T\nquestions: []\ntitle: U\n", "title", 3),
        ("a.yaml", "title: T\nquestions:\n- {id: a, type: yes_no, text: x, id: b}\n", "id", 3),
        ("a.json", '{"title": "T",\n "questions": [{"id": "a",\n "id": "b"}]}', "id", 3),
        ("a.json", '{"title": "a: {\\"title\\": 1}", "title": 2}', "title", 1),
    ],
)
def test_a_key_that_stands_twice_is_an_error_with_its_line(
    tmp_path: Path, name: str, text: str, key: str, line: int
) -> None:
    """YAML and JSON would keep one of both values and say nothing."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SurveyError, match=f"has the key '{key}' twice: again in line {line}"):
        Survey.load(tmp_path / name)
