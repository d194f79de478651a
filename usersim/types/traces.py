"""Reasoning traces: drawn, scored, judged by the guards, selected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from usersim.types.interactions import Interaction, content_key

__all__ = [
    "WITHOUT_REASONING",
    "Candidate",
    "Case",
    "Direction",
    "Leakage",
    "RewardedTrace",
    "ScoredCandidate",
    "Selection",
    "TraceExample",
    "TracePair",
    "TracePrompt",
    "TraceScores",
    "TraceSource",
]

Direction = Literal["forward", "backward", "decoy"]

TraceSource = Literal[
    "recon_select",
    "best_eligible",
    "positive_gain",
    "random_eligible",
    "random",
    "backward",
    "guarded_backward",
    "forward",
    "longest",
    "oracle",
    "after_answer",
    "none",
]
"""Which of the same candidates a user model learns from; all sources share pairs and draws."""
WITHOUT_REASONING: frozenset[str] = frozenset({"after_answer", "none"})
"""Sources after which a user model answers without reasoning: it learned none before an action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One drawn, unscored trace.

    Attributes:
        interaction_key: The interaction that it was drawn for.
        direction: `forward` saw context and history, `backward` also the action, `decoy` an
            action that was not taken.
        draw: Which draw it is, 0-based within its direction.
        reasoning: The text.
        complete: False if it is malformed: cut at the token limit, not readable as reasoning, or
            only a rating or an option.
        model: Base model that wrote it.
        adapter: Served name of the adapter that wrote it; None for the base model alone.
        prompt_id: Identity (name and content hash) of the template.
        seed: Seed of the draw.
        log_q: Mean log-probability of its tokens under the prompt that it was drawn from, nats
            per token; None where the engine does not report it.
        n_tokens: Tokens drawn.
        decoy_action: The action that a decoy argues for.

    Example:
        >>> drawn = Candidate(interaction_key="k", direction="forward", draw=0, seed=0,
        ...                   reasoning="I like tea.", complete=True, model="m", prompt_id="p")
        >>> other = Candidate(interaction_key="k", direction="forward", draw=1, seed=1,
        ...                   reasoning="I like tea.", complete=True, model="m", prompt_id="p")
        >>> drawn.key == other.key  # hashes everything of it, the draw included
        False
    """

    interaction_key: str
    direction: Direction
    draw: int
    reasoning: str
    complete: bool
    model: str
    adapter: str | None = None
    prompt_id: str
    seed: int
    log_q: float | None = None
    n_tokens: int = 0
    decoy_action: str | None = None

    @property
    def key(self) -> str:
        """Content hash: the identity in the store."""
        return content_key(
            self.interaction_key,
            self.direction,
            self.draw,
            self.reasoning,
            self.model,
            self.adapter,
            self.prompt_id,
            self.seed,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Something that a person did, and what of their past is shown with it.

    Recon draws traces for a case, and then scores them.

    Attributes:
        interaction: The observed pair of context and action.
        history: What the person did before, as the prompt shows it.
        candidates: The traces that were drawn for it, where there are any.

    Example:
        >>> from usersim.types import FreeText, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> Case(tea).history
        ()
    """

    interaction: Interaction
    history: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What the guards found in one trace (L1 to L4).

    Attributes:
        longest_run: L1a, longest token run shared with the action and absent from the context.
        containment: L1b, share of the action's 4-grams that stand in the trace.
        quoted_span: L1c, longest quoted span shared with the action, tokens.
        asserts_option: L1d, the chosen option is asserted (closed questions).
        trace_only_share: L3, share of the gain that remains without the context; None if the
            gain is not positive.
        plausibility: L4, mean log p0(r|x) - log q(r|x,a), nats per token; 0 for forward ones;
            None where the engine does not report it.
        reasons: Why the trace is invalid, one guard each; empty if it is valid.
    """

    longest_run: int = 0
    containment: float = 0.0
    quoted_span: int = 0
    asserts_option: bool = False
    trace_only_share: float | None = None
    plausibility: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """True if no hard guard refused the trace."""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceScores:
    """How much one trace helps to predict the action.

    Attributes:
        scorer: Name and version of the fidelity score.
        unit: Unit of the gains.
        raw_gain: Gain of the trace as it is, on the selection half of the random draws.
        masked_gain: L2, the same after the action's 3-grams are blanked in the trace. This is
            the gain that selection and rewards use.
        reported_gain: `masked_gain` on the other half of the random draws; equal to it where the
            scorer draws nothing.
        components: Every number that went into the gains, by name.

    Example:
        >>> scores = TraceScores(scorer="loglik_gain@1", unit="nats per action token", raw_gain=0.8,
        ...                      masked_gain=0.1, reported_gain=0.1)
        >>> round(scores.raw_gain - scores.masked_gain, 1)  # what repeating the action gave
        0.7
    """

    scorer: str
    unit: str
    raw_gain: float
    masked_gain: float
    reported_gain: float
    components: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCandidate:
    """A candidate with its scores and with what the guards found.

    Example:
        >>> drawn = Candidate(interaction_key="k", direction="forward", draw=0, seed=0,
        ...                   reasoning="I like tea.", complete=True, model="m", prompt_id="p")
        >>> scores = TraceScores(scorer="s", unit="nats", raw_gain=0.8, masked_gain=0.1,
        ...                      reported_gain=0.1)
        >>> one = ScoredCandidate(candidate=drawn, scores=scores,
        ...                       leakage=Leakage(reasons=("L1 copy: 9 tokens in a row",)))
        >>> one.scores.masked_gain, one.leakage.valid
        (0.1, False)
    """

    candidate: Candidate
    scores: TraceScores
    leakage: Leakage


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candidate of one interaction was kept, and why.

    Attributes:
        interaction_key: The interaction.
        kept: Key of the kept candidate; None for the empty trace.
        reason: Why, in a sentence.
        utilities: Selection utility of each valid candidate by key.
        verdicts: For each candidate by key, why it was kept or not.

    Example:
        >>> chosen = Selection(interaction_key="k", kept="c1", reason="kept the best of 2",
        ...                    utilities={"c1": 0.7}, verdicts={"c1": "kept", "c2": "L1 copy"})
        >>> chosen.kept, chosen.verdicts["c2"]
        ('c1', 'L1 copy')
    """

    interaction_key: str
    kept: str | None
    reason: str
    utilities: Mapping[str, float] = field(default_factory=dict[str, float])
    verdicts: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePrompt:
    """What a synthesizer is asked: one direction of one interaction.

    Attributes:
        key: The interaction's key.
        user_id: Whose it is.
        direction: What the prompt shows: `backward` prompts hold the action.
        messages: The rendered prompt as (role, content) pairs.

    Example:
        >>> prompt = TracePrompt(key="k", user_id="ada", direction="backward",
        ...                      messages=(("system", "…"), ("user", "Tea?")))
        >>> dict(prompt.messages)["user"]
        'Tea?'
    """

    key: str
    user_id: str
    direction: Direction
    messages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TraceExample:
    """A trace that a synthesizer is to write.

    Attributes:
        prompt: What it is asked.
        reasoning: What it is to answer.
    """

    prompt: TracePrompt
    reasoning: str


