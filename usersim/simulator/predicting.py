"""What is known of an answer before a model reads the question: panel, own scale, pool.

Keeps the panel model in the store, beside the rows that it was fitted to: it is fitted again when
rows come or go, and forgotten with a person.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast, get_args

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.errors import ArgumentError
from usersim.prediction import (
    PanelModel,
    Pool,
    PoolGroup,
    group_of,
    own_answer,
    own_scale,
)
from usersim.simulator.history import Histories, ShownHistory
from usersim.simulator.plugs import Plugs
from usersim.types import (
    ActionValue,
    Choice,
    Combine,
    Distribution,
    Evidence,
    FreeText,
    Interaction,
    MultiChoice,
    Number,
    Predictor,
    Question,
    Scale,
    content_key,
)

__all__ = ["SIMULATOR", "PredictionInputs", "Predictions", "check_predictors"]

logger = logging.getLogger(__name__)

PRIOR_POOL = Pool()
"""Weights before anything was fitted."""
SIMULATOR: frozenset[Predictor] = frozenset({"reasoning", "no_reasoning"})
"""Predictors that need a model which reads the question."""
FEWEST_PEOPLE = 2
"""A panel is other people: one person is none."""
SHORT = 120
"""Characters of a past question or action in the list of evidence."""


def check_predictors(names: object) -> tuple[Predictor, ...]:
    """Return predictors as they were named.

    Raises:
        ArgumentError: If one is unknown, or there is none.

    Example:
        >>> check_predictors(["panel", "reasoning"])
        ('panel', 'reasoning')
    """
    known = get_args(Predictor)
    listed = [names] if isinstance(names, str) else list(cast("Sequence[object]", names))
    unknown = [one for one in listed if one not in known]
    if unknown or not listed or isinstance(names, str):
        raise ArgumentError(
            f"predictors must be a list of names; got {names!r}",
            hint=f"there are {', '.join(known)}",
        )
    return tuple(cast("list[Predictor]", listed))


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionInputs:
    """What is known of one answer before any model reads the question.

    Attributes:
        history: Past interactions, in the order of the prompt.
        group: Kind of question; None where nothing is pooled.
        predictors: Distributions over the options that need no model.
        asked: Which of the simulator's own distributions are pooled.
        combine: Pools them with the simulator's own; None for an open question, and for a number
            or a multiple choice that nobody else answered.
        edges: Of a number that is pooled, the upper ends of all ranges but the last.
        evidence: What stands in the prompt, and how much it bears on the question.
    """

    history: tuple[Interaction, ...]
    group: PoolGroup | None = None
    asked: frozenset[Predictor] = frozenset()
    predictors: dict[Predictor, Distribution] = field(default_factory=dict[Predictor, Distribution])
    combine: Combine | None = None
    edges: tuple[float, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Predictions:
    """Foresees answers from everybody's answers.

    Args:
        corpus: The store.
        config: Settings of every stage.
        plugs: What chooses evidence in place of what ships.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: PipelineConfig,
        plugs: Plugs = Plugs(),
    ) -> None:
        self._corpus = corpus
        self._config = config
        self._plugs = plugs
        self._loaded: tuple[str, PanelModel | None] | None = None
        self._pools: dict[str, Pool] = {}
        self.histories = Histories(
            corpus,
            config.history,
            panel=self.panel,
            similarity=plugs.meaning,
            retriever=plugs.over(corpus),
        )

    def under(self, config: PipelineConfig) -> Predictions:
        """Return the same of this store under other settings."""
        return self if config == self._config else Predictions(self._corpus, config, self._plugs)

    def panel(self) -> PanelModel | None:
        """Return the panel model of the store as it is now; None for a single person.

        Fitted once for the same rows, and kept in the store.
        """
        state = self._corpus.fits.state()
        if self._loaded is None or self._loaded[0] != state:
            self._loaded = (state, self._stored(state))
        return self._loaded[1]

    def _stored(self, state: str) -> PanelModel | None:
        settings = self._config.prediction
        key = content_key("panel", settings.weight, settings.seed, PanelModel.SCHEMA)
        data = self._corpus.fits.get("panel", key, state=state)
        if data is not None:
            return PanelModel.from_bytes(data)
        panel = self._corpus.panel(weight=settings.weight, shared_by=FEWEST_PEOPLE)
        if len(panel.people) < FEWEST_PEOPLE or not panel.questions:
            return None
        logger.info(
            "fitting the panel model: %d people, %d shared questions (once for these rows)",
            len(panel.people),
            len(panel.questions),
        )
        model = PanelModel.fit(panel, seed=settings.seed)
        self._corpus.fits.put("panel", key, state=state, data=model.to_bytes())
        return model

    def pool_key(self, simulator: str, predictors: Sequence[Predictor]) -> str:
        """Return the identity of a pool: who speaks in it, and how the simulator is asked.

        Args:
            simulator: Digest of the adapter, or name of the base model.
            predictors: Whose distributions are pooled.
        """
        config = self._config
        # What is known of few questions, and tells no weight, makes no other pool.
        spoken = sorted(set(predictors) - {"own_answer"})
        return content_key(
            "pool",
            simulator,
            spoken,
            config.history.key,
            config.simulation.traces,
            config.prediction.weight,
        )

    def pool(self, simulator: str, predictors: Sequence[Predictor]) -> Pool:
        """Return the fitted pool of the store, or the prior where none was fitted.

        Weights stay in use when rows come: what predicts well does not change with a few of them.

        Args:
            simulator: Digest of the adapter, or name of the base model.
            predictors: Whose distributions are pooled.
        """
        key = self.pool_key(simulator, predictors)
        if key not in self._pools:
            data = self._corpus.fits.get("pool", key)
            self._pools[key] = PRIOR_POOL if data is None else Pool.from_bytes(data)
        return self._pools[key]

    def keep_pool(self, simulator: str, predictors: Sequence[Predictor], pool: Pool) -> bool:
        """Keep a fitted pool in the store and use it; see `pool`.

        Returns:
            False, and nothing is kept, if rows came or went since it was last looked at.
        """
        key, state = self.pool_key(simulator, predictors), self._corpus.fits.state()
        self._pools[key] = pool
        return self._corpus.fits.put("pool", key, state=state, data=pool.to_bytes())

    def foresee(
        self,
        user_id: str,
        question: Question,
        *,
        before: int | None,
        simulator: str,
        predictors: Sequence[Predictor] | None = None,
        as_new: bool = False,
    ) -> PredictionInputs:
        """Return what is known of an answer.

        Args:
            user_id: Who answers.
            question: What is asked.
            before: Only what the person did before this position counts; None for everything of
                the train split.
            simulator: Digest of the adapter, or name of the base model: whose pool is used.
            predictors: Whose distributions are pooled; None for those of the configuration.
            as_new: Meet the question as one that nobody else answered.
        """
        wanted = self._config.prediction.predictors if predictors is None else tuple(predictors)
        shown = self.histories.shown(user_id, question, before=before, as_new=as_new)
        space = question.space
        alone = PredictionInputs(history=shown.interactions, evidence=_evidence(shown, {}))
        if isinstance(space, FreeText):
            return alone
        panel = None if as_new else self.panel()
        # Of two answers to one question the later one counts.
        known = {one.question.key: one.action for one in shown.past}
        found = panel.predict(known, [question.key], person=user_id)[0] if panel else None
        own: dict[Predictor, Distribution] = {}
        if isinstance(space, Choice | Scale):
            own["own_scale"] = own_scale(space, shown.past, shown.past_weights)
        if found is not None:
            own |= {"panel": found.probabilities, "others": found.others}
        edges = panel.edges(question.key) if panel else ()
        earlier = [one.action for one in shown.past if one.question.key == question.key]
        if earlier and not as_new:
            again = _again(space, earlier, tuple(found.others) if found else (), edges)
            own |= {"own_answer": again} if again else {}
        own = {name: p for name, p in own.items() if name in wanted}
        respondents = found.respondents if found else 0
        if not isinstance(space, Choice | Scale) and not (own and respondents):
            return alone
        group = group_of(space, respondents=respondents)
        pool = self.pool(simulator, wanted)
        combine = pool.combine_each if isinstance(space, MultiChoice) else pool.combine
        moved = panel.parts(known, question.key, person=user_id) if panel else {}
        return PredictionInputs(
            history=shown.interactions,
            group=group,
            predictors=own,
            asked=frozenset(wanted) & SIMULATOR,
            combine=partial(combine, group),
            edges=edges,
            evidence=_evidence(shown, moved),
        )


