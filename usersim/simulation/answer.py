"""What a simulator answers: the action, the reasoning before it, and everything behind both.

Frozen values, their plain-data form, and their views for a terminal, a notebook and a data frame;
every text in a view is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from usersim.errors import CorpusError
from usersim.terminal import visible
from usersim.types import ActionKind, ActionValue, Evidence, Number, Predictor, Share
from usersim.types.actions import MULTI_SEPARATOR, NOTHING_CHOSEN
from usersim.types.counting import counted
from usersim.views import Cell, shortened

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter
    from rich.console import RenderableType

ORIGINS: Mapping[Predictor, str] = MappingProxyType(
    {
        "reasoning": "its reasoning",
        "no_reasoning": "the model without reasoning",
        "own_answer": "what the person answered to this question before",
        "panel": "the person's other answers, judged by the panel",
        "others": "how the panel answers",
        "own_scale": "the person's use of these options",
    }
)
"""Each predictor in words."""
SMALLEST_SHARE = 0.005
"""A smaller share is none."""
_NOTE = "simulated; the reasoning is the model's account, not the person's thought"
_BAR = 24
"""Width of a full probability bar, characters."""
_SHOWN_EVIDENCE = 3
"""Past interactions that are listed: those that bear most on the question."""
_PARTS = {
    "own_answer": ("own answer", "cyan", "#56b4e9"),
    "panel": ("panel", "blue", "#0072b2"),
    "others": ("others", "bright_black", "#999999"),
    "own_scale": ("own scale", "green", "#009e73"),
    "no_reasoning": ("model", "yellow", "#e69f00"),
    "reasoning": ("reasoning", "magenta", "#cc79a7"),
}
"""Label and colors of each predictor in the bar that says where an answer comes from; a palette
that color-blind readers can tell apart (Okabe and Ito 2008)."""

__all__ = ["Answer", "AnswerTrace", "DrawnTrace", "Influence", "to_frame"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnTrace:
    """One reasoning trace drawn for one answer.

    Attributes:
        reasoning: The text; empty if the answer was drawn without reasoning.
        seed: Seed of the draw.
        closed: True if the draw ran into the token limit and was closed after its last full
            sentence.
        action: The action drawn after it, or the likeliest option given it.
        probabilities: Probability of each option given this trace; empty for open answers.
    """

    reasoning: str
    seed: int
    closed: bool = False
    action: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How far the trace moves the answer.

    For closed questions `own`, `without` and `swapped` are the probabilities of the chosen
    option; for open answers the mean log-probability of the answer, nats per token.

    Attributes:
        own: With the answer's own traces.
        without: With the no-reasoning marker.
        swapped: With the trace of another context of the same person; None if there is none.
        action: The answer itself.
        action_without: The answer without the trace; empty where none could be drawn.
        action_swapped: The answer with the other context's trace.
        unit: `probability` or `nats per token`.
    """

    own: float
    without: float
    swapped: float | None
    action: str
    action_without: str
    action_swapped: str | None
    unit: Literal["probability", "nats per token"]

    @property
    def changed(self) -> bool:
        """True if the answer would have been another without the trace."""
        return self.action_without not in {self.action, ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTrace:
    """Everything behind one answer.

    Attributes:
        user_id: Whose answer is simulated.
        question: The context that was answered, as text.
        history: Keys of the past interactions that stood in the prompt, oldest first.
        prompt: The rendered prompt, (role, content) pairs.
        prompt_id: Identity of the template.
        drawn: The traces drawn, the one shown first.
        probabilities: Option probabilities, averaged over the traces and mixed by the
            reasoning weight; empty for open answers. Of a multiple choice each option's own
            probability to be chosen; of a number that of each range of values, under its typical
            one.
        reasoning_weight: Share of the answer's probability that comes from reasoning.
        redraws: Malformed texts that were drawn again.
        reasoning_failed: True if traces were drawn, none could be read, and a closed question was
            answered without reasoning instead.
        unreadable: The texts of those traces, as drawn; empty unless `reasoning_failed`.
        predictors: Where the probabilities come from, the largest share first; empty for open
            answers, and where the simulator answered alone.
        calibrated: Whether the predictors' weights were fitted on answers of this corpus.
        evidence: What of the history stood in the prompt, and how much it bears on the question.
        kept_gains: Reported gain of the kept traces shown as demonstrations, by key.
        adapter: Served name of the adapter; None for the base model.
        engine: Identity of the engine.
        seed: Seed of the answer.
        seconds: Wall-clock time of the batch divided by its items.
    """

    user_id: str
    question: str
    history: tuple[str, ...]
    prompt: tuple[tuple[str, str], ...]
    prompt_id: str
    drawn: tuple[DrawnTrace, ...]
    probabilities: Mapping[str, float]
    reasoning_weight: float
    redraws: int
    kept_gains: Mapping[str, float]
    adapter: str | None
    engine: str
    seed: int
    seconds: float
    reasoning_failed: bool = False
    unreadable: tuple[str, ...] = ()
    predictors: tuple[Share, ...] = ()
    calibrated: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def reasoning_share(self) -> float | None:
        """Part that the reasoning has in the answer, 0 to 1; None where no pool answered."""
        if not self.predictors:
            return None
        return next((one.share for one in self.predictors if one.predictor == "reasoning"), 0.0)

    @property
    def origin(self) -> str:
        """Where a closed answer comes from, in a sentence; empty where no pool answered."""
        if not self.predictors:
            return ""
        parts = [
            f"{one.share:.0%} {ORIGINS[one.predictor]}"
            for one in self.predictors
            if one.share >= SMALLEST_SHARE
        ]
        share = self.reasoning_share or 0.0
        if share < SMALLEST_SHARE:
            parts.append("the reasoning was not used")
        state = "" if self.calibrated else "; not calibrated on this corpus yet"
        return f"From {', '.join(parts)}{state}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A simulated answer. It is a model's guess at what the person would do, not the person's.

    Attributes:
        action: Typed by the question: an option, a number, several options, or text.
        kind: Kind of the question.
        reasoning: The trace that led to it: the model's account, not the person's thought.
        trace: Everything behind it.
        influence: How far the trace moved the answer, where it was asked for.
        simulated: Always True; travels with every export.

    Example:
        >>> from usersim import UserSimulator
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Always."}]
        >>> with UserSimulator.from_corpus(rows, user_id="ada", engine="scripted") as sim:
        ...     answer = sim.respond("Milk?", options=["yes", "no"])
        >>> answer.action in ("yes", "no"), answer.kind, answer.simulated
        (True, 'choice', True)
        >>> sorted(answer.trace.probabilities)
        ['no', 'yes']
    """

    action: ActionValue
    kind: ActionKind
    reasoning: str
    trace: AnswerTrace
    influence: Influence | None = None
    simulated: Literal[True] = True

    def __str__(self) -> str:
        """Return the action's text."""
        return self.action_text

    def cells(self) -> dict[str, Cell]:
        """Return what stands of the answer in a list of answers."""
        return {
            "user": self.trace.user_id,
            "asked": shortened(self.trace.question, 40),
            "answer": shortened(self.action_text, 60),
            "p": self.probabilities.get(self.action_text),
        }

    def __repr__(self) -> str:
        """Say in a line what was answered, as whom, how probable it was and by which adapter."""
        p = self.probabilities.get(self.action_text)
        said = [repr(shortened(self.action_text)), f"user={self.trace.user_id!r}"]
        said += [f"p={p:.2f}"] if p is not None else []
        said += [f"adapter={self.trace.adapter!r}", "simulated=True"]
        return f"Answer({', '.join(said)})"

    @property
    def action_text(self) -> str:
        """The action as text, as the action space writes it."""
        if isinstance(self.action, tuple):
            return MULTI_SEPARATOR.join(self.action) or NOTHING_CHOSEN
        return self.action if isinstance(self.action, str) else Number().render(self.action)

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Probability of each option; empty for open answers."""
        return self.trace.probabilities

    def to_dict(self) -> dict[str, object]:
        """Return the answer as plain data.

        Example:
            >>> from usersim import UserSimulator
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
            ...     answer = sim.respond("Milk?", options=["yes", "no"])
            >>> data = answer.to_dict()
            >>> data["simulated"], Answer.from_dict(data) == answer
            (True, True)
        """
        data: dict[str, object] = _adapter().dump_python(self, mode="json")
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Answer:
        """Return the answer that `to_dict` wrote.

        Raises:
            CorpusError: If it wrote something else.
        """
        from pydantic import ValidationError

        try:
            answer = _adapter().validate_python(data)
        except ValidationError as error:
            problem = error.errors(include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise CorpusError(
                f"a stored answer cannot be read: {where!r}: {problem['msg']}",
                hint="the store is damaged, or another version of usersim wrote the answer",
            ) from None
        return (
            replace(answer, trace=_ascending(answer.trace)) if answer.kind == "number" else answer
        )

    def to_json(self) -> str:
        """Return the answer as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __rich__(self) -> RenderableType:
        """Return the view for a terminal."""
        return _rich_view(self)

    def _repr_html_(self) -> str:
        """Return the view for a notebook; every text is escaped."""
        return _html_view(self)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Answer]:
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def _ascending(trace: AnswerTrace) -> AnswerTrace:
    """Return a number's trace with the ranges in order; a store sorts them by name."""

    def of(told: Mapping[str, float]) -> dict[str, float]:
        return {name: told[name] for name in sorted(told, key=float)}

    return replace(
        trace,
        probabilities=of(trace.probabilities),
        predictors=tuple(replace(s, probabilities=of(s.probabilities)) for s in trace.predictors),
    )


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
        facts.insert(0, ("from", trace.origin.removeprefix("From ")))
    elif trace.reasoning_weight < 1:
        facts.insert(3, ("reasoning weight", f"{trace.reasoning_weight:.2f}"))
    strongest = sorted(trace.evidence, key=lambda one: -one.weight)[:_SHOWN_EVIDENCE]
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
        return f"none of {len(trace.unreadable)} was readable; answered without reasoning"
    return f"{len(trace.drawn)} drawn, {trace.redraws} malformed and drawn again"


