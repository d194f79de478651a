"""Results as tables: a row per answer (long) or per respondent (wide), as a frame, CSV or Parquet.

Every table has a column `simulated` that is true in every row, and files carry the mark a second
time where the format has room for it. Knows results and files; knows nothing of models.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from usersim.errors import MissingDependencyError, SurveyFileError, boundary
from usersim.files import write_rows
from usersim.survey.responses import column_of
from usersim.survey.survey import Survey, SurveyResults

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Shape", "plain_rows", "to_csv", "to_frame", "to_parquet", "weight_column"]

Shape = Literal["long", "wide"]
"""A row per answer, or a row per respondent."""

logger = logging.getLogger(__name__)

WEIGHT = "weight"
"""Name of the column of weights, where it is free."""
_WHAT = "the answers"


def weight_column(survey: Survey) -> str:
    """Return the name that the column of weights has in wide tables of a survey.

    It is `weight`, unless a question has that name: the answers keep it then.

    Example:
        >>> from usersim.survey import Survey, YesNo
        >>> weight_column(Survey(title="T", questions=(YesNo(id="Weight", text="Too heavy?"),)))
        'survey_weight'
    """
    taken = {
        column_of(question, item).casefold()
        for question in survey.all_questions
        for item in question.items
    }
    first = (WEIGHT, f"survey_{WEIGHT}")
    names = chain(first, (f"survey_{WEIGHT}_{number}" for number in count(2)))
    return next(name for name in names if name not in taken)


def plain_rows(
    results: SurveyResults,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield rows of plain cells: mappings and tuples as JSON text.

    Args:
        results: What was simulated.
        shape: A row per answer or per respondent.
        codes: In wide rows the numbers of answers in place of their labels.
        weights: Of each respondent, for a column of the name that `weight_column` says; None
            makes no such column.

    Yields:
        Rows, all with the same columns, `simulated` the last.

    Raises:
        SurveyFileError: If `shape` is unknown, or a respondent has no weight.
    """
    if shape not in {"long", "wide"}:
        raise SurveyFileError(f"shape {shape!r} is neither 'long' nor 'wide'")
    column = weight_column(results.survey) if shape == "wide" else WEIGHT
    if weights is not None and (missing := set(results.people) - set(weights)):
        raise SurveyFileError(f"no weight for {sorted(missing)[:5]!r}")
    if weights is not None and column != WEIGHT:
        told = "survey %r has a column %r of its own: the weights are in column %r"
        logger.warning(told, results.survey.title, WEIGHT, column)
    rows = results.long() if shape == "long" else results.wide(codes=codes)
    for row in rows:
        cells = {name: _cell(value) for name, value in row.items() if name != "simulated"}
        if weights is not None:
            cells[column] = weights[str(row["respondent"])]
        yield {**cells, "simulated": True}


def to_frame(
    results: SurveyResults,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return results as a pandas frame; its `attrs` say that they are simulated.

    Args:
        results: What was simulated.
        shape: A row per answer or per respondent.
        codes: In wide frames the numbers of answers in place of their labels.
        weights: Of each respondent, for a column of the name that `weight_column` says.

    Returns:
        The frame.

    Raises:
        MissingDependencyError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingDependencyError("pandas", extra="report", why="a frame") from None
    frame = pd.DataFrame(list(plain_rows(results, shape, codes=codes, weights=weights)))
    frame.attrs = {"simulated": True, "survey": results.survey.title}
    if weights is not None and shape == "wide":
        frame.attrs["weights"] = weight_column(results.survey)
    return frame


def to_csv(
    results: SurveyResults,
    path: str | Path,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Write results as CSV (UTF-8), its cells escaped as `usersim.files.escape_cell` says.

    Args:
        results: What was simulated.
        path: The file; replaced if it is there.
        shape: A row per answer or per respondent.
        codes: In wide tables the numbers of answers in place of their labels.
        weights: Of each respondent, for a column of the name that `weight_column` says.

    Returns:
        The file.

    Raises:
        SurveyFileError: If it cannot be written.
    """
    rows = plain_rows(results, shape, codes=codes, weights=weights)
    write_rows(path, rows, what=_WHAT, error=SurveyFileError)
    return Path(path)


def to_parquet(
    results: SurveyResults,
    path: str | Path,
    shape: Shape = "long",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Write results as Parquet; the file's own metadata say that they are simulated.

    Args:
        results: What was simulated.
        path: The file; replaced if it is there.
        shape: A row per answer or per respondent.
        codes: In wide tables the numbers of answers in place of their labels.
        weights: Of each respondent, for a column of the name that `weight_column` says.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If pyarrow is not installed.
        SurveyFileError: If it cannot be written.
    """
    rows = plain_rows(results, shape, codes=codes, weights=weights)
    mark = {"simulated": True, "survey": results.survey.title, "digest": results.survey.digest}
    with boundary(SurveyFileError, f"writing {str(path)!r} as Parquet"):
        write_rows(path, rows, what=_WHAT, error=SurveyFileError, mark=mark)
    return Path(path)


def _cell(value: object) -> object:
    if isinstance(value, Mapping):
        return json.dumps(dict(cast("Mapping[str, object]", value)), ensure_ascii=False)
    if isinstance(value, tuple | list):
        return json.dumps(list(cast("Sequence[object]", value)), ensure_ascii=False)
    return value
