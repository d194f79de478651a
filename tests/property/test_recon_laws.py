"""Laws of Recon that hold for every input."""

from __future__ import annotations

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fixtures.recon_engine import OverlapEngine, pair
from usersim.config import GuardConfig, HistoryConfig, ScoringConfig
from usersim.engines import Draw
from usersim.recon.arms import (
    best_eligible,
    first_backward,
    guarded_backward,
    longest,
    positive_gain,
    random_eligible,
    random_of,
)
from usersim.recon.fidelity import brier, crps, ranked_probability_score
from usersim.recon.fidelity.base import Trial, measure
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.leakage import copying, mask, refusals
from usersim.recon.leakage.masking import BLANK
from usersim.recon.selection import rank_normal, select, verdict
from usersim.recon.synthesis import read_draw
from usersim.recon.words import find, ngrams, tokens
from usersim.types import (
    ActionSpace,
    Candidate,
    Case,
    Choice,
    FreeText,
    Leakage,
    Number,
    Scale,
    ScoredCandidate,
    TraceScores,
)

GUARDS = GuardConfig()
VIEW = HistoryConfig()
WORD = st.sampled_from(["sun", "rain", "tea", "bread", "river", "window", "walk", "seven"])
TEXT = st.lists(WORD, min_size=1, max_size=25).map(" ".join)
ANY_TEXT = st.text(max_size=60)
SPACES: list[tuple[ActionSpace, object]] = [
    (FreeText(), "I walk home slowly."),
    (Choice(("tea", "milk", "water", "juice")), "milk"),
    (Scale(("low", "middle", "high")), "high"),
    (Number(), 3.0),
]


@given(action=TEXT, trace=TEXT, context=TEXT)
def test_masking_removes_every_shared_trigram(action: str, trace: str, context: str) -> None:
    """No 3-gram of a masked trace stands in the action and not in the context."""
    item = pair(action, context=context)
    masked = mask(item, trace)
    own = ngrams(tokens(action), 3) - ngrams(tokens(context), 3)
    for piece in masked.split(BLANK):
        assert not ngrams(tokens(piece), 3) & own


@given(action=ANY_TEXT, trace=ANY_TEXT, context=ANY_TEXT)
def test_masking_is_stable_and_keeps_unblanked_text(action: str, trace: str, context: str) -> None:
    """Masking twice is masking once, and what is left of the trace is in its order."""
    assume(BLANK not in trace)
    item = pair(action, context=context)
    masked = mask(item, trace)
    assert mask(item, masked) == masked
    at = 0
    for piece in masked.split(BLANK):
        at = trace.index(piece, at) + len(piece)


@given(action=ANY_TEXT, before=TEXT, after=TEXT, context=TEXT)
def test_a_trace_that_states_the_action_is_always_refused(
    action: str, before: str, after: str, context: str
) -> None:
    """The action as a whole in a trace is refused, whatever stands around it and before it."""
    assume(action.strip())
    item = pair(action, context=context)
    assert refusals(copying(item, f"{before} {action} {after}"), GUARDS)


@given(action=TEXT, trace=TEXT, context=TEXT)
def test_an_unrelated_trace_is_never_refused(action: str, trace: str, context: str) -> None:
    """A trace that shares no word with the action passes L1 and is not masked."""
    other = " ".join(f"{word}x" for word in trace.split())
    item = pair(action, context=context)
    assert refusals(copying(item, other), GUARDS) == ()
    assert mask(item, other) == other


@given(st.sampled_from(SPACES), st.integers(1, 8))
def test_the_gain_of_the_empty_trace_is_zero(
    space_action: tuple[ActionSpace, object], orders: int
) -> None:
    """Equal inputs have equal scores: every scorer gives a trace equal to none the gain 0."""
    space, action = space_action
    engine = OverlapEngine(draw=lambda request, i: Draw(text=str(i), finish="end", n_tokens=1))
    case = Trial(case=Case(pair(action, space)), reasonings=("",), view=VIEW)
    scorer = scorer_for(space, ScoringConfig(option_orders=orders))
    (found,) = measure(engine, [case], [scorer])
    assert isinstance(found, tuple)
    assert found[0].gain == found[0].reported_gain == 0


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.data())
def test_proper_scores_are_best_for_certainty_in_the_truth(
    logits: list[float], data: st.DataObject
) -> None:
    """Brier and ranked probability scores are 0 for certainty in the truth, and never below."""
    chosen = data.draw(st.integers(0, len(logits) - 1))
    weights = [math.exp(x) for x in logits]
    probabilities = [w / sum(weights) for w in weights]
    certain = [float(k == chosen) for k in range(len(logits))]
    for score in (brier, ranked_probability_score):
        assert score(certain, chosen) == 0
        assert score(probabilities, chosen) >= 0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=8), st.integers(-50, 50))
def test_crps_of_a_certain_forecast_is_the_absolute_error(samples: list[int], y: int) -> None:
    """Equal draws give the absolute error; shifting draws and truth together changes nothing."""
    same = [float(samples[0])] * len(samples)
    assert crps(same, y) == abs(samples[0] - y)
    moved = crps([x + 7.0 for x in samples], y + 7.0)
    assert math.isclose(moved, crps([float(x) for x in samples], float(y)), abs_tol=1e-9)


@given(st.lists(st.floats(-10, 10), max_size=8))
def test_rank_normal_keeps_the_order_and_sums_to_zero(values: list[float]) -> None:
    """Normal scores are ordered as the values, equal for equal ones, and centered."""
    scores = rank_normal(values)
    for a, x in zip(values, scores, strict=True):
        for b, y in zip(values, scores, strict=True):
            assert (a < b) == (x < y)
    if len(set(values)) == len(values):
        assert math.isclose(sum(scores), 0, abs_tol=1e-9)


