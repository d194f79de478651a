"""Curves of a training in the report."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from usersim.evaluation import Curves, evaluate, uniform_arm, write_report
from usersim.evaluation.report.plots_training import moving_mean, training_curves
from usersim.types import Choice, Interaction, Message

ITEM = Interaction(
    key="k",
    user_id="ada",
    position=0,
    context=(Message("Tea?"),),
    action="yes",
    space=Choice(("yes", "no")),
    conversation="c",
    split="held_out",
)


def test_curves_stand_in_page_and_figures(tmp_path) -> None:
    """A picture per training with escaped names, one panel per figure, and the plain values."""
    evaluation = evaluate([uniform_arm()], [ITEM], bootstrap=10)
    panels = {"reward <b>": [0.0, math.nan, 2.0], "loss, nats": [3.0]}
    bare = write_report(evaluation, tmp_path / "bare", title="t", provenance={})
    page = write_report(
        evaluation,
        tmp_path,
        title="t",
        provenance={},
        curves=[Curves("Synthesizer <script>", panels), Curves("None", {"kl": [math.nan]})],
    )
    html = page.read_text("utf-8")
    pictures = [text.count("data:image/svg") for text in (bare.read_text("utf-8"), html)]
    assert pictures[1] == pictures[0] + 1
    assert "Synthesizer &lt;script&gt;" in html
    assert "reward &lt;b&gt;, loss, nats over 3 steps." in html
    assert "<script" not in html
    told = json.loads((tmp_path / "metrics.json").read_text("utf-8"))["curves"]
    assert told["Synthesizer <script>"]["reward <b>"] == [0.0, None, 2.0]


def test_a_figure_without_numbers_is_no_panel() -> None:
    """Panels of NaN are left out, and nothing at all is drawn where no panel is left."""
    assert training_curves(Curves("x", {})) is None
    assert training_curves(Curves("x", {"kl": [], "loss": [math.nan]})) is None
    plot = training_curves(Curves("x", {"kl": [math.nan], "loss": [1.0, math.inf]}))
    assert plot.alt == "loss over 2 steps."
    assert plot.svg.count('<g id="axes_') == 1
    assert training_curves(Curves("x", {"loss": [1.0, math.inf]})) == plot


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_a_moving_mean_keeps_its_level(n: int) -> None:
    """Equal values stay as they are at both ends and over gaps; short runs are not smoothed."""
    values = np.full(n, 2.5)
    values[n // 2] = values[0]
    assert moving_mean(values).tolist() == [2.5] * n
    gap = np.arange(n, dtype=float)
    smooth = moving_mean(gap)
    assert len(smooth) == n
    if n < 20:
        assert smooth.tolist() == gap.tolist()
    gap[n // 2] = np.nan
    assert np.isfinite(moving_mean(gap)).sum() >= n - 1
