"""What a study found: every comparison of its plan, pooled over the seeds that are finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from usersim.evaluation import ARM_SPECS, ArmName, holm, title_of
from usersim.evaluation.metrics import LOG_LIKELIHOOD, LOG_SCORE, METRICS, Metric
from usersim.evaluation.report_files import read_kinds, read_scores
from usersim.research.pooling import PooledDifference, pool
from usersim.research.study.cells import Cell
from usersim.research.study.plan import Comparison, SetPlan, StudyPlan
from usersim.types.counting import counted

__all__ = ["ArmFigures", "Contrast", "Figures", "SetFigures", "figures_of"]

_CLOSED = frozenset({"choice", "scale"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One comparison on one set.

    Attributes:
        comparison: Which arms.
        of: Name of the set.
        metric: What it is made on.
        pooled: The difference over all finished seeds.
        people: People behind it.
    """

    comparison: Comparison
    of: str
    metric: Metric
    pooled: PooledDifference
    people: int

    @property
    def better(self) -> bool | None:
        """Whether the arm is better; None where that is not distinguishable."""
        gap = self.pooled.difference
        return self.metric.better(gap.value, 0.0) if gap.excludes(0.0) else None

    def __str__(self) -> str:
        """Say it in one sentence."""
        word = {True: "is better than", False: "is worse than", None: "is not distinguishable from"}
        gap = self.pooled.difference
        seeds = counted(len(self.pooled.by_run), "seed")
        people = counted(self.people, "person", "people")
        return (
            f"{self.of}: {title_of(self.comparison.arm)} {word[self.better]} "
            f"{title_of(self.comparison.against)}: {gap.value:+.3f} [{gap.low:+.3f}, "
            f"{gap.high:+.3f}] {self.metric.unit}, pooled over {seeds}, "
            f"{counted(self.pooled.n_items, 'answer')} of {people}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFigures:
    """One arm on one set, over all finished seeds.

    Attributes:
        title: What tables call it.
        value: Mean score over answers and seeds.
        against: Its difference to the set's baseline; None for the baseline itself.
        p_holm: Corrected for the number of arms; NaN for the baseline.
    """

    title: str
    value: float
    against: PooledDifference | None
    p_holm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFigures:
    """Everything about one set.

    Attributes:
        name: Its name.
        metric: What the arms are compared on.
        seeds: Seeds that are finished.
        missing: Seeds that are not.
        baseline: What the arms are compared with; empty where nothing is finished.
        arms: Every arm that all finished seeds measured.
        traces: K of the arms that reason.
        without: Arms that have no value of this metric: those that know options alone.
    """

    name: str
    metric: Metric | None
    seeds: tuple[int, ...]
    missing: tuple[int, ...]
    traces: int
    baseline: str = ""
    arms: tuple[ArmFigures, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a study found so far.

    Attributes:
        plan: The plan.
        contrasts: By comparison, the main one first, and within it by set.
        sets: Every set of the plan.
    """

    plan: StudyPlan
    contrasts: tuple[Contrast, ...]
    sets: tuple[SetFigures, ...]

    @property
    def main(self) -> tuple[Contrast, ...]:
        """The main comparison on each set."""
        return tuple(one for one in self.contrasts if one.comparison == self.plan.main)

    def to_records(self) -> list[dict[str, object]]:
        """Return one flat row per comparison and set."""
        return [
            {
                "comparison": "main" if one.comparison == self.plan.main else "further",
                "arm": one.comparison.arm,
                "against": one.comparison.against,
                "set": one.of,
                "metric": one.metric.name,
                "unit": one.metric.unit,
                "difference": one.pooled.difference.value,
                "low": one.pooled.difference.low,
                "high": one.pooled.difference.high,
                "p_value": one.pooled.p_value,
                "answers": one.pooled.n_items,
                "people": one.people,
                "seeds": len(one.pooled.by_run),
                "by_seed": list(one.pooled.by_run),
            }
            for one in self.contrasts
        ]


def figures_of(plan: StudyPlan, cells: Sequence[Cell], done: Sequence[Cell], out: Path) -> Figures:
    """Return what the finished cells of a study say.

    Args:
        plan: The plan.
        cells: Every cell of it.
        done: Those whose report stands.
        out: Folder of the study.

    Raises:
        EvaluationError: If a report is damaged, or the seeds of a set share no answer.
    """
    measured = {one.name: [c for c in done if c.source == one] for one in plan.sets}
    contrasts = [
        found
        for comparison in (plan.main, *plan.also)
        for one in plan.sets
        if (found := _contrast(comparison, one, measured[one.name], out)) is not None
    ]
    asked = {one.name: [c for c in cells if c.source == one] for one in plan.sets}
    return Figures(
        plan=plan,
        contrasts=tuple(contrasts),
        sets=tuple(
            _set(plan, one, asked[one.name], measured[one.name], out)
            for one in plan.sets
            if asked[one.name]
        ),
    )


def _contrast(
    comparison: Comparison, one: SetPlan, cells: Sequence[Cell], out: Path
) -> Contrast | None:
    wanted: set[ArmName] = {comparison.arm, comparison.against}
    folders = [cell.folder(out) for cell in cells if wanted <= set(cell.arms)]
    if not folders:
        return None
    metric = _metric(one, folders[0], wanted)
    found = pool(folders, metric=metric.name, baseline=title_of(comparison.against))
    arm = next((p for p in found if p.arm == title_of(comparison.arm)), None)
    if arm is None:
        return None
    people = len({row.user_id for row in read_scores(folders[0], metric.name).values()})
    return Contrast(comparison=comparison, of=one.name, metric=metric, pooled=arm, people=people)


def _metric(one: SetPlan, folder: Path, arms: set[ArmName]) -> Metric:
    """Return what arms are compared on: what the set names, else the likelihood of the answer.

    Arms that know options alone have no likelihood of a text, so they are compared on the
    closed answers.
    """
    options = any(ARM_SPECS[arm].answers in {"pool", "reference"} for arm in arms)
    closed = options or read_kinds(folder) <= _CLOSED
    name = one.metric or (LOG_SCORE if closed else LOG_LIKELIHOOD).name
    return next(metric for metric in METRICS if metric.name == name)


def _set(
    plan: StudyPlan, one: SetPlan, cells: Sequence[Cell], done: Sequence[Cell], out: Path
) -> SetFigures:
    seeds = tuple(cell.seed for cell in done)
    missing = tuple(cell.seed for cell in cells if cell.seed not in seeds)
    traces = cells[0].traces
    if not done:
        return SetFigures(name=one.name, metric=None, seeds=(), missing=missing, traces=traces)
    folders = [cell.folder(out) for cell in done]
    metric = _metric(one, folders[0], set())
    baseline = title_of(_baseline(plan, done[0].arms, metric))
    compared = pool(folders, metric=metric.name, baseline=baseline)
    values = _means(folders, metric, [baseline, *(p.arm for p in compared)])
    corrected = holm([p.p_value for p in compared])
    arms = [ArmFigures(title=baseline, value=values[baseline], against=None, p_holm=float("nan"))]
    arms += [
        ArmFigures(title=p.arm, value=values[p.arm], against=p, p_holm=h)
        for p, h in zip(compared, corrected, strict=True)
    ]
    best = -1.0 if metric.greater_is_better else 1.0
    return SetFigures(
        name=one.name,
        metric=metric,
        seeds=seeds,
        missing=missing,
        baseline=baseline,
        arms=tuple(sorted(arms, key=lambda arm: best * arm.value)),
        traces=traces,
        without=tuple(
            title for title in map(title_of, done[0].arms) if title not in {a.title for a in arms}
        ),
    )


def _baseline(plan: StudyPlan, arms: Sequence[ArmName], metric: Metric) -> ArmName:
    """Return the arm that a set's table compares with: that of the first comparison it measures."""
    for comparison in (plan.main, *plan.also):
        for arm in (comparison.against, comparison.arm):
            told = metric.name == LOG_SCORE.name or ARM_SPECS[arm].answers in {"prompt", "adapter"}
            if arm in arms and told:
                return arm
    return arms[-1]


def _means(folders: Sequence[Path], metric: Metric, titles: Sequence[str]) -> dict[str, float]:
    runs = [read_scores(folder, metric.name) for folder in folders]
    return {
        title: float(
            np.mean(
                [row.scores[title] for run in runs for row in run.values() if title in row.scores]
            )
        )
        for title in titles
    }
