"""Diagnostics L5 to L7: what a score rewards."""

from __future__ import annotations

import pytest

from tests.fixtures.recon_engine import OverlapEngine, pair
from usersim.config import HistoryConfig, ScoringConfig
from usersim.recon.diagnostics import (
    Diagnostics,
    ProbeItem,
    bootstrap,
    diagnose,
    sample_probes,
)
from usersim.types import Candidate, Case, Scale

VIEW = HistoryConfig()
SCORING = ScoringConfig(scorer="loglik_gain")


def _decoy(action: str, reasoning: str, *, complete: bool = True) -> Candidate:
    return Candidate(
        interaction_key="k",
        direction="decoy",
        draw=0,
        reasoning=reasoning,
        complete=complete,
        model="m",
        prompt_id="p",
        seed=0,
        decoy_action=action,
    )


def _diagnose(*items: ProbeItem, scoring: ScoringConfig = SCORING) -> Diagnostics:
    return diagnose(OverlapEngine(), items, scoring, VIEW)


def _item(
    key: str,
    action: str,
    kept: str,
    *,
    user: str = "ada",
    context: str = "",
    backward: str = "",
    decoy: Candidate | None = None,
) -> ProbeItem:
    interaction = pair(action, key=key, user_id=user, context=context or f"about {key}?")
    return ProbeItem(case=Case(interaction), kept=kept, backward=backward, decoy=decoy)


def test_a_swapped_trace_gains_nothing_where_the_own_one_gains() -> None:
    """L5: the same person's trace from elsewhere, and another person's, do not help."""
    found = _diagnose(
        _item("a", "red boat", "A boat.", context="same?"),
        _item("b", "green tree", "My tree."),
        _item("c", "old house", "This house.", user="bob", context="same?"),
    )
    assert found.kept is not None
    assert found.kept.mean > 0
    assert found.kept.n == 3
    assert found.swap_context is not None
    assert found.swap_context.mean == 0
    assert found.swap_context.n == 2
    assert found.swap_user is not None
    assert found.swap_user.mean == 0
    assert found.same_context == 2


def test_a_score_that_rewards_being_encodable_has_no_decoy_difference() -> None:
    """L6: a decoy that helps its action as much as the true trace leaves a difference of 0."""
    found = _diagnose(
        _item("a", "red boat", "A boat.", backward="A boat.", decoy=_decoy("tall tree", "A tree."))
    )
    assert found.decoy_difference is not None
    assert found.decoy_difference.mean == pytest.approx(0)
    assert found.backward is not None
    assert found.decoy is not None
    assert found.decoy.mean == pytest.approx(found.backward.mean)
    assert found.decoy.mean > 0


def test_a_decoy_of_a_number_or_option_is_read_as_its_kind() -> None:
    """The decoy's action is typed by the question's space."""
    space = Scale(("low", "high"))
    item = ProbeItem(
        case=Case(pair("low", space)),
        kept="",
        backward="I am calm.",
        decoy=_decoy("high", "I am wild."),
    )
    found = _diagnose(item, scoring=ScoringConfig())
    assert found.decoy is not None
    assert found.unit == "ranked probability score"


def test_an_unreadable_decoy_is_left_out() -> None:
    """Incomplete decoys, and items without a backward trace, are not measured."""
    found = _diagnose(
        _item("a", "red boat", "A boat.", backward="x", decoy=_decoy("b", "c", complete=False)),
        _item("b", "red boat", "A boat.", decoy=_decoy("b", "c")),
    )
    assert found.decoy is None
    assert found.decoy_difference is None


def test_a_gain_that_comes_last_is_a_conclusion() -> None:
    """L7: of two traces one has its helping word at the end, the other at the beginning."""
    found = _diagnose(
        _item("a", "red boat", "I think of the one thing a boat"),
        _item("b", "red boat", "A boat is the one thing I need"),
    )
    assert found.conclusions is not None
    assert found.conclusions.mean == 0.5
    means = [found.truncated[share].mean for share in (0.25, 0.5, 0.75, 1.0)]
    assert means == sorted(means)
    assert means[-1] == pytest.approx(2 * means[0])


def test_the_leak_oracle_wins_on_raw_fidelity_and_masking_takes_it_away() -> None:
    """B12: a trace that quotes the action gains more than any other, and nothing once masked."""
    found = _diagnose(
        _item("a", "red boat on the water", "A boat."),
        _item("b", "green tree in the yard", "My tree."),
    )
    assert found.oracle is not None
    assert found.kept is not None
    assert found.oracle.n == 2
    assert found.oracle.mean > found.kept.mean > 0
    assert found.oracle_masked is not None
    assert found.oracle_masked.mean == pytest.approx(0.0)


def test_empty_traces_are_not_probed() -> None:
    """Without a kept trace there is nothing to swap or to shorten."""
    found = _diagnose(_item("a", "red boat", ""))
    assert found.kept is None
    assert found.conclusions is None
    assert found.truncated == {}
    assert found.swap_context is None


def test_what_cannot_be_measured_is_counted() -> None:
    """A scorer that does not fit leaves failures, not an exception."""
    found = _diagnose(_item("a", "red boat", "A boat."), scoring=ScoringConfig(scorer="scale"))
    assert found.failures == 6  # four lengths of the kept trace, and the oracle's, twice
    assert found.kept is None


def test_the_sample_does_not_depend_on_the_order() -> None:
    """The same interactions are sampled whatever order they come in."""
    items = [_item(str(i), "x", "y") for i in range(20)]
    chosen = sample_probes(items, 5, seed=1)
    assert sample_probes(items[::-1], 5, seed=1) == chosen
    assert len(chosen) == 5
    assert sample_probes(items, 5, seed=2) != chosen


def test_the_interval_holds_the_mean_and_narrows_with_more_values() -> None:
    """A bootstrap interval is around the mean, reproducible, and None of nothing."""
    few, many = bootstrap([0.0, 1.0] * 5), bootstrap([0.0, 1.0] * 200)
    assert few is not None
    assert many is not None
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    assert bootstrap([0.0, 1.0] * 5) == few
    assert bootstrap([]) is None
