"""The codebook of an instrument: what each column of its wide form asks.

In the form that the corpus reads wide surveys by, so that people's answers to an instrument
become their history.
"""

from __future__ import annotations

from collections.abc import Mapping

from usersim.survey.questions import (
    Budget,
    LikertScale,
    Matrix,
    NumberQuestion,
    OpenText,
    Ranking,
    SurveyQuestion,
)
from usersim.survey.responses import column_of
from usersim.survey.survey import Survey

__all__ = ["codebook_of"]


def codebook_of(survey: Survey) -> dict[str, Mapping[str, object]]:
    """Return text, kind and options of every column, with `respondent` and `timestamp`.

    Example:
        >>> from usersim.survey import YesNo
        >>> survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
        >>> codebook_of(survey)["tea"]
        {'text': 'Tea?', 'kind': 'choice', 'options': ['yes', 'no']}
    """
    found: dict[str, Mapping[str, object]] = {
        "respondent": {"kind": "id"},
        "timestamp": {"kind": "timestamp"},
    }
    for question in survey.all_questions:
        for item in question.items:
            text = f"{question.text}\n{item}" if item else question.text
            found[column_of(question, item)] = {"text": text, **_space(question)}
    return found


def _space(question: SurveyQuestion) -> dict[str, object]:
    if isinstance(question, OpenText):
        return {"kind": "free_text"}
    if isinstance(question, NumberQuestion):
        limits = {"low": question.low, "high": question.high, "unit": question.unit}
        told = {name: value for name, value in limits.items() if value is not None}
        return {"kind": "number", "integer": question.integer, **told}
    if isinstance(question, Ranking | Budget):
        return {"kind": "number"}
    ordered = isinstance(question, LikertScale) or (
        isinstance(question, Matrix) and question.ordered
    )
    return {"kind": "scale" if ordered else "choice", "options": list(question.labels)}
