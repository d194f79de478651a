"""How the synthesizer is trained, and what a trace is worth to it.

Docstrings below a field give its unit, its effect and where the default comes from.
`method.md` of the project's design is the source where nothing else is named.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from usersim.config.base import Config

__all__ = ["Recipe", "RewardConfig", "SynthesizerConfig"]

Recipe = Literal["select", "rft", "dpo", "grpo"]
"""How the synthesizer is trained: not at all, by expert iteration, on preferences, or by
policy gradients on the reconstruction reward."""


class RewardConfig(Config):
    """What a trace is worth to the synthesizer that wrote it.

    `malformed` for a trace that cannot be read, else `gain * clip(masked gain, low, high) +
    indistinguishability * p - hard leak - soft leak - overlength`, where p says how often what is
    drawn after the trace passes for what the person did.

    Example:
        >>> from usersim.config import GuardConfig
        >>> from usersim.recon import reward
        >>> from usersim.types import Candidate, Leakage, ScoredCandidate, TraceScores
        >>> drawn = Candidate(interaction_key="k", direction="forward", draw=0, complete=True,
        ...                   reasoning="I like tea.", model="m", prompt_id="p", seed=0, n_tokens=5)
        >>> scores = TraceScores(scorer="s", unit="nats", raw_gain=3.0, masked_gain=3.0,
        ...                      reported_gain=2.9)
        >>> leak = Leakage(longest_run=9)  # a copy, by guard L1
        >>> scored = ScoredCandidate(candidate=drawn, scores=scores, leakage=leak)
        >>> for config in RewardConfig(), RewardConfig(high=1.0), RewardConfig(hard_leak=5.0):
        ...     reward(scored, config, GuardConfig(), max_tokens=64).reward
        1.0
        0.0
        -3.0
    """

    malformed: FiniteFloat = -1.0
    """Reward of a draw that cannot be read as one paragraph of reasoning."""
    gain: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    """Weight of the clipped masked gain."""
    indistinguishability: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """Weight of p, the probability that a reader who knows what the person did before takes the
    reconstruction for the person's own reply: 0 to 1, 0.5 where it cannot tell. Of free text
    alone; 0 leaves it out, any other weight takes a draw and four scores for every trace.
    After arXiv 2606.19336."""
    reader: Literal["reconstructor", "second"] = "reconstructor"
    """Who tells replies apart: the reconstructor, or the second one (guard L8). A second model
    that takes part in the reward no longer measures it from outside."""
    low: FiniteFloat = -1.0
    """Least that a masked gain counts, in the scorer's unit."""
    high: FiniteFloat = 2.0
    """Most that a masked gain counts."""
    hard_leak: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    """Penalty of a trace that a hard guard refuses (L1, L4)."""
    soft_leak: Annotated[FiniteFloat, Field(ge=0)] = 0.5
    """Penalty times the trace-only share (L3)."""
    overlength: Annotated[FiniteFloat, Field(ge=0)] = 0.1
    """Penalty of a draw of full length; grows from nothing at `long_from`."""
    long_from: Annotated[float, Field(ge=0, lt=1)] = 0.75
    """Share of `SynthesisConfig.max_tokens` from which on a trace counts as long. A penalty that
    grows linearly up to the limit: DAPO's soft overlong punishment (arXiv 2503.14476)."""


class SynthesizerConfig(Config):
    """How the synthesizer is trained, whatever the recipe.

    Example:
        >>> from usersim import PipelineConfig
        >>> short = SynthesizerConfig(grpo_steps=20, group=4, prompts=2)
        >>> PipelineConfig(synthesizer=short).synthesizer.group
        4
    """

    rank: Annotated[int, Field(ge=1)] = 8
    """LoRA rank, on all linear layers."""
    alpha: Annotated[int, Field(ge=1)] = 16
    """LoRA scaling numerator; the update is scaled by alpha / rank."""
    held_out_share: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the training part, newest first per user, that the synthesizer is measured on and
    never trained on."""
    held_out_most: Annotated[int, Field(ge=1)] = 64
    """Interactions that it is measured on, at the most: each takes a draw and a score."""
    evaluations: Annotated[int, Field(ge=1)] = 4
    """How often the held-out gain is taken in a run of DPO or GRPO; training stops after two
    that do not improve."""
    rounds: Annotated[int, Field(ge=1)] = 3
    """RFT: rounds of draw, score, keep, train from the base."""
    rft_learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    """RFT: peak rate of AdamW; that of the user model."""
    rft_epochs: Annotated[float, Field(gt=0)] = 2.0
    """RFT: passes over the kept traces of a round."""
    batch_tokens: Annotated[int, Field(ge=64)] = 1024
    """RFT: tokens of one optimizer step's packed row."""
    dpo_learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    """DPO: peak rate of AdamW."""
    dpo_beta: Annotated[float, Field(gt=0)] = 0.1
    """DPO: strength of the pull to the frozen base. Source: arXiv 2305.18290 and trl's default."""
    dpo_epochs: Annotated[float, Field(gt=0)] = 1.0
    """DPO: passes over the pairs."""
    dpo_batch: Annotated[int, Field(ge=1)] = 8
    """DPO: pairs of one optimizer step."""
    grpo_learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """GRPO: peak rate of AdamW."""
    grpo_beta: Annotated[float, Field(ge=0)] = 0.04
    """GRPO: weight of the divergence from the frozen base, which is the model with its adapter
    switched off. Source: arXiv 2402.03300."""
    grpo_steps: Annotated[int, Field(ge=1)] = 100
    """GRPO: optimizer steps."""
    group: Annotated[int, Field(ge=2)] = 8
    """GRPO: draws for one prompt, whose mean reward is the baseline."""
    prompts: Annotated[int, Field(ge=1)] = 4
    """GRPO: prompts of one optimizer step; forward and backward ones take turns."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """GRPO: of the draws, without a nucleus cut: the gradient is that of what was drawn."""
    seed: int = 0
    """Order of the prompts, initial weights and draws."""
