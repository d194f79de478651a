"""Selection, the other arms, and the explanation of a decision."""

from __future__ import annotations

import pytest

from tests.fixtures.recon_engine import pair
from usersim.config import GuardConfig
from usersim.errors import ScoringError
from usersim.recon.arms import (
    best_eligible,
    first_backward,
    guarded_backward,
    longest,
    oracle,
    positive_gain,
    random_eligible,
    random_of,
)
from usersim.recon.leakage import copying, refusals
from usersim.recon.selection import explain, select
from usersim.types import Candidate, Direction, Leakage, ScoredCandidate, TraceScores

GUARDS = GuardConfig()
CLEAN = Leakage(plausibility=0.0)


def _one(
    index: int,
    gain: float,
    *,
    leakage: Leakage = CLEAN,
    direction: Direction = "forward",
    complete: bool = True,
    reasoning: str = "",
    key: str = "k",
) -> ScoredCandidate:
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key=key,
            direction=direction,
            draw=index,
            reasoning=reasoning or f"thought number {index}",
            complete=complete,
            model="m",
            prompt_id="p",
            seed=0,
        ),
        scores=TraceScores(
            scorer="loglik_gain@1",
            unit="nats",
            raw_gain=gain + 1,
            masked_gain=gain,
            reported_gain=gain,
            components={"loglik": -1.0},
        ),
        leakage=leakage,
    )


LEAK = Leakage(asserts_option=True)
POSITIVE = GuardConfig(empty_without_gain=True)


def test_the_largest_masked_gain_among_valid_candidates_is_kept() -> None:
    """A leaking candidate with a larger gain is refused, a smaller gain is not kept."""
    scored = [_one(0, 0.1), _one(1, 0.9, leakage=LEAK), _one(2, 0.3)]
    chosen = select(scored, GUARDS)
    assert chosen.kept == scored[2].candidate.key
    assert chosen.verdicts[scored[1].candidate.key].startswith("rejected: L1 option")
    assert "is not the largest" in chosen.verdicts[scored[0].candidate.key]
    assert "best of 2 valid candidates (of 3): masked gain +0.300" in chosen.reason


def test_the_best_valid_candidate_is_kept_whatever_the_sign_of_its_gain() -> None:
    """Among losses the smallest is kept; a leak that gains does not take its place."""
    scored = [_one(0, -0.4), _one(1, -0.1), _one(2, 0.9, leakage=LEAK)]
    chosen = select(scored, GUARDS)
    assert chosen.kept == scored[1].candidate.key
    assert "best of 2 valid candidates (of 3): masked gain -0.100" in chosen.reason
    assert "is not the largest" in chosen.verdicts[scored[0].candidate.key]


def test_the_empty_trace_is_kept_only_where_no_candidate_is_valid() -> None:
    """A leak and an unreadable draw leave nothing to keep, and the reason says so."""
    chosen = select([_one(0, 0.9, leakage=LEAK), _one(1, 0.5, complete=False)], GUARDS)
    assert chosen.kept is None
    assert chosen.reason == "empty trace: none of 2 candidates is valid"


def test_with_the_option_the_empty_trace_is_kept_without_a_positive_gain() -> None:
    """No valid candidate helps: the reason says so in numbers."""
    chosen = select([_one(0, -0.1), _one(1, 0.5, complete=False)], POSITIVE)
    assert chosen.kept is None
    assert chosen.reason.startswith("empty trace: none of 1 valid candidates (of 2)")
    verdicts = sorted(chosen.verdicts.values())
    assert verdicts[0] == "not kept: masked gain -0.100 is not positive"
    assert verdicts[1].startswith("rejected: only an answer, unreadable")


def test_with_the_option_a_gain_of_nothing_is_no_reason_to_keep_a_trace() -> None:
    """A trace that makes the action exactly as probable as without it is not kept then."""
    assert select([_one(0, 0.0)], POSITIVE).kept is None
    assert select([_one(0, 0.0)], GUARDS).kept is not None


def test_stored_decisions_of_the_former_rule_are_not_taken_for_the_new_one() -> None:
    """The option is part of the settings' key, under which decisions are stored."""
    assert GUARDS.key != POSITIVE.key


def test_unknown_plausibility_is_that_of_a_forward_trace() -> None:
    """A trace without a plausibility stands between one below and one above 0."""
    scored = [
        _one(0, 0.1, leakage=Leakage(plausibility=-0.5)),
        _one(1, 0.1, leakage=Leakage(plausibility=None)),
        _one(2, 0.1, leakage=Leakage(plausibility=0.5)),
    ]
    weighted = GUARDS.model_copy(update={"plausibility_weight": 1.0})
    below, unknown, above = (
        select(scored, weighted).utilities[one.candidate.key] for one in scored
    )
    assert below < unknown < above


def test_a_trace_that_works_without_its_context_is_charged() -> None:
    """The soft leak penalty can turn a choice between near equals."""
    scored = [
        _one(0, 0.31, leakage=Leakage(trace_only_share=1.0, plausibility=0.0)),
        _one(1, 0.30),
        _one(2, 0.29),
        _one(3, 0.28),
    ]
    strict = GuardConfig(leak_penalty=3)
    assert select(scored, strict).kept == scored[1].candidate.key
    assert select(scored, GuardConfig(leak_penalty=0)).kept == scored[0].candidate.key


