"""A language model as the judge of two arms: which answer is closer to what the person said.

Optional, and second to the likelihood: a judge has a taste of its own, so its reliability is
reported beside its verdicts. Knows evaluations and engines; knows nothing of how arms predict.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from usersim.config import HistoryConfig
from usersim.engines.base import Engine, GenerateRequest
from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval, WinRate, ratio, win_rate
from usersim.evaluation.results import Evaluation
from usersim.prompts import judge_pair_prompt
from usersim.types import FreeText, Interaction, Prediction
from usersim.views import Progress, in_words, printed

__all__ = ["Judgment", "PairJudge", "check_judge", "read_choice"]

_CHOICE = re.compile(r"\W*(?:(?:reply|answer|number)\b)?\W*([012])\W*", re.IGNORECASE)
_OPENED, _CLOSED = "<think>", "</think>"
_FIRST, _SECOND = 1, 2


def check_judge(judge: str, selected_by: Collection[str], *, same_judge: bool = False) -> None:
    """Refuse a judge that also selected the traces that the arms learned from.

    Traces chosen to please a model please it again: its verdict then measures the selection, not
    the person.

    Args:
        judge: Identity of the judge's engine.
        selected_by: Identities of the engines whose taste chose traces (scorer
            `judge_listwise`); empty if no judge did.
        same_judge: Allow it all the same.

    Raises:
        EvaluationError: If the judge is one of them.

    Example:
        >>> check_judge("model-a", ["model-b"])
        >>> check_judge("model-a", ["model-a"], same_judge=True)
    """
    if judge in selected_by and not same_judge:
        raise EvaluationError(
            f"the judge {judge!r} also selected the traces that are judged",
            hint="judge with a model of another family, or pass same_judge=True and report it",
            cli_hint="pass --judge a model of another family",
        )


def read_choice(text: str) -> int | None:
    """Return the number of the reply that a judge chose, 0 for neither; None if it is none.

    Only a reply that is the number alone counts: a sentence that holds one may mean the other.
    Reasoning that was not closed holds no answer yet.

    Example:
        >>> read_choice("2"), read_choice("**Reply 1.**"), read_choice("1 is worse than 2")
        (2, 1, None)
        >>> read_choice("<think>It is 1"), read_choice("<think>Hm.</think> 0")
        (None, 0)
    """
    answer = text.rpartition(_CLOSED)[2]
    if _OPENED in answer:
        return None
    found = _CHOICE.fullmatch(answer.strip())
    return int(found[1]) if found else None


@printed(in_words)
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgment:
    """What a judge said of two arms, and how far it can be trusted.

    Attributes:
        arm: The arm.
        baseline: What it is compared with.
        judge: Identity of the judge's engine.
        outcomes: Per item +1 the arm won, 0 tie, -1 it lost, NaN not judged. Shape `(n,)`.
        win_rate: How often the arm won; a pair is won only if both orders say so, and is a tie
            otherwise.
        agreement: Share of pairs in which both orders agree, of those with two readable replies.
        first_place: Share of the replies for either answer that chose the one shown first; one
            half without a liking for a place.
        repeat_agreement: Share of replies that were the same the second time, of those readable
            twice; None if nothing was asked twice.
        n_judged: Pairs that the judge was shown.
        n_same: Pairs of equal answers, ties without being shown.
        n_missing: Pairs in which an arm gave no answer: lost by that arm, a tie if both did.
        n_unreadable: Pairs with a reply that could not be read; ties.
    """

    arm: str
    baseline: str
    judge: str
    outcomes: FloatArray
    win_rate: WinRate
    agreement: Interval
    first_place: Interval
    repeat_agreement: Interval | None
    n_judged: int
    n_same: int
    n_missing: int
    n_unreadable: int

    def __str__(self) -> str:
        rate = self.win_rate
        again = f", with itself {self.repeat_agreement}" if self.repeat_agreement else ""
        return (
            f"{self.arm} against {self.baseline}: wins {rate.all} ({rate.wins} won, {rate.ties} "
            f"tied, {rate.losses} lost); the judge {self.judge!r} agrees with itself in the other "
            f"order {self.agreement}{again}, chose the first place {self.first_place}; "
            f"{self.n_unreadable} of {self.n_judged} pairs unreadable"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairJudge:
    """Compares the free-text answers of two arms with what the person said.

    Every pair is shown twice, in both orders, so that a liking for the first place becomes a
    tie. Closed questions are left out: their scores are exact, and need no judge.

    Attributes:
        engine: The judge; it generates text only.
        selected_by: Identities of the engines whose taste chose the arms' traces; empty if no
            judge did. Such a judge is refused.
        same_judge: Allow it all the same.
        repeat: Ask everything a second time, with the next seed.
        temperature: Of the judge; at 0 a repetition finds only what a server does not reproduce.
        max_tokens: Of a reply; a judge that reasons first needs some hundreds.
        seed: Seed of its replies.
        view: Character limits of what it is shown.
    """

    engine: Engine
    selected_by: Collection[str]
    same_judge: bool = False
    repeat: bool = False
    temperature: float = 0.0
    max_tokens: int = 16
    seed: int = 0
    view: HistoryConfig = HistoryConfig()

    def compare(
        self,
        evaluation: Evaluation,
        arm: str,
        baseline: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Judgment:
        """Judge one arm against another on the items of an evaluation.

        Args:
            evaluation: Holds the answers; its resamples make the intervals.
            arm: The arm.
            baseline: What it is compared with; None takes the evaluation's own.
            progress: Called with (stage, replies read, replies in all).

        Returns:
            Win rate and reliability.

        Raises:
            EvaluationError: If the judge also selected, there is no such arm or nothing to
                judge, or if an arm's answers were not drawn.
        """
        check_judge(self.engine.identity, self.selected_by, same_judge=self.same_judge)
        against = evaluation.baseline if baseline is None else baseline
        places = [n for n, i in enumerate(evaluation.interactions) if isinstance(i.space, FreeText)]
        first, second = (_answers(evaluation, name, places) for name in (arm, against))
        outcomes = np.full(len(evaluation.interactions), np.nan)
        outcomes[places] = [
            float(bool(a)) - float(bool(b)) for a, b in zip(first, second, strict=True)
        ]
        pairs = list(zip(places, first, second, strict=True))
        shown = [pair for pair in pairs if pair[1] and pair[2] and pair[1] != pair[2]]
        replies = self._ask(evaluation, shown, progress)
        verdicts = replies[0]
        told = [n for n, _, _ in shown]
        outcomes[told] = [_outcome(one) for one in verdicts]
        sampling = evaluation.resampling

        def share(rows: Sequence[tuple[float, float]]) -> Interval:
            whole = np.zeros((len(outcomes), 2))
            whole[told] = np.array(rows, dtype=np.float64).reshape(-1, 2)
            return sampling.estimate(whole, ratio)

        return Judgment(
            arm=arm,
            baseline=against,
            judge=self.engine.identity,
            outcomes=outcomes,
            win_rate=win_rate(outcomes, sampling),
            agreement=share([_agreement(one) for one in verdicts]),
            first_place=share([_first_place(one) for one in verdicts]),
            repeat_agreement=share([_repeated(*two) for two in zip(*replies, strict=True)])
            if self.repeat
            else None,
            n_judged=len(shown),
            n_same=sum(bool(a) and a == b for _, a, b in pairs),
            n_missing=sum(not a or not b for _, a, b in pairs),
            n_unreadable=sum(None in one for one in verdicts),
        )

    def _ask(
        self,
        evaluation: Evaluation,
        shown: Sequence[tuple[int, str, str]],
        progress: Progress | None,
    ) -> list[list[_Verdict]]:
        """Return the two choices on each pair, once or twice."""
        seeds = [self.seed, self.seed + 1] if self.repeat else [self.seed]
        requests = [
            self._request(evaluation.interactions[place], texts, seed)
            for seed in seeds
            for place, mine, other in shown
            for texts in ((mine, other), (other, mine))
        ]
        draws = self.engine.generate(requests, progress=progress) if requests else []
        read = [read_choice(draw[0].text) for draw in draws]
        found = list(zip(read[::2], read[1::2], strict=True))
        return [found[k * len(shown) : (k + 1) * len(shown)] for k in range(len(seeds))]

    def _request(self, item: Interaction, replies: tuple[str, str], seed: int) -> GenerateRequest:
        return GenerateRequest(
            prompt=judge_pair_prompt(
                item.user_id, item.question, item.action_text, replies, config=self.view
            ),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            pattern="[012]" if self.engine.capabilities.structured else "",
            seed=seed,
        )


_Verdict = tuple[int | None, int | None]
"""What was chosen with the arm shown first, and with the arm shown second."""


def _answers(evaluation: Evaluation, arm: str, places: Sequence[int]) -> list[str]:
    """Return an arm's answers on one line each; "" where it gave none.

    Raises:
        EvaluationError: If there is no such arm, nothing to judge, or no answer at all.
    """
    if arm not in evaluation.predictions:
        raise EvaluationError(f"no arm {arm!r}", hint=f"arms: {list(evaluation.predictions)!r}")
    if not places:
        raise EvaluationError(
            f"none of the {len(evaluation.interactions)} items has a free-text answer to judge",
            hint="closed questions have exact scores; they need no judge",
        )
    predictions = [evaluation.predictions[arm][n] for n in places]
    found = [_text(one) for one in predictions]
    if not any(found):
        raise EvaluationError(
            f"arm {arm!r} has no answer to judge: all {len(found)} are empty",
            hint="its answers were not drawn; a judge needs an arm that writes",
        )
    return found


def _text(prediction: Prediction) -> str:
    return " ".join((prediction.action or "").split())


def _outcome(verdict: _Verdict) -> float:
    """Return +1 or -1 where both orders name the same arm, 0 otherwise."""
    return float(verdict == (_FIRST, _SECOND)) - float(verdict == (_SECOND, _FIRST))


def _agreement(verdict: _Verdict) -> tuple[float, float]:
    """Return whether both orders say the same, and whether both can be read."""
    same = verdict in {(_FIRST, _SECOND), (_SECOND, _FIRST), (0, 0)}
    return float(same), float(None not in verdict)


def _first_place(verdict: _Verdict) -> tuple[float, float]:
    """Return how many of the two replies chose the first place, and how many chose a place."""
    return float(verdict.count(_FIRST)), float(verdict.count(_FIRST) + verdict.count(_SECOND))


def _repeated(first: _Verdict, second: _Verdict) -> tuple[float, float]:
    """Return how many of the two replies stayed the same, and how many could be read twice."""
    twice = [(a, b) for a, b in zip(first, second, strict=True) if None not in {a, b}]
    return float(sum(a == b for a, b in twice)), float(len(twice))
