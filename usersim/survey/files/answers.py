"""Results back from the file that `usersim survey run --out` wrote: one JSON row per answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from usersim.errors import SurveyFileError
from usersim.survey.responses import SurveyResponse
from usersim.survey.survey import Survey, SurveyResults

__all__ = ["read_answers"]

MOST_BYTES = 2_000_000_000
"""Largest file that is read."""


def read_answers(path: str | Path, survey: Survey) -> SurveyResults:
    """Read simulated answers to an instrument.

    Args:
        path: JSON Lines in the long form, as `usersim survey run --out answers.jsonl` writes.
        survey: The instrument that was asked.

    Returns:
        The results. Failures and settings are not in the file, nor is the seed of the orders:
        `provenance` names the file instead, and what answered.

    Raises:
        SurveyFileError: If it cannot be read, or a row is not a valid answer to this instrument.
    """
    responses: list[SurveyResponse] = []
    items = {question.id: question.items for question in survey.all_questions}
    seen: set[tuple[str, str, str]] = set()
    answered_by: dict[str, None] = {}
    for number, row in _rows(Path(path)):
        one = _response(row, f"row {number} of {str(path)!r}")
        if one.item not in items.get(one.question, ()):
            raise SurveyFileError(
                f"row {number} of {str(path)!r} answers {one.question!r} {one.item!r}, which is "
                f"not in survey {survey.title!r}",
                hint="use the survey file that these answers were simulated with",
            )
        if (spot := (one.respondent, one.question, one.item)) in seen:
            raise SurveyFileError(f"row {number} of {str(path)!r} answers {spot!r} again")
        seen.add(spot)
        responses.append(one)
        if row.get("answered_by"):
            answered_by[str(row["answered_by"])] = None
    if not responses:
        raise SurveyFileError(f"{str(path)!r} has no answers")
    return SurveyResults(
        survey=survey,
        people=tuple(dict.fromkeys(one.respondent for one in responses)),
        responses=tuple(responses),
        mode=responses[0].mode,
        seed=0,
        provenance={"answers": str(path), "answered_by": "; ".join(answered_by)},
    )


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the rows of a file with their numbers.

    Raises:
        SurveyFileError: If it cannot be read.
    """
    number = 0
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SurveyFileError(f"{str(path)!r} has more than {MOST_BYTES} bytes")
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, cast("Mapping[str, object]", json.loads(line))
    except (OSError, ValueError, RecursionError) as error:
        raise SurveyFileError(
            f"{str(path)!r} cannot be read as JSON Lines after row {number}: {error}",
            hint="write the answers with: usersim survey run … --out answers.jsonl",
        ) from error


def _response(row: object, where: str) -> SurveyResponse:
    """Return a row as a response.

    Raises:
        SurveyFileError: If it is none.
    """
    told: Mapping[str, object] = {}
    if isinstance(row, Mapping):
        told = cast("Mapping[str, object]", row)
    known = {name: told[name] for name in SurveyResponse.model_fields if name in told}
    try:
        return SurveyResponse.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"])
        raise SurveyFileError(
            f"{where} is not a simulated answer: {spot}: {first['msg']}"
        ) from error
