"""Scoring of a chunk: what is asked, how it is put together, what fails alone."""

from __future__ import annotations

import pytest

from tests.fixtures.recon_engine import OverlapEngine, pair
from usersim.config import GuardConfig, HistoryConfig, ScoringConfig
from usersim.engines import AdapterRef, Draw, Score
from usersim.errors import CapabilityError
from usersim.recon.leakage.masking import BLANK
from usersim.recon.scoring import score_candidates
from usersim.transcript import NO_REASONING
from usersim.types import (
    Candidate,
    Case,
    Choice,
    Direction,
    Interaction,
    MultiChoice,
    Number,
    ScoredCandidate,
)

VIEW = HistoryConfig()
GUARDS = GuardConfig()
ADAPTER = AdapterRef("synthesizer-12ab", "/nowhere", "12ab")


def _candidate(
    reasoning: str,
    direction: Direction = "backward",
    *,
    index: int = 0,
    adapter: str | None = None,
    decoy: str | None = None,
) -> Candidate:
    return Candidate(
        interaction_key="k1",
        direction=direction,
        draw=index,
        reasoning=reasoning,
        complete=True,
        model="overlap",
        adapter=adapter,
        prompt_id="p",
        seed=0,
        decoy_action=decoy,
    )


def _score(
    engine: OverlapEngine,
    item: Interaction,
    *candidates: Candidate,
    scoring: ScoringConfig = ScoringConfig(),
    adapters: tuple[AdapterRef, ...] = (),
) -> tuple[ScoredCandidate, ...]:
    batch = score_candidates(
        engine, [Case(item, (), candidates)], scoring, GUARDS, VIEW, adapters=adapters
    )
    (found,) = batch
    assert not batch.failures
    return found


ITEM = pair("I would rather stay in and read the whole long day with my old grey cat beside me")


def test_a_leaking_trace_has_its_gain_taken_away_by_the_mask() -> None:
    """A trace that quotes the action gains raw, not masked, and is refused; it is still scored."""
    leak = _candidate("I would rather stay in and read the whole long day", index=0)
    fair = _candidate("My grey cat keeps me company.", "forward", index=1)
    quoted, honest = _score(OverlapEngine(), ITEM, leak, fair)
    assert quoted.scores.raw_gain > honest.scores.raw_gain > 0
    assert quoted.scores.masked_gain <= 0
    assert honest.scores.masked_gain == honest.scores.raw_gain
    assert not quoted.leakage.valid
    assert honest.leakage.valid


def test_everything_of_a_chunk_is_asked_in_one_call_and_once() -> None:
    """Raw, masked, withheld and plausibility requests share one call without duplicates."""
    engine = OverlapEngine()
    items = [Case(ITEM, (), (_candidate("My cat."), _candidate("My cat.", index=1)))] * 2
    batch = score_candidates(engine, items, ScoringConfig(), GUARDS, VIEW)
    assert len(list(batch)) == 2
    (asked,) = engine.scored
    assert len(set(asked)) == len(asked)
    # Shown: none and trace; withheld: none and trace; trace under p0 and under q.
    assert len(asked) == 6
    assert not engine.generated


def test_the_masked_text_is_what_is_asked() -> None:
    """A blanked trace goes to the engine both ways, and withheld only masked."""
    engine = OverlapEngine()
    _score(engine, ITEM, _candidate("I stay in and read.", "forward"))
    prefixes = [request.prefix for request in engine.scored[0]]
    assert sum("stay in and read" in prefix for prefix in prefixes) == 1
    assert sum(BLANK in prefix for prefix in prefixes) == 2


def test_the_trace_only_share_is_what_remains_without_the_context() -> None:
    """A trace that works without the context has a share of 1; one that gains nothing has none."""
    useful, idle = _score(
        OverlapEngine(), ITEM, _candidate("My grey cat.", "forward"), _candidate("Hm.", "forward")
    )
    assert useful.leakage.trace_only_share == pytest.approx(1)
    assert idle.leakage.trace_only_share is None
    assert useful.scores.components["trace_only_gain"] == pytest.approx(useful.scores.masked_gain)


def test_the_plausibility_charges_what_only_the_action_explains() -> None:
    """A backward trace made of the action's words is implausible; a forward one is 0."""
    backward, forward = _score(
        OverlapEngine(),
        ITEM,
        _candidate("grey cat day read"),
        _candidate("grey cat day read", "forward"),
    )
    assert backward.leakage.plausibility == pytest.approx(-1.5)
    assert backward.scores.components["log_q"] - backward.scores.components[
        "log_p0"
    ] == pytest.approx(1.5)
    assert any(reason.startswith("L4") for reason in backward.leakage.reasons)
    assert forward.leakage.plausibility == 0


def test_a_decoy_is_judged_against_the_action_that_it_argues_for() -> None:
    """The backward prompt of a decoy holds the decoy action."""
    engine = OverlapEngine()
    decoy = _candidate("It snows.", "decoy", decoy="I ski all winter")
    (found,) = _score(engine, ITEM, decoy)
    assert any("my answer: I ski all winter" in r.prompt[-1][1] for r in engine.scored[0])
    assert found.leakage.plausibility is not None


def test_the_synthesizers_adapter_scores_its_own_trace() -> None:
    """Q comes from the adapter that wrote the trace, p0 from the base model."""
    engine = OverlapEngine()
    _score(engine, ITEM, _candidate("Hm.", adapter=ADAPTER.name), adapters=(ADAPTER,))
    adapters = [request.adapter for request in engine.scored[0] if not request.end]
    assert adapters == [None, ADAPTER]


