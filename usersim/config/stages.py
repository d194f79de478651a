"""How each stage works, from the corpus to the answer.

Docstrings below a field give its unit, its effect and where the default comes from.
`method.md` of the project's design is the source where nothing else is named.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field, FiniteFloat, model_validator

from usersim.config.base import Config

__all__ = [
    "CorpusConfig",
    "GuardConfig",
    "HistoryConfig",
    "ScoringConfig",
    "SimulationConfig",
    "SynthesisConfig",
    "TrainingConfig",
]


class CorpusConfig(Config):
    """How a corpus is read and split.

    Example:
        >>> from usersim import Corpus
        >>> rows = [{"user_id": "ada", "context": f"{i}?", "action": "Yes."} for i in range(10)]
        >>> with Corpus.open(":memory:", config=CorpusConfig(train_share=0.5)) as corpus:
        ...     report = corpus.add(rows)
        ...     [(user.train, user.held_out) for user in corpus.users()]
        [(5, 5)]
    """

    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Share of a person's interactions, oldest first, that may be learned from."""
    max_message_chars: Annotated[int, Field(ge=100)] = 20_000
    """A longer message is cut to this many characters, its first and last halves; counted in the
    report."""
    max_action_chars: Annotated[int, Field(ge=100)] = 20_000
    """A longer action is refused: a shortened action is not what the person did."""
    chat_gap_hours: Annotated[float, Field(gt=0)] = 6.0
    """In chats among people, hours of silence after which a new conversation begins: shorter than
    a night. Conversations are never split between learning and measuring."""
    chat_context_messages: Annotated[int, Field(ge=1)] = 40
    """In chats among people, the most messages before a turn that are kept as its context, the
    newest."""


class HistoryConfig(Config):
    """What of a person's history stands in the prompt, and how long it may be.

    Example:
        >>> from usersim import PipelineConfig, UserSimulator
        >>> config = PipelineConfig(history=HistoryConfig(recent=2, evidence=0))
        >>> rows = [{"user_id": "ada", "context": f"{i}?", "action": "Yes."} for i in range(9)]
        >>> with UserSimulator.from_corpus(rows, engine="scripted", config=config) as sim:
        ...     len(sim.respond("Milk?").trace.history)
        2
    """

    form: Literal["turns", "page"] = "turns"
    """How the prompt shows it: each past interaction as a turn of the chat, or all of them as one
    text before the question. Measured for the embedded model (docs/results/predictions.md)."""
    recent: Annotated[int, Field(ge=0)] = 12
    """Newest interactions before the moment in question. They come first in the prompt, in
    time order, so that questions of one person share their prompt's beginning."""
    evidence: Annotated[int, Field(ge=0)] = 4
    """Further interactions that bear on the question: those whose answers go with it over the
    other people of the corpus, or, of a question that nobody else answered, by its meaning."""
    evidence_by: str = ""
    """Name of the embedding function, similarity or retriever that was given to the simulator,
    which fills it in; empty for the rule that ships. A name is never imported."""
    max_item_chars: Annotated[int, Field(ge=40)] = 400
    """Longest form of one past context or action in the prompt; the rest is cut and marked."""
    max_context_chars: Annotated[int, Field(ge=100)] = 3_000
    """Longest form of the context in question; the oldest text goes first."""

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, data: object) -> object:
        """Read settings that were saved while `evidence` was called `similar`."""
        if isinstance(data, dict) and "similar" in data:
            old = cast("dict[str, object]", data)
            return {("evidence" if name == "similar" else name): old[name] for name in old}
        return cast("object", data)


class SynthesisConfig(Config):
    """How candidate traces are drawn.

    Example:
        >>> from usersim.config import HistoryConfig
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.recon import synthesize
        >>> from usersim.types import Case, FreeText, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> config = SynthesisConfig(n_forward=1, n_backward=2)
        >>> batch = synthesize(ScriptedEngine(), [Case(tea)], config, HistoryConfig())
        >>> [(one.direction, one.draw) for one in batch[0]]
        [('forward', 0), ('backward', 0), ('backward', 1)]
    """

    n_forward: Annotated[int, Field(ge=0)] = 4
    """Candidates that saw context and history."""
    n_backward: Annotated[int, Field(ge=0)] = 4
    """Candidates that saw context and action. Source of N = 4: arXiv 2605.26969."""
    max_tokens: Annotated[int, Field(ge=8)] = 64
    """Longest trace, tokens; a longer draw is cut at its last full sentence."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """Of the draws. At 0.9 without a nucleus cut small models wrote junk, and the score picked
    it."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus cut of the draws."""
    redraws: Annotated[int, Field(ge=0)] = 2
    """How often malformed draws are drawn again: those that cannot be read, and those that are
    only a rating or an option. They stay in the store and are counted."""
    seed: int = 0
    """Seed of every draw; combined with the interaction's key."""


