"""What an evaluation found: estimates, comparisons, and the predictions behind them.

Frozen values and their plain forms (dict, data frame, terminal table). Computes comparisons on
demand from what it holds; runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from usersim.errors import EvaluationError, MissingDependencyError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, WinRate, holm, win_rate
from usersim.evaluation.metrics import LOG_LIKELIHOOD, LOG_SCORE, Metric
from usersim.types import Failure, FreeText, Interaction, Prediction
from usersim.types.counting import counted
from usersim.views import Sheet, printed

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "arrow",
    "better_word",
    "headline_metrics",
    "plain",
    "primary_metric",
]

_TIE = 1e-12
"""Scores closer than this are a tie: what differs is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One arm on one metric.

    Attributes:
        arm: Name of the arm.
        metric: Name of the metric.
        interval: Value with its 95 % interval.
        n_items: Items measured.
        n_users: People behind them.
        n_charged: Items for which the arm did not report what the metric needs, charged with the
            metric's penalty; failures are among them.
    """

    arm: str
    metric: str
    interval: Interval
    n_items: int
    n_users: int
    n_charged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against another on the same items.

    Attributes:
        arm: The arm.
        baseline: What it is compared with.
        metric: Name of the metric.
        difference: Arm − baseline with its 95 % interval, in the metric's unit.
        p_value: Two-sided, from the same resamples.
        p_holm: Corrected for the number of arms compared on this metric.
        win_rate: None where the metric has no direction or no score per item.
        n_items: Items compared.

    Example:
        >>> from usersim.evaluation import Arm, evaluate, uniform_arm
        >>> from usersim.types import Batch, Choice, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="yes", space=Choice(("yes", "no")), conversation="c",
        ...                   split="held_out")
        >>> sure = Prediction(action="yes", probabilities={"yes": 0.9, "no": 0.1})
        >>> arm = Arm("Yes", lambda asked: Batch((sure,) * len(asked)))
        >>> found = evaluate([uniform_arm(), arm], [tea], bootstrap=10, baseline="Chance")
        >>> (brier,) = [one for one in found.comparisons if one.metric == "brier"]
        >>> brier.arm, round(brier.difference.value, 2), brier.win_rate.wins
        ('Yes', -0.48, 1)
    """

    arm: str
    baseline: str
    metric: str
    difference: Interval
    p_value: float
    p_holm: float
    win_rate: WinRate | None
    n_items: int


