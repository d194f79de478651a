"""The headline figures as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from usersim.evaluation.metrics import LOG_LIKELIHOOD, LOG_SCORE
from usersim.types import FreeText
from usersim.types.counting import counted

if TYPE_CHECKING:
    from usersim.evaluation.metrics import Metric
    from usersim.evaluation.results import Evaluation

__all__ = ["arrow", "headline", "headline_metrics", "primary_metric"]


def arrow(metric: Metric) -> str:
    """Return the direction as a sign: ↑ higher is better, ↓ lower, → a target."""
    if metric.greater_is_better is None:
        return f"→{metric.target:g}"
    return "↑" if metric.greater_is_better else "↓"


def headline_metrics(evaluation: Evaluation) -> list[Metric]:
    """Return the headline metrics that at least one arm was measured on.

    The likelihood per token is one only where there is free text: for closed questions the log
    score, normalised over the options, says the same without the tokeniser.
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


def headline(evaluation: Evaluation) -> Table:
    """Return arms by headline metrics; below each value its 95 % interval."""
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
    estimate = evaluation.estimate(arm, metric)
    if estimate is None:
        return Text("-")
    interval = estimate.interval
    return Text(f"{interval.value:.3f}\n{interval.low:.3f}..{interval.high:.3f}")