@dataclass(frozen=True, slots=True)
class TracePair:
    """Two traces for one prompt, one of which is the better.

    Attributes:
        prompt: What the synthesizer was asked.
        chosen: The better one.
        rejected: The worse one.
        why: `gain`: both valid, and the chosen one reconstructs better; `leak`: a guard refuses
            the rejected one.

    Example:
        >>> prompt = TracePrompt(key="k", user_id="ada", direction="backward",
        ...                      messages=(("system", "…"), ("user", "Tea?")))
        >>> pair = TracePair(prompt, chosen="I like tea.", rejected="I will say yes.", why="leak")
        >>> pair.prompt.direction, pair.why
        ('backward', 'leak')
    """

    prompt: TracePrompt
    chosen: str
    rejected: str
    why: Literal["gain", "leak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardedTrace:
    """A trace as it was drawn, and what it is worth.

    Attributes:
        reasoning: The text; as it was drawn where it could not be read.
        reward: The reward.
        components: Every part of the reward and every figure behind it, by name.
        cut: Whether it ran into the token limit: what it would have become is unknown.
        readable: Whether it is one paragraph of reasoning.

    Example:
        >>> one = RewardedTrace(reasoning="I like tea.", reward=-0.6, cut=False, readable=True,
        ...                     components={"clipped_gain": 0.4, "hard_leak": -1.0})
        >>> round(sum(one.components.values()), 1) == one.reward
        True
    """

    reasoning: str
    reward: float
    components: Mapping[str, float]
    cut: bool
    readable: bool
