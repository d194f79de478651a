"""Streamed answers: all of the reasoning first, then the action; malformed text is an error."""

from __future__ import annotations

import pytest

from tests.fixtures.people import AGREE, DRINKS, TEXT, YEARS, engine, question
from usersim import transcript
from usersim.config import SimulationConfig
from usersim.engines import Capabilities
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import ActionError, CapabilityError, TranscriptError
from usersim.simulation import Piece, RespondItem, respond, stream_answer

ONE = SimulationConfig(traces=1, redraws=0)
TAG = "\n</think>"


def item(space=TEXT, **fields) -> RespondItem:
    """One question to an invented person."""
    return RespondItem(user_id="ada", question=question("What do you take?", space), **fields)


def joined(pieces: list[Piece], part: str) -> str:
    """The text of one part."""
    return "".join(piece.text for piece in pieces if piece.part == part)


@pytest.mark.parametrize("space", [TEXT, DRINKS, AGREE], ids=lambda space: space.kind)
def test_pieces_join_to_the_answer_that_respond_gives(space) -> None:
    """Reasoning comes first and whole; the same seed gives what `respond` gives from one trace."""
    pieces = list(stream_answer(ScriptedEngine(), item(space, seed=4), config=ONE))
    parts = [piece.part for piece in pieces]
    assert parts == sorted(parts, reverse=True), "an action piece came before the reasoning's end"
    (answer,) = respond(ScriptedEngine(), [item(space, seed=4)], config=ONE).items
    assert joined(pieces, "reasoning").strip() == answer.reasoning
    assert joined(pieces, "action").strip() == answer.action


def test_a_trace_without_a_final_full_stop_is_not_shortened() -> None:
    """What was closed by its tag is read whole, as `respond` reads it."""
    thought = "I like tea. Or maybe not"
    model = engine(reasoning=thought)
    list(stream_answer(model, item(), config=ONE))
    assert model.requests[-1].prefix == transcript.prefix(thought)


def test_a_cut_trace_is_closed_after_its_last_sentence() -> None:
    """A trace that runs into the limit leads to the action by its full sentences."""
    model = engine(reasoning=lambda request, i: "It is late. " + "so tired " * 80)
    list(stream_answer(model, item(), config=ONE))
    assert model.requests[-1].prefix == transcript.prefix("It is late.")


@pytest.mark.parametrize(
    ("reasoning", "config", "message"),
    [
        ("so tired " * 80, ONE, "cut in its first sentence"),
        ("It is late. " * 80, ONE.model_copy(update={"long_reasoning": "refuse"}), "not closed"),
        ("The turn ends here.", ONE.model_copy(update={"long_reasoning": "refuse"}), "not closed"),
        (TAG, ONE, "is empty"),
    ],
)
def test_malformed_reasoning_is_an_error_after_its_pieces(reasoning, config, message) -> None:
    """What cannot be read as reasoning ends the stream with an error that keeps the text."""
    stream = stream_answer(engine(reasoning=lambda r, i: reasoning), item(), config=config)
    pieces: list[Piece] = []
    with pytest.raises(TranscriptError, match=message):
        pieces.extend(stream)
    assert joined(pieces, "action") == ""


def test_a_closed_question_is_streamed_without_readable_reasoning() -> None:
    """Its action is the one without reasoning, and flagged; the strict setting is an error."""
    pieces = list(stream_answer(engine(reasoning=TAG), item(DRINKS), config=ONE))
    without = SimulationConfig(traces=0)
    (plain,) = stream_answer(engine(), item(DRINKS), config=without)
    assert pieces[-1] == Piece("action", plain.text, reasoning_failed=True)
    assert not plain.reasoning_failed
    strict = ONE.model_copy(update={"require_reasoning": True})
    with pytest.raises(TranscriptError, match="is empty"):
        list(stream_answer(engine(reasoning=TAG), item(DRINKS), config=strict))


def test_an_action_cut_at_the_limit_is_an_error() -> None:
    """An action that was cut is no answer, though its pieces were shown."""
    config = SimulationConfig(traces=0, max_action_tokens=8)
    with pytest.raises(TranscriptError, match="cut at the token limit"):
        list(stream_answer(engine(action="on and on " * 20), item(), config=config))


def test_an_action_of_another_kind_is_an_error() -> None:
    """A number has to be one."""
    with pytest.raises(ActionError, match="is not a number"):
        list(stream_answer(engine(action="many"), item(YEARS), config=ONE))


def test_without_traces_only_the_action_is_streamed() -> None:
    """`traces=0` streams the action after the marker."""
    config = SimulationConfig(traces=0)
    pieces = list(stream_answer(engine(), item(), config=config))
    assert {piece.part for piece in pieces} == {"action"}
    closed = list(stream_answer(engine(), item(DRINKS), config=config))
    assert [piece.text in DRINKS.options for piece in closed] == [True]


def test_an_engine_that_cannot_stream_says_so() -> None:
    """The engine's capability is needed, not assumed."""
    silent = ScriptedEngine(capabilities=Capabilities(logprobs=True, adapters=True))
    with pytest.raises(CapabilityError, match="does not stream"):
        list(stream_answer(silent, item(), config=ONE))
