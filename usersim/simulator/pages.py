"""What the report of a measurement says beside its figures: examples, sizes, and the synthesizers.

Knows finished measurements and trained adapters; measures and trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from usersim.evaluation import (
    ArmName,
    AtK,
    Curves,
    Evaluation,
    Example,
    Section,
    by_traces,
    title_of,
)
from usersim.simulator.recon import Reconstruction
from usersim.simulator.synthesizer import RECIPES
from usersim.training import TraceEvaluation, TrainedAdapter
from usersim.training.schedule import StopReason
from usersim.types.counting import counted

__all__ = [
    "PANELS",
    "added_sections",
    "curves_of",
    "examples",
    "k_notes",
    "k_sections",
    "sizes",
    "synthesizer_section",
]

EXAMPLES = 3

PANELS: Mapping[str, str] = {
    "reward": "reward",
    "masked_gain": "masked gain, scorer's unit",
    "indistinct": "share that passes for the person",
    "spread": "spread of rewards in a group",
    "kl": "KL to the base, nats per token",
    "tokens": "length, tokens",
    "malformed": "share unreadable",
    "L1": "share that copies (L1)",
    "trace_only_share": "trace-only share (L3)",
    "plausibility": "ρ (L4), nats per token",
    "margin": "margin of preferred traces",
    "loss": "loss, nats",
}
"""The step figures that are drawn, in order, and what they are called on the page."""


def examples(evaluation: Evaluation, wanted: str) -> list[Example]:
    """Return the first answers of different people, with a trace each.

    Args:
        evaluation: What was measured.
        wanted: The arm that answers; the first one where it was not measured.
    """
    arm = wanted if wanted in evaluation.predictions else next(iter(evaluation.predictions))
    shown: dict[str, Example] = {}
    for interaction, made in zip(evaluation.interactions, evaluation.predictions[arm], strict=True):
        reasonings = made.detail.get("reasonings")
        if interaction.user_id in shown or not isinstance(reasonings, list) or not reasonings:
            continue
        shown[interaction.user_id] = Example(
            user_id=interaction.user_id,
            question="\n".join(message.content for message in interaction.context),
            action=made.action or "(not drawn: the answer's likelihood was measured)",
            reasoning=str(cast("list[object]", reasonings)[0]),
            true_action=interaction.action_text,
            arm=arm,
        )
    return list(shown.values())[:EXAMPLES]


def sizes(
    found: Reconstruction, evaluation: Evaluation, adapters: Mapping[ArmName, TrainedAdapter]
) -> Section:
    """Return how much was learned from, measured and trained."""
    kept = found.kept
    rows = [
        ("interactions learned from", str(len(found.interactions))),
        ("of them with a kept trace", str(kept)),
        ("of them with the empty trace", str(len(found.selections) - kept)),
        ("failed", str(len(found.failures))),
        (
            "traces drawn, malformed ones among them",
            f"{sum(map(len, found.scored.values()))}, {found.malformed}",
        ),
        ("held-out interactions", str(len(evaluation.interactions))),
    ]
    rows.extend(
        (f"steps of {title_of(name)}", f"{one.manifest.steps} of {one.manifest.planned_steps}")
        for name, one in adapters.items()
    )
    return Section(heading="Sizes", columns=("what", "how many"), rows=tuple(rows))


_RISES = (
    "An answer with reasoning is as likely as the mean over its K traces. The log of such a mean "
    "is a lower bound that rises with K, whatever the traces say: spreading the bet alone raises "
    "it. So every likelihood with reasoning holds for its K, and one without reasoning has none."
)
_AVERAGED = (
    "arms with reasoning average over K = {} an answer, arms without over none: a likelihood "
    "rises with K, whatever the traces say"
)
_GROUPS = (
    "Values below the largest K are means over disjoint groups of the same draws. Nats per "
    "answer; per token where the answer is text."
)


def _at_k(evaluation: Evaluation) -> list[AtK]:
    return by_traces(evaluation, none=title_of("none"))


def k_notes(evaluation: Evaluation) -> list[str]:
    """Return at which K the arms with reasoning stand; nothing where none draws traces."""
    most = max((row.k for row in _at_k(evaluation)), default=0)
    if not most:
        return []
    return [_AVERAGED.format(counted(most, "trace"))]


def k_sections(evaluation: Evaluation) -> list[Section]:
    """Return the likelihood of the arms with reasoning at each K; nothing where none draws."""
    rows = _at_k(evaluation)
    if not rows:
        return []
    compared = any(row.over_none is not None for row in rows)
    return [
        Section(
            heading="How many traces an answer averages over",
            paragraphs=(_RISES, _GROUPS),
            columns=(
                "Arm",
                "K",
                "Log-likelihood",
                *([f"Less {title_of('none')}"] if compared else []),
                "Answers",
            ),
            rows=tuple(
                (
                    row.arm,
                    str(row.k),
                    str(row.log_likelihood),
                    *([str(row.over_none)] if compared else []),
                    str(row.n_items),
                )
                for row in rows
            ),
        )
    ]


def added_sections(sentences: Sequence[str]) -> list[Section]:
    """Return what the report says of the pool with and without reasoning; nothing without both.

    Args:
        sentences: What may be said of the difference.
    """
    if not sentences:
        return []
    heading = "What reasoning adds to everything else"
    return [Section(heading=heading, paragraphs=(*sentences, _ADDED))]


_ADDED = (
    "Both pools answer the same questions, from the train split alone. Without reasoning, the pool "
    "holds the model's answer without reasoning, how the other people answered, the panel model "
    "and the person's own use of the options. A pool has weights of its own; the arms' "
    "descriptions say whether they were fitted."
)


def synthesizer_section(title: str, synthesizer: TrainedAdapter) -> Section:
    """Return how a synthesizer was trained and whether that helped.

    Args:
        title: What the arm that learned from its traces is called.
        synthesizer: The synthesizer.
    """
    manifest, record = synthesizer.manifest, synthesizer.manifest.synthesizer
    assert record is not None, "a synthesizer says how it was trained"
    told = (record.before, record.after)
    rows = [_row(one) for one in told if one is not None]
    return Section(
        heading=f"The synthesizer of {title}",
        paragraphs=(
            f"Recipe {record.recipe!r}: {RECIPES[record.recipe]}.",
            (
                f"{manifest.steps} of {counted(manifest.planned_steps, 'step')}; "
                f"{_ENDED[manifest.stopped]}."
            ),
            *(
                [_MEASURED]
                if rows
                else [
                    "No interactions were held out of its training, so its effect was not measured."
                ]
            ),
            *(record.warnings or ["No warnings."]),
        ),
        columns=_COLUMNS if rows else (),
        rows=tuple(rows),
    )


_ENDED: Mapping[StopReason, str] = {
    "complete": "it ran to the end",
    "stalled": "it stopped early because the held-out gain no longer rose",
    "time": "it reached its time limit",
    "asked": "it was stopped by its caller",
}
_MEASURED = (
    "Measured on traces drawn for people's newest training interactions, which it did not learn "
    "from. A gain is a mean masked gain in the scorer's unit; a trace that cannot be read or that "
    "a guard refuses counts 0. The second reconstructor is of another model family (L8)."
)
_COLUMNS = (
    "Synthesizer",
    "Held-out gain",
    "Second reconstructor",
    "Reward",
    "Unreadable",
    "Rejected",
    "Traces",
)


def _row(one: TraceEvaluation) -> tuple[str, ...]:
    name = f"after step {one.step}" if one.step else "base model"
    second = "not measured" if one.second_gain is None else _signed(one.second_gain)
    shares = (f"{100 * one.malformed:.0f} %", f"{100 * one.refused:.0f} %")
    return (name, _signed(one.gain), second, _signed(one.reward), *shares, str(one.n))


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def curves_of(title: str, synthesizer: TrainedAdapter) -> Curves:
    """Return the figures of a synthesizer's steps, those that there are.

    Args:
        title: What the arm that learned from its traces is called.
        synthesizer: The synthesizer.
    """
    manifest, record = synthesizer.manifest, synthesizer.manifest.synthesizer
    figures = record.figures if record is not None else ()
    panels = {
        text: [one.get(name, math.nan) for one in figures]
        for name, text in PANELS.items()
        if any(name in one for one in figures)
    }
    # Expert iteration notes no figures of its steps; its loss is that of any training.
    panels.setdefault(PANELS["loss"], list(manifest.losses))
    return Curves(f"Training the synthesizer of {title}", panels)
