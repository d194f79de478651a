"""Calibration: what each predictor is worth on answers that none of them learned from.

The person's other answers, everything before the moment in question, and the other people are
what a prediction may use; the answer itself is in none of them. So answers of the train split
serve, except those that the adapter learned from.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np

from usersim.config import PipelineConfig
from usersim.engines import Engine
from usersim.engines.batching import each
from usersim.errors import CorpusError, EvaluationError
from usersim.evaluation import Arm, evaluate, uniform_arm, write_report
from usersim.prediction import NO, YES, Observation, Pool, fit_pool, yes_or_no
from usersim.simulation import RespondItem, likelihoods, respond
from usersim.simulation.closed import mixed
from usersim.simulator.asking import Asker
from usersim.simulator.calibration import ABLATIONS, BEFORE, POOL, Calibration
from usersim.simulator.people import People
from usersim.simulator.predicting import SIMULATOR
from usersim.types import (
    Batch,
    Choice,
    Distribution,
    Failure,
    Interaction,
    MultiChoice,
    Number,
    PoolGroup,
    Prediction,
    Predictor,
    Scale,
    content_key,
    is_closed,
)
from usersim.views import Progress

__all__ = [
    "ObservedAnswer",
    "calibrate",
    "calibrate_on",
    "calibrate_once",
    "calibrate_people",
    "observe",
]

CHUNK = 16
"""Answers of one call to the engine."""
FOLDS = 5
"""Parts of the people: each is predicted with weights fitted on the others."""
AS_NEW = 0.25
"""Share of the answers that are predicted as if nobody else had been asked the question, where
others were: new questions are met at run time, and have weights of their own."""
STAGE = "calibrate"


@dataclass(frozen=True, slots=True)
class ObservedAnswer:
    """One answer that was really given, and what each predictor said of it."""

    interaction: Interaction
    observation: Observation


def calibrate_people(
    asker: Asker,
    engine: Callable[[], Engine],
    people: People,
    *,
    answers: int | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the pool of some people on their own answers, and keep it in the store.

    Args:
        asker: Puts the questions, as they are put at run time.
        engine: Returns what runs the model; called only where a predictor needs it.
        people: Whose answers are predicted; those that an adapter learned from are not.
        answers: How many at the most; None takes the configured number.
        out: Folder of a report with the reliability diagram; None writes none.
        progress: Called with (stage, done, total).

    Raises:
        EvaluationError: If there is no answer to fit on.
        CorpusError: If rows came or went meanwhile.
    """
    panel = asker.predictions.panel()
    picked = pick_answers(
        people,
        asker.held_answers,
        answers or asker.config.prediction.calibration,
        counted=panel.knows if panel else lambda _: False,
    )
    return calibrate_on(
        asker, engine, picked, people.users, as_new=_met_as_new, out=out, progress=progress
    )


def calibrate_once(
    asker: Asker,
    engine: Callable[[], Engine],
    people: People,
    *,
    answers: int,
    progress: Progress | None = None,
) -> None:
    """Fit the pool as `calibrate_people` does, unless the store holds what the same call fitted.

    So an evaluation that is resumed does not predict the same answers again.

    Args:
        asker: Puts the questions, as they are put at run time.
        engine: Returns what runs the model; called only where a predictor needs it.
        people: Whose answers are predicted.
        answers: How many at the most.
        progress: Called with (stage, done, total).

    Raises:
        EvaluationError: If there is no answer to fit on.
        CorpusError: If rows came or went meanwhile.
    """
    fits = asker.corpus.fits
    simulators = sorted({asker.simulator(person) for person in people.users})
    names = [asker.predictions.pool_key(one, asker.pooled) for one in simulators]
    mark, state = content_key("calibrated", answers, names), fits.state()

    def weights() -> bytes:
        """Return what tells the weights that are in use from others."""
        pools = [asker.predictions.pool(one, asker.pooled) for one in simulators]
        return content_key([pool.to_bytes().decode() for pool in pools]).encode()

    if fits.get("pool", mark, state=state) != weights():
        calibrate_people(asker, engine, people, answers=answers, progress=progress)
        fits.put("pool", mark, state=state, data=weights())


