"""Candidates: traces drawn with and without the action in view, and decoys.

Knows prompts, the transcript codec and the engine; knows nothing of scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from usersim.config import HistoryConfig, SynthesisConfig
from usersim.engines import AdapterRef, ChatPrompt, Draw, Engine, GenerateRequest
from usersim.engines.batching import each
from usersim.errors import TranscriptError
from usersim.prompts import backward_prompt, forward_prompt, load_template
from usersim.recon.bare_answers import is_bare_answer
from usersim.transcript import OPEN, REASONING_STOP, close_reasoning, parse_reasoning
from usersim.types import (
    ActionValue,
    Batch,
    Candidate,
    Case,
    Direction,
    FreeText,
    MultiChoice,
    Number,
    TracePrompt,
    content_key,
)
from usersim.views import Progress

__all__ = ["decoy_action", "decoys", "synthesize", "trace_prompts"]

_STOPS = (REASONING_STOP, "\n")
"""A trace is one paragraph: a line break ends it as the closing tag does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One direction of one interaction."""

    case: Case
    direction: Direction
    n: int
    prompt: ChatPrompt
    decoy_action: str | None = None


def synthesize(
    engine: Engine,
    cases: Sequence[Case],
    config: SynthesisConfig,
    history_config: HistoryConfig,
    *,
    adapter: AdapterRef | None = None,
    progress: Progress | None = None,
) -> Batch[tuple[Candidate, ...]]:
    """Draw N forward and N backward traces for every interaction.

    Every direction of an interaction has a seed of its own, made of the configured seed, the
    interaction's key and the direction: what is drawn does not depend on the other cases.
    Malformed draws are drawn again, up to `config.redraws` times, and kept beside the others so
    that they can be counted.

    Args:
        engine: The synthesizer.
        cases: What to draw for; all of it goes to the engine in one call.
        config: How many, how long, how warm.
        history_config: Character limits of the prompts.
        adapter: Weights of a trained synthesizer.
        progress: Called with (stage, requests done, requests in all).

    Returns:
        Per interaction its candidates, forward ones first. A malformed draw is a candidate with
        `complete=False` that keeps the text: it cannot be read as one paragraph of reasoning, or
        is only an answer. An interaction that does not fit the model is a failure.

    Example:
        >>> from usersim.config import PipelineConfig
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.types import Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> config = PipelineConfig.preset("tiny")
        >>> batch = synthesize(ScriptedEngine(), [Case(tea)], config.synthesis, config.history)
        >>> [one.direction for one in batch[0]]
        ['forward', 'forward', 'backward', 'backward']
    """

    def jobs(case: Case) -> list[_Job]:
        return [
            job
            for job in (
                _forward(case, config.n_forward, history_config),
                _backward(case, config.n_backward, history_config),
            )
            if job.n
        ]

    run = partial(_run, engine, jobs, config, adapter, progress)
    return each(cases, run, lambda case: case.interaction.key)


def trace_prompts(
    case: Case, config: SynthesisConfig, history_config: HistoryConfig
) -> dict[Direction, TracePrompt]:
    """Return what a synthesizer is asked for an interaction, by direction.

    Args:
        case: What the person did.
        config: A direction of which no trace is drawn is left out.
        history_config: Character limits of the prompts.

    Example:
        >>> from usersim.config import PipelineConfig
        >>> from usersim.types import Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="Always.", space=FreeText(), conversation="c")
        >>> config = PipelineConfig.preset("tiny")
        >>> list(trace_prompts(Case(tea), config.synthesis, config.history))
        ['forward', 'backward']
    """
    jobs = (
        _forward(case, config.n_forward, history_config),
        _backward(case, config.n_backward, history_config),
    )
    return {
        job.direction: TracePrompt(
            key=case.interaction.key,
            user_id=case.interaction.user_id,
            direction=job.direction,
            messages=job.prompt,
        )
        for job in jobs
        if job.n
    }


def decoys(
    engine: Engine,
    cases: Sequence[Case],
    config: SynthesisConfig,
    history_config: HistoryConfig,
    *,
    adapter: AdapterRef | None = None,
    progress: Progress | None = None,
) -> Batch[tuple[Candidate, ...]]:
    """Draw one trace per interaction for an action that was not taken (diagnostic L6).

    Args as for `synthesize`; the action is that of `decoy_action`.

    Returns:
        Per interaction one candidate; none where no decoy action is known; `Failure` as there.

    Example:
        >>> from usersim.config import PipelineConfig
        >>> from usersim.engines.scripted import ScriptedEngine
        >>> from usersim.types import Choice, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="yes", space=Choice(("yes", "no")), conversation="c")
        >>> config = PipelineConfig.preset("tiny")
        >>> batch = decoys(ScriptedEngine(), [Case(tea)], config.synthesis, config.history)
        >>> [one.decoy_action for one in batch[0]]
        ['no']
    """

    def jobs(case: Case) -> list[_Job]:
        action = decoy_action(case, seed=config.seed)
        if action is None:
            return []
        text = case.interaction.space.render(action)
        return [_backward(case, 1, history_config, decoy=text)]

    run = partial(_run, engine, jobs, config, adapter, progress)
    return each(cases, run, lambda case: case.interaction.key)


def decoy_action(case: Case, *, seed: int) -> ActionValue | None:
    """Return an action that the person could have taken and did not.

    For closed questions another option; for several options at once another single option; for
    text and numbers what the same person did in another context of the same kind, out of the
    history. None if there is none.
    """
    interaction, space = case.interaction, case.interaction.space
    random = Random(content_key(seed, interaction.key, "decoy"))  # noqa: S311 - nothing secret
    true = interaction.action_text
    if isinstance(space, FreeText | Number):
        others: list[ActionValue] = [
            past.action
            for past in case.history
            if past.space.kind == space.kind and past.action_text != true
        ]
    elif isinstance(space, MultiChoice):
        others = [(option,) for option in space.options if option != true]
    else:
        others = [option for option in space.options if option != true]
    return random.choice(others) if others else None


def _forward(case: Case, n: int, view: HistoryConfig) -> _Job:
    one = case.interaction
    prompt = forward_prompt(one.user_id, one.question, case.history, config=view)
    return _Job(case=case, direction="forward", n=n, prompt=prompt)


def _backward(case: Case, n: int, view: HistoryConfig, *, decoy: str | None = None) -> _Job:
    one = case.interaction
    prompt = backward_prompt(
        one.user_id,
        one.question,
        case.history,
        config=view,
        action_text=one.action_text if decoy is None else decoy,
    )
    direction: Direction = "backward" if decoy is None else "decoy"
    return _Job(case=case, direction=direction, n=n, prompt=prompt, decoy_action=decoy)


def _run(
    engine: Engine,
    jobs: Callable[[Case], list[_Job]],
    config: SynthesisConfig,
    adapter: AdapterRef | None,
    progress: Progress | None,
    cases: Sequence[Case],
) -> Batch[tuple[Candidate, ...]]:
    """Draw for all cases in one call, and in one more for each round of redraws."""
    wanted = [jobs(case) for case in cases]
    flat = [job for many in wanted for job in many]
    found: list[list[Candidate]] = [[] for _ in flat]
    missing = [job.n for job in flat]
    for attempt in range(1 + config.redraws):
        places = [place for place, n in enumerate(missing) if n]
        if attempt and not places:
            break
        requests = [
            _request(flat[place], config, adapter, n=missing[place], attempt=attempt)
            for place in places
        ]
        drawn = engine.generate(requests, progress=None if attempt else progress)
        for place, request, draws in zip(places, requests, drawn, strict=True):
            first = len(found[place])
            fresh = [
                _candidate(engine.model, flat[place], request, first + number, draw)
                for number, draw in enumerate(draws)
            ]
            found[place] += fresh
            missing[place] = sum(not one.complete for one in fresh)
    of_job = iter(found)
    return Batch(tuple(tuple(one for _ in many for one in next(of_job)) for many in wanted))


def _request(
    job: _Job, config: SynthesisConfig, adapter: AdapterRef | None, *, n: int, attempt: int
) -> GenerateRequest:
    again = (attempt,) if attempt else ()
    digest = content_key(config.seed, job.case.interaction.key, job.direction, *again)
    return GenerateRequest(
        prompt=job.prompt,
        prefix=OPEN,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        stop=_STOPS,
        n=n,
        seed=int(digest[:8], 16) >> 1,  # 31 bits: every engine takes them
        adapter=adapter,
    )


def _candidate(
    model: str, job: _Job, request: GenerateRequest, index: int, draw: Draw
) -> Candidate:
    reasoning, complete = read_draw(draw)
    complete = complete and not is_bare_answer(reasoning, job.case.interaction)
    template = "forward" if job.direction == "forward" else "backward"
    return Candidate(
        interaction_key=job.case.interaction.key,
        direction=job.direction,
        draw=index,
        reasoning=reasoning,
        complete=complete,
        model=model,
        adapter=request.adapter.name if request.adapter else None,
        prompt_id=load_template(template).id,
        seed=request.seed,
        # The draw's own figure belongs to the whole draw; of a shortened one none is known.
        log_q=draw.mean_logprob if complete and draw.finish != "length" else None,
        n_tokens=draw.n_tokens,
        decoy_action=job.decoy_action,
    )


def read_draw(draw: Draw) -> tuple[str, bool]:
    """Return the reasoning of a draw as one paragraph, and whether it can be used.

    A draw that was cut keeps its whole sentences; without one it is unusable, as is an empty
    one and one with a stray tag. What is unusable is returned as it was drawn.
    """
    try:
        text = (
            close_reasoning(draw.text)
            if draw.finish == "length"
            else parse_reasoning(draw.text, stopped=True)
        )
        return " ".join(text.split()), True
    except TranscriptError:
        return draw.text, False
