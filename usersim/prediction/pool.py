r"""The pool: several predictors' distributions combined into one.

    p_k ∝ Π_i p_ik ^ w_i,     w_i ≥ 0

the log-linear pool (Genest and Zidek 1986, "Combining probability distributions"), fitted by
maximum likelihood, which is stacking (Wolpert 1992). The weights need not sum to 1: their sum is
the inverse temperature, so an overconfident predictor is tempered by the same fit that weighs it.
The negative log-likelihood is convex in the weights.

Each *group* of questions (with or without an order; answered by many of the panel, by few of them
or by nobody) has its own weights, shrunk to common ones, which are shrunk to a prior: with few
answers to fit on the prior stands. A predictor that is missing for a question has weight 0 there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from usersim.errors import ArtifactError, ConfigError, boundary
from usersim.prediction.solving import minimize
from usersim.types import (
    Choice,
    Distribution,
    MultiChoice,
    Number,
    Pooled,
    PoolGroup,
    Predictor,
    Scale,
    Share,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "GROUPS",
    "NO",
    "PREDICTORS",
    "PRIOR",
    "YES",
    "Observation",
    "Pool",
    "PoolGroup",
    "PoolWeights",
    "fit_pool",
    "group_of",
    "yes_or_no",
]

PREDICTORS: Mapping[Predictor, str] = MappingProxyType(
    {
        "reasoning": "the simulator after its own reasoning",
        "no_reasoning": "the simulator without reasoning",
        "own_answer": "what the person answered when the same question was asked before",
        "panel": "the person's other answers and how the panel answered",
        "others": "how the panel answered, whoever is asked",
        "own_scale": "how the person used the same options elsewhere",
    }
)
"""What each predictor knows, in words."""

FEW = 20
"""Other people who answered a question, below whom it is one that few answered."""

GROUPS: tuple[PoolGroup, ...] = get_args(PoolGroup)

_RARE: frozenset[Predictor] = frozenset({"own_answer"})
_SIMULATOR: Mapping[Predictor, float] = {"reasoning": 0.04, "no_reasoning": 0.04}
_BEFORE: Mapping[Predictor, float] = {"own_answer": 1.0}
_KNOWN: Mapping[Predictor, float] = {"panel": 0.95, "own_scale": 0.4, **_BEFORE, **_SIMULATOR}
_FEW: Mapping[Predictor, float] = {"panel": 0.6, "own_scale": 0.7, **_BEFORE, **_SIMULATOR}
_NEW: Mapping[Predictor, float] = {
    "own_scale": 0.8, "reasoning": 0.08, "no_reasoning": 0.08, **_BEFORE
}  # fmt: skip
_COUNTED: Mapping[Predictor, float] = {"panel": 1.0, **_BEFORE, **_SIMULATOR}

PRIOR: Mapping[PoolGroup, Mapping[Predictor, float]] = MappingProxyType(
    {
        "scale, known": _KNOWN,
        "choice, known": _KNOWN,
        "number, known": _COUNTED,
        "multi_choice, known": _COUNTED,
        "scale, few": _FEW,
        "choice, few": _FEW,
        "number, few": _COUNTED,
        "multi_choice, few": _COUNTED,
        "scale, new": _NEW,
        "choice, new": _NEW,
    }
)
"""Weights before anything was fitted. Those of the panel and of the own scale are rounded from what
is best over bfi, SPI and nonvoters with 2, 10 and 50 known answers: of panels of 30 to 800 people
(known) without falling behind either of them by more than 0.01 nats, and of 3 to 19 (few) with a
smaller panel's weight than is best on average, which would be worse than guessing where those few
are unlike the person. The untrained embedded model takes 0.13 to 0.34 when tempered alone, beside
the panel about 0.1, both of its distributions together (docs/results/predictions.md). Of numbers
and multiple choices the panel is taken at its word: with few people it is the marginal, and that is
smoothed. The person's earlier answer counts fully: `own_answer` says by itself how often people
repeat theirs."""
PRIOR_ANSWERS = 20.0
"""Answers whose weight the prior has against the common weights, and those against a group's."""
FLOOR = 1e-6
"""Smallest probability that a predictor may claim."""
NO, YES = "no", "yes"
"""Options of the question whether one option of a multiple choice is chosen."""
BOOTSTRAPS = 100
SCHEMA = 1
"""Changes when a pool is written otherwise, or its weights mean something else."""


