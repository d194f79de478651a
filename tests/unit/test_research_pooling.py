"""Runs under other seeds, pooled: people and trainings both move a difference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from usersim.cli.app import app
from usersim.errors import EvaluationError
from usersim.research import pool


def write(folder: Path, shift: float, *, items: int = 40, arm: str = "B") -> Path:
    """Write a run in which one arm is better than the baseline by `shift` on the average."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    lines = []
    for n in range(items):
        base, noise = rng.normal(-4.0, 1.0), rng.normal(0.0, 0.01)
        arms = {
            "Recon-Select": {"scores": {"log_likelihood": base}},
            arm: {"scores": {"log_likelihood": base + shift + noise}},
        }
        row = {"key": f"k{n}", "user_id": f"u{n % 8}", "conversation": f"c{n}", "arms": arms}
        lines.append(json.dumps(row))
    (folder / "predictions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def pooled(*folders: Path):
    """Return the one comparison."""
    (found,) = pool(folders, metric="log_likelihood", baseline="Recon-Select")
    return found


def test_a_single_run_has_the_interval_of_its_items(tmp_path: Path) -> None:
    """One run that is better everywhere excludes 0 and knows nothing of other trainings."""
    found = pooled(write(tmp_path / "0", 0.1))
    assert found.difference.value == pytest.approx(0.1, abs=0.01)
    assert found.difference.excludes(0.0)
    assert np.isnan(found.between_runs)
    assert found.n_items == 40


def test_runs_that_disagree_widen_the_interval(tmp_path: Path) -> None:
    """Items that agree in each run do not settle what the runs contradict."""
    found = pooled(write(tmp_path / "0", 0.1), write(tmp_path / "1", -0.1))
    assert found.difference.value == pytest.approx(0.0, abs=0.01)
    assert not found.difference.excludes(0.0)
    assert found.between_runs == pytest.approx(0.141, abs=0.01)
    assert found.by_run == pytest.approx((0.1, -0.1), abs=0.01)


def test_runs_that_agree_settle_it(tmp_path: Path) -> None:
    """Where every run says the same, the pooled interval excludes 0."""
    folders = [write(tmp_path / str(n), 0.1 + 0.01 * n) for n in range(3)]
    assert pooled(*folders).difference.excludes(0.0)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """A folder without predictions, an unknown metric and an unknown arm each have their error."""
    one = write(tmp_path / "0", 0.1)
    with pytest.raises(EvaluationError, match="no report in"):
        pool([tmp_path / "none"], metric="log_likelihood", baseline="Recon-Select")
    with pytest.raises(EvaluationError, match=r"'Accuracy'\nits metrics: \['log_like"):
        pool([one], metric="Accuracy", baseline="Recon-Select")
    with pytest.raises(EvaluationError, match="'Best'"):
        pool([one], metric="log_likelihood", baseline="Best")


def test_the_command_prints_every_run(tmp_path: Path) -> None:
    """`usersim study pool` shows the difference, its interval and each run."""
    folders = [str(write(tmp_path / str(n), 0.1)) for n in range(2)]
    result = CliRunner().invoke(app, ["study", "pool", *folders])
    assert result.exit_code == 0, result.output
    assert "40 items in 2 runs" in result.output
    assert "+0.1" in result.output