@printed(lambda found: found.sheet())
@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The outcome of `evaluate`.

    Attributes:
        arms: Name and description of each arm, in the order given.
        baseline: What the arms are compared with.
        interactions: The held-out interactions. Shape `(n,)`.
        predictions: Per arm, one per interaction.
        failures: Per arm.
        metrics: What was measured.
        statistics: Numbers per item by (metric, arm); zero rows where a metric does not apply.
        resampling: The resamples behind every interval.
        estimates: One per arm and metric that could be measured.
        comparisons: Every other arm against the baseline.
        resamples: How many resamples.
        seed: Seed of the resamples.

    Example:
        >>> from usersim.evaluation import evaluate, uniform_arm
        >>> from usersim.types import Choice, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="yes", space=Choice(("yes", "no")), conversation="c",
        ...                   split="held_out")
        >>> found = evaluate([uniform_arm()], [tea], bootstrap=10)
        >>> found.baseline, found.estimate("Chance", "brier").interval.value
        ('Chance', 0.5)
    """

    arms: Mapping[str, str]
    baseline: str
    interactions: tuple[Interaction, ...]
    predictions: Mapping[str, tuple[Prediction, ...]]
    failures: Mapping[str, tuple[Failure, ...]]
    metrics: tuple[Metric, ...]
    statistics: Mapping[tuple[str, str], FloatArray] = field(repr=False)
    resampling: Resampling = field(repr=False)
    estimates: tuple[Estimate, ...]
    resamples: int
    seed: int

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every other arm against the baseline, by metric."""
        return self.against(self.baseline)

    @property
    def n_users(self) -> int:
        """People measured."""
        return self.resampling.n_users

    def metric(self, name: str) -> Metric:
        """Return the metric called `name`.

        Raises:
            EvaluationError: If it was not measured.
        """
        found = next((m for m in self.metrics if m.name == name), None)
        if found is None:
            raise EvaluationError(
                f"metric {name!r} was not measured",
                hint=f"measured: {[m.name for m in self.metrics]!r}",
            )
        return found

    def estimate(self, arm: str, metric: str) -> Estimate | None:
        """Return one arm's estimate; None where the arm does not report what the metric needs."""
        return next((e for e in self.estimates if (e.arm, e.metric) == (arm, metric)), None)

    def items(self, arm: str, metric: str) -> FloatArray:
        """Return each item's own score; NaN where it has none. Shape `(n,)`.

        Raises:
            EvaluationError: If the metric or the arm was not measured.
        """
        found = self.metric(metric)
        if (metric, arm) not in self.statistics:
            raise EvaluationError(f"arm {arm!r} has no scores on metric {metric!r}")
        if not found.itemwise:
            return np.full(len(self.interactions), np.nan)
        return found.finish(self.statistics[metric, arm])

    def against(self, baseline: str) -> tuple[Comparison, ...]:
        """Return every other arm against `baseline`, Holm-corrected over the arms of a metric.

        Args:
            baseline: Name of an arm.

        Returns:
            One comparison per metric and arm that both arms were measured on.

        Raises:
            EvaluationError: If there is no such arm.
        """
        if baseline not in self.arms:
            raise EvaluationError(f"no arm {baseline!r}", hint=f"arms: {list(self.arms)!r}")
        if baseline not in self._compared:
            found = tuple(c for m in self.metrics for c in self._compare(m, baseline))
            self._compared[baseline] = found
        return self._compared[baseline]

    @cached_property
    def _compared(self) -> dict[str, tuple[Comparison, ...]]:
        """Comparisons by baseline, computed once: a report asks for them many times."""
        return {}

    def _compare(self, metric: Metric, baseline: str) -> list[Comparison]:
        second = self.statistics.get((metric.name, baseline))
        names = [a for a in self.arms if a != baseline and (metric.name, a) in self.statistics]
        if second is None or not names:
            return []
        firsts = [self.statistics[metric.name, name] for name in names]
        differences = [self.resampling.difference(f, second, metric.finish) for f in firsts]
        corrected = holm([p for _, p in differences])
        return [
            Comparison(
                arm=name,
                baseline=baseline,
                metric=metric.name,
                difference=interval,
                p_value=p,
                p_holm=p_holm,
                win_rate=self._wins(metric, name, baseline),
                n_items=sum(metric.applies(i) for i in self.interactions),
            )
            for name, (interval, p), p_holm in zip(names, differences, corrected, strict=True)
        ]

    def _wins(self, metric: Metric, arm: str, baseline: str) -> WinRate | None:
        if not metric.itemwise or metric.greater_is_better is None:
            return None
        gap = self.items(arm, metric.name) - self.items(baseline, metric.name)
        gap = np.where(np.abs(gap) < _TIE, 0.0, gap)
        return win_rate(gap if metric.greater_is_better else -gap, self.resampling)

    def to_dict(self) -> dict[str, object]:
        """Return all figures as plain values for JSON; NaN as None. No text of the corpus."""
        return plain(
            {
                "baseline": self.baseline,
                "n_items": len(self.interactions),
                "n_users": self.n_users,
                "resamples": self.resamples,
                "seed": self.seed,
                "arms": {
                    name: {"description": text, "failures": len(self.failures[name])}
                    for name, text in self.arms.items()
                },
                "metrics": [_describe(m) for m in self.metrics],
                "estimates": [asdict(e) for e in self.estimates],
                "comparisons": [asdict(c) for c in self.comparisons],
            }
        )

    def to_records(self) -> list[dict[str, object]]:
        """Return one flat row per arm and metric: estimate, and comparison where there is one."""
        found = {(c.arm, c.metric): c for c in self.comparisons}
        return [self._record(e, found.get((e.arm, e.metric))) for e in self.estimates]

    def _record(self, estimate: Estimate, comparison: Comparison | None) -> dict[str, object]:
        metric = self.metric(estimate.metric)
        row: dict[str, object] = {
            "arm": estimate.arm,
            "metric": metric.name,
            "version": metric.version,
            "unit": metric.unit,
            "better": better_word(metric),
            **_spread("", estimate.interval),
            "n_items": estimate.n_items,
            "n_users": estimate.n_users,
            "n_charged": estimate.n_charged,
            "failures": len(self.failures[estimate.arm]),
            "baseline": self.baseline,
        }
        nothing = Interval(math.nan, math.nan, math.nan)
        wins = comparison.win_rate if comparison else None
        row |= _spread("difference_", comparison.difference if comparison else nothing)
        row |= {
            "p_value": comparison.p_value if comparison else math.nan,
            "p_holm": comparison.p_holm if comparison else math.nan,
        }
        row |= _spread("win_rate_", wins.all if wins else nothing)
        return row | _spread("decisive_win_rate_", wins.decisive if wins else nothing)

    def to_frame(self) -> pd.DataFrame:
        """Return `to_records` as a pandas data frame.

        Raises:
            MissingDependencyError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError("pandas", extra="report", why="a data frame") from error
        return pd.DataFrame(self.to_records())

    def __rich__(self) -> Table:
        """Return the headline metrics as a table for the terminal."""
        return _headline(self)

    def sheet(self) -> Sheet:
        """Return the headline metrics as a sheet: print it, or let a notebook show it."""
        metrics = headline_metrics(self)
        rows: list[list[str]] = []
        for arm in self.arms:
            told = [self.estimate(arm, metric.name) for metric in metrics]
            cells = ["–" if one is None else str(one.interval) for one in told]
            rows.append([arm, *cells, str(len(self.failures[arm]))])
        heads = [f"{one.label} ({better_word(one)} is better)" for one in metrics]
        note = "95 % intervals, cluster bootstrap over users and conversations; baseline: "
        return Sheet(
            title=self._size(),
            columns=("arm", *heads, "failed"),
            rows=rows,
            notes=(note + self.baseline,),
        )

    def __repr__(self) -> str:
        """Say what was measured on how much."""
        return f"Evaluation({counted(len(self.arms), 'arm')}, {self._size()})"

    def _size(self) -> str:
        people = counted(self.n_users, "person", "people")
        return f"{counted(len(self.interactions), 'held-out item')} of {people}"


def better_word(metric: Metric) -> str:
    """Return the direction in a word: `higher`, `lower`, or the target."""
    if metric.greater_is_better is None:
        return f"near {metric.target:g}"
    return "higher" if metric.greater_is_better else "lower"


def _spread(prefix: str, interval: Interval) -> dict[str, object]:
    return {
        f"{prefix}value": interval.value,
        f"{prefix}low": interval.low,
        f"{prefix}high": interval.high,
    }


def _describe(metric: Metric) -> dict[str, object]:
    return {
        "name": metric.name,
        "version": metric.version,
        "unit": metric.unit,
        "better": better_word(metric),
        "formula": metric.formula,
        "source": metric.source,
    }


def plain(value: Mapping[str, object]) -> dict[str, object]:
    """Return `value` in a form that JSON holds; numbers that are not finite become None."""
    return {key: _plain_value(inner) for key, inner in value.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain_value(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(v) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def arrow(metric: Metric) -> str:
    """Return the direction as a sign: ↑ higher is better, ↓ lower, → a target."""
    if metric.greater_is_better is None:
        return f"→{metric.target:g}"
    return "↑" if metric.greater_is_better else "↓"


def headline_metrics(evaluation: Evaluation) -> list[Metric]:
    """Return the headline metrics that at least one arm was measured on.

    The likelihood per token is one only where there is free text: for closed questions the log
    score, normalized over the options, says the same without the tokenizer.
    """
    measured = {estimate.metric for estimate in evaluation.estimates}
    if not any(isinstance(i.space, FreeText) for i in evaluation.interactions):
        measured.discard(LOG_LIKELIHOOD.name)
    return [m for m in evaluation.metrics if m.headline and m.name in measured]


def primary_metric(evaluation: Evaluation) -> Metric | None:
    """Return the metric that a reader should look at first; None if nothing was measured.

    The likelihood of what the person really said or chose: it is proper, needs no judge, and
    tells a near miss from a wild guess.
    """
    measured = {metric.name: metric for metric in headline_metrics(evaluation)}
    for name in (LOG_LIKELIHOOD.name, LOG_SCORE.name):
        if name in measured:
            return measured[name]
    return next(iter(measured.values()), None)


def _headline(evaluation: Evaluation) -> Table:
    """Return arms by headline metrics; below each value its 95 % interval."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    metrics = headline_metrics(evaluation)
    table = Table(
        title=f"{counted(len(evaluation.interactions), 'held-out item')} of "
        f"{counted(evaluation.n_users, 'person', 'people')}",
        caption=f"95 % intervals, cluster bootstrap over users and conversations; "
        f"baseline: {evaluation.baseline}",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("arm", min_width=12, overflow="fold")
    for metric in metrics:
        table.add_column(
            f"{metric.label} {arrow(metric)}\n{metric.unit}", justify="right", no_wrap=True
        )
    table.add_column("failed", justify="right", no_wrap=True)
    for arm in evaluation.arms:
        cells = [_cell(evaluation, arm, metric.name) for metric in metrics]
        table.add_row(Text(arm), *cells, str(len(evaluation.failures[arm])))
    return table


def _cell(evaluation: Evaluation, arm: str, metric: str) -> Text:
    from rich.text import Text

    estimate = evaluation.estimate(arm, metric)
    if estimate is None:
        return Text("-")
    interval = estimate.interval
    return Text(f"{interval.value:.3f}\n{interval.low:.3f}..{interval.high:.3f}")
