"""Candidates: what is asked, how draws are read, what a decoy argues for."""

from __future__ import annotations

import pytest

from tests.fixtures.recon_engine import OverlapEngine, pair
from usersim.config import HistoryConfig, SynthesisConfig
from usersim.engines import AdapterRef, Draw
from usersim.prompts import load_template
from usersim.recon.bare_answers import is_bare_answer
from usersim.recon.synthesis import decoy_action, decoys, read_draw, synthesize
from usersim.transcript import OPEN, REASONING_STOP
from usersim.types import ActionSpace, Case, Choice, FreeText, MultiChoice, Number, Scale

VIEW = HistoryConfig()
CONFIG = SynthesisConfig(n_forward=2, n_backward=3, seed=4)


def test_both_directions_are_drawn_in_one_call() -> None:
    """N forward and N backward traces per interaction, in order, with their provenance."""
    engine = OverlapEngine()
    batch = synthesize(engine, [Case(pair())], CONFIG, VIEW)
    (candidates,) = batch
    kinds = [(one.direction, one.draw) for one in candidates]
    assert kinds == [
        ("forward", 0),
        ("forward", 1),
        ("backward", 0),
        ("backward", 1),
        ("backward", 2),
    ]
    assert len(engine.generated) == 1
    first, last = candidates[0], candidates[-1]
    assert first.prompt_id == load_template("forward").id
    assert last.prompt_id == load_template("backward").id
    assert first.seed != last.seed
    assert first.model == "overlap"
    assert first.log_q == -1.0
    assert first.complete


def test_only_the_backward_writer_sees_the_action() -> None:
    """The forward prompt does not hold the action; both open the reasoning and stop after it."""
    engine = OverlapEngine()
    synthesize(engine, [Case(pair("A very special action"))], CONFIG, VIEW)
    forward, backward = engine.generated[0]
    assert "A very special action" not in forward.prompt[-1][1]
    assert "A very special action" in backward.prompt[-1][1]
    for request in (forward, backward):
        assert request.prefix == OPEN
        assert REASONING_STOP in request.stop


def test_seeds_depend_on_the_item_and_the_config_alone() -> None:
    """The same interaction has the same seed beside other ones; another config seed changes it."""

    def seeds(*keys: str, seed: int = 4) -> dict[str, int]:
        items = [Case(pair(key=key)) for key in keys]
        config = CONFIG.model_copy(update={"seed": seed})
        batch = synthesize(OverlapEngine(), items, config, VIEW)
        return {cs[0].interaction_key: cs[0].seed for cs in batch}

    assert seeds("a", "b")["b"] == seeds("b")["b"]
    assert seeds("a")["a"] != seeds("b")["b"]
    assert seeds("a", seed=5) != seeds("a")


def test_no_draws_are_asked_for_a_direction_of_zero() -> None:
    """A direction can be switched off."""
    engine = OverlapEngine()
    config = SynthesisConfig(n_forward=0, n_backward=1)
    (candidates,) = synthesize(engine, [Case(pair())], config, VIEW)
    assert [one.direction for one in candidates] == ["backward"]
    assert len(engine.generated[0]) == 1


def test_the_adapter_is_named_in_each_candidate() -> None:
    """A trained synthesizer's served name is part of a candidate's provenance."""
    adapter = AdapterRef("synthesizer-12ab", "/nowhere", "12ab")
    engine = OverlapEngine()
    (candidates,) = synthesize(engine, [Case(pair())], CONFIG, VIEW, adapter=adapter)
    assert {one.adapter for one in candidates} == {"synthesizer-12ab"}
    assert engine.generated[0][0].adapter == adapter


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("I am tired.\n", "stop", ("I am tired.", True)),
        ("I am tired", "end", ("I am tired", True)),
        ("I am tired. It is la", "length", ("I am tired.", True)),
        ('She said "no." And I th', "length", ('She said "no."', True)),
        ("それは嫌だ。でも、", "length", ("それは嫌だ。", True)),
        ("I am so", "length", ("I am so", False)),
        ("At 3.14 percent it is", "length", ("At 3.14 percent it is", False)),
        ("  \n", "stop", ("  \n", False)),
        ("a <think> b", "stop", ("a <think> b", False)),
    ],
)
def test_draws_are_read_as_whole_sentences(
    text: str, finish: str, expected: tuple[str, bool]
) -> None:
    """A cut draw keeps its whole sentences; an unusable one keeps its text."""
    draw = Draw(text=text, finish=finish, n_tokens=4)  # type: ignore[arg-type]
    assert read_draw(draw) == expected


def test_the_likelihood_of_a_shortened_draw_is_unknown() -> None:
    """The engine's figure is for the whole draw and is dropped with its last words."""
    engine = OverlapEngine(
        draw=lambda r, i: Draw(text="It rains. It", finish="length", n_tokens=3, mean_logprob=-1)
    )
    (candidates,) = synthesize(engine, [Case(pair())], CONFIG, VIEW)
    assert candidates[0].complete
    assert candidates[0].log_q is None


def test_an_item_that_does_not_fit_fails_alone() -> None:
    """A prompt too long for the model is that item's failure; the others are drawn."""
    items = [
        Case(pair(key="a")),
        Case(pair(key="long", context="word " * 500)),
        Case(pair(key="c")),
    ]
    batch = synthesize(OverlapEngine(max_chars=2000), items, CONFIG, VIEW)
    assert [found is None for found in batch.items] == [False, True, False]
    (failure,) = batch.failures
    assert (failure.index, failure.item, failure.error) == (1, "long", "ContextLengthError")


