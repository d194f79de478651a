"""Naming rates by source of the traces, on planted users whose traces are written by hand."""

from __future__ import annotations

import pytest

from usersim import Corpus
from usersim.config import PipelineConfig
from usersim.errors import EvaluationError
from usersim.recon import select
from usersim.research import PlantedPopulation, planted_users
from usersim.simulator import naming_rates
from usersim.simulator.recon import Reconstruction
from usersim.types import (
    Candidate,
    Direction,
    Interaction,
    Leakage,
    ScoredCandidate,
    TraceScores,
)

CONFIG = PipelineConfig()


def scored(
    interaction: Interaction, text: str, gain: float, direction: Direction
) -> ScoredCandidate:
    """Return a trace with a gain."""
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key=interaction.key,
            direction=direction,
            draw=0,
            reasoning=text,
            complete=True,
            model="m",
            prompt_id="p",
            seed=0,
        ),
        scores=TraceScores(
            scorer="s", unit="u", raw_gain=gain, masked_gain=gain, reported_gain=gain
        ),
        leakage=Leakage(),
    )


def reconstruction(people: PlantedPopulation, gain: float) -> Reconstruction:
    """Return two traces for each row: a forward one about the reason, a backward one about none."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(people.rows)
        rows = list(corpus.interactions())
    found: dict[str, list[ScoredCandidate]] = {}
    for row in rows:
        active = people.facts.rule(row.user_id).active(people.facts.situation(row))
        found[row.key] = [
            scored(row, f"What counts is the {active}.", gain, "forward"),
            scored(row, "It felt right.", gain / 2, "backward"),
        ]
    return Reconstruction(
        interactions=tuple(rows),
        scored=found,
        selections={key: select(many, CONFIG.guards) for key, many in found.items()},
        failures=(),
        stage="",
    )


def test_each_source_is_counted_over_the_traces_that_it_keeps() -> None:
    """The score that prefers the reason names it always, the backward source never."""
    people = planted_users(users=3, interactions=8, seed=1, noise=0.0)
    rates = naming_rates(reconstruction(people, 1.0), people.facts, CONFIG)
    assert rates["recon_select"].reason.value == 1.0
    assert rates["backward"].neither.value == 1.0
    assert 0.0 < rates["random"].reason.value < 1.0
    assert rates["recon_select"].n == 24


def test_a_source_that_keeps_nothing_is_left_out() -> None:
    """Where nothing gains the former rule keeps no trace and has no rate; the others have."""
    people = planted_users(users=3, interactions=8, seed=1, noise=0.0)
    rates = naming_rates(reconstruction(people, -1.0), people.facts, CONFIG)
    assert "positive_gain" not in rates
    assert {"recon_select", "forward"} <= set(rates)


def test_nothing_to_look_at_is_an_error() -> None:
    """Without any trace there is no rate, and the number of interactions is named."""
    people = planted_users(users=1, interactions=4, seed=1, noise=0.0)
    empty = reconstruction(people, 1.0)
    bare = Reconstruction(
        interactions=empty.interactions, scored={}, selections={}, failures=(), stage=""
    )
    with pytest.raises(EvaluationError, match="none of the 4 interactions"):
        naming_rates(bare, people.facts, CONFIG)
