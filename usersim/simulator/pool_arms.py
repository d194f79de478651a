"""Arms that pool predictors: what `respond` answers, all of it or with some predictors left out.

Each held-out question is put as `respond` puts it: from the train split alone, with the weights
that the store holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from usersim.engines import Engine
from usersim.engines.options import OPTION_RULE
from usersim.errors import EvaluationError
from usersim.evaluation import Arm, ArmSpec
from usersim.prediction import PREDICTORS, Pool
from usersim.prompts import templates_key
from usersim.simulation import Answer, respond
from usersim.simulator.asking import Asker
from usersim.types import (
    Batch,
    Failure,
    FreeText,
    Interaction,
    Prediction,
    content_key,
    is_closed,
)

__all__ = ["pool_arm"]


def pool_arm(spec: ArmSpec, engine: Engine, asker: Asker, people: Sequence[str]) -> Arm:
    """Return an arm that pools the predictors of `spec`.

    Its answers are those of `respond` with the same adapter, predictors and seed. Free text is
    not pooled and fails; a closed question about which no predictor knows anything gets every
    option alike.

    Args:
        spec: Which predictors.
        engine: Runs the model, where a predictor needs one.
        asker: Puts the questions; its configuration limits what a pool of several predictors
            holds.
        people: Who is asked.

    Raises:
        EvaluationError: If the configuration pools none of the predictors.
    """
    several = len(spec.predictors) > 1
    chosen = tuple(
        one for one in (asker.pooled if several else spec.predictors) if one in spec.predictors
    )
    if not chosen:
        raise EvaluationError(
            f"arm {spec.name!r} has no predictor: the settings pool {list(asker.pooled)!r}",
            hint="leave the arm out, or pool more predictors (PredictionConfig.predictors)",
            cli_hint="leave the arm out",
        )
    put = _Put(spec, engine, replace(asker, predictors=chosen))
    return Arm(spec.title, put, put.description(people), put.identity(people))


@dataclass(frozen=True, slots=True)
class _Put:
    """Puts held-out questions to one pool."""

    spec: ArmSpec
    engine: Engine
    asker: Asker

    def pools(self, people: Sequence[str]) -> dict[str, Pool]:
        """Return the weights by simulator: that of an adapter or of the base model."""
        asker = self.asker
        return {
            name: asker.predictions.pool(name, asker.pooled)
            for name in sorted({asker.simulator(person) for person in people})
        }

    def description(self, people: Sequence[str]) -> str:
        """Say what is pooled, and whether the weights were fitted."""
        if len(self.asker.pooled) == 1:
            return PREDICTORS[self.asker.pooled[0]]
        said = f"pools {'; '.join(PREDICTORS[one] for one in self.asker.pooled)}"
        fitted = all(pool.fitted for pool in self.pools(people).values())
        weights = "fitted on training answers" if fitted else "as shipped: not calibrated yet"
        k = f"; K = {self.asker.config.simulation.traces}" if self.spec.reasons else ""
        return f"{said}; weights {weights}{k}"

    def identity(self, people: Sequence[str]) -> str:
        """Return what tells these answers from others."""
        asker, config = self.asker, self.asker.config
        return content_key(
            "pool",
            self.engine.identity if self.spec.runs_model else "",
            templates_key(),
            OPTION_RULE,
            config.history.key,
            config.simulation.key,
            config.prediction.key,
            sorted(asker.pooled),
            sorted((person, asker.simulator(person)) for person in people),
            [(name, pool.to_bytes().decode()) for name, pool in self.pools(people).items()],
            asker.corpus.fits.state(),
            sorted((key, one.candidate.key) for key, one in asker.kept.items()),
        )

    def __call__(self, interactions: Sequence[Interaction]) -> Batch[Prediction]:
        items = [self.asker.item(one.user_id, one) for one in interactions]
        found: dict[int, Prediction] = {}
        failures: list[Failure] = []
        asked: list[int] = []
        for place, (one, item) in enumerate(zip(interactions, items, strict=True)):
            if isinstance(one.space, FreeText):
                failures.append(_failure(place, one, "free text is not pooled"))
            elif item.predictors or (self.spec.runs_model and item.asked):
                asked.append(place)
            elif is_closed(one.space):
                found[place] = _alike(one)
            else:
                failures.append(_failure(place, one, "no predictor knows this question"))
        batch = respond(
            self.engine,
            [items[place] for place in asked],
            config=self.asker.config.simulation,
            history=self.asker.config.history,
        )
        failures += [replace(one, index=asked[one.index]) for one in batch.failures]
        for place, answer in zip(asked, batch.items, strict=True):
            if answer is not None:
                found[place] = _predicted(answer)
        failures.sort(key=lambda one: one.index)
        return Batch(tuple(found.get(n) for n in range(len(items))), tuple(failures))


def _failure(place: int, one: Interaction, why: str) -> Failure:
    return Failure(index=place, item=one.key, error="EvaluationError", message=why)


def _alike(one: Interaction) -> Prediction:
    """Return every option alike: nothing is known."""
    assert is_closed(one.space), "only closed questions have options to share"
    alike = dict.fromkeys(one.space.options, 1 / len(one.space.options))
    return Prediction(action=one.space.likeliest(alike), probabilities=alike)


def _predicted(answer: Answer) -> Prediction:
    reasonings = [drawn.reasoning for drawn in answer.trace.drawn if drawn.reasoning]
    return Prediction(
        action=answer.action_text,
        probabilities=dict(answer.probabilities),
        detail={
            "reasonings": reasonings,
            "shares": {share.predictor: share.share for share in answer.trace.predictors},
        },
    )