def group_of(space: Choice | Scale | Number | MultiChoice, *, respondents: int) -> PoolGroup:
    """Return the group of a question.

    Args:
        space: What an answer may be.
        respondents: Other people of the panel who answered it; above 0 for a number or a multiple
            choice, which are not pooled otherwise.

    Example:
        >>> group_of(Scale(("no", "yes")), respondents=300)
        'scale, known'
    """
    many: Literal["known", "few", "new"]
    many = "new" if not respondents else "few" if respondents < FEW else "known"
    return f"{space.kind}, {many}"  # type: ignore[return-value] - every pair of them is a group


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One answer that was really given, and what each predictor had said of it.

    Attributes:
        person: Who answered; intervals are over people.
        group: Kind of question.
        predictors: Distributions over the same options.
        truth: The option that was chosen.

    Example:
        >>> one = Observation(person="ada", group="scale, new", truth="yes",
        ...                   predictors={"reasoning": {"no": 0.2, "yes": 0.8}})
        >>> one.predictors["reasoning"][one.truth]
        0.8
    """

    person: str
    group: PoolGroup
    predictors: Mapping[Predictor, Distribution]
    truth: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolWeights:
    """Weights of one group of questions.

    Attributes:
        weights: By predictor; a predictor that is not named has weight 0.
        intervals: 95 % bootstrap intervals over people; empty for the prior.
        answers: Answers of this group that were fitted on; 0 for the prior.
    """

    weights: Mapping[Predictor, float]
    intervals: Mapping[Predictor, tuple[float, float]] = field(
        default_factory=dict[Predictor, tuple[float, float]]
    )
    answers: int = 0


def _prior_weights() -> dict[PoolGroup, PoolWeights]:
    return {group: PoolWeights(weights=PRIOR[group]) for group in GROUPS}


@dataclass(frozen=True, slots=True)
class Pool:
    """Combines predictors.

    Attributes:
        groups: Weights of each group.
        fitted: Whether the weights were fitted; False for the prior.

    Example:
        >>> pool = Pool()  # the weights that usersim ships
        >>> said = {"panel": {"no": 0.1, "yes": 0.9}, "reasoning": {"no": 0.6, "yes": 0.4}}
        >>> found = pool.combine("scale, known", said)
        >>> max(found.probabilities, key=found.probabilities.get), found.calibrated
        ('yes', False)
    """

    groups: Mapping[PoolGroup, PoolWeights] = field(default_factory=_prior_weights)
    fitted: bool = False

    def to_bytes(self) -> bytes:
        """Return the pool as JSON."""
        groups = {name: asdict(one) for name, one in self.groups.items()}
        return json.dumps({"schema": SCHEMA, "fitted": self.fitted, "groups": groups}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Pool:
        """Return the pool that `to_bytes` wrote.

        Raises:
            ArtifactError: If the bytes are damaged, or of another schema.
        """
        with boundary(ArtifactError, "reading the pool of predictors"):
            found = json.loads(data)
            if found["schema"] != SCHEMA:
                raise ArtifactError(
                    f"the pool of predictors has schema {found['schema']!r}, not {SCHEMA!r}"
                )
            groups: dict[PoolGroup, PoolWeights] = {
                name: PoolWeights(
                    weights=one["weights"],
                    intervals={key: tuple(ends) for key, ends in one["intervals"].items()},
                    answers=one["answers"],
                )
                for name, one in found["groups"].items()
            }
            return cls(groups, found["fitted"])

    def combine(self, group: PoolGroup, predictors: Mapping[Predictor, Distribution]) -> Pooled:
        """Return the pooled distribution, and each predictor's part in it.

        A single predictor is returned as it is, whatever its weight: the caller asked for it
        alone. Where every predictor at hand has weight 0 they count alike.

        Args:
            group: Kind of question.
            predictors: Distributions over the same options; at least one.

        Returns:
            Probability of each option, and each predictor's part.

        Raises:
            ConfigError: If there is no predictor, or they do not share their options.

        Example:
            >>> pool = Pool({"scale, new": PoolWeights(weights={"reasoning": 1.0})})
            >>> pool.combine("scale, new", {"reasoning": {"no": 0.2, "yes": 0.8}}).probabilities
            {'no': 0.2, 'yes': 0.8}
        """
        options = _options(predictors)
        weights = self._weights(group, list(predictors))
        if len(predictors) == 1:
            ((only, distribution),) = predictors.items()
            alone = Share(predictor=only, probabilities=distribution, weight=1.0, share=1.0)
            return Pooled(probabilities=dict(distribution), shares=(alone,), calibrated=self.fitted)
        logs: dict[Predictor, Floats] = {name: _logs(p, options) for name, p in predictors.items()}
        total = sum((weights[name] * row for name, row in logs.items()), np.zeros(len(options)))
        p = np.exp(total - total.max())
        p /= p.sum()
        moved: dict[Predictor, float] = {
            name: weights[name] * float(np.abs(row - row.mean()).mean())
            for name, row in logs.items()
        }
        whole = sum(moved.values()) or 1.0
        shares = [
            Share(
                predictor=name,
                probabilities=distribution,
                weight=weights[name],
                share=moved[name] / whole,
            )
            for name, distribution in predictors.items()
        ]
        shares.sort(key=lambda one: -one.share)
        return Pooled(
            probabilities=dict(zip(options, p.tolist(), strict=True)),
            shares=tuple(shares),
            calibrated=self.fitted,
        )

    def combine_each(
        self, group: PoolGroup, predictors: Mapping[Predictor, Distribution]
    ) -> Pooled:
        """Return the pooled probability of each option of a multiple choice to be chosen.

        Every option is pooled by itself, as a question of yes or no.

        Args:
            group: Kind of question.
            predictors: How probable each option is to be chosen; at least one.

        Returns:
            The same of the pool; a predictor's share is the mean over the options.

        Raises:
            ConfigError: If there is no predictor, or they do not share their options.

        Example:
            >>> likes = {"tea": 0.9, "milk": 0.2}
            >>> Pool().combine_each("multi_choice, known", {"panel": likes}).probabilities
            {'tea': 0.9, 'milk': 0.2}
        """
        found = {
            option: self.combine(group, yes_or_no(predictors, option))
            for option in _options(predictors)
        }
        parts = [{s.predictor: s for s in one.shares} for one in found.values()]
        shares = [
            Share(
                predictor=name,
                probabilities=distribution,
                weight=parts[0][name].weight,
                share=float(np.mean([own[name].share for own in parts])),
            )
            for name, distribution in predictors.items()
        ]
        whole = sum(one.share for one in shares) or 1.0
        return Pooled(
            probabilities={option: one.probabilities[YES] for option, one in found.items()},
            shares=tuple(
                sorted(
                    (replace(one, share=one.share / whole) for one in shares),
                    key=lambda one: -one.share,
                )
            ),
            calibrated=self.fitted,
        )

    def _weights(self, group: PoolGroup, names: Sequence[Predictor]) -> dict[Predictor, float]:
        own = self.groups[group].weights if group in self.groups else PRIOR[group]
        # Few corpora ask anything twice: where no answer told a weight, the prior's stands.
        own = {"own_answer": PRIOR[group].get("own_answer", 0.0), **own}
        found: dict[Predictor, float] = {name: own.get(name, 0.0) for name in names}
        if not self.fitted and "others" in found and "panel" not in found:
            found["others"] = own.get("panel", 0.0)  # the nearest to it that was asked for
        if not any(found.values()):
            found = {name: 1.0 / len(names) for name in names}
        return found


def yes_or_no(
    predictors: Mapping[Predictor, Distribution], option: str
) -> dict[Predictor, Distribution]:
    """Return what each predictor says of whether one option of a multiple choice is chosen."""
    return {name: {NO: 1 - p[option], YES: p[option]} for name, p in predictors.items()}


def _options(predictors: Mapping[Predictor, Distribution]) -> tuple[str, ...]:
    """Return the options that all predictors share.

    Raises:
        ConfigError: If there is no predictor, or they do not share their options.
    """
    if not predictors:
        raise ConfigError(
            "no predictor can answer this question",
            hint=f"allow more predictors; there are {list(PREDICTORS)!r}",
        )
    first = tuple(next(iter(predictors.values())))
    for name, distribution in predictors.items():
        if set(distribution) != set(first):
            raise ConfigError(
                f"predictor {name!r} has the options {list(distribution)!r}, another one has "
                f"{list(first)!r}"
            )
    return first


def _logs(distribution: Distribution, options: Sequence[str]) -> Floats:
    return np.log(np.maximum([distribution[option] for option in options], FLOOR))


class _Fit:
    """The penalized log-likelihood of a set of observations."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self.names: list[Predictor] = [
            name for name in PREDICTORS if any(name in one.predictors for one in observations)
        ]
        self.groups: list[PoolGroup] = [
            group for group in GROUPS if any(one.group == group for one in observations)
        ]
        width = max(len(_options(one.predictors)) for one in observations)
        n, k = len(observations), len(self.names)
        self.logs = np.zeros((n, k, width))
        self.mask = np.full((n, width), -np.inf)
        self.truth = np.zeros(n, dtype=np.int64)
        self.group = np.zeros(n, dtype=np.int64)
        for row, one in enumerate(observations):
            options = _options(one.predictors)
            self.mask[row, : len(options)] = 0.0
            self.truth[row] = options.index(one.truth)
            self.group[row] = self.groups.index(one.group)
            for name, distribution in one.predictors.items():
                self.logs[row, self.names.index(name), : len(options)] = _logs(
                    distribution, options
                )
        # What one answer tells of a weight: the spread of the predictor's logs over the options.
        seen = np.isfinite(self.mask)[:, None, :]
        sizes = seen.sum(axis=2)
        mean = self.logs.sum(axis=2) / sizes
        self.scale = (((self.logs - mean[:, :, None]) * seen) ** 2).sum(axis=2) / sizes
        self.scale = np.maximum(self.scale.mean(axis=0), 1e-6)
        # What only some questions have is worth as many of those answers, not of all.
        for k, name in enumerate(self.names):
            if name in _RARE:
                self.scale[k] /= np.mean([name in one.predictors for one in observations])
        self.prior = np.array(
            [[PRIOR[group].get(name, 0.0) for name in self.names] for group in self.groups]
        )

    def solve(self, weight: Floats, start: Floats | None = None) -> Floats:
        """Return the weights of every group. Shape `(groups, predictors)`.

        Args:
            weight: How often each observation counts. Shape `(n,)`.
            start: Where to begin; the prior if not given.
        """
        shape = (len(self.groups) + 1, len(self.names))
        begin = np.vstack([np.zeros(shape[1]), self.prior]) if start is None else start
        free: list[tuple[float | None, float | None]] = [(None, None)] * shape[1]
        positive: list[tuple[float | None, float | None]] = [(0.0, None) for _ in self.prior.flat]
        found = minimize(
            lambda flat: self._loss(flat.reshape(shape), weight), begin.ravel(), [*free, *positive]
        )
        return found.reshape(shape)

    def _loss(self, table: Floats, weight: Floats) -> tuple[float, Floats]:
        """Return the loss and its slope; the first row is the shift that all groups share."""
        shift, own = table[0], table[1:]
        logits = np.einsum("nk,nko->no", own[self.group], self.logs) + self.mask
        top = logits.max(axis=1, keepdims=True)
        p = np.exp(logits - top)
        total = p.sum(axis=1, keepdims=True)
        rows = np.arange(len(logits))
        fit = (logits - top)[rows, self.truth] - np.log(total[:, 0])
        p /= total
        residual = p.copy()
        residual[rows, self.truth] -= 1.0
        slope = np.einsum("no,nko->nk", residual * weight[:, None], self.logs)
        gradient = np.zeros(table.shape)
        np.add.at(gradient[1:], self.group, slope)
        away = own - (self.prior + shift)
        pull = PRIOR_ANSWERS * self.scale * away
        gradient[1:] += pull
        common = PRIOR_ANSWERS * self.scale * shift
        gradient[0] = common - pull.sum(axis=0)
        penalty = 0.5 * ((pull * away).sum() + (common * shift).sum())
        return float(penalty - weight @ fit), gradient.ravel()


