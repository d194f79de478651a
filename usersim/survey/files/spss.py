"""Results as an SPSS file (`.sav`): codes, with labels for every variable and value.

Refusals are user-missing values. Knows results and pyreadstat; knows nothing of models.
"""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable, Mapping, Sized
from pathlib import Path
from typing import Protocol, cast

from usersim.errors import MissingDependencyError, SurveyFileError, boundary
from usersim.files import replacing
from usersim.survey.files.frames import to_frame, weight_column
from usersim.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
    codes_of,
)
from usersim.survey.responses import column_of
from usersim.survey.survey import Survey, SurveyResults
from usersim.types.counting import counted

__all__ = ["spss_problems", "to_spss"]

_LONGEST_LABEL = 250
"""Of a variable, in bytes; SPSS takes 255."""
_LONGEST_VALUE_LABEL = 115
"""Of a value, in bytes; SPSS takes 120."""
_LONGEST_NAME = 64
"""Of a variable, in bytes."""
_WORDS = frozenset({
    "ALL", "AND", "BY", "EQ", "GE", "GT", "LE", "LT", "NE", "NOT", "OR", "TO", "WITH",
})  # fmt: skip
"""Words that no variable may be called."""
_MOST_MISSING = 3
"""Missing values of a variable that SPSS takes."""
_MEASURES = {"respondent": "nominal", "simulated": "nominal"}
_MARK = "All answers are simulated by a model; none was given by a person (usersim)."


class _Meta(Protocol):
    column_names: list[str]


class _ReadSav(Protocol):
    """`pyreadstat.read_sav`, typed."""

    def __call__(
        self, path: str, *, metadataonly: bool = False, usecols: list[str] | None = None
    ) -> tuple[Sized, _Meta]: ...


def to_spss(
    results: SurveyResults, path: str | Path, *, weights: Mapping[str, float] | None = None
) -> Path:
    """Write results as an SPSS file: a row per respondent, codes with value labels.

    Args:
        results: What was simulated.
        path: The file, ending with `.sav`; replaced if it is there.
        weights: Of each respondent, for a variable of the name that `weight_column` says.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If pandas or pyreadstat is not installed.
        SurveyFileError: If it cannot be written, or SPSS does not take a name of the survey.
    """
    target = Path(path)
    if problems := spss_problems(results.survey):
        raise SurveyFileError(
            f"survey {results.survey.title!r} cannot be an SPSS file: {'; '.join(problems)}",
            hint="change the ids in the survey file, or write .csv or .parquet",
        )
    if target.suffix.lower() != ".sav":
        raise SurveyFileError(f"an SPSS file ends with .sav, got {str(path)!r}")
    try:
        write = cast("Callable[..., None]", importlib.import_module("pyreadstat").write_sav)
    except ImportError:
        raise MissingDependencyError("pyreadstat", extra="spss", why="an SPSS file") from None
    frame = to_frame(results, "wide", codes=True, weights=weights)
    weight = weight_column(results.survey)
    marks = {"respondent": "Simulated person", "simulated": _MARK}
    marks |= {} if weights is None else {weight: "Weight"}
    values: dict[str, dict[float, str]] = {"simulated": {1.0: "simulated by a model"}}
    columns = [
        (column_of(question, item), question, item)
        for question in results.survey.all_questions
        for item in question.items
    ]
    for column, question, _ in columns:
        values |= {column: codes} if (codes := _codes(question)) else {}
        if isinstance(question, OpenText):
            frame[column] = frame[column].fillna("").astype(str)
        else:
            frame[column] = frame[column].astype("float64")
    frame["simulated"] = 1.0

    def check(half: Path) -> None:
        _read_back(half, len(frame), list(frame.columns))

    with (
        boundary(SurveyFileError, f"writing {str(path)!r} as an SPSS file"),
        replacing(path, what="the answers", error=SurveyFileError, check=check) as half,
    ):
        write(
            frame,
            str(half),
            file_label=_cut(f"SIMULATED: {results.survey.title}", 60),
            column_labels={name: marks[name] for name in marks if name in frame}
            | {column: _label(question, item) for column, question, item in columns},
            variable_value_labels=values,
            variable_measure=_MEASURES
            | ({} if weights is None else {weight: "scale"})
            | {column: _measure(question) for column, question, _ in columns},
            missing_ranges={
                column: _refusals(question)[:_MOST_MISSING]
                for column, question, _ in columns
                if _refusals(question) and not isinstance(question, OpenText)
            },
            note=_MARK,
        )
    return target


def spss_problems(survey: Survey) -> list[str]:
    """Return what SPSS cannot take of a survey's names, in words; empty if it takes them all.

    Example:
        >>> from usersim.survey import YesNo
        >>> spss_problems(Survey(title="T", questions=(YesNo(id="with", text="With milk?"),)))
        ["'with' is a reserved word in SPSS"]
    """
    columns = [
        column_of(question, item) for question in survey.all_questions for item in question.items
    ]
    long = [one for one in columns if len(one.encode()) > _LONGEST_NAME]
    words = [one for one in columns if one.upper() in _WORDS]
    return [
        *(f"{one!r} is longer than the {_LONGEST_NAME} characters of SPSS" for one in long[:5]),
        *([f"and {len(long) - 5} further names like it"] if len(long) > 5 else []),  # noqa: PLR2004 - those above
        *(f"{one!r} is a reserved word in SPSS" for one in words),
    ]


def _read_back(half: Path, rows: int, columns: list[str]) -> None:
    """Check that a file holds what was written: pyreadstat does not say when a disk is full.

    Raises:
        OSError: If it does not.
    """
    read = cast("_ReadSav", importlib.import_module("pyreadstat").read_sav)
    _, about = read(str(half), metadataonly=True)
    # One column is enough: the rows are read through to the end.
    found, _ = read(str(half), usecols=columns[:1])
    if len(found) != rows or about.column_names != columns:
        raise OSError(errno.EIO, f"{counted(len(found), 'row')} can be read back of {rows} written")


def _measure(question: SurveyQuestion) -> str:
    """Return the level on which SPSS should treat a question: what can be done with its codes."""
    if isinstance(question, NumberQuestion | Budget):
        return "scale"
    ordered = isinstance(question, Matrix) and question.ordered
    return "ordinal" if ordered or isinstance(question, LikertScale | Ranking) else "nominal"


def _label(question: SurveyQuestion, item: str) -> str:
    return _cut(f"{question.text} - {item}" if item else question.text)


def _codes(question: SurveyQuestion) -> dict[float, str]:
    """Return the label of each code; of numbers only the refusals have one."""
    codes = codes_of(question)
    if isinstance(question, NumberQuestion | OpenText | Ranking | Budget):
        codes = {label: codes[label] for label in question.refusal}
    ends: dict[str, str] = {}
    if isinstance(question, LikertScale) and question.low:
        first, last = question.options[0], question.options[-1]
        ends = {first: f"{first} ({question.low})", last: f"{last} ({question.high})"}
    return {
        float(code): _cut(ends.get(label, label), _LONGEST_VALUE_LABEL)
        for label, code in codes.items()
    }


def _refusals(question: SurveyQuestion) -> list[float]:
    return [float(code) for label, code in codes_of(question).items() if label in question.refusal]


def _cut(text: str, longest: int = _LONGEST_LABEL) -> str:
    """Return a text on one line of at most so many bytes, whole characters."""
    return " ".join(text.split()).encode("utf-8", "replace")[:longest].decode("utf-8", "ignore")