class ScoringConfig(Config):
    """How a trace's fidelity is computed.

    Example:
        >>> from usersim.recon.fidelity import scorer_for
        >>> from usersim.types import Choice, FreeText
        >>> spaces = FreeText(), Choice(("tea", "coffee"))
        >>> [scorer_for(space, ScoringConfig()).name for space in spaces]
        ['loglik_gain@1', 'choice@2']
        >>> scorer_for(FreeText(), ScoringConfig(scorer="sampled_similarity", samples=4)).name
        'sampled_similarity@1'
    """

    scorer: Literal[
        "auto",
        "loglik_gain",
        "choice",
        "scale",
        "number",
        "sampled_similarity",
        "judge_listwise",
    ] = "auto"
    """`auto` takes the proper score of the action's kind, and `loglik_gain` for text."""
    logprob_floor: Annotated[FiniteFloat, Field(lt=0)] = -5.0
    """Smallest log-probability that one action token may count, nats."""
    option_orders: Annotated[int, Field(ge=1)] = 8
    """Most option orders to average over for a choice; a scale is shown in both directions."""
    samples: Annotated[int, Field(ge=2)] = 8
    """Draws for `number` and `sampled_similarity`; half select, half report."""
    diagnostics: Annotated[int, Field(ge=0)] = 32
    """Interactions on which the diagnostics L5 to L7 are computed."""
    aided_by: str = ""
    """Names of the judge or the embedding function that the scorer uses; filled in by the
    simulator that they were given to. A name is never imported."""


class GuardConfig(Config):
    """Leakage guards L1 to L4, and what the selection makes of them.

    Example:
        >>> from usersim.recon.leakage import refusals
        >>> from usersim.types import Leakage
        >>> found = Leakage(longest_run=6, containment=0.1)
        >>> refusals(found, GuardConfig()), len(refusals(found, GuardConfig(copy_run=5)))
        ((), 1)
    """

    copy_run: Annotated[int, Field(ge=2)] = 8
    """L1: a shared run of this many tokens with the action is a copy."""
    containment: Annotated[float, Field(gt=0, le=1)] = 0.30
    """L1: so large a share of the action's 4-grams in the trace is a copy."""
    quoted_span: Annotated[int, Field(ge=1)] = 4
    """L1: a quoted span of this many tokens shared with the action is a copy."""
    plausibility_floor: FiniteFloat = -1.0
    """L4: a mean log-ratio below this, nats per token, makes the trace invalid."""
    plausibility_weight: Annotated[FiniteFloat, Field(ge=0)] = 0.25
    """L4: weight of the ratio's rank in the selection utility."""
    leak_penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.5
    """L3: penalty times the trace-only share."""
    empty_without_gain: bool = False
    """Whether Recon-Select keeps the empty trace where no valid candidate has a positive masked
    gain. By default it keeps the best valid one. True was the rule until November 2026; it cost
    in all three trainings that measured it (docs/results/index.md)."""


class TrainingConfig(Config):
    """How the user model's adapter is trained.

    Example:
        >>> from usersim import PipelineConfig
        >>> quick = TrainingConfig(rank=8, alpha=16, epochs=1)
        >>> PipelineConfig(training=quick).with_seed(3).training.seed
        3
        >>> TrainingConfig(epochs=0)
        Traceback (most recent call last):
        pydantic_core._pydantic_core.ValidationError: 1 validation error for TrainingConfig
        ...
    """

    rank: Annotated[int, Field(ge=1)] = 16
    """LoRA rank, on all linear layers."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """LoRA scaling numerator; the update is scaled by alpha / rank."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Peak rate of AdamW, after a linear warm-up over 5 % of the steps, cosine to 0."""
    epochs: Annotated[float, Field(gt=0)] = 2.0
    """Passes over the people, at the most."""
    batch_tokens: Annotated[int, Field(ge=64)] = 1536
    """Tokens of one optimizer step: a window of one person, or several short ones."""
    reasoning_weight: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the mean loss over reasoning tokens; an action has weight 1."""
    validation_share: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the training part, newest first per user, kept for early stopping and for
    calibration."""
    validation_people: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the people who are not learned from at all, where there are ten or more."""
    validation_most: Annotated[int, Field(ge=1)] = 120
    """Held-out actions that one measurement looks at."""
    evaluations: Annotated[int, Field(ge=1)] = 4
    """How often the held-out actions are measured; training stops after two measurements that do
    not improve."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the frozen base model; `auto` takes bfloat16 where a short measurement says
    that this machine gains by it. The adapter's weights and the loss are float32 in any case."""
    seed: int = 0
    """Order of the people and initial weights."""


class SimulationConfig(Config):
    """How an answer is drawn.

    Example:
        >>> SimulationConfig(traces=1, decision="sampled").temperature
        0.8
    """

    traces: Annotated[int, Field(ge=0)] = 3
    """K: traces drawn for one answer; option probabilities are averaged over them. 0 answers
    with the no-reasoning marker alone."""
    max_reasoning_tokens: Annotated[int, Field(ge=8)] = 64
    """Longest trace, tokens."""
    long_reasoning: Literal["close", "refuse"] = "close"
    """A trace that runs into the limit is closed after its last full sentence, one in which the
    model ends its turn at that end, and both are marked so; or they are refused as malformed."""
    option_orders: Annotated[int, Field(ge=1)] = 1
    """Option orders over which the probabilities of a closed question are averaged."""
    decision: Literal["likeliest", "sampled"] | None = None
    """How an option is chosen from its probabilities. `sampled` answers as varied as people do;
    `likeliest` is right more often. None samples in surveys, which are about many people, and
    takes the likeliest option everywhere else."""
    max_action_tokens: Annotated[int, Field(ge=1)] = 256
    """A longer action is malformed."""
    temperature: Annotated[float, Field(ge=0)] = 0.8
    """Of traces and of free-text actions."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus cut."""
    redraws: Annotated[int, Field(ge=0)] = 2
    """How often a malformed text is drawn again before the item fails."""
    require_reasoning: bool = False
    """Whether a closed question fails if none of its drawn traces can be read. By default it is
    answered without reasoning and `AnswerTrace.reasoning_failed` is True."""
    seed: int = 0
    """Seed of every draw; combined with the question."""
