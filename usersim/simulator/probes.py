"""The diagnostics: L5 to L7 on a sample of the interactions, L8 on all of them."""

from __future__ import annotations

from dataclasses import replace

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.engines import Engine
from usersim.evaluation import Agreement, agreement
from usersim.evaluation.leakage import QUOTED, diagnostic
from usersim.recon import Aids, score_candidates
from usersim.recon.diagnostics import ProbeItem, diagnose, sample_probes
from usersim.recon.synthesis import decoys
from usersim.simulator.history import Histories
from usersim.simulator.recon import Reconstruction, chunks
from usersim.types import Candidate, ScoredCandidate, content_key
from usersim.views import Progress

__all__ = ["diagnostics", "second_opinion"]


def diagnostics(
    engine: Engine,
    histories: Histories,
    config: PipelineConfig,
    found: Reconstruction,
    *,
    aids: Aids = Aids(),
    progress: Progress | None = None,
) -> dict[str, float]:
    """Swap, decoy and truncate the traces of `config.scoring.diagnostics` interactions.

    Args:
        engine: Writes the decoys and reconstructs.
        histories: Finds what is shown.
        config: Settings of every stage.
        found: Interactions with candidates and decisions.
        aids: What some scorers use besides.
        progress: Called with (stage, done, total).

    Returns:
        Figures by name; empty where the sample is empty.
    """
    seed = config.synthesis.seed
    plain = [
        ProbeItem(
            case=histories.around(i),
            kept=found.reasoning(i.key),
            backward=_first_backward(found, i.key),
        )
        for i in found.interactions
        if i.key in found.selections
    ]
    sample = sample_probes(plain, config.scoring.diagnostics, seed=seed)
    if not sample:
        return {}
    if progress:
        progress("diagnose", 0, len(sample))
    drawn = decoys(engine, [p.case for p in sample], config.synthesis, config.history)
    probes = [
        replace(p, decoy=_usable(written)) for p, written in zip(sample, drawn.items, strict=True)
    ]
    result = diagnose(
        engine,
        probes,
        config.scoring,
        config.history,
        seed=seed,
        embed=aids.embed,
        judge=aids.judge,
    )
    if progress:
        progress("diagnose", len(sample), len(sample))
    named = {
        "L5 gain of the kept trace": result.kept,
        "L5 gain of the same person's trace from another context": result.swap_context,
        "L5 gain of another person's trace": result.swap_user,
        "L6 gain of backward traces": result.backward,
        "L6 gain of decoys": result.decoy,
        "L6 backward minus decoy (headline)": result.decoy_difference,
        "L7 share of conclusions": result.conclusions,
        QUOTED: result.oracle,
        "B12 masked gain of that trace": result.oracle_masked,
    }
    figures: dict[str, float] = {}
    for name, estimate in named.items():
        if estimate is not None:
            figures |= diagnostic(
                name, value=estimate.mean, low=estimate.low, high=estimate.high, n=estimate.n
            )
    return figures


def second_opinion(
    corpus: Corpus,
    engine: Engine,
    histories: Histories,
    config: PipelineConfig,
    found: Reconstruction,
    *,
    aids: Aids = Aids(),
    progress: Progress | None = None,
) -> Agreement | None:
    """Let a second reconstructor score the same candidates, and measure the choice by it (L8).

    Its scores are stored, so that an interrupted call resumes; the decisions stay.

    Args:
        corpus: Where scores go.
        engine: The second reconstructor, best of another model family.
        histories: Finds what is shown.
        config: Settings of every stage.
        found: Interactions with candidates and decisions of the first reconstructor.
        aids: What some scorers use besides.
        progress: Called with (stage, done, total).

    Returns:
        How far both agree; None if nothing could be compared.
    """
    stage = content_key("second", found.stage, engine.identity)
    chosen = [one for one in found.interactions if one.key in found.scored]
    keys = [one.key for one in chosen]
    have = corpus.ledger.scored(stage, keys)
    todo = [one for one in chosen if one.key not in have]
    for rows in chunks(todo, "second reconstructor", len(chosen), progress):
        cases = [
            replace(
                histories.around(one),
                candidates=tuple(scored.candidate for scored in found.scored[one.key]),
            )
            for one in rows
        ]
        batch = score_candidates(
            engine,
            cases,
            config.scoring,
            config.guards,
            config.history,
            embed=aids.embed,
            judge=aids.judge,
        )
        scored: list[ScoredCandidate] = [one for many in batch for one in many]
        corpus.ledger.put_scored(stage, scored, of=rows)
    return agreement(
        found.interactions,
        found.scored,
        corpus.ledger.scored(stage, keys),
        found.selections,
        seed=config.synthesis.seed,
    )


def _usable(written: tuple[Candidate, ...] | None) -> Candidate | None:
    return next((one for one in written or () if one.complete), None)


def _first_backward(found: Reconstruction, key: str) -> str:
    for one in found.scored.get(key, []):
        if one.candidate.direction == "backward" and one.candidate.complete:
            return one.candidate.reasoning
    return ""
