"""`number`: gain in the continuous ranked probability score of drawn numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usersim.engines import Draw, Engine, GenerateRequest
from usersim.errors import ActionError, ScoringError, TranscriptError
from usersim.recon.fidelity.base import Answers, Fidelity, ScoringPlan, Trial, wrong_kind
from usersim.transcript import parse_action, prefix
from usersim.types import Number

__all__ = ["NumberScore", "crps"]

_MAX_TOKENS = 12


def crps(samples: Sequence[float], observed: float) -> float:
    """Return the continuous ranked probability score of a sample; 0 is best.

    `mean_i |x_i - y| - 1/2 mean_{i != j} |x_i - x_j|`: the energy form with the fair estimator
    of the second term. For one sample it is the absolute error.

    Notes:
        Source: Gneiting & Raftery (2007), Strictly Proper Scoring Rules, eq. 21; the fair form
        is that of Ferro (2014), Fair scores for ensemble forecasts.

    Example:
        >>> crps([1.0, 3.0], 2.0)
        0.0
    """
    m = len(samples)
    error = sum(abs(x - observed) for x in samples) / m
    if m == 1:
        return error
    spread = sum(abs(x - other) for x in samples for other in samples) / (m * (m - 1))
    return error - spread / 2


@dataclass(frozen=True, slots=True)
class NumberScore:
    """Gain in the (negative) CRPS of M numbers drawn at temperature 1.

        gain(r) = CRPS(a | x, empty) - CRPS(a | x, r)

    The first half of the draws selects (`gain`), the second reports (`reported_gain`). A draw
    that is not a number counts as the draw of the same interaction that is farthest off, so
    that an unreadable answer never helps; where no draw can be read there is no score.

    Unit: that of the action. Requirements: text generation only.

    Attributes:
        samples: M, draws per trace.
        seed: Seed of the draws.
    """

    samples: int
    seed: int = 0
    name: str = "number@1"
    unit: str = "the action's unit"

    def check(self, engine: Engine) -> None:
        """Accept every engine: all of them generate."""

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for M numbers after the empty reasoning and after each trace."""
        self._space(trial)
        prompt = trial.prompt()
        return ScoringPlan(
            generate=tuple(
                GenerateRequest(
                    prompt=prompt,
                    prefix=prefix(reasoning),
                    max_tokens=_MAX_TOKENS,
                    stop=("\n",),
                    n=self.samples,
                    seed=self.seed,
                )
                for reasoning in ("", *trial.reasonings)
            )
        )

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return how much each trace lowers the CRPS on both halves of the draws.

        Raises:
            ScoringError: If no draw of the interaction is a number.
        """
        item = trial.case.interaction
        space = self._space(trial)
        observed = float(item.action_text)
        rows = [[_number(space, draw) for draw in draws] for draws in answers.draws]
        read = [value for row in rows for value in row if value is not None]
        if not read:
            raise ScoringError(
                f"none of the draws is a number (user {item.user_id!r}, interaction "
                f"{item.key[:12]!r},"
                f" the first is {answers.draws[0][0].text!r})",
                hint="use a larger model, or scorer='loglik_gain'",
                cli_hint="use a larger --model",
            )
        worst = max(read, key=lambda value: abs(value - observed))
        half = (self.samples + 1) // 2
        filled = [[worst if value is None else value for value in row] for row in rows]
        select = [crps(row[:half], observed) for row in filled]
        report = [crps(row[half:], observed) for row in filled]
        return tuple(
            Fidelity(
                gain=select[0] - select[i],
                reported_gain=report[0] - report[i],
                components={
                    "crps": select[i],
                    "crps_none": select[0],
                    "unreadable": sum(value is None for value in rows[i]),
                },
            )
            for i in range(1, len(rows))
        )

    def _space(self, trial: Trial) -> Number:
        space = trial.case.interaction.space
        if not isinstance(space, Number):
            raise wrong_kind(self.name, trial)
        return space


def _number(space: Number, draw: Draw) -> float | None:
    """Return the drawn number; None if the draw was cut or is not one."""
    try:
        return space.parse(parse_action(draw.text, complete=draw.finish != "length"))
    except (ActionError, TranscriptError):
        return None
