"""The glossary speaks of the code as it is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from usersim import config
from usersim.evaluation import ARMS

PAGE = Path(__file__).parents[2] / "docs" / "glossary.md"
ROOMS = (
    *("usersim", "usersim.types", "usersim.config", "usersim.errors", "usersim.transcript"),
    *("usersim.engines", "usersim.corpus", "usersim.recon", "usersim.training"),
    *("usersim.prediction", "usersim.simulation", "usersim.evaluation", "usersim.survey"),
    *("usersim.survey.estimates", "usersim.survey.files", "usersim.research"),
    *("usersim.research.study", "usersim.fleet"),
    *("usersim.simulator", "usersim.explorer", "usersim.server"),
)
SETTINGS = {"user_id", "embedded", "default", "trace_judge", *ARMS}
"""Names of arguments, and values that they take."""


def rows() -> list[tuple[str, str, str]]:
    """Return term, name in the code and meaning of each row."""
    found = re.findall(r"^\| (.+?) \| ?(.*?) ?\| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [row for row in found if row[0] != "term"]


def test_every_name_of_the_code_exists() -> None:
    """A public name that is renamed or removed leaves no stale row behind."""
    public = {name for room in ROOMS for name in dir(importlib.import_module(room))} | SETTINGS
    named = [name for _, cell, _ in rows() for name in re.findall(r"`(\w+)(?:\.\w+)?`", cell)]
    assert len(named) > 70
    assert [name for name in named if name not in public] == []


def test_no_term_stands_twice() -> None:
    """One term, one meaning."""
    terms = [term for term, _, _ in rows()]
    assert len(terms) == len(set(terms))


@pytest.mark.parametrize(
    ("term", "values"),
    [
        ("preset", config.Preset),
        ("recipe", config.Recipe),
        ("predictor", config.PredictorName),
    ],
)
def test_lists_of_values_are_complete(term: str, values: object) -> None:
    """What a row lists is what the code takes."""
    from typing import get_args

    (meaning,) = [meaning for name, _, meaning in rows() if name == term]
    assert set(get_args(values)) <= set(re.findall(r"`(\w+)`", meaning))