def test_a_decoy_is_written_for_an_action_not_taken() -> None:
    """The decoy prompt is the backward one with another option, which the candidate names."""
    engine = OverlapEngine()
    item = Case(pair("tea", Choice(("tea", "milk"))))
    (candidates,) = decoys(engine, [item], CONFIG, VIEW)
    (decoy,) = candidates
    assert decoy.direction == "decoy"
    assert decoy.decoy_action == "milk"
    assert decoy.prompt_id == load_template("backward").id
    assert "my answer: milk" in engine.generated[0][0].prompt[-1][1]


@pytest.mark.parametrize(
    ("space", "action", "expected"),
    [
        (Scale(("low", "high")), "low", "high"),
        (MultiChoice(("a", "b")), ("a",), ("b",)),
        (FreeText(), "now", "earlier"),
        (Number(), 3.0, 8.0),
    ],
)
def test_decoy_actions_are_other_plausible_actions(
    space: ActionSpace, action: object, expected: object
) -> None:
    """Another option, or what the person did elsewhere."""
    history = (pair("earlier", key="h1"), pair(8.0, Number(), key="h2"), pair("now", key="h3"))
    assert decoy_action(Case(pair(action, space), history), seed=0) == expected


def test_without_another_action_there_is_no_decoy() -> None:
    """A free text without history has none, and no request is made for it."""
    engine = OverlapEngine()
    batch = decoys(engine, [Case(pair())], CONFIG, VIEW)
    assert batch.items == ((),)
    assert engine.generated == [[]]


ACCURATE = Scale(("Very inaccurate", "Slightly inaccurate", "Slightly accurate", "Very accurate"))


@pytest.mark.parametrize(
    ("text", "space", "bare"),
    [
        ("Very accurate.", ACCURATE, True),
        ("I would rate this statement as slightly inaccurate.", ACCURATE, True),
        ("4 out of 5", ACCURATE, True),
        ("Medium Accurate", ACCURATE, True),
        ("I strongly agree.", ACCURATE, True),
        ("I make people feel at ease: very accurate.", ACCURATE, True),
        ("I am shy, so slightly inaccurate.", ACCURATE, False),
        ("People come to me with their worries.", ACCURATE, False),
        ("I make people feel at ease.", ACCURATE, False),
        ("I'll pick the garden.", Choice(("boat", "garden")), True),
        ("A garden needs time and I have none.", Choice(("boat", "garden")), False),
        ("boat, garden", MultiChoice(("boat", "garden", "car")), True),
        ("7 hours", Number(unit="hours"), True),
        ("I sleep 7 hours and still need coffee.", Number(unit="hours"), False),
        ("Yes, I agree.", FreeText(), True),
        ("I have no time for it.", FreeText(), False),
    ],
)
def test_a_draw_that_only_answers_is_told_from_a_reason(
    text: str, space: ActionSpace, bare: bool
) -> None:
    """A rating or an option alone, also beside the repeated question, gives no reason."""
    chosen: object = getattr(space, "options", ("a",))[0]
    if isinstance(space, MultiChoice):
        chosen = (chosen,)
    asked = pair(chosen, space, context="I make people feel at ease.")
    assert is_bare_answer(text, asked) is bare


def _rating_first(bad: int):
    """Return a draw function whose first `bad` draws of every call are ratings."""
    return lambda request, index: Draw(
        text="Very accurate." if index < bad else f"Friends call me at night {request.seed}.",
        finish="stop",
        n_tokens=3,
        mean_logprob=-1.0,
    )


def test_a_rating_is_malformed_and_drawn_again() -> None:
    """Only as many as were malformed are drawn again, with seeds of their own; all are kept."""
    engine = OverlapEngine(draw=_rating_first(1))
    config = SynthesisConfig(n_forward=2, n_backward=1, redraws=1)
    item = Case(pair("Very accurate", ACCURATE))
    (candidates,) = synthesize(engine, [item], config, VIEW)
    assert [[request.n for request in call] for call in engine.generated] == [[2, 1], [1, 1]]
    assert len({request.seed for call in engine.generated for request in call}) == 4
    drawn = [(one.direction, one.draw, one.complete) for one in candidates]
    assert drawn == [
        ("forward", 0, False),
        ("forward", 1, True),
        ("forward", 2, False),
        ("backward", 0, False),
        ("backward", 1, False),
    ]
    assert {one.log_q for one in candidates if not one.complete} == {None}
    assert len({one.key for one in candidates}) == len(candidates)


def test_without_malformed_draws_nothing_is_drawn_again() -> None:
    """Redraws take a call only where something is missing, and none where they are switched off."""
    good = OverlapEngine(draw=_rating_first(0))
    item = Case(pair("Very accurate", ACCURATE))
    synthesize(good, [item], CONFIG, VIEW)
    assert len(good.generated) == 1
    bad = OverlapEngine(draw=_rating_first(9))
    off = CONFIG.model_copy(update={"redraws": 0})
    (candidates,) = synthesize(bad, [item], off, VIEW)
    assert len(bad.generated) == 1
    assert not any(one.complete for one in candidates)


def test_redraws_of_one_item_do_not_depend_on_the_others() -> None:
    """What an interaction gets is the same beside one that needs more rounds."""
    engine = OverlapEngine(draw=_rating_first(1))
    items = [Case(pair("Very accurate", ACCURATE, key=key)) for key in ("a", "b")]
    together = list(synthesize(engine, items, CONFIG, VIEW))
    alone = list(synthesize(engine, items[1:], CONFIG, VIEW))
    assert together[1] == alone[0]