def test_without_the_synthesizers_adapter_the_plausibility_is_unknown() -> None:
    """A missing adapter leaves it open instead of taking the base model in its place."""
    (found,) = _score(OverlapEngine(), ITEM, _candidate("Hm.", adapter=ADAPTER.name))
    assert found.leakage.plausibility is None
    assert found.leakage.valid


def test_an_empty_trace_gains_nothing() -> None:
    """An empty text is the empty trace: gain 0, nothing asked for it."""
    engine = OverlapEngine()
    (found,) = _score(engine, ITEM, _candidate(" "))
    assert found.scores.raw_gain == found.scores.masked_gain == found.scores.reported_gain == 0
    assert {request.prefix for request in engine.scored[0]} == {NO_REASONING}


def test_a_mixed_chunk_takes_the_scorer_of_each_kind() -> None:
    """Free text, a choice and several options in one chunk have their own units."""
    drinks = Choice(("tea", "milk"))
    items = [
        Case(pair("tea", drinks, key="a"), (), (_candidate("Leaves."),)),
        Case(pair("tea please", key="b"), (), (_candidate("Leaves."),)),
        Case(pair(("x",), MultiChoice(("x", "y")), key="c"), (), (_candidate("Hm."),)),
    ]
    batch = score_candidates(OverlapEngine(), items, ScoringConfig(), GUARDS, VIEW)
    names = [found[0].scores.scorer for found in batch]
    assert names == ["choice@2", "loglik_gain@1", "loglik_gain@1"]


def test_a_scorer_that_does_not_fit_is_that_items_failure() -> None:
    """With a named scorer an item of another kind fails, and the others are scored."""
    items = [
        Case(pair("tea please", key="b"), (), (_candidate("Leaves."),)),
        Case(pair("tea", Choice(("tea", "milk")), key="a"), (), (_candidate("Leaves."),)),
    ]
    batch = score_candidates(OverlapEngine(), items, ScoringConfig(scorer="choice"), GUARDS, VIEW)
    assert [found is None for found in batch.items] == [True, False]
    (failure,) = batch.failures
    assert (failure.index, failure.item, failure.error) == (0, "b", "ScoringError")
    assert "cannot score a 'free_text' action" in failure.message


@pytest.mark.parametrize("withheld", [False, True])
def test_numbers_that_cannot_be_read_cost_the_score_or_the_share_alone(withheld: bool) -> None:
    """Unreadable draws are the item's failure; unreadable withheld ones leave L3 unknown."""

    def draw(request, i):
        hidden = "(no context)" in request.prompt[-1][1]
        text = "4" if withheld and not hidden else "many"
        return Draw(text=text, finish="end", n_tokens=1)

    items = [Case(pair(4.0, Number()), (), (_candidate("I have some."),))]
    batch = score_candidates(
        OverlapEngine(draw=draw), items, ScoringConfig(samples=2), GUARDS, VIEW
    )
    if withheld:
        (found,) = batch
        assert found[0].leakage.trace_only_share is None
    else:
        assert "none of the draws is a number" in batch.failures[0].message


def test_an_item_that_does_not_fit_the_model_fails_alone() -> None:
    """A prompt that is too long costs one item, at its own place."""
    items = [
        Case(pair(key=key, context=text), (), (_candidate("Hm."),))
        for key, text in [("a", "x"), ("b", "x"), ("c", "word " * 600), ("d", "x")]
    ]
    batch = score_candidates(OverlapEngine(max_chars=2500), items, ScoringConfig(), GUARDS, VIEW)
    assert [found is None for found in batch.items] == [False, False, True, False]
    assert [(f.index, f.item, f.error) for f in batch.failures] == [(2, "c", "ContextLengthError")]


def test_a_likelihood_scorer_on_a_text_only_engine_is_refused_for_the_whole_run() -> None:
    """A missing capability is not an item's failure."""
    with pytest.raises(CapabilityError, match="loglik_gain@1 needs an engine"):
        _score(OverlapEngine(logprobs=False), ITEM, _candidate("Hm."))


def test_a_text_only_engine_scores_by_similarity_without_plausibility() -> None:
    """Sampled similarity needs no log-probabilities, and asks for none."""
    engine = OverlapEngine(logprobs=False)
    scoring = ScoringConfig(scorer="sampled_similarity", samples=2)
    (found,) = _score(engine, ITEM, _candidate("Hm."), scoring=scoring)
    assert found.scores.scorer == "sampled_similarity@1"
    assert found.leakage.plausibility is None
    assert engine.scored == [[]]


def test_a_score_has_no_part_of_another_items_answers() -> None:
    """Scoring two items together gives each what it gets alone."""

    class Hashed(OverlapEngine):
        def _score(self, request):
            return Score((-(hash((request.prompt, request.prefix)) % 997) / 100,))

    engine = Hashed()
    items = [
        Case(pair(key=key, context=key), (), (_candidate(f"{key} thought"),))
        for key in ("a", "b", "c")
    ]
    together = score_candidates(engine, items, ScoringConfig(), GUARDS, VIEW)
    for item, found in zip(items, together.items, strict=True):
        (alone,) = score_candidates(engine, [item], ScoringConfig(), GUARDS, VIEW)
        assert alone == found