def _rich_view(answer: Answer) -> RenderableType:
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
            bar = Text("█" * round(_BAR * p), style="cyan")
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
        subtitle=_NOTE,
    )


def _rich_shares(answer: Answer) -> RenderableType:
    """Return one stacked bar: where the answer comes from."""
    from rich.text import Text

    bar, legend = Text(), Text()
    for one in _shares(answer):
        name, color, _ = _PARTS[one.predictor]
        bar.append("█" * round(_BAR * one.share), style=color)
        legend.append(f"{', ' if legend else ''}{name} {one.share:.0%}", style=color)
    return Text.assemble(bar, "\n", legend)


def _shares(answer: Answer) -> list[Share]:
    """Return the predictors that took part."""
    return [one for one in answer.trace.predictors if one.share >= SMALLEST_SHARE]


def _html_shares(answer: Answer) -> str:
    """Return the same as an HTML fragment."""
    if not answer.trace.predictors:
        return ""
    parts = "".join(
        f"<div title='{_PARTS[one.predictor][0]} {one.share:.0%}' style='display:inline-block;"
        f"background:{_PARTS[one.predictor][2]};height:.7em;width:{200 * one.share:.0f}px'></div>"
        for one in _shares(answer)
    )
    legend = ", ".join(f"{_PARTS[one.predictor][0]} {one.share:.0%}" for one in _shares(answer))
    return f"<p>{parts}<br><small>{legend}</small></p>"


def _html_view(answer: Answer) -> str:
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
        f"<table>{rows}</table>{_html_shares(answer)}<details><summary>{escape(_NOTE)}</summary>"
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
