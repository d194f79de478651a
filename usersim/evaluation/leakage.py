"""What the guards found, summed up by the source of the traces.

Knows scored candidates and selections as plain values; computes no guard itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from usersim.types import Direction, ScoredCandidate, Selection
from usersim.views import Sheet, printed

__all__ = [
    "CHOICE",
    "QUOTED",
    "LeakagePoint",
    "LeakageRow",
    "LeakageTable",
    "diagnostic",
]

_GUARD = re.compile(r"\bL(\d)")
QUOTED = "B12 raw gain of a trace that quotes the action"
"""Diagnostic that must be above 0, or the scores mean nothing."""
CHOICE = "L8 chosen over eligible, by the second reconstructor"
"""Diagnostic that is 0 where the choice of traces means nothing to another model."""
_SOURCES: tuple[Direction, ...] = ("forward", "backward", "decoy")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageRow:
    """The traces of one source.

    Attributes:
        source: How they were drawn.
        n: Scored candidates.
        refused: Share refused by at least one hard guard.
        refused_by: Share refused by each guard, by the guard's name (`L1`, `L4`, `other`); a
            trace may be refused by several.
        raw_gain_valid: Mean raw gain of the traces that passed; NaN if there are none.
        raw_gain_refused: Mean raw gain of the refused ones: the higher, the more leaking pays.
        masking_cost: L2, mean of raw gain − masked gain over all traces: what copied 3-grams gave.
        trace_only_share: L3, mean share of the gain that remains without the context.
        plausibility: L4, mean log-ratio, nats per token.
        kept: Share of the candidates that were kept.
    """

    source: Direction
    n: int
    refused: float
    refused_by: Mapping[str, float]
    raw_gain_valid: float
    raw_gain_refused: float
    masking_cost: float
    trace_only_share: float
    plausibility: float
    kept: float


@dataclass(frozen=True, slots=True)
class LeakagePoint:
    """One trace in the gain-against-leakage plot: containment L1b and raw gain."""

    source: Direction
    containment: float
    raw_gain: float
    valid: bool


def _sheet(found: LeakageTable) -> Sheet:
    columns = (
        "traces",
        "n",
        "rejected",
        "kept",
        "raw gain, passed",
        "raw gain, rejected",
        "trace-only",
    )
    return Sheet(
        title=f"Leakage, gains in {found.unit}" if found.unit else "Leakage",
        columns=columns,
        rows=[
            (
                row.source,
                row.n,
                row.refused,
                row.kept,
                row.raw_gain_valid,
                row.raw_gain_refused,
                row.trace_only_share,
            )
            for row in found.rows
        ],
        notes=[f"{name}: {value:.3f}" for name, value in found.diagnostics.items()],
    )


@printed(_sheet)
@dataclass(frozen=True, kw_only=True)
class LeakageTable:
    """The leakage figures that every report prints.

    Attributes:
        rows: One per source that occurs.
        points: One per trace, for the plot.
        unit: Unit of the gains.
        n_interactions: Interactions with a selection.
        empty_share: Share of them that kept the empty trace; NaN without selections.
        diagnostics: L5 to L7 and whatever else was measured, by name.

    Example:
        >>> from usersim.types import Candidate, Leakage, TraceScores
        >>> def trace(gain, *reasons):
        ...     drawn = Candidate(interaction_key="k", direction="backward", draw=0, seed=0,
        ...                       reasoning="Tea.", complete=True, model="m", prompt_id="p")
        ...     scores = TraceScores(scorer="s", unit="nats", raw_gain=gain, masked_gain=0.1,
        ...                          reported_gain=0.1)
        ...     leakage = Leakage(reasons=reasons)
        ...     return ScoredCandidate(candidate=drawn, scores=scores, leakage=leakage)
        >>> table = LeakageTable.of([trace(0.5), trace(2.0, "L1 copy: 9 tokens in a row")])
        >>> (row,) = table.rows
        >>> row.refused, row.raw_gain_valid, row.raw_gain_refused
        (0.5, 0.5, 2.0)
    """

    rows: tuple[LeakageRow, ...]
    points: tuple[LeakagePoint, ...]
    unit: str
    n_interactions: int
    empty_share: float
    diagnostics: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(
        cls,
        scored: Sequence[ScoredCandidate],
        selections: Sequence[Selection] = (),
        *,
        diagnostics: Mapping[str, float] | None = None,
    ) -> LeakageTable:
        """Sum up what the guards found.

        Args:
            scored: Every scored candidate, refused ones included.
            selections: The decisions; without them nothing counts as kept.
            diagnostics: L5 to L7 by name.

        Returns:
            The table.
        """
        kept = {s.kept for s in selections if s.kept is not None}
        empty = sum(s.kept is None for s in selections)
        by_source: dict[Direction, list[ScoredCandidate]] = {
            s: [c for c in scored if c.candidate.direction == s] for s in _SOURCES
        }
        units = dict.fromkeys(c.scores.unit for c in scored)
        return cls(
            rows=tuple(_row(s, found, kept) for s, found in by_source.items() if found),
            points=tuple(
                LeakagePoint(
                    c.candidate.direction, c.leakage.containment, c.scores.raw_gain, c.leakage.valid
                )
                for c in scored
            ),
            unit=" / ".join(units),
            n_interactions=len(selections),
            empty_share=empty / len(selections) if selections else math.nan,
            diagnostics=dict(diagnostics or {}),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the diagnostics say against the scores, in words; empty if nothing does.

        Example:
            >>> figures = {"B12 raw gain of a trace that quotes the action, n = 8": -0.1,
            ...     "B12 raw gain of a trace that quotes the action, 95 % interval, low": -0.3}
            >>> table = LeakageTable.of([], diagnostics=figures)
            >>> table.warnings[0][:59]
            'the reconstructor does not react to a trace that quotes the'
        """
        said = {
            QUOTED: "the reconstructor does not react to a trace that quotes the action, so its"
            " scores are meaningless; use another one",
            CHOICE: "for the second reconstructor, the choice among eligible traces makes no"
            " distinguishable difference",
        }
        return tuple(
            f"{text} ({name}: {self._diagnostic(name)})"
            for name, text in said.items()
            if self.diagnostics.get(f"{name}, 95 % interval, low", 1.0) <= 0
        )

    def _diagnostic(self, name: str) -> str:
        """Return a diagnostic with its interval, as tables print it."""
        ends = [f"{name}, 95 % interval, {end}" for end in ("low", "high")]
        value = next(v for k, v in self.diagnostics.items() if k.startswith(f"{name}, n = "))
        told = ", ".join(f"{self.diagnostics[end]:.3f}" for end in ends if end in self.diagnostics)
        return f"{value:.3f} [{told}]"

    def to_dict(self) -> dict[str, object]:
        """Return the figures as plain values, without the single traces."""
        return {
            "unit": self.unit,
            "n_interactions": self.n_interactions,
            "empty_share": self.empty_share,
            "sources": [asdict(row) for row in self.rows],
            "diagnostics": dict(self.diagnostics),
            "warnings": list(self.warnings),
        }


