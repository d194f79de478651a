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
    if trace.reasoning_weight < 1:
        facts.insert(3, ("reasoning weight", f"{trace.reasoning_weight:.2f}"))
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
            bars.add_row(
                Text(visible(option)), Text("█" * round(BAR * p), style="cyan"), f"{p:.2f}"
            )
        parts += [Text(""), bars]
    facts = Table.grid(padding=(0, 1))
    for name, value in _facts(answer):
        facts.add_row(Text(name, style="dim"), Text(visible(value), style="dim"))
    parts += [Text(""), facts]
    return Panel(
        Group(*parts),
        title=Text(f"as {visible(answer.trace.user_id)} might answer"),
        subtitle=NOTE,
    )


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
        f"<table>{rows}</table><details><summary>{escape(NOTE)}</summary>"
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
