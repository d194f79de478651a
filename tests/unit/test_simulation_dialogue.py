"""Dialogues without a store: who sees what, when they end, what a corpus shows of patience."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.config import AssistantEndpoint, DialogueConfig
from usersim.errors import AssistantError, ConfigError
from usersim.simulation import Answer, AnswerTrace, DrawnTrace
from usersim.simulation.dialogue import (
    ENDINGS,
    Dialogue,
    Patience,
    Scenario,
    Stop,
    Talk,
    Turn,
    learn_patience,
    rules,
)
from usersim.simulation.dialogue.roles import GOES_ON, Marks, for_assistant, for_user
from usersim.types import Choice

MARKS = Marks("[done]", "[give up]")
CANARY = "canary-7e1"


def answer(text: str, *, reasoning: str = CANARY, share: float = 1.0) -> Answer:
    """A simulated answer with a trace."""
    trace = AnswerTrace(
        user_id="ada",
        question="?",
        history=(),
        prompt=(("user", CANARY),),
        prompt_id="respond",
        drawn=(DrawnTrace(reasoning=reasoning, seed=1),),
        probabilities={text: share},
        reasoning_weight=1.0,
        redraws=0,
        kept_gains={},
        adapter=None,
        engine="none",
        seed=1,
        seconds=0.0,
    )
    return Answer(action=text, kind="free_text", reasoning=reasoning, trace=trace)


def talk(scenario: Scenario | None = None, **fields) -> Talk:
    """A dialogue of Ada that nobody leaves by chance."""
    return Talk("ada", scenario or Scenario(goal="a refund"), **fields)


# ---------------------------------------------------------------------- who sees what


def test_the_person_is_the_user_for_the_assistant_and_itself_for_its_own_model() -> None:
    """The same turns: `user` and `assistant` one way, the person by its id the other way."""
    turns = [
        Turn(speaker="user", text="i was charged twice", answer=answer("i was charged twice")),
        Turn(speaker="assistant", text="For which month?"),
    ]
    assert for_assistant(turns) == [
        {"role": "user", "content": "i was charged twice"},
        {"role": "assistant", "content": "For which month?"},
    ]
    context = for_user("ada", Scenario(goal="a refund"), turns, marks=None, limit=3_000).context
    assert [(one.role, one.name, one.content) for one in context] == [
        ("system", "what I want", "a refund"),
        ("user", "ada", "i was charged twice"),
        ("assistant", None, "For which month?"),
    ]


def test_nothing_but_words_reaches_the_assistant() -> None:
    """Neither trace nor prompt nor goal nor mark stands in what an assistant is given."""
    one = talk(Scenario(goal=f"{CANARY} goal"))
    one.say(answer("take it back [DONE"))
    one.hear("Why?")
    one.say(answer("because. [give up]"))
    given = str(one.messages)
    assert CANARY not in given
    assert "give up" not in given
    assert one.messages[-1] == {"role": "user", "content": "because."}


def test_a_dialogue_that_nobody_began_shows_the_line_that_chats_have() -> None:
    """The first turn is asked in the words of the corpus' own first turns."""
    context = for_user("ada", Scenario(), [], marks=None, limit=3_000).context
    assert [(one.name, one.content) for one in context] == [
        ("conversation", "(The conversation begins.)")
    ]


@given(st.lists(st.text(min_size=1, max_size=120), max_size=30), st.integers(200, 900))
def test_the_goal_stays_and_the_newest_turns_fit(texts: list[str], limit: int) -> None:
    """However long a dialogue, its goal is whole, its end is there and the limit holds."""
    turns = [
        Turn(speaker="user" if place % 2 == 0 else "assistant", text=text)
        for place, text in enumerate(texts)
    ]
    context = for_user("ada", Scenario(goal="a refund"), turns, marks=None, limit=limit).context
    assert context[0].content == "a refund"
    shown = "\n".join(f"{one.name or one.role}: {one.content.strip()}" for one in context)
    assert len(shown) <= limit
    if turns:
        assert turns[-1].text.strip().endswith(context[-1].content.strip().removeprefix("[...]"))


def test_a_cut_dialogue_says_so() -> None:
    """What was left out is marked, and the newest message loses its beginning last of all."""
    turns = [Turn(speaker="assistant", text="x" * 400), Turn(speaker="assistant", text="y" * 900)]
    context = for_user("ada", Scenario(goal="g"), turns, marks=None, limit=300).context
    assert [one.name for one in context] == ["what I want", "earlier", None]
    assert context[-1].content.startswith("[...]yyy")


