"""A survey's answers as a file: one row per response, each marked as simulated."""

from __future__ import annotations

from pathlib import Path

from usersim.errors import SurveyError
from usersim.files import write_rows
from usersim.survey.survey import SurveyResults

__all__ = ["write_answers"]


def write_answers(results: SurveyResults, path: str | Path) -> int:
    """Write one row per response; the file appears when it is whole.

    Args:
        results: What came of a survey.
        path: CSV if it ends with `.csv`, Parquet if with `.parquet`, otherwise JSON Lines.

    Returns:
        How many rows were written.

    Raises:
        SurveyError: If the file cannot be written.
    """
    return write_rows(
        path,
        results.long(),
        what="the answers",
        error=SurveyError,
        hint="they are stored: repeat the call to write them without asking again",
    )
