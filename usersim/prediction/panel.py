r"""The panel model: what a person would answer, judged by how the other people answered.

For every question of the panel a shrunken linear discriminant predicts the option from whichever
of the person's other answers are known. With `m_k` the smoothed share of option k among the other
people, `μ_k` the mean features of those who chose it and `S` the shrunken correlation of the
features of the known answers `z`,

    log p_k = log m_k + t(n) · (μ_k' S⁻¹ z − ½ μ_k' S⁻¹ μ_k) + constant

which is linear discriminant analysis (Fisher 1936) with a shrunken covariance (Friedman 1989,
"Regularized discriminant analysis") and a temperature. Missing answers are left out of `z` and
`S`, so one fit serves every question and every set of known answers. The person's own row is
always taken out of the counts first: predictions for members of the panel are those of a model
that never saw them.

Shrinkage and temperature are chosen by the log score of left-out people, and the temperature is
lowered to where a gain over the marginal is certain: a panel that is too small to tell predicts
the marginal. Of every number and multiple choice it is lowered once more, by itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from usersim.errors import ArtifactError, ConfigError, boundary
from usersim.prediction.contingency import Basis, PanelItem, PanelItems, count_pairs, make_items
from usersim.prediction.discriminant import Discriminant, KnownAnswers, Moments, PanelRow
from usersim.prediction.solving import on_one_thread
from usersim.prediction.tuning import LEAK, PanelFit, lower, tune
from usersim.types import (
    ActionValue,
    Choice,
    Distribution,
    FreeText,
    MultiChoice,
    Number,
    Panel,
    PanelQuestion,
    Scale,
    action_space,
    cell_value,
)

if TYPE_CHECKING:
    from usersim.prediction.contingency import Codes, Floats

__all__ = ["PanelAnswer", "PanelFit", "PanelModel"]

PEOPLE_KEPT = 2
"""People whose known answers are kept ready for their next question. Each takes three matrices of
their features: 2 MB with 100 answers on six points, and at most some 400 MB, with 4,000 categories
of unordered choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelAnswer:
    """What the panel says of one person's answer to one question.

    Attributes:
        probabilities: Of each option, from the person's other answers and the panel. Of a
            multiple choice, how probable it is that the option is chosen; of a number, the
            probability of each bin, named by its typical value.
        others: The same without the person's other answers: the panel's smoothed marginal.
        respondents: Other people who answered the question.
    """

    probabilities: Distribution
    others: Distribution
    respondents: int


