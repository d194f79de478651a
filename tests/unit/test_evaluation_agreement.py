"""Guard L8 at selection: what a second reconstructor says of the choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from usersim.evaluation import Agreement, LeakageTable, agreement
from usersim.evaluation.leakage import QUOTED, diagnostic
from usersim.types import (
    Candidate,
    Choice,
    Interaction,
    Leakage,
    Message,
    ScoredCandidate,
    Selection,
    TraceScores,
)

DRINKS = Choice(("tea", "coffee"))


def interaction(which: int) -> Interaction:
    """One of three people's answers."""
    return Interaction(
        key=f"i{which}",
        user_id=f"u{which % 3}",
        position=which,
        context=(Message("Tea?"),),
        action="tea",
        space=DRINKS,
        conversation=f"c{which}",
        split="train",
    )


def scored(which: int, gains: Sequence[float]) -> list[ScoredCandidate]:
    """Candidates of one interaction with these gains."""
    return [
        ScoredCandidate(
            candidate=Candidate(
                interaction_key=f"i{which}",
                reasoning=f"Thought {draw}.",
                direction="forward",
                draw=draw,
                complete=True,
                seed=draw,
                model="m",
                prompt_id="p",
            ),
            scores=TraceScores(
                scorer="s", unit="nats", raw_gain=9.0, masked_gain=9.0, reported_gain=gain
            ),
            leakage=Leakage(),
        )
        for draw, gain in enumerate(gains)
    ]


def choice(candidates: Sequence[ScoredCandidate], *, eligible: int | None = None) -> Selection:
    """The decision that follows the gains, among the first `eligible` candidates."""
    return Selection(
        interaction_key=candidates[0].candidate.interaction_key,
        kept=None,
        reason="",
        utilities={c.candidate.key: c.scores.reported_gain for c in candidates[:eligible]},
    )


def compared(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    *,
    eligible: int | None = None,
) -> Agreement | None:
    """Compare two tables of gains, one row an interaction."""
    one = {f"i{i}": scored(i, row) for i, row in enumerate(first)}
    other = {f"i{i}": scored(i, row) for i, row in enumerate(second)}
    return agreement(
        [interaction(i) for i in range(len(first))],
        one,
        other,
        {key: choice(many, eligible=eligible) for key, many in one.items()},
    )


def test_the_figures_are_those_of_a_hand_computation() -> None:
    """Two interactions: chosen 3 and 2 of (1, 3) and (2, 0), which the second gives 0 and 4."""
    found = compared([(1.0, 3.0), (2.0, 0.0)], [(2.0, 0.0), (4.0, 0.0)])
    assert found is not None
    assert (found.first.value, found.n, found.unit) == (1.0, 2, "nats")
    assert found.second.value == pytest.approx((-1 + 2) / 2)
    assert found.most.value == pytest.approx((1 + 2) / 2)
    assert found.chosen.value == pytest.approx((0 + 4) / 2)
    assert found.correlation.value == pytest.approx(0.0)


@pytest.mark.parametrize(("sign", "correlation"), [(1.0, 1.0), (-1.0, -1.0)])
def test_agreement_in_order_is_found_whatever_the_size(sign: float, correlation: float) -> None:
    """A second reconstructor with other units and the same ranking agrees fully, a reversed not."""
    rng = np.random.default_rng(0)
    gains = rng.normal(size=(30, 4))
    found = compared(gains.tolist(), (sign * np.exp(3 * gains)).tolist())
    assert found is not None
    assert found.correlation.value == pytest.approx(correlation)
    assert (found.second.low > 0) == (sign > 0)


def test_a_choice_by_noise_means_nothing_to_another_model() -> None:
    """Independent gains: the first sees its own choice as a win, the second does not."""
    rng = np.random.default_rng(1)
    found = compared(rng.normal(size=(300, 4)).tolist(), rng.normal(size=(300, 4)).tolist())
    assert found is not None
    assert found.first.low > 0.5
    assert found.most.low > 0.5
    assert found.second.low < 0 < found.second.high
    assert found.correlation.low < 0 < found.correlation.high


def test_only_eligible_candidates_count() -> None:
    """A refused trace that leaks is neither the choice nor part of the mean."""
    found = compared([(1.0, 3.0, 99.0)], [(0.0, 1.0, 99.0)], eligible=2)
    assert found is not None
    assert (found.first.value, found.most.value) == (1.0, 0.5)


def test_nothing_to_choose_is_no_figure() -> None:
    """With one eligible candidate each, or none scored twice, there is no comparison."""
    assert compared([(1.0, 2.0)], [(1.0, 2.0)], eligible=1) is None
    assert agreement([interaction(0)], {}, {}, {}) is None


def test_the_figures_are_named_for_the_report() -> None:
    """Each figure stands with its two ends, under a name that says who measured."""
    found = compared([(1.0, 3.0), (2.0, 0.0)], [(2.0, 0.0), (4.0, 0.0)])
    assert found is not None
    figures = found.to_figures()
    assert len(figures) == 15
    assert figures["L8 chosen over eligible, by the second reconstructor, n = 2"] == 0.5
    assert "rank correlation 0.000" in str(found)


@pytest.mark.parametrize(("low", "warned"), [(-0.1, True), (0.0, True), (0.2, False)])
def test_a_reconstructor_that_hears_no_quotation_is_warned_of(low: float, warned: bool) -> None:
    """The evaluation's own check speaks in words, with its figure, and only where it fails."""
    figures = diagnostic(QUOTED, value=0.3, low=low, high=0.5, n=8)
    table = LeakageTable.of([], diagnostics=figures)
    assert len(table.warnings) == warned
    assert all(f"{QUOTED}: 0.300 [{low:.3f}, 0.500]" in one for one in table.warnings)
    assert table.to_dict()["warnings"] == list(table.warnings)


def test_a_choice_that_means_nothing_to_another_model_is_warned_of() -> None:
    """The figures of a choice by noise bring the warning, those of one that both see do not."""
    rng = np.random.default_rng(2)
    gains, other = rng.normal(size=(2, 200, 4))
    for second, warned in ((other, True), (gains, False)):
        found = compared(gains.tolist(), second.tolist())
        assert found is not None
        table = LeakageTable.of([], diagnostics=found.to_figures())
        assert len(table.warnings) == warned
