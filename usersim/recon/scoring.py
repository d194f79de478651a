"""Scores of candidates: fidelity, masked fidelity, and what the guards found, in one pass.

Everything that a chunk needs is put to the engine in one call: traces as they are and masked,
with and without the context, and the likelihoods behind the plausibility.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from usersim.config import GuardConfig, HistoryConfig, ScoringConfig
from usersim.engines import AdapterRef, Engine
from usersim.engines.batching import each
from usersim.errors import ScoringError
from usersim.recon.fidelity.base import Embed, Fidelity, Scorer, ScoringPlan, Trial, ask, read
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.leakage import copying, mask, refusals
from usersim.recon.plausibility import (
    Plausibility,
    applies,
    plausibility_plan,
    read_plausibility,
)
from usersim.types import (
    Batch,
    Candidate,
    Case,
    Failure,
    Leakage,
    ScoredCandidate,
    TraceScores,
)
from usersim.views import Progress

__all__ = ["score_candidates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What is the same for every case."""

    engine: Engine
    scoring: ScoringConfig
    guards: GuardConfig
    view: HistoryConfig
    adapters: Mapping[str, AdapterRef]
    embed: Embed | None
    judge: Engine | None
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One case on its way: what is asked for it, and the masked form of each trace."""

    case: Case
    scorer: Scorer
    shown: Trial
    withheld: Trial
    masked: Mapping[str, str]
    judged: tuple[Candidate, ...]


def score_candidates(  # noqa: PLR0913 - keyword-only, each an aid of one scorer
    engine: Engine,
    cases: Sequence[Case],
    scoring: ScoringConfig,
    guards: GuardConfig,
    history_config: HistoryConfig,
    *,
    adapters: Sequence[AdapterRef] = (),
    embed: Embed | None = None,
    judge: Engine | None = None,
    progress: Progress | None = None,
) -> Batch[tuple[ScoredCandidate, ...]]:
    """Score every candidate and let the guards judge it.

    Candidates that a guard refuses are scored all the same: reports need them. An empty trace
    has gain 0 by definition.

    Args:
        engine: The reconstructor; the base model also gives p0 of the plausibility.
        cases: What people did, with the candidates drawn for it.
        scoring: Which scorer, how many orders and draws.
        guards: Thresholds of the hard guards.
        history_config: Character limits of the prompts, those of the synthesis.
        adapters: Trained synthesizers that wrote candidates. The plausibility of a candidate
            whose adapter is missing here is unknown (None) and not judged.
        embed: Turns texts into vectors, for `sampled_similarity`.
        judge: Ranks reconstructions, for `judge_listwise`, which needs one.
        progress: Called with (stage, requests done, requests in all).

    Returns:
        Per interaction its scored candidates, in their order; a failure where the scorer does
        not fit the action, says nothing, or the prompt does not fit the model.

    Raises:
        CapabilityError: If the engine cannot do what a scorer needs.

    Example:
        >>> from usersim.config import PipelineConfig
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.recon import oracle
        >>> from usersim.types import FreeText, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always with milk.", space=FreeText(), conversation="c")
        >>> quoting, _ = oracle(tea)
        >>> config = PipelineConfig.preset("tiny")
        >>> (scored,) = score_candidates(ScriptedEngine(), [Case(tea, (), (quoting,))],
        ...                              config.scoring, config.guards, config.history)
        >>> scored[0].scores.raw_gain > 0, scored[0].leakage.valid
        (True, False)
    """
    settings = _Settings(
        engine=engine,
        scoring=scoring,
        guards=guards,
        view=history_config,
        adapters={adapter.name: adapter for adapter in adapters},
        embed=embed,
        judge=judge,
        progress=progress,
    )
    return each(cases, partial(_run, settings), lambda case: case.interaction.key)


def _run(settings: _Settings, cases: Sequence[Case]) -> Batch[tuple[ScoredCandidate, ...]]:
    """Score a chunk: three plans a case, one call for all."""
    works = [_prepare(settings, case) for case in cases]
    plans = [_plans(settings, work) for work in works]
    flat = [plan for three in plans if not isinstance(three, ScoringError) for plan in three]
    answers = iter(ask(settings.engine, flat, progress=settings.progress))
    results: list[tuple[ScoredCandidate, ...] | None] = []
    failures: list[Failure] = []
    for index, (work, three) in enumerate(zip(works, plans, strict=True)):
        if isinstance(three, ScoringError):
            done = three
        else:
            shown = read(work.scorer, work.shown, next(answers))
            withheld = read(work.scorer, work.withheld, next(answers))
            judged = read_plausibility(next(answers))
            done = _assemble(settings, work, shown, withheld, judged)
        if isinstance(done, ScoringError):
            failures.append(_failure(index, work.case, done))
        results.append(None if isinstance(done, ScoringError) else done)
    return Batch(tuple(results), tuple(failures))


def _failure(index: int, case: Case, error: ScoringError) -> Failure:
    return Failure(
        index=index, item=case.interaction.key, error=type(error).__name__, message=str(error)
    )


def _prepare(settings: _Settings, case: Case) -> _Work:
    """Mask the traces; a trace that occurs twice, or is its own masked form, is scored once."""
    scorer = scorer_for(
        case.interaction.space, settings.scoring, embed=settings.embed, judge=settings.judge
    )
    scorer.check(settings.engine)
    texts = dict.fromkeys(c.reasoning for c in case.candidates if c.reasoning.strip())
    masked = {text: mask(case.interaction, text) for text in texts}
    reasonings = tuple(dict.fromkeys([*texts, *masked.values()]))
    shown = Trial(case=case, reasonings=reasonings, view=settings.view)
    likelihoods = settings.engine.capabilities.logprobs
    return _Work(
        case=case,
        scorer=scorer,
        shown=shown,
        withheld=replace(shown, reasonings=tuple(dict.fromkeys(masked.values())), withheld=True),
        masked=masked,
        judged=tuple(c for c in case.candidates if likelihoods and applies(c, settings.adapters)),
    )


def _plans(
    settings: _Settings, work: _Work
) -> tuple[ScoringPlan, ScoringPlan, ScoringPlan] | ScoringError:
    try:
        shown, withheld = work.scorer.plan(work.shown), work.scorer.plan(work.withheld)
    except ScoringError as error:
        return error
    case = work.case
    judged = plausibility_plan(
        case.interaction, case.history, work.judged, settings.view, settings.adapters
    )
    return shown, withheld, judged


def _assemble(
    settings: _Settings,
    work: _Work,
    shown: tuple[Fidelity, ...] | ScoringError,
    withheld: tuple[Fidelity, ...] | ScoringError,
    judged: Sequence[Plausibility],
) -> tuple[ScoredCandidate, ...] | ScoringError:
    """Put together what was found for the candidates of one case."""
    if isinstance(shown, ScoringError):
        return shown
    by_text = dict(zip(work.shown.reasonings, shown, strict=True))
    # Where the withheld context leaves nothing to read, the share is unknown, not the score.
    alone = (
        {}
        if isinstance(withheld, ScoringError)
        else dict(zip(work.withheld.reasonings, withheld, strict=True))
    )
    ratios = {id(c): ratio for c, ratio in zip(work.judged, judged, strict=True)}
    found: list[ScoredCandidate] = []
    for candidate in work.case.candidates:
        masked = work.masked.get(candidate.reasoning, "")
        scores = _scores(work.scorer, by_text, candidate.reasoning, masked, alone.get(masked))
        ratio = ratios.get(id(candidate))
        if ratio is not None:
            components = {"log_p0": ratio.log_p0, "log_q": ratio.log_q}
            scores = replace(scores, components={**scores.components, **components})
        found.append(
            ScoredCandidate(
                candidate=candidate,
                scores=scores,
                leakage=_leakage(settings, work.case, candidate, scores, ratio),
            )
        )
    return tuple(found)


_NOTHING = Fidelity(gain=0.0, reported_gain=0.0)
"""The gain of the empty trace."""


def _scores(
    scorer: Scorer,
    by_text: Mapping[str, Fidelity],
    text: str,
    masked: str,
    alone: Fidelity | None,
) -> TraceScores:
    raw, kept = by_text.get(text, _NOTHING), by_text.get(masked, _NOTHING)
    components = {f"raw_{name}": value for name, value in raw.components.items()}
    components |= kept.components
    components["raw_reported_gain"] = raw.reported_gain
    if alone is not None:
        components["trace_only_gain"] = alone.gain
    return TraceScores(
        scorer=scorer.name,
        unit=scorer.unit,
        raw_gain=raw.gain,
        masked_gain=kept.gain,
        reported_gain=kept.reported_gain,
        components=components,
    )


def _leakage(
    settings: _Settings,
    case: Case,
    candidate: Candidate,
    scores: TraceScores,
    ratio: Plausibility | None,
) -> Leakage:
    """Return what the guards found, with their verdict."""
    share = None
    alone = scores.components.get("trace_only_gain")
    if alone is not None and scores.masked_gain > 0:
        share = min(max(alone / scores.masked_gain, 0.0), 1.0)
    unknown = 0.0 if candidate.direction == "forward" else None
    found = replace(
        copying(case.interaction, candidate.reasoning),
        trace_only_share=share,
        plausibility=unknown if ratio is None else ratio.ratio,
    )
    return replace(found, reasons=refusals(found, settings.guards))
