"""Where the reasoning of a training example comes from: Recon, or one of the baselines.

All sources share pairs and candidates; only the choice differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from usersim.config import GuardConfig
from usersim.errors import ConfigError
from usersim.recon.arms import (
    best_eligible,
    first_backward,
    first_forward,
    guarded_backward,
    longest,
    oracle,
    positive_gain,
    random_eligible,
    random_of,
)
from usersim.simulator.recon import Reconstruction
from usersim.types import ScoredCandidate, Selection, TraceSource

__all__ = ["SOURCES", "check_source", "reasonings"]

SOURCES: Mapping[TraceSource, str] = MappingProxyType(
    {
        "recon_select": "the best reconstructed trace that passed the guards (Recon-Select)",
        "best_eligible": "the best of those that passed the guards, gain or not (B4b)",
        "positive_gain": "the best of those with a gain that passed the guards, or none (B4g)",
        "random_eligible": "a random one of those that passed the guards (B4e)",
        "random": "a random one of the same candidates (B4)",
        "backward": "one trace written with the action in view (Backward Synthesis, B3)",
        "guarded_backward": "the first of those that passed the guards (B3g)",
        "forward": "one trace written without the action in view (B6)",
        "longest": "the longest of the same candidates (B5)",
        "oracle": "a trace that quotes the action (leak oracle, B12)",
        "after_answer": "the traces of Recon-Select, learned after the answer (B7)",
        "none": "no reasoning (SFT, B2)",
    }
)
"""What each source is, in words."""


def check_source(source: str) -> None:
    """Refuse what is not a source, before any work is done for it.

    Raises:
        ConfigError: Listing the sources.
    """
    if source not in SOURCES:
        raise ConfigError(f"unknown source of traces {source!r}; there are {list(SOURCES)!r}")


def reasonings(
    source: TraceSource, found: Reconstruction, guards: GuardConfig, *, seed: int = 0
) -> dict[str, str]:
    """Return the reasoning of every interaction by its key; empty where there is none.

    Args:
        source: Which choice to make over the candidates.
        found: Interactions with scored candidates.
        guards: The gates, for the sources that know of them.
        seed: Of the random choices; combined with the interaction's key.

    Returns:
        One text per interaction, in order.
    """
    if source == "none":
        return {interaction.key: "" for interaction in found.interactions}
    if source == "oracle":
        return {i.key: oracle(i)[0].reasoning for i in found.interactions}
    if source in ("recon_select", "after_answer"):
        return {i.key: found.reasoning(i.key) for i in found.interactions}
    choices: dict[str, Callable[[Sequence[ScoredCandidate]], Selection]] = {
        "best_eligible": lambda scored: best_eligible(scored, guards),
        "positive_gain": lambda scored: positive_gain(scored, guards),
        "random_eligible": lambda scored: random_eligible(scored, guards, seed),
        "random": lambda scored: random_of(scored, seed),
        "backward": first_backward,
        "guarded_backward": lambda scored: guarded_backward(scored, guards),
        "forward": first_forward,
        "longest": longest,
    }
    choose = choices[source]
    return {
        i.key: found.reasoning(i.key, choose(found.scored[i.key]))
        if found.scored.get(i.key)
        else ""
        for i in found.interactions
    }
