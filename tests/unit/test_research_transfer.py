"""The transfer matrix: paired differences by selector and student, and how they are shown."""

from __future__ import annotations

import csv
import io
import math
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from usersim.cli.app import app
from usersim.errors import EvaluationError, MissingDependencyError
from usersim.evaluation import Arm, Evaluation, Interval, evaluate, write_report
from usersim.evaluation.metrics import ACCURACY, BRIER, LENGTH_RATIO
from usersim.research import TransferMatrix, write_transfer
from usersim.research.transfer import _labels
from usersim.research.transfer_plot import transfer_map
from usersim.types import Batch, Choice, Interaction, Message, Prediction

SPACE = Choice(("yes", "no"))
ARM, BASE = "Recon-Select", "B4e random of eligible"


def items(n: int = 24) -> list[Interaction]:
    """Answers of six people."""
    return [
        Interaction(
            key=f"k{i}", user_id=f"u{i % 6}", position=i, context=(Message(f"{i}?"),),
            action="yes", space=SPACE, conversation=f"c{i}", split="held_out",
        )
        for i in range(n)
    ]  # fmt: skip


def arm(name: str, right: int) -> Arm:
    """An arm that is right on the first `right` items of each person."""

    def predict(asked):
        hits = [i.position // 6 < right for i in asked]
        return Batch(
            tuple(
                Prediction(
                    action="yes" if hit else "no",
                    probabilities={"yes": float(hit), "no": float(not hit)},
                )
                for hit in hits
            )
        )

    return Arm(name, predict)


def taken(right: int, base: int, n: int = 24) -> Evaluation:
    """An evaluation in which the arm is right on `right` of 4 items, the baseline on `base`."""
    return evaluate(
        [arm(BASE, base), arm(ARM, right)], items(n), metrics=[ACCURACY, BRIER], bootstrap=100
    )


@pytest.fixture(scope="module")
def evaluations() -> dict[tuple[str, str], Evaluation]:
    """Two selectors and two students, one pair not measured."""
    return {
        ("small", "small"): taken(4, 1),
        ("small", "<b>large"): taken(2, 2),
        ("$x$", "<b>large"): taken(0, 4),
    }


def test_a_cell_is_the_paired_difference_to_the_same_students_baseline(evaluations) -> None:
    """Values, intervals and p-values are those of the evaluation, corrected over the cells."""
    matrix = TransferMatrix.of(evaluations, metric="accuracy")
    assert (matrix.selectors, matrix.students) == (("small", "$x$"), ("small", "<b>large"))
    found = {pair: cell.difference.value for pair, cell in matrix.cells.items()}
    assert found == pytest.approx(
        {("small", "small"): 0.75, ("small", "<b>large"): 0.0, ("$x$", "<b>large"): -1.0}
    )
    for pair, cell in matrix.cells.items():
        (same,) = [c for c in evaluations[pair].against(BASE) if c.metric == "accuracy"]
        assert (cell.difference, cell.p_value) == (same.difference, same.p_value)
        assert cell.p_holm >= cell.p_value
        assert (cell.n_items, cell.n_users) == (24, 6)


def test_rows_and_csv_hold_the_measured_cells(evaluations, tmp_path) -> None:
    """One row per measured pair, the same in records, CSV and file."""
    matrix = TransferMatrix.of(evaluations, metric="accuracy")
    records = matrix.to_records()
    assert [(r["selector"], r["student"]) for r in records] == list(evaluations)
    assert [r["excludes_0"] for r in records] == [True, False, True]
    assert {r["better"] for r in records} == {"higher"}
    rows = list(csv.DictReader(io.StringIO(matrix.to_csv())))
    assert [float(r["difference"]) for r in rows] == [r["difference"] for r in records]
    path = write_transfer(matrix, tmp_path / "out")
    assert path.read_bytes().decode() == matrix.to_csv()
    assert (path.parent / "transfer.svg").read_text("utf-8") == transfer_map(matrix).svg
    assert {p.name for p in path.parent.iterdir()} == {"transfer.csv", "transfer.svg"}


def test_the_map_frames_what_excludes_zero(evaluations) -> None:
    """Equal matrices draw equal pictures, whose words count the marked cells and say the side."""
    matrix = TransferMatrix.of(evaluations, metric="accuracy")
    plot = transfer_map(matrix)
    assert plot == transfer_map(TransferMatrix.of(evaluations, metric="accuracy"))
    assert plot.alt.startswith("3 pairs of selector and student; in 2 the interval")
    assert "better is above 0" in plot.caption
    lower = transfer_map(TransferMatrix.of(evaluations, metric="brier"))
    assert "better is below 0" in lower.caption


def test_a_metric_that_aims_at_a_value_has_no_better_side(evaluations) -> None:
    """Its cells stay white and the caption names the target; a cell without a number is a dash."""
    matrix = TransferMatrix.of(evaluations, metric="accuracy")
    aimed = TransferMatrix(
        selectors=matrix.selectors, students=matrix.students, metric=LENGTH_RATIO,
        cells=matrix.cells, arm=ARM, baseline=BASE,
    )  # fmt: skip
    assert "aims at 1, so neither side of 0 is better" in transfer_map(aimed).caption


def test_a_cell_that_measured_nothing_is_empty() -> None:
    """NaN becomes an empty field and a dash, not a number."""
    alone = evaluate([arm(BASE, 1), arm(ARM, 2)], items(), metrics=[ACCURACY], bootstrap=5)
    matrix = TransferMatrix.of({("a", "b"): alone}, metric="accuracy")
    (cell,) = matrix.cells.values()
    nothing = replace(cell, difference=Interval(math.nan, math.nan, math.nan), p_value=math.nan)
    empty = replace(matrix, cells={("a", "b"): nothing})
    (row,) = csv.DictReader(io.StringIO(empty.to_csv()))
    assert (row["difference"], row["low"], row["p_value"], row["excludes_0"]) == (
        "", "", "", "false"
    )  # fmt: skip
    assert "in 0 the interval" in transfer_map(empty).alt


def test_reports_give_the_same_matrix_as_their_evaluations(evaluations, tmp_path) -> None:
    """Who selected and who learned is read from each folder; the command prints and writes it."""
    folders = []
    for place, ((selector, student), one) in enumerate(evaluations.items()):
        engines = {
            "engine": f"{student}@123456789abc/float32/transformers",
            "recon engine": f"{selector}@abcdef123456/bfloat16/vllm",
        }
        folders.append(tmp_path / str(place))
        write_report(one, folders[-1], title="T", provenance=engines)
    matrix = TransferMatrix.of_reports(folders, metric="accuracy")
    direct = TransferMatrix.of(evaluations, metric="accuracy")
    named = {(f"{a}@abcdef", f"{b}@123456"): cell for (a, b), cell in direct.cells.items()}
    assert matrix.cells.keys() == named.keys()
    for pair, cell in matrix.cells.items():
        assert cell.difference.value == pytest.approx(named[pair].difference.value)
        assert cell.difference.excludes(0.0) == named[pair].difference.excludes(0.0)
        assert (cell.n_items, cell.n_users) == (24, 6)
    told = CliRunner().invoke(
        app,
        [
            "study",
            "transfer",
            *map(str, folders),
            "--metric",
            "accuracy",
            "--out",
            str(tmp_path / "map"),
        ],
        env={"COLUMNS": "200"},
    )
    assert told.exit_code == 0, told.output
    assert "small@abcdef" in told.output
    assert "+0.750" in told.output
    assert (tmp_path / "map" / "transfer.svg").exists()
    with pytest.raises(EvaluationError, match="second report of the pair"):
        TransferMatrix.of_reports([folders[0], folders[0]], metric="accuracy")
    with pytest.raises(EvaluationError, match=r"no scores of \['X'\]"):
        TransferMatrix.of_reports(folders, metric="accuracy", arm="X")
    with pytest.raises(EvaluationError, match="'bits_per_character'"):
        TransferMatrix.of_reports(folders, metric="bits_per_character")
    with pytest.raises(EvaluationError, match="no score per item of 'own'"):
        TransferMatrix.of_reports(folders, metric="own")
    write_report(next(iter(evaluations.values())), tmp_path / "bare", title="T", provenance={})
    with pytest.raises(EvaluationError, match="has no model names"):
        TransferMatrix.of_reports([tmp_path / "bare"], metric="accuracy")


def test_models_are_told_apart_whatever_their_names_hold() -> None:
    """Names are cut to what tells; equal short names stay whole."""
    one, two = "/home/me@x.example/a/small@0123456789ab/float32/vllm", "m@chat/8192/plain/remote"
    other = "/b/small@0123456789ab/bfloat16/vllm"
    assert _labels([one, two]) == {one: "small@012345", two: two}
    assert _labels([one, other]) == {one: one, other: other}


def test_what_is_no_matrix_is_refused(evaluations, tmp_path, monkeypatch) -> None:
    """Nothing, other items, an unknown arm or metric, and a folder that is a file raise."""
    with pytest.raises(EvaluationError, match="at least one pair"):
        TransferMatrix.of({}, metric="accuracy")
    other = {**evaluations, ("z", "z"): taken(1, 1, n=12)}
    with pytest.raises(EvaluationError, match=r"\('z', 'z'\) were measured on different items"):
        TransferMatrix.of(other, metric="accuracy")
    with pytest.raises(EvaluationError, match=r"\('small', 'small'\) has no scores of \['X'\]"):
        TransferMatrix.of(evaluations, metric="accuracy", arm="X")
    with pytest.raises(EvaluationError, match="'chrf'"):
        TransferMatrix.of(evaluations, metric="chrf")
    matrix = TransferMatrix.of(evaluations, metric="accuracy")
    (tmp_path / "file").write_text("x")
    with pytest.raises(EvaluationError, match=r"cannot be written to .*file"):
        write_transfer(matrix, tmp_path / "file")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="'matplotlib'"):
        write_transfer(matrix, tmp_path / "none")
