"""What several survey commands read beside the answers: known shares, and a human sample."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from usersim.cli.console import open_corpus
from usersim.delimited import BrokenRecord, Dialect, read_records, recognize
from usersim.errors import ConfigError, SurveyError, SurveyFileError
from usersim.files import read_json, unescape_cell
from usersim.survey import SurveyResults
from usersim.survey.estimates import Margins, Weights
from usersim.survey.estimation import weigh
from usersim.survey.population import attributes_of
from usersim.types.counting import counted

__all__ = [
    "GroupsOption",
    "HumanOption",
    "MarginsOption",
    "MissingOption",
    "MostOption",
    "Weighting",
    "human_rows",
    "missing_values",
]

_HEAD = 200_000

MarginsOption = Annotated[
    Path | None,
    typer.Option(help='Known shares of the population, JSON: {"sex": {"f": 0.51, "m": 0.49}}.'),
]
GroupsOption = Annotated[
    str | None,
    typer.Option("--corpus", "-c", help="The store whose metadata give each person's groups."),
]
MostOption = Annotated[
    float | None, typer.Option(help="Largest weight, as a multiple of the mean weight.", min=1)
]
HumanOption = Annotated[
    Path | None,
    typer.Option(
        help="Answers of real people: .csv or .jsonl, one row per person, columns as in wide "
        "results; or a folder of such files."
    ),
]
MissingOption = Annotated[
    list[str] | None,
    typer.Option(help="A value that means no answer, such as -99; may be repeated."),
]


class Weighting:
    """The options that weight simulated people to known shares.

    Args:
        margins: File of the shares.
        corpus: The store whose metadata define the groups.
        most: Largest weight.

    Raises:
        ConfigError: If one is given without the other.
    """

    def __init__(self, margins: Path | None, corpus: str | None, most: float | None) -> None:
        if (margins is None) != (corpus is None):
            raise ConfigError(
                "--margins and --corpus must be used together: the shares, and each person's groups"
            )
        if most is not None and margins is None:
            raise ConfigError(f"--most {most:g} trims the weights that --margins makes: pass both")
        self.margins: Margins | None = None if margins is None else _margins(margins)
        self.corpus = corpus
        self.most = most

    def attributes(self, results: Sequence[SurveyResults]) -> dict[str, dict[str, str]] | None:
        """Return what the store says of everybody who was asked; None without weights."""
        if self.corpus is None:
            return None
        asked = {person for one in results for person in one.people}
        with open_corpus(self.corpus) as store:
            held = [one.user_id for one in store.users() if one.user_id in asked]
            return attributes_of(store, held)

    def weights(self, results: Sequence[SurveyResults]) -> tuple[Weights, dict[str, float]] | None:
        """Return the weights, and that of each respondent; None if all count alike."""
        if self.margins is None:
            return None
        people = list(dict.fromkeys(person for one in results for person in one.people))
        made = weigh(people, self.attributes(results) or {}, self.margins, most=self.most)
        return made, dict(zip(people, map(float, made.values), strict=True))


def _margins(path: Path) -> Margins:
    """Return the margins of a file.

    Raises:
        ConfigError: If they are none.
    """
    try:
        told = read_json(path.read_text(encoding="utf-8"), str(path), error=SurveyError)
        return {
            str(name): {str(category): float(share) for category, share in shares.items()}
            for name, shares in cast("dict[str, dict[str, float]]", told).items()
        }
    except (OSError, ValueError, TypeError, AttributeError, SurveyError) as error:
        raise ConfigError(
            f"--margins {str(path)!r} cannot be read: {error}",
            hint='write it as {"sex": {"f": 0.51, "m": 0.49}}',
        ) from error


def human_rows(path: Path) -> list[Mapping[str, object]]:
    """Return the rows of a human sample; of a folder those of every file in it, by name.

    Raises:
        SurveyFileError: If it cannot be read, or the folder has no such file.
    """
    if path.is_dir():
        held = sorted(one for one in path.iterdir() if one.suffix.lower() in {".csv", ".jsonl"})
        if not held:
            raise SurveyFileError(
                f"{str(path)!r} has no .csv or .jsonl file",
                hint="pass the folder with the files that respondents saved",
            )
        return [row for one in held for row in human_rows(one)]
    try:
        if path.suffix.lower() == ".csv":
            return _delimited(path)
        with path.open(encoding="utf-8-sig") as file:
            rows = [json.loads(line) for line in file if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise SurveyFileError(f"{str(path)!r} cannot be read: {error}") from error
    if strange := [row for row in rows if not isinstance(row, Mapping)]:
        raise SurveyFileError(f"{str(path)!r} has a row that is not an object: {strange[0]!r}")
    return rows


def _delimited(path: Path) -> list[Mapping[str, object]]:
    """Return the rows of a CSV file by their header.

    Raises:
        SurveyFileError: If a row cannot be read, or a column has the name of another.
    """
    with path.open("rb") as file:
        dialect = recognize(file.read(_HEAD)) or Dialect(",")
        file.seek(0)
        records = list(read_records(file, dialect))
    broken = [one for one in records if isinstance(one, BrokenRecord)]
    rows = [one for one in records if isinstance(one, list)]
    if broken or not rows:
        reason = broken[0].reason if broken else "it has no header"
        raise SurveyFileError(f"{str(path)!r} cannot be read: {reason}")
    names = [name.strip() for name in rows[0]]
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise SurveyFileError(f"{str(path)!r} has duplicate columns: {sorted(twice)!r}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise SurveyFileError(
                f"row {number} of {str(path)!r} has {counted(len(row), 'cell')}, its header has "
                f"{len(names)}"
            )
    return [dict(zip(names, map(unescape_cell, row), strict=True)) for row in rows[1:]]


def missing_values(told: Sequence[str] | None) -> tuple[str, ...]:
    """Return the values that mean no answer."""
    return tuple(told or ())
