"""Which way of eliciting an answer is better, measured on a store's own held-out answers.

Published comparisons of scoring options at once and of mapping a free answer onto them disagree,
and the result depends on model, language and questions; so nothing is assumed here. Knows the
order of the steps; the answers are kept in runs of the store, as those of a survey are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usersim.evaluation import Interval, Resampling
from usersim.evaluation.bootstrap import FloatArray, ratio
from usersim.evaluation.metrics import ACCURACY, LOG_SCORE
from usersim.simulator.measure import pick_held_out
from usersim.simulator.respondents import StoreRespondents
from usersim.survey import Ask, Mode, PartReply
from usersim.survey.elicitation import map_question, say_question
from usersim.types import Failure, Interaction, Prediction, Question, content_key
from usersim.types.counting import counted
from usersim.views import Progress, in_words, printed, show_progress

__all__ = ["Elicitation", "ElicitationComparison", "compare_elicitation"]


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class Elicitation:
    """How well one mode predicts held-out closed answers.

    Attributes:
        mode: `direct` or `say_then_map`.
        n: Answers compared.
        correct: Those that were predicted.
        accuracy: Their share, with a 95 % interval over people and conversations.
        log_score: Mean log probability of the true option, nats, floored at 10⁻⁴; higher is
            better, and all the same probability for K options gives -log K.
        failed: Answers that the mode did not give; each counts as wrong, with equal probabilities.
    """

    mode: Mode
    n: int
    correct: int
    accuracy: Interval
    log_score: Interval
    failed: int

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.mode:13} {self.correct} of {self.n} right, accuracy {self.accuracy}, "
            f"log score {self.log_score}, {self.failed} failed"
        )


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitationComparison:
    """Both modes on the same answers.

    Attributes:
        direct: Options scored at once.
        say_then_map: Options scored after an answer in own words.
        accuracy_difference: Accuracy of `say_then_map` minus that of `direct`, paired.
        log_score_difference: The same of the log score, nats.
        people: Whose answers they are, counted.
        runs: Names of the runs in the store that hold the answers.
    """

    direct: Elicitation
    say_then_map: Elicitation
    accuracy_difference: Interval
    log_score_difference: Interval
    people: int
    runs: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What the paired log score, a proper one, says in words."""
        if not self.log_score_difference.excludes(0.0):
            return "the two modes are not distinguishable on these answers"
        better = "say_then_map" if self.log_score_difference.value > 0 else "direct"
        return f"{better} predicts these answers better"

    def __str__(self) -> str:
        """Say it in a few lines."""
        return (
            f"{self.direct}\n{self.say_then_map}\n"
            f"say_then_map - direct: accuracy {self.accuracy_difference}, "
            f"log score {self.log_score_difference}; "
            f"{counted(self.people, 'person', 'people')}: {self.verdict}"
        )


def compare_elicitation(
    respondents: StoreRespondents,
    *,
    limit: int | None = None,
    progress: Progress | bool = True,
) -> ElicitationComparison:
    """Measure both modes on held-out closed answers; resumes where it was interrupted.

    Args:
        respondents: Whose answers; `sim.respondents()` takes everybody's.
        limit: Answers in all, spread over the people; None takes every one.
        progress: True shows the waves in a terminal and a notebook, False nowhere; a function is
            called with (wave, done, total).

    Returns:
        Both modes, and their paired differences.

    Raises:
        EvaluationError: If no closed question is held out.
        CapabilityError: If the engine cannot score given text.
    """
    corpus = respondents.runner.corpus
    truth = pick_held_out(corpus, respondents.people, limit, closed=True)
    name = f"elicitation-{content_key([one.key for one in truth])[:10]}"
    first = [_ask(one, one.question, "direct") for one in truth]
    first += [_ask(one, say_question(one.question), "say") for one in truth]
    with show_progress(progress, "compare_elicitation()") as report:
        answers = respondents.ask_many(first, survey=name, wave=1, progress=report)
        direct, said = answers[: len(truth)], answers[len(truth) :]
        mapped = _mapped(respondents, truth, said, name, report)
    people = [one.user_id for one in truth]
    resampling = Resampling.of(people, [one.conversation for one in truth])
    arms = [_Arm("direct", truth, direct), _Arm("say_then_map", truth, mapped)]
    one, other = (arm.statistics for arm in arms)
    return ElicitationComparison(
        direct=arms[0].measured(resampling),
        say_then_map=arms[1].measured(resampling),
        accuracy_difference=resampling.difference(other[0], one[0], ratio)[0],
        log_score_difference=resampling.difference(other[1], one[1], ratio)[0],
        people=len(set(people)),
        runs=tuple(respondents.names(name, 2)),
    )


def _ask(one: Interaction, asked: Question, item: str) -> Ask:
    return Ask(respondent=one.user_id, question=one.key, stage="answer", item=item, asked=asked)


def _mapped(
    respondents: StoreRespondents,
    truth: Sequence[Interaction],
    said: Sequence[PartReply | Failure],
    survey: str,
    progress: Progress,
) -> list[PartReply | Failure]:
    """Map what was said onto the options; where nothing was said, the failure stays."""
    asks = [
        _ask(one, map_question(one.question, one.user_id, str(words.action)), "map")
        for one, words in zip(truth, said, strict=True)
        if isinstance(words, PartReply)
    ]
    if not asks:
        return list(said)
    found = iter(respondents.ask_many(asks, survey=survey, wave=2, progress=progress))
    return [next(found) if isinstance(words, PartReply) else words for words in said]


@dataclass(frozen=True, slots=True)
class _Arm:
    """One mode's answers beside the true ones."""

    mode: Mode
    truth: Sequence[Interaction]
    given: Sequence[PartReply | Failure]

    @property
    def statistics(self) -> tuple[FloatArray, FloatArray]:
        """Sums and counts of accuracy and log score per answer. Shape of each `(n, 2)`."""
        predictions = [
            Prediction(action=str(one.action), probabilities=dict(one.probabilities))
            if isinstance(one, PartReply)
            else Prediction(action=None)
            for one in self.given
        ]
        accuracy, log_score = (
            metric.statistics(self.truth, predictions) for metric in (ACCURACY, LOG_SCORE)
        )
        return accuracy, log_score

    def measured(self, resampling: Resampling) -> Elicitation:
        accuracy, log_score = self.statistics
        return Elicitation(
            mode=self.mode,
            n=len(self.truth),
            correct=int(accuracy[:, 0].sum()),
            accuracy=resampling.estimate(accuracy, ratio),
            log_score=resampling.estimate(log_score, ratio),
            failed=sum(isinstance(one, Failure) for one in self.given),
        )
