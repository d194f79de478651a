"""Views of answers for people: terminal, notebook, data frame. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from usersim.terminal import visible
from usersim.types.counting import counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from usersim.simulation.answer import Answer

__all__ = ["html_view", "rich_view", "to_frame"]

NOTE = "simulated; the reasoning is the model's account, not the person's thought"
BAR = 24
"""Width of a full probability bar, characters."""
SHOWN_EVIDENCE = 3
"""Past interactions that are listed: those that bear most on the question."""
PARTS = {
    "panel": ("panel", "blue", "#0072b2"),
    "others": ("others", "bright_black", "#999999"),
    "own_scale": ("own scale", "green", "#009e73"),
    "no_reasoning": ("model", "yellow", "#e69f00"),
    "reasoning": ("reasoning", "magenta", "#cc79a7"),
}
"""Label and colors of each predictor in the bar that says where an answer comes from; a palette
that color-blind readers can tell apart (Okabe and Ito 2008)."""


def _facts(answer: Answer) -> list[tuple[str, str]]:
    trace = answer.trace
    facts = [
        ("user", trace.user_id),
        ("history", f"{counted(len(trace.history), 'past interaction')} in the prompt"),
        ("traces", _traces(answer)),
        ("adapter", trace.adapter or "none (base model)"),
        ("engine", trace.engine),
        ("seed", str(trace.seed)),
    ]
    if trace.origin:
        facts.insert(0, ("where from", trace.origin))
    elif trace.reasoning_weight < 1:
        facts.insert(3, ("reasoning weight", f"{trace.reasoning_weight:.2f}"))
    strongest = sorted(trace.evidence, key=lambda one: -one.weight)[:SHOWN_EVIDENCE]
    facts[1:1] = [
        ("evidence", f"{one.question} → {one.action} ({one.weight:.2f})") for one in strongest
    ]
    found = answer.influence
    if found:
        swapped = "–" if found.swapped is None else f"{found.swapped:.3f}"
        numbers = f"own {found.own:.3f}, without {found.without:.3f}, swapped {swapped}"
        facts.append(("influence", f"{numbers} ({found.unit}); without it: {found.action_without}"))
    return facts


def _traces(answer: Answer) -> str:
    trace = answer.trace
    if trace.reasoning_failed:
        return f"none of {len(trace.unreadable)} could be read; answered without reasoning"
    return f"{len(trace.drawn)} drawn, {trace.redraws} malformed and drawn again"


def rich_view(answer: Answer) -> RenderableType:
    """Return an answer as a panel for the terminal."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    said = Table.grid(padding=(0, 2))
    said.add_column(no_wrap=True)
    if answer.reasoning:
        said.add_row(
            Text("trace", style="dim"), Text(visible(answer.reasoning, indent=""), style="italic")
        )
    said.add_row(
        Text("answer", style="dim"), Text(visible(answer.action_text, indent=""), style="bold")
    )
    parts: list[RenderableType] = [said]
    if answer.probabilities:
        bars = Table.grid(padding=(0, 1))
        for option, p in answer.probabilities.items():
            bar = Text("█" * round(BAR * p), style="cyan")
            bars.add_row(Text(visible(option)), bar, f"{p:.2f}")
        parts += [Text(""), bars]
    if answer.trace.predictors:
        parts.append(_rich_shares(answer))
    facts = Table.grid(padding=(0, 1))
    for name, value in _facts(answer):
        facts.add_row(Text(name, style="dim"), Text(visible(value), style="dim"))
    parts += [Text(""), facts]
    return Panel(
        Group(*parts),
        title=Text(f"as {visible(answer.trace.user_id)} might answer"),
        subtitle=NOTE,
    )


def _rich_shares(answer: Answer) -> RenderableType:
    """Return one stacked bar: where the answer comes from."""
    from rich.text import Text

    bar, legend = Text(), Text()
    for one in answer.trace.predictors:
        name, color, _ = PARTS[one.predictor]
        bar.append("█" * round(BAR * one.share), style=color)
        legend.append(f" {name} {one.share:.0%}", style=color)
    return Text.assemble(bar, legend)


def _html_shares(answer: Answer) -> str:
    """Return the same as an HTML fragment."""
    if not answer.trace.predictors:
        return ""
    parts = "".join(
        f"<div title='{PARTS[one.predictor][0]} {one.share:.0%}' style='display:inline-block;"
        f"background:{PARTS[one.predictor][2]};height:.7em;width:{200 * one.share:.0f}px'></div>"
        for one in answer.trace.predictors
    )
    legend = ", ".join(
        f"{PARTS[one.predictor][0]} {one.share:.0%}" for one in answer.trace.predictors
    )
    return f"<p>{parts}<br><small>{legend}</small></p>"


def html_view(answer: Answer) -> str:
    """Return an answer as an HTML fragment without scripts or outside resources."""
    rows = "".join(
        f"<tr><td>{escape(option)}</td><td>{p:.2f}</td><td><div style='background:#0072b2;"
        f"height:.7em;width:{100 * p:.0f}px'></div></td></tr>"
        for option, p in answer.probabilities.items()
    )
    facts = "".join(
        f"<tr><td><i>{escape(name)}</i></td><td>{escape(value)}</td></tr>"
        for name, value in _facts(answer)
    )
    reasoning = (
        f"<p><small>trace</small><br><i>{escape(answer.reasoning)}</i></p>"
        if answer.reasoning
        else ""
    )
    action = f"<p><small>answer</small><br><b>{escape(answer.action_text)}</b></p>"
    return (
        f"<div class='usersim-answer'>{reasoning}{action}"
        f"<table>{rows}</table>{_html_shares(answer)}<details><summary>{escape(NOTE)}</summary>"
        f"<table>{facts}</table></details></div>"
    )


def to_frame(answers: Iterable[Answer]) -> pd.DataFrame:
    """Return one row per answer: user, action, reasoning, option probabilities, provenance.

    Raises:
        MissingDependencyError: If pandas is not installed.
    """
    from usersim.errors import MissingDependencyError

    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError("pandas", extra="report", why="a data frame") from error
    rows = [
        {
            "user_id": answer.trace.user_id,
            "context": answer.trace.question,
            "action": answer.action,
            "reasoning": answer.reasoning,
            "reasoning_failed": answer.trace.reasoning_failed,
            "probabilities": dict(answer.probabilities),
            "adapter": answer.trace.adapter,
            "engine": answer.trace.engine,
            "seed": answer.trace.seed,
            "simulated": answer.simulated,
        }
        for answer in answers
    ]
    return pd.DataFrame(rows)
