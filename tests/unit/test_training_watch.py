"""What a reader is told before trusting a synthesizer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from usersim.training.rollouts import step_figures
from usersim.training.schedule import TraceEvaluation, best_evaluation, stalled
from usersim.training.watch import suspicions
from usersim.types import RewardedTrace

BEFORE = TraceEvaluation(
    step=0, gain=0.1, second_gain=0.05, reward=0.0, malformed=0.0, refused=0.1, n=20
)
RISING = [{"reward": 0.1 * n} for n in range(9)]


def test_a_healthy_run_raises_no_suspicion() -> None:
    """A reward that rises with both reconstructors is not flagged."""
    after = replace(BEFORE, step=9, gain=0.3, second_gain=0.2)
    assert suspicions(BEFORE, [after], RISING) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"second_gain": 0.01}, "second reconstructor's gain fell"),
        ({"gain": 0.02, "second_gain": 0.2}, "held-out gain fell"),
        ({"gain": 0.3, "second_gain": 0.2, "refused": 0.5}, "guards reject more"),
    ],
)
def test_a_reward_that_rises_alone_is_flagged_in_words(
    change: dict[str, float], words: str
) -> None:
    """Each way in which the score can be pleased without its purpose has its sentence."""
    (found,) = suspicions(BEFORE, [replace(BEFORE, step=9, **{"gain": 0.3, **change})], RISING)
    assert words in found


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"flat_groups": 0.9}, "90 % of the groups"),
        ({"malformed": 0.8}, "80 % of the last traces"),
        ({"kl": 2.0}, "by 2.00 nats per token"),
    ],
)
def test_steps_that_teach_nothing_are_flagged(figures: dict[str, float], words: str) -> None:
    """Flat groups, unreadable traces and a synthesizer that ran away are named with their size."""
    (found,) = suspicions(None, [], [figures])
    assert words in found


def test_a_falling_reward_is_no_reward_hacking() -> None:
    """What falls together is a failure to learn, and the held-out figures say it already."""
    falling = [{"reward": -0.1 * n} for n in range(9)]
    assert suspicions(BEFORE, [replace(BEFORE, gain=0.0, second_gain=0.0)], falling) == []


def test_the_second_reconstructor_decides_where_there_is_one() -> None:
    """The best state and the end of a run follow the reconstructor that gave no reward (L8)."""
    found = [
        replace(BEFORE, step=step, gain=gain, second_gain=second)
        for step, gain, second in [(1, 0.2, 0.2), (2, 0.5, 0.1), (3, 0.9, 0.1)]
    ]
    assert best_evaluation(found) is found[0]
    assert stalled(found, {1, 2, 3})
    alone = [replace(one, second_gain=None) for one in found]
    assert best_evaluation(alone) is alone[2]
    assert not stalled(alone, {1, 2, 3})


def test_the_figures_of_a_step_are_means_and_spreads() -> None:
    """A component counts over the traces that have it; a group without spread is counted."""

    def trace(value: float, **more: float) -> RewardedTrace:
        return RewardedTrace(
            reasoning="x",
            reward=value,
            components={"reward": value, **more},
            cut=False,
            readable=True,
        )

    found = step_figures([[trace(0.0, share=1.0), trace(1.0)], [trace(0.5), trace(0.5)]])
    assert found["reward"] == 0.5
    assert found["share"] == 1.0
    assert found["spread"] == 0.25
    assert found["flat_groups"] == 0.5
    assert found["traces"] == 4.0