# ---------------------------------------------------------------------- when it ends


@pytest.mark.parametrize(
    ("text", "left", "reason"),
    [
        ("thanks [done]", "thanks", "done"),
        ("thanks [DONE] ", "thanks", "done"),
        ("no. [Give up]", "no.", "gave_up"),
        ("[done] oh no [give up]", "oh no", "gave_up"),
        ("[done]", "", "done"),
        ("are we done", "are we done", None),
    ],
)
def test_a_mark_ends_the_dialogue_and_leaves_the_text(
    text: str, left: str, reason: str | None
) -> None:
    """Marks are read without case, the last one counts, and none is left in the message."""
    found, stop = rules.said(text, MARKS)
    assert found == left
    assert (stop.reason if stop else None) == reason


def test_marks_are_not_read_where_they_were_not_told() -> None:
    """With `leaving="never"` a mark is a word like any other."""
    one = talk(config=DialogueConfig(leaving="never"))
    assert one.say(answer("I am [done]")).text == "I am [done]"
    assert one.stop is None


def test_the_person_may_repeat_as_often_as_they_do_and_no_more() -> None:
    """Case and signs do not make a repetition another sentence; the configuration counts first."""
    one = talk(config=DialogueConfig(repeats=2))
    for text in ("Refund!", "refund", "REFUND."):
        assert one.stop is None
        one.say(answer(text))
        if one.stop is None:
            one.hear("No.")
    assert one.stop == Stop(reason="repetition", detail="3 times in a row")


def test_a_run_of_repetitions_in_the_corpus_is_allowed() -> None:
    """Where the corpus shows three in a row, the fourth ends the dialogue."""
    insists = learn_patience([["no", "No!", "no", "ok"]], "person")
    assert insists.repeats == 3
    assert talk(patience=insists).patience.repeats == 3
    assert Patience().repeats == 2


def test_the_limit_lets_the_assistant_answer_the_last_turn() -> None:
    """After the last turn that is allowed the assistant replies, and then it is over."""
    one = talk(config=DialogueConfig(max_turns=1))
    one.say(answer("hi"))
    assert one.stop is None
    one.hear("Hello.")
    assert one.stop == Stop(reason="limit", detail="1 turn")
    assert one.stop.truncated


def test_the_goal_is_tested_after_every_turn() -> None:
    """The caller's test sees all turns, and ends the dialogue as soon as it holds."""
    seen: list[int] = []

    def reached(turns) -> bool:
        seen.append(len(turns))
        return "42" in turns[-1].text

    one = talk(reached=reached)
    one.say(answer("how many?"))
    one.hear("There are 42.")
    assert seen == [1, 2]
    assert one.stop is not None
    assert one.stop.reason == "reached"


def test_a_test_of_the_goal_that_fails_is_named() -> None:
    """An error in the caller's own test says whose goal it was."""
    one = talk(reached=lambda turns: turns[99].text == "")
    with pytest.raises(ConfigError, match=r"'a refund'.*'ada'.*IndexError"):
        one.say(answer("hi"))


def test_asked_persons_leave_by_their_answer() -> None:
    """With `leaving="asked"` the question comes after a reply, and its answer decides."""
    one = talk(config=DialogueConfig(leaving="asked"))
    assert one.leaving_question is None
    one.say(answer("hi"))
    assert one.leaving_question is None
    one.hear("Done, it is refunded.")
    question = one.leaving_question
    assert question is not None
    assert question.space == GOES_ON
    assert question.context[-1].content == "Done, it is refunded."
    one.decide(answer("I go on"))
    assert one.stop is None
    one.decide(answer("I am done", share=0.8))
    assert one.stop == Stop(reason="done", detail="asked; p = 0.80")
    assert one.turns[-1].leaving is not None


def test_an_opening_is_said_as_it_is() -> None:
    """A fixed opening counts as a turn of whoever begins, without an answer behind it."""
    one = talk(Scenario(begins="assistant", opening="Hello, what is it?"))
    assert one.speaker == "user"
    own = talk(Scenario(opening="hi there"))
    assert own.speaker == "assistant"
    assert own.turns == [Turn(speaker="user", text="hi there")]


@pytest.mark.parametrize("text", ["", "  \n", None, 7])
def test_an_assistant_must_say_something(text: object) -> None:
    """An empty reply, or something else than text, is an error that shows it."""
    one = talk()
    one.say(answer("hi"))
    with pytest.raises(AssistantError, match=re.escape(f"{text!r}") + " to user 'ada'"):
        one.hear(text)  # type: ignore[arg-type]