def test_plausibility_has_a_weight_of_its_own() -> None:
    """Between candidates of equal gain the more plausible is kept."""
    scored = [_one(0, 0.3, leakage=Leakage(plausibility=-0.8)), _one(1, 0.3)]
    assert select(scored, GUARDS).kept == scored[1].candidate.key


def test_a_stored_verdict_does_not_bind_another_threshold() -> None:
    """Selection judges the numbers, not the reasons that were stored with them."""
    stored = Leakage(longest_run=9, reasons=("L1 copy: stored",))
    scored = [_one(0, 0.4, leakage=stored)]
    assert select(scored, GUARDS).kept is None
    assert select(scored, GuardConfig(copy_run=10)).kept == scored[0].candidate.key


@pytest.mark.parametrize(
    ("scored", "message"),
    [
        ([], r"got 0 of 0 interactions"),
        ([_one(0, 1), _one(1, 1, key="other")], r"got 2 of 2 interactions \['k', 'other'\]"),
    ],
)
def test_a_selection_is_of_one_interaction(scored: list[ScoredCandidate], message: str) -> None:
    """None, or candidates of several interactions, are refused."""
    with pytest.raises(ScoringError, match=message):
        select(scored, GUARDS)


def test_the_random_arms_are_reproducible_and_differ_in_their_pool() -> None:
    """The same seed keeps the same trace; only the eligible arm leaves out refused ones."""
    scored = [_one(i, 0.1, leakage=LEAK if i % 2 else Leakage()) for i in range(8)]
    of = {random_of(scored, seed).kept for seed in range(60)}
    eligible = {random_eligible(scored, GUARDS, seed).kept for seed in range(60)}
    assert of == {one.candidate.key for one in scored}
    assert eligible == {one.candidate.key for one in scored[::2]}
    assert random_of(scored, 3) == random_of(scored, 3)


@pytest.mark.parametrize("guards", [GuardConfig(), GuardConfig(empty_without_gain=True)])
def test_the_arms_of_the_two_rules_keep_theirs_whatever_the_option(guards: GuardConfig) -> None:
    """`best_eligible` keeps the least bad, `positive_gain` nothing where nothing gained."""
    gaining = [_one(0, -0.1), _one(1, 0.4), _one(2, 0.9, leakage=LEAK)]
    losing = [_one(0, -0.1), _one(1, -0.4), _one(2, 0.9, leakage=LEAK)]
    refused = [_one(0, 0.9, leakage=LEAK)]
    assert best_eligible(gaining, guards).kept == gaining[1].candidate.key
    assert positive_gain(gaining, guards).kept == gaining[1].candidate.key
    assert best_eligible(losing, guards).kept == losing[0].candidate.key
    assert positive_gain(losing, guards).kept is None
    assert best_eligible(refused, guards).kept is None
    assert positive_gain(refused, guards).kept is None


def test_the_backward_and_the_longest_arm_keep_by_their_rule() -> None:
    """The first readable backward candidate; the readable one with the most characters."""
    scored = [
        _one(0, 0.1, reasoning="short"),
        _one(1, 0.2, direction="backward", complete=False, reasoning="the longest of all" * 9),
        _one(2, -0.3, direction="backward", reasoning="a longer one"),
        _one(3, 0.9, direction="backward"),
    ]
    assert first_backward(scored).kept == scored[2].candidate.key
    assert longest(scored).kept == scored[3].candidate.key
    assert first_backward(scored).reason == "kept the first backward candidate (2 of 4)"


def test_guarded_backward_takes_the_first_backward_draw_past_the_guards() -> None:
    """A leak is passed over for the next draw, whatever their gains; with leaks alone none is."""
    guards = GuardConfig()
    scored = [
        _one(0, 0.9),
        _one(1, 0.8, direction="backward", leakage=LEAK),
        _one(2, -0.5, direction="backward"),
        _one(3, 0.7, direction="backward"),
    ]
    assert first_backward(scored).kept == scored[1].candidate.key
    assert guarded_backward(scored, guards).kept == scored[2].candidate.key
    assert guarded_backward(scored[:2], guards).kept is None


def test_an_arm_without_a_candidate_keeps_the_empty_trace() -> None:
    """The reason says what was wanted."""
    chosen = first_backward([_one(0, 0.1)])
    assert chosen.kept is None
    assert chosen.reason == ("empty trace: wanted the first backward candidate, which none of 1 is")


def test_the_oracle_quotes_the_action_and_the_guards_see_it() -> None:
    """The leak oracle's trace is refused by the guards that Recon uses."""
    item = pair("I would rather stay in")
    candidate, chosen = oracle(item)
    assert "I would rather stay in" in candidate.reasoning
    assert chosen.kept == candidate.key
    assert refusals(copying(item, candidate.reasoning), GUARDS)


def test_an_explanation_names_every_candidate_with_its_components() -> None:
    """The lines hold the decision, each text, verdict, gains, guards and components."""
    scored = [_one(0, 0.4), _one(1, 0.9, leakage=LEAK, direction="backward")]
    text = "\n".join(explain(select(scored, GUARDS), scored))
    for part in (
        "interaction k: kept the best of 1 valid",
        '"thought number 0"',
        "kept: the largest utility",
        "rejected: L1 option: the chosen option is named",
        "raw gain +1.400, masked gain +0.400, reported gain +0.400 (loglik_gain@1, nats)",
        "names the option: yes",
        "L3 trace-only share unknown, L4 plausibility 0.000",
        "loglik -1.000",
        f"backward 1  {scored[1].candidate.key[:12]}  by m",
    ):
        assert part in text