def diagnostic(name: str, *, value: float, low: float, high: float, n: int) -> dict[str, float]:
    """Return a diagnostic with its 95 % interval, under the names that tables and warnings read.

    Example:
        >>> list(diagnostic("L7 share", value=0.5, low=0.2, high=0.8, n=4))
        ['L7 share, n = 4', 'L7 share, 95 % interval, low', 'L7 share, 95 % interval, high']
    """
    return {
        f"{name}, n = {n}": value,
        f"{name}, 95 % interval, low": low,
        f"{name}, 95 % interval, high": high,
    }


def _row(source: Direction, found: Sequence[ScoredCandidate], kept: set[str]) -> LeakageRow:
    guards = [_guards(c) for c in found]
    names = sorted({name for named in guards for name in named})
    return LeakageRow(
        source=source,
        n=len(found),
        refused=_mean([float(not c.leakage.valid) for c in found]),
        refused_by={name: _mean([float(name in g) for g in guards]) for name in names},
        raw_gain_valid=_mean([c.scores.raw_gain for c in found if c.leakage.valid]),
        raw_gain_refused=_mean([c.scores.raw_gain for c in found if not c.leakage.valid]),
        masking_cost=_mean([c.scores.raw_gain - c.scores.masked_gain for c in found]),
        trace_only_share=_mean([c.leakage.trace_only_share for c in found]),
        plausibility=_mean([c.leakage.plausibility for c in found]),
        kept=_mean([float(c.candidate.key in kept) for c in found]),
    )


def _guards(candidate: ScoredCandidate) -> set[str]:
    """Return the guards named in the reasons; a reason that names none is `other`."""
    found: set[str] = set()
    for reason in candidate.leakage.reasons:
        match = _GUARD.search(reason)
        found.add(f"L{match[1]}" if match else "other")
    return found


def _mean(values: Sequence[float | None]) -> float:
    told = [value for value in values if value is not None]
    return fmean(told) if told else math.nan
