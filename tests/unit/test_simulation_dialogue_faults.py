"""Turns that the simulator spoiled: each fault is found, and clean dialogues have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_simulation_dialogue import CANARY, answer, talk
from usersim.config import DialogueConfig
from usersim.simulation.dialogue import (
    FAULTS,
    Fault,
    Faults,
    Scenario,
    Speaker,
    Turn,
    count_faults,
    fault_rate,
)
from usersim.simulation.dialogue.faults import fault_of

CLEAN: list[tuple[Speaker, str]] = [
    ("user", "my card was charged twice"),
    ("assistant", "I am sorry. How can I help you with that?"),
    ("user", "can you help me get it back? how do I do that"),
    ("assistant", "For which month?"),
    ("user", "march"),
    ("assistant", "It is booked back. Is there anything else I can do for you?"),
    ("user", "no, thank you for your help"),
]


def turns(said: list[tuple[Speaker, str]]) -> list[Turn]:
    """A dialogue of words alone, as a testbed records it."""
    return [Turn(speaker=who, text=text) for who, text in said]


def with_last(text: str, *more: tuple[Speaker, str]) -> list[Turn]:
    """The clean dialogue, its last turn replaced, and what follows it."""
    return turns([*CLEAN[:-1], ("user", text), *more])


SPOILED: list[tuple[Fault, list[Turn]]] = [
    ("empty", with_last("  ", ("assistant", "Are you there?"))),
    ("flipped", with_last("It is booked back. Is there anything else I can do for you?")),
    ("flipped", with_last("thanks\nassistant: You are welcome.\nuser: bye")),
    ("assistant_voice", with_last("Sure! How may I assist you today?")),
    ("assistant_voice", with_last("I'm happy to help. Let me know if you need anything.")),
    ("reasoning", with_last("They want the month. </think> march")),
    ("reasoning", with_last("<think>\nThey want the month.")),
    ("repeated", with_last("March!")),
]


@pytest.mark.parametrize(("fault", "spoiled"), SPOILED)
def test_each_fault_is_found_where_it_is(fault: Fault, spoiled: list[Turn]) -> None:
    """One spoiled turn is counted once, at its place, and no other turn is."""
    found = count_faults(spoiled)
    assert found.found == ((6, fault),)
    assert found.turns == 4
    assert found.rate == 0.25
    assert fault in str(found)


def test_every_fault_has_a_test_and_a_meaning() -> None:
    """The table of faults and the tests name the same ones."""
    assert {fault for fault, _ in SPOILED} == set(FAULTS)


def test_a_clean_dialogue_has_no_fault() -> None:
    """Words that both sides use, short agreements and a silent end are no faults."""
    assert count_faults(turns(CLEAN)) == Faults(turns=4)
    assert count_faults(with_last("")).found == ()
    assert count_faults(with_last("For which month?")).found == ()
    assert count_faults([]).rate == 0.0


def test_a_sentence_of_the_trace_is_leaked_reasoning() -> None:
    """A long sentence of a turn's own reasoning gives it away; a few common words do not."""
    thought = "I want my money back before the month ends. March."
    leaks = answer("I want my money back before the month ends, please", reasoning=thought)
    sound = answer("march", reasoning=thought)
    made = [Turn(speaker="user", text=one.action_text, answer=one) for one in (sound, leaks)]
    assert fault_of(made, 0) is None
    assert fault_of(made, 1) == "reasoning"


def test_a_person_may_repeat_themselves_as_often_as_they_do() -> None:
    """What the person's past conversations show is no fault of the simulator."""
    said = turns([("user", "hello?"), ("assistant", "Wait."), ("user", "Hello!")])
    assert count_faults(said).counts["repeated"] == 1
    assert count_faults(said, repeats=2).found == ()


def test_a_dialogue_reports_its_faults_and_many_add_up() -> None:
    """A held dialogue counts simulated turns alone, and the list of dialogues shows the count."""
    under_way = talk(
        Scenario(goal="a refund", opening="How can I help you?"),
        config=DialogueConfig(leaving="never", repeats=9, max_turns=2),
    )
    under_way.hear("That is my line.")
    under_way.say(answer("How can I help you?", reasoning=CANARY))
    under_way.hear("Again?")
    under_way.say(answer("sorry, my card", reasoning=CANARY))
    under_way.hear("I see.")
    dialogue = under_way.record("key", "helper", "engine")
    assert dialogue.faults == Faults(turns=2, found=((2, "assistant_voice"),))
    assert dialogue.cells()["faults"] == 1
    both = fault_rate([dialogue, dialogue])
    assert (both.turns, both.rate) == (4, 0.5)
    assert str(both) == ("2 of 4 turns spoiled by the simulator (50.0%): 2 assistant_voice")


WORDS = st.sampled_from(
    ["yes", "no", "my", "card", "march", "please", "help", "me", "how", "thanks", "again", "what"]
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), max_size=8, unique=True))
def test_ordinary_words_are_no_fault(said: list[str]) -> None:
    """People who use a customer's words, never twice alike, are never counted as spoiled."""
    both = [one for text in said for one in (("user", text), ("assistant", "Go on."))]
    assert count_faults(turns(both)).found == ()
