"""L5 to L7: what a score rewards, found out on a sample of interactions.

Knows how to measure gains of traces in places where they do not belong; refuses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, quantiles

from usersim.config import HistoryConfig, ScoringConfig
from usersim.engines import Engine
from usersim.errors import ScoringError
from usersim.recon.arms import oracle
from usersim.recon.fidelity.base import Embed, Trial, measure
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.leakage.masking import mask
from usersim.types import Candidate, Case, Interaction, content_key
from usersim.views import Progress

__all__ = ["Diagnostics", "MeanEstimate", "ProbeItem", "bootstrap", "diagnose", "sample_probes"]

_RESAMPLES = 1000
_QUARTERS = (0.25, 0.5, 0.75, 1.0)
_CONCLUSION = 0.8
"""L7: a trace with so large a share of its gain in its last quarter is a conclusion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeItem:
    """An interaction with the traces that are tried out on it.

    Attributes:
        case: What the person did, and what is shown with it.
        kept: The trace that was selected; "" if it is the empty one.
        backward: The first backward trace, drawn like the decoy and not selected, so that
            the two can be compared.
        decoy: A trace written for an action that was not taken; None if there is none.
    """

    case: Case
    kept: str
    backward: str = ""
    decoy: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanEstimate:
    """A mean over interactions with its 95 % interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Interactions behind it.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What was found; None where no interaction of the sample allowed it.

    All gains but `oracle` are reported gains, in the scorer's unit.

    Attributes:
        unit: Unit of the gains; several, joined, where scorers differ.
        kept: Gain of the kept traces: what the others are compared with.
        swap_context: L5, gain of the same person's trace from another context; should be 0.
        swap_user: L5, gain of another person's trace, for the same context where one is in the
            sample; should be 0.
        same_context: How many of the `swap_user` traces were for the same context.
        backward: L6, gain of the first backward traces for what was done.
        decoy: L6, gain of decoys for the actions that they argue for.
        decoy_difference: L6, `backward - decoy`, paired; near 0 the score only rewards being
            encodable. The headline.
        truncated: L7, gain of the first 25, 50, 75 and 100 % of the kept traces.
        conclusions: L7, share of the kept traces with at least 80 % of the gain in the last
            quarter.
        oracle: Raw gain, unmasked, of a trace that quotes the action (leak oracle, B12). Far
            above all others, or the score does not see what it should.
        oracle_masked: Its masked gain, which should be near 0: what masking is worth.
        failures: Measurements that could not be taken.
    """

    unit: str
    kept: MeanEstimate | None
    swap_context: MeanEstimate | None
    swap_user: MeanEstimate | None
    same_context: int
    backward: MeanEstimate | None
    decoy: MeanEstimate | None
    decoy_difference: MeanEstimate | None
    truncated: Mapping[float, MeanEstimate]
    conclusions: MeanEstimate | None
    oracle: MeanEstimate | None
    oracle_masked: MeanEstimate | None
    failures: int


def bootstrap(values: Sequence[float], *, seed: int = 0) -> MeanEstimate | None:
    """Return the mean with its percentile bootstrap interval; None for no values.

    Example:
        >>> bootstrap([1.0, 1.0])
        MeanEstimate(mean=1.0, low=1.0, high=1.0, n=2)
    """
    if not values:
        return None
    random = Random(seed)  # noqa: S311 - reproducible, nothing secret
    n = len(values)
    means = [fmean(random.choices(values, k=n)) for _ in range(_RESAMPLES)]
    cuts = quantiles(means, n=40, method="inclusive")
    return MeanEstimate(mean=fmean(values), low=cuts[0], high=cuts[-1], n=n)


def sample_probes(items: Sequence[ProbeItem], n: int, *, seed: int = 0) -> list[ProbeItem]:
    """Return `n` of the items, the same ones whatever their order."""
    return sorted(items, key=lambda item: content_key(seed, item.case.interaction.key, "probe"))[:n]


