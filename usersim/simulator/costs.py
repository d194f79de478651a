"""What a study would take before anything runs: tokens, GPU hours, money and disk, by stage.

Arithmetic alone: counts of people and questions, the settings, and lengths that are assumed or
measured in a store. Every assumption is part of the result. `time_evaluation` measures instead,
with the real model on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.errors import ArgumentError
from usersim.simulator.hardware import BILLION, GPUS, WEIGHT_BYTES, Gpu, ModelSize
from usersim.simulator.history import Histories
from usersim.simulator.planning import TRAINING_FACTOR
from usersim.simulator.train import respond_item
from usersim.types import Choice, MultiChoice, Scale
from usersim.types.counting import counted
from usersim.views import Sheet, printed

__all__ = ["CostPlan", "Lengths", "StageCost", "lengths_of", "plan_costs"]

UTILIZATION = 0.4
"""Share of a GPU's peak arithmetic that prompts and training reach; assumed. PaLM's training
reached 0.46 (arXiv 2204.02311, table 3)."""
BANDWIDTH = 0.6
"""Share of a GPU's memory bandwidth that drawing tokens reaches; assumed."""
SEQUENCES = 64
"""Texts that are drawn side by side; assumed."""
CHARS_PER_TOKEN = 4.0
"""Of English text; assumed."""
RECORD_BYTES = 1_500
"""What the store keeps of an answer or a trace besides its text; assumed."""
ADAPTER_BYTES = 4
"""Bytes of an adapter's parameter, in float32."""
SAMPLE = 64
"""Interactions whose prompts are measured in a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long things are, tokens, and how many there are of each person.

    Attributes:
        rows: Answers of each person to learn from.
        context: A prompt: what is shown of the person's past, and the question.
        question: The question alone, with its options.
        trace: A reasoning trace.
        action: An action, or an option.
        options: Options of a closed question.
        source: Where these figures come from.
    """

    rows: float = 40.0
    context: float = 520.0
    question: float = 40.0
    trace: float = 64.0
    action: float = 4.0
    options: float = 5.0
    source: str = (
        "assumed: prompts of survey corpora took 520 tokens (docs/results/predictions.md), traces "
        "as long as the settings allow"
    )

    @classmethod
    def assumed(cls, config: PipelineConfig) -> Lengths:
        """Return what is assumed where there is no store."""
        return cls(trace=float(config.synthesis.max_tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one stage takes.

    Attributes:
        stage: `traces`, `training` or `answers`.
        items: Training pairs, or answers.
        prompt_tokens: Read: prompts, and whatever is scored.
        drawn_tokens: Drawn one after the other.
        trained_tokens: Passed through in training, forward and backward.
        gpu_hours: Of one GPU.
        cost: In the price's currency; None without a price.
        disk: Bytes that it leaves.
    """

    stage: str
    items: int
    prompt_tokens: int
    drawn_tokens: int
    trained_tokens: int
    gpu_hours: float
    cost: float | None
    disk: int


@printed(lambda one: one.sheet())
@dataclass(frozen=True, slots=True, kw_only=True)
class CostPlan:
    """What a study takes, with everything that was assumed.

    Attributes:
        stages: Stage by stage.
        model_disk: Bytes of the model's own weights.
        gpus: How many GPUs the model needs at the least.
        assumptions: Everything behind the figures, a sentence each.
    """

    stages: tuple[StageCost, ...]
    model_disk: int
    gpus: int
    assumptions: tuple[str, ...]

    @property
    def total(self) -> StageCost:
        """All stages together; disk with the model's weights."""
        costs = [one.cost for one in self.stages if one.cost is not None]
        return StageCost(
            stage="total",
            items=sum(one.items for one in self.stages),
            prompt_tokens=sum(one.prompt_tokens for one in self.stages),
            drawn_tokens=sum(one.drawn_tokens for one in self.stages),
            trained_tokens=sum(one.trained_tokens for one in self.stages),
            gpu_hours=sum(one.gpu_hours for one in self.stages),
            cost=sum(costs) if costs else None,
            disk=sum(one.disk for one in self.stages) + self.model_disk,
        )

    def to_dict(self) -> dict[str, object]:
        """Return the plan as plain data."""
        return {
            "stages": [_row(one) for one in self.stages],
            "total": _row(self.total),
            "model_disk": self.model_disk,
            "gpus_at_least": self.gpus,
            "assumptions": list(self.assumptions),
        }

    def sheet(self) -> Sheet:
        """Return a row per stage, and below it what was assumed."""
        rows = [_cells(one) for one in (*self.stages, self.total)]
        return Sheet(
            title="What it takes, estimated",
            columns=(
                "stage",
                "items",
                "read",
                "drawn",
                "trained",
                "GPU hours",
                "cost",
                "disk",
            ),
            rows=rows,
            notes=self.assumptions,
        )


def _row(one: StageCost) -> dict[str, object]:
    return {
        "stage": one.stage,
        "items": one.items,
        "prompt_tokens": one.prompt_tokens,
        "drawn_tokens": one.drawn_tokens,
        "trained_tokens": one.trained_tokens,
        "gpu_hours": one.gpu_hours,
        "cost": one.cost,
        "disk_bytes": one.disk,
    }


def _cells(one: StageCost) -> tuple[str, ...]:
    return (
        one.stage,
        "" if one.stage == "total" else f"{one.items:,}",
        _short(one.prompt_tokens),
        _short(one.drawn_tokens),
        _short(one.trained_tokens),
        f"{one.gpu_hours:,.1f}",
        "–" if one.cost is None else f"{one.cost:,.2f}",
        f"{_short(one.disk)}B",
    )


def _short(value: float) -> str:
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {name}"
    return f"{value:.0f} "


def plan_costs(  # noqa: PLR0913 - keyword-only, each a plain fact
    *,
    people: int,
    questions: int,
    model: str,
    config: PipelineConfig,
    gpu: str = "h100",
    lengths: Lengths | None = None,
    tokens_per_second: float | None = None,
    prompt_tokens_per_second: float | None = None,
    gpu_hour: float | None = None,
    per_person: bool = False,
) -> CostPlan:
    """Return what reconstruction, training and answers of a study take.

    With N parameters, a pass over a token takes 2 N operations, and training a token three times
    that (Kaplan et al. 2020, arXiv 2001.08361, section 2.1: 6 N). Prompts and training are bound
    by arithmetic; drawing B texts side by side is bound by memory: each step reads the weights and
    B caches, `2 N + B x context x cache` bytes (Pope et al. 2022, arXiv 2211.05102, section 2.1).

    Prompts are counted once where an engine that keeps beginnings computes them once. A training
    pair is read three times (drawn forward, drawn backward, scored) and each of its candidates is
    scored under every order of the options. Training reads whole people, so that a question is
    passed once in each epoch (docs/adr/0030-whole-people.md).

    Args:
        people: How many.
        questions: Closed questions that each is asked.
        model: Size, such as `8b`.
        config: Settings of every stage: traces, orders, epochs, rank.
        gpu: Kind of GPU; a key of `GPUS`.
        lengths: How long things are; None takes what is assumed.
        tokens_per_second: Tokens drawn per second and GPU, where that was measured.
        prompt_tokens_per_second: Tokens read per second and GPU, where that was measured; training
            then takes a third of it.
        gpu_hour: Price of an hour of one GPU.
        per_person: Whether each person gets an adapter, instead of one for all.

    Raises:
        ArgumentError: If a number is not positive, or there is no such GPU or model size.

    Example:
        >>> plan = plan_costs(
        ...     people=100, questions=10, model="8b", config=PipelineConfig.preset("standard")
        ... )
        >>> [one.stage for one in plan.stages], plan.gpus
        (['traces', 'training', 'answers'], 1)
    """
    numbers = {
        "people": people,
        "questions": questions,
        "tokens_per_second": tokens_per_second,
        "prompt_tokens_per_second": prompt_tokens_per_second,
        "gpu_hour": gpu_hour,
    }
    for name, value in numbers.items():
        if value is not None and value <= 0:
            raise ArgumentError(
                f"{name} must be greater than 0; got {value!r}",
                cli_hint=f"pass a positive --{name.replace('_', '-')}",
            )
    if gpu not in GPUS:
        raise ArgumentError(
            f"unknown GPU {gpu!r}",
            hint=f"use one of {', '.join(GPUS)}, or pass both rates as measured",
        )
    told = lengths or Lengths.assumed(config)
    rates = _Rates.of(
        ModelSize.of(model), GPUS[gpu], gpu, told, tokens_per_second, prompt_tokens_per_second
    )
    return _Plan(people, questions, config, told, rates, gpu_hour, per_person).made()


@dataclass(frozen=True, slots=True)
class _Rates:
    """Tokens per second and GPU, and why.

    Attributes:
        size: The model.
        read: Tokens read.
        drawn: Tokens drawn.
        trained: Tokens passed forward and backward.
        gpus: GPUs that hold the weights, and as much again of a fifth.
        why: A sentence for each.
    """

    size: ModelSize
    read: float
    drawn: float
    trained: float
    gpus: int
    why: tuple[str, ...]

    @classmethod
    def of(
        cls,
        size: ModelSize,
        gpu: Gpu,
        name: str,
        lengths: Lengths,
        drawn: float | None,
        read: float | None,
    ) -> _Rates:
        operations = 2 * size.parameters
        weights = WEIGHT_BYTES * size.parameters
        caches = SEQUENCES * (lengths.context + lengths.trace) * size.cache_bytes
        step = (weights + caches) / (BANDWIDTH * gpu.bandwidth * 1e9)
        reading = read or UTILIZATION * gpu.tflops * 1e12 / operations
        drawing = drawn or min(SEQUENCES / step, reading)
        peak = f"{UTILIZATION:.0%} of {gpu.tflops:,.0f} TFLOPS ({name}), 2 operations per parameter"
        beside = f"{SEQUENCES} texts side by side, {BANDWIDTH:.0%} of {gpu.bandwidth:,.0f} GB/s"
        why = (
            f"model of {size.parameters / BILLION:.2f} billion parameters, shaped like {size.like}",
            f"reads {reading:,.0f} tokens per second and GPU: {'as given' if read else peak}",
            f"draws {drawing:,.0f} tokens per second and GPU: {'as given' if drawn else beside}",
            f"trains at 1/{TRAINING_FACTOR:.0f} of the reading rate: one pass forward, two back",
        )
        needed = 1.2 * weights / (gpu.memory * 1e9)
        return cls(
            size=size,
            read=reading,
            drawn=drawing,
            trained=reading / TRAINING_FACTOR,
            gpus=max(1, -int(-needed // 1)),
            why=why,
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Adds up the stages."""

    people: int
    questions: int
    config: PipelineConfig
    lengths: Lengths
    rates: _Rates
    gpu_hour: float | None
    per_person: bool

    def made(self) -> CostPlan:
        size = self.rates.size
        return CostPlan(
            stages=(self._traces(), self._training(), self._answers()),
            model_disk=round(WEIGHT_BYTES * size.parameters),
            gpus=self.rates.gpus,
            assumptions=tuple(self._assumed()),
        )

    def _assumed(self) -> Iterator[str]:
        """Yield everything behind the figures, a sentence each."""
        config, size = self.config, self.rates.size
        yield self._said_lengths()
        yield f"lengths {self.lengths.source}"
        yield from self.rates.why
        yield (
            f"{config.synthesis.n_forward} + {config.synthesis.n_backward} candidate traces a "
            f"pair, options scored in {counted(config.scoring.option_orders, 'order')}; "
            f"{config.training.epochs:g} epochs; {counted(config.simulation.traces, 'trace')} "
            f"and {counted(config.simulation.option_orders, 'order')} an answer"
        )
        yield (
            "beginnings of prompts that requests share are computed once; nothing is drawn again, "
            "started, loaded or idle"
        )
        yield (
            f"{counted(self._adapters, 'adapter')} of rank {config.training.rank} "
            f"({_short(size.adapter_parameters(config.training.rank))} parameters each, "
            f"{ADAPTER_BYTES} bytes); {RECORD_BYTES} bytes of the store for each trace and answer "
            "besides its text"
        )
        if self.gpu_hour is None:
            yield "no price per GPU hour was given, so that there is no cost"
        else:
            yield f"{self.gpu_hour:g} per GPU hour"
        if self.rates.gpus > 1:
            yield (
                f"the model needs {self.rates.gpus} GPUs; hours are of each GPU, and several are "
                "taken to be as fast as they are many"
            )

    def _said_lengths(self) -> str:
        one = self.lengths
        return (
            f"{one.rows:g} answers of each person to learn from; tokens: context "
            f"{one.context:.0f}, question {one.question:.0f}, trace {one.trace:.0f}, option or "
            f"action {one.action:.0f}; {one.options:.1f} options"
        )

    @property
    def _pairs(self) -> int:
        return round(self.people * self.lengths.rows)

    @property
    def _adapters(self) -> int:
        return self.people if self.per_person else 1

    def _traces(self) -> StageCost:
        one, config = self.lengths, self.config
        candidates = config.synthesis.n_forward + config.synthesis.n_backward
        scored = one.question + one.trace + one.options * one.action
        read = 3 * one.context + (candidates + 1) * config.scoring.option_orders * scored
        return self._stage(
            "traces",
            self._pairs,
            read=self._pairs * read,
            drawn=self._pairs * candidates * one.trace,
            disk=self._pairs * candidates * (one.trace * CHARS_PER_TOKEN + RECORD_BYTES),
        )

    def _training(self) -> StageCost:
        one, config = self.lengths, self.config
        each = one.question + one.trace + one.action
        rank = config.training.rank
        adapter = ADAPTER_BYTES * self.rates.size.adapter_parameters(rank)
        return self._stage(
            "training",
            self._pairs,
            trained=config.training.epochs * self._pairs * each,
            disk=self._adapters * adapter,
        )

    def _answers(self) -> StageCost:
        one, simulation = self.lengths, self.config.simulation
        answers = self.people * self.questions
        ways = simulation.traces + 1
        orders = simulation.option_orders
        again = (orders - 1) * ways * (one.question + one.trace)
        read = one.context + orders * ways * one.options * one.action + again
        text = simulation.traces * one.trace * CHARS_PER_TOKEN
        return self._stage(
            "answers",
            answers,
            read=answers * read,
            drawn=answers * simulation.traces * one.trace,
            disk=answers * (text + RECORD_BYTES),
        )

    def _stage(
        self,
        name: str,
        items: int,
        *,
        read: float = 0.0,
        drawn: float = 0.0,
        trained: float = 0.0,
        disk: float = 0.0,
    ) -> StageCost:
        rates = self.rates
        hours = (read / rates.read + drawn / rates.drawn + trained / rates.trained) / 3600
        return StageCost(
            stage=name,
            items=items,
            prompt_tokens=round(read),
            drawn_tokens=round(drawn),
            trained_tokens=round(trained),
            gpu_hours=hours,
            cost=None if self.gpu_hour is None else hours * self.gpu_hour,
            disk=round(disk),
        )


def lengths_of(corpus: Corpus, config: PipelineConfig, *, sample: int = SAMPLE) -> Lengths:
    """Measure lengths in a store: rows of each person, prompts, actions, options, stored traces.

    Characters are counted, and taken as tokens by `CHARS_PER_TOKEN`; no model is loaded.

    Args:
        corpus: The store.
        config: What is shown of a past.
        sample: Interactions whose prompts are made, spread over the people.

    Raises:
        ArgumentError: If nothing in it may be learned from.
    """
    people = [one for one in corpus.users() if one.train]
    if not people:
        raise ArgumentError(
            f"{corpus.name!r} has no answers to learn from", hint="load people's answers first"
        )
    rows = fmean(one.train for one in people)
    chosen = people[:: max(1, len(people) // sample)][:sample]
    histories = Histories(corpus, config.history)
    newest = [own[-1] for one in chosen if (own := corpus.history(one.user_id, limit=1))]
    prompts = [
        respond_item(one, histories.around(one).history, seed=0).prompt(config.history)
        for one in newest
    ]
    asked = [one.context[-1].content for one in newest]
    spaces = [one.space for one in newest]
    options = [one.options for one in spaces if isinstance(one, Choice | Scale | MultiChoice)]
    listed = fmean(sum(map(len, one)) for one in options) if options else 0.0
    drawn = [
        len(record.candidate.reasoning)
        for one in newest
        for record in corpus.ledger.find_trace(one.key)
        if record.candidate.reasoning
    ]
    assumed = Lengths.assumed(config)
    said = f"{counted(len(drawn), 'stored trace')}" if drawn else "traces as long as allowed"
    return Lengths(
        rows=rows,
        context=fmean(sum(len(text) for _, text in one) for one in prompts) / CHARS_PER_TOKEN,
        question=(fmean(map(len, asked)) + listed) / CHARS_PER_TOKEN,
        trace=fmean(drawn) / CHARS_PER_TOKEN if drawn else assumed.trace,
        action=max(fmean(len(one.action_text) for one in newest) / CHARS_PER_TOKEN, 1.0),
        options=fmean(map(len, options)) if options else 1.0,
        source=(
            f"measured in {corpus.name}: {counted(len(people), 'person', 'people')}, "
            f"{counted(len(newest), 'prompt')}, {said}; {CHARS_PER_TOKEN:g} characters a token"
        ),
    )