def calibrate_on(  # noqa: PLR0913 - keyword-only, each a plain fact
    asker: Asker,
    engine: Callable[[], Engine],
    interactions: Sequence[Interaction],
    people: Sequence[str],
    *,
    as_new: Callable[[Interaction], bool] = lambda _: False,
    out: Path | None = None,
    title: str = "Calibration",
    provenance: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fit the pool on given answers, and keep it in the store.

    Args:
        asker: Puts the questions, as they are put at run time.
        engine: Returns what runs the model; called only where a predictor needs it.
        interactions: Closed answers that nothing was learned from.
        people: Whose answers the pool is for from now on.
        as_new: Whether a question is to be met as one that nobody else answered.
        out: Folder of a report with the reliability diagram; None writes none.
        title: Its heading.
        provenance: Command and sizes, for the report.
        progress: Called with (stage, done, total).

    Raises:
        EvaluationError: If there is no answer to fit on.
        CorpusError: If rows came or went meanwhile.
    """
    needed = bool(SIMULATOR.intersection(asker.pooled))
    observed, failures = observe(
        engine() if needed and interactions else None,
        asker,
        interactions,
        asker.config,
        as_new=as_new,
        progress=progress,
    )
    simulators = sorted({asker.simulator(person) for person in people})
    found = calibrate(
        observed,
        failures,
        simulator=", ".join(simulators),
        seed=asker.config.prediction.seed,
        out=out,
        title=title,
        provenance=provenance,
    )
    pools = {asker.pooled: found.pool, **_pool_without_reasoning(asker, observed)}
    for simulator in simulators:
        for pooled, pool in pools.items():
            if not asker.predictions.keep_pool(simulator, pooled, pool):
                raise CorpusError(
                    "rows were loaded or deleted during the calibration, so its result was "
                    "discarded",
                    hint="repeat it",
                )
    return found


def _pool_without_reasoning(
    asker: Asker, observed: Sequence[ObservedAnswer]
) -> dict[tuple[Predictor, ...], Pool]:
    """Return the pool of the other predictors, so that what reasoning adds can be measured.

    Nothing where there is no reasoning, or nothing besides it.
    """
    others: tuple[Predictor, ...] = tuple(one for one in asker.pooled if one not in {"reasoning"})
    if others in {(), asker.pooled}:
        return {}
    left = _without([one.observation for one in observed], frozenset({"reasoning"}))
    left = [one for one in left if one.predictors]
    return {others: fit_pool(left, seed=asker.config.prediction.seed, intervals=False)}


def _met_as_new(one: Interaction) -> bool:
    """Return whether an answer is predicted as if nobody else had been asked; always the same."""
    return int(content_key("met as new", one.key)[:8], 16) < AS_NEW * 16**8


def pick_answers(
    people: People,
    learned_from: Callable[[str], frozenset[str] | None],
    n: int,
    *,
    counted: Callable[[str], bool] = lambda _: False,
) -> list[Interaction]:
    """Return answers of the train split that the pool gives and nothing was learned from.

    The newest of each person, as many of each as it takes.

    Args:
        people: Whose.
        learned_from: Returns the keys of a person's answers that an adapter did not learn from;
            None if it learned from none of them.
        n: How many at the most.
        counted: Whether numbers and multiple choices of a question key are pooled.
    """
    rows: list[list[Interaction]] = []
    for person in people.users:
        free = learned_from(person)
        own = [
            one
            for one in people.corpus.history(person)
            if (free is None or one.key in free)
            and (
                is_closed(one.space)
                or (isinstance(one.space, Number | MultiChoice) and counted(one.question.key))
            )
        ]
        # The first answer has nothing before it to be predicted from.
        rows.append([one for one in reversed(own) if one.position > 0])
    picked: list[Interaction] = []
    for depth in range(max(map(len, rows), default=0)):
        layer = [own[depth] for own in rows if depth < len(own)]
        left = n - len(picked)
        picked += layer if len(layer) <= left else _spread(layer, left)
        if len(picked) >= n:
            break
    return picked


def _spread(layer: Sequence[Interaction], n: int) -> list[Interaction]:
    """Return `n` of a layer, evenly spaced over the people."""
    places = np.linspace(0, len(layer) - 1, n).round().astype(int)
    return [layer[int(i)] for i in dict.fromkeys(places.tolist())]


def observe(
    engine: Engine | None,
    asker: Asker,
    interactions: Sequence[Interaction],
    config: PipelineConfig,
    *,
    as_new: Callable[[Interaction], bool] = lambda _: False,
    progress: Progress | None = None,
) -> tuple[list[ObservedAnswer], list[Failure]]:
    """Return what every predictor says of each answer.

    Args:
        engine: Runs the model; None where no predictor needs one.
        asker: Puts the questions; knows the predictors that need no model.
        interactions: Closed answers, each predicted from what came before it.
        config: How the simulator answers.
        as_new: Whether a question is to be met as one that nobody else answered.
        progress: Called with (stage, done, total).

    Returns:
        One entry per answer that could be predicted, of a multiple choice one per option, and the
        failures.
    """
    found: list[ObservedAnswer] = []
    failures: list[Failure] = []
    run = partial(_observed, engine, asker, config, as_new)
    for start in range(0, len(interactions), CHUNK):
        chunk = interactions[start : start + CHUNK]
        batch = each(chunk, run, lambda one: one.key)
        found += chain.from_iterable(batch)
        failures += [replace(one, index=one.index + start) for one in batch.failures]
        if progress:
            progress(STAGE, start + len(chunk), len(interactions))
    return found, failures


def _observed(
    engine: Engine | None,
    asker: Asker,
    config: PipelineConfig,
    as_new: Callable[[Interaction], bool],
    chunk: Sequence[Interaction],
) -> Batch[tuple[ObservedAnswer, ...]]:
    items = [
        asker.item(one.user_id, one, as_new=is_closed(one.space) and as_new(one)) for one in chunk
    ]
    found: dict[int, tuple[ObservedAnswer, ...]] = {}
    closed = [i for i, one in enumerate(chunk) if is_closed(one.space)]
    own = _own_distributions(engine, [items[i] for i in closed], [chunk[i] for i in closed], config)
    for i, said in zip(closed, own, strict=True):
        found[i] = (
            _observation(chunk[i], items[i], {**said, **items[i].predictors}, str(chunk[i].action)),
        )
    counted = [i for i in range(len(chunk)) if i not in found]
    drawn = _drawn_distributions(engine, [items[i] for i in counted], config)
    for i, predictors in zip(counted, drawn, strict=True):
        found[i] = tuple(_as_closed(chunk[i], items[i], predictors))
    return Batch(tuple(found[i] for i in range(len(chunk))))


def _observation(
    one: Interaction,
    item: RespondItem,
    predictors: Mapping[Predictor, Distribution],
    truth: str,
) -> ObservedAnswer:
    observation = Observation(
        person=one.user_id,
        group=cast("PoolGroup", item.group),
        predictors=predictors,
        truth=truth,
    )
    return ObservedAnswer(one, observation)


def _as_closed(
    one: Interaction, item: RespondItem, predictors: Mapping[Predictor, Distribution]
) -> Iterator[ObservedAnswer]:
    """Yield a number as a scale of its ranges, and each option of a multiple choice as yes or no.

    Nothing if the question is not pooled.
    """
    if not predictors:
        return
    options = tuple(next(iter(predictors.values())))
    if isinstance(one.space, Number):
        truth = options[bisect_left(item.edges, float(str(one.action)))]
        yield _observation(
            replace(one, space=Scale(options), action=truth), item, predictors, truth
        )
        return
    chosen = {one.action} if isinstance(one.action, str) else set(cast("tuple[str]", one.action))
    for option in options:
        truth = YES if option in chosen else NO
        asked = replace(
            one, key=content_key(one.key, option), space=Choice((NO, YES)), action=truth
        )
        yield _observation(asked, item, yes_or_no(predictors, option), truth)


def _drawn_distributions(
    engine: Engine | None, items: Sequence[RespondItem], config: PipelineConfig
) -> list[Mapping[Predictor, Distribution]]:
    """Return what every predictor says of numbers and multiple choices, where they are pooled."""
    pooled = [item for item in items if item.combine is not None]
    told: list[Mapping[Predictor, Distribution]] = [item.predictors for item in pooled]
    if engine is not None and pooled and pooled[0].asked:
        answers = respond(engine, pooled, config=config.simulation, history=config.history)
        told = [
            {one.predictor: one.probabilities for one in answer.trace.predictors}
            if answer is not None
            else own
            for answer, own in zip(answers.items, told, strict=True)
        ]
    found = iter(told)
    return [next(found) if item.combine is not None else {} for item in items]


def _own_distributions(
    engine: Engine | None,
    items: Sequence[RespondItem],
    chunk: Sequence[Interaction],
    config: PipelineConfig,
) -> list[dict[Predictor, Distribution]]:
    """Return the simulator's own distributions, with and without reasoning, where asked for."""
    if engine is None or not items or not items[0].asked:
        return [{} for _ in items]
    asked = items[0].asked
    traces = config.simulation.traces if "reasoning" in asked else 0
    found = likelihoods(
        engine,
        [(item, one.action) for item, one in zip(items, chunk, strict=True)],
        config=config.simulation.model_copy(update={"traces": traces}),
        history=config.history,
    )
    result: list[dict[Predictor, Distribution]] = []
    for one in found:
        said: dict[Predictor, Distribution] = {}
        if traces:
            said["reasoning"] = mixed(one.options[:-1], None, 1.0)
        if "no_reasoning" in asked:
            said["no_reasoning"] = one.options[-1]
        result.append(said)
    return result


def calibrate(
    observed: Sequence[ObservedAnswer],
    failures: Sequence[Failure],
    *,
    simulator: str,
    seed: int,
    out: Path | None = None,
    title: str = "Calibration",
    provenance: Mapping[str, object] | None = None,
) -> Calibration:
    """Fit the pool, and measure it on people whose answers it was not fitted on.

    Args:
        observed: What each predictor said of answers.
        failures: Answers that could not be predicted.
        simulator: Digest of the adapter, or name of the base model.
        seed: Of the folds and of the bootstrap.
        out: Folder of a report; None writes none.
        title: Its heading.
        provenance: Command and sizes, for the report.

    Raises:
        EvaluationError: If there is no answer to fit on.
    """
    if not observed:
        raise EvaluationError(
            "there are no closed answers to calibrate on",
            hint="load people who answered choices or scales; an adapter that learned from all of "
            "them leaves none (TrainingConfig.validation_share)",
            cli_hint="load people who answered choices or scales; an adapter that learned from all "
            "of them leaves none",
        )
    everything = [one.observation for one in observed]
    crossed = _crossed(everything, seed)
    names = _names(everything)
    arms = [
        uniform_arm(seed=seed),
        *(_predictor_arm(name, observed) for name in names),
        _arm(BEFORE, observed, [_pooled(Pool(), one) for one in everything]),
        *(
            _arm(name, observed, _crossed(left, seed))
            for name, (_, out_of_it) in ABLATIONS.items()
            if out_of_it.issubset(names)
            for left in [_without(everything, out_of_it)]
            if all(one.predictors for one in left)
        ),
        _arm(POOL, observed, crossed),
    ]
    held = [replace(one.interaction, split="held_out") for one in observed]
    evaluation = evaluate(arms, held, baseline=POOL, seed=seed)
    page = None
    if out is not None:
        told = {"simulator": simulator, **(provenance or {})}
        page = write_report(evaluation, out, title=title, provenance=told)
    return Calibration(
        pool=fit_pool(everything, seed=seed),
        evaluation=evaluation,
        failures=tuple(failures),
        simulator=simulator,
        report=page,
    )


def _names(observations: Sequence[Observation]) -> list[Predictor]:
    seen: dict[Predictor, None] = {}
    for one in observations:
        seen.update(dict.fromkeys(one.predictors))
    return list(seen)


def _without(
    observations: Sequence[Observation], predictors: frozenset[Predictor]
) -> list[Observation]:
    """Return the same answers without what some predictors said of them."""
    return [
        replace(
            one,
            predictors={name: p for name, p in one.predictors.items() if name not in predictors},
        )
        for one in observations
    ]


def _crossed(observations: Sequence[Observation], seed: int) -> list[Distribution]:
    """Return the pool's distributions, each with weights fitted on other people's answers.

    One person has no others: then on this person's other answers.
    """
    people = sorted({one.person for one in observations})
    by_person = len(people) >= FOLDS
    units = people if by_person else list(range(len(observations)))
    order = np.random.default_rng(seed).permutation(len(units))
    fold_of = {units[int(place)]: n % FOLDS for n, place in enumerate(order)}
    folds = [fold_of[one.person if by_person else place] for place, one in enumerate(observations)]
    pools = [
        fit_pool(
            [one for one, fold in zip(observations, folds, strict=True) if fold != left],
            seed=seed,
            intervals=False,
        )
        for left in range(FOLDS)
    ]
    return [_pooled(pools[fold], one) for one, fold in zip(observations, folds, strict=True)]


def _pooled(pool: Pool, one: Observation) -> Distribution:
    return pool.combine(one.group, one.predictors).probabilities


def _predictor_arm(name: Predictor, observed: Sequence[ObservedAnswer]) -> Arm:
    """Return one predictor alone; where it says nothing, every option alike."""
    uniform = [
        dict.fromkeys(options, 1 / len(options))
        for one in observed
        for options in [cast("Choice | Scale", one.interaction.space).options]
    ]
    said = [
        one.observation.predictors.get(name, alike)
        for one, alike in zip(observed, uniform, strict=True)
    ]
    return _arm(name.replace("_", " "), observed, said)


def _arm(name: str, observed: Sequence[ObservedAnswer], said: Sequence[Distribution]) -> Arm:
    found = {
        one.interaction.key: distribution for one, distribution in zip(observed, said, strict=True)
    }

    def predict(interactions: Sequence[Interaction]) -> Batch[Prediction]:
        return Batch(
            tuple(
                Prediction(
                    action=cast("Choice | Scale", one.space).likeliest(found[one.key]),
                    probabilities=found[one.key],
                )
                for one in interactions
            )
        )

    return Arm(name, predict)