def fit_pool(observations: Sequence[Observation], *, seed: int = 0, intervals: bool = True) -> Pool:
    """Fit a pool's weights.

    Args:
        observations: Answers that no predictor was trained on. A predictor that was trained on
            them looks better than it is and gets too much weight.
        seed: Of the bootstrap.
        intervals: Whether to bootstrap the intervals, a hundred more fits.

    Returns:
        The pool; the prior for groups without observations.

    Example:
        >>> sure = {"reasoning": {"no": 0.01, "yes": 0.99}}
        >>> wrong = [Observation(person=str(i), group="scale, new", predictors=sure,
        ...          truth="no" if i % 2 else "yes") for i in range(200)]
        >>> fit_pool(wrong).groups["scale, new"].weights["reasoning"] < 0.05
        True
    """
    if not observations:
        return Pool()
    fit = _Fit(observations)
    whole = fit.solve(np.ones(len(observations)))
    low, high = _ends(fit, whole, observations, seed) if intervals else (None, None)
    groups: dict[PoolGroup, PoolWeights] = dict(Pool().groups)
    for row, group in enumerate(fit.groups, start=1):
        groups[group] = PoolWeights(
            weights={name: float(whole[row, k]) for k, name in enumerate(fit.names)},
            intervals={
                name: (float(low[row, k]), float(high[row, k])) for k, name in enumerate(fit.names)
            }
            if low is not None and high is not None
            else {},
            answers=int((fit.group == row - 1).sum()),
        )
    return Pool(groups, fitted=True)


def _ends(
    fit: _Fit, whole: Floats, observations: Sequence[Observation], seed: int
) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % bootstrap intervals over people. Shapes as `whole`."""
    people = sorted({one.person for one in observations})
    place = {person: i for i, person in enumerate(people)}
    of_row = np.array([place[one.person] for one in observations])
    random = np.random.default_rng(seed)
    draws = np.stack(
        [
            fit.solve(
                np.bincount(random.integers(len(people), size=len(people)), minlength=len(people))[
                    of_row
                ].astype(np.float64),
                start=whole,
            )
            for _ in range(BOOTSTRAPS)
        ]
    )
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return low, high
