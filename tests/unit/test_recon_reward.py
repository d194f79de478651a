"""The reconstruction reward and the pairs that DPO learns from."""

from __future__ import annotations

import pytest

from usersim.config import GuardConfig, RewardConfig
from usersim.recon import best_in, preferences, reward
from usersim.types import (
    Candidate,
    Direction,
    Leakage,
    ScoredCandidate,
    TracePrompt,
    TraceScores,
)

GUARDS, REWARD = GuardConfig(), RewardConfig()
LEAK = Leakage(asserts_option=True, reasons=("L1 option: the chosen option is named",))
PROMPTS: dict[Direction, TracePrompt] = {
    direction: TracePrompt(key="k", user_id="ada", direction=direction, messages=(("user", "?"),))
    for direction in ("forward", "backward")
}


def one(
    gain: float,
    *,
    leakage: Leakage = Leakage(),  # noqa: B008 - frozen
    complete: bool = True,
    tokens: int = 10,
    direction: Direction = "forward",
    text: str = "",
) -> ScoredCandidate:
    """Return a scored candidate."""
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key="k",
            direction=direction,
            draw=0,
            reasoning=text or f"a thought worth {gain}",
            complete=complete,
            model="m",
            prompt_id="p",
            seed=0,
            n_tokens=tokens,
        ),
        scores=TraceScores(
            scorer="s@1", unit="nats", raw_gain=9.0, masked_gain=gain, reported_gain=gain
        ),
        leakage=leakage,
    )


def worth(scored: ScoredCandidate) -> float:
    """Return its reward at 20 tokens at the most."""
    return reward(scored, REWARD, GUARDS, max_tokens=20).reward


def test_a_clean_trace_is_worth_its_masked_gain() -> None:
    """The masked gain counts, not the raw one, within its bounds."""
    assert worth(one(0.4)) == pytest.approx(0.4)
    assert worth(one(7.0)) == pytest.approx(2.0)
    assert worth(one(-7.0)) == pytest.approx(-1.0)


def test_what_cannot_be_read_is_worth_the_least() -> None:
    """A malformed trace gets its own reward, whatever its score."""
    assert worth(one(1.9, complete=False)) == -1.0
    assert not reward(one(1.9, complete=False), REWARD, GUARDS, max_tokens=20).readable


def test_leaks_cost() -> None:
    """A hard guard costs 1, a trace-only share costs half of itself."""
    assert worth(one(1.5, leakage=LEAK)) == pytest.approx(0.5)
    assert worth(one(1.5, leakage=Leakage(plausibility=-3.0))) == pytest.approx(0.5)
    assert worth(one(0.8, leakage=Leakage(trace_only_share=0.6))) == pytest.approx(0.5)


@pytest.mark.parametrize(("tokens", "penalty"), [(15, 0.0), (18, 0.06), (20, 0.1)])
def test_length_costs_from_three_quarters_of_the_limit_on(tokens: int, penalty: float) -> None:
    """The penalty grows linearly to its full size at the limit, where the draw counts as cut."""
    found = reward(one(0.0, tokens=tokens), REWARD, GUARDS, max_tokens=20)
    assert found.reward == pytest.approx(-penalty)
    assert found.cut == (tokens == 20)


def test_the_parts_add_up_and_are_all_told() -> None:
    """The components of a reward sum to it, and the guards that spoke are named."""
    found = reward(one(1.2, leakage=LEAK, tokens=19), REWARD, GUARDS, max_tokens=20)
    parts = [found.components[n] for n in ("clipped_gain", "hard_leak", "soft_leak", "overlength")]
    assert sum(parts) == pytest.approx(found.reward) == found.components["reward"]
    assert (found.components["L1"], found.components["L4"]) == (1.0, 0.0)


def test_the_best_is_set_against_the_worst_and_against_the_lure() -> None:
    """A valid trace with gain is paired with the worst valid one and the best leaking one."""
    scored = [
        one(0.9, text="best"),
        one(0.2, text="middle"),
        one(-0.3, text="worst"),
        one(1.5, text="lure", leakage=LEAK),
        one(1.1, text="weaker lure", leakage=LEAK),
    ]
    pairs = preferences(scored, PROMPTS, GUARDS)
    assert [(p.chosen, p.rejected, p.why) for p in pairs] == [
        ("best", "worst", "gain"),
        ("best", "lure", "leak"),
    ]
    assert {p.prompt.direction for p in pairs} == {"forward"}


def test_a_forward_trace_never_stands_against_a_backward_one() -> None:
    """Both traces of a pair answer the same prompt."""
    scored = [one(0.9, text="clear"), one(-0.5, text="poor", direction="backward")]
    assert preferences(scored, PROMPTS, GUARDS) == []


@pytest.mark.parametrize("gain", [-0.1, 0.0])
def test_without_a_trace_that_helps_there_is_no_pair(gain: float) -> None:
    """Where nothing reconstructs better than no trace, nothing is preferred."""
    scored = [one(gain, text="a"), one(-1.0, text="b"), one(1.0, text="c", leakage=LEAK)]
    assert best_in("forward", scored, GUARDS) is None
    assert preferences(scored, PROMPTS, GUARDS) == []
