"""Planted users: which source of traces names the true reason."""

from __future__ import annotations

from usersim.config import PipelineConfig
from usersim.errors import EvaluationError
from usersim.research import NamingRate, PlantedFacts, naming_rate
from usersim.simulator.recon import Reconstruction
from usersim.simulator.sources import reasonings
from usersim.types import TraceSource

__all__ = ["NAMING_SOURCES", "naming_rates"]

NAMING_SOURCES: tuple[TraceSource, ...] = (
    "recon_select",
    "positive_gain",
    "random_eligible",
    "random",
    "backward",
    "guarded_backward",
    "forward",
)
"""Sources that choose a trace somebody wrote; the oracle's quotes and gives no reason."""


def naming_rates(
    found: Reconstruction, facts: PlantedFacts, config: PipelineConfig
) -> dict[TraceSource, NamingRate]:
    """Return how often the trace that each source keeps names the planted reason.

    An interaction for which a source keeps no trace is left out there; the number of traces
    stands in each rate. A source without any is left out.

    Args:
        found: Candidates and decisions of planted users.
        facts: What was planted.
        config: Guards, and the seed of the random choices.

    Raises:
        EvaluationError: If an interaction is of nobody that was planted, or no source kept any.
    """
    rates: dict[TraceSource, NamingRate] = {}
    for source in NAMING_SOURCES:
        texts = reasonings(source, found, config.guards, seed=config.training.seed)
        pairs = [(i, texts[i.key]) for i in found.interactions if texts[i.key]]
        if any(not facts.situation(i).random for i, _ in pairs):
            rates[source] = naming_rate(pairs, facts)
    if not rates:
        raise EvaluationError(
            f"none of the {len(found.interactions)} interactions has a trace to look at"
        )
    return rates
