"""Results as the table that a file's ending names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from usersim.errors import MissingDependencyError, SurveyFileError
from usersim.survey.files.frames import Shape, to_csv, to_parquet
from usersim.survey.files.spss import to_spss
from usersim.survey.survey import SurveyResults

__all__ = ["TABLES", "check_ending", "write_table"]

TABLES = (".csv", ".parquet", ".sav")
"""Endings of files that a table can be written to."""
_NEEDS = {".parquet": ("pyarrow", "parquet"), ".sav": ("pyreadstat", "spss")}
"""Package and extra behind an ending."""


def check_ending(path: str | Path, endings: tuple[str, ...] = TABLES) -> str:
    """Return a file's ending in lower case, before anything is asked for its sake.

    Raises:
        SurveyFileError: If it is none of `endings`.
        MissingDependencyError: If what writes such a file is not installed.

    Example:
        >>> check_ending("answers.SAV")
        '.sav'
    """
    ending = Path(path).suffix.lower()
    if ending not in endings:
        raise SurveyFileError(
            f"{str(path)!r} must end with one of {', '.join(endings)}",
            hint="the ending selects the format",
        )
    package, extra = _NEEDS.get(ending, ("csv", ""))
    if find_spec(package) is None:
        raise MissingDependencyError(package, extra=extra, why=f"a {ending} file")
    return ending


def write_table(
    results: SurveyResults,
    path: str | Path,
    shape: Shape = "wide",
    *,
    codes: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Path:
    """Write results as CSV, Parquet or SPSS file, by the ending of `path`.

    Args:
        results: What was simulated.
        path: The file; replaced if it is there.
        shape: A row per answer or per respondent; an SPSS file is always wide.
        codes: In wide tables the numbers of answers in place of their labels; an SPSS file
            always holds codes, with their labels.
        weights: Of each respondent, for a column of the name that `weight_column` says.

    Returns:
        The file.

    Raises:
        MissingDependencyError: If what writes such a file is not installed.
        SurveyFileError: If its ending is unknown, or it cannot be written.
    """
    ending = check_ending(path)
    if ending == ".sav":
        return to_spss(results, path, weights=weights)
    put = to_parquet if ending == ".parquet" else to_csv
    return put(results, path, shape, codes=codes, weights=weights)