@dataclass(frozen=True)
class PanelModel:
    """Predicts answers from other answers; made by `PanelModel.fit`.

    Attributes:
        people: Members of the panel.
        questions: Questions of the panel.
        items: The same as categorical items.
        codes: Categories that the members chose, -1 where missing. Shape `(n, n_items)`.
        weights: Of the members, with mean 1. Shape `(n,)`.
        pairs: Weighted count of every pair of categories. Shape `(n_columns, n_columns)`.
        fitted: What was tuned.
    """

    people: tuple[str, ...]
    questions: tuple[PanelQuestion, ...]
    items: PanelItems
    codes: Codes
    weights: Floats
    pairs: Floats
    fitted: PanelFit

    SCHEMA: ClassVar[int] = 4
    """Changes when the bytes are laid out otherwise, or the same panel fits otherwise."""

    @classmethod
    @on_one_thread
    def fit(cls, panel: Panel, *, seed: int = 0) -> PanelModel:
        """Return the model of a panel.

        Args:
            panel: Who answered what; the rows must be what may be learned from.
            seed: Of the left-out people and answers that it is tuned on.

        Raises:
            ConfigError: If the panel has no people.

        Example:
            >>> from usersim.types import PanelQuestion, Scale
            >>> space, rng = Scale(("low", "mid", "high")), np.random.default_rng(0)
            >>> mood = rng.integers(3, size=(300, 1))
            >>> cells = np.clip(mood + rng.integers(-1, 2, size=(300, 6)), 0, 2).astype(float)
            >>> asked = tuple(PanelQuestion(str(i), space) for i in range(6))
            >>> names = tuple(map(str, range(300)))
            >>> model = PanelModel.fit(Panel(names, asked, cells, np.ones(300)))
            >>> known = {str(i): "high" for i in range(5)}
            >>> found = model.predict(known, ["5"])[0]
            >>> max(found.probabilities, key=found.probabilities.get)
            'high'
        """
        if not panel.people:
            raise ConfigError(
                "the panel has no people",
                hint="load a corpus whose people answered closed questions",
            )
        items = make_items(panel)
        codes = items.encode(panel.answers)
        weights = panel.weights / panel.weights.mean()
        pairs = count_pairs(items, codes, weights)
        counted = [
            index
            for index in items.of_question
            if isinstance(panel.questions[index].space, Number | MultiChoice)
        ]
        fitted = lower(
            tune(items, codes, weights, pairs, seed=seed),
            counted,
            items=items,
            codes=codes,
            weights=weights,
            pairs=pairs,
            seed=seed,
        )
        return cls(
            people=panel.people,
            questions=panel.questions,
            items=items,
            codes=codes,
            weights=weights,
            pairs=pairs,
            fitted=fitted,
        )

    def to_bytes(self) -> bytes:
        """Return the model as the bytes of an `.npz` file; nothing in it can run."""
        header = {
            "schema": self.SCHEMA,
            "people": self.people,
            "questions": [
                {"key": q.key, "text": q.text, "space": asdict(q.space)} for q in self.questions
            ],
            "items": [asdict(item) for item in self.items.items],
            "left_out": self.items.left_out,
            "fitted": asdict(self.fitted),
        }
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            allow_pickle=False,
            header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            codes=self.codes,
            weights=self.weights,
            pairs=self.pairs,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> PanelModel:
        """Return the model that `to_bytes` wrote.

        Raises:
            ArtifactError: If the bytes are damaged, or of another schema.
        """
        with boundary(ArtifactError, "reading the panel model"):
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes())
                codes, weights, pairs = arrays["codes"], arrays["weights"], arrays["pairs"]
            if header["schema"] != cls.SCHEMA:
                raise ArtifactError(
                    f"the panel model has schema {header['schema']!r}, not {cls.SCHEMA!r}"
                )
            return cls(
                people=tuple(header["people"]),
                questions=tuple(_question(one) for one in header["questions"]),
                items=PanelItems(
                    tuple(
                        PanelItem(**one | {name: tuple(one[name]) for name in ("edges", "values")})
                        for one in header["items"]
                    ),
                    tuple(header["left_out"]),
                ),
                codes=codes,
                weights=weights,
                pairs=pairs,
                fitted=PanelFit(
                    **header["fitted"]
                    | {"lowered": tuple((i, part) for i, part in header["fitted"]["lowered"])}
                ),
            )

    def knows(self, key: str) -> bool:
        """Return whether the panel can predict the question of this key."""
        index = self._index.get(key)
        return index is not None and index in self.items.of_question

    def edges(self, key: str) -> tuple[float, ...]:
        """Return the upper ends of all ranges but the last into which a number is cut.

        A value that is an end belongs to the range below it. Empty for any other question.
        """
        if not self.knows(key):
            return ()
        return self.items.items[self.items.of_question[self._index[key]][0]].edges

    @on_one_thread
    def predict(
        self,
        known: Mapping[str, ActionValue],
        asked: Sequence[str],
        *,
        person: str | None = None,
    ) -> list[PanelAnswer | None]:
        """Predict a person's answers to questions of the panel.

        Args:
            known: The person's own answers by question key; those to questions that the panel
                does not know, or with values that it has never seen, are not used, and neither
                is an answer to the question that is asked.
            asked: Question keys.
            person: Who answers; the counts are taken without this person's own row.

        Returns:
            One prediction per question; None where the panel does not know it.
        """
        codes = self._own_codes(known)
        own = [i for i in range(len(codes)) if codes[i] >= 0]
        found: dict[str, PanelAnswer | None] = {}
        unanswered = [key for key in asked if self.knows(key) and not self._overlaps(key, own)]
        found.update(self._answers(unanswered, codes, own, person))
        for key in asked:
            if key in found:
                continue
            if not self.knows(key):
                found[key] = None
                continue
            others = [i for i in own if self.items.items[i].question != self._index[key]]
            found.update(self._answers([key], codes, others, person))
        return [found[key] for key in asked]

    @on_one_thread
    def associations(self, key: str, *, person: str | None = None) -> dict[str, tuple[float, int]]:
        """Return how strongly the answers to other questions go with those to one question.

        The largest correlation of two features, without its sampling noise:
        `max(0, r² − (1 − r²) / (n − 2)) ** ½`, 0 to 1.

        Args:
            key: A question of the panel.
            person: Who is left out of the counts.

        Returns:
            By question key, for every other question of the panel: the association, and how many
            people answered both. Empty if the question is unknown.
        """
        if not self.knows(key):
            return {}
        moments = self._moments(person)
        own = self.items.of_question[self._index[key]]
        everything = Basis.of(self.items, range(len(self.items.items)), moments.marginal)
        target = Basis.of(self.items, own, moments.marginal)
        cross = moments.pairs(target.columns, everything.columns)
        # People who answered both, per item; a multiple choice has several items of its own.
        both = np.add.reduceat(cross, self.items.start[:-1], axis=1).sum(axis=0) / len(own)
        n = np.maximum(both, 1.0)[everything.owner]
        r2 = ((target.matrix.T @ cross @ everything.matrix / n) ** 2).max(axis=0)
        r2 -= (1 - r2) / np.maximum(n - 2, 1.0)
        result: dict[str, tuple[float, int]] = {}
        for place, value in zip(everything.owner, np.sqrt(np.clip(r2, 0, 1)), strict=True):
            other = self.questions[self.items.items[int(place)].question].key
            if other != key:
                strongest = max(result.get(other, (0.0, 0))[0], float(value))
                result[other] = (strongest, round(float(both[int(place)])))
        return result

    @on_one_thread
    def parts(
        self, known: Mapping[str, ActionValue], key: str, *, person: str | None = None
    ) -> dict[str, dict[str, float]]:
        """Return what each known answer adds to the log-odds of each option, nats.

        Against the mean over the options: positive speaks for the option. What the options' own
        frequencies say belongs to no answer.

        Args:
            known: The person's own answers by question key.
            key: A choice or a scale of the panel.
            person: Who answers; the counts are taken without this person's own row.

        Returns:
            By question key and option, for the answers that the panel model uses; empty if it
            uses none.
        """
        index = self._index.get(key)
        if index is None or not self.knows(key):
            return {}
        space = self.questions[index].space
        codes = self._own_codes(known)
        answered = [int(i) for i in np.flatnonzero(codes >= 0)]
        own = [i for i in answered if self.items.items[i].question != index]
        t = self.fitted.temperature(len(own))
        if not isinstance(space, Choice | Scale) or not own or t == 0:
            return {}
        (place,) = self.items.of_question[index]
        discriminant = Discriminant([place], self._known_of(codes, own, person))
        parts = t * discriminant.parts(self.fitted.shrinkage, self.fitted.support)  # (k, own)
        parts -= parts.mean(axis=0)
        found: dict[str, dict[str, float]] = {}
        for i, column in zip(own, parts.T, strict=True):
            other = self.questions[self.items.items[i].question].key
            row = found.setdefault(other, dict.fromkeys(space.options, 0.0))
            for option, value in zip(space.options, column.tolist(), strict=True):
                row[option] += value
        return found

    @cached_property
    def _index(self) -> dict[str, int]:
        return {question.key: i for i, question in enumerate(self.questions)}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {person: row for row, person in enumerate(self.people)}

    def _overlaps(self, key: str, own: Sequence[int]) -> bool:
        return any(self.items.items[i].question == self._index[key] for i in own)

    def _own_codes(self, known: Mapping[str, ActionValue]) -> Codes:
        cells = np.full((1, len(self.questions)), np.nan)
        for key, action in known.items():
            index = self._index.get(key)
            if index is not None:
                cells[0, index] = cell_value(self.questions[index].space, action)
        return self.items.encode(cells)[0]

    # A person is mostly asked several questions in a row: what does not depend on the question is
    # kept for the last few people, and left out of pickles.

    def __getstate__(self) -> dict[str, object]:
        """Return the fields alone."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def _moments(self) -> Callable[[str | None], Moments]:
        @lru_cache(maxsize=PEOPLE_KEPT)
        def moments(person: str | None) -> Moments:
            row = None if person is None else self._rows.get(person)
            without = None
            if row is not None:
                without = PanelRow(self.codes[row], float(self.weights[row]))
            return Moments.of(
                self.items, self.pairs, smoothing=self.fitted.smoothing, without=without
            )

        return moments

    @cached_property
    def _known(self) -> Callable[[bytes, tuple[int, ...], str | None], KnownAnswers]:
        @lru_cache(maxsize=PEOPLE_KEPT)
        def known(codes: bytes, own: tuple[int, ...], person: str | None) -> KnownAnswers:
            answered = np.frombuffer(codes, dtype=self.codes.dtype)
            return KnownAnswers(self.items, answered, own, self._moments(person))

        return known

    def _known_of(self, codes: Codes, own: Sequence[int], person: str | None) -> KnownAnswers:
        return self._known(codes.astype(self.codes.dtype).tobytes(), tuple(own), person)

    def _answers(
        self, keys: Sequence[str], codes: Codes, own: Sequence[int], person: str | None
    ) -> dict[str, PanelAnswer]:
        """Predict questions of which none is among the items `own`."""
        if not keys:
            return {}
        moments = self._moments(person)
        places = [i for key in keys for i in self.items.of_question[self._index[key]]]
        fit = self.fitted
        t = fit.temperature(len(own)) if own else 0.0
        log_odds = np.zeros(int(self.items.start[-1]))
        if t > 0:
            discriminant = Discriminant(places, self._known_of(codes, own, person))
            scores = discriminant.scores(fit.shrinkage, fit.support)
            log_odds[self.items.columns(places)] = t * scores
            for index, part in fit.lowered:
                log_odds[self.items.columns(self.items.of_question[index])] *= part
        found: dict[str, PanelAnswer] = {}
        for key in keys:
            index = self._index[key]
            parts = [
                (self.items.items[i], *self._item_shares(i, log_odds, moments))
                for i in self.items.of_question[index]
            ]
            first = self.items.of_question[index][0]
            span = slice(self.items.start[first], self.items.start[first + 1])
            found[key] = PanelAnswer(
                probabilities=_named(self.questions[index], [(i, p) for i, p, _ in parts]),
                others=_named(self.questions[index], [(i, m) for i, _, m in parts]),
                respondents=round(float(moments.counts[span].sum())),
            )
        return found

    def _item_shares(self, place: int, log_odds: Floats, moments: Moments) -> tuple[Floats, Floats]:
        span = slice(self.items.start[place], self.items.start[place + 1])
        others = moments.smoothed[span]
        return _combined(others, log_odds[span]), others


def _question(data: dict[str, Any]) -> PanelQuestion:
    space = dict(data["space"])
    options = space.pop("options", None)
    made = action_space(space.pop("kind"), tuple(options) if options else None, **space)
    assert not isinstance(made, FreeText), "free text has no panel"
    return PanelQuestion(data["key"], made, data["text"])


def _named(question: PanelQuestion, parts: Sequence[tuple[PanelItem, Floats]]) -> dict[str, float]:
    """Return shares by option: of the one item of a question, or of one yes per option."""
    match question.space:
        case MultiChoice(options=options):
            return {options[item.option or 0]: float(p[1]) for item, p in parts}
        case Number():
            (item, p) = parts[0]
            return {
                question.space.render(value): share
                for value, share in zip(item.values, p.tolist(), strict=True)
            }
        case _:
            return dict(zip(question.space.options, parts[0][1].tolist(), strict=True))


def _combined(marginal: Floats, log_odds: Floats) -> Floats:
    """Return `marginal · exp(log_odds)`, normalized, with a little of the marginal kept."""
    logits = np.log(marginal) + log_odds
    p = np.exp(logits - logits.max())
    return (1 - LEAK) * p / p.sum() + LEAK * marginal