def diagnose(
    engine: Engine,
    items: Sequence[ProbeItem],
    scoring: ScoringConfig,
    history_config: HistoryConfig,
    *,
    seed: int = 0,
    embed: Embed | None = None,
    judge: Engine | None = None,
    progress: Progress | None = None,
) -> Diagnostics:
    """Measure L5, L6 and L7 on every item, in one call to the engine.

    Args:
        engine: The reconstructor.
        items: The sample, as from `sample_probes`.
        scoring: How gains are measured.
        history_config: Character limits of the prompts.
        seed: Seed of the swaps and of the intervals.
        embed: For `sampled_similarity`.
        judge: For `judge_listwise`.
        progress: Called with (stage, requests done, requests in all).

    Returns:
        The figures with intervals over interactions.

    Raises:
        CapabilityError: If the engine cannot do what a scorer needs.
    """
    probes = [
        probe
        for place, item in enumerate(items)
        for probe in (
            *_truncations(place, item),
            *_swaps(place, item, items, seed),
            *_decoys(place, item),
            *_oracles(place, item),
        )
    ]
    trials = [_trial(probe, history_config) for probe in probes]
    scorers = [
        scorer_for(probe.interaction.space, scoring, embed=embed, judge=judge) for probe in probes
    ]
    found = measure(engine, trials, scorers, progress=progress)
    gains: dict[str, dict[int, float]] = {}
    for probe, result in zip(probes, found, strict=True):
        if not isinstance(result, ScoringError):
            gains.setdefault(probe.what, {})[probe.place] = result[0].reported_gain
    return _summary(
        gains,
        unit=", ".join(sorted({scorer.unit for scorer in scorers})),
        same_context=sum(probe.same_context for probe in probes),
        failures=sum(isinstance(result, ScoringError) for result in found),
        seed=seed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """One trace in one place; `what` says which figure it belongs to."""

    what: str
    place: int
    item: ProbeItem
    interaction: Interaction
    reasoning: str
    same_context: bool = False
    masked: bool = True


def _trial(probe: _Probe, view: HistoryConfig) -> Trial:
    shown = mask(probe.interaction, probe.reasoning) if probe.masked else probe.reasoning
    return Trial(
        case=Case(probe.interaction, probe.item.case.history),
        reasonings=(shown,),
        view=view,
    )


def _truncations(place: int, item: ProbeItem) -> list[_Probe]:
    """Return the beginnings of the kept trace, a quarter of its words at a time."""
    parts = item.kept.split()
    return [
        _Probe(
            what=_truncated(share),
            place=place,
            item=item,
            interaction=item.case.interaction,
            reasoning=" ".join(parts[: round(len(parts) * share)]),
        )
        for share in _QUARTERS
        if parts
    ]


def _swaps(place: int, item: ProbeItem, items: Sequence[ProbeItem], seed: int) -> list[_Probe]:
    """Return one trace of the same person from elsewhere, and one of another person."""
    random = Random(content_key(seed, item.case.interaction.key, "swap"))  # noqa: S311 - not secret
    here = item.case.interaction
    others = [one for one in items if one.kept and one.case.interaction.context != here.context]
    same_user = [one for one in others if one.case.interaction.user_id == here.user_id]
    strangers = [one for one in items if one.kept and one.case.interaction.user_id != here.user_id]
    same_context = [one for one in strangers if one.case.interaction.context == here.context]
    probes: list[_Probe] = []
    for what, pool in (("swap_context", same_user), ("swap_user", same_context or strangers)):
        if pool and item.kept:
            probes.append(
                _Probe(
                    what=what,
                    place=place,
                    item=item,
                    interaction=here,
                    reasoning=random.choice(pool).kept,
                    same_context=what == "swap_user" and bool(same_context),
                )
            )
    return probes


def _decoys(place: int, item: ProbeItem) -> list[_Probe]:
    """Return the backward trace for what was done, and the decoy for what it argues for."""
    if item.decoy is None or not item.decoy.complete or not item.backward:
        return []
    here = item.case.interaction
    untaken = replace(here, action=here.space.parse(item.decoy.decoy_action or ""))
    return [
        _Probe(what="backward", place=place, item=item, interaction=here, reasoning=item.backward),
        _Probe(
            what="decoy",
            place=place,
            item=item,
            interaction=untaken,
            reasoning=item.decoy.reasoning,
        ),
    ]


def _oracles(place: int, item: ProbeItem) -> list[_Probe]:
    """Return the trace that quotes the action, as it is and masked."""
    here = item.case.interaction
    quoted = oracle(here)[0].reasoning
    return [
        _Probe(what=what, place=place, item=item, interaction=here, reasoning=quoted, masked=masked)
        for what, masked in (("oracle", False), ("oracle_masked", True))
    ]


def _truncated(share: float) -> str:
    return f"truncated {share}"


def _summary(
    gains: Mapping[str, Mapping[int, float]],
    *,
    unit: str,
    same_context: int,
    failures: int,
    seed: int,
) -> Diagnostics:
    def estimate(values: Sequence[float]) -> MeanEstimate | None:
        return bootstrap(values, seed=seed)

    def of(what: str) -> Mapping[int, float]:
        return gains.get(what, {})

    backward, decoy = of("backward"), of("decoy")
    whole, most = of(_truncated(1.0)), of(_truncated(0.75))
    late = [
        float((whole[place] - most[place]) / whole[place] >= _CONCLUSION)
        for place in whole.keys() & most.keys()
        if whole[place] > 0
    ]
    truncated = {share: estimate(list(of(_truncated(share)).values())) for share in _QUARTERS}
    return Diagnostics(
        unit=unit,
        kept=estimate(list(whole.values())),
        swap_context=estimate(list(of("swap_context").values())),
        swap_user=estimate(list(of("swap_user").values())),
        same_context=same_context,
        backward=estimate(list(backward.values())),
        decoy=estimate(list(decoy.values())),
        decoy_difference=estimate(
            [backward[place] - decoy[place] for place in sorted(backward.keys() & decoy.keys())]
        ),
        truncated={share: found for share, found in truncated.items() if found is not None},
        conclusions=estimate(late),
        oracle=estimate(list(of("oracle").values())),
        oracle_masked=estimate(list(of("oracle_masked").values())),
        failures=failures,
    )
