"""Indistinguishability: what is drawn, who reads it, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import pytest

from tests.fixtures.recon_engine import OverlapEngine, pair
from usersim.config import GuardConfig, HistoryConfig, PipelineConfig, RewardConfig
from usersim.engines import Draw, Score
from usersim.errors import ConfigError
from usersim.recon import indistinguishability, reward
from usersim.recon.fidelity import Trial
from usersim.simulator.rewards import Rewards
from usersim.types import (
    Candidate,
    Case,
    Choice,
    Interaction,
    Leakage,
    ScoredCandidate,
    TracePrompt,
    TraceScores,
)

VIEW = HistoryConfig()
TRUE = "sorry, buried in work till 3"
PAST = (pair("of course!! tonight", context="Photos?", key="past", position=1),)


@dataclass
class Reader(OverlapEngine):
    """Finds the reply that holds `mark` with probability 0.9; without one, the first with 0.6."""

    mark: str = "!!"
    asked: list[str] = field(default_factory=list)

    def _score(self, request) -> Score:
        text = request.prompt[-1][1]
        if "Reply 1: " not in text:
            return super()._score(request)
        self.asked.append(text)
        replies = [text.split(f"Reply {i}: ")[1].splitlines()[0] for i in (1, 2)]
        marked = [i for i, reply in enumerate(replies) if self.mark in reply]
        likely = {marked[0]: 0.9, 1 - marked[0]: 0.1} if len(marked) == 1 else {0: 0.6, 1: 0.4}
        return Score((log(likely[int(request.continuation) - 1]),))


def replying(text: str) -> OverlapEngine:
    """A reconstructor that always replies `text`."""
    return OverlapEngine(draw=lambda r, i: Draw(text=text, finish="stop", n_tokens=4))


def _trial(interaction: Interaction, *reasonings: str) -> Trial:
    return Trial(case=Case(interaction, PAST), reasonings=reasonings, view=VIEW)


def values(reply: str, *, action: object = TRUE, reasonings=("Work piles up.",), **how):
    """The values of one interaction's traces, and who read."""
    reader = Reader(**how)
    trial = _trial(pair(action, context="Lunch?"), *reasonings)
    (found,) = indistinguishability(replying(reply), reader, [trial], seed=0, temperature=0.7)
    return found, reader


def test_a_reply_that_passes_is_worth_more_than_one_that_does_not() -> None:
    """The value is the probability that the reader takes the drawn reply for the person's."""
    assert values("gladly!! see you")[0] == pytest.approx((0.9,))
    assert values("no", action="no!! way")[0] == pytest.approx((0.1,))


def test_a_liking_for_a_place_cancels_out() -> None:
    """Both orders are asked: a reader that cannot tell gives one half, whatever place it likes."""
    found, reader = values("perhaps later")
    assert found == pytest.approx((0.5,))
    assert len(reader.asked) == 4
    assert len(set(reader.asked)) == 2


def test_the_reader_is_shown_the_person_s_other_actions_and_not_which_is_true() -> None:
    """It knows the person by what they did before."""
    _, reader = values("perhaps later")
    assert all("of course!! tonight" in text and "Lunch?" in text for text in reader.asked)
    assert {text.count(TRUE) for text in reader.asked} == {1}


def test_the_same_reply_cannot_be_told_apart_and_none_is_worth_nothing() -> None:
    """Equal replies are worth 0.5 without asking; a draw that cannot be read is worth 0."""
    same, reader = values(TRUE)
    assert same == (0.5,)
    assert reader.asked == []
    assert values("a <think> tag")[0] == (0.0,)


def test_the_reply_is_drawn_after_the_masked_trace() -> None:
    """A quotation is blanked before the reconstructor sees it, so that it does not pay."""
    engine = replying("perhaps later")
    quoting = f'I said "{TRUE}" again.'
    trial = _trial(pair(TRUE, context="Lunch?"), "Work piles up.", quoting)
    indistinguishability(engine, Reader(), [trial], seed=0, temperature=0.7)
    first, second = engine.generated[0]
    assert "Work piles up." in first.prefix
    assert TRUE not in second.prefix
    assert first.seed != second.seed


