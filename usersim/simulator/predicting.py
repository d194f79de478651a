"""What is known of an answer before a model reads the question: panel, own scale, pool.

Keeps the panel model in the store, beside the rows that it was fitted to: it is fitted again when
rows come or go, and forgotten with a person.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.prediction import (
    Expectation,
    PanelModel,
    Pool,
    Similarity,
    group_of,
    lexical_similarity,
    own_scale,
)
from usersim.simulator.history import Histories, Shown
from usersim.types import (
    Choice,
    Combine,
    Distribution,
    Evidence,
    Interaction,
    Predictor,
    Question,
    Scale,
    content_key,
)

__all__ = ["Foreseen", "Predictions"]

logger = logging.getLogger(__name__)

PRIOR_POOL = Pool()
"""Weights before anything was fitted."""
FEWEST_PEOPLE = 2
"""A panel is other people: one person is none."""
SHORT = 120
"""Characters of a past question or action in the list of evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What is known of one answer before any model reads the question.

    Attributes:
        history: Past interactions, in the order of the prompt.
        predictors: Distributions over the options that need no model.
        combine: Pools them with the simulator's own; None for an open question.
        evidence: What stands in the prompt, and how much it bears on the question.
    """

    history: tuple[Interaction, ...]
    predictors: dict[Predictor, Distribution] = field(default_factory=dict[Predictor, Distribution])
    combine: Combine | None = None
    evidence: tuple[Evidence, ...] = ()


class Predictions:
    """Foresees answers from everybody's answers.

    Args:
        corpus: The store.
        config: Settings of every stage.
        similarity: Likeness of meaning, for questions that the panel does not know.
        pool: Weights of the predictors; the prior's if not given.
    """

    def __init__(
        self,
        corpus: Corpus,
        config: PipelineConfig,
        *,
        similarity: Similarity = lexical_similarity,
        pool: Pool = PRIOR_POOL,
    ) -> None:
        self._corpus = corpus
        self._config = config
        self.pool = pool
        self._loaded: tuple[str, PanelModel | None] | None = None
        self.histories = Histories(
            corpus,
            config.history,
            panel=self.panel,
            similarity=similarity,
            expectation=Expectation(),
        )

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

    def foresee(self, user_id: str, question: Question, *, before: int | None) -> Foreseen:
        """Return what is known of an answer.

        Args:
            user_id: Who answers.
            question: What is asked.
            before: Only what the person did before this position counts; None for everything of
                the train split.
        """
        shown = self.histories.shown(user_id, question, before=before)
        space = question.space
        if not isinstance(space, Choice | Scale):
            return Foreseen(history=shown.interactions, evidence=_evidence(shown, {}))
        panel = self.panel()
        # Of two answers to one question the later one counts.
        known = {one.question.key: one.action for one in shown.past}
        found = panel.predict(known, [question.key], person=user_id)[0] if panel else None
        wanted = self._config.prediction.predictors
        predictors: dict[Predictor, Distribution] = {}
        if found is not None:
            predictors = {"panel": found.probabilities, "others": found.others}
        predictors["own_scale"] = own_scale(space, shown.past, shown.past_weights)
        group = group_of(space, known=found is not None)
        moved = panel.parts(known, question.key, person=user_id) if panel else {}
        return Foreseen(
            history=shown.interactions,
            predictors={name: p for name, p in predictors.items() if name in wanted},
            combine=partial(self.pool.combine, group),
            evidence=_evidence(shown, moved),
        )


def _evidence(shown: Shown, moved: dict[str, dict[str, float]]) -> tuple[Evidence, ...]:
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
