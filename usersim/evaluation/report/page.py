"""The one-page report: plain values into a self-contained HTML page.

Every text is escaped; the page loads nothing, and its own policy forbids it to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from usersim.evaluation.bootstrap import Interval
from usersim.evaluation.leakage import LeakageTable
from usersim.evaluation.report.drawing import Plot
from usersim.evaluation.report.plots import calibration, forest, leakage_scatter, per_user
from usersim.evaluation.report.plots_training import Curves, training_curves
from usersim.evaluation.results import (
    Evaluation,
    arrow,
    better_word,
    headline_metrics,
    primary_metric,
)
from usersim.evaluation.verdict import caution, verdicts
from usersim.types.counting import counted

__all__ = ["Example", "Section", "page_environment", "render_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One simulated answer beside what the person did.

    Attributes:
        user_id: Whose answer is simulated.
        question: The context, as text.
        action: The simulated action.
        reasoning: The trace that led to it; empty if there was none.
        true_action: What the person did.
        arm: Who simulated.

    Example:
        >>> one = Example(user_id="ada", question="Tea?", action="Yes.", reasoning="I like tea.",
        ...               true_action="Always.", arm="Recon-Select")
        >>> one.true_action
        'Always.'
    """

    user_id: str
    question: str
    action: str
    reasoning: str = ""
    true_action: str = ""
    arm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report that the caller adds.

    Attributes:
        heading: Its heading.
        paragraphs: Plain text.
        columns: Headings of its table; empty without a table.
        rows: Cells of its table.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from usersim.evaluation import evaluate, uniform_arm, write_report
        >>> from usersim.types import Choice, Interaction, Message
        >>> tea = Interaction(key="k", user_id="ada", position=0, context=(Message("Tea?"),),
        ...                   action="yes", space=Choice(("yes", "no")), conversation="c",
        ...                   split="held_out")
        >>> found = evaluate([uniform_arm()], [tea], bootstrap=10)
        >>> own = Section(heading="The people", paragraphs=("A panel of students.",))
        >>> with TemporaryDirectory() as folder:
        ...     page = write_report(found, folder, title="Tea", provenance={"command": "…"},
        ...                         sections=[own])
        ...     "A panel of students." in page.read_text("utf-8")
        True
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def render_page(
    evaluation: Evaluation,
    *,
    title: str,
    leakage: LeakageTable | None,
    examples: Sequence[Example],
    also_against: Sequence[str],
    sections: Sequence[Section],
    curves: Sequence[Curves],
    provenance: Mapping[str, object],
) -> str:
    """Return the report as HTML; arguments as in `write_report`."""
    baselines = list(dict.fromkeys([evaluation.baseline, *also_against]))
    primary = primary_metric(evaluation)
    return (
        page_environment()
        .get_template("report.html.jinja")
        .render(
            title=title,
            evaluation=evaluation,
            metrics=headline_metrics(evaluation),
            measured=[m for m in evaluation.metrics if _measured(evaluation, m.name)],
            caution=caution(evaluation.n_users),
            arrow=arrow,
            better_word=better_word,
            result=verdicts(evaluation, metrics=[primary] if primary else []),
            verdicts={name: verdicts(evaluation, baseline=name) for name in baselines},
            comparisons=evaluation.comparisons,
            plots=_plots(evaluation, baselines, leakage),
            leakage=leakage,
            examples=examples,
            sections=sections,
            curves=[plot for one in curves if (plot := training_curves(one)) is not None],
            provenance={key: str(value) for key, value in provenance.items()},
        )
    )


def page_environment(package: str = "usersim.evaluation.report") -> Environment:
    """Return the templates of pages: every text escaped, every variable needed.

    Args:
        package: Whose folder `templates` they are; those of this package can be included.
    """
    own = "usersim.evaluation.report"
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "templates") for name in (package, own)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "share": _share, "interval": _interval}
    # jinja's own filters are typed as the union of their signatures, of which this is none.
    environment.filters["counted"] = cast("Any", counted)
    return environment


def _measured(evaluation: Evaluation, metric: str) -> bool:
    return any(e.metric == metric for e in evaluation.estimates)


class _Plots(NamedTuple):
    """The picture of the result, and those that are folded."""

    main: Plot | None
    more: list[Plot]


def _plots(
    evaluation: Evaluation, baselines: Sequence[str], leakage: LeakageTable | None
) -> _Plots:
    first = next((m for m in headline_metrics(evaluation) if m.itemwise), None)
    main, *more = [forest(evaluation, evaluation.against(name)) for name in baselines]
    more.append(calibration(evaluation))
    more.append(per_user(evaluation, first) if first else None)
    more.append(leakage_scatter(leakage) if leakage else None)
    return _Plots(main, [plot for plot in more if plot is not None])


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def _interval(interval: Interval) -> str:
    return f"[{_number(interval.low)}, {_number(interval.high)}]"