def test_closed_questions_have_none_and_ask_nobody() -> None:
    """Items of other kinds keep their places between items in words."""
    closed = _trial(pair("tea", Choice(("tea", "milk"))), "I am thirsty.", "It is hot.")
    words = _trial(pair(TRUE, context="Lunch?"), "Work piles up.")
    engine, reader = replying("gladly!!"), Reader()
    found = indistinguishability(engine, reader, [closed, words, closed], seed=0, temperature=0.7)
    assert found == [(None, None), pytest.approx((0.9,)), (None, None)]
    alone = replying("gladly!!")
    indistinguishability(alone, reader, [closed], seed=0, temperature=0.7)
    assert alone.generated == []


def _scored(gain: float) -> ScoredCandidate:
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key="k",
            direction="forward",
            draw=0,
            reasoning="Work piles up.",
            complete=True,
            model="m",
            prompt_id="p",
            seed=0,
            n_tokens=5,
        ),
        scores=TraceScores(
            scorer="s@1", unit="nats", raw_gain=0, masked_gain=gain, reported_gain=gain
        ),
        leakage=Leakage(),
    )


def test_it_stands_beside_the_gain_with_a_weight_of_its_own() -> None:
    """Off by default; with weights both count, and either can be left out."""

    def worth(config: RewardConfig, indistinct: float | None = 0.8) -> float:
        made = reward(_scored(0.4), config, GuardConfig(), max_tokens=20, indistinct=indistinct)
        return made.reward

    assert worth(RewardConfig()) == pytest.approx(0.4)
    assert worth(RewardConfig(indistinguishability=0.5)) == pytest.approx(0.8)
    assert worth(RewardConfig(gain=0.0, indistinguishability=1.0)) == pytest.approx(0.8)
    assert worth(RewardConfig(indistinguishability=1.0), None) == pytest.approx(0.4)


def _rewards(config: RewardConfig, second: Reader | None = None) -> Rewards:
    case = Case(pair(TRUE, context="Lunch?", key="k"), PAST)

    def draw(request, index: int) -> Draw:
        thinks = request.prefix.count("<think>") == 1 and "</think>" not in request.prefix
        text = f"Work piles up {'at home' if index else 'here'}." if thinks else "gladly!! see you"
        return Draw(text=text, finish="stop", n_tokens=4, mean_logprob=-1.0)

    return Rewards(
        engine=OverlapEngine(draw=draw),
        config=PipelineConfig().model_copy(update={"reward": config}),
        cases={"k": case},
        second=second,
    )


def test_the_rewards_of_a_training_ask_the_reader_that_was_chosen() -> None:
    """The second model reads where it is named, every trace carries the figure, and both count."""
    config = RewardConfig(gain=0.0, indistinguishability=1.0, reader="second")
    reader = Reader()
    rewards = _rewards(config, reader)
    prompt = TracePrompt(key="k", user_id="ada", direction="forward", messages=(("user", "?"),))
    ((first, second),) = rewards([prompt], adapter=None, n=2, seed=3)
    assert reader.asked
    for made in (first, second):
        assert made.components["indistinct"] == pytest.approx(0.9)
        soft = made.components["soft_leak"]
        assert made.reward == pytest.approx(0.9 + soft + made.components["hard_leak"])
    assert rewards.measure([prompt], None, 1).reward == pytest.approx(first.reward, abs=0.6)
    assert rewards.identity != _rewards(RewardConfig(gain=0.0)).identity


def test_a_second_reader_that_is_not_there_is_an_error_at_once() -> None:
    """Named before anything is drawn, and only where the reward needs it."""
    with pytest.raises(ConfigError, match="needs a second reconstructor"):
        _rewards(RewardConfig(indistinguishability=1.0, reader="second"))
    _rewards(RewardConfig(reader="second"))
