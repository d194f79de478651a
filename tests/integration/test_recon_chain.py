"""Recon from interactions to selections, with the shipped scripted engine and the real model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.recon_engine import pair
from usersim.config import GuardConfig, HistoryConfig, ScoringConfig, SynthesisConfig
from usersim.engines import Engine
from usersim.recon import (
    decoys,
    explain,
    oracle,
    score_candidates,
    select,
    synthesize,
)
from usersim.recon.closeup import sentence_gains, trace_gains
from usersim.recon.diagnostics import ProbeItem, diagnose
from usersim.types import Case, Choice, Interaction, Number, Scale

VIEW = HistoryConfig()
GUARDS = GuardConfig()
SYNTHESIS = SynthesisConfig(n_forward=2, n_backward=2, max_tokens=24)
AGREE = Scale(("Disagree", "Neither", "Agree"))


def _items() -> list[Case]:
    past = (
        pair("Agree", AGREE, context="I plan my weekends.", key="p1", position=0),
        pair("Two sugars, please.", context="Tea?", key="p2", position=1),
        pair(2.0, Number(0, 9), context="How many cups a day?", key="p3", position=2),
    )
    return [
        Case(pair("Agree", AGREE, context="I keep lists.", key="a"), past),
        Case(pair("I would rather stay in.", context="Shall we go out?", key="b"), past),
        Case(pair("Tea", Choice(("Tea", "Milk")), context="What then?", key="c"), past),
        Case(pair(3.0, Number(0, 9), context="How many books a month?", key="d"), past),
    ]


def test_every_kind_of_action_goes_from_draws_to_a_decision() -> None:
    """With the scripted engine each interaction gets a decision that can be explained."""
    from usersim.engines.scripted import ScriptedEngine

    def reply(request, index: int) -> str:
        return "4" if request.max_tokens <= 12 else f"I like quiet evenings {index}."

    engine: Engine = ScriptedEngine(reply)
    items = _items()
    drawn = synthesize(engine, items, SYNTHESIS, VIEW)
    assert not drawn.failures
    scoring = ScoringConfig(option_orders=2, samples=2)
    chunk = [
        Case(item.interaction, item.history, found)
        for item, found in zip(items, drawn, strict=True)
    ]
    scored = score_candidates(engine, chunk, scoring, GUARDS, VIEW)
    assert not scored.failures
    decisions = [select(found, GUARDS) for found in scored]
    assert [one.interaction_key for one in decisions] == ["a", "b", "c", "d"]
    for decision, found in zip(decisions, scored, strict=True):
        assert decision.reason in explain(decision, found)[0]
    probes = [
        ProbeItem(
            case=item,
            kept="I like quiet evenings.",
            backward="I like quiet evenings.",
            decoy=found[0] if found else None,
        )
        for item, found in zip(items, decoys(engine, items, SYNTHESIS, VIEW), strict=True)
    ]
    assert diagnose(engine, probes, scoring, VIEW).failures == 0


@pytest.fixture(scope="module")
def model(embedded_model: Path) -> Iterator[Engine]:
    """The embedded model in this process."""
    from usersim.engines.transformers.engine import TransformersEngine

    with TransformersEngine(embedded_model) as engine:
        yield engine


@pytest.mark.model
def test_the_real_model_rewards_a_quotation_and_the_guards_take_the_reward_away(
    model: Engine,
) -> None:
    """A trace that quotes the action gains raw, loses most of it masked, and is refused."""
    action = "I would rather stay at home and mend the old radio."
    item: Interaction = pair(action, context="Are you coming to the lake?")
    candidate, _ = oracle(item)
    chunk = [Case(item, (), (candidate,))]
    ((found,),) = score_candidates(model, chunk, ScoringConfig(), GUARDS, VIEW)
    assert found.scores.raw_gain > 0.5
    assert found.scores.masked_gain < found.scores.raw_gain / 2
    assert not found.leakage.valid
    assert select([found], GUARDS).kept is None


@pytest.mark.model
def test_the_real_model_gives_the_scored_gain_token_by_token(model: Engine) -> None:
    """On real tokens the means equal raw and masked gain of the scoring, to rounding."""
    action = "I’d rather stay at home and mend the old radio – 😀."
    item: Interaction = pair(action, context="Are you coming to the lake?")
    text = "It rains. She has an old radio and would rather stay at home and mend it."
    candidate, _ = oracle(item)
    chunk = [Case(item, (), (replace(candidate, reasoning=text),))]
    scoring = ScoringConfig()
    ((found,),) = score_candidates(model, chunk, scoring, GUARDS, VIEW)
    gains = trace_gains(model, Case(item), text, view=VIEW, floor=scoring.logprob_floor)
    parts = sentence_gains(model, Case(item), text, view=VIEW, scoring=scoring)
    assert gains.masked_text != text
    assert gains.raw.mean == pytest.approx(found.scores.raw_gain, abs=1e-3)
    assert gains.masked.mean == pytest.approx(found.scores.masked_gain, abs=1e-3)
    assert "".join(piece.text for piece in gains.raw.pieces) == action
    assert any("😀" in piece.text for piece in gains.raw.pieces)
    assert parts[1].moved > abs(parts[0].moved)


@pytest.mark.model
@pytest.mark.slow
def test_the_real_model_writes_readable_traces(model: Engine) -> None:
    """Most draws of the small model are plain readable sentences."""
    items = _items()[:2]
    drawn = synthesize(model, items, SYNTHESIS, VIEW)
    candidates = [one for found in drawn for one in found]
    assert sum(one.complete for one in candidates) >= len(candidates) // 2
    chunk = [
        Case(item.interaction, item.history, found)
        for item, found in zip(items, drawn, strict=True)
    ]
    scored = score_candidates(model, chunk, ScoringConfig(option_orders=1), GUARDS, VIEW)
    good = [sum(one.complete for one in found) for found in drawn]
    assert all(len(found) >= 4 and n <= 4 for found, n in zip(drawn, good, strict=True))
    assert [len(found) for found in scored] == [len(found) for found in drawn]


@pytest.mark.model
def test_a_trace_that_tells_the_option_is_heard_by_the_real_model(embedded_model: Path) -> None:
    """No trace serves an option as well as the one that announces it, on a choice and a scale.

    Compared with other announcements, since an untrained model may do without any trace at all
    better than with one: then nothing that is heard would show as a gain.
    """
    from usersim.engines.transformers.engine import TransformersEngine

    drinks = Choice(("Coffee", "Tea", "Milk", "Water"))
    with TransformersEngine(embedded_model) as engine:
        for space, context in ((drinks, "What would you like?"), (AGREE, "I keep lists.")):
            rows = [pair(o, space, context=context, key=f"k{o}") for o in space.options]
            said = [oracle(row)[0] for row in rows]
            items = [
                Case(
                    row,
                    (),
                    tuple(
                        replace(one, interaction_key=row.key, draw=place)
                        for place, one in enumerate(said)
                    ),
                )
                for row in rows
            ]
            scored = score_candidates(engine, items, ScoringConfig(option_orders=2), GUARDS, VIEW)
            for place, own in enumerate(scored):
                gains = [one.scores.raw_gain for one in own]
                assert gains.index(max(gains)) == place, (space.options[place], gains)