@st.composite
def candidates(draw: st.DrawFn) -> list[ScoredCandidate]:
    """Scored candidates of one interaction, of every kind."""
    found = []
    for index in range(draw(st.integers(1, 6))):
        gain = draw(st.floats(-2, 2))
        found.append(
            ScoredCandidate(
                candidate=Candidate(
                    interaction_key="k",
                    direction=draw(st.sampled_from(["forward", "backward"])),
                    draw=index,
                    reasoning=draw(st.sampled_from(["a thought", "a longer thought", " "])),
                    complete=draw(st.booleans()),
                    model="m",
                    prompt_id="p",
                    seed=0,
                ),
                scores=TraceScores(
                    scorer="s", unit="u", raw_gain=gain, masked_gain=gain, reported_gain=gain
                ),
                leakage=Leakage(
                    longest_run=draw(st.integers(0, 12)),
                    containment=draw(st.floats(0, 1)),
                    asserts_option=draw(st.booleans()),
                    plausibility=draw(st.none() | st.floats(-3, 1)),
                    trace_only_share=draw(st.none() | st.floats(0, 1)),
                ),
            )
        )
    return found


@given(candidates())
def test_selection_keeps_a_trace_whenever_one_is_valid(scored: list[ScoredCandidate]) -> None:
    """The kept one is valid and has the largest utility; none is kept only if none is valid."""
    chosen = select(scored, GUARDS)
    valid = [one.candidate.key for one in scored if not verdict(one, GUARDS)]
    assert (chosen.kept is None) == (not valid)
    if chosen.kept is not None:
        assert chosen.kept in valid
        assert chosen.utilities[chosen.kept] == max(chosen.utilities.values())


@given(candidates())
def test_the_former_rule_keeps_one_valid_readable_candidate_or_none(
    scored: list[ScoredCandidate],
) -> None:
    """What it keeps is among the candidates, valid, readable, and of positive masked gain."""
    chosen = select(scored, GUARDS.model_copy(update={"empty_without_gain": True}))
    by_key = {one.candidate.key: one for one in scored}
    assert set(chosen.verdicts) == set(by_key)
    valid = [one for one in scored if not verdict(one, GUARDS)]
    assert set(chosen.utilities) == {one.candidate.key for one in valid}
    if chosen.kept is None:
        assert all(one.scores.masked_gain <= 0 for one in valid)
    else:
        kept = by_key[chosen.kept]
        assert kept in valid
        assert kept.candidate.complete
        assert kept.scores.masked_gain > 0


@given(candidates(), st.integers(2, 12), st.floats(0.01, 1), st.floats(-3, 0))
def test_looser_guards_refuse_no_more(
    scored: list[ScoredCandidate], run: int, containment: float, floor: float
) -> None:
    """Validity is monotone in every threshold, and so is whether any trace is kept."""
    tight = GuardConfig(copy_run=run, containment=containment, plausibility_floor=floor)
    loose = GuardConfig(copy_run=run + 1, containment=1, plausibility_floor=floor - 1)
    for one in scored:
        assert bool(verdict(one, loose)) <= bool(verdict(one, tight))
    if select(scored, tight).kept is not None:
        assert select(scored, loose).kept is not None


@given(candidates(), st.integers(0, 5))
def test_the_other_arms_keep_a_readable_candidate_of_theirs_or_none(
    scored: list[ScoredCandidate], seed: int
) -> None:
    """Every arm chooses out of the same candidates, by its own rule, and says so for each."""
    by_key = {one.candidate.key: one for one in scored}
    arms = [
        random_of(scored, seed),
        random_eligible(scored, GUARDS, seed),
        first_backward(scored),
        guarded_backward(scored, GUARDS),
        longest(scored),
        positive_gain(scored, GUARDS),
        best_eligible(scored, GUARDS),
    ]
    for chosen in arms:
        assert set(chosen.verdicts) == set(by_key)
        assert chosen.kept is None or by_key[chosen.kept].candidate.complete
    eligible, backward = arms[1], arms[2]
    assert eligible.kept is None or not verdict(by_key[eligible.kept], GUARDS)
    assert backward.kept is None or by_key[backward.kept].candidate.direction == "backward"
    guarded = arms[3]
    assert guarded.kept is None or not verdict(by_key[guarded.kept], GUARDS)
    assert guarded.kept is None or by_key[guarded.kept].candidate.direction == "backward"
    recon, best = select(scored, GUARDS).kept, arms[-1].kept
    assert best == recon
    assert (best is None) == (eligible.kept is None)


@given(st.text(max_size=80), st.sampled_from(["end", "stop", "length"]))
def test_a_read_draw_is_one_paragraph_or_the_text_as_drawn(text: str, finish: str) -> None:
    """A usable draw has no line break and is never empty; any other keeps its whole text."""
    reasoning, complete = read_draw(Draw(text=text, finish=finish, n_tokens=5))  # type: ignore[arg-type]
    if complete:
        assert reasoning == " ".join(reasoning.split())
        assert reasoning
    else:
        assert reasoning == text


@given(st.lists(WORD, max_size=5), st.lists(WORD, max_size=12))
def test_find_finds_exactly_the_places(needle: list[str], items: list[str]) -> None:
    """Every place found holds the needle; an empty needle is nowhere."""
    for at in find(needle, items):
        assert items[at : at + len(needle)] == needle
    if not needle:
        assert find(needle, items) == []
