"""An evaluation as a folder: tables, every prediction, and one page to read.

Knows finished evaluations; measures nothing itself.
"""

from __future__ import annotations

import json
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
from usersim.files import csv_text, write_text
from usersim.types import Interaction, Prediction

__all__ = ["Curves", "Example", "Section", "write_report"]

_HINT = "choose a writable folder"
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

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from usersim.evaluation import evaluate, uniform_arm
        >>> from usersim.types import Choice, Interaction, Message
        >>> item = Interaction(key="k1", user_id="ada", position=0, context=(Message("Tea?"),),
        ...     action="yes", space=Choice(("yes", "no")), conversation="c1", split="held_out")
        >>> measured = evaluate([uniform_arm()], [item], bootstrap=100)
        >>> with TemporaryDirectory() as folder:
        ...     write_report(measured, folder, title="Tea", provenance={"command": "…"}).name
        'report.html'
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
    records = evaluation.to_records()
    files = {
        "metrics.csv": csv_text(records, list(records[0]) if records else ["arm", "metric"]),
        "metrics.json": _json(figures),
        PREDICTIONS: _predictions(evaluation),
        "report.html": page,
        PROVENANCE: _json(told),
    }
    for name, text in files.items():
        write_text(target / name, text, what="the report", error=EvaluationError, hint=_HINT)
    return target / "report.html"


@contextmanager
def _writing(target: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise EvaluationError(
            f"the report cannot be written to {str(target)!r}: {error}",
            hint=_HINT,
        ) from error


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