def test_every_ending_says_what_it_means() -> None:
    """Each reason has a sentence, and a stop is read as one line."""
    assert str(Stop(reason="limit", detail="3 turns")) == f"{ENDINGS['limit']} (3 turns)"
    assert all(ENDINGS.values())


# ---------------------------------------------------------------------- patience


def test_the_life_table_counts_what_the_corpus_holds() -> None:
    """By hand: 4 conversations of 1, 2, 2 and 5 turns; rate 4/10, one conversation of weight."""
    past = learn_patience([["a"], ["a", "b"], ["c", "d"], list("efghi")], "person")
    assert (past.conversations, past.turns, past.ended) == (4, 10, (1, 2, 0, 0, 1))
    assert [row[:3] for row in past.table()] == [
        (1, 4, 1),
        (2, 3, 2),
        (3, 1, 0),
        (4, 1, 0),
        (5, 1, 1),
    ]
    assert past.hazard(1) == pytest.approx(1.4 / 5)
    assert past.hazard(3) == pytest.approx(0.4 / 2)
    assert past.hazard(6) == pytest.approx(0.4)
    assert str(past) == "from 4 conversations of their own with 10 turns"


@given(st.lists(st.integers(1, 8), min_size=2, max_size=40))
def test_a_hazard_is_a_probability_and_people_stay_about_as_long_as_they_did(
    lengths: list[int],
) -> None:
    """Every hazard lies in (0, 1], and the mean stay it implies is near the one observed."""
    past = learn_patience([["x"] * n for n in lengths], "people")
    if max(lengths) == 1:
        assert past == Patience()
        return
    stays, mean = 1.0, 0.0
    for turn in range(1, 400):
        assert 0 < past.hazard(turn) <= 1
        mean += stays
        stays *= 1 - past.hazard(turn)
    observed = sum(lengths) / len(lengths)
    # The weight of one conversation with the overall rate moves it by at most the turns one has.
    assert mean == pytest.approx(observed, abs=max(lengths))


def test_single_answers_show_no_patience() -> None:
    """A survey's rows are conversations of one turn each, and nobody leaves because of them."""
    nothing = learn_patience([["yes"], ["no"]] * 50, "people")
    assert nothing == Patience()
    assert nothing.hazard(1) == 0
    assert str(nothing) == "no patience or persistence is known; defaults are used"


def test_people_leave_as_often_as_the_table_says() -> None:
    """Over many dialogues the share that leave after one turn is the hazard, give or take."""
    past = learn_patience([["a"], ["a", "b", "c"]] * 20, "person")
    left = [rules.out_of_patience(past, 1, seed) is not None for seed in range(2_000)]
    assert sum(left) / len(left) == pytest.approx(past.hazard(1), abs=0.04)
    assert rules.out_of_patience(past, 1, 3) == rules.out_of_patience(past, 1, 3)


# ---------------------------------------------------------------------- settings and records


def test_marks_that_hold_each_other_are_refused() -> None:
    """Two marks of which one stands in the other could not be told apart."""
    with pytest.raises(ValueError, match="must differ"):
        DialogueConfig(done_mark="[end]", give_up_mark="[END] no")


def test_an_endpoint_keeps_its_own_fields() -> None:
    """Options that would replace the messages or the model are refused by name."""
    with pytest.raises(ValueError, match=r"\['messages', 'model'\]"):
        AssistantEndpoint(model="m", options={"model": "x", "messages": [], "top_p": 1})


def test_a_record_survives_plain_data_and_marks_itself() -> None:
    """`from_dict(to_dict)` is the same dialogue; both chat forms say that they are simulated."""
    one = talk(Scenario(goal="a refund", metadata={"case": 7}))
    one.say(answer("hi"))
    one.hear("Hello.")
    one.say(answer("[done]"))
    record = one.record("k", "desk", "engine")
    assert Dialogue.from_dict(record.to_dict()) == record
    plain, full = record.to_chat(), record.to_chat(traces=True)
    assert plain["simulated"] is True
    assert plain["metadata"] == {"case": 7}
    assert CANARY not in str(plain)
    assert full["messages"][0] == {"role": "user", "content": "hi", "reasoning": CANARY}
    assert [one["role"] for one in plain["messages"]] == ["user", "assistant"]
    assert record.user_turns == 1
    assert str(record).splitlines()[-1] == "-- the person said that they are done ([done])"


def test_the_question_of_going_on_is_closed() -> None:
    """It can be scored: a choice of three."""
    assert isinstance(GOES_ON, Choice)
    assert len(GOES_ON.options) == 3
