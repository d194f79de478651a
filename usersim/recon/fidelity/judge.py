"""`judge_listwise`: one generated reconstruction a trace, ranked by a language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from usersim.engines import Engine, GenerateRequest
from usersim.errors import ScoringError
from usersim.prompts import judge_prompt
from usersim.recon.fidelity.base import Answers, Fidelity, ScoringPlan, Trial
from usersim.recon.fidelity.drawn import drawn_actions, drawn_text

__all__ = ["JudgeListwise", "read_ranking"]

_TOKENS_A_RANK = 6
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class JudgeListwise:
    """Gain in rank, by a judge that sees all reconstructions and the true action at once.

    One action is generated after the empty reasoning and after each trace. The judge ranks all
    of them on style, intent and values, in one call, and again with the list turned round; the
    two ranks of each are averaged, so that a liking for the first place cancels.

        gain(r) = (rank of the empty reasoning - rank of r) / (number of replies - 1)

    Unit: share of the list, -1 to 1. Requirements: text generation only.
    Source: the listwise mode of arXiv 2605.26969, with the empty reasoning added to the list.
    Relations: a judge's taste is not the person's; `LoglikGain` asks none.
    Edge trials: a reply of the judge that is no ranking of the whole list leaves the interaction
    unscored, never zero. Replies that cannot be read as an action share the last place.

    Attributes:
        judge: The model that ranks.
        seed: Seed of the reconstructions.
        temperature: Of the reconstructions.
    """

    judge: Engine
    seed: int = 0
    temperature: float = 0.7
    name: str = "judge_listwise@1"
    unit: str = "share of the list, -1 to 1"

    def check(self, engine: Engine) -> None:
        """Accept every engine: all of them generate."""

    def plan(self, trial: Trial) -> ScoringPlan:
        """Ask for one action after the empty reasoning and after each trace."""
        return drawn_actions(trial, n=1, seed=self.seed, temperature=self.temperature)

    def read(self, trial: Trial, answers: Answers) -> tuple[Fidelity, ...]:
        """Have the replies ranked and return each trace's gain in rank.

        Raises:
            ScoringError: If the judge's reply is not a ranking.
        """
        texts = [drawn_text(draws[0]) for draws in answers.draws]
        readable = [i for i, text in enumerate(texts) if text]
        ranks = [float(len(texts))] * len(texts)
        if len(readable) > 1:
            found = self._ranks(trial, [texts[i] for i in readable])
            for place, rank in zip(readable, found, strict=True):
                ranks[place] = rank
        elif readable:
            ranks[readable[0]] = 1.0
        none, *own = ranks
        size = max(1, len(texts) - 1)
        return tuple(
            Fidelity(
                gain=(none - rank) / size,
                reported_gain=(none - rank) / size,
                components={"rank": rank, "rank_none": none},
            )
            for rank in own
        )

    def _ranks(self, trial: Trial, texts: Sequence[str]) -> list[float]:
        """Return the mean rank of each text over both orders of the list, 1 for the best.

        Raises:
            ScoringError: If the judge's reply is not a ranking.
        """
        orders = (range(len(texts)), range(len(texts) - 1, -1, -1))
        one = trial.case.interaction
        requests = [
            GenerateRequest(
                prompt=judge_prompt(
                    one.user_id,
                    one.question,
                    one.action_text,
                    [texts[i] for i in order],
                    config=trial.view,
                ),
                max_tokens=_TOKENS_A_RANK * len(texts),
                temperature=0.0,
            )
            for order in orders
        ]
        totals = [0.0] * len(texts)
        for order, draws in zip(orders, self.judge.generate(requests), strict=True):
            ranking = read_ranking(draws[0].text, len(texts))
            if ranking is None:
                raise ScoringError(
                    f"the judge's reply {draws[0].text!r} is not a ranking of {len(texts)} replies"
                    f" (user {one.user_id!r}, interaction {one.key[:12]!r})",
                    hint="use a larger judge; the interaction is not scored",
                )
            for rank, number in enumerate(ranking, start=1):
                totals[order[number]] += rank / len(orders)
        return totals


def read_ranking(text: str, n: int) -> list[int] | None:
    """Return the places of a ranking, best first, 0-based; None if it is not one of all `n`.

    Example:
        >>> read_ranking("2 > 3 > 1", 3), read_ranking("2 > 3", 3), read_ranking("1, 1, 2", 3)
        ([1, 2, 0], None, None)
    """
    places = [int(number) - 1 for number in _NUMBER.findall(text)]
    return places if sorted(places) == list(range(n)) else None
