"""`loglik_gain`: how much likelier a trace makes the action. No judge, no sampling."""

from __future__ import annotations

from dataclasses import dataclass

from usersim.engines import Engine, ScoreRequest, require
from usersim.recon.fidelity.base import Answers, Fidelity, ScoringPlan, Trial
from usersim.transcript import action_text, prefix

__all__ = ["LoglikGain"]


@dataclass(frozen=True, slots=True)
class LoglikGain:
    """Gain in the action's log-likelihood, for every kind of action.

    With `l(a | c) = mean_t max(log p(a_t | c, a_<t), floor)` over the action's tokens, the
    end-of-turn token included,

        gain(r) = l(a | x, r) - l(a | x, empty reasoning)

    Both terms use the same template and exactly the same action tokens. It is a mean, so long
    and short actions are comparable; the floor keeps one odd token from deciding.

    Unit: nats per action token. Requirements: log-probabilities. Deterministic: `reported_gain`
    equals `gain`.
    Relations: for closed questions `Choice` and `Scale` condition on the options and do not
    reward naming the form of the answer.

    Attributes:
        floor: Smallest log-probability that one token may count, nats.
    """

    floor: float
    name: str = "loglik_gain@1"
    unit: str = "nats per action token"

    def check(self, engine: Engine) -> None:
        """Raise unless the engine scores given text."""
        require(engine, "logprobs", self.name)

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for the action after the empty reasoning and after each trace."""
        prompt = trial.prompt()
        action = action_text(trial.case.interaction.action_text)
        return ScoringPlan(
            score=tuple(
                ScoreRequest(prompt=prompt, prefix=prefix(reasoning), continuation=action)
                for reasoning in ("", *trial.reasonings)
            )
        )

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Return the difference of the two means for each trace."""
        del trial
        none, *values = (score.mean(self.floor) for score in answers.scores)
        return tuple(
            Fidelity(
                gain=value - none,
                reported_gain=value - none,
                components={"loglik": value, "loglik_none": none},
            )
            for value in values
        )
