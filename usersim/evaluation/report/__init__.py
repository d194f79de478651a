"""An evaluation as a folder: tables, every prediction, and one page to read.

Knows finished evaluations; measures nothing itself.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from usersim.errors import EvaluationError
from usersim.evaluation.leakage import LeakageTable
from usersim.evaluation.report.page import Example, Section, render_page
from usersim.evaluation.report.plots_training import Curves
from usersim.evaluation.report_files import PREDICTIONS, PROVENANCE
from usersim.evaluation.results import Evaluation, plain
from usersim.types import Interaction, Prediction

__all__ = ["Curves", "Example", "Section", "write_report"]

_PACKAGES = ("usersim-recon", "numpy", "torch", "transformers", "peft", "vllm", "matplotlib")


def write_report(  # noqa: PLR0913 - keyword-only, each a part of the page
    evaluation: Evaluation,
    folder: str | Path,
    *,
    title: str,
    provenance: Mapping[str, object],
    leakage: LeakageTable | None = None,
    examples: Sequence[Example] = (),
    also_against: Sequence[str] = (),
    sections: Sequence[Section] = (),
    curves: Sequence[Curves] = (),
) -> Path:
    """Write the evaluation's tables, predictions and page into `folder`.

    Files: `metrics.csv` (a row per arm and metric), `metrics.json` (the same with comparisons,
    definitions and leakage), `predictions.jsonl` (a line per item, every arm's prediction and
    score), `report.html` (self-contained), and last `command.json` (provenance, versions,
    seeds): a folder without it is not complete.

    Args:
        evaluation: What was measured.
        folder: Made if it does not exist; files of an earlier report are replaced.
        title: Heading of the page.
        provenance: Command, model, adapters, corpus digest, configuration key, seeds.
        leakage: The guards' figures, where traces were selected.
        examples: Answers to show.
        also_against: Further arms to compare all others with, as the random-of-eligible one.
        sections: Further parts of the page.
        curves: Figures of trainings, drawn after them; the values stand in `metrics.json`.

    Returns:
        Path of `report.html`.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        EvaluationError: If `also_against` names no arm, or a file cannot be written.
    """
    target = Path(folder)
    told = {**provenance, **_versions(), "seed of the intervals": evaluation.seed}
    with _writing(target):
        target.mkdir(parents=True, exist_ok=True)
        (target / PROVENANCE).unlink(missing_ok=True)
    page = render_page(
        evaluation,
        title=title,
        leakage=leakage,
        examples=examples,
        also_against=also_against,
        sections=sections,
        curves=curves,
        provenance=told,
    )
    figures: dict[str, object] = {
        "title": title,
        **evaluation.to_dict(),
        "leakage": leakage.to_dict() if leakage else None,
        "curves": {one.heading: one.panels for one in curves},
    }
    with _writing(target):
        _replace(target / "metrics.csv", _csv(evaluation))
        _replace(target / "metrics.json", _json(figures))
        _replace(target / PREDICTIONS, _predictions(evaluation))
        _replace(target / "report.html", page)
        _replace(target / PROVENANCE, _json(told))
    return target / "report.html"


@contextmanager
def _writing(target: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written to {str(target)!r}: {error}",
            hint="choose a folder that can be written",
        ) from error


def _replace(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the whole new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", errors="replace", newline="")
    os.replace(partial, path)  # noqa: PTH105 - the atomic call, by its own name


def _versions() -> dict[str, object]:
    found: dict[str, object] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(plain(values), indent=2, default=str) + "\n"


def _csv(evaluation: Evaluation) -> str:
    records = evaluation.to_records()
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(records[0]) if records else ["arm", "metric"])
    writer.writeheader()
    for record in records:
        writer.writerow({k: "" if _is_nan(v) else v for k, v in record.items()})
    return out.getvalue()


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _predictions(evaluation: Evaluation) -> str:
    scores = {(arm, metric): evaluation.items(arm, metric) for metric, arm in evaluation.statistics}
    lines: list[str] = []
    for row, interaction in enumerate(evaluation.interactions):
        arms = {
            arm: {
                **_prediction(predictions[row]),
                "scores": {m: float(v[row]) for (a, m), v in scores.items() if a == arm},
            }
            for arm, predictions in evaluation.predictions.items()
        }
        lines.append(json.dumps(plain({**_item(interaction), "arms": arms}), default=str) + "\n")
    return "".join(lines)


def _item(interaction: Interaction) -> dict[str, object]:
    return {
        "key": interaction.key,
        "user_id": interaction.user_id,
        "conversation": interaction.conversation,
        "kind": interaction.space.kind,
        "true_action": interaction.action_text,
    }


def _prediction(prediction: Prediction) -> dict[str, object]:
    return {
        "action": prediction.action,
        "probabilities": dict(prediction.probabilities),
        "log_likelihood": prediction.log_likelihood,
        "n_tokens": prediction.n_tokens,
        "detail": dict(prediction.detail),
    }