def _again(
    space: Choice | Scale | MultiChoice | Number,
    before: Sequence[ActionValue],
    ranges: Sequence[str],
    edges: Sequence[float],
) -> Distribution | None:
    """Return what to expect of who answered this question before; None if it cannot be said.

    Args:
        space: The question's.
        before: What they answered, each time.
        ranges: Names of the ranges of a number, in order; none where nobody else answered it.
        edges: Upper ends of all of them but the last.
    """
    if not isinstance(space, Number):
        return own_answer(space, before)
    if not ranges:
        return None
    # A value that is an end belongs to the range below it.
    places = [bisect_left(edges, float(cast("float", one))) for one in before]
    return own_answer(Scale(tuple(ranges)), [ranges[place] for place in places])


def _evidence(shown: ShownHistory, moved: dict[str, dict[str, float]]) -> tuple[Evidence, ...]:
    weights = {one.key: weight for one, weight in zip(shown.past, shown.past_weights, strict=True)}
    chosen = {one.key for one in shown.evidence}
    return tuple(
        Evidence(
            key=one.key,
            weight=weights.get(one.key, 0.0),
            question=_short("\n".join(m.content for m in one.context[-1:])),
            action=_short(one.action_text),
            chosen=one.key in chosen,
            moved=moved.get(one.question.key, {}),
        )
        for one in shown.interactions
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"
